//! How fast it is: what a replay costs at each level, and the search beside a fixed piece of work.
//!
//! A figure in seconds says more about the machine than about the code. So the search is held against
//! a loop of fixed work that is measured in the same run, and that figure is kept beside the lock: a
//! core that has become twice as slow to search fails the push, a slow machine does not.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use super::choice::{Choice, Menu};
use super::conform::tell_trace;
use super::numbers::SplitMix64;
use super::sample::{Oracle as _, Uniform};
use super::search::{Report, cpu_now};
use super::world::World;
use super::{Config, Model};
use crate::mutant::Mutant;
use crate::replay::Run;
use crate::timeline::Choice as Line;

/// Choices of the schedule that is replayed.
const CHOICES: usize = 40;

/// Replays that are measured: of the model, and of the world.
const MODEL_REPLAYS: u32 = 50_000;
const WORLD_REPLAYS: u32 = 400;

/// Where the schedule is drawn.
const CONFIG: Config = Config { requests: 1, reports: 1, ..Config::TWO_PLAIN };

/// Rounds of the fixed work, and the words that it is done on: as many as a core's own cache holds.
const ROUNDS: u32 = 4_000_000;
const WORDS: usize = 1 << 15;

/// How often a measurement is made. The quickest counts: whoever else was at work only slows it.
const TIMES: usize = 3;

/// A search may be this many times slower than what is locked.
const SLOWDOWN_MAX: u64 = 2;

/// The first line of the file that the speed is locked in.
const HEADER: &str = "# choices of the push tier's searches in the time of a fixed piece of work, by `race-sim lock --bless`";

/// What a replay of one schedule costs.
#[derive(Clone, Copy, Debug)]
pub struct Replays {
    choices: u32,
    folded: Duration,
    checked: Duration,
    world: Duration,
}

/// Measures what a replay costs.
#[must_use]
pub fn replays() -> Replays {
    let mut model = Model::new(CONFIG, Mutant::None);
    let choices = schedule(&mut model);
    let lines = told(&choices);
    Replays {
        choices: choices.len() as u32,
        folded: quickest(|| fold_all(&mut model, &choices)) / MODEL_REPLAYS,
        checked: quickest(|| check_all(&mut model, &choices)) / MODEL_REPLAYS,
        world: quickest(|| replay_all(&lines)) / WORLD_REPLAYS,
    }
}

/// Draws schedules until one has enough choices.
fn schedule(model: &mut Model) -> Vec<Choice> {
    let mut menu = Menu::new();
    for seed in 0_u64.. {
        let mut oracle = Uniform::new(seed);
        let mut world = World::<2>::new(&CONFIG);
        let mut choices = Vec::with_capacity(CHOICES);
        loop {
            model.enabled(&world, &mut menu);
            if menu.as_slice().is_empty() {
                break;
            }
            if choices.len() == CHOICES {
                return choices;
            }
            let choice = menu.as_slice()[oracle.pick(menu.as_slice())];
            model.apply_to(&mut world, choice);
            choices.push(choice);
        }
    }
    Vec::new()
}

fn told(choices: &[Choice]) -> Vec<(u64, Line)> {
    let timeline = tell_trace(&CONFIG, Mutant::None, "measured", choices);
    let mut at_ms = 0;
    let lines = timeline.steps().map(|step| {
        at_ms = step.moment.after(at_ms);
        (at_ms, step.choice.clone())
    });
    lines.collect()
}

fn fold_all(model: &mut Model, choices: &[Choice]) {
    for _ in 0..MODEL_REPLAYS {
        let mut world = World::<2>::new(&CONFIG);
        for choice in choices {
            model.apply_to(&mut world, *choice);
        }
        black_box(&world);
    }
}

fn check_all(model: &mut Model, choices: &[Choice]) {
    let mut menu = Menu::new();
    for _ in 0..MODEL_REPLAYS {
        let mut world = World::<2>::new(&CONFIG);
        for choice in choices {
            model.enabled(&world, &mut menu);
            assert!(menu.as_slice().contains(choice), "`{choice}` is not enabled");
            model.apply_to(&mut world, *choice);
        }
        black_box(&world);
    }
}

