//! The ghost log: everything that really happened in a replay, in one order.
//!
//! It holds what no program could know as a whole: what is durable (D), what was published (B), what
//! became of each process (P), and what everybody was told (R). Invariants read it and nothing else,
//! never the memory that they are to judge.

use std::fmt;

use candor_core::event::Seq;
use candor_core::ports::{Attach, Change, Delivery, Launch};
use candor_core::session::SessionId;
use candor_core::stop::{Signal, StopKind};
use candor_core::verdict::{Exit, LostReason, SpawnStage, Verdict};

use crate::timeline::choice::{Boot, report_word, write_exit};
use crate::timeline::names::{CallName, ClientName, ProcessName, SessionName};

/// What happened, with its moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Virtual time from the beginning, in milliseconds. It does not start anew with a boot.
    pub at_ms: u64,
    /// The choice that led to it, counted from 1.
    pub step: usize,
    /// What happened.
    pub record: Record,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// R: somebody asks the daemon for something.
    Asked {
        /// Tells this request from every other.
        ticket: Ticket,
        /// Whose session.
        session: SessionId,
        /// What they ask for.
        request: Request,
    },
    /// R: they have an answer.
    Replied {
        /// Whose request.
        ticket: Ticket,
        /// The answer.
        reply: Reply,
    },
    /// A commit or a read has reached the store.
    StoreCalled {
        /// Its name.
        call: CallName,
        /// Whether it is a commit.
        is_commit: bool,
    },
    /// D: a change is durable now, whether or not anybody was told.
    Durable {
        /// Its place in the order of the store.
        seq: Seq,
        /// Row and event.
        change: Box<Change>,
        /// Who wrote it.
        writer: Writer,
    },
    /// B: the bus was told that everything up to `seq` can be read.
    Published {
        /// Up to where.
        seq: Seq,
    },
    /// B: a client follows the events from after `cursor`.
    Connected {
        /// Which.
        client: ClientName,
        /// The last event that it has.
        cursor: Seq,
    },
    /// B: a client has read an event.
    Delivered {
        /// Which.
        client: ClientName,
        /// What.
        seq: Seq,
    },
    /// P: the spawner was asked to launch.
    LaunchCalled {
        /// For whom.
        session: SessionId,
    },
    /// P: a process is there.
    Forked {
        /// Its name.
        process: ProcessName,
        /// Whose it is.
        session: SessionId,
    },
    /// P: a launch or an attach was answered.
    Told {
        /// Whose.
        session: SessionId,
        /// The answer.
        told: Told,
    },
    /// P: the spawner was asked what became of a process.
    AttachCalled {
        /// Whose.
        session: SessionId,
    },
    /// P: a signal was sent.
    SignalCalled {
        /// To whom.
        process: ProcessName,
        /// Which.
        signal: Signal,
    },
    /// P: the sender of a signal was told what became of it.
    SignalTaken {
        /// For whom it was.
        process: ProcessName,
        /// Which.
        signal: Signal,
        /// What became of it.
        delivery: Delivery,
    },
    /// P: a process has ended, whether or not anybody has seen it.
    Died {
        /// Which.
        process: ProcessName,
        /// How.
        exit: Exit,
        /// Whether for want of memory.
        oom_killed: bool,
    },
    /// P: the daemon was told of the end of a process.
    Seen {
        /// Which.
        process: ProcessName,
        /// Why its exit cannot be known, where it cannot.
        lost: Option<LostReason>,
    },
    /// P: an agent gave its final report, and the daemon read it.
    Reported {
        /// Whose agent.
        process: ProcessName,
        /// What it said of itself.
        success: bool,
    },
    /// The daemon was killed.
    Crashed,
    /// The daemon left by itself.
    Left {
        /// Whether because somebody else writes.
        usurped: bool,
    },
    /// A daemon was started.
    Booted {
        /// Whether the machine was, too.
        boot: Boot,
    },
    /// Something that can only be a bug: an input that core calls impossible, or a task that finds
    /// no rest.
    Bug {
        /// What it is.
        message: String,
    },
}

/// Tells one request from every other.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u32);

/// What somebody asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// A new session.
    Launch,
    /// A new session after another one.
    Queue,
    /// The end of a session.
    Stop(StopKind),
}

