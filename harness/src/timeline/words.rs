//! Reads one choice from its words.

use std::ops::RangeInclusive;
use std::str::{FromStr, SplitWhitespace};

use candor_core::stop::Rung;
use candor_core::verdict::{Exit, LostReason};

use super::choice::{
    Ask, AttachAnswer, Boot, Choice, DueKind, InFlight, LaunchOptions, SPAWN_STAGES, SignalEffect,
    SpawnOutcome, Word, WriteOutcome,
};
use super::names::{CallName, ProcessName};

/// Every verb, as it is told to somebody who wrote another.
const VERBS: &str = "user, shutdown, fork, spawn, write, read, signal, exit, reap, report, \
    request, turn, due, crash, boot, attach, connect, drop, stall, go, fetch, show, say, ask, second";

/// What an exit code may be, and a signal's number.
const EXIT_CODE: &str = "an exit code from 0 to 255";
const SIGNALS: RangeInclusive<u8> = 1..=64;

/// What is wrong with a choice that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct BadChoice(String);

type Read<T> = Result<T, BadChoice>;

/// The words of a line that are not read yet.
struct Words<'a> {
    rest: SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn next(&mut self, expected: &str) -> Read<&'a str> {
        self.rest.next().ok_or_else(|| BadChoice(format!("expected {expected}, found the end")))
    }

    /// Reads something that says itself what it expected.
    fn name<T: FromStr<Err: ToString>>(&mut self, expected: &str) -> Read<T> {
        self.next(expected)?.parse().map_err(|error: T::Err| BadChoice(error.to_string()))
    }

    fn number<T: FromStr>(&mut self, expected: &str) -> Read<T> {
        let word = self.next(expected)?;
        word.parse().map_err(|_| unexpected(expected, word))
    }

    fn signal(&mut self) -> Read<u8> {
        const EXPECTED: &str = "a signal's number from 1 to 64";
        let word = self.next(EXPECTED)?;
        let number = word.parse().ok().filter(|number| SIGNALS.contains(number));
        number.ok_or_else(|| unexpected(EXPECTED, word))
    }

    fn word(&mut self, expected: &str) -> Read<()> {
        let word = self.next(&format!("`{expected}`"))?;
        if word == expected { Ok(()) } else { Err(unexpected(&format!("`{expected}`"), word)) }
    }

    /// Reads the new process of `-> p1`.
    fn arrow(&mut self) -> Read<ProcessName> {
        self.word("->")?;
        self.name("a process such as p1")
    }

    fn is_empty(&self) -> bool {
        self.rest.clone().next().is_none()
    }

    fn end(mut self) -> Read<()> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => Err(unexpected("the end of the line", word)),
        }
    }
}

fn unexpected(expected: &str, found: &str) -> BadChoice {
    BadChoice(format!("expected {expected}, found `{found}`"))
}

impl FromStr for Choice {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Self, BadChoice> {
        let mut words = Words { rest: text.split_whitespace() };
        let verb = words.next("a verb")?;
        let choice = match verb {
            "user" => user(&mut words)?,
            "shutdown" => Self::Shutdown,
            "fork" => Self::Fork { session: words.name("a session")?, process: words.arrow()? },
            "spawn" => spawn(&mut words)?,
            "write" => write(&mut words)?,
            "read" => read(&mut words)?,
            "signal" => signal(&mut words)?,
            "exit" => exit(&mut words)?,
            "reap" => reap(&mut words)?,
            "report" => {
                Self::Report { process: words.name("a process")?, success: report(&mut words)? }
            }
            "request" => request(&mut words)?,
            "turn" => turn(&mut words)?,
            "due" => Self::Due { session: words.name("a session")?, kind: due(&mut words)? },
            "crash" => Self::Crash { in_flight: in_flight(&mut words)? },
            "boot" => Self::Boot { boot: boot(&mut words)? },
            "attach" => {
                Self::Attach { session: words.name("a session")?, answer: attach(&mut words)? }
            }
            "connect" => Self::Connect { client: words.name("a client")? },
            "drop" => Self::Drop { client: words.name("a client")? },
            "stall" => Self::Stall { client: words.name("a client")?, stops: true },
            "go" => Self::Stall { client: words.name("a client")?, stops: false },
            "fetch" => Self::Fetch { client: words.name("a client")? },
            "show" => Self::Show { client: words.name("a client")? },
            "say" => Self::Say { process: words.name("a process")?, word: said(&mut words)? },
            "ask" => Self::AskApproval {
                process: words.name("a process")?,
                approval: words.name("an approval")?,
            },
            "second" => {
                words.word("daemon")?;
                Self::SecondDaemon
            }
            other => return Err(unexpected(&format!("one of {VERBS}"), other)),
        };
        words.end()?;
        Ok(choice)
    }
}

