//! Every world that can be reached, level by level.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::choice::{Choice, Menu};
use super::conform::unsorted;
use super::law::{BUG, CANARY};
use super::numbers::{KEYS, fingerprint};
use super::probe::{CrashTable, Sightings};
use super::rest::is_at_rest;
use super::world::World;
use super::{Config, Model};
use crate::mutant::Mutant;

/// Slots of a new table: as many as fit a core's own cache.
const SLOTS_MIN: usize = 1 << 14;

/// A table is doubled when it is this full, in percent.
const LOAD_MAX_PERCENT: usize = 60;

/// Worlds whose successors are looked up together, so that the look-ups overlap.
const BATCH: usize = 16;

/// How a search is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) mutant: Mutant,
    pub(super) key: u64,
    /// The harness's own mutant M38.
    pub(super) forgets: bool,
    /// The harness's own mutant M39.
    pub(super) is_blind: bool,
    /// Where to stop, at the latest.
    pub(super) states_max: u64,
    /// The invariants after whose breach nothing more is looked for.
    pub(super) stop_at: u64,
}

impl Plan {
    pub(super) const fn new(config: Config) -> Self {
        Self {
            config,
            mutant: Mutant::None,
            key: KEYS[0],
            forgets: false,
            is_blind: false,
            states_max: u64::MAX,
            stop_at: 0,
        }
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was searched.
    pub config: Config,
    /// Worlds.
    pub states: u64,
    /// Choices that were made.
    pub transitions: u64,
    /// Choices from the beginning to the farthest world.
    pub depth: u32,
    /// Of all fingerprints.
    pub fingerprint_xor: u64,
    /// Distinct machines and distinct protocols of core that were met.
    pub values: (usize, usize),
    /// How much of a core's time it took.
    pub elapsed: Duration,
    /// The first breach of each invariant.
    pub violations: Vec<Violation>,
    /// What was met.
    pub sightings: Sightings,
    /// Where crashes fell.
    pub crash_table: CrashTable,
}

/// The first breach of an invariant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which: its number, 0 for an input that core calls a bug, 63 for the canary.
    pub invariant: u8,
    /// Choices that lead to it.
    pub depth: u32,
    /// Worlds that were met before.
    pub states: u64,
    /// How much of a core's time it took.
    pub elapsed: Duration,
    /// The choices, the shortest way there is.
    pub trace: Vec<Choice>,
    from: u64,
    last: Option<Choice>,
}

impl Violation {
    pub(super) const fn new(
        invariant: u8,
        depth: u32,
        states: u64,
        elapsed: Duration,
        trace: Vec<Choice>,
    ) -> Self {
        Self { invariant, depth, states, elapsed, trace, from: 0, last: None }
    }

    /// Returns the name that reports use.
    #[must_use]
    pub fn id(&self) -> String {
        name_of(self.invariant)
    }
}

/// Returns the name of an invariant by its number.
#[must_use]
pub(super) fn name_of(invariant: u8) -> String {
    match 1 << invariant {
        BUG => "BUG".to_owned(),
        CANARY => "CANARY".to_owned(),
        _ => format!("INV-{invariant:02}"),
    }
}

impl Report {
    /// Returns how many choices were made in a second of a core's time.
    #[must_use]
    pub fn transitions_per_second(&self) -> f64 {
        self.transitions as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// Searches a configuration to its end, with the choices that lead to every breach.
#[must_use]
pub fn explore(config: &Config) -> Report {
    search(&Plan::new(*config))
}

/// Returns how much of a core's time this thread has had. Other programs do not count.
pub(super) fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

pub(super) fn search(plan: &Plan) -> Report {
    match plan.config.slots() {
        1 => Search::<1>::new(plan).run(),
        2 => Search::<2>::new(plan).run(),
        _ => Search::<{ super::SESSIONS_MAX }>::new(plan).run(),
    }
}

/// Fingerprints in open addressing. 0 marks a free slot.
struct Table {
    slots: Vec<u64>,
    len: usize,
}

impl Table {
    fn new() -> Self {
        Self { slots: vec![0; SLOTS_MIN], len: 0 }
    }

    fn insert(&mut self, fingerprint: u64) -> bool {
        if self.len * 100 >= self.slots.len() * LOAD_MAX_PERCENT {
            self.grow();
        }
        let is_new = place(&mut self.slots, fingerprint);
        self.len += usize::from(is_new);
        is_new
    }

    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        for fingerprint in self.slots.iter().filter(|slot| **slot != 0) {
            place(&mut slots, *fingerprint);
        }
        self.slots = slots;
    }
}

fn place(slots: &mut [u64], fingerprint: u64) -> bool {
    let mask = slots.len() - 1;
    let mut at = fingerprint as usize & mask;
    loop {
        if slots[at] == fingerprint {
            return false;
        }
        if slots[at] == 0 {
            slots[at] = fingerprint;
            return true;
        }
        at = (at + 1) & mask;
    }
}

struct Search<const N: usize> {
    plan: Plan,
    model: Model,
    table: Table,
    report: Report,
    broken: u64,
    began: Duration,
}

impl<const N: usize> Search<N> {
    fn new(plan: &Plan) -> Self {
        let mut model = Model::new(plan.config, plan.mutant);
        model.is_blind = plan.is_blind;
        let report = Report {
            config: plan.config,
            states: 0,
            transitions: 0,
            depth: 0,
            fingerprint_xor: 0,
            values: (0, 0),
            elapsed: Duration::ZERO,
            violations: Vec::new(),
            sightings: Sightings::default(),
            crash_table: CrashTable::default(),
        };
        let plan = *plan;
        Self { plan, model, table: Table::new(), report, broken: 0, began: cpu_now() }
    }

