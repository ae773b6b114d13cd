//! A failure, told on one screen: the lanes up to the breach, what does not hold, how much of the
//! schedule it takes, and which two steps have the wrong order.

use std::fmt;

use crate::handle::handle;
use crate::lanes;
use crate::mutant::Mutants;
use crate::order::{Order, order_of};
use crate::shrink::Failing;
use crate::timeline::Timeline;

/// A failure with everything that a reader is told about it.
#[derive(Clone, Debug)]
pub struct Story {
    /// What reports call it: the id of its timeline, or the seed.
    pub name: String,
    /// The failure, as it is shown.
    pub failing: Failing,
    /// The choices of which it was made.
    pub choices: usize,
    /// What the order of its choices has to do with it.
    pub order: Order,
}

impl Story {
    /// Tells a failure as it is.
    #[must_use]
    pub fn of(name: &str, failing: Failing) -> Self {
        let (choices, order) = (failing.schedule.len(), order_of(&failing));
        Self { name: name.to_owned(), failing, choices, order }
    }

    /// Makes a failure short, and tells that.
    #[must_use]
    pub fn of_shrunk(name: &str, failing: &Failing) -> Self {
        Self { choices: failing.schedule.len(), ..Self::of(name, failing.shrunk()) }
    }

    /// Replays a timeline in a world with these mistakes, and tells its failure, made short; `None`
    /// where nothing breaks.
    #[must_use]
    pub fn of_timeline(timeline: &Timeline, mutants: Mutants) -> Option<Self> {
        let failing = Failing::of_timeline(timeline, mutants)?;
        Some(Self::of_shrunk(timeline.id(), &failing))
    }
}

impl fmt::Display for Story {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failing { schedule, ends_fair, key, trial, mutants } = &self.failing;
        let Some(breach) = key.find(trial) else {
            return writeln!(formatter, "{} breaks nothing", self.name);
        };
        let world =
            if *mutants == Mutants::NONE { String::new() } else { format!(" under {mutants}") };
        writeln!(formatter, "{}: {}", breach.id, breach.claim)?;
        let is_fair = trial.made.iter().take(breach.step).any(|made| made.is_fair);
        let fair = if is_fair { "; a dot marks what the fair end chose" } else { "" };
        let (kept, choices) = (schedule.len(), self.choices);
        writeln!(formatter, "{}{world}, {kept} of {choices} choices kept{fair}\n", self.name)?;
        formatter.write_str(&lanes::render_failure(trial, breach))?;
        let others = trial.violations.iter().filter(|other| other.id != breach.id);
        let others: Vec<_> = others.map(|other| other.id).collect();
        if !others.is_empty() {
            writeln!(formatter, "also broken: {}", others.join(", "))?;
        }
        // A handle is of what ships; who looks for a mutant has its file.
        let handle = handle(schedule, *ends_fair).filter(|_| *mutants == Mutants::NONE);
        if let Some(handle) = handle {
            writeln!(formatter, "again: race-sim replay {handle}")?;
        }
        writeln!(formatter, "{}", self.order)
    }
}
