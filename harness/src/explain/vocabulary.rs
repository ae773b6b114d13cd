//! The words of a fact in a log. One that nothing is ever told in would be looked for in vain, in
//! every world there is, so that each is checked before anything is searched.

use candor_core::status::Status;
use candor_core::verdict::LostReason;

use crate::timeline::Choice;
use crate::timeline::names::{ProcessName, SessionName};

const STATUSES: &str =
    "queued, starting, running, waiting_input, completing, completed, failed, lost";

const INTENTS: [&str; 5] = ["interrupt", "kill", "timeout", "shutdown", "superseded"];

const FAILURES: [&str; 8] = [
    "timed_out",
    "spawn",
    "agent_error",
    "no_report",
    "oom_kill",
    "signal",
    "core_dump",
    "exit_code",
];

/// What somebody may be told, beside what had happened before.
const REPLIES: [&str; 9] = [
    "accepted",
    "store unavailable, nothing changed",
    "store unavailable, outcome open",
    "refused: the daemon is leaving",
    "no such session",
    "refused: it was started before",
    "refused: it is continued already",
    "refused: nobody waits for that any more",
    "refused: not in this status",
];

/// Whether a fact is one that can be told, or what was expected in its place.
pub(super) fn check(fact: &str) -> Result<(), String> {
    let words: Vec<&str> = fact.split(' ').collect();
    let is = |name: &str, letter: char| name.starts_with(letter);
    match words.as_slice() {
        ["see", "reply", reply @ ..] => check_reply(&reply.join(" ")),
        ["see", "daemon", what] => {
            one_of(what, &["crash", "boot", "boot(other)", "leave", "leave(usurped)"])
        }
        ["see", session, status] if is(session, 's') => {
            named::<SessionName>(session)?;
            check_status(status)
        }
        ["see", process, "exit", how @ ..] if is(process, 'p') => {
            named::<ProcessName>(process)?;
            let exit: Result<Choice, _> = format!("exit {process} {}", how.join(" ")).parse();
            exit.map(drop).map_err(|error| error.to_string())
        }
        ["see", process, what] if is(process, 'p') => {
            named::<ProcessName>(process)?;
            one_of(
                what,
                &["up", "INT", "TERM", "KILL", "CONT", "gone", "exit code N", "exit signal N"],
            )
        }
        ["ask", session, request @ ..] => {
            named::<SessionName>(session)?;
            check_request(request)
        }
        _ => Err(format!(
            "expected `see s1 STATUS`, `see p1 WHAT`, `see reply WORDS`, `see daemon WHAT` or `ask s1 \
             REQUEST`, found `{fact}`"
        )),
    }
}

fn named<T: std::str::FromStr<Err: ToString>>(word: &str) -> Result<(), String> {
    word.parse::<T>().map(drop).map_err(|error| error.to_string())
}

fn one_of(word: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&word) {
        return Ok(());
    }
    Err(format!("expected one of {}, found `{word}`", known.join(", ")))
}

/// Checks a status, with its reason where one stands there.
fn check_status(words: &str) -> Result<(), String> {
    let (status, reason) = match words.strip_suffix(')').and_then(|words| words.split_once('(')) {
        Some((status, reason)) => (status, Some(reason)),
        None => (words, None),
    };
    let Ok(known) = status.parse::<Status>() else {
        return Err(format!("expected one of {STATUSES}, found `{status}`"));
    };
    let Some(reason) = reason else {
        return Ok(());
    };
    match known {
        Status::Completing => one_of(reason, &[INTENTS.as_slice(), &["report"]].concat()),
        Status::Completed => one_of(reason, &["succeeded", "interrupted"]),
        Status::Failed => one_of(reason, &FAILURES),
        Status::Lost => one_of(reason, &LostReason::ALL.map(LostReason::as_str)),
        Status::Queued | Status::Starting | Status::Running | Status::WaitingInput => {
            Err(format!("expected `{status}` without a reason, found `{words}`"))
        }
    }
}

fn check_reply(reply: &str) -> Result<(), String> {
    if let Some(intent) = reply.strip_prefix("already stopping: ") {
        return one_of(intent, &INTENTS);
    }
    if let Some(verdict) = reply.strip_prefix("already ended: ") {
        let status = verdict.replacen(' ', "(", 1) + ")";
        return check_status(&status);
    }
    let known: Vec<_> = REPLIES
        .into_iter()
        .chain(["already stopping: KIND", "already ended: STATUS REASON"])
        .collect();
    if REPLIES.contains(&reply) {
        return Ok(());
    }
    Err(format!("expected one of `{}`, found `{reply}`", known.join("`, `")))
}

fn check_request(words: &[&str]) -> Result<(), String> {
    match words {
        ["continue", parent, "as"] => named::<SessionName>(parent),
        ["approve", _, "of"] => Ok(()),
        _ => {
            one_of(&words.join(" "), &[["launch", "queue", "start"].as_slice(), &INTENTS].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_core::verdict::LostReason;

    use super::{FAILURES, INTENTS, check};

    #[test]
    fn every_word_that_can_be_told_passes() {
        for fact in [
            "see s1 running",
            "see s12 completed",
            "see s1 completing(report)",
            "see s1 lost(reboot)",
            "see p1 up",
            "see p1 exit code 255",
            "see p1 exit signal 9 oom",
            "see daemon boot(other)",
            "see reply accepted",
            "see reply already stopping: kill",
            "ask s1 interrupt",
            "see reply already ended: completed interrupted",
            "ask s2 continue s1 as",
        ] {
            assert_eq!(check(fact), Ok(()), "{fact}");
        }
        let losses = LostReason::ALL.map(LostReason::as_str);
        for (status, reasons) in
            [("completing", INTENTS.as_slice()), ("failed", &FAILURES), ("lost", &losses)]
        {
            for reason in reasons {
                assert_eq!(check(&format!("see s1 {status}({reason})")), Ok(()), "{reason}");
            }
        }
    }

    #[test]
    fn a_word_that_nothing_is_told_in_is_refused_with_the_list() {
        for (fact, message) in [
            ("see s1 runnig", "expected one of queued, starting, running, "),
            ("see s1 completed(frob)", "expected one of succeeded, interrupted, found `frob`"),
            ("see s1 running(well)", "expected `running` without a reason"),
            ("see s1 completed(", "expected one of queued"),
            ("see p1 exit code 999", "expected an exit code from 0 to 255"),
            ("see p1 HUP", "expected one of up, INT, TERM, KILL"),
            ("see s1", "expected `see s1 STATUS`"),
            ("see reply acepted", "expected one of `accepted`"),
            ("see daemon crashed", "expected one of crash, boot"),
            ("ask s1 interupt", "expected one of launch, queue, start, interrupt"),
            ("ask p1 frob", "expected a session such as s1"),
        ] {
            let error = check(fact).unwrap_err();
            assert!(error.starts_with(message), "{fact}: {error}");
        }
    }
}
