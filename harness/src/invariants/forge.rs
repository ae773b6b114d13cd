//! Forged logs: an honest beginning of a session's life, to which a test adds one lie.

use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::ports::{Change, Delivery};
use candor_core::session::{Session, SessionId};
use candor_core::stop::{Signal, StopKind};
use candor_core::verdict::{End, Exit};
use serde_json::Value;

use super::{Monitor, Violation};
use crate::contract::repository::chain::{Chain, session_id};
use crate::ghost::{Entry, Record, Reply, Request, Standing, Ticket, Told, Writer};
use crate::timeline::names::{ApprovalName, ProcessName};
use crate::world::{ClientRest, Rest, SessionRest};

pub(super) const P1: ProcessName = ProcessName::new(1);
pub(super) const A1: ApprovalName = ApprovalName::new(1);

/// A log that is being written, of one session and its process.
pub(super) struct Forge {
    pub(super) chain: Chain,
    entries: Vec<Entry>,
    rest: Option<Rest>,
    is_fair_end: bool,
    at_ms: u64,
    seq: u64,
    tickets: u32,
}

impl Forge {
    /// A session whose launch is accepted and whose process is not there yet.
    pub(super) fn starting() -> Self {
        Self::starting_as(session_id(1))
    }

    pub(super) fn starting_as(id: SessionId) -> Self {
        let chain = Chain::launched(id);
        let (entries, rest) = (Vec::new(), None);
        let mut forge =
            Self { chain, entries, rest, is_fair_end: false, at_ms: 0, seq: 0, tickets: 0 };
        let ticket = forge.asks(Request::Launch);
        let change = forge.chain.change().clone();
        forge.durable(change).replied(ticket, Reply::Accepted);
        let session = forge.id();
        forge.push(Record::LaunchCalled { session });
        forge
    }

    /// A session that runs.
    pub(super) fn running() -> Self {
        let mut forge = Self::starting();
        forge.comes_up().step(Input::Spawned);
        forge
    }

    /// A session that was interrupted and has got its INT.
    pub(super) fn interrupted() -> Self {
        let mut forge = Self::running();
        let ticket = forge.asks(Request::Stop(StopKind::Interrupt));
        forge.step(Input::Stop(StopKind::Interrupt)).signalled(Signal::Interrupt);
        forge.replied(ticket, Reply::Accepted);
        forge
    }

    pub(super) fn id(&self) -> SessionId {
        self.chain.session().id
    }

    /// Lets time pass.
    pub(super) fn after(&mut self, ms: u64) -> &mut Self {
        self.at_ms += ms;
        self
    }

    pub(super) fn push(&mut self, record: Record) -> &mut Self {
        self.entries.push(Entry { at_ms: self.at_ms, step: self.entries.len(), record });
        self
    }

    /// Takes an input as core does, and stores and publishes the change.
    pub(super) fn step(&mut self, input: Input) -> &mut Self {
        let change = self.chain.step(input).clone();
        self.durable(change)
    }

    /// Takes an input as core does, and stores a lie in the place of the change: the value at each
    /// path of the row is another one.
    pub(super) fn lie(&mut self, input: Input, lies: &[(&str, Value)]) -> &mut Self {
        let change = tampered(self.chain.step(input), lies);
        self.durable(change)
    }

    pub(super) fn durable(&mut self, change: Change) -> &mut Self {
        self.written(change, Writer::Daemon(1));
        let seq = Seq::from_number(self.seq);
        self.push(Record::Published { seq })
    }

    pub(super) fn written(&mut self, change: Change, writer: Writer) -> &mut Self {
        self.seq += 1;
        let seq = Seq::from_number(self.seq);
        self.push(Record::Durable { seq, change: Box::new(change), writer })
    }

    /// Makes the process, and tells the daemon of it.
    pub(super) fn comes_up(&mut self) -> &mut Self {
        let session = self.id();
        self.push(Record::Forked { process: P1, session });
        self.push(Record::Told { session, told: Told::LaunchedUp(P1) })
    }

    /// Sends a signal, and `SIGCONT` after it, which do nothing.
    pub(super) fn signalled(&mut self, signal: Signal) -> &mut Self {
        self.delivered(signal).delivered(Signal::Continue)
    }

    /// Sends a signal alone.
    pub(super) fn delivered(&mut self, signal: Signal) -> &mut Self {
        self.push(Record::SignalCalled { process: P1, signal });
        let delivery = Delivery::Delivered;
        self.push(Record::SignalTaken { process: P1, signal, delivery })
    }

    /// Lets what the agent has asked for stand like this.
    pub(super) fn approval(&mut self, standing: Standing) -> &mut Self {
        let session = self.id();
        self.push(Record::Approval { approval: A1, session, standing })
    }

    /// Lets the process end, and the daemon see it.
    pub(super) fn goes(&mut self, exit: Exit) -> &mut Self {
        self.push(Record::Died { process: P1, exit, oom_killed: false });
        self.push(Record::Seen { process: P1, lost: None })
    }

    /// Lets the process end, and the daemon store that.
    pub(super) fn ends(&mut self, exit: Exit) -> &mut Self {
        self.goes(exit).step(exited(exit))
    }

    pub(super) fn asks(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let session = self.id();
        self.push(Record::Asked { ticket, session, request });
        ticket
    }

    pub(super) fn replied(&mut self, ticket: Ticket, reply: Reply) -> &mut Self {
        self.push(Record::Replied { ticket, reply })
    }

    /// Ends with a world that rests: the daemon is up, and has the session as it is stored.
    pub(super) fn at_rest(&mut self, change: impl FnOnce(&mut Rest)) -> &mut Self {
        let session = self.chain.session().clone();
        let has_process = session.machine.is_up();
        let session = SessionRest {
            session,
            is_blocked: false,
            is_under_way: false,
            has_process,
            deadlines: Vec::new(),
        };
        let clients: Vec<ClientRest> = Vec::new();
        let mut rest = Rest {
            is_up: true,
            sessions: vec![session],
            is_quiescent: true,
            clients,
            held_up: Vec::new(),
            approvals_listed: Vec::new(),
        };
        change(&mut rest);
        self.rest = Some(rest);
        self
    }

    /// Ends with a fair world that has nothing left to do.
    pub(super) fn at_fair_end(&mut self, change: impl FnOnce(&mut Rest)) -> &mut Self {
        self.is_fair_end = true;
        self.at_rest(change)
    }

    /// Returns what the invariants find.
    pub(super) fn judge(&self) -> Vec<Violation> {
        let mut monitor = Monitor::default();
        for entry in &self.entries {
            monitor.observe(entry);
        }
        if let Some(rest) = &self.rest {
            monitor.rest(rest);
            if self.is_fair_end {
                monitor.fair_end(rest);
            }
        }
        monitor.violations().to_vec()
    }
}

pub(super) const fn exited(exit: Exit) -> Input {
    Input::Gone(End::Exited { exit, oom_killed: false })
}

/// Returns the change with other values in its row, each by its path, and an event that agrees.
///
/// The parts of a machine cannot be set from here, so it goes out and in as JSON.
pub(super) fn tampered(change: &Change, lies: &[(&str, Value)]) -> Change {
    let mut row = serde_json::to_value(&change.session).unwrap();
    for (path, value) in lies {
        *row.pointer_mut(path).unwrap_or_else(|| panic!("a row has no {path}")) = value.clone();
    }
    let session: Session = serde_json::from_value(row).unwrap();
    let mut event = change.event;
    event.to = session.status();
    event.verdict = session.verdict();
    event.revision = session.revision();
    Change { session, event, ..change.clone() }
}
