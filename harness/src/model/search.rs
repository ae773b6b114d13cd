//! Every world that can be reached, level by level.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::choice::{Choice, Menu};
use super::conform::unsorted;
use super::law::{BUG, CANARY};
use super::numbers::{KEYS, fingerprint};
use super::probe::{CrashTable, Sightings};
use super::rest::is_at_rest;
use super::table::Table;
use super::world::World;
use super::{Config, Model};
use crate::mutant::Mutant;

/// Worlds whose successors are looked up together, so that the look-ups overlap.
const BATCH: usize = 32;

/// Batches between two looks at the clock.
const BATCHES_PER_LOOK: usize = 64;

/// Memory for what was met and what is to be looked at, at most, in bytes. A search that needs more
/// stops, and says so.
const MEMORY_BYTES_MAX: usize = 4 << 30;

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
    /// How long it may take at the most.
    pub(super) time_max: Duration,
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
            time_max: Duration::MAX,
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
    /// Worlds that were met and not looked at: 0 where the search came to its end.
    pub frontier: u64,
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
    /// Says whether every world was met.
    #[must_use]
    pub const fn is_exhaustive(&self) -> bool {
        self.frontier == 0
    }

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

/// Searches a configuration for so long, or to its end.
#[must_use]
pub fn explore_for(config: &Config, time_max: Duration) -> Report {
    search(&Plan { time_max, ..Plan::new(*config) })
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

struct Search<const N: usize> {
    plan: Plan,
    model: Model,
    table: Table,
    report: Report,
    broken: u64,
    began: Duration,
    started: Instant,
    is_out_of_budget: bool,
    /// The fingerprints of a batch of successors.
    prints: Vec<u64>,
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
            frontier: 0,
            fingerprint_xor: 0,
            values: (0, 0),
            elapsed: Duration::ZERO,
            violations: Vec::new(),
            sightings: Sightings::default(),
            crash_table: CrashTable::default(),
        };
        let plan = *plan;
        Self {
            plan,
            model,
            table: Table::new(),
            report,
            broken: 0,
            began: cpu_now(),
            started: Instant::now(),
            is_out_of_budget: false,
            prints: Vec::new(),
        }
    }

    fn run(mut self) -> Report {
        let first = World::<N>::new(&self.plan.config);
        let mut frontier = vec![first];
        let mut next = Vec::new();
        let print = self.print(&first);
        self.meet(print);
        while !frontier.is_empty() && !self.is_done() {
            let mut left = frontier.len();
            for (batch, worlds) in frontier.chunks(BATCH).enumerate() {
                self.expand(worlds, &mut next);
                left -= worlds.len();
                if batch % BATCHES_PER_LOOK == 0 {
                    let worlds = frontier.capacity() + next.capacity();
                    self.look_at_budget(worlds * size_of::<World<N>>());
                }
                if self.is_done() {
                    break;
                }
            }
            self.report.frontier = (left + next.len()) as u64;
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

    fn look_at_budget(&mut self, frontier_bytes: usize) {
        let is_large = frontier_bytes + self.table.bytes() > MEMORY_BYTES_MAX;
        self.is_out_of_budget = is_large || self.started.elapsed() >= self.plan.time_max;
    }

    const fn is_done(&self) -> bool {
        self.is_out_of_budget
            || self.broken & self.plan.stop_at != 0
            || self.report.states > self.plan.states_max
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

    /// Makes every choice in each of the worlds. What is new is appended to `found`.
    fn expand(&mut self, worlds: &[World<N>], found: &mut Vec<World<N>>) {
        let mut menu = Menu::new();
        let begin = found.len();
        self.prints.clear();
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
                self.prints.push(self.print(&next));
                found.push(next);
            }
        }
        self.keep_new(found, begin);
    }

    /// Drops those of the worlds from `begin` on that were met before.
    fn keep_new(&mut self, found: &mut Vec<World<N>>, begin: usize) {
        let prints = std::mem::take(&mut self.prints);
        self.table.touch(&prints);
        let mut end = begin;
        for (at, print) in prints.iter().enumerate() {
            if self.meet(*print) {
                found[end] = found[begin + at];
                end += 1;
            }
        }
        found.truncate(end);
        self.prints = prints;
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
