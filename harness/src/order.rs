//! The two steps whose order matters: exchange them, and what failed passes.

use std::fmt;

use crate::shrink::{Failing, Key, exchanged};
use crate::timeline::Choice;
use crate::trial::{Manner, Otherwise, Timed, Trial};

/// How far two steps may lie apart that are exchanged.
const DISTANCE_MAX: usize = 8;

/// Exchanges that are tried, at most.
const EXCHANGES_MAX: usize = 1_000;

/// What the order of the choices has to do with a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Two steps in the other order, and it passes.
    Matters {
        /// The one that comes first, with its number.
        first: (usize, Choice),
        /// The one that comes later, with its number.
        second: (usize, Choice),
        /// How many other choices cannot be made then.
        others_missing: usize,
    },
    /// No exchange that was tried passes.
    NeverHelps {
        /// What it breaks.
        key: Key,
        /// How many were tried.
        tried: usize,
    },
}

/// What a choice that cannot be made after an exchange counts, in steps between the two: a nearer
/// pair tells more, and so does one after which everything else still happens.
const MISSING_COUNTS: usize = 2;

/// Looks for the two steps whose order matters: neighbours first, then steps that lie no further
/// apart than `DISTANCE_MAX`, and of those the later ones first. A choice that the exchange
/// disables is made as soon as it can be.
#[must_use]
pub fn order_of(failing: &Failing) -> Order {
    let made = failing.trial.made.iter().take(failing.step());
    let steps: Vec<Timed> = made.map(|made| (made.at_ms, made.choice.clone())).collect();
    let mut best: Option<(usize, Order)> = None;
    let mut tried = 0;
    let pairs = (1..=DISTANCE_MAX).flat_map(|distance| {
        (distance..steps.len()).rev().map(move |second| (second - distance, second))
    });
    for (first, second) in pairs.take(EXCHANGES_MAX) {
        let distance = second - first;
        if best.as_ref().is_some_and(|(score, _)| *score <= distance) {
            break;
        }
        tried += 1;
        let Some(others_missing) = passes_exchanged(failing, &steps, first, second) else {
            continue;
        };
        let score = distance + MISSING_COUNTS * others_missing;
        if best.as_ref().is_none_or(|(known, _)| score < *known) {
            let step = |at: usize| (at + 1, steps[at].1.clone());
            let order = Order::Matters { first: step(first), second: step(second), others_missing };
            best = Some((score, order));
        }
    }
    let never = || Order::NeverHelps { key: failing.key.clone(), tried };
    best.map_or_else(never, |(_, order)| order)
}

/// Returns how many other choices cannot be made any more where the exchange passes, and `None`
/// where it breaks something or cannot be made.
fn passes_exchanged(
    failing: &Failing,
    steps: &[Timed],
    first: usize,
    second: usize,
) -> Option<usize> {
    let exchanged = exchanged(steps, first, second);
    let manner = Manner {
        mutants: failing.mutants,
        renames: true,
        otherwise: Otherwise::Wait,
        ends_fair: true,
    };
    let trial = Trial::run(&exchanged, manner);
    // The second of them stands at the place of the first now.
    let place_of = |wanted: usize| trial.places.iter().position(|place| *place == wanted);
    let is_exchanged = place_of(first)? < place_of(second)?;
    let passes = trial.violations.is_empty() && is_exchanged;
    passes.then(|| steps.len() - trial.places.len())
}

/// One line.
impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matters { first, second, others_missing } => {
                let ((one, sooner), (two, later)) = (first, second);
                write!(
                    formatter,
                    "the order that matters: [{one} {sooner}] before [{two} {later}]; swap them \
                     and it passes"
                )?;
                match others_missing {
                    0 => Ok(()),
                    1 => formatter
                        .write_str(" (without one other choice, which cannot be made then)"),
                    more => {
                        write!(formatter, " (without {more} others, which cannot be made then)")
                    }
                }
            }
            Self::NeverHelps { key, tried } => write!(
                formatter,
                "no order helps against {}: each swap of two near choices ({tried} tried) breaks \
                 something, or cannot be made",
                key.id
            ),
        }
    }
}
