//! [`ProcessSpawner`] on fork and exec.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use candor_core::ports::{Attach, Environment, Launch, ProcessSpawner};
use candor_core::session::{SessionId, Spec};
use tokio::time::timeout;

use super::attach::attach;
use super::launch::launch;
use super::registry::Registry;
use super::signals;
use super::turns::{LAUNCH_PATIENCE, Turns};

/// Makes processes that are children of this daemon.
///
/// The session gets the environment that is handed in, to the last variable, and none from the
/// daemon. It leads a process group, and a session without a terminal. Its standard input is
/// `/dev/null`, or a pipe that this process holds, and that ends when it dies; its output goes into
/// two files that [`Outputs`](super::Outputs) reads.
///
/// `oom_killed` is always false here: the kernel counts out-of-memory kills by cgroup, and sessions
/// do not have one of their own.
pub struct DirectSpawner {
    sessions: PathBuf,
    registry: Arc<Registry>,
    turns: Turns,
}

impl DirectSpawner {
    /// Makes a spawner that keeps its files below `sessions_folder`, which is made with mode 0700
    /// when it is first needed.
    ///
    /// One process at a time may have a spawner on a folder: hold a lock.
    ///
    /// Should this process have been started with `SIGCHLD` ignored, that is undone.
    #[must_use]
    pub fn new(sessions_folder: PathBuf) -> Self {
        signals::keep_exits();
        Self {
            sessions: sessions_folder,
            registry: Arc::new(Registry::default()),
            turns: Turns::new(),
        }
    }
}

#[async_trait]
impl ProcessSpawner for DirectSpawner {
    /// Called again, it returns the process that there is. While the first call is still under way,
    /// or after the process has ended, it returns [`Launch::Unknown`], and `attach` tells more.
    /// After `attach` has said that the session never ran, every launch of it is refused.
    async fn launch(&self, id: SessionId, spec: &Spec, environment: &Environment) -> Launch {
        let begun = self.turns.begin(&self.registry, id, spec, environment).await;
        let (claim, plan, turn) = match begun {
            Ok(begun) => begun,
            Err(answer) => return answer,
        };
        let sessions = self.sessions.clone();
        let task = tokio::task::spawn_blocking(move || {
            let answer = launch(claim, &plan, &sessions);
            drop(turn);
            answer
        });
        match timeout(LAUNCH_PATIENCE, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Launch::Unknown,
        }
    }

    /// A process of this very spawner is handed back. Any other one has lost its parent: what is
    /// left of it is ended, and its exit is lost.
    ///
    /// Without an identity on disk the answer is [`Attach::NeverRan`], whether there is a folder of
    /// the session or not: a launch that died early has none, and a user may remove one at any
    /// time. Whoever knows from elsewhere that the process was up knows then that its identity was
    /// removed by hand.
    async fn attach(&self, id: SessionId) -> Attach {
        crate::failpoint!(AttachBegun, id);
        let claim = match self.registry.claim(id) {
            Ok(claim) => claim,
            Err(known) => return known.into(),
        };
        let answer = attach(&self.sessions, id).await;
        if let Attach::NeverRan = answer {
            claim.never_ran();
        }
        crate::failpoint!(AttachDone, id);
        answer
    }
}
