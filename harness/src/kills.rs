//! Which timeline finds which mistake of the world, and by which invariant: the kill matrix of the
//! corpus.
//!
//! Both ways count. A mistake that no timeline finds is one that could come back unseen; an
//! invariant that finds none has never been seen to work on a mistake of the kind that happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::check::broken_on;
use crate::invariants;
use crate::mutant::{Mutant, Mutants};
use crate::replay::ReplayError;
use crate::timeline::Timeline;
use crate::world::MISTAKES;

/// What the corpus makes of one mistake.
#[derive(Clone, Debug)]
pub struct Kill {
    /// Which.
    pub mutant: Mutant,
    /// What it does wrong.
    pub claim: &'static str,
    /// How many timelines find it by each invariant.
    pub found_by: BTreeMap<&'static str, usize>,
    /// The timelines that find it, by their ids.
    pub timelines: Vec<String>,
}

/// Every mistake of the world against every timeline.
#[derive(Clone, Debug)]
pub struct Kills {
    /// One entry a mistake.
    pub kills: Vec<Kill>,
}

/// Lets every timeline look for every mistake of the world.
///
/// # Errors
///
/// [`ReplayError`] of a timeline that does not fit its own header.
pub fn kills(corpus: &[Timeline]) -> Result<Kills, ReplayError> {
    // What breaks anyway is not a mistake's doing.
    let anyway: Result<Vec<_>, _> =
        corpus.iter().map(|timeline| broken_on(timeline, Mutants::NONE)).collect();
    let anyway = anyway?;
    let mut kills = Vec::new();
    for (mutant, claim) in MISTAKES {
        let mut kill = Kill { mutant, claim, found_by: BTreeMap::new(), timelines: Vec::new() };
        for (timeline, anyway) in corpus.iter().zip(&anyway) {
            let mut broken = broken_on(timeline, Mutants::only(mutant))?;
            broken.retain(|found| anyway.iter().all(|other| other.id != found.id));
            if !broken.is_empty() {
                kill.timelines.push(timeline.id().to_owned());
            }
            for violation in broken {
                *kill.found_by.entry(violation.id).or_default() += 1;
            }
        }
        kills.push(kill);
    }
    Ok(Kills { kills })
}

impl Kills {
    /// Returns the mistakes that no timeline finds.
    #[must_use]
    pub fn survivors(&self) -> Vec<Mutant> {
        let alive = self.kills.iter().filter(|kill| kill.timelines.is_empty());
        alive.map(|kill| kill.mutant).collect()
    }

    /// Returns the invariants that find none.
    #[must_use]
    pub fn idle_invariants(&self) -> Vec<&'static str> {
        let busy: BTreeSet<_> =
            self.kills.iter().flat_map(|kill| kill.found_by.keys().copied()).collect();
        let ids = invariants::ALL.iter().map(|invariant| invariant.id);
        ids.filter(|id| !busy.contains(id)).collect()
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "mutant  timelines  what it does wrong (found by)")?;
        for Kill { mutant, claim, found_by, timelines } in &self.kills {
            let mutant = mutant.to_string();
            let ids: Vec<_> = found_by.keys().copied().collect();
            let ids = if ids.is_empty() { "SURVIVED".to_owned() } else { ids.join(" ") };
            writeln!(formatter, "{mutant:<7} {:>9}  {claim} ({ids})", timelines.len())?;
        }
        Ok(())
    }
}
