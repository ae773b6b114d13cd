//! Each choice as it stands in a timeline.

use std::fmt;

use candor_core::verdict::Exit;

use super::{
    Ask, AttachAnswer, Boot, Choice, DueKind, InFlight, LaunchOptions, SignalEffect, SpawnOutcome,
    Word, WriteOutcome, report_word, signal_word,
};
use crate::timeline::names::SessionName;

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
            Self::Stop { session, ask: Ask::Finish } => write!(formatter, "user finish {session}"),
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
            Self::Turn { process, began: true } => write!(formatter, "turn {process} began"),
            Self::Turn { process, began: false } => write!(formatter, "turn {process} ended"),
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
        for (key, value) in [("ask", self.ask_ms), ("again", self.again_ms), ("idle", self.idle_ms)]
        {
            if let Some(ms) = value {
                write!(formatter, " {key}={ms}")?;
            }
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
            Self::Idle => "idle",
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