fn user(words: &mut Words<'_>) -> Read<Choice> {
    const EXPECTED: &str =
        "launch, queue, interrupt, kill, finish, continue, draft, start, approve or bypass";
    match words.next(EXPECTED)? {
        "launch" => Ok(Choice::Launch {
            session: words.name("a session")?,
            options: launch_options(words)?,
        }),
        "queue" => {
            let session = words.name("a session")?;
            words.word("after")?;
            Ok(Choice::Queue { session, parent: words.name("a session")? })
        }
        "interrupt" => Ok(Choice::Stop { session: words.name("a session")?, ask: Ask::Interrupt }),
        "kill" => Ok(Choice::Stop { session: words.name("a session")?, ask: Ask::Kill }),
        "finish" => Ok(Choice::Stop { session: words.name("a session")?, ask: Ask::Finish }),
        "continue" => {
            let parent = words.name("a session")?;
            words.word("as")?;
            Ok(Choice::Continue { session: words.name("a session")?, parent })
        }
        "draft" => Ok(Choice::Draft { session: words.name("a session")? }),
        "start" => Ok(Choice::Start { session: words.name("a session")? }),
        "approve" => Ok(Choice::Approve { approval: words.name("an approval")? }),
        "bypass" => Ok(Choice::Bypass {
            session: words.name("a session")?,
            ms: words.number("how long, in milliseconds")?,
        }),
        other => Err(unexpected(EXPECTED, other)),
    }
}

fn launch_options(words: &mut Words<'_>) -> Read<LaunchOptions> {
    const EXPECTED: &str = "timeout=MS, grace=MS,MS, ask=MS, again=MS, idle=MS, linger=MS, \
                            codes=N,N or always_reports, each at most once";
    let mut options = LaunchOptions::default();
    while !words.is_empty() {
        let word = words.next(EXPECTED)?;
        let bad = || unexpected(EXPECTED, word);
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let is_new = match key {
            "timeout" => options.timeout_ms.replace(value.parse().map_err(|_| bad())?).is_none(),
            "grace" => {
                let (interrupt, terminate) = value.split_once(',').ok_or_else(bad)?;
                let grace_ms = interrupt.parse().ok().zip(terminate.parse().ok());
                options.grace_ms.replace(grace_ms.ok_or_else(bad)?).is_none()
            }
            "ask" => options.ask_ms.replace(value.parse().map_err(|_| bad())?).is_none(),
            "again" => options.again_ms.replace(value.parse().map_err(|_| bad())?).is_none(),
            "idle" => options.idle_ms.replace(value.parse().map_err(|_| bad())?).is_none(),
            "linger" => options.linger_ms.replace(value.parse().map_err(|_| bad())?).is_none(),
            "codes" => {
                let codes: Result<Vec<u8>, _> = value.split(',').map(str::parse).collect();
                let codes = codes.ok().filter(|codes| codes.is_sorted_by(|one, two| one < two));
                options.codes.replace(codes.ok_or_else(bad)?).is_none()
            }
            "always_reports" if word == key => {
                !std::mem::replace(&mut options.always_reports, true)
            }
            _ => false,
        };
        if !is_new {
            return Err(bad());
        }
    }
    Ok(options)
}

