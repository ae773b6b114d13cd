//! Schedules that nobody wrote: one enabled choice after the other, drawn by a seed.
//!
//! Each schedule draws weights of its own first, so that some schedules never crash and others
//! hardly do anything else: even odds would starve the races that need one thing held back for long.

use std::num::{NonZeroU32, NonZeroU64};

use crate::ghost::Entry;
use crate::invariants::Violation;
use crate::mutant::Mutants;
use crate::replay::Run;
use crate::timeline::choice::{
    AttachAnswer, Boot, DueKind, LaunchOptions, SignalEffect, SpawnOutcome, WriteOutcome,
};
use crate::timeline::{Choice, HeadLine, Timeline};
use crate::trial::{entry, timeline_of};
use crate::world::{Enabled, World};

/// The weights that a class of choices may have in one schedule.
const WEIGHTS: [u64; 5] = [0, 1, 3, 8, 20];

/// The most that the clock jumps between two choices for no reason, in milliseconds.
const IDLE_MS_MAX: u64 = 30_000;

/// One choice in so many comes after such a jump.
const IDLE_ODDS: u64 = 12;

/// How much one schedule may do.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Choices before the fair end.
    pub choices: usize,
    /// Sessions that are launched.
    pub sessions: u32,
    /// Daemons that are killed.
    pub crashes: u32,
    /// Calls on the store that do not end well.
    pub store_faults: u32,
    /// Stops that users ask for.
    pub stops: u32,
    /// Clients that follow the events.
    pub clients: u32,
    /// Reports and requests of agents.
    pub words: u32,
    /// Choices about what the world has a small model of: pages, approvals, drafts, continuations.
    pub features: u32,
}

impl Budget {
    /// Enough for every race that is known, and small enough for thousands of schedules.
    pub const DEFAULT: Self = Self {
        choices: 60,
        sessions: 2,
        crashes: 2,
        store_faults: 4,
        stops: 4,
        clients: 1,
        words: 4,
        features: 0,
    };

    /// The same, with what the world has a small model of.
    pub const FEATURES: Self = Self { sessions: 3, features: 12, ..Self::DEFAULT };
}

/// One schedule that was run.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What drew it.
    pub seed: u64,
    /// Its choices, with their moments.
    pub steps: Vec<(u64, Choice)>,
    /// Whether the fair end belongs to it.
    pub ends_fair: bool,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// Everything that happened.
    pub log: Vec<Entry>,
}

/// Runs the schedule of a seed, and a fair end after it.
///
/// # Panics
///
/// If a choice that is listed as enabled is refused, which is a bug in the world.
#[must_use]
pub fn run(seed: u64, budget: Budget) -> Schedule {
    go(Picker::new(seed, budget), Run::default(), |run| run.violations().is_empty())
}

/// Runs a schedule of choices that are allowed, in a world that makes these mistakes, whatever
/// breaks, and a fair end after it.
///
/// # Panics
///
/// As [`run`].
#[must_use]
pub fn run_to_end(
    seed: u64,
    budget: Budget,
    mutants: Mutants,
    allows: fn(&Choice) -> bool,
) -> Schedule {
    let picker = Picker { allows, ..Picker::new(seed, budget) };
    go(picker, Run::of(mutants), |_| true)
}

fn go(mut picker: Picker, mut run: Run, goes_on: fn(&Run) -> bool) -> Schedule {
    let Picker { seed, budget, .. } = picker;
    let mut steps = Vec::new();
    while steps.len() < budget.choices && goes_on(&run) {
        if !picker.draw_into(&mut run, &mut steps) {
            break;
        }
    }
    let ends_fair = goes_on(&run);
    if ends_fair {
        run.finish_fair();
    }
    Schedule::of(seed, steps, ends_fair, &run)
}

impl Schedule {
    /// Writes down what a run came to.
    pub(crate) fn of(seed: u64, steps: Vec<(u64, Choice)>, ends_fair: bool, run: &Run) -> Self {
        let log = run.world().log().entries().to_vec();
        Self { seed, steps, ends_fair, violations: run.violations().to_vec(), log }
    }

    /// Returns the schedule as a timeline, to be kept.
    #[must_use]
    pub fn to_timeline(&self) -> Timeline {
        let mut head = vec![
            entry("id", format!("seed-{}", self.seed)),
            entry("from", format!("random seed={}", self.seed)),
        ];
        head.extend(
            self.violations.iter().map(|violation| HeadLine::Comment(format!(" {violation}"))),
        );
        timeline_of(head, &self.steps, self.ends_fair)
    }
}

/// A small source of numbers that will give the same ones in ten years.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", `SplitMix64`.
struct SplitMix64(u64);

