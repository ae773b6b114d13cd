//! What must hold at every step of every replay, each with the id by which reports call it.
//!
//! An invariant reads the ghost log, and where it speaks of rest also what is in memory then. It
//! never asks core what is right: tables and rules are written down here once more.

mod api;
mod chain;
mod history;
mod process;
mod recovery;
mod status;
mod verdict;

#[cfg(test)]
mod forge;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod tests;

use std::fmt;

pub use history::History;

use crate::ghost::Entry;
use crate::world::Rest;

/// What an invariant found: nothing, or what is wrong.
type Finding = Option<String>;

/// One thing that must hold.
pub struct Invariant {
    /// Its name in code, reports and documents.
    pub id: &'static str,
    /// What it claims.
    pub claim: &'static str,
    on_entry: Option<fn(&History, &Entry) -> Finding>,
    at_rest: Option<fn(&History, &Rest) -> Finding>,
    at_fair_end: Option<fn(&History, &Rest) -> Finding>,
}

impl Invariant {
    const fn new(id: &'static str, claim: &'static str) -> Self {
        Self { id, claim, on_entry: None, at_rest: None, at_fair_end: None }
    }

    const fn on_entry(self, check: fn(&History, &Entry) -> Finding) -> Self {
        Self { on_entry: Some(check), ..self }
    }

    const fn at_rest(self, check: fn(&History, &Rest) -> Finding) -> Self {
        Self { at_rest: Some(check), ..self }
    }

    const fn at_fair_end(self, check: fn(&History, &Rest) -> Finding) -> Self {
        Self { at_fair_end: Some(check), ..self }
    }
}

/// Every invariant, in the order of its number.
pub const ALL: [Invariant; 33] = [
    Invariant::new("INV-01", "every durable change follows the edge table").on_entry(status::edges),
    Invariant::new("INV-02", "no status contradicts the facts that are known at its revision")
        .on_entry(verdict::facts),
    Invariant::new("INV-03", "the same evidence has the same verdict")
        .on_entry(verdict::is_a_function),
    Invariant::new("INV-04", "a terminal status absorbs everything").on_entry(status::absorbs),
    Invariant::new("INV-05", "what somebody asked to end is shown as interrupted, never as failed")
        .on_entry(verdict::interrupted),
    Invariant::new("INV-06", "a verdict carries its reason, and times match the changes")
        .on_entry(verdict::carries_reason),
    Invariant::new("INV-07", "running needs a process, and starting does not last")
        .on_entry(status::running_needs_process)
        .at_rest(status::starting_does_not_last),
    Invariant::new("INV-08", "the rank of a status never falls").on_entry(status::rank),
    Invariant::new("INV-09", "revisions are consecutive, and each names the one before")
        .on_entry(chain::revisions),
    Invariant::new("INV-10", "event k is exactly the change from revision k-1 to k")
        .on_entry(chain::events),
    Invariant::new("INV-11", "nothing is published before it is durable")
        .on_entry(chain::published_is_durable),
    Invariant::new("INV-12", "a client sees every event once and in order")
        .on_entry(chain::delivered_in_order),
    Invariant::new("INV-13", "at rest, what was stored last was published")
        .at_rest(chain::all_is_published),
    Invariant::new("INV-14", "a client shows nothing older, and at rest what the store has")
        .on_entry(chain::views_do_not_go_back)
        .at_rest(chain::clients_are_up_to_date),
    Invariant::new("INV-15", "nobody waits for a slow client").at_rest(chain::nobody_is_held_up),
    Invariant::new("INV-16", "a change touches only what its cause may change")
        .on_entry(status::touches_its_own),
    Invariant::new("INV-17", "a rung and its reason are durable before its signal")
        .on_entry(process::durable_before_signal),
    Invariant::new("INV-18", "no signal to a process that is known gone or not ours")
        .on_entry(process::signals_only_ours),
    Invariant::new("INV-19", "one session is one launch and one process")
        .on_entry(process::one_process),
    Invariant::new("INV-20", "the end of a process is told once").on_entry(process::seen_once),
    Invariant::new("INV-21", "the ladder climbs rung by rung, each with its grace, and to the top")
        .on_entry(process::ladder)
        .at_rest(process::ladder_is_armed),
    Invariant::new("INV-22", "a terminal session has no live process")
        .on_entry(process::terminal_is_gone),
    Invariant::new("INV-24", "the end is written after the last output is read")
        .on_entry(verdict::output_is_read),
    Invariant::new("INV-25", "every stop is taken, and an accepted one is durable")
        .on_entry(api::accepted_is_durable),
    Invariant::new("INV-26", "asking twice is one stop, and one session is continued by one")
        .on_entry(api::idempotent),
    Invariant::new("INV-27", "replies tell the truth").on_entry(api::truthful),
    Invariant::new("INV-28", "what users are shown as open is what is open")
        .at_rest(chain::lists_are_the_store),
    Invariant::new("INV-29", "memory is never ahead of the store, and at rest not behind it")
        .at_rest(recovery::memory_is_the_store),
    Invariant::new("INV-30", "every live session is driven, and holds its process")
        .on_entry(recovery::none_is_left_behind)
        .at_rest(recovery::live_is_driven),
    Invariant::new("INV-31", "taking over twice is taking over once")
        .on_entry(recovery::is_idempotent),
    Invariant::new("INV-32", "whom a second writer has usurped writes no more")
        .on_entry(recovery::usurped_is_silent),
    Invariant::new("INV-34", "in a fair world, what was asked to end ends")
        .at_fair_end(recovery::comes_to_an_end),
    Invariant::new("INV-35", "an agent gets each answer once, and as it is stored")
        .on_entry(api::answers_are_given_once),
];

/// One breach, with where it happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which invariant.
    pub id: &'static str,
    /// What it claims.
    pub claim: &'static str,
    /// What is the case instead.
    pub message: String,
    /// The choice that led to it, counted from 1.
    pub step: usize,
    /// When, in milliseconds from the beginning.
    pub at_ms: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, claim, message, step, at_ms } = self;
        write!(formatter, "{id} ({claim}) at choice {step}, @{at_ms}: {message}")
    }
}

/// Watches one replay.
#[derive(Default)]
pub struct Monitor {
    history: History,
    violations: Vec<Violation>,
}

impl Monitor {
    /// Takes the next entry of the log.
    pub fn observe(&mut self, entry: &Entry) {
        for invariant in &ALL {
            let finding = invariant.on_entry.and_then(|check| check(&self.history, entry));
            self.report(invariant, finding, (entry.step, entry.at_ms));
        }
        self.history.add(entry);
    }

    /// Looks at the world between two choices.
    pub fn rest(&mut self, rest: &Rest) {
        for invariant in &ALL {
            let finding = invariant.at_rest.and_then(|check| check(&self.history, rest));
            self.report(invariant, finding, self.history.moment());
        }
    }

    /// Looks at the world when a fair policy has nothing left to do.
    pub fn fair_end(&mut self, rest: &Rest) {
        for invariant in &ALL {
            let finding = invariant.at_fair_end.and_then(|check| check(&self.history, rest));
            self.report(invariant, finding, self.history.moment());
        }
    }

    /// Returns the breaches, in the order in which they came to light.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn report(&mut self, invariant: &Invariant, finding: Finding, moment: (usize, u64)) {
        let is_new = || self.violations.iter().all(|known| known.id != invariant.id);
        if let Some(message) = finding
            && is_new()
        {
            let Invariant { id, claim, .. } = *invariant;
            let (step, at_ms) = moment;
            self.violations.push(Violation { id, claim, message, step, at_ms });
        }
    }
}
