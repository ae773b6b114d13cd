//! Launches under way at the same time.

use std::sync::Arc;
use std::time::Duration;

use candor_core::ports::{Environment, Launch};
use candor_core::session::{SessionId, Spec};
use candor_core::verdict::SpawnStage;
use rustix::io::Errno;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::plan::{Plan, Refusal};
use super::registry::{Claim, Registry};

/// More than one, so that a folder on a file system that hangs does not hold up the launches
/// elsewhere; each takes a thread while it lasts.
const LAUNCHES_MAX: usize = 16;

/// How long a launch is waited for. After that it goes on, and `attach` tells what became of it.
pub(super) const LAUNCH_PATIENCE: Duration = Duration::from_secs(10);

/// Gives one launch after the other its turn.
pub(super) struct Turns(Arc<Semaphore>);

/// The right to launch, until it is dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LAUNCHES_MAX)))
    }

    /// Makes a session the caller's alone, prepares what to execute, and waits for a turn.
    ///
    /// # Errors
    ///
    /// The answer, where nothing is to be begun: what is known of the session already, or `EAGAIN`
    /// when no turn came in time.
    pub(super) async fn begin(
        &self,
        registry: &Arc<Registry>,
        session: SessionId,
        spec: &Spec,
        environment: &Environment,
    ) -> Result<(Claim, Plan, Turn), Launch> {
        crate::failpoint!(LaunchBegun, session);
        let claim = registry.claim(session)?;
        let plan = Plan::new(spec, environment)?;
        match timeout(LAUNCH_PATIENCE, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok((claim, plan, Turn { _permit: permit })),
            Ok(Err(_)) | Err(_) => Err(Refusal::new(SpawnStage::Fork, Errno::AGAIN).into()),
        }
    }
}
