//! What the world may decide: the verbs above the `----` of a timeline.
//!
//! Nothing that core decides may become a choice, so that a file stays valid when core is rewritten.

mod print;

use std::num::{NonZeroU32, NonZeroU64};

use candor_core::stop::Rung;
use candor_core::verdict::{Exit, LostReason, SpawnStage};

pub(crate) use print::write_exit;

use super::names::{ApprovalName, CallName, ClientName, ProcessName, SessionName};

/// One decision of the world.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Choice {
    /// A user launches a session.
    Launch {
        /// Its name, the next that is free.
        session: SessionName,
        /// What the user asked for beside the command.
        options: LaunchOptions,
    },
    /// A user continues a live session: the new one waits for the end of the old.
    Queue {
        /// The new session, the next name that is free.
        session: SessionName,
        /// The session that it waits for.
        parent: SessionName,
    },
    /// A user asks for the end of a session.
    Stop {
        /// Whose end.
        session: SessionName,
        /// Whether politely.
        ask: Ask,
    },
    /// Somebody asks the daemon to leave.
    Shutdown,
    /// The process that a launch is to make is there, and nobody has been told yet.
    Fork {
        /// Whose process.
        session: SessionName,
        /// Its name, the next that is free.
        process: ProcessName,
    },
    /// A launch is answered.
    Spawn {
        /// Whose launch.
        session: SessionName,
        /// With what.
        outcome: SpawnOutcome,
    },
    /// A commit ends.
    Write {
        /// Which.
        call: CallName,
        /// How.
        outcome: WriteOutcome,
    },
    /// A read ends.
    Read {
        /// Which.
        call: CallName,
        /// Whether it gave the row.
        ok: bool,
    },
    /// A signal that was sent takes its effect.
    Signal {
        /// Whom it was for.
        process: ProcessName,
        /// Which one.
        signal: Rung,
        /// What it does.
        effect: SignalEffect,
    },
    /// A process ends by itself, or by somebody else's hand.
    Exit {
        /// Which.
        process: ProcessName,
        /// How.
        exit: Exit,
        /// Whether for want of memory.
        oom_killed: bool,
    },
    /// The daemon sees that a process has ended.
    Reap {
        /// Which.
        process: ProcessName,
        /// Why its exit cannot be known, where it cannot.
        lost: Option<LostReason>,
    },
    /// An agent gives its final report, and the daemon reads it.
    Report {
        /// Whose agent.
        process: ProcessName,
        /// What it says of itself.
        success: bool,
    },
    /// An agent asks the user for something, or that question is settled.
    Request {
        /// Whose agent.
        process: ProcessName,
        /// Whether it is asked.
        opened: bool,
    },
    /// An agent has ended a turn, or has taken a further message.
    Turn {
        /// Whose agent.
        process: ProcessName,
        /// Whether it has begun.
        began: bool,
    },
    /// Something that the daemon waits for is due, or overdue.
    Due {
        /// Whose.
        session: SessionName,
        /// What.
        kind: DueKind,
    },
    /// The daemon is killed.
    Crash {
        /// What becomes of the commits that are on their way; `None` where there are none.
        in_flight: Option<InFlight>,
    },
    /// The daemon is started.
    Boot {
        /// Whether the machine was restarted since.
        boot: Boot,
    },
    /// An attach is answered.
    Attach {
        /// Whose.
        session: SessionName,
        /// With what.
        answer: AttachAnswer,
    },
    /// A client starts to follow the events, after the last that it has.
    Connect {
        /// Which.
        client: ClientName,
    },
    /// The connection of a client breaks.
    Drop {
        /// Whose.
        client: ClientName,
    },
    /// A client stops reading, or reads again. Its connection stays.
    Stall {
        /// Which.
        client: ClientName,
        /// Whether it stops.
        stops: bool,
    },
    /// A client asks for the list of sessions, and the daemon reads it.
    Fetch {
        /// Which.
        client: ClientName,
    },
    /// The list arrives at the client that asked for it.
    Show {
        /// Which.
        client: ClientName,
    },
    /// An agent says something that the daemon reads, or has not read yet.
    Say {
        /// Whose agent.
        process: ProcessName,
        /// What.
        word: Word,
    },
    /// A second daemon is started on the same store.
    SecondDaemon,
    /// A user continues a session, live or not. Of a feature to come.
    Continue {
        /// The new session, the next name that is free.
        session: SessionName,
        /// The session that it continues.
        parent: SessionName,
    },
    /// A user writes down a session that is not to start yet. Of a feature to come.
    Draft {
        /// Its name, the next that is free.
        session: SessionName,
    },
    /// A user starts a draft. Of a feature to come.
    Start {
        /// Which.
        session: SessionName,
    },
    /// An agent asks its user to approve something.
    AskApproval {
        /// Whose agent.
        process: ProcessName,
        /// Its name, the next that is free.
        approval: ApprovalName,
    },
    /// A user approves.
    Approve {
        /// What.
        approval: ApprovalName,
    },
    /// A user lets everything be approved for a while.
    Bypass {
        /// In which session.
        session: SessionName,
        /// For how long.
        ms: u64,
    },
}