fn spawn(words: &mut Words<'_>) -> Read<Choice> {
    const EXPECTED: &str = "ok, refused or unknown";
    let word = words.next(EXPECTED)?;
    let session = words.name("a session")?;
    let outcome = match word {
        "ok" => SpawnOutcome::Up(words.arrow()?),
        "refused" => {
            let word = words.next("a stage")?;
            let stage = SPAWN_STAGES.into_iter().find(|stage| stage.as_str() == word);
            let stage = stage.ok_or_else(|| unexpected("prepare, folder, fork or exec", word))?;
            SpawnOutcome::Refused { stage, errno: words.number("an error number")? }
        }
        "unknown" if words.is_empty() => SpawnOutcome::Unknown(None),
        "unknown" => SpawnOutcome::Unknown(Some(words.arrow()?)),
        other => return Err(unexpected(EXPECTED, other)),
    };
    Ok(Choice::Spawn { session, outcome })
}

fn write(words: &mut Words<'_>) -> Read<Choice> {
    const EXPECTED: &str = "ok, err, unknown or conflict";
    let outcome = match words.next(EXPECTED)? {
        "ok" => WriteOutcome::Ok,
        "err" => WriteOutcome::Err,
        "conflict" => WriteOutcome::Conflict,
        "unknown" => match words.next("kept or lost")? {
            "kept" => WriteOutcome::UnknownKept,
            "lost" => WriteOutcome::UnknownLost,
            other => return Err(unexpected("kept or lost", other)),
        },
        other => return Err(unexpected(EXPECTED, other)),
    };
    Ok(Choice::Write { call: words.name("a call such as s1#2")?, outcome })
}

fn read(words: &mut Words<'_>) -> Read<Choice> {
    let ok = match words.next("ok or err")? {
        "ok" => true,
        "err" => false,
        other => return Err(unexpected("ok or err", other)),
    };
    Ok(Choice::Read { call: words.name("a call such as s1#2")?, ok })
}

fn signal(words: &mut Words<'_>) -> Read<Choice> {
    const EFFECTS: &str = "kills, exits, reports, ignored, gone, denied or unknown";
    let process = words.name("a process")?;
    let signal = match words.next("INT, TERM or KILL")? {
        "INT" => Rung::Interrupt,
        "TERM" => Rung::Terminate,
        "KILL" => Rung::Kill,
        other => return Err(unexpected("INT, TERM or KILL", other)),
    };
    let effect = match words.next(EFFECTS)? {
        "kills" => SignalEffect::Kills,
        "exits" => SignalEffect::Exits { report: None, code: words.number(EXIT_CODE)? },
        "reports" => {
            let report = Some(report(words)?);
            words.word("exits")?;
            SignalEffect::Exits { report, code: words.number(EXIT_CODE)? }
        }
        "ignored" => SignalEffect::Ignored,
        "gone" => SignalEffect::Gone,
        "denied" => SignalEffect::Denied,
        "unknown" => SignalEffect::Unknown,
        other => return Err(unexpected(EFFECTS, other)),
    };
    Ok(Choice::Signal { process, signal, effect })
}

fn exit(words: &mut Words<'_>) -> Read<Choice> {
    let process = words.name("a process")?;
    let mut exit = match words.next("code or signal")? {
        "code" => Exit::Code(words.number(EXIT_CODE)?),
        "signal" => Exit::Signal { number: words.signal()?, core_dumped: false },
        other => return Err(unexpected("code or signal", other)),
    };
    let mut oom_killed = false;
    while !words.is_empty() {
        match (words.next("core or oom")?, &mut exit) {
            ("core", Exit::Signal { core_dumped, .. }) if !*core_dumped && !oom_killed => {
                *core_dumped = true;
            }
            ("oom", Exit::Signal { .. }) if !oom_killed => oom_killed = true,
            (other, _) => return Err(unexpected("the end of the line", other)),
        }
    }
    Ok(Choice::Exit { process, exit, oom_killed })
}

