//! Rows that no step of core makes: what the mutants store.

use candor_core::event::{Cause, Event};
use candor_core::input::Input;
use candor_core::machine::Machine;
use candor_core::ports::{Change, Delivery};
use candor_core::session::{EventId, Session, SessionId};
use candor_core::status::Status;
use candor_core::stop::{Actor, Signal, StopKind};
use candor_core::time::Now;
use candor_core::verdict::{End, Exit};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::State;
use crate::forge::{edited, failed};
use crate::ghost::{Record, Writer};
use crate::mutant::Mutant;
use crate::timeline::names::ProcessName;

/// Event ids of forged changes start here, far above all others.
const FORGED_EVENTS: u128 = 1 << 101;

impl State {
    /// Returns what the mutants want to store where core wants to store this.
    pub(crate) fn forged(&self, change: &Change) -> Change {
        let mut forged = change.clone();
        let is_report = change.event.cause == Cause::Reported;
        if self.mutants.has(Mutant::M14) && is_report {
            let success = change.session.machine.report().is_some_and(|report| report.success);
            end_by_report(&mut forged, success, self.now());
        }
        if self.mutants.has(Mutant::M26) && self.signal_came_late(change.session.id) {
            succeed(&mut forged);
        }
        let machine = &change.session.machine;
        let is_finish = machine.intent() == Some(StopKind::Finish);
        if self.mutants.has(Mutant::M63) && is_finish && machine.verdict().is_some() {
            interrupt(&mut forged);
        }
        let was_first = machine.report().is_some_and(|report| report.before_intent);
        let is_asked = was_first && machine.intent().is_some() && machine.verdict().is_some();
        if self.mutants.has(Mutant::M66) && is_asked && self.reports_of(change.session.id) > 1 {
            interrupt(&mut forged);
        }
        if self.mutants.has(Mutant::M40) && change.session.status().is_terminal() {
            forged.session.report = None;
        }
        forged
    }

    /// Counts the reports that the daemon has read of a session's agent.
    fn reports_of(&self, id: SessionId) -> usize {
        let own = self.process_of(id);
        let entries = self.log.entries().iter();
        let reports = entries.filter(|entry| match entry.record {
            Record::Reported { process, .. } => own == Some(process),
            _ => false,
        });
        reports.count()
    }

    /// Says whether a signal to a session's process found it dead.
    fn signal_came_late(&self, id: SessionId) -> bool {
        let own = self.process_of(id);
        self.log.entries().iter().any(|entry| match entry.record {
            Record::SignalTaken { process, signal, delivery: Delivery::AlreadyEnded } => {
                own == Some(process) && signal != Signal::Continue
            }
            _ => false,
        })
    }

    /// Sets a status over whatever the row says.
    pub(crate) fn force(&mut self, id: SessionId, status: Status, cause: Cause, writer: Writer) {
        let Some(row) = self.store.row(id) else { return };
        let mut session = row.session.clone();
        session.machine = edited(&session.machine, |row| {
            row["status"] = json!(status.as_str());
            row["verdict"] = Value::Null;
            row["end"] = Value::Null;
        });
        self.write_forged(session, cause, writer);
    }

    /// Ends a live session as failed, whatever its process does.
    pub(crate) fn fail(&mut self, id: SessionId, writer: Writer) {
        let Some(row) = self.store.row(id) else { return };
        let mut session = row.session.clone();
        session.machine = failed(&session.machine);
        session.ended_at = Some(self.now().wall);
        self.write_forged(session, Cause::Gone, writer);
    }

    /// M28: reads the row in order to tell how much the agent has used.
    pub(crate) fn read_for_usage(&mut self, process: ProcessName) {
        let Some(id) = self.processes.get(&process).map(|state| state.session) else { return };
        self.stale = self.store.row(id).map(|row| Box::new(row.session.clone()));
    }

    /// M28: returns the row that was read, in the worst moment: when another one is stored.
    pub(crate) fn take_stale(&mut self) -> Option<Box<Session>> {
        let store = &self.store;
        self.stale.take_if(|row| store.revision(row.id) != row.revision())
    }

    /// Stores a row one revision further than it says, with an event that fits.
    fn write_forged(&mut self, mut session: Session, cause: Cause, writer: Writer) {
        let expected = session.revision();
        session.machine = edited(&session.machine, |row| {
            row["revision"] = json!(expected.number() + 1);
        });
        let number = FORGED_EVENTS + u128::from(self.store.last_seq().number());
        let event = Event {
            id: EventId::from_uuid(Uuid::from_u128(number)),
            session: session.id,
            revision: session.revision(),
            at: self.now().wall,
            from: self.store.row(session.id).map(|row| row.session.status()),
            to: session.status(),
            cause,
            by: Actor::Daemon,
            verdict: session.verdict(),
        };
        // A mutant that forges writes blind, so that nothing is in its way.
        let _stored = self.commit(&Change { expected, session, event }, writer);
    }
}

/// M26: makes a clean exit a success, whoever asked for it.
fn succeed(change: &mut Change) {
    let Change { session, event, .. } = change;
    if session.exit() != Some(Exit::Code(0)) {
        return;
    }
    session.machine = edited(&session.machine, |row| {
        row["verdict"] = json!({ "completed": "succeeded" });
    });
    event.verdict = session.verdict();
}

/// M14: makes a report the end, as it would be had the process left at once and nobody asked.
fn end_by_report(change: &mut Change, success: bool, now: Now) {
    let policy = *change.session.machine.policy();
    let end = End::Exited { exit: Exit::Code(0), oom_killed: false };
    let inputs = [Input::Spawned, Input::FinalReport { success }, Input::Gone(end)];
    let born = Machine::launch(policy).next;
    let ended = inputs
        .into_iter()
        .try_fold(born, |machine, input| machine.step(input, now).map(|step| step.next));
    let Ok(ended) = ended else { return };
    let Change { session, event, .. } = change;
    let revision = session.revision().number();
    session.machine = edited(&ended, |row| row["revision"] = json!(revision));
    session.ended_at = Some(event.at);
    event.to = session.status();
    event.verdict = session.verdict();
}

/// Makes an end that of an interruption.
fn interrupt(change: &mut Change) {
    let Some(kind) = change.session.machine.intent() else { return };
    change.session.machine = edited(&change.session.machine, |row| {
        row["status"] = json!("completed");
        row["verdict"] = json!({ "completed": { "interrupted": kind.as_str() } });
    });
    change.event.to = change.session.status();
    change.event.verdict = change.session.verdict();
}
