//! What an end means: one total function from evidence to verdict.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::stop::{Rung, StopKind};

/// How a process ended, as the kernel said it. Never `128 + n`, never `-1`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It left by itself with this exit code.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// The signal's number on the machine that ran it.
        number: u8,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
}

/// Who saw the exit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The process's own parent, from the kernel, before the process was reaped.
    #[default]
    Parent,
    /// A daemon to which the process fell when its parent died, from the kernel, before the process
    /// was reaped.
    Adopter,
    /// A daemon that was not its parent, from the kernel, by a handle on the process that it had
    /// while the process lived.
    Handle,
}

impl Witness {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Parent, Self::Adopter, Self::Handle];

    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Adopter => "adopter",
            Self::Handle => "handle",
        }
    }
}

/// The step of a launch that was refused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnStage {
    /// The session's own folder and output files could not be made.
    Prepare,
    /// The folder to run in could not be entered.
    Folder,
    /// No process could be made.
    Fork,
    /// The program could not be executed.
    Exec,
}

impl SpawnStage {
    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Folder => "folder",
            Self::Fork => "fork",
            Self::Exec => "exec",
        }
    }
}

/// Why nobody can know the exit.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LostReason {
    /// The launch was begun, and nothing tells whether a process came of it.
    LaunchUnknown,
    /// The daemon that was its parent was killed.
    DaemonKilled,
    /// The process that watched it was killed.
    ShimKilled,
    /// Both were killed.
    ShimAndDaemonKilled,
    /// The machine was restarted meanwhile.
    Reboot,
    /// What was recorded of it is damaged.
    BadRecord,
    /// Its folder is gone, and the record with it.
    DirRemoved,
}

impl LostReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LaunchUnknown,
        Self::DaemonKilled,
        Self::ShimKilled,
        Self::ShimAndDaemonKilled,
        Self::Reboot,
        Self::BadRecord,
        Self::DirRemoved,
    ];

    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LaunchUnknown => "launch_unknown",
            Self::DaemonKilled => "daemon_killed",
            Self::ShimKilled => "shim_killed",
            Self::ShimAndDaemonKilled => "shim_and_daemon_killed",
            Self::Reboot => "reboot",
            Self::BadRecord => "bad_record",
            Self::DirRemoved => "dir_removed",
        }
    }
}

/// How the process came to be known gone.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The spawn was refused: there never was a process.
    Refused {
        /// The step that was refused.
        stage: SpawnStage,
        /// The operating system's error number.
        errno: i32,
    },
    /// It provably never ran, and no error says why.
    NeverRan,
    /// Its exit was seen.
    Exited {
        /// What the kernel said.
        exit: Exit,
        /// Whether an out-of-memory kill of this very process was seen.
        oom_killed: bool,
    },
    /// It is gone and its exit cannot be known.
    Unknown(LostReason),
}

/// The agent's final report, as far as it decides.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ReportMark {
    /// What the agent said of itself.
    pub success: bool,
    /// Whether it was stored before the first intent, if there is one.
    pub before_intent: bool,
}

/// Exit codes that count as success, as a set of 256 bits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SuccessCodes([u64; 4]);

impl SuccessCodes {
    /// Only code 0.
    pub const ZERO: Self = Self([1, 0, 0, 0]);

    /// Returns the empty set.
    #[must_use]
    pub const fn none() -> Self {
        Self([0; 4])
    }

    /// Returns the set with `code` added.
    #[must_use]
    pub const fn with(mut self, code: u8) -> Self {
        self.0[(code / 64) as usize] |= 1 << (code % 64);
        self
    }

    /// Says whether `code` is in the set.
    #[must_use]
    pub const fn contains(self, code: u8) -> bool {
        self.0[(code / 64) as usize] & (1 << (code % 64)) != 0
    }
}