    fn run(mut self) -> Report {
        let first = World::<N>::new(&self.plan.config);
        let mut frontier = vec![first];
        let mut next = Vec::new();
        let print = self.print(&first);
        self.meet(print);
        while !frontier.is_empty() && !self.is_done() {
            for worlds in frontier.chunks(BATCH) {
                self.expand(worlds, &mut next);
                if self.is_done() {
                    break;
                }
            }
            frontier.clear();
            std::mem::swap(&mut frontier, &mut next);
            self.report.depth += u32::from(!frontier.is_empty());
        }
        self.report.elapsed = cpu_now().saturating_sub(self.began);
        self.report.values = self.model.atlas.sizes();
        self.report.sightings = self.model.sightings;
        self.report.crash_table = self.model.crash_table.clone();
        self.explain();
        self.report
    }

    const fn is_done(&self) -> bool {
        self.broken & self.plan.stop_at != 0 || self.report.states > self.plan.states_max
    }

    fn print(&self, world: &World<N>) -> u64 {
        fingerprint(world, self.plan.key, self.plan.forgets)
    }

    fn meet(&mut self, fingerprint: u64) -> bool {
        let is_new = self.table.insert(fingerprint);
        if is_new {
            self.report.states += 1;
            self.report.fingerprint_xor ^= fingerprint;
        }
        is_new
    }

    fn expand(&mut self, worlds: &[World<N>], found: &mut Vec<World<N>>) {
        let mut menu = Menu::new();
        for world in worlds {
            self.model.enabled(world, &mut menu);
            if is_at_rest(&menu) {
                let broken = self.model.judge_rest(world);
                self.note(broken, world, None);
            }
            for choice in menu.as_slice() {
                let mut next = self.model.apply(world, *choice);
                self.report.transitions += 1;
                if self.model.broken != 0 {
                    self.note(self.model.broken, world, Some(*choice));
                }
                if self.plan.config.is_symmetric {
                    next = next.sorted();
                }
                let print = self.print(&next);
                if self.meet(print) {
                    found.push(next);
                }
            }
        }
    }

    /// Keeps the first breach of each invariant.
    fn note(&mut self, broken: u64, world: &World<N>, last: Option<Choice>) {
        let mut new = broken & !self.broken;
        self.broken |= broken;
        while new != 0 {
            let invariant = new.trailing_zeros() as u8;
            new &= new - 1;
            self.report.violations.push(Violation {
                invariant,
                depth: self.report.depth + u32::from(last.is_some()),
                states: self.report.states,
                elapsed: cpu_now().saturating_sub(self.began),
                trace: Vec::new(),
                from: self.print(world),
                last,
            });
        }
    }

    /// Searches once more, and keeps the way this time.
    fn explain(&mut self) {
        let mut violations = std::mem::take(&mut self.report.violations);
        let wanted: Vec<_> = violations.iter().map(|violation| violation.from).collect();
        let traces = if wanted.is_empty() { Vec::new() } else { self.trace(&wanted) };
        for (violation, mut trace) in violations.iter_mut().zip(traces) {
            trace.extend(violation.last);
            let Plan { config, mutant, .. } = &self.plan;
            violation.trace =
                if config.is_symmetric { unsorted(config, *mutant, &trace) } else { trace };
        }
        self.report.violations = violations;
    }

    fn trace(&mut self, wanted: &[u64]) -> Vec<Vec<Choice>> {
        let mut traces = vec![Vec::new(); wanted.len()];
        let mut left = wanted.len();
        let mut ways: Vec<(u32, Choice)> = Vec::new();
        let first = World::<N>::new(&self.plan.config);
        let mut queue = std::collections::VecDeque::from([(first, u32::MAX)]);
        let mut table = Table::new();
        table.insert(self.print(&first));
        let mut menu = Menu::new();
        while let Some((world, way)) = queue.pop_front() {
            let print = self.print(&world);
            for (at, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted == print) {
                traces[at] = way_to(&ways, way);
                left -= 1;
            }
            if left == 0 {
                break;
            }
            self.model.enabled(&world, &mut menu);
            for choice in menu.as_slice() {
                let mut next = self.model.apply(&world, *choice);
                if self.plan.config.is_symmetric {
                    next = next.sorted();
                }
                if table.insert(self.print(&next)) {
                    queue.push_back((next, ways.len() as u32));
                    ways.push((way, *choice));
                }
            }
        }
        traces
    }
}

fn way_to(ways: &[(u32, Choice)], mut way: u32) -> Vec<Choice> {
    let mut trace = Vec::new();
    while let Some((before, choice)) = ways.get(way as usize) {
        trace.push(*choice);
        way = *before;
    }
    trace.reverse();
    trace
}
