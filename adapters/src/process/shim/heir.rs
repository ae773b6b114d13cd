//! What falls to the daemon: processes whose shims were killed, and whatever else sessions left behind.
//!
//! The daemon is a subreaper, and the shims that it started are below it. When one of them is killed,
//! the kernel makes the daemon the parent of all that the shim had. The session's own process is one
//! of those, and as its parent the daemon learns how it ends: it must not be reaped before that is
//! recorded. Everything else is reaped as soon as it has ended, since nobody asks for it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candor_core::session::SessionId;
use rustix::process::{Pid, getpid, set_child_subreaper};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::inside::children::any_ended;
use super::place::{Place, Started};
use crate::process::platform::watch;
use crate::process::record::Found;

/// How long what must not be reaped yet is left alone, if nobody says before that it may.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The sessions whose processes may fall to this one.
#[derive(Debug, Default)]
pub(super) struct Wards {
    by_session: Mutex<HashMap<SessionId, Cared>>,
    fewer: Notify,
}

/// What is known of one of them.
#[derive(Debug, Default)]
struct Cared {
    /// How many take care of it at this time.
    wards: usize,
    /// Whether its fate is open: somebody will ask again.
    is_open: bool,
    /// The number of its process, once that is known.
    process: Option<Pid>,
}

/// One session, for as long as its process must not be reaped by who does not know whose it is.
#[derive(Debug)]
pub(super) struct Ward {
    wards: Arc<Wards>,
    session: SessionId,
}

impl Wards {
    /// Takes care of a session, of which nothing is known yet.
    pub(super) fn admit(self: &Arc<Self>, session: SessionId) -> Ward {
        let mut sessions = self.by_session();
        let cared = sessions.entry(session).or_default();
        cared.wards += 1;
        cared.is_open = false;
        drop(sessions);
        Ward { wards: Arc::clone(self), session }
    }

    /// Says whether this is, or may be, the process of one of them.
    fn has(&self, pid: Pid, sessions: &Path) -> bool {
        let unknown: Vec<SessionId> = {
            let wards = self.by_session();
            if wards.values().any(|cared| cared.process == Some(pid)) {
                return true;
            }
            let unknown = wards.iter().filter(|(_, cared)| cared.process.is_none());
            unknown.map(|(&session, _)| session).collect()
        };
        unknown.into_iter().any(|session| {
            match Place::of(sessions, session).load::<Started>() {
                Ok(Found::Whole(started)) => started.identity.pid() == Some(pid),
                // It has no process yet, or one that nobody will recognise.
                Ok(Found::Nothing | Found::Damaged) => false,
                Err(_) => true,
            }
        })
    }

    fn by_session(&self) -> MutexGuard<'_, HashMap<SessionId, Cared>> {
        // A panic elsewhere leaves no entry half written: each change is one call.
        self.by_session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ward {
    /// Says which process it is.
    pub(super) fn is(&self, pid: Pid) {
        self.wards.by_session().entry(self.session).or_default().process = Some(pid);
    }

    /// Goes, and leaves the session cared for until the next one is admitted: nobody knows yet what
    /// became of it.
    pub(super) fn leave_open(self) {
        self.wards.by_session().entry(self.session).or_default().is_open = true;
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let mut sessions = self.wards.by_session();
        if let Some(cared) = sessions.get_mut(&self.session) {
            cared.wards -= 1;
            if cared.wards == 0 && !cared.is_open {
                sessions.remove(&self.session);
                self.wards.fewer.notify_one();
            }
        }
    }
}

/// Makes this process the heir of all that it starts, and begins to reap what nobody asks for.
///
/// # Errors
///
/// When the system refuses. Then nothing falls to this process.
pub(super) fn inherit(wards: Arc<Wards>, sessions: PathBuf) -> io::Result<()> {
    let ends = signal(SignalKind::child())?;
    set_child_subreaper(Some(getpid()))?;
    tokio::spawn(reap_all(wards, sessions, ends));
    Ok(())
}

async fn reap_all(wards: Arc<Wards>, sessions: PathBuf, mut ends: Signal) {
    loop {
        // The kernel names one, and names it again until it is reaped: a ward holds up what ended
        // after it until its own exit is recorded.
        match any_ended() {
            Some(pid) => {
                // By a handle, since a shim is also reaped by whoever started it.
                let child = watch(pid);
                let (known, folder) = (Arc::clone(&wards), sessions.clone());
                let looked = tokio::task::spawn_blocking(move || known.has(pid, &folder)).await;
                match (child, looked) {
                    (Ok(Some(child)), Ok(false)) => child.reap(),
                    (Ok(None), _) => {}
                    // One of theirs, or nobody knows: something may be lacking that comes back.
                    _ => {
                        let pause = tokio::time::sleep(LOOK_AGAIN);
                        tokio::select! {
                            () = wards.fewer.notified() => {}
                            () = pause => {}
                        }
                    }
                }
            }
            None => {
                if ends.recv().await.is_none() {
                    return;
                }
            }
        }
    }
}
