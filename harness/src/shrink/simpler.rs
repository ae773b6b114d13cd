//! What is simpler than a choice, and what a choice is about. Both go by its words, so that a new
//! kind of choice is made simpler by the rules that there are.

use std::collections::BTreeSet;

use crate::timeline::Choice;
use crate::trial::{Timed, Trial};

/// What may stand in the place of some words of a choice, simplest first. An empty word is left
/// out.
const RULES: [(&str, &[&str]); 14] = [
    ("core", &[""]),
    ("oom", &[""]),
    ("always_reports", &[""]),
    ("other", &["same"]),
    ("conflict", &["ok"]),
    ("err", &["ok"]),
    ("error", &["success"]),
    ("unknown kept", &["ok"]),
    ("unknown lost", &["ok", "err"]),
    ("unknown", &["ok"]),
    ("reports success exits", &["exits"]),
    ("reports error exits", &["exits"]),
    ("kill", &["interrupt"]),
    ("denied", &["ignored"]),
];

/// Words before an exit code, and the codes that are simpler than any other.
const CODES: (&[&str], [&str; 2]) = (&["code", "exits"], ["0", "1"]);

/// Returns simpler choices of the same kind, simplest first.
pub(super) fn simpler(choice: &Choice) -> Vec<Choice> {
    let text = choice.to_string();
    let words: Vec<&str> = text.split(' ').collect();
    let mut candidates = Vec::new();
    // A launch without its options, one by one.
    for at in (0..words.len()).filter(|at| words[*at].contains('=')) {
        candidates.push(replaced(&words, at, 1, ""));
    }
    for at in 1..words.len() {
        if CODES.0.contains(&words[at - 1]) {
            let codes = CODES.1.iter().take_while(|code| **code != words[at]);
            candidates.extend(codes.map(|code| replaced(&words, at, 1, code)));
        }
        if words[at] == "lost" && words[0] == "reap" {
            candidates.push(words[..at].join(" "));
        }
    }
    for (long, shorts) in RULES {
        let length = long.split(' ').count();
        for at in 1..words.len().saturating_sub(length - 1) {
            if words[at..at + length].join(" ") == long {
                candidates.extend(shorts.iter().map(|short| replaced(&words, at, length, short)));
            }
        }
    }
    candidates.into_iter().filter_map(|text| text.parse().ok()).collect()
}

fn replaced(words: &[&str], at: usize, length: usize, by: &str) -> String {
    let (before, after) = (&words[..at], &words[at + length..]);
    let by = (!by.is_empty()).then_some(by);
    let all: Vec<&str> = before.iter().copied().chain(by).chain(after.iter().copied()).collect();
    all.join(" ")
}

/// Returns the names that a choice speaks of: sessions, processes and clients. A call of a session
/// counts as the session.
fn names(choice: &Choice) -> Vec<String> {
    let text = choice.to_string();
    let words = text.split(' ').map(|word| word.split('#').next().unwrap_or_default());
    let is_name = |word: &&str| {
        let digits = word.strip_prefix(['s', 'p', 'c']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    words.filter(is_name).map(str::to_owned).collect()
}

/// Returns every session and every client of a schedule.
pub(super) fn actors(schedule: &[Timed]) -> Vec<String> {
    let names: BTreeSet<String> = schedule.iter().flat_map(|(_, choice)| names(choice)).collect();
    names.into_iter().filter(|name| !name.starts_with('p')).collect()
}

/// Returns a schedule without an actor and without the processes that it has.
pub(super) fn without(schedule: &[Timed], actor: &str) -> Vec<Timed> {
    let mut gone = BTreeSet::from([actor.to_owned()]);
    let mut kept = Vec::new();
    for step in schedule {
        let names = names(&step.1);
        if names.iter().any(|name| gone.contains(name)) {
            // Its process, or the session that continues it, goes with it.
            let continues = matches!(step.1, Choice::Queue { .. } | Choice::Continue { .. });
            gone.extend(names.into_iter().filter(|name| continues || name.starts_with('p')));
        } else {
            kept.push(step.clone());
        }
    }
    kept
}

/// Returns a schedule in which two choices have each other's place and moment.
pub(crate) fn exchanged(schedule: &[Timed], one: usize, other: usize) -> Vec<Timed> {
    let mut schedule = schedule.to_vec();
    schedule.swap(one, other);
    let moment_ms = schedule[one].0;
    schedule[one].0 = schedule[other].0;
    schedule[other].0 = moment_ms;
    schedule
}

/// Returns how often a schedule goes from one lane to another: users, store, processes, daemon.
pub(super) fn lane_switches(schedule: &[Timed]) -> usize {
    let lane = |step: &Timed| {
        let text = step.1.to_string();
        let verb = text.split(' ').next().unwrap_or_default();
        match verb {
            "user" | "connect" | "drop" | "stall" | "go" | "fetch" | "show" => 0,
            "write" | "read" => 1,
            "fork" | "spawn" | "attach" | "signal" | "exit" | "reap" | "report" | "request"
            | "say" | "ask" => 2,
            _ => 3,
        }
    };
    schedule.windows(2).filter(|pair| lane(&pair[0]) != lane(&pair[1])).count()
}

/// Returns everything that happened, in no order: what stays the same where two choices that do not
/// touch each other are exchanged.
pub(super) fn what_happened(trial: &Trial) -> Vec<String> {
    let mut records: Vec<_> = trial.log.iter().map(|entry| entry.record.to_string()).collect();
    records.sort();
    records
}

#[cfg(test)]
mod tests {
    use super::{actors, simpler, without};
    use crate::timeline::Choice;

    fn check(choice: &str, expected: &[&str]) {
        let choice: Choice = choice.parse().unwrap();
        let simpler: Vec<_> = simpler(&choice).iter().map(ToString::to_string).collect();
        assert_eq!(simpler, expected, "{choice}");
    }

    #[test]
    fn what_is_simpler_is_a_choice_of_the_same_kind() {
        check("exit p1 code 130", &["exit p1 code 0", "exit p1 code 1"]);
        check("exit p1 code 0", &[]);
        check("exit p1 signal 11 core oom", &["exit p1 signal 11 oom", "exit p1 signal 11 core"]);
        check("signal p1 INT exits 130", &["signal p1 INT exits 0", "signal p1 INT exits 1"]);
        check("write unknown lost s1#2", &["write ok s1#2", "write err s1#2"]);
        check("write err s1#2", &["write ok s1#2"]);
        check("reap p1 lost shim_killed", &["reap p1"]);
        check(
            "user launch s1 timeout=5 always_reports",
            &["user launch s1 always_reports", "user launch s1 timeout=5"],
        );
        check("user kill s1", &["user interrupt s1"]);
        check("boot other", &["boot same"]);
    }

    #[test]
    fn an_actor_goes_with_its_processes() {
        let choices = [
            "user launch s1",
            "spawn ok s1 -> p1",
            "user launch s2",
            "connect c1",
            "spawn ok s2 -> p2",
            "write ok s1#1",
            "exit p1 code 0",
            "reap p2",
        ];
        let schedule = choices.map(|choice| (0, choice.parse().unwrap()));
        assert_eq!(actors(&schedule), ["c1", "s1", "s2"]);
        let left: Vec<_> =
            without(&schedule, "s1").iter().map(|(_, choice)| choice.to_string()).collect();
        assert_eq!(left, ["user launch s2", "connect c1", "spawn ok s2 -> p2", "reap p2"]);
    }
}
