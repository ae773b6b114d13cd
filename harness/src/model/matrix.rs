//! Which invariant kills which mutant.

use std::fmt;
use std::time::Duration;

use super::conform::tell_trace;
use super::law::bit;
use super::mutant::{Arena, SEEDED, Seeded};
use super::search::{Plan, Violation, name_of, search};
use super::{Config, doctor};
use crate::mutant::Mutant;
use crate::timeline::Timeline;

/// The invariants have the numbers from 1 to this one.
pub(super) const INVARIANTS: u8 = 34;

/// Worlds that a mutant may survive in before it counts as a survivor.
const STATES_MAX: u64 = 400_000;

/// What became of one mutant.
#[derive(Clone, Debug)]
pub struct Kill {
    /// Which.
    pub seeded: Seeded,
    /// The first breach of an expected invariant, or `None`: it survived.
    pub first: Option<Violation>,
    /// Every other invariant that broke before.
    pub also: Vec<u8>,
}

/// Every mutant against every invariant.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// One line a mutant.
    pub kills: Vec<Kill>,
}

/// Lets the search look for every mutant.
#[must_use]
pub fn mutants() -> Matrix {
    Matrix { kills: SEEDED.iter().map(hunt).collect() }
}

/// Lets the search look for some of them.
#[must_use]
pub fn mutants_of(wanted: &[Mutant]) -> Matrix {
    let wanted = SEEDED.iter().filter(|seeded| wanted.contains(&seeded.mutant));
    Matrix { kills: wanted.map(hunt).collect() }
}

/// Returns where the mutants of an arena are looked for.
pub(super) const fn arena(arena: Arena) -> Config {
    match arena {
        Arena::One => Config::SMALL,
        Arena::Client => Config::CLIENT,
        Arena::Signals => Config::SIGNALS,
        Arena::Talk => Config::TALK,
        Arena::Child => Config { is_stepwise: false, ..Config::CHILD },
        Arena::Shutdown => Config::SHUTDOWN,
        Arena::Two => Config::TWO,
    }
}

fn hunt(seeded: &Seeded) -> Kill {
    if seeded.mutant == Mutant::M34 {
        let first = doctor::find_dependence(seeded.mutant);
        return Kill { seeded: *seeded, first, also: Vec::new() };
    }
    let expected = seeded.expected.iter().fold(0, |bits, number| bits | bit(*number));
    let report = search(&Plan {
        mutant: seeded.mutant,
        states_max: STATES_MAX,
        stop_at: expected,
        ..Plan::new(arena(seeded.arena))
    });
    let (first, also): (Vec<_>, Vec<_>) = report
        .violations
        .into_iter()
        .partition(|violation| seeded.expected.contains(&violation.invariant));
    Kill {
        seeded: *seeded,
        first: first.into_iter().next(),
        also: also.into_iter().map(|violation| violation.invariant).collect(),
    }
}

impl Kill {
    /// Returns the choices that lead to the breach as a timeline; `None` where it survived, or where
    /// what was found is no way from the beginning but two choices that do not commute.
    #[must_use]
    pub fn timeline(&self) -> Option<Timeline> {
        let (first, Seeded { mutant, claim, arena: place, .. }) =
            (self.first.as_ref()?, self.seeded);
        if mutant == Mutant::M34 {
            return None;
        }
        let title = format!("{mutant}, {claim}: {}", first.id());
        Some(tell_trace(&arena(place), mutant, &title, &first.trace))
    }
}

impl Matrix {
    /// Returns the mutants that nobody noticed.
    #[must_use]
    pub fn survivors(&self) -> Vec<Mutant> {
        let alive = self.kills.iter().filter(|kill| kill.first.is_none());
        alive.map(|kill| kill.seeded.mutant).collect()
    }

    /// Returns the invariants that kill nothing, and that the model claims to see.
    #[must_use]
    pub fn idle_invariants(&self) -> Vec<String> {
        let kills = |number: u8| {
            self.kills.iter().any(|kill| {
                kill.also.contains(&number)
                    || kill.first.as_ref().is_some_and(|first| first.invariant == number)
            })
        };
        let idle = (1..=INVARIANTS).filter(|number| !kills(*number));
        idle.map(name_of).collect()
    }

    /// Returns the slowest kill.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        let times = self.kills.iter().filter_map(|kill| kill.first.as_ref());
        times.map(|first| first.elapsed).max().unwrap_or_default()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "mutant  killed by  depth   states       µs  what it does wrong")?;
        for Kill { seeded, first, also } in &self.kills {
            let mutant = format!("{:?}", seeded.mutant);
            let Some(first) = first else {
                writeln!(formatter, "{mutant:<7} SURVIVED   {}", seeded.claim)?;
                continue;
            };
            let (id, depth, states) = (first.id(), first.depth, first.states);
            let micros = first.elapsed.as_micros();
            write!(formatter, "{mutant:<7} {id:<9} {depth:>6} {states:>8} {micros:>8}  ")?;
            write!(formatter, "{}", seeded.claim)?;
            let also: Vec<_> = also.iter().map(|number| name_of(*number)).collect();
            let also = also.join(" ");
            if also.is_empty() { writeln!(formatter)? } else { writeln!(formatter, " ({also})")? }
        }
        Ok(())
    }
}
