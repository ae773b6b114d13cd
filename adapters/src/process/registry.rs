//! What this daemon itself knows of the sessions that it launched. It answers before any file does.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candor_core::ports::{Ending, Fact};
use candor_core::session::SessionId;

use super::child::DirectProcess;

/// How many endings are kept for somebody who asks once more. Whoever asks later than that finds
/// the process gone and its exit unknown; but then its end has long been stored.
const ENDINGS_KEPT_MAX: usize = 1024;

/// The sessions of this daemon.
#[derive(Default)]
pub(super) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_session: HashMap<SessionId, Known>,
    /// The ended ones, oldest first.
    ended: VecDeque<SessionId>,
}

/// What is known of one session.
#[derive(Clone)]
pub(super) enum Known {
    /// Its launch is under way.
    Launching,
    /// Its process has not been reaped. Kept here so that it is reaped, even if everybody else
    /// drops it.
    Up(Arc<DirectProcess>),
    /// Its process has been reaped.
    Ended(Ending),
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic elsewhere leaves no entry half written: each change is one call.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, session: SessionId) -> Option<Known> {
        self.entries().by_session.get(&session).cloned()
    }

    /// Starts the one launch of a session.
    ///
    /// # Errors
    ///
    /// What is known of it already.
    pub(super) fn claim(self: &Arc<Self>, session: SessionId) -> Result<Claim, Known> {
        match self.entries().by_session.entry(session) {
            Slot::Occupied(known) => Err(known.get().clone()),
            Slot::Vacant(slot) => {
                slot.insert(Known::Launching);
                Ok(Claim { registry: Arc::clone(self), session })
            }
        }
    }

    /// Takes note of the last fact of a process.
    pub(super) fn ended(&self, session: SessionId, fact: Fact) {
        let mut entries = self.entries();
        match fact {
            Fact::Ended(ending) => {
                entries.by_session.insert(session, Known::Ended(ending));
                entries.ended.push_back(session);
                if entries.ended.len() > ENDINGS_KEPT_MAX
                    && let Some(oldest) = entries.ended.pop_front()
                {
                    entries.by_session.remove(&oldest);
                }
            }
            Fact::Lost(_) => {
                entries.by_session.remove(&session);
            }
        }
    }
}

/// The right to launch one session. Dropped without a process, the session is unknown again.
pub(super) struct Claim {
    registry: Arc<Registry>,
    session: SessionId,
}

impl Claim {
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    pub(super) const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Ends the launch: there is a process.
    pub(super) fn up(self, process: Arc<DirectProcess>) {
        self.registry.entries().by_session.insert(self.session, Known::Up(process));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut entries = self.registry.entries();
        if let Slot::Occupied(known) = entries.by_session.entry(self.session)
            && matches!(known.get(), Known::Launching)
        {
            known.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_core::ports::{Ending, Fact, IdSource as _};
    use candor_core::session::OutputSizes;
    use candor_core::verdict::{Exit, Witness};

    use super::{ENDINGS_KEPT_MAX, Known, Registry};
    use crate::ids::UuidV7Source;

    fn ending(code: u8) -> Ending {
        let output = OutputSizes::default();
        Ending { exit: Exit::Code(code), oom_killed: false, witness: Witness::Parent, output }
    }

    #[test]
    fn a_session_is_claimed_once_at_a_time() {
        let registry = Arc::new(Registry::default());
        let session = UuidV7Source.session_id();
        let claim = registry.claim(session).ok().expect("nobody has it");
        assert!(matches!(registry.claim(session), Err(Known::Launching)));
        assert!(matches!(registry.find(session), Some(Known::Launching)));
        drop(claim);
        assert!(registry.find(session).is_none());
        assert!(registry.claim(session).is_ok());
    }

    #[test]
    fn the_newest_endings_are_kept() {
        let registry = Registry::default();
        let sessions: Vec<_> =
            (0..=ENDINGS_KEPT_MAX).map(|_| UuidV7Source.session_id()).collect();
        for &session in &sessions {
            registry.ended(session, Fact::Ended(ending(3)));
        }
        assert!(registry.find(sessions[0]).is_none());
        for &session in &sessions[1..] {
            assert!(matches!(registry.find(session), Some(Known::Ended(kept)) if kept == ending(3)));
        }
    }
}
