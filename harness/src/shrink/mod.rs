//! Makes a failing schedule short and plain, for as long as it fails in the same way.
//!
//! The passes, in order: cut after the breach; leave out whole sessions and clients; leave out
//! choices, many at a time and then one by one; make outcomes simpler and waits shorter; bring
//! choices that do not touch each other into an order that jumps less between lanes. A candidate
//! counts only where it breaks the same thing: see [`Key`].

mod key;
mod simpler;

use crate::mutant::{Mutant, Mutants};
use crate::random::Schedule;
use crate::replay::{Mode, replay_on};
use crate::timeline::{Expectation, HeadLine, Timeline};
use crate::trial::{Manner, Otherwise, Timed, Trial, entry, schedule_of, timeline_of};

pub use key::Key;
pub(crate) use simpler::exchanged;

/// Replays that one shrinking may cost, at most.
const REPLAYS_MAX: usize = 20_000;

/// A schedule that breaks something, and what it breaks.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The choices.
    pub schedule: Vec<Timed>,
    /// Whether a fair end belongs to them.
    pub ends_fair: bool,
    /// The mistakes of the world in which it breaks something.
    pub mutants: Mutants,
    /// What it breaks.
    pub key: Key,
    /// Its run in that world.
    pub trial: Trial,
}

impl Failing {
    /// Runs a schedule and returns its failure, or `None` where nothing breaks.
    ///
    /// The breach is the first of an invariant that `wanted` names, or where it breaks none of
    /// them, the first of all.
    #[must_use]
    pub fn of(
        schedule: &[Timed],
        ends_fair: bool,
        mutants: Mutants,
        wanted: &[String],
    ) -> Option<Self> {
        let trial = run(schedule, ends_fair, mutants);
        let breaches = &trial.violations;
        let breach_of = |id: &String| breaches.iter().find(|violation| violation.id == id);
        let named = wanted.iter().find_map(breach_of);
        let key = Key::of(named.or_else(|| breaches.first())?, &trial);
        Some(Self { schedule: schedule.to_vec(), ends_fair, mutants, key, trial })
    }

    /// Runs a timeline in a world with these mistakes, and returns its failure. What the header says
    /// that it breaks there is looked for first.
    #[must_use]
    pub fn of_timeline(timeline: &Timeline, mutants: Mutants) -> Option<Self> {
        let ends_fair = timeline.ends_fair() || mutants != Mutants::NONE;
        Self::of(&schedule_of(timeline), ends_fair, mutants, &named_by(timeline, mutants))
    }

    /// Returns the failure of a schedule that was drawn.
    #[must_use]
    pub fn of_drawn(drawn: &Schedule) -> Option<Self> {
        Self::of(&drawn.steps, drawn.ends_fair, Mutants::NONE, &[])
    }

    /// Returns the step of the breach, counted from 1 along the choices that were made.
    #[must_use]
    pub fn step(&self) -> usize {
        self.key.find(&self.trial).map_or(self.trial.made.len(), |violation| violation.step)
    }

    /// Returns the shortest and plainest schedule that was found to break the same.
    ///
    /// With a mistake in the world, the choices stay such that what ships can make each of them and
    /// breaks nothing: so that the result can join the corpus as a witness of the mutant.
    #[must_use]
    pub fn shrunk(&self) -> Self {
        let mut shrinker = Shrinker { best: self.clone(), replays: 0 };
        shrinker.cut();
        shrinker.drop_actors();
        shrinker.drop_choices();
        shrinker.simplify();
        shrinker.drop_choices();
        shrinker.commute();
        shrinker.best
    }

    /// Says whether this breaks what the original broke, which whoever prints it promises.
    #[must_use]
    pub fn is_faithful_to(&self, original: &Self) -> bool {
        let manner = Manner { mutants: self.mutants, ends_fair: self.ends_fair, ..Manner::PLAIN };
        let again = Trial::run(&self.schedule, manner);
        original.key.find(&again).is_some()
    }

    /// Returns it as a timeline for the corpus: with the breach that is expected, and with the
    /// golden block of what ships.
    #[must_use]
    pub fn to_timeline(&self, mut head: Vec<HeadLine>, mutant: Option<Mutant>) -> Timeline {
        match mutant {
            None => head.push(entry("expect", format!("violates {}", self.key.id))),
            Some(mutant) => {
                head.push(entry("expect", "pass"));
                head.push(entry("mutant", format!("{mutant} violates {}", self.key.id)));
            }
        }
        // A witness of a mutant is followed by a fair end whenever the mutant is looked for.
        let ends_fair = self.ends_fair && mutant.is_none();
        let mut timeline = timeline_of(head, &self.schedule, ends_fair);
        let golden =
            replay_on(&timeline, Mode::Strict, Mutants::NONE).map(|outcome| outcome.golden);
        timeline.golden = golden.ok();
        timeline
    }
}

