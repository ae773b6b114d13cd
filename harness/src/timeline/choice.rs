//! What the world may decide: the verbs above the `----` of a timeline.
//!
//! Nothing that core decides may become a choice, so that a file stays valid when core is rewritten.

use std::fmt;
use std::num::NonZeroU64;

use candor_core::stop::Rung;
use candor_core::verdict::{Exit, LostReason, SpawnStage};

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
    /// An agent asks its user to approve something. Of a feature to come.
    AskApproval {
        /// Whose agent.
        process: ProcessName,
        /// Its name, the next that is free.
        approval: ApprovalName,
    },
    /// A user approves. Of a feature to come.
    Approve {
        /// What.
        approval: ApprovalName,
    },
    /// A user lets everything be approved for a while. Of a feature to come.
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
        Rung::Interrupt => "INT",
        Rung::Terminate => "TERM",
        Rung::Kill => "KILL",
    }
}

pub(crate) const fn report_word(success: bool) -> &'static str {
    if success { "success" } else { "error" }
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch { session, options } => {
                write!(formatter, "user launch {session}{options}")
            }
            Self::Queue { session, parent } => {
                write!(formatter, "user queue {session} after {parent}")
            }
            Self::Stop { session, ask: Ask::Interrupt } => {
                write!(formatter, "user interrupt {session}")
            }
            Self::Stop { session, ask: Ask::Kill } => write!(formatter, "user kill {session}"),
            Self::Shutdown => formatter.write_str("shutdown"),
            Self::Fork { session, process } => write!(formatter, "fork {session} -> {process}"),
            Self::Spawn { session, outcome } => write_spawn(formatter, *session, *outcome),
            Self::Write { call, outcome } => write!(formatter, "write {outcome} {call}"),
            Self::Read { call, ok: true } => write!(formatter, "read ok {call}"),
            Self::Read { call, ok: false } => write!(formatter, "read err {call}"),
            Self::Signal { process, signal, effect } => {
                write!(formatter, "signal {process} {} {effect}", signal_word(*signal))
            }
            Self::Exit { process, exit, oom_killed } => {
                write!(formatter, "exit {process} ")?;
                write_exit(formatter, *exit)?;
                formatter.write_str(if *oom_killed { " oom" } else { "" })
            }
            Self::Reap { process, lost: None } => write!(formatter, "reap {process}"),
            Self::Reap { process, lost: Some(reason) } => {
                write!(formatter, "reap {process} lost {}", reason.as_str())
            }
            Self::Report { process, success } => {
                write!(formatter, "report {process} {}", report_word(*success))
            }
            Self::Request { process, opened: true } => {
                write!(formatter, "request {process} opened")
            }
            Self::Request { process, opened: false } => {
                write!(formatter, "request {process} closed")
            }
            Self::Due { session, kind } => write!(formatter, "due {session} {kind}"),
            Self::Crash { in_flight } => write_crash(formatter, in_flight.as_ref()),
            Self::Boot { boot: Boot::Same } => formatter.write_str("boot same"),
            Self::Boot { boot: Boot::Other } => formatter.write_str("boot other"),
            Self::Attach { session, answer } => write!(formatter, "attach {session} {answer}"),
            Self::Connect { client } => write!(formatter, "connect {client}"),
            Self::Drop { client } => write!(formatter, "drop {client}"),
            Self::Stall { client, stops: true } => write!(formatter, "stall {client}"),
            Self::Stall { client, stops: false } => write!(formatter, "go {client}"),
            Self::Fetch { client } => write!(formatter, "fetch {client}"),
            Self::Show { client } => write!(formatter, "show {client}"),
            Self::Say { process, word } => write!(formatter, "say {process} {word}"),
            Self::SecondDaemon => formatter.write_str("second daemon"),
            Self::Continue { session, parent } => {
                write!(formatter, "user continue {parent} as {session}")
            }
            Self::Draft { session } => write!(formatter, "user draft {session}"),
            Self::Start { session } => write!(formatter, "user start {session}"),
            Self::AskApproval { process, approval } => {
                write!(formatter, "ask {process} {approval}")
            }
            Self::Approve { approval } => write!(formatter, "user approve {approval}"),
            Self::Bypass { session, ms } => write!(formatter, "user bypass {session} {ms}"),
        }
    }
}

