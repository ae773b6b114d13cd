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

/// Looks for the two steps whose order matters: neighbours first, then steps that lie nearer than
/// [`DISTANCE_MAX`]. A choice that the exchange disables is made as soon as it can be.
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
        tried += 1;
        let Some(others_missing) = passes_exchanged(failing, &steps, first, second) else {
            continue;
        };
        if best.as_ref().is_none_or(|(missing, _)| others_missing < *missing) {
            let step = |at: usize| (at + 1, steps[at].1.clone());
            let order = Order::Matters { first: step(first), second: step(second), others_missing };
            best = Some((others_missing, order));
        }
        if others_missing == 0 {
            break;
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
                "no order helps against {}: each of {tried} swaps of two of these choices breaks \
                 something, or cannot be made",
                key.id
            ),
        }
    }
}