/// What they are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// It is done, or on its way.
    Accepted,
    /// It was stopping already, for this reason.
    AlreadyStopping(StopKind),
    /// It had ended already, like this.
    AlreadyEnded(Verdict),
    /// The store did not take it, and nothing was changed.
    Unavailable,
    /// The store does not say whether it took it.
    Unclear,
    /// The daemon is leaving and takes nothing new.
    Leaving,
    /// There is no such session.
    NoSession,
}

/// Who wrote a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writer {
    /// The daemon of this life, counted from 1.
    Daemon(u32),
    /// A second daemon that should not be there.
    Intruder,
}

/// An answer of the spawner, without the process that may come with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// The launch made a process.
    LaunchedUp(ProcessName),
    /// The launch was refused.
    LaunchRefused(SpawnStage, i32),
    /// Nobody knows what the launch made.
    LaunchUnknown,
    /// The attach found the process.
    AttachedUp(ProcessName),
    /// The attach knows how the process ended.
    AttachEnded(ProcessName),
    /// The attach knows that it is gone.
    AttachLost(LostReason),
    /// The attach knows that it never ran.
    AttachNeverRan,
    /// The attach knows nothing yet.
    AttachUnreachable,
}

impl Told {
    /// Returns what is kept of a launch's answer.
    pub(crate) const fn of_launch(launch: &Launch, process: Option<ProcessName>) -> Self {
        match (launch, process) {
            (Launch::Up(_), Some(process)) => Self::LaunchedUp(process),
            (Launch::Refused { stage, errno }, _) => Self::LaunchRefused(*stage, *errno),
            (Launch::Unknown, _) | (Launch::Up(_), None) => Self::LaunchUnknown,
        }
    }

    /// Returns what is kept of an attach's answer.
    pub(crate) const fn of_attach(attach: &Attach, process: Option<ProcessName>) -> Self {
        match (attach, process) {
            (Attach::Up(_), Some(process)) => Self::AttachedUp(process),
            (Attach::Ended(_), Some(process)) => Self::AttachEnded(process),
            (Attach::Lost(reason), _) => Self::AttachLost(*reason),
            (Attach::NeverRan, _) => Self::AttachNeverRan,
            (Attach::Unreachable, _) | (Attach::Up(_) | Attach::Ended(_), None) => {
                Self::AttachUnreachable
            }
        }
    }
}

/// One line for a person, which holds everything that decides.
impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { ticket, session, request } => {
                write!(formatter, "asked {} {request} {}", ticket.0, SessionName::of(*session))
            }
            Self::Replied { ticket, reply } => write!(formatter, "replied {} {reply}", ticket.0),
            Self::StoreCalled { call, is_commit: true } => write!(formatter, "write {call}"),
            Self::StoreCalled { call, is_commit: false } => write!(formatter, "read {call}"),
            Self::Durable { seq, change, writer } => {
                write_durable(formatter, *seq, change, *writer)
            }
            Self::Published { seq } => write!(formatter, "published {seq}"),
            Self::Connected { client, cursor } => {
                write!(formatter, "connected {client} after {cursor}")
            }
            Self::Delivered { client, seq } => write!(formatter, "delivered {client} {seq}"),
            Self::LaunchCalled { session } => {
                write!(formatter, "spawn {}", SessionName::of(*session))
            }
            Self::Forked { process, session } => {
                write!(formatter, "forked {process} of {}", SessionName::of(*session))
            }
            Self::Told { session, told } => {
                write!(formatter, "told {} {told}", SessionName::of(*session))
            }
            Self::AttachCalled { session } => {
                write!(formatter, "attach {}", SessionName::of(*session))
            }
            Self::SignalCalled { process, signal } => {
                write!(formatter, "{} {process}", word_of(*signal))
            }
            Self::SignalTaken { process, signal, delivery } => {
                write!(formatter, "{} {process} {}", word_of(*signal), delivery_word(*delivery))
            }
            Self::Died { process, exit, oom_killed } => {
                write!(formatter, "died {process} ")?;
                write_exit(formatter, *exit)?;
                formatter.write_str(if *oom_killed { " oom" } else { "" })
            }
            Self::Seen { process, lost: None } => write!(formatter, "seen {process}"),
            Self::Seen { process, lost: Some(reason) } => {
                write!(formatter, "seen {process} lost {}", reason.as_str())
            }
            Self::Reported { process, success } => {
                write!(formatter, "reported {process} {}", report_word(*success))
            }
            Self::Crashed => formatter.write_str("crash"),
            Self::Left { usurped: false } => formatter.write_str("leave"),
            Self::Left { usurped: true } => formatter.write_str("leave(usurped)"),
            Self::Booted { boot: Boot::Same } => formatter.write_str("boot"),
            Self::Booted { boot: Boot::Other } => formatter.write_str("boot(other)"),
            Self::Bug { message } => write!(formatter, "bug {message}"),
        }
    }
}