fn write_spawn(
    formatter: &mut fmt::Formatter<'_>,
    session: SessionName,
    outcome: SpawnOutcome,
) -> fmt::Result {
    match outcome {
        SpawnOutcome::Up(process) => write!(formatter, "spawn ok {session} -> {process}"),
        SpawnOutcome::Refused { stage, errno } => {
            write!(formatter, "spawn refused {session} {} {errno}", stage.as_str())
        }
        SpawnOutcome::Unknown(None) => write!(formatter, "spawn unknown {session}"),
        SpawnOutcome::Unknown(Some(process)) => {
            write!(formatter, "spawn unknown {session} -> {process}")
        }
    }
}

fn write_crash(formatter: &mut fmt::Formatter<'_>, in_flight: Option<&InFlight>) -> fmt::Result {
    match in_flight {
        None => formatter.write_str("crash"),
        Some(InFlight::Lose) => formatter.write_str("crash lose"),
        Some(InFlight::Keep) => formatter.write_str("crash keep"),
        Some(InFlight::KeepOnly(calls)) => {
            formatter.write_str("crash keep")?;
            calls.iter().try_for_each(|call| write!(formatter, " {call}"))
        }
    }
}

/// Writes an exit as it stands in a timeline: `code 3`, `signal 9`, `signal 11 core`.
pub(crate) fn write_exit(formatter: &mut fmt::Formatter<'_>, exit: Exit) -> fmt::Result {
    match exit {
        Exit::Code(code) => write!(formatter, "code {code}"),
        Exit::Signal { number, core_dumped: false } => write!(formatter, "signal {number}"),
        Exit::Signal { number, core_dumped: true } => write!(formatter, "signal {number} core"),
    }
}

/// Each option with a blank before it.
impl fmt::Display for LaunchOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(timeout_ms) = self.timeout_ms {
            write!(formatter, " timeout={timeout_ms}")?;
        }
        if let Some((interrupt_ms, terminate_ms)) = self.grace_ms {
            write!(formatter, " grace={interrupt_ms},{terminate_ms}")?;
        }
        if let Some(linger_ms) = self.linger_ms {
            write!(formatter, " linger={linger_ms}")?;
        }
        if let Some(codes) = &self.codes {
            let codes: Vec<_> = codes.iter().map(u8::to_string).collect();
            write!(formatter, " codes={}", codes.join(","))?;
        }
        formatter.write_str(if self.always_reports { " always_reports" } else { "" })
    }
}

impl fmt::Display for WriteOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ok => "ok",
            Self::Err => "err",
            Self::UnknownKept => "unknown kept",
            Self::UnknownLost => "unknown lost",
            Self::Conflict => "conflict",
        })
    }
}

impl fmt::Display for SignalEffect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kills => formatter.write_str("kills"),
            Self::Exits { report: None, code } => write!(formatter, "exits {code}"),
            Self::Exits { report: Some(success), code } => {
                write!(formatter, "reports {} exits {code}", report_word(*success))
            }
            Self::Ignored => formatter.write_str("ignored"),
            Self::Gone => formatter.write_str("gone"),
            Self::Denied => formatter.write_str("denied"),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unread { success } => report_word(*success),
            Self::Usage => "usage",
            Self::Stderr => "stderr",
            Self::Oversized => "oversized",
            Self::Unstored => "unstored",
        })
    }
}

impl fmt::Display for DueKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Timeout => "timeout",
            Self::Linger => "linger",
            Self::Rung => "rung",
            Self::Retry => "retry",
        })
    }
}

impl fmt::Display for AttachAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => formatter.write_str("up"),
            Self::Ended => formatter.write_str("ended"),
            Self::Lost(reason) => write!(formatter, "lost {}", reason.as_str()),
            Self::NeverRan => formatter.write_str("never_ran"),
            Self::Unreachable => formatter.write_str("unreachable"),
        }
    }
}