impl Default for SuccessCodes {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Everything that the verdict rests on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Evidence {
    /// The first intent, if anybody asked for the end.
    pub intent: Option<StopKind>,
    /// The final report, if there was one.
    pub report: Option<ReportMark>,
    /// The highest rung of the ladder that was stored.
    pub rung: Option<Rung>,
    /// How the process came to be known gone.
    pub end: End,
    /// Whether an agent of this kind always reports.
    pub always_reports: bool,
    /// The session's success set.
    pub success_codes: SuccessCodes,
}

/// The terminal status with its outcome.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It ended well, or as asked.
    Completed(Completion),
    /// It ended badly.
    Failed(Failure),
    /// Nobody saw how it ended.
    Lost(LostReason),
}

/// Why a session counts as completed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    /// By its own success.
    Succeeded,
    /// Because somebody asked for its end.
    Interrupted(StopKind),
}

/// Why a session counts as failed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Its time limit ran out.
    TimedOut,
    /// It could not be started.
    Spawn {
        /// The step that was refused.
        stage: SpawnStage,
        /// The operating system's error number.
        errno: i32,
    },
    /// It was never started, and no error says why.
    NeverRan,
    /// The agent said so itself.
    AgentError,
    /// The agent always reports, and did not.
    NoReport,
    /// The kernel ended it for want of memory.
    OomKill,
    /// A signal that nobody here had asked for, by number.
    Signal(u8),
    /// The same, with a core dump.
    CoreDump(u8),
    /// An exit code outside the success set.
    ExitCode(u8),
}

impl Verdict {
    /// Returns the status that shows this verdict.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Completed(_) => Status::Completed,
            Self::Failed(_) => Status::Failed,
            Self::Lost(_) => Status::Lost,
        }
    }

    /// Returns the outcome as one plain word.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Completed(Completion::Succeeded) => "succeeded",
            Self::Completed(Completion::Interrupted(_)) => "interrupted",
            Self::Failed(failure) => failure.outcome(),
            Self::Lost(reason) => reason.as_str(),
        }
    }

    /// Says whether the session succeeded, which is the only case for an exit code of 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Completed(Completion::Succeeded))
    }
}

impl Failure {
    /// Returns the outcome as one plain word.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Spawn { .. } | Self::NeverRan => "spawn",
            Self::AgentError => "agent_error",
            Self::NoReport => "no_report",
            Self::OomKill => "oom_kill",
            Self::Signal(_) => "signal",
            Self::CoreDump(_) => "core_dump",
            Self::ExitCode(_) => "exit_code",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.status(), self.outcome())
    }
}

/// Judges an end. Total: every evidence has a verdict, and the same evidence has the same one.
///
/// The first rule that fits decides.
///
/// | # | evidence when the end is settled | verdict |
/// |---|---|---|
/// | 1 | final report says success, stored before the first intent | succeeded |
/// | 2 | first intent: interrupt, kill, shutdown, superseded | interrupted |
/// | 3 | first intent: timeout | timed out |
/// | 4 | spawn refused, or never ran | spawn |
/// | 5 | final report says success | succeeded |
/// | 6 | final report says error | agent error |
/// | 7 | always reports, did not, and the code is in the success set | no report |
/// | 8 | signal KILL, and an out-of-memory kill of this process was seen | oom kill |
/// | 9 | signal | signal, or core dump |
/// | 10 | code in the success set | succeeded |
/// | 11 | other code | exit code |
/// | 12 | the exit cannot be known | lost |
///
/// The intent to finish decides nothing: the rules from 4 on do, and a signal that was sent for it, or
/// the exit code that stands for it, is none of its own; without a report it counts as a code of the
/// success set.
#[must_use]
pub const fn judge(evidence: &Evidence) -> Verdict {
    const SUCCEEDED: Verdict = Verdict::Completed(Completion::Succeeded);

    if let Some(ReportMark { success: true, before_intent: true }) = evidence.report {
        return SUCCEEDED;
    }
    match evidence.intent {
        Some(
            kind @ (StopKind::Interrupt
            | StopKind::Kill
            | StopKind::Shutdown
            | StopKind::Superseded),
        ) => return Verdict::Completed(Completion::Interrupted(kind)),
        Some(StopKind::Timeout) => return Verdict::Failed(Failure::TimedOut),
        // It asks for the end and says nothing about it.
        Some(StopKind::Finish) | None => {}
    }
    // Rules 5 and 6 speak of a process that ran; a refused spawn has no report, so that asking for
    // the report inside the two arms that can have one keeps rule 4 before them.
    match (evidence.end, evidence.report) {
        (End::Refused { stage, errno }, _report) => {
            Verdict::Failed(Failure::Spawn { stage, errno })
        }
        (End::NeverRan, _report) => Verdict::Failed(Failure::NeverRan),
        (End::Exited { .. } | End::Unknown(_), Some(ReportMark { success: true, .. })) => SUCCEEDED,
        (End::Exited { .. } | End::Unknown(_), Some(ReportMark { success: false, .. })) => {
            Verdict::Failed(Failure::AgentError)
        }
        (End::Exited { exit, oom_killed }, None) => judge_exit(exit, oom_killed, evidence),
        (End::Unknown(reason), None) => Verdict::Lost(reason),
    }
}