fn write_durable(
    formatter: &mut fmt::Formatter<'_>,
    seq: Seq,
    change: &Change,
    writer: Writer,
) -> fmt::Result {
    let Change { session, event, .. } = change;
    let name = SessionName::of(session.id);
    write!(formatter, "durable {seq} {name}.{} {} {}", event.revision, event.to, event.cause)?;
    if let Some(intent) = session.intent {
        write!(formatter, " intent {} {}", intent.kind, intent.by)?;
    }
    if let Some(rung) = session.machine.rung() {
        write!(formatter, " rung {rung}")?;
    }
    if let Some(verdict) = session.verdict() {
        write!(formatter, " verdict {}", verdict.outcome())?;
    }
    if let Some(exit) = session.exit() {
        formatter.write_str(" exit ")?;
        write_exit(formatter, exit)?;
    }
    formatter.write_str(if writer == Writer::Intruder { " intruder" } else { "" })
}

/// Returns the word for a signal, as it stands in a timeline.
pub(crate) const fn word_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Interrupt => "INT",
        Signal::Terminate => "TERM",
        Signal::Kill => "KILL",
        Signal::Continue => "CONT",
    }
}

const fn delivery_word(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Delivered => "delivered",
        Delivery::AlreadyEnded => "already ended",
        Delivery::NotPermitted => "not permitted",
        Delivery::Unknown => "unknown",
    }
}

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LaunchedUp(process) => write!(formatter, "launched {process}"),
            Self::LaunchRefused(stage, errno) => {
                write!(formatter, "launch refused {} {errno}", stage.as_str())
            }
            Self::LaunchUnknown => formatter.write_str("launch unknown"),
            Self::AttachedUp(process) => write!(formatter, "attached {process}"),
            Self::AttachEnded(process) => write!(formatter, "ended {process}"),
            Self::AttachLost(reason) => write!(formatter, "lost {}", reason.as_str()),
            Self::AttachNeverRan => formatter.write_str("never ran"),
            Self::AttachUnreachable => formatter.write_str("unreachable"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => formatter.write_str("accepted"),
            Self::AlreadyStopping(kind) => write!(formatter, "already stopping: {kind}"),
            Self::AlreadyEnded(verdict) => write!(formatter, "already ended: {verdict}"),
            Self::Unavailable => formatter.write_str("store unavailable, nothing changed"),
            Self::Unclear => formatter.write_str("store unavailable, outcome open"),
            Self::Leaving => formatter.write_str("refused: the daemon is leaving"),
            Self::NoSession => formatter.write_str("no such session"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch => formatter.write_str("launch"),
            Self::Queue => formatter.write_str("queue"),
            Self::Stop(kind) => fmt::Display::fmt(kind, formatter),
        }
    }
}

/// The log. It only grows.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    at_ms: u64,
    step: usize,
}

impl Log {
    /// Returns everything that happened, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) const fn now_ms(&self) -> u64 {
        self.at_ms
    }

    /// Returns the present moment and choice, to come back to.
    pub(crate) const fn mark(&self) -> (u64, usize) {
        (self.at_ms, self.step)
    }

    /// Comes back to a moment after which nothing was logged.
    pub(crate) const fn take_back_step(&mut self, (at_ms, step): (u64, usize)) {
        self.at_ms = at_ms;
        self.step = step;
    }

    /// Begins the next choice, at this moment.
    pub(crate) fn begin_step(&mut self, at_ms: u64) {
        self.at_ms = at_ms;
        self.step += 1;
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.entries.push(Entry { at_ms: self.at_ms, step: self.step, record });
    }
}
