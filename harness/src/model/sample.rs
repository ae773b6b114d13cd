//! Schedules drawn at random, for what is too big to be searched.

use std::time::Duration;

use super::choice::{Choice, Menu};
use super::law::bit;
use super::numbers::SplitMix64;
use super::rest::is_at_rest;
use super::search::{cpu_now, name_of};
use super::world::World;
use super::{Config, Model, SESSIONS_MAX};
use crate::mutant::Mutant;

/// Choices of one schedule, at most.
const CHOICES_MAX: usize = 400;

/// Choices that one schedule is expected to have, among which changes of priority are drawn.
const CHOICES_EXPECTED: usize = 120;

/// Those who act: for each session its user, store, process, client and daemon's task; and the
/// one who kills and starts daemons.
const ACTORS: usize = SESSIONS_MAX * ACTORS_PER_SESSION + 1;
const ACTORS_PER_SESSION: usize = 5;

/// Changes of priority in one schedule, at most.
const CHANGES_MAX: usize = 8;

/// Who picks the next choice.
pub trait Oracle {
    /// Begins a new schedule.
    fn begin(&mut self);

    /// Picks one of the enabled choices, of which there is at least one.
    fn pick(&mut self, enabled: &[Choice]) -> usize;
}

/// Each choice is as likely as any other.
pub struct Uniform(SplitMix64);

impl Uniform {
    /// Draws by a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }
}

impl Oracle for Uniform {
    fn begin(&mut self) {}

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        self.0.below(enabled.len())
    }
}

/// Priorities drawn once and changed at `depth - 1` moments, so that somebody is held back for long.
///
/// Source: Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding
/// bugs", 2010.
pub struct Pct {
    numbers: SplitMix64,
    depth: usize,
    priorities: [u32; ACTORS],
    changes: [usize; CHANGES_MAX],
    step: usize,
}

impl Pct {
    /// Draws by a seed, for bugs that need `depth` things in one order.
    #[must_use]
    pub fn new(seed: u64, depth: usize) -> Self {
        let depth = depth.clamp(1, CHANGES_MAX);
        let numbers = SplitMix64::new(seed);
        Self { numbers, depth, priorities: [0; ACTORS], changes: [0; CHANGES_MAX], step: 0 }
    }
}

impl Oracle for Pct {
    fn begin(&mut self) {
        self.step = 0;
        for priority in &mut self.priorities {
            *priority = 1 + (self.numbers.next() >> 33) as u32;
        }
        for change in self.changes.iter_mut().take(self.depth - 1) {
            *change = 1 + self.numbers.below(CHOICES_EXPECTED);
        }
    }

    fn pick(&mut self, enabled: &[Choice]) -> usize {
        self.step += 1;
        let highest = enabled.iter().map(|choice| self.priorities[actor(*choice)]).max();
        let of_highest = |choice: &Choice| Some(self.priorities[actor(*choice)]) == highest;
        let count = enabled.iter().filter(|choice| of_highest(choice)).count();
        let nth = self.numbers.below(count.max(1));
        let chosen = enabled.iter().enumerate().filter(|(_, choice)| of_highest(choice)).nth(nth);
        let chosen = chosen.map_or(0, |(at, _)| at);
        if self.changes[..self.depth - 1].contains(&self.step) {
            self.priorities[actor(enabled[chosen])] = 0;
        }
        chosen
    }
}

fn actor(choice: Choice) -> usize {
    let role = choice.verb.role();
    role.map_or(ACTORS - 1, |role| usize::from(choice.session) * ACTORS_PER_SESSION + role)
}

/// What a number of schedules came to.
#[derive(Clone, Debug, Default)]
pub struct Sampled {
    /// Schedules.
    pub runs: u64,
    /// Choices in all.
    pub choices: u64,
    /// How much of a core's time it took.
    pub elapsed: Duration,
    /// The invariants that broke, and the choices of the first schedule that broke one.
    pub broken: Vec<String>,
    /// Those choices.
    pub trace: Vec<Choice>,
}

impl Sampled {
    /// Returns how many schedules were run in a second.
    #[must_use]
    pub fn runs_per_second(&self) -> f64 {
        self.runs as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// Runs schedules until one breaks an invariant.
pub fn sample(config: &Config, oracle: &mut dyn Oracle, runs: u64) -> Sampled {
    match config.slots() {
        1 => sample_worlds::<1>(config, oracle, runs),
        2 => sample_worlds::<2>(config, oracle, runs),
        _ => sample_worlds::<SESSIONS_MAX>(config, oracle, runs),
    }
}

fn sample_worlds<const N: usize>(config: &Config, oracle: &mut dyn Oracle, runs: u64) -> Sampled {
    let mut model = Model::new(*config, Mutant::None);
    let mut sampled = Sampled::default();
    let mut menu = Menu::new();
    let began = cpu_now();
    let mut trace = Vec::with_capacity(CHOICES_MAX);
    while sampled.runs < runs && sampled.broken.is_empty() {
        sampled.runs += 1;
        oracle.begin();
        trace.clear();
        let mut world = World::<N>::new(config);
        let mut broken = 0;
        while broken == 0 && trace.len() < CHOICES_MAX {
            model.enabled(&world, &mut menu);
            if is_at_rest(&menu) {
                broken |= model.judge_rest(&world);
            }
            if menu.as_slice().is_empty() {
                break;
            }
            let choice = menu.as_slice()[oracle.pick(menu.as_slice())];
            world = model.apply(&world, choice);
            broken |= model.broken;
            trace.push(choice);
        }
        sampled.choices += trace.len() as u64;
        if broken != 0 {
            let numbers = (0..64).filter(|number| broken & bit(*number) != 0);
            sampled.broken = numbers.map(name_of).collect();
            sampled.trace.clone_from(&trace);
        }
    }
    sampled.elapsed = cpu_now().saturating_sub(began);
    sampled
}