fn replay_all(lines: &[(u64, Line)]) {
    for _ in 0..WORLD_REPLAYS {
        let mut run = Run::default();
        for (at_ms, line) in lines {
            if let Err(refusal) = run.choose(*at_ms, line) {
                panic!("the world refuses `{line}`: {refusal}");
            }
        }
        black_box(&run);
    }
}

fn quickest(mut work: impl FnMut()) -> Duration {
    let times = (0..TIMES).map(|_| {
        let began = cpu_now();
        work();
        cpu_now().saturating_sub(began)
    });
    times.min().unwrap_or_default()
}

impl fmt::Display for Replays {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { choices, folded, checked, world } = self;
        let rate = |time: &Duration| 1e3 / time.as_secs_f64().max(f64::EPSILON) / 1e6;
        write!(
            formatter,
            "replays of {choices} decoded choices: {:.0} k/s folded by the model ({:?} a choice), \
             {:.0} k/s with each choice looked for in the menu, {:.1} k/s in the world, judged",
            rate(folded),
            *folded / *choices,
            rate(checked),
            rate(world),
        )
    }
}

/// How many choices a search makes in the time of the fixed work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Speed(pub u64);

impl Speed {
    /// Measures the fixed work, and holds what the searches took against it.
    #[must_use]
    pub fn of(reports: &[Report]) -> Self {
        let transitions: u64 = reports.iter().map(|report| report.transitions).sum();
        let elapsed: Duration = reports.iter().map(|report| report.elapsed).sum();
        let work = quickest(fixed_work).as_secs_f64();
        let speed = transitions as f64 * work / elapsed.as_secs_f64().max(f64::EPSILON);
        Self(speed as u64)
    }

    /// Reads the figure that is locked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| !line.starts_with('#'))?;
        line.parse().ok().map(Self)
    }

    /// Returns the text of the file that it is locked in.
    #[must_use]
    pub fn render(self) -> String {
        format!("{HEADER}\n{}\n", self.0)
    }

    /// Says whether this is much slower than what is locked.
    #[must_use]
    pub const fn is_slower_than(self, locked: Self) -> bool {
        self.0.saturating_mul(SLOWDOWN_MAX) < locked.0
    }
}

/// Numbers without a pattern, and memory without one: what a search consists of.
fn fixed_work() {
    let mut numbers = SplitMix64::new(1);
    let mut words = vec![0_u64; WORDS];
    for _ in 0..ROUNDS {
        let number = numbers.next();
        let word = &mut words[number as usize % WORDS];
        *word = word.wrapping_add(number);
    }
    black_box(words);
}

#[cfg(test)]
mod tests {
    use super::{CHOICES, CONFIG, Speed, schedule, told};
    use crate::model::Model;
    use crate::mutant::Mutant;
    use crate::replay::Run;

    #[test]
    fn what_is_measured_is_one_schedule_at_both_levels() {
        let choices = schedule(&mut Model::new(CONFIG, Mutant::None));
        assert_eq!(choices.len(), CHOICES);
        let mut run = Run::default();
        let lines = told(&choices);
        assert!(lines.len() * 2 > CHOICES, "{lines:?}");
        for (at_ms, line) in lines {
            run.choose(at_ms, &line).expect("the world follows");
        }
    }

    #[test]
    fn twice_as_slow_is_too_slow_and_a_little_slower_is_not() {
        assert!(Speed(49).is_slower_than(Speed(100)));
        assert!(!Speed(50).is_slower_than(Speed(100)));
        assert!(!Speed(300).is_slower_than(Speed(100)));
        assert_eq!(Speed::parse(&Speed(7).render()), Some(Speed(7)));
        assert_eq!(Speed::parse("# nothing\n"), None);
    }
}