/// What an agent says, beside its final report when that is read at once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Word {
    /// Its final report, which the daemon has not read yet.
    Unread {
        /// What it says of itself.
        success: bool,
    },
    /// How much it has used.
    Usage,
    /// Something on its standard error.
    Stderr,
    /// A line that is longer than any that is parsed.
    Oversized,
    /// A line of which the conversation keeps no row, because the store did not take it.
    Unstored,
}

/// What a user may set at a launch.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct LaunchOptions {
    /// `timeout=MS`.
    pub timeout_ms: Option<NonZeroU64>,
    /// `grace=MS,MS`: how long INT and TERM wait.
    pub grace_ms: Option<(u32, u32)>,
    /// `ask=MS`: how long a process that was asked to end has for it.
    pub ask_ms: Option<NonZeroU32>,
    /// `again=MS`: how long the second INT waits.
    pub again_ms: Option<NonZeroU32>,
    /// `idle=MS`: how long it waits for a message.
    pub idle_ms: Option<NonZeroU32>,
    /// `linger=MS`.
    pub linger_ms: Option<u32>,
    /// `codes=N,N`: the exit codes that are a success, rising.
    pub codes: Option<Vec<u8>>,
    /// `always_reports`: the agent is of a kind that always reports.
    pub always_reports: bool,
}

/// How a user asks for the end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ask {
    /// Politely first.
    Interrupt,
    /// At once.
    Kill,
    /// When its work is done.
    Finish,
}

/// How a launch is answered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SpawnOutcome {
    /// There is a process.
    Up(ProcessName),
    /// There is none, and this is why.
    Refused {
        /// The step that was refused.
        stage: SpawnStage,
        /// The operating system's error number.
        errno: i32,
    },
    /// Nobody can say; and this is how it is.
    Unknown(Option<ProcessName>),
}

/// How a commit ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WriteOutcome {
    /// Stored.
    Ok,
    /// Not stored, and known to be so.
    Err,
    /// Stored, and the store cannot say so.
    UnknownKept,
    /// Not stored, and the store cannot say so.
    UnknownLost,
    /// Refused: the row has moved on. If it had not, a second writer moves it now.
    Conflict,
}

/// What a signal does to the process that it was sent to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignalEffect {
    /// The process dies of it.
    Kills,
    /// The process leaves by itself.
    Exits {
        /// What it reports of itself before, if anything.
        report: Option<bool>,
        /// Its exit code.
        code: u8,
    },
    /// Nothing, now.
    Ignored,
    /// Nothing: the process had ended before.
    Gone,
    /// Nothing: the kernel does not permit it.
    Denied,
    /// Nothing, and nobody can say so.
    Unknown,
}

/// What a daemon may wait for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DueKind {
    /// The session's time limit.
    Timeout,
    /// The grace after a final report.
    Linger,
    /// The time that it may wait for a message.
    Idle,
    /// The grace after a signal.
    Rung,
    /// The next attempt to store what waits for the store.
    Retry,
}

/// What becomes of commits that are on their way when the daemon is killed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum InFlight {
    /// None reaches the store.
    Lose,
    /// All do.
    Keep,
    /// These do, and no other.
    KeepOnly(Vec<CallName>),
}

/// Whether the machine was restarted together with the daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Boot {
    /// Only the daemon: processes may have survived.
    Same,
    /// The machine: no process is left.
    Other,
}

/// How an attach is answered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AttachAnswer {
    /// The process runs, and is ours again.
    Up,
    /// It has ended, and somebody saw how.
    Ended,
    /// It is gone, if need be by our hand, and nobody can know how it ended.
    Lost(LostReason),
    /// It never ran.
    NeverRan,
    /// Nobody can say yet.
    Unreachable,
}

/// Every step of a launch with its word.
pub(crate) const SPAWN_STAGES: [SpawnStage; 4] =
    [SpawnStage::Prepare, SpawnStage::Folder, SpawnStage::Fork, SpawnStage::Exec];

/// Returns the word for the signal of a rung, as it stands in a timeline.
#[must_use]
pub const fn signal_word(rung: Rung) -> &'static str {
    match rung {
        Rung::Ask => "ASK",
        Rung::Interrupt | Rung::InterruptAgain => "INT",
        Rung::Terminate => "TERM",
        Rung::Kill => "KILL",
    }
}

pub(crate) const fn report_word(success: bool) -> &'static str {
    if success { "success" } else { "error" }
}
