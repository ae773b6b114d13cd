//! Each record as one line for a person, which holds everything that decides.

use std::fmt;

use candor_core::event::Seq;
use candor_core::ports::{Change, Delivery};
use candor_core::stop::Signal;

use super::{Record, Reply, Request, Standing, Told, Writer};
use crate::timeline::choice::{Boot, report_word, write_exit};
use crate::timeline::names::SessionName;

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
            Self::SecondDaemon { is_refused: true } => formatter.write_str("second daemon refused"),
            Self::SecondDaemon { is_refused: false } => {
                formatter.write_str("second daemon started")
            }
            Self::Approval { approval, session, standing } => {
                write!(formatter, "{approval} of {} {standing}", SessionName::of(*session))
            }
            Self::Bypass { session, revision, replaces, until_ms } => {
                let name = SessionName::of(*session);
                write!(formatter, "bypass {name} {revision} after {replaces} until {until_ms}")
            }
            Self::BypassTold { session, revision } => {
                write!(formatter, "bypass {} {revision} told", SessionName::of(*session))
            }
            Self::Crashed => formatter.write_str("crash"),
            Self::Left { usurped: false } => formatter.write_str("leave"),
            Self::Left { usurped: true } => formatter.write_str("leave(usurped)"),
            Self::Booted { boot: Boot::Same } => formatter.write_str("boot"),
            Self::Booted { boot: Boot::Other } => formatter.write_str("boot(other)"),
            Self::Bug { message } => write!(formatter, "bug {message}"),
            Self::Connected { .. }
            | Self::Delivered { .. }
            | Self::Stalled { .. }
            | Self::Listed { .. }
            | Self::Shown { .. } => write_client(formatter, self),
            Self::AskCalled { .. }
            | Self::AnswerGiven { .. }
            | Self::LaunchCalled { .. }
            | Self::Forked { .. }
            | Self::Told { .. }
            | Self::AttachCalled { .. }
            | Self::SignalCalled { .. }
            | Self::SignalTaken { .. }
            | Self::Died { .. }
            | Self::Seen { .. }
            | Self::Said { .. }
            | Self::Reported { .. } => write_process(formatter, self),
        }
    }
}

fn write_client(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::Connected { client, cursor } => {
            write!(formatter, "connected {client} after {cursor}")
        }
        Record::Delivered { client, seq } => write!(formatter, "delivered {client} {seq}"),
        Record::Stalled { client, stops: true } => write!(formatter, "{client} stalls"),
        Record::Stalled { client, stops: false } => write!(formatter, "{client} goes on"),
        Record::Listed { client, seq } => write!(formatter, "listed {client} at {seq}"),
        Record::Shown { client, session, revision, status } => {
            let name = SessionName::of(*session);
            write!(formatter, "{client} shows {name}.{revision} {status}")
        }
        _ => Ok(()),
    }
}

fn write_process(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::AskCalled { process } => write!(formatter, "ASK {process}"),
        Record::AnswerGiven { process, approval } => write!(formatter, "{approval} to {process}"),
        Record::LaunchCalled { session } => {
            write!(formatter, "spawn {}", SessionName::of(*session))
        }
        Record::Forked { process, session } => {
            write!(formatter, "forked {process} of {}", SessionName::of(*session))
        }
        Record::Told { session, told } => {
            write!(formatter, "told {} {told}", SessionName::of(*session))
        }
        Record::AttachCalled { session } => {
            write!(formatter, "attach {}", SessionName::of(*session))
        }
        Record::SignalCalled { process, signal } => {
            write!(formatter, "{} {process}", word_of(*signal))
        }
        Record::SignalTaken { process, signal, delivery } => {
            write!(formatter, "{} {process} {}", word_of(*signal), delivery_word(*delivery))
        }
        Record::Died { process, exit, oom_killed } => {
            write!(formatter, "died {process} ")?;
            write_exit(formatter, *exit)?;
            formatter.write_str(if *oom_killed { " oom" } else { "" })
        }
        Record::Seen { process, lost: None } => write!(formatter, "seen {process}"),
        Record::Seen { process, lost: Some(reason) } => {
            write!(formatter, "seen {process} lost {}", reason.as_str())
        }
        Record::Said { process, word } => write!(formatter, "said {process} {word}"),
        Record::Reported { process, success } => {
            write!(formatter, "reported {process} {}", report_word(*success))
        }
        _ => Ok(()),
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
            Self::AlreadyStarted => formatter.write_str("refused: it was started before"),
            Self::AlreadyContinued => formatter.write_str("refused: it is continued already"),
            Self::TooLate => formatter.write_str("refused: nobody waits for that any more"),
            Self::NotNow => formatter.write_str("refused: not in this status"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch => formatter.write_str("launch"),
            Self::Queue { .. } => formatter.write_str("queue"),
            Self::Stop(kind) => fmt::Display::fmt(kind, formatter),
            Self::Continue { parent } => {
                write!(formatter, "continue {} as", SessionName::of(*parent))
            }
            Self::Start => formatter.write_str("start"),
            Self::Approve(approval) => write!(formatter, "approve {approval} of"),
            Self::Bypass => formatter.write_str("bypass"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Asked => "asked",
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Withdrawn => "withdrawn",
        })
    }
}
