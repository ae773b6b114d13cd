//! Whether the search itself can be trusted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use super::choice::Menu;
use super::numbers::{BuildQuick, KEYS};
use super::search::{Plan, Violation, cpu_now, explore, search};
use super::world::World;
use super::{Config, Model};
use crate::mutant::Mutant;

/// Worlds in which the independence of sessions is looked at.
const PAIRS_WORLDS_MAX: usize = 20_000;

/// The invariant that sessions do not interfere.
const INTERFERENCE: u8 = 33;

/// What one check of the search found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it is as it must be.
    pub is_good: bool,
    /// The figures.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_good { "ok  " } else { "FAIL" };
        write!(formatter, "{word} {}: {}", self.check, self.message)
    }
}

/// Looks at the search from every side. The worlds of `config` are kept exactly, not as fingerprints.
#[must_use]
pub fn doctor(config: &Config) -> Vec<Finding> {
    vec![
        exact_set(config),
        second_key(),
        twice(),
        product_law(),
        independence(),
        acyclic(config),
        crash_windows_are_looked_at(config),
        fingerprint_is_looked_at(config),
        oracle_is_looked_at(config),
    ]
}

/// The number of fingerprints is the number of worlds.
fn exact_set(config: &Config) -> Finding {
    let prints = explore(config).states;
    let worlds = exact_count::<1>(config);
    Finding {
        check: "fingerprints against the exact set",
        is_good: prints == worlds,
        message: format!("{} has {worlds} worlds and {prints} fingerprints", config.name),
    }
}

fn exact_count<const N: usize>(config: &Config) -> u64 {
    let mut model = Model::new(*config, Mutant::None);
    let first = World::<N>::new(config);
    let mut known = HashSet::<_, BuildQuick>::from_iter([first]);
    let mut queue = VecDeque::from([first]);
    let mut menu = Menu::new();
    while let Some(world) = queue.pop_front() {
        model.enabled(&world, &mut menu);
        for choice in menu.as_slice() {
            let next = model.apply(&world, *choice);
            if known.insert(next) {
                queue.push_back(next);
            }
        }
    }
    known.len() as u64
}

fn second_key() -> Finding {
    let [first, second] = KEYS.map(|key| {
        let report = search(&Plan { key, ..Plan::new(Config::CHILD) });
        (report.states, report.transitions)
    });
    Finding {
        check: "a second hash key",
        is_good: first == second,
        message: format!("{first:?} and {second:?} states and transitions"),
    }
}

fn twice() -> Finding {
    let [first, second] = [(); 2].map(|()| {
        let report = explore(&Config::CLIENT);
        (report.states, report.transitions, report.fingerprint_xor)
    });
    Finding {
        check: "the same search twice",
        is_good: first == second,
        message: format!("{:016x} and {:016x}", first.2, second.2),
    }
}

/// Sessions share nothing but faults: without faults, two have the square of the worlds of one.
fn product_law() -> Finding {
    let one = explore(&Config::LEAN).states;
    let two = explore(&Config::TWO_PLAIN).states;
    Finding {
        check: "the product law",
        is_good: one * one == two,
        message: format!("|S(1)| = {one}, |S(1)|² = {}, |S(2)| = {two}", one * one),
    }
}

fn independence() -> Finding {
    let found = find_dependence(Mutant::None);
    let message = match &found {
        None => format!("choices of two sessions commute in {PAIRS_WORLDS_MAX} worlds"),
        Some(found) => {
            let trace: Vec<_> = found.trace.iter().map(ToString::to_string).collect();
            format!("{} do not commute", trace.join(" | "))
        }
    };
    Finding { check: "independence of sessions", is_good: found.is_none(), message }
}

/// Looks for two choices about different sessions whose order matters.
pub(super) fn find_dependence(mutant: Mutant) -> Option<Violation> {
    let began = cpu_now();
    let config = Config { store_faults: 1, requests: 1, connects: 1, ..Config::TWO_PLAIN };
    let mut model = Model::new(config, mutant);
    let first = World::<2>::new(&config);
    let mut known = HashSet::<_, BuildQuick>::from_iter([first]);
    let mut queue = VecDeque::from([(first, 0)]);
    let (mut menu, mut after) = (Menu::new(), Menu::new());
    while let Some((world, depth)) = queue.pop_front() {
        model.enabled(&world, &mut menu);
        for one in menu.as_slice() {
            let next = model.apply(&world, *one);
            model.enabled(&next, &mut after);
            for other in menu.as_slice() {
                let is_pair = one.session < other.session;
                if !is_pair || !one.verb.is_local() || !other.verb.is_local() {
                    continue;
                }
                let swapped = model.apply(&world, *other);
                let here = model.apply(&next, *other);
                let there = model.apply(&swapped, *one);
                if !after.as_slice().contains(other) || here != there {
                    let pair = vec![*one, *other];
                    let states = known.len() as u64;
                    return Some(Violation::new(
                        INTERFERENCE,
                        depth + 2,
                        states,
                        cpu_now().saturating_sub(began),
                        pair,
                    ));
                }
            }
            if known.len() < PAIRS_WORLDS_MAX && known.insert(next) {
                queue.push_back((next, depth + 1));
            }
        }
    }
    None
}

