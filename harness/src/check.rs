//! Judges a timeline as the corpus wants it: enabled, deterministic, without a breach, and with the
//! outcome that was accepted.

use std::fmt;

use crate::ghost::Entry;
use crate::invariants::Violation;
use crate::mutant::{Mutant, Mutants};
use crate::replay::{Mode, Outcome, ReplayError, replay, replay_on};
use crate::timeline::{BodyLine, Expectation, Timeline, Victim};

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
    /// A mutant that the header says is found is not.
    #[error("the header expects that {mutant} breaks {expected}, and {found} breaks")]
    Survived {
        /// Which.
        mutant: String,
        /// What it was to break.
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
    let victims: Vec<_> = timeline.victims().collect();
    if !victims.is_empty() {
        let anyway = broken_on(timeline, Mutants::NONE)?;
        victims.iter().try_for_each(|victim| hunt(timeline, victim, &anyway))?;
    }
    let broken = || outcome.violations.iter().map(|violation| violation.id);
    match timeline.expectation() {
        Expectation::Violates(ids) if ids.iter().all(|id| broken().any(|other| other == id)) => {
            Ok(outcome)
        }
        Expectation::Violates(ids) => {
            let (expected, found) = (ids.join(","), ids_of(&outcome.violations));
            Err(Failure::Expectation { expected, found })
        }
        Expectation::Pass if outcome.violations.is_empty() => Ok(outcome),
        Expectation::Pass => Err(Failure::Violated(outcome.violations)),
    }
}

/// Makes the same choices in the world of a mutant, as far as they are enabled there, and goes on as
/// a fair world does. What the header names must break there, and must not be among what breaks
/// anyway, where nothing is wrong.
fn hunt(timeline: &Timeline, victim: &Victim, anyway: &[Violation]) -> Result<(), Failure> {
    let survived = |found: String| {
        let (mutant, expected) = (victim.mutant.clone(), victim.violates.join(","));
        Failure::Survived { mutant, expected, found }
    };
    let Ok(mutant) = victim.mutant.parse::<Mutant>() else {
        return Err(survived("no such mutant is known, so that nothing".to_owned()));
    };
    let breaks = |broken: &[Violation], id: &String| broken.iter().any(|other| other.id == id);
    let broken = broken_on(timeline, Mutants::only(mutant))?;
    if !victim.violates.iter().all(|id| breaks(&broken, id)) {
        return Err(survived(ids_of(&broken)));
    }
    if victim.violates.iter().any(|id| breaks(anyway, id)) {
        return Err(survived(format!("without it {}", ids_of(anyway))));
    }
    Ok(())
}

/// Makes a timeline's choices in a world that makes these mistakes, as far as they are enabled
/// there, goes on as a fair world does, and returns what breaks.
///
/// # Errors
///
/// [`ReplayError`] of a timeline that does not fit its own header.
pub fn broken_on(timeline: &Timeline, mutants: Mutants) -> Result<Vec<Violation>, ReplayError> {
    let mut timeline = timeline.clone();
    if !timeline.ends_fair() {
        timeline.body.push(BodyLine::Fair);
    }
    Ok(replay_on(&timeline, Mode::Lenient, mutants)?.violations)
}

fn ids_of(violations: &[Violation]) -> String {
    let ids: Vec<_> = violations.iter().map(|violation| violation.id).collect();
    if ids.is_empty() { "nothing".to_owned() } else { ids.join(",") }
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