impl SplitMix64 {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`, which is not 0.
    const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Draws choices, and keeps within a budget.
pub(crate) struct Picker {
    seed: u64,
    budget: Budget,
    allows: fn(&Choice) -> bool,
    numbers: SplitMix64,
    weights: [u64; Class::ALL.len()],
    left: Budget,
}

/// What choices have in common that are drawn with one weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Launch,
    Queue,
    Stop,
    Shutdown,
    Fork,
    SpawnFault,
    StoreFault,
    Ignored,
    SignalFault,
    Death,
    Exit,
    Reap,
    ReapLost,
    Word,
    Retry,
    Due,
    Crash,
    BootOther,
    AttachGone,
    Unreachable,
    Client,
    Feature,
    /// What must go on, or nothing does.
    Progress,
}

impl Class {
    const ALL: [Self; 23] = [
        Self::Launch,
        Self::Queue,
        Self::Stop,
        Self::Shutdown,
        Self::Fork,
        Self::SpawnFault,
        Self::StoreFault,
        Self::Ignored,
        Self::SignalFault,
        Self::Death,
        Self::Exit,
        Self::Reap,
        Self::ReapLost,
        Self::Word,
        Self::Retry,
        Self::Due,
        Self::Crash,
        Self::BootOther,
        Self::AttachGone,
        Self::Unreachable,
        Self::Client,
        Self::Feature,
        Self::Progress,
    ];

    const fn of(choice: &Choice) -> Self {
        match choice {
            Choice::Launch { .. } => Self::Launch,
            Choice::Queue { .. } => Self::Queue,
            Choice::Continue { .. }
            | Choice::Draft { .. }
            | Choice::Start { .. }
            | Choice::AskApproval { .. }
            | Choice::Approve { .. }
            | Choice::Bypass { .. }
            | Choice::SecondDaemon
            | Choice::Say { .. }
            | Choice::Stall { .. }
            | Choice::Fetch { .. }
            | Choice::Show { .. } => Self::Feature,
            Choice::Stop { .. } => Self::Stop,
            Choice::Shutdown => Self::Shutdown,
            Choice::Fork { .. } => Self::Fork,
            Choice::Spawn { outcome: SpawnOutcome::Up(_), .. }
            | Choice::Write { outcome: WriteOutcome::Ok, .. }
            | Choice::Read { ok: true, .. }
            | Choice::Boot { boot: Boot::Same }
            | Choice::Attach { answer: AttachAnswer::Up | AttachAnswer::NeverRan, .. } => {
                Self::Progress
            }
            Choice::Spawn { .. } => Self::SpawnFault,
            Choice::Write { .. } | Choice::Read { .. } => Self::StoreFault,
            Choice::Signal { effect, .. } => match effect {
                SignalEffect::Kills | SignalEffect::Exits { .. } => Self::Death,
                SignalEffect::Ignored => Self::Ignored,
                SignalEffect::Gone => Self::Progress,
                SignalEffect::Denied | SignalEffect::Unknown => Self::SignalFault,
            },
            Choice::Exit { .. } => Self::Exit,
            Choice::Reap { lost: None, .. } => Self::Reap,
            Choice::Reap { lost: Some(_), .. } => Self::ReapLost,
            Choice::Report { .. } | Choice::Request { .. } | Choice::Turn { .. } => Self::Word,
            Choice::Due { kind: DueKind::Retry, .. } => Self::Retry,
            Choice::Due { .. } => Self::Due,
            Choice::Crash { .. } => Self::Crash,
            Choice::Boot { boot: Boot::Other } => Self::BootOther,
            Choice::Attach { answer: AttachAnswer::Unreachable, .. } => Self::Unreachable,
            Choice::Attach { .. } => Self::AttachGone,
            Choice::Connect { .. } | Choice::Drop { .. } => Self::Client,
        }
    }
}

impl Picker {
    pub(crate) fn new(seed: u64, budget: Budget) -> Self {
        let mut numbers = SplitMix64(seed);
        let mut weights = Class::ALL.map(|_| WEIGHTS[numbers.below(5) as usize]);
        weights[Class::Progress as usize] = weights[Class::Progress as usize].max(3);
        weights[Class::Launch as usize] = weights[Class::Launch as usize].max(1);
        Self { seed, budget, allows: |_| true, numbers, weights, left: budget }
    }

    /// Draws a choice and makes it. Says whether there was one.
    pub(crate) fn draw_into(&mut self, run: &mut Run, steps: &mut Vec<(u64, Choice)>) -> bool {
        let Some(Enabled { after_ms, choice }) = self.pick(run.world()) else {
            return false;
        };
        let at_ms = run.world().now_ms().saturating_add(after_ms);
        if let Err(refusal) = run.choose(at_ms, &choice) {
            panic!("`{choice}` is listed as enabled, and refused: {refusal}");
        }
        steps.push((at_ms, choice));
        true
    }

    /// Draws one of the choices that the budget still allows: first a class, then one of it, so
    /// that a class with many values is not drawn more often for that.
    fn pick(&mut self, world: &World) -> Option<Enabled> {
        let enabled = world.enabled();
        // Where the row has moved on, no good answer is left, and a conflict is nobody's fault.
        let is_forced = |choice: &Choice| match choice {
            Choice::Write { call, outcome: WriteOutcome::Conflict } => {
                let good = Choice::Write { call: *call, outcome: WriteOutcome::Ok };
                enabled.iter().all(|other| other.choice != good)
            }
            _ => false,
        };
        let menu: Vec<_> = enabled
            .iter()
            .filter(|enabled| self.is_affordable(&enabled.choice) || is_forced(&enabled.choice))
            .filter(|enabled| (self.allows)(&enabled.choice))
            .cloned()
            .map(|enabled| (Class::of(&enabled.choice), enabled))
            .collect();
        let is_offered = |class: Class| menu.iter().any(|(other, _)| *other == class);
        let offered = Class::ALL.into_iter().filter(|class| is_offered(*class));
        let weighed: Vec<_> = offered.map(|class| (class, self.weights[class as usize])).collect();
        let class = self.draw(&weighed)?;
        let mut of_class: Vec<_> = menu.into_iter().filter(|(other, _)| *other == class).collect();
        let at = self.numbers.below(of_class.len() as u64) as usize;
        let (_, mut enabled) = of_class.swap_remove(at);
        if let Choice::Launch { options, .. } = &mut enabled.choice {
            *options = self.options();
        }
        if self.numbers.below(IDLE_ODDS) == 0 {
            let slack_ms = world.latest_ms() - world.now_ms() - enabled.after_ms;
            enabled.after_ms += self.numbers.below(IDLE_MS_MAX).min(slack_ms);
        }
        self.charge(&enabled.choice);
        Some(enabled)
    }

    fn draw(&mut self, weighed: &[(Class, u64)]) -> Option<Class> {
        let total: u64 = weighed.iter().map(|(_, weight)| weight).sum();
        let mut at = self.numbers.below(total.max(1));
        let chosen = weighed.iter().find(|(_, weight)| {
            let is_here = at < *weight;
            at = at.saturating_sub(*weight);
            is_here
        });
        chosen.map(|(class, _)| *class)
    }

    const fn options(&mut self) -> LaunchOptions {
        let has_timeout = self.numbers.below(3) == 0;
        let has_grace = self.numbers.below(3) == 0;
        let is_talked_with = self.numbers.below(3) == 0;
        LaunchOptions {
            ask_ms: if is_talked_with { NonZeroU32::new(1_500) } else { None },
            again_ms: if is_talked_with { NonZeroU32::new(500) } else { None },
            idle_ms: if is_talked_with { NonZeroU32::new(4_000) } else { None },
            timeout_ms: if has_timeout { NonZeroU64::new(5_000) } else { None },
            grace_ms: if has_grace { Some((2_000, 1_000)) } else { None },
            linger_ms: if has_grace { Some(3_000) } else { None },
            codes: None,
            always_reports: self.numbers.below(3) == 0,
        }
    }

    const fn is_affordable(&self, choice: &Choice) -> bool {
        let (first, second) = purses(choice);
        self.left.of(first) > 0 && self.left.of(second) > 0
    }

    const fn charge(&mut self, choice: &Choice) {
        let (first, second) = purses(choice);
        self.left.spend(first);
        self.left.spend(second);
    }
}

/// What of the budget pays for a choice.
#[derive(Clone, Copy)]
enum Purse {
    Free,
    Sessions,
    Crashes,
    StoreFaults,
    Stops,
    Clients,
    Words,
    Features,
}

impl Budget {
    const fn of(&self, purse: Purse) -> u32 {
        match purse {
            Purse::Free => 1,
            Purse::Sessions => self.sessions,
            Purse::Crashes => self.crashes,
            Purse::StoreFaults => self.store_faults,
            Purse::Stops => self.stops,
            Purse::Clients => self.clients,
            Purse::Words => self.words,
            Purse::Features => self.features,
        }
    }

    const fn spend(&mut self, purse: Purse) {
        let left = match purse {
            Purse::Free => return,
            Purse::Sessions => &mut self.sessions,
            Purse::Crashes => &mut self.crashes,
            Purse::StoreFaults => &mut self.store_faults,
            Purse::Stops => &mut self.stops,
            Purse::Clients => &mut self.clients,
            Purse::Words => &mut self.words,
            Purse::Features => &mut self.features,
        };
        *left = left.saturating_sub(1);
    }
}

const fn purses(choice: &Choice) -> (Purse, Purse) {
    match (Class::of(choice), choice) {
        (Class::Launch | Class::Queue, _) => (Purse::Sessions, Purse::Free),
        (Class::Feature, Choice::Continue { .. } | Choice::Draft { .. }) => {
            (Purse::Sessions, Purse::Features)
        }
        (Class::Feature, _) => (Purse::Features, Purse::Free),
        (Class::Stop, _) => (Purse::Stops, Purse::Free),
        (Class::Crash, _) => (Purse::Crashes, Purse::Free),
        (Class::StoreFault, _) => (Purse::StoreFaults, Purse::Free),
        (Class::Client, Choice::Connect { .. }) => (Purse::Clients, Purse::Free),
        (Class::Word, _) => (Purse::Words, Purse::Free),
        _ => (Purse::Free, Purse::Free),
    }
}
