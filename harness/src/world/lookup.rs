//! Questions about the present state of a world, shared by what applies a choice and by what lists
//! the choices that are enabled.

use candor_core::input::Input;
use candor_core::ports::Change;
use candor_core::session::{EventId, Session, SessionId};
use candor_core::stop::{Actor, Intent, Rung, StopKind};
use candor_core::{event::Event, status::Status};
use uuid::Uuid;

use super::{Refusal, World};
use crate::fakes::{Call, State};
use crate::ghost::Writer;
use crate::timeline::names::{CallName, ProcessName, SessionName};

/// Event ids of the intruder start here, far above those that the daemon's source mints.
const INTRUDER_EVENTS: u128 = 1 << 100;

/// The store promises to answer a commit within this time.
const COMMIT_MS_MAX: u64 = 2_000;

impl World {
    /// Says whether a daemon runs.
    pub(super) const fn is_up(&self) -> bool {
        self.daemon.is_some()
    }

    /// Returns the process of a session, or the name that it will have.
    pub(crate) fn process_to_be(&self, session: SessionName) -> ProcessName {
        let state = self.stage.lock();
        state.process_of(session.id()).unwrap_or_else(|| state.next_process())
    }

    /// Returns the commit or the read for a session that is on its way.
    pub(crate) fn store_call(&self, session: SessionName, is_commit: bool) -> Option<CallName> {
        let state = self.stage.lock();
        let mut names = state.calls.iter().filter_map(|call| match call {
            Call::Commit { name, .. } if is_commit => Some(*name),
            Call::Load { name, .. } if !is_commit => Some(*name),
            Call::Commit { .. }
            | Call::Load { .. }
            | Call::Launch { .. }
            | Call::Attach { .. }
            | Call::Signal { .. } => None,
        });
        names.find(|name| name.session == session)
    }

    /// Says whether a commit is on its way.
    pub(crate) fn has_commits(&self) -> bool {
        !self.stage.lock().commits().is_empty()
    }

    pub(super) fn require_up(&self) -> Result<(), Refusal> {
        if self.is_up() { Ok(()) } else { Refusal::because("the daemon is down") }
    }

    /// Returns the latest moment to which the clock may move before a commit must be answered.
    #[must_use]
    pub fn latest_ms(&self) -> u64 {
        let state = self.stage.lock();
        let issued = state.calls.iter().filter_map(|call| match call {
            Call::Commit { issued_at_ms, .. } => Some(*issued_at_ms),
            Call::Load { .. } | Call::Launch { .. } | Call::Attach { .. } | Call::Signal { .. } => {
                None
            }
        });
        issued.min().map_or(u64::MAX, |issued| issued.saturating_add(COMMIT_MS_MAX))
    }

    /// Returns the name that the next session will have.
    pub(crate) fn next_session(&self) -> SessionName {
        SessionName::new(self.stage.lock().sessions_named + 1)
    }
}

impl State {
    /// Returns the place of a commit among the calls.
    pub(crate) fn commit_call(&self, wanted: CallName) -> Option<usize> {
        self.calls
            .iter()
            .position(|call| matches!(call, Call::Commit { name, .. } if *name == wanted))
    }

    pub(crate) fn load_call(&self, wanted: CallName) -> Option<usize> {
        self.calls
            .iter()
            .position(|call| matches!(call, Call::Load { name, .. } if *name == wanted))
    }

    pub(crate) fn launch_call(&self, wanted: SessionId) -> Option<usize> {
        self.calls
            .iter()
            .position(|call| matches!(call, Call::Launch { session, .. } if *session == wanted))
    }

    pub(crate) fn attach_call(&self, wanted: SessionId) -> Option<usize> {
        self.calls
            .iter()
            .position(|call| matches!(call, Call::Attach { session, .. } if *session == wanted))
    }

    pub(crate) fn signal_call(&self, wanted: ProcessName, rung: Rung) -> Option<usize> {
        self.calls.iter().position(|call| match call {
            Call::Signal { process, signal, .. } => {
                *process == wanted && Some(*signal) == rung.signal()
            }
            Call::Commit { .. } | Call::Load { .. } | Call::Launch { .. } | Call::Attach { .. } => {
                false
            }
        })
    }

    /// Returns the commits that are on their way.
    pub(crate) fn commits(&self) -> Vec<CallName> {
        let commits = self.calls.iter().filter_map(|call| match call {
            Call::Commit { name, .. } => Some(*name),
            Call::Load { .. } | Call::Launch { .. } | Call::Attach { .. } | Call::Signal { .. } => {
                None
            }
        });
        commits.collect()
    }

    /// Returns what a second daemon would do to a session: kill it. `None` where that changes
    /// nothing any more.
    pub(crate) fn intrusion(&self, id: SessionId) -> Option<Change> {
        let before = &self.store.row(id)?.session;
        let now = self.now();
        let transition = before.machine.step(Input::Stop(StopKind::Kill), now).ok()?;
        let cause = transition.cause?;
        let by = Actor::User(0);
        let mut session = Session { machine: transition.next, ..before.clone() };
        if before.machine.intent() != transition.next.intent() {
            session.intent = Some(Intent { kind: StopKind::Kill, by, at: now.wall });
        }
        if session.status().is_terminal() {
            session.ended_at = Some(now.wall);
        }
        let number = INTRUDER_EVENTS + u128::from(self.store.last_seq().number());
        let event = Event {
            id: EventId::from_uuid(Uuid::from_u128(number)),
            session: id,
            revision: session.revision(),
            at: now.wall,
            from: Some(before.status()),
            to: session.status(),
            cause,
            by,
            verdict: session.verdict(),
        };
        Some(Change { expected: before.revision(), session, event })
    }

    /// Says whether the store would take a change.
    pub(crate) fn fits(&self, change: &Change) -> bool {
        let is_blind = self.mutants.write_blind();
        is_blind || self.store.revision(change.session.id) == change.expected
    }

    /// Refuses every name for a new process but the next.
    pub(crate) fn require_next(&self, process: ProcessName) -> Result<(), Refusal> {
        let next = self.next_process();
        if process == next {
            return Ok(());
        }
        Refusal::because(format!("the next process is {next}"))
    }

    /// Lets these commits reach the store, in the order in which they were issued.
    pub(crate) fn keep(&mut self, kept: &[CallName]) {
        let writer = Writer::Daemon(self.life);
        for call in std::mem::take(&mut self.calls) {
            if let Call::Commit { name, change, .. } = call
                && kept.contains(&name)
            {
                // A conflict leaves it out of the store, as it would have been anyway.
                let _conflict = self.commit(&change, writer);
            }
        }
    }

    /// Says whether the process was made in this boot of the machine.
    pub(crate) fn is_of_this_boot(&self, process: ProcessName) -> bool {
        self.processes.get(&process).is_some_and(|state| state.boot == self.boot)
    }

    /// Says whether a session is there and waits for nothing but its own end.
    pub(crate) fn is_live(&self, id: SessionId) -> bool {
        self.store.row(id).is_some_and(|row| !row.session.status().is_terminal())
    }

    pub(crate) fn status(&self, id: SessionId) -> Option<Status> {
        self.store.row(id).map(|row| row.session.status())
    }
}
