//! Flight recordings, in memory.

use candor_core::ports::Recorder;
use candor_core::recording::Entry;
use candor_core::session::SessionId;

use super::stage::Stage;

/// A recorder that keeps everything, however much it is.
#[derive(Clone)]
pub struct FakeRecorder {
    stage: Stage,
}

impl FakeRecorder {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl Recorder for FakeRecorder {
    fn record(&self, session: SessionId, entry: &Entry) {
        self.stage.lock().recorded.push((session, *entry));
    }
}
