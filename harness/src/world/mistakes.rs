//! The mistakes that the world makes when it is a mutant, where they are the daemon's.
//!
//! Each is a switch of its own. The supervisor that runs in the world is the shipped one whatever
//! they say: a mistake is made around it.

use std::sync::Arc;

use candor_core::event::Cause;
use candor_core::happening::Happening;
use candor_core::input::Deadline;
use candor_core::machine::Machine;
use candor_core::ports::Target;
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::{Actor, Rung, Signal, StopKind};
use candor_core::supervisor::Supervisor;
use candor_core::time::Monotonic;

use super::daemon::Daemon;
use super::task::{Mail, SessionTask};
use crate::executor::poll_once;
use crate::ghost::{Record, Reply, Ticket, Writer};
use crate::mutant::Mutant;

/// Every mistake that the world can make, and what it is.
pub const MISTAKES: [(Mutant, &str); 45] = [
    (Mutant::M01, "signal first, store the intent after"),
    (Mutant::M02, "two writers a session, and no compare-and-set"),
    (Mutant::M03, "two publishers, and events that are carried by the bus"),
    (Mutant::M04, "publish before it is durable"),
    (Mutant::M05, "failed has no event"),
    (Mutant::M10, "recovery skips completing rows"),
    (Mutant::M11, "recovery fails every live row"),
    (Mutant::M12, "recovery writes again"),
    (Mutant::M14, "a report writes a terminal status"),
    (Mutant::M15, "an exit is told twice"),
    (Mutant::M17, "a write error is ignored"),
    (Mutant::M19, "a stop signals who has ended"),
    (Mutant::M20, "no escalation"),
    (Mutant::M26, "a clean exit just before the signal of a stop is a success"),
    (Mutant::M27, "who comes second launches once more"),
    (Mutant::M28, "a line about usage carries a stale status"),
    (Mutant::M29, "a shutdown drops the last write"),
    (Mutant::M31, "snapshot, then subscribe, with a gap"),
    (Mutant::M32, "a full queue drops events"),
    (Mutant::M35, "a second daemon is let in, and both write"),
    (Mutant::M40, "an end without what the agent said"),
    (Mutant::M42, "an answered request sets running, whatever was"),
    (Mutant::M43, "the end is written before the last output is read"),
    (Mutant::M45, "a stop is refused while the session waits for its user"),
    (Mutant::M46, "a refused spawn is not written"),
    (Mutant::M47, "a slow client holds up every session"),
    (Mutant::M48, "a shutdown forgets who is ending already"),
    (Mutant::M49, "the first answer sets running, whoever else waits"),
    (Mutant::M50, "a line that is too long ends the reading"),
    (Mutant::M51, "a request sets waiting_input, whatever was"),
    (Mutant::M52, "a word on standard error is a failure"),
    (Mutant::M53, "what the store refused is not tried again"),
    (Mutant::M54, "a page shows what it expects of an answer"),
    (Mutant::M55, "a page shows every list, however old"),
    (Mutant::M56, "waiting_input has no event"),
    (Mutant::M57, "a bypass ends without an event"),
    (Mutant::M58, "a request without a line in the conversation is not shown"),
    (Mutant::M59, "a bypass is switched off by whoever saw it end"),
    (Mutant::M60, "a session that ends while it is continued is continued by nobody"),
    (Mutant::M61, "a request is announced before it is stored"),
    (Mutant::M62, "who takes over gives an answer once more"),
    (Mutant::M63, "to finish counts as an interruption"),
    (Mutant::M64, "who waits for an answer is finished for want of a message"),
    (Mutant::M65, "who is asked to end gets no time for it"),
    (Mutant::M66, "a report after the intent overrides the one before it"),
];