/// Rules 7 to 11: only the exit is left to speak.
const fn judge_exit(exit: Exit, oom_killed: bool, evidence: &Evidence) -> Verdict {
    /// The number of `SIGKILL`, which is 9 on every system that Candor runs on.
    const SIGKILL: u8 = 9;

    match exit {
        // Who was to finish and did not hear is ended by signals, which are no failure of it.
        Exit::Signal { core_dumped: true | false, .. } | Exit::Code(_)
            if is_of_finish(exit, evidence) && !oom_killed =>
        {
            if evidence.always_reports {
                Verdict::Failed(Failure::NoReport)
            } else {
                Verdict::Completed(Completion::Succeeded)
            }
        }
        Exit::Code(code) => {
            match (evidence.success_codes.contains(code), evidence.always_reports) {
                (true, true) => Verdict::Failed(Failure::NoReport),
                (true, false) => Verdict::Completed(Completion::Succeeded),
                (false, true | false) => Verdict::Failed(Failure::ExitCode(code)),
            }
        }
        Exit::Signal { number: SIGKILL, core_dumped: true | false } if oom_killed => {
            Verdict::Failed(Failure::OomKill)
        }
        Exit::Signal { number, core_dumped: true } => Verdict::Failed(Failure::CoreDump(number)),
        Exit::Signal { number, core_dumped: false } => Verdict::Failed(Failure::Signal(number)),
    }
}

/// Says whether a process ended of a signal that was sent to finish it: of the signal itself, or with
/// the exit code that stands for it.
const fn is_of_finish(exit: Exit, evidence: &Evidence) -> bool {
    /// What a shell adds to a signal's number, and what programs that catch one do like it.
    const SIGNALLED: u8 = 128;
    const SIGINT: u8 = 2;
    const SIGKILL: u8 = 9;
    const SIGTERM: u8 = 15;

    let number = match exit {
        Exit::Signal { number, core_dumped: true | false } => number,
        Exit::Code(code) => code.wrapping_sub(SIGNALLED),
    };
    match (evidence.intent, evidence.rung) {
        (Some(StopKind::Finish), Some(Rung::Interrupt | Rung::InterruptAgain)) => number == SIGINT,
        (Some(StopKind::Finish), Some(Rung::Terminate)) => matches!(number, SIGINT | SIGTERM),
        (Some(StopKind::Finish), Some(Rung::Kill)) => matches!(number, SIGINT | SIGTERM | SIGKILL),
        (
            Some(
                StopKind::Finish
                | StopKind::Interrupt
                | StopKind::Kill
                | StopKind::Timeout
                | StopKind::Shutdown
                | StopKind::Superseded,
            )
            | None,
            Some(Rung::Ask | Rung::Interrupt | Rung::InterruptAgain | Rung::Terminate | Rung::Kill)
            | None,
        ) => false,
    }
}
