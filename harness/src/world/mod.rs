//! The world of one replay: the shipped supervisor on fake ports, moved by one choice at a time.
//!
//! Between two choices everything runs that can run; then all is still, because every call waits
//! for the next choice. So the order of the choices is the whole of the schedule.

mod answers;
mod clients;
mod daemon;
mod effects;
mod fair;
mod features;
mod input;
mod lookup;
mod menu;
mod mistakes;
mod rest;
mod task;

use candor_core::recording;
use candor_core::session::SessionId;
use candor_core::stop::{Actor, StopKind};

pub use menu::Enabled;
pub use mistakes::MISTAKES;
pub use rest::{ClientRest, Rest, SessionRest};

use crate::fakes::Stage;
use crate::ghost::{Log, Record, Ticket};
use crate::mutant::Mutants;
use crate::timeline::Choice;
use crate::timeline::names::SessionName;

use clients::Clients;
use daemon::Daemon;

/// Turns between two choices, at most. A world that needs more never comes to rest.
const TURNS_MAX: usize = 1_000;

/// Everything that one replay consists of.
pub struct World {
    stage: Stage,
    daemon: Option<Daemon>,
    clients: Clients,
    drafts: Vec<SessionId>,
    tickets: u32,
    /// Lines in which an agent asks for something, so far.
    lines_read: u64,
}

/// Why a choice cannot be made now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub(crate) String);

impl Refusal {
    fn because<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self(reason.into()))
    }
}

impl World {
    /// Makes a world with a daemon that has just started on an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Mutants::NONE)
    }

    /// Makes the same world with mistakes around the shipped supervisor.
    #[must_use]
    pub fn of(mutants: Mutants) -> Self {
        let stage = Stage::held(mutants);
        let daemon = Some(Daemon::boot(stage.clone()));
        Self {
            stage,
            daemon,
            clients: Clients::default(),
            drafts: Vec::new(),
            tickets: 0,
            lines_read: 0,
        }
    }

    /// Returns the time that has passed, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.stage.lock().log.now_ms()
    }

    /// Returns everything that happened, in order.
    #[must_use]
    pub fn log(&self) -> Log {
        self.stage.lock().log.clone()
    }

    /// Returns what was handed to the protocols of all sessions, and what came of it.
    #[must_use]
    pub fn recording(&self) -> Vec<(SessionId, recording::Entry)> {
        self.recording_after(0)
    }

    /// Returns what comes after the first `skip` entries of that.
    pub(crate) fn recording_after(&self, skip: usize) -> Vec<(SessionId, recording::Entry)> {
        self.stage.lock().recording.iter().skip(skip).copied().collect()
    }

    /// Hands the entries of the log after the first `skip` to `read`.
    pub(crate) fn read_log(&self, skip: usize, mut read: impl FnMut(&crate::ghost::Entry)) {
        self.stage.lock().log.entries().iter().skip(skip).for_each(&mut read);
    }

    /// Makes a choice at a moment, and lets everything run that can run then.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it is not enabled. Then nothing has changed, not even the time.
    pub fn apply(&mut self, at_ms: u64, choice: &Choice) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        if at_ms < now_ms {
            return Refusal::because(format!("time does not go back: it is @{now_ms} already"));
        }
        let latest_ms = self.latest_ms();
        if at_ms > latest_ms {
            let reason = format!("the store answers a commit within 2 s, so by @{latest_ms}");
            return Refusal::because(reason);
        }
        let before = self.stage.lock().log.mark();
        self.stage.lock().log.begin_step(at_ms);
        if let Err(refusal) = self.take_effect(choice) {
            self.stage.lock().log.take_back_step(before);
            return Err(refusal);
        }
        self.settle();
        Ok(())
    }

    /// Lets everything run until each task waits for the next choice.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let is_full = self.clients.has_full_queue(&self.stage);
            let mut is_busy = self.daemon.as_mut().is_some_and(|daemon| {
                daemon.hold_up(is_full);
                daemon.turn()
            });
            is_busy |= self.supersede();
            self.leave_if_done();
            is_busy |= self.clients.turn(&self.stage);
            if !is_busy {
                self.tidy_up();
                return;
            }
        }
        let message = format!("it does not come to rest within {TURNS_MAX} turns");
        self.stage.lock().log.push(Record::Bug { message });
    }

    /// Does what follows from everything having come to rest.
    fn tidy_up(&mut self) {
        let tasks = self.daemon.iter().flat_map(|daemon| &daemon.tasks);
        let still: Vec<_> = tasks
            .filter(|(_, task)| {
                let view = task.view();
                view.is_idle && !view.is_blocked && !view.is_under_way
            })
            .map(|(id, _)| *id)
            .collect();
        let mut state = self.stage.lock();
        for session in still {
            state.withdraw_ignored(session);
        }
        state.monitor_bypasses();
        let stale = state.take_stale();
        drop(state);
        if let Some(row) = stale {
            self.clients.show_stale(&self.stage, &row);
        }
    }

    /// Lets the daemon go when it has nothing left to do, or must not go on.
    fn leave_if_done(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        let is_done = daemon.is_leaving && daemon.tasks.is_empty();
        if daemon.is_usurped || is_done {
            let usurped = daemon.is_usurped;
            self.end_daemon(Record::Left { usurped });
        }
    }

    /// Ends the daemon: its tasks, its calls and its connections are gone.
    fn end_daemon(&mut self, record: Record) {
        self.daemon = None;
        self.clients.disconnect_all();
        let mut state = self.stage.lock();
        state.calls.clear();
        state.bus.close();
        state.forget_parent();
        state.forget_asked();
        state.log.push(record);
    }

    /// Asks every session to end, because the daemon leaves.
    fn stop_all(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        let sessions: Vec<_> = daemon.tasks.keys().copied().map(SessionName::of).collect();
        for session in sessions {
            self.stop(session, StopKind::Shutdown, Actor::Daemon);
        }
    }

    fn stop(&mut self, session: SessionName, kind: StopKind, by: Actor) {
        let ticket = self.next_ticket();
        if let Some(daemon) = &mut self.daemon {
            daemon.stop(session.id(), kind, by, ticket);
        }
    }

    const fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