fn reap(words: &mut Words<'_>) -> Read<Choice> {
    let process = words.name("a process")?;
    let lost = if words.is_empty() {
        None
    } else {
        words.word("lost")?;
        Some(lost_reason(words)?)
    };
    Ok(Choice::Reap { process, lost })
}

fn lost_reason(words: &mut Words<'_>) -> Read<LostReason> {
    let word = words.next("a reason")?;
    LostReason::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or_else(|| {
        let all = LostReason::ALL.map(LostReason::as_str).join(", ");
        unexpected(&format!("one of {all}"), word)
    })
}

fn report(words: &mut Words<'_>) -> Read<bool> {
    match words.next("success or error")? {
        "success" => Ok(true),
        "error" => Ok(false),
        other => Err(unexpected("success or error", other)),
    }
}

fn said(words: &mut Words<'_>) -> Read<Word> {
    const EXPECTED: &str = "success, error, usage, stderr, oversized or unstored";
    match words.next(EXPECTED)? {
        "success" => Ok(Word::Unread { success: true }),
        "error" => Ok(Word::Unread { success: false }),
        "usage" => Ok(Word::Usage),
        "stderr" => Ok(Word::Stderr),
        "oversized" => Ok(Word::Oversized),
        "unstored" => Ok(Word::Unstored),
        other => Err(unexpected(EXPECTED, other)),
    }
}

fn turn(words: &mut Words<'_>) -> Read<Choice> {
    let process = words.name("a process")?;
    match words.next("ended or began")? {
        "ended" => Ok(Choice::Turn { process, began: false }),
        "began" => Ok(Choice::Turn { process, began: true }),
        other => Err(unexpected("ended or began", other)),
    }
}

fn request(words: &mut Words<'_>) -> Read<Choice> {
    let process = words.name("a process")?;
    match words.next("opened or closed")? {
        "opened" => Ok(Choice::Request { process, opened: true }),
        "closed" => Ok(Choice::Request { process, opened: false }),
        other => Err(unexpected("opened or closed", other)),
    }
}

fn due(words: &mut Words<'_>) -> Read<DueKind> {
    const EXPECTED: &str = "timeout, linger, idle, rung or retry";
    match words.next(EXPECTED)? {
        "timeout" => Ok(DueKind::Timeout),
        "linger" => Ok(DueKind::Linger),
        "idle" => Ok(DueKind::Idle),
        "rung" => Ok(DueKind::Rung),
        "retry" => Ok(DueKind::Retry),
        other => Err(unexpected(EXPECTED, other)),
    }
}

fn in_flight(words: &mut Words<'_>) -> Read<Option<InFlight>> {
    if words.is_empty() {
        return Ok(None);
    }
    match words.next("lose or keep")? {
        "lose" => Ok(Some(InFlight::Lose)),
        "keep" if words.is_empty() => Ok(Some(InFlight::Keep)),
        "keep" => {
            let mut calls: Vec<CallName> = Vec::new();
            while !words.is_empty() {
                calls.push(words.name("a call such as s1#2")?);
            }
            Ok(Some(InFlight::KeepOnly(calls)))
        }
        other => Err(unexpected("lose or keep", other)),
    }
}

fn boot(words: &mut Words<'_>) -> Read<Boot> {
    match words.next("same or other")? {
        "same" => Ok(Boot::Same),
        "other" => Ok(Boot::Other),
        other => Err(unexpected("same or other", other)),
    }
}

fn attach(words: &mut Words<'_>) -> Read<AttachAnswer> {
    const EXPECTED: &str = "up, ended, lost, never_ran or unreachable";
    match words.next(EXPECTED)? {
        "up" => Ok(AttachAnswer::Up),
        "ended" => Ok(AttachAnswer::Ended),
        "lost" => Ok(AttachAnswer::Lost(lost_reason(words)?)),
        "never_ran" => Ok(AttachAnswer::NeverRan),
        "unreachable" => Ok(AttachAnswer::Unreachable),
        other => Err(unexpected(EXPECTED, other)),
    }
}

#[cfg(test)]
mod tests;