impl Daemon {
    /// Says whether this world makes a mistake.
    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.stage.lock().mutants.has(mutant)
    }

    /// M10 and M11: leaves a live session alone, or fails it, where it should be taken over.
    pub(super) fn recovers_wrongly(&self, id: SessionId) -> bool {
        if self.has(Mutant::M11) {
            let mut state = self.stage.lock();
            let writer = Writer::Daemon(state.life);
            state.fail(id, writer);
            return true;
        }
        let is_completing = self.stage.lock().status(id) == Some(Status::Completing);
        is_completing && self.has(Mutant::M10)
    }

    /// M12: writes down once more what it takes over.
    pub(super) fn adopt_again(&self, id: SessionId) {
        let mut state = self.stage.lock();
        let row = state.store.row(id).map(|row| row.session.machine);
        if let Some(machine) = row.filter(Machine::is_up)
            && state.mutants.has(Mutant::M12)
        {
            let writer = Writer::Daemon(state.life);
            state.force(id, machine.status(), Cause::Adopted, writer);
        }
    }

    /// M19: signals the process of a session that has ended.
    pub(super) fn signal_late(&self, id: SessionId) {
        let process = self.stage.lock().process_of(id);
        if let Some(process) = process.filter(|_| self.has(Mutant::M19)) {
            let handle = self.stage.handle(process);
            let mut signal = Box::pin(async move {
                let _delivery = handle.signal(Target::Group, Signal::Interrupt).await;
            });
            // It is on its way then, and nobody waits for it.
            let _done = poll_once(&mut signal);
        }
    }

    /// M60: waits with the row of a continuation until the parent has ended.
    pub(super) fn stop_before_continuing(&mut self, parent: SessionId, ticket: Ticket) {
        self.unsure.push((parent, ticket));
        if let Some(task) = self.tasks.get_mut(&parent) {
            task.stop_unasked(StopKind::Superseded);
        }
    }

    /// M60: refuses who continues what has ended by itself meanwhile.
    pub(super) fn refuse_the_unsure(&mut self) {
        let tasks = &self.tasks;
        let over = self.unsure.extract_if(.., |(parent, _)| !tasks.contains_key(parent));
        for (_, ticket) in over {
            self.stage.lock().log.push(Record::Replied { ticket, reply: Reply::NotNow });
        }
    }

    /// M45: says whether a stop is refused because the session waits for its user.
    pub(super) fn is_busy_asking(&self, id: SessionId) -> bool {
        self.has(Mutant::M45) && self.stage.lock().status(id) == Some(Status::WaitingInput)
    }

    /// M29: a daemon that leaves does not wait for the last write. M48: nor for who is ending.
    pub(super) fn drop_as_mutant(&mut self) {
        if !self.is_leaving {
            return;
        }
        let (drops_last, drops_ending) = (self.has(Mutant::M29), self.has(Mutant::M48));
        self.tasks.retain(|_, task| {
            let is_ending = task.view().session.is_some_and(|session| session.intent.is_some());
            !(drops_last && task.has_seen_end() || drops_ending && is_ending)
        });
    }

    /// M47: lets every session wait for a client that does not read.
    pub(super) fn hold_up(&mut self, is_full: bool) {
        let is_held_up = is_full && self.has(Mutant::M47);
        self.tasks.values_mut().for_each(|task| task.is_held_up = is_held_up);
    }
}

impl SessionTask {
    /// M64: finishes whoever waits, for whatever.
    pub(super) fn due_as_mutant(&self, deadline: Deadline) -> Option<Happening> {
        let is_idle = deadline == Deadline::Idle && self.has(Mutant::M64);
        is_idle.then_some(Happening::Stop { kind: StopKind::Finish, by: Actor::Daemon })
    }

    /// M65: the grace of the polite rung is over as soon as it begins.
    pub(super) fn hurried_as_mutant(
        &self,
        deadline: Option<(Deadline, Monotonic)>,
    ) -> Option<(Deadline, Monotonic)> {
        let (deadline, at) = deadline?;
        let is_hurried = deadline == Deadline::RungOver(Rung::Ask) && self.has(Mutant::M65);
        let at = if is_hurried { self.stage.lock().now().monotonic } else { at };
        Some((deadline, at))
    }

    /// M60: asks for the end, and waits for no answer.
    fn stop_unasked(&mut self, kind: StopKind) {
        self.post(Happening::Stop { kind, by: Actor::Daemon });
    }

    /// Says whether the end of the process is in the mailbox, or being handled.
    fn has_seen_end(&self) -> bool {
        self.mailbox.iter().any(|mail| matches!(mail.happening, Happening::Fact(_)))
    }

    /// M01: sends the signal of a stop at once, and keeps the stop until it is delivered. Returns
    /// the mail where nothing is wrong with it.
    pub(super) fn signal_early(&mut self, supervisor: &Supervisor, mail: Mail) -> Option<Mail> {
        let is_stop = matches!(mail.happening, Happening::Stop { .. });
        let is_first = !mail.is_signalled && supervisor.session().intent.is_none();
        let process = supervisor.process().map(Arc::clone);
        match process {
            Some(process) if self.has(Mutant::M01) && is_stop && is_first => {
                let signal = Box::pin(async move {
                    let _delivery = process.signal(Target::Group, Signal::Interrupt).await;
                });
                self.early = Some((signal, Mail { is_signalled: true, ..mail }));
                None
            }
            Some(_) | None => Some(mail),
        }
    }

    /// Returns the stop that was kept, once its signal is delivered.
    pub(super) fn take_early(&mut self) -> Option<Mail> {
        let (signal, _) = self.early.as_mut()?;
        poll_once(signal)?;
        self.early.take().map(|(_, mail)| mail)
    }
}