/// Returns what the header says that breaks in a world with these mistakes.
fn named_by(timeline: &Timeline, mutants: Mutants) -> Vec<String> {
    let is_meant = |mutant: &str| mutant.parse().is_ok_and(|mutant| mutants.has(mutant));
    let victims = timeline.victims().filter(|victim| is_meant(&victim.mutant));
    let ids = victims.flat_map(|victim| victim.violates);
    let expected = match timeline.expectation() {
        Expectation::Violates(ids) => ids,
        Expectation::Pass => Vec::new(),
    };
    ids.chain(expected).collect()
}

fn run(schedule: &[Timed], ends_fair: bool, mutants: Mutants) -> Trial {
    Trial::run(schedule, Manner { mutants, ends_fair, ..Manner::PLAIN })
}

/// A shrinking on its way.
struct Shrinker {
    best: Failing,
    replays: usize,
}

impl Shrinker {
    /// Runs a candidate, and returns what is left of it where it breaks the same.
    fn attempt(&mut self, candidate: &[Timed], ends_fair: bool) -> Option<Failing> {
        if self.replays >= REPLAYS_MAX {
            return None;
        }
        self.replays += 1;
        let Failing { mutants, key, .. } = &self.best;
        let (mutants, key) = (*mutants, key.clone());
        let manner =
            Manner { mutants: Mutants::NONE, renames: true, otherwise: Otherwise::Skip, ends_fair };
        let shipped = Trial::run(candidate, manner);
        let schedule = shipped.chosen();
        // A world with mistakes is replayed as the corpus replays it: without new names.
        let trial = if mutants == Mutants::NONE {
            shipped
        } else if shipped.violations.is_empty() {
            run(&schedule, ends_fair, mutants)
        } else {
            return None;
        };
        let breaks_the_same = key.find(&trial).is_some()
            // M37: a shrinker that takes any breach for the one that it was given.
            || mutants.has(Mutant::M37) && !trial.violations.is_empty();
        breaks_the_same.then_some(Failing { schedule, ends_fair, mutants, key, trial })
    }

    /// Takes a candidate that is shorter than the best.
    fn take_shorter(&mut self, candidate: &[Timed], ends_fair: bool) -> bool {
        let length = self.best.schedule.len();
        let found = self.attempt(candidate, ends_fair);
        let Some(found) = found.filter(|found| found.schedule.len() < length) else {
            return false;
        };
        self.best = found;
        true
    }

    /// Takes a candidate that is no longer than the best, and plainer in a way that its caller knows.
    fn take_plainer(&mut self, candidate: &[Timed]) -> bool {
        let length = self.best.schedule.len();
        let found = self.attempt(candidate, self.best.ends_fair);
        let Some(found) = found.filter(|found| found.schedule.len() <= length) else {
            return false;
        };
        self.best = found;
        true
    }

    /// Leaves out everything after the breach.
    fn cut(&mut self) {
        let step = self.best.step();
        let places = &self.best.trial.places;
        let kept = places.iter().take(step).map(|place| self.best.schedule[*place].clone());
        let kept: Vec<_> = kept.collect();
        let ends_fair = step > places.len() || self.best.mutants != Mutants::NONE;
        if let Some(found) = self.attempt(&kept, ends_fair) {
            self.best = found;
        } else {
            // The breach is one of the fair end, or of rest: there is nothing to cut.
            let whole = self.best.schedule.clone();
            let found = self.attempt(&whole, self.best.ends_fair);
            self.best = found.unwrap_or_else(|| self.best.clone());
        }
    }

    /// Leaves out each session and each client with everything that is about it.
    fn drop_actors(&mut self) {
        for actor in simpler::actors(&self.best.schedule) {
            let kept = simpler::without(&self.best.schedule, &actor);
            self.take_shorter(&kept, self.best.ends_fair);
        }
    }

    /// Leaves out choices, until none can be left out.
    fn drop_choices(&mut self) {
        let ends_fair = self.best.ends_fair;
        let whole = self.best.schedule.clone();
        ddmin(whole, |candidate| {
            let is_taken = self.take_shorter(candidate, ends_fair);
            is_taken.then(|| self.best.schedule.clone())
        });
    }

