//! Whether the searched model and the world on the shipped supervisor are the same daemon.
//!
//! The same choices are made at both levels, and both must leave the same trace. In one direction
//! every timeline of the corpus is translated for the model, so that what the world does the model
//! knows; in the other, schedules that are drawn in the model are told as timelines and replayed
//! strictly, so that the model allows nothing that the world does not do.
//!
//! What only one level can do is named: [`Untold`] for choices of the model, [`DEAF_TO`] for
//! timelines of the corpus. Both lists are closed, and tested to be exact.

mod deaf;
mod follow;
mod listen;
mod report;
mod tell;
mod trace;

use super::sample::Oracle;
use super::{Choice, Config};
use crate::invariants::Violation as Breach;
use crate::mutant::{Mutant, Mutants};
use crate::replay::{Mode, replay};
use crate::timeline::Timeline;

pub use deaf::{DEAF_TO, Deaf};
pub use listen::listen;
pub use report::{Conformance, TOLD, conform};
pub use tell::Untold;
pub use trace::{Difference, Trace};

use tell::Teller;

/// Choices of one schedule that is told as a timeline, at most.
const CHOICES_MAX: usize = 120;

/// A schedule of the model that the world did not follow.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// What differs.
    pub difference: String,
    /// The schedule, as far as it was told.
    pub timeline: Timeline,
}

/// What became of schedules that were told as timelines.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Schedules.
    pub runs: u64,
    /// Choices of the model.
    pub choices: u64,
    /// Choices that were passed over because the world has no word for them, each kind once.
    pub untold: Vec<Untold>,
    /// The first schedule that the world did not follow.
    pub first: Option<Box<Divergence>>,
}

/// Draws schedules in the model, tells each as a timeline while it is drawn, and compares the traces.
///
/// `config` must not be symmetric. With a mutant, the model alone makes its mistake, so that the
/// traces should differ.
#[must_use]
pub fn tell_sampled(config: &Config, mutant: Mutant, oracle: &mut dyn Oracle, runs: u64) -> Told {
    let mut told = Told::default();
    let mut teller = Teller::new(*config, mutant, Mutants::NONE);
    while told.runs < runs && told.first.is_none() {
        told.runs += 1;
        oracle.begin();
        teller.restart();
        while teller.choices_made() < CHOICES_MAX {
            let menu = teller.menu(&mut told.untold);
            if menu.is_empty() {
                break;
            }
            teller.tell(menu[oracle.pick(&menu)]);
            if teller.complaint().is_some() {
                break;
            }
        }
        told.choices += teller.choices_made() as u64;
        teller.end();
        let difference = teller.difference().or_else(|| again(&teller));
        told.first = difference
            .map(|difference| Box::new(Divergence { difference, timeline: teller.timeline() }));
    }
    told
}

/// Replays what was told, from its text.
fn again(teller: &Teller) -> Option<String> {
    let text = teller.timeline().to_string();
    let timeline: Timeline = match text.parse() {
        Ok(timeline) => timeline,
        Err(error) => return Some(format!("its text cannot be read: {error}")),
    };
    match replay(&timeline, Mode::Strict) {
        Err(error) => Some(error.to_string()),
        Ok(outcome) => {
            let breaches = outcome.violations.iter().map(Breach::to_string);
            let breaches: Vec<_> = breaches.collect();
            (!breaches.is_empty()).then(|| breaches.join("\n"))
        }
    }
}

/// Tells choices that a search has found as a timeline. Where a mutant is one of the model alone, the
/// world may refuse some of them: replay it leniently.
#[must_use]
pub fn tell_trace(config: &Config, mutant: Mutant, title: &str, trace: &[Choice]) -> Timeline {
    let mut teller = Teller::new(*config, mutant, Mutants::only(mutant));
    for choice in trace {
        teller.tell(*choice);
    }
    teller.end_stored();
    teller.timeline_of(title)
}

/// Returns the choices with the sessions that they are really about: a symmetric search sorts the
/// sessions of each world, and names them by their places.
pub(super) fn unsorted(config: &Config, mutant: Mutant, trace: &[Choice]) -> Vec<Choice> {
    follow::unsorted(config, mutant, trace)
}
