//! Judges a timeline as the corpus wants it: enabled, deterministic, without a breach, and with the
//! outcome that was accepted.

use std::fmt;

use crate::ghost::Entry;
use crate::invariants::Violation;
use crate::replay::{Mode, Outcome, ReplayError, replay};
use crate::timeline::{Expectation, Timeline};

/// Why a timeline does not pass.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// It cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Two replays of it differ.
    #[error("two replays differ, first at entry {at}:\n  {first}\n  {second}")]
    Nondeterminism {
        /// The entry of the log, counted from 1.
        at: usize,
        /// What the first replay had there.
        first: String,
        /// What the second had.
        second: String,
    },
    /// Something does not hold.
    #[error("{}", lines(.0))]
    Violated(Vec<Violation>),
    /// Something holds that the header says breaks.
    #[error("the header expects that {expected} break, and {found} breaks")]
    Expectation {
        /// What stands there.
        expected: String,
        /// What breaks instead.
        found: String,
    },
    /// The outcome is another one than was accepted.
    #[error("the outcome has changed; look at it, and accept it with --bless:\n{}", diff(.expected, .actual))]
    Golden {
        /// The block in the file.
        expected: String,
        /// The block of this replay.
        actual: String,
    },
    /// There is no golden block yet.
    #[error("there is no golden block yet; look at it, and accept it with --bless:\n{actual}")]
    NoGolden {
        /// The block of this replay.
        actual: String,
    },
}

/// Replays a timeline twice and judges it, all but its golden block.
///
/// # Errors
///
/// See [`Failure`].
pub fn judge(timeline: &Timeline, mode: Mode) -> Result<Outcome, Failure> {
    let outcome = replay(timeline, mode)?;
    compare_runs(&outcome.log, &replay(timeline, mode)?.log)?;
    let broken = || outcome.violations.iter().map(|violation| violation.id);
    match timeline.expectation() {
        Expectation::Violates(ids) if ids.iter().all(|id| broken().any(|other| other == id)) => {
            Ok(outcome)
        }
        Expectation::Violates(ids) => {
            let found: Vec<_> = broken().collect();
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(",") };
            Err(Failure::Expectation { expected: ids.join(","), found })
        }
        Expectation::Pass if outcome.violations.is_empty() => Ok(outcome),
        Expectation::Pass => Err(Failure::Violated(outcome.violations)),
    }
}

/// Replays a timeline twice and judges it, its golden block included.
///
/// # Errors
///
/// See [`Failure`].
pub fn check(timeline: &Timeline, mode: Mode) -> Result<Outcome, Failure> {
    let outcome = judge(timeline, mode)?;
    let actual = || outcome.golden.clone();
    match &timeline.golden {
        None => Err(Failure::NoGolden { actual: actual() }),
        Some(golden) if *golden != outcome.golden => {
            Err(Failure::Golden { expected: golden.clone(), actual: actual() })
        }
        Some(_) => Ok(outcome),
    }
}

fn compare_runs(first: &[Entry], second: &[Entry]) -> Result<(), Failure> {
    let Some(at) = (0..first.len().max(second.len())).find(|at| first.get(*at) != second.get(*at))
    else {
        return Ok(());
    };
    let show = |log: &[Entry]| {
        log.get(at).map_or_else(|| "nothing".to_owned(), |entry| entry.record.to_string())
    };
    Err(Failure::Nondeterminism { at: at + 1, first: show(first), second: show(second) })
}

fn lines(violations: &[Violation]) -> String {
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Shows which lines went and which came.
fn diff(expected: &str, actual: &str) -> Diff {
    let keep = |line: &&str, other: &str| !other.lines().any(|known| known == *line);
    let gone = expected.lines().filter(|line| keep(line, actual));
    let come = actual.lines().filter(|line| keep(line, expected));
    let gone = gone.map(|line| format!("- {line}"));
    Diff(gone.chain(come.map(|line| format!("+ {line}"))).collect())
}

struct Diff(Vec<String>);

impl fmt::Display for Diff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}
