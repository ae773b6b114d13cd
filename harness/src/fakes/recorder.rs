//! A flight recorder that keeps everything, so that what was handed to the protocol can be counted.

use candor_core::ports::Recorder;
use candor_core::recording::Entry;
use candor_core::session::SessionId;

use super::stage::Stage;

/// A recorder that keeps its entries on the stage, in the order of all sessions.
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
        self.stage.lock().recording.push((session, *entry));
    }
}
