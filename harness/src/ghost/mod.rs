//! The ghost log: everything that really happened in a replay, in one order.
//!
//! It holds what no program could know as a whole: what is durable (D), what was published (B), what
//! became of each process (P), and what everybody was told (R). Invariants read it and nothing else,
//! never the memory that they are to judge.

mod words;

use candor_core::event::Seq;
use candor_core::ports::{Attach, Change, Delivery, Launch};
use candor_core::session::{Revision, SessionId};
use candor_core::status::Status;
use candor_core::stop::{Signal, StopKind};
use candor_core::verdict::{Exit, LostReason, SpawnStage, Verdict};

use crate::timeline::choice::{Boot, Word};
use crate::timeline::names::{ApprovalName, CallName, ClientName, ProcessName};

pub(crate) use words::word_of;

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
    /// B: a client stops reading, or reads again.
    Stalled {
        /// Which.
        client: ClientName,
        /// Whether it stops.
        stops: bool,
    },
    /// B: a client has the list of sessions as it was when the store was at `seq`.
    Listed {
        /// Which.
        client: ClientName,
        /// The last event before the list was read.
        seq: Seq,
    },
    /// B: a client shows another status of a session than before.
    Shown {
        /// Which.
        client: ClientName,
        /// Whose status.
        session: SessionId,
        /// The revision that it takes it from.
        revision: Revision,
        /// What it shows.
        status: Status,
    },
    /// P: an agent has said something, whether or not the daemon has read it.
    Said {
        /// Whose agent.
        process: ProcessName,
        /// What.
        word: Word,
    },
    /// A second daemon was started on the same store.
    SecondDaemon {
        /// Whether it was refused.
        is_refused: bool,
    },
    /// D: an approval stands like this now.
    Approval {
        /// Which.
        approval: ApprovalName,
        /// Whose agent asks.
        session: SessionId,
        /// How it stands.
        standing: Standing,
    },
    /// D: from now on everything is approved, until a moment.
    Bypass {
        /// In which session.
        session: SessionId,
        /// How often this was set.
        revision: u32,
        /// The revision that whoever sets it knows of.
        replaces: u32,
        /// Until when, in milliseconds from the beginning.
        until_ms: u64,
    },
    /// B: everybody is told of a bypass.
    BypassTold {
        /// In which session.
        session: SessionId,
        /// Which.
        revision: u32,
    },
    /// P: a process is asked to end, on its standard input.
    AskCalled {
        /// Which.
        process: ProcessName,
    },
    /// P: an agent has got the answer to what it asked, on its standard input.
    AnswerGiven {
        /// Which agent.
        process: ProcessName,
        /// To what.
        approval: ApprovalName,
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
    Queue {
        /// Which.
        parent: SessionId,
    },
    /// The end of a session.
    Stop(StopKind),
    /// A new session that continues another one.
    Continue {
        /// Which.
        parent: SessionId,
    },
    /// The start of a draft.
    Start,
    /// To approve something.
    Approve(ApprovalName),
    /// To let everything be approved for a while.
    Bypass,
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The agent has asked, and the row does not say so yet.
    Asked,
    /// The row says so.
    Open,
    /// The row says how the user has answered.
    Answered,
    /// It is moot.
    Withdrawn,
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
    /// It was started before.
    AlreadyStarted,
    /// Somebody continues it already.
    AlreadyContinued,
    /// Nobody waits for that any more.
    TooLate,
    /// Where it stands, this cannot be done. Never true: everything can be done everywhere.
    NotNow,
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