/// A world is never met again on one way: so "no bad rest state" is all there is to liveness.
fn acyclic(config: &Config) -> Finding {
    let configs = [*config, Config::CHILD, Config::CLIENT, Config::SHUTDOWN];
    let cycles: Vec<_> = configs
        .iter()
        .filter_map(|config| {
            let (left, worlds) = match config.slots() {
                1 => left_after_sorting::<1>(config),
                _ => left_after_sorting::<2>(config),
            };
            (left > 0).then(|| format!("{left} of {worlds} worlds of {}", config.name))
        })
        .collect();
    let message = if cycles.is_empty() {
        format!("{} configurations have no cycle", configs.len())
    } else {
        format!("on a cycle, or behind one: {}", cycles.join(", "))
    };
    Finding { check: "acyclic", is_good: cycles.is_empty(), message }
}

/// Sorts the worlds by who leads to whom, and returns how many cannot be sorted, and how many there
/// are. A choice that leads back to its own world is no cycle: nothing was chosen.
fn left_after_sorting<const N: usize>(config: &Config) -> (usize, usize) {
    let mut model = Model::new(*config, Mutant::None);
    let first = World::<N>::new(config);
    let mut numbers = HashMap::<_, _, BuildQuick>::from_iter([(first, 0_usize)]);
    let mut worlds = vec![first];
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let mut menu = Menu::new();
    let mut at = 0;
    while at < worlds.len() {
        let world = worlds[at];
        model.enabled(&world, &mut menu);
        for choice in menu.as_slice() {
            let next = model.apply(&world, *choice);
            if next == world {
                continue;
            }
            let number = *numbers.entry(next).or_insert_with(|| {
                worlds.push(next);
                worlds.len() - 1
            });
            edges.push((at, number));
        }
        at += 1;
    }
    edges.sort_unstable();
    let mut arrivals = vec![0_u32; worlds.len()];
    edges.iter().for_each(|(_, to)| arrivals[*to] += 1);
    let mut free: Vec<_> = (0..worlds.len()).filter(|at| arrivals[*at] == 0).collect();
    let mut sorted = 0;
    while let Some(from) = free.pop() {
        sorted += 1;
        let begin = edges.partition_point(|edge| edge.0 < from);
        for (_, to) in edges[begin..].iter().take_while(|edge| edge.0 == from) {
            arrivals[*to] -= 1;
            if arrivals[*to] == 0 {
                free.push(*to);
            }
        }
    }
    (worlds.len() - sorted, worlds.len())
}

/// M36: where `enabled` forgets a crash, the crash-point table has a hole.
fn crash_windows_are_looked_at(config: &Config) -> Finding {
    let plan = Plan::new(Config { is_stepwise: true, ..*config });
    let whole = search(&plan).crash_table.holes();
    let maimed = search(&Plan { mutant: Mutant::M36, ..plan }).crash_table.holes();
    Finding {
        check: "M36, a forgotten crash, leaves a hole in the crash-point table",
        is_good: whole.is_empty() && !maimed.is_empty(),
        message: format!("holes without it: {}, with it: {}", whole.len(), maimed.len()),
    }
}

/// M38: a fingerprint that omits something merges worlds.
fn fingerprint_is_looked_at(config: &Config) -> Finding {
    let plan = Plan::new(*config);
    let whole = search(&plan).states;
    let maimed = search(&Plan { forgets: true, ..plan }).states;
    Finding {
        check: "M38, a field left out of the fingerprint, shows in the count",
        is_good: whole != maimed,
        message: format!("{whole} worlds, {maimed} with it"),
    }
}

/// M39: an oracle that compares memory with memory lets M17 pass INV-29.
fn oracle_is_looked_at(config: &Config) -> Finding {
    let plan = Plan { mutant: Mutant::M17, ..Plan::new(*config) };
    let kills = |plan: &Plan| search(plan).violations.iter().any(|found| found.invariant == 29);
    let (sharp, blind) = (kills(&plan), kills(&Plan { is_blind: true, ..plan }));
    Finding {
        check: "M39, an oracle that reads memory for the store, loses a kill",
        is_good: sharp && !blind,
        message: format!("INV-29 kills M17: {sharp}, with it: {blind}"),
    }
}
