//! What this daemon itself knows of the sessions that it launched. It answers before any file does.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candor_core::ports::{Attach, Ending, Fact, Launch, Process};
use candor_core::session::SessionId;
use candor_core::verdict::SpawnStage;
use rustix::io::Errno;

use super::plan::Refusal;

/// How many ends are kept for somebody who asks once more. Whoever asks later than that is told
/// what the files say: the process is gone, its exit unknown. But then its end has long been
/// stored, and nobody asks.
const ENDS_KEPT_MAX: usize = 1024;

/// The sessions of this daemon.
#[derive(Default)]
pub(super) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_session: HashMap<SessionId, Known>,
    /// Those that have ended or never ran, oldest first.
    over: VecDeque<SessionId>,
}

/// What is known of one session.
#[derive(Clone)]
pub(super) enum Known {
    /// Its launch is under way, or somebody finds out what became of it.
    Busy,
    /// Its process has not been reaped. Kept here so that it is reaped, even if everybody else
    /// drops it.
    Up(Arc<dyn Process>),
    /// Its process has been reaped.
    Ended(Ending),
    /// It was said that it never ran, and so it never may.
    NeverRan,
}

impl From<Known> for Launch {
    /// What somebody is told who wants to launch it.
    fn from(known: Known) -> Self {
        match known {
            Known::Up(process) => Self::Up(process),
            Known::Busy | Known::Ended(_) => Self::Unknown,
            Known::NeverRan => Refusal::new(SpawnStage::Prepare, Errno::PERM).into(),
        }
    }
}

impl From<Known> for Attach {
    /// What somebody is told who wants to know what became of it.
    fn from(known: Known) -> Self {
        match known {
            Known::Busy => Self::Unreachable,
            Known::Up(process) => Self::Up(process),
            Known::Ended(ending) => Self::Ended(ending),
            Known::NeverRan => Self::NeverRan,
        }
    }
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic elsewhere leaves no entry half written: each change is one call.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session the caller's alone, to launch it or to find out what became of it.
    ///
    /// # Errors
    ///
    /// What is known of it already.
    pub(super) fn claim(self: &Arc<Self>, session: SessionId) -> Result<Claim, Known> {
        match self.entries().by_session.entry(session) {
            Slot::Occupied(known) => Err(known.get().clone()),
            Slot::Vacant(slot) => {
                slot.insert(Known::Busy);
                Ok(Claim { registry: Arc::clone(self), session })
            }
        }
    }

    /// Takes note of the last fact of a process.
    pub(super) fn ended(&self, session: SessionId, fact: Fact) {
        match fact {
            Fact::Ended(ending) => self.entries().keep(session, Known::Ended(ending)),
            Fact::Lost(_) => {
                self.entries().by_session.remove(&session);
            }
        }
    }
}

impl Entries {
    /// Keeps an end, and forgets the oldest one if there are too many.
    fn keep(&mut self, session: SessionId, end: Known) {
        self.by_session.insert(session, end);
        self.over.push_back(session);
        if self.over.len() > ENDS_KEPT_MAX
            && let Some(oldest) = self.over.pop_front()
        {
            self.by_session.remove(&oldest);
        }
    }
}

/// One session that is the caller's alone. Dropped without an answer, the session is unknown again.
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

    /// Answers: there is a process.
    pub(super) fn up(self, process: Arc<dyn Process>) {
        self.registry.entries().by_session.insert(self.session, Known::Up(process));
    }

    /// Answers: there never was a process, and never will be.
    pub(super) fn never_ran(self) {
        self.registry.entries().keep(self.session, Known::NeverRan);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut entries = self.registry.entries();
        if let Slot::Occupied(known) = entries.by_session.entry(self.session)
            && matches!(known.get(), Known::Busy)
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
    use candor_core::verdict::{Exit, LostReason, Witness};

    use super::{ENDS_KEPT_MAX, Known, Registry};
    use crate::ids::UuidV7Source;

    fn ending(code: u8) -> Ending {
        let output = OutputSizes::default();
        let (exit, witness) = (Exit::Code(code), Witness::Parent);
        Ending { exit, oom_killed: false, witness, output, left_behind: None }
    }

    #[test]
    fn a_session_is_claimed_once_at_a_time() {
        let registry = Arc::new(Registry::default());
        let session = UuidV7Source.session_id();
        let claim = registry.claim(session).ok().expect("nobody has it");
        assert!(matches!(registry.claim(session), Err(Known::Busy)));
        drop(claim);
        registry.claim(session).ok().expect("nobody has it").never_ran();
        assert!(matches!(registry.claim(session), Err(Known::NeverRan)));
    }

    #[test]
    fn the_newest_ends_are_kept() {
        let registry = Arc::new(Registry::default());
        let sessions: Vec<_> = (0..=ENDS_KEPT_MAX).map(|_| UuidV7Source.session_id()).collect();
        for &session in &sessions {
            registry.ended(session, Fact::Ended(ending(3)));
        }
        for &session in &sessions[1..] {
            let known = registry.claim(session);
            assert!(matches!(known, Err(Known::Ended(kept)) if kept == ending(3)));
        }
        assert!(registry.claim(sessions[0]).is_ok());
    }

    #[test]
    fn a_lost_process_is_forgotten() {
        let registry = Arc::new(Registry::default());
        let session = UuidV7Source.session_id();
        registry.ended(session, Fact::Ended(ending(3)));
        registry.ended(session, Fact::Lost(LostReason::BadRecord));
        assert!(registry.claim(session).is_ok());
    }
}
