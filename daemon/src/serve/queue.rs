//! Sessions that wait for the end of another, which they go on with.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;
use std::time::Duration;

use candor_core::bytes::ByteString;
use candor_core::happening::Happening;
use candor_core::ports::Environment;
use candor_core::session::{Revision, SessionId};
use candor_core::status::Status;
use candor_core::stop::{Actor, StopKind};
use tokio::sync::watch;

use super::{Refusal, Registry, Snapshot};

/// How long it is waited before a queued session is tried to be brought to its start again.
const ESCORT_AGAIN: Duration = Duration::from_millis(500);

impl Registry {
    /// Sees to it that a queued session starts when its parent has ended, and that its parent ends.
    ///
    /// It is begun again for each queued session that a daemon finds, so that nothing hangs on its
    /// coming through.
    pub(super) fn escort(self: &Arc<Self>, child: SessionId, parent: SessionId) {
        let registry = Arc::clone(self);
        let leaving = self.leaving.clone();
        self.tasks.spawn(async move {
            let bring = async {
                while let Err(refusal) = registry.bring_to_start(child, parent).await {
                    tracing::warn!(session = %child, %parent, %refusal, "cannot go on yet");
                    // Nobody tells when the store takes changes again.
                    tokio::time::sleep(ESCORT_AGAIN).await;
                }
            };
            tokio::select! {
                () = bring => {}
                () = leaving.cancelled() => {}
                () = registry.usurped().cancelled() => {}
            }
        });
    }

    async fn bring_to_start(&self, child: SessionId, parent: SessionId) -> Result<(), Refusal> {
        let Some(mut shown) = self.follow(child).await? else { return Ok(()) };
        // Nobody is stopped for the sake of one that is not stored.
        let is_stored = |shown: &Snapshot| shown.session.revision() != Revision::NONE;
        if shown.wait_for(is_stored).await.is_err() {
            return Ok(());
        }
        match self.stop(parent, StopKind::Superseded, Actor::Session(child)).await {
            Ok(_) => {
                tokio::select! {
                    ended = self.wait(parent) => { ended?; }
                    // It was stopped itself while it waited.
                    () = left_queue(&mut shown) => return Ok(()),
                }
            }
            Err(Refusal::Unknown(_)) => {}
            Err(refusal) => return Err(refusal),
        }
        self.command(child, Happening::ParentEnded).await.map(drop)
    }
}

/// Waits until a session that was queued is so no more.
async fn left_queue(shown: &mut watch::Receiver<Snapshot>) {
    let _gone = shown.wait_for(|shown| shown.session.status() != Status::Queued).await.map(drop);
}

/// Returns the daemon's own environment.
pub(super) fn own_environment() -> Environment {
    Environment::new(own_variables())
}

/// What begins so is meant for Candor itself.
const OWN_PREFIX: &[u8] = b"CANDOR_";

/// Returns the variables of the daemon's own environment that are not for the daemon itself.
pub(crate) fn own_variables() -> Vec<(ByteString, ByteString)> {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let bytes = |text: OsString| ByteString::new(text.into_vec()).ok();
        Some((bytes(name)?, bytes(value)?))
    });
    variables.filter(|(name, _)| !name.as_bytes().starts_with(OWN_PREFIX)).collect()
}