    /// Makes outcomes and launches simpler, and waits shorter.
    fn simplify(&mut self) {
        let mut place = 0;
        while place < self.best.schedule.len() {
            let choice = self.best.schedule[place].1.clone();
            let simpler = simpler::simpler(&choice).into_iter().find(|simpler| {
                let mut candidate = self.best.schedule.clone();
                candidate[place].1 = simpler.clone();
                self.take_plainer(&candidate)
            });
            // What was made simpler may become simpler still.
            place += usize::from(simpler.is_none());
        }
        for place in 0..self.best.schedule.len() {
            self.shorten_wait(place);
        }
    }

    /// Finds the shortest wait before a choice, as far as a shorter one always does where a longer
    /// one does.
    fn shorten_wait(&mut self, place: usize) {
        let before_ms = |schedule: &[Timed]| {
            place.checked_sub(1).and_then(|before| schedule.get(before)).map_or(0, |step| step.0)
        };
        let Some(wait_ms) = self.best.schedule.get(place).map(|step| step.0) else { return };
        let mut longest_ms = wait_ms.saturating_sub(before_ms(&self.best.schedule));
        let mut shortest_ms = 0;
        while shortest_ms < longest_ms {
            let middle_ms = shortest_ms + (longest_ms - shortest_ms) / 2;
            let saved_ms = longest_ms - middle_ms;
            let mut candidate = self.best.schedule.clone();
            candidate.iter_mut().skip(place).for_each(|step| step.0 -= saved_ms);
            if self.take_plainer(&candidate) {
                longest_ms = middle_ms;
            } else {
                shortest_ms = middle_ms + 1;
            }
        }
    }

    /// Exchanges neighbours that do not touch each other, where that jumps less between lanes.
    fn commute(&mut self) {
        let mut place = 0;
        while place + 1 < self.best.schedule.len() {
            let candidate = exchanged(&self.best.schedule, place, place + 1);
            let before = simpler::lane_switches(&self.best.schedule);
            let jumps_less = simpler::lane_switches(&candidate) < before;
            let happened = simpler::what_happened(&self.best.trial);
            let found = jumps_less.then(|| self.attempt(&candidate, self.best.ends_fair)).flatten();
            match found.filter(|found| simpler::what_happened(&found.trial) == happened) {
                Some(found) => {
                    self.best = found;
                    place = place.saturating_sub(1);
                }
                None => place += 1,
            }
        }
    }
}

/// Returns a schedule that breaks the same, and from which no single choice can be left out. A
/// schedule that breaks nothing comes back as it is.
#[must_use]
pub fn shrink(schedule: Schedule) -> Schedule {
    let Some(failing) = Failing::of_drawn(&schedule) else {
        return schedule;
    };
    let Failing { schedule: steps, ends_fair, trial, .. } = failing.shrunk();
    let Trial { violations, log, .. } = trial;
    Schedule { seed: schedule.seed, steps, ends_fair, violations, log }
}

/// Returns a schedule of which `holds` is true as it is of this one, and of none that leaves out a
/// single choice more.
#[must_use]
pub fn shrink_while(schedule: Schedule, holds: impl Fn(&Schedule) -> bool) -> Schedule {
    let Schedule { seed, ends_fair, .. } = schedule;
    let whole = schedule.steps.clone();
    let mut best = schedule;
    let mut replays = 0;
    ddmin(whole, |steps| {
        replays += 1;
        if replays > REPLAYS_MAX {
            return None;
        }
        let candidate = drawn(seed, steps, ends_fair);
        if candidate.steps.len() >= best.steps.len() || !holds(&candidate) {
            return None;
        }
        best = candidate;
        Some(best.steps.clone())
    });
    best
}

/// Leaves out ever smaller runs of choices. `take` says what is left of a candidate that it took.
fn ddmin(whole: Vec<Timed>, mut take: impl FnMut(&[Timed]) -> Option<Vec<Timed>>) {
    let mut best = whole;
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < best.len() {
            let mut steps = best.clone();
            steps.drain(at..steps.len().min(at + size));
            if let Some(shorter) = take(&steps) {
                best = shorter;
                has_shrunk = true;
            } else {
                at += size;
            }
        }
        if !has_shrunk {
            size /= 2;
        }
    }
}

/// Runs what is enabled of these choices, under the names that things have then.
fn drawn(seed: u64, steps: &[Timed], ends_fair: bool) -> Schedule {
    let trial = Trial::run(steps, Manner { renames: true, ends_fair, ..Manner::PLAIN });
    let steps = trial.chosen();
    let Trial { violations, log, .. } = trial;
    Schedule { seed, steps, ends_fair, violations, log }
}
