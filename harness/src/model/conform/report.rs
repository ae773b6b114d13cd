//! Both directions together, for the push tier and for `race-sim conform`.

use std::fmt;
use std::time::Duration;

use super::{DEAF_TO, Deaf, Divergence, Told, Untold, listen, tell_sampled};
use crate::model::search::cpu_now;
use crate::model::{Config, Pct, Uniform};
use crate::mutant::Mutant;
use crate::timeline::Timeline;

/// Where schedules that are told are drawn: together they know every choice of the model.
pub const TOLD: [Config; 10] = [
    Config::SMALL,
    Config::STEPS,
    Config::SIGNALS,
    Config::REQUESTS,
    Config::CHILD_BIG,
    Config::CLIENT,
    Config::SHUTDOWN,
    Config { is_symmetric: false, store_faults: 1, ..Config::TWO },
    Config::SAMPLED,
    Config { name: "two-and-child", sessions: 2, shutdowns: 1, ..Config::CHILD },
];

/// What the comparison of the two levels came to.
#[derive(Clone, Debug, Default)]
pub struct Conformance {
    /// Timelines that were made by the model.
    pub heard: usize,
    /// Timelines that the model cannot make, by their names.
    pub deaf: Vec<(String, Deaf)>,
    /// Schedules that were told and followed.
    pub told: u64,
    /// Their choices.
    pub choices: u64,
    /// What a timeline has no word for.
    pub untold: Vec<Untold>,
    /// How much of a core's time the schedules took.
    pub elapsed: Duration,
    /// What is not the same at both levels.
    pub differences: Vec<String>,
    /// The first schedule that the world did not follow.
    pub first: Option<Box<Divergence>>,
}

/// Compares the levels on the timelines of a corpus, each with its name, and on `runs` schedules of
/// every configuration and each oracle.
#[must_use]
pub fn conform(corpus: &[(String, Timeline)], runs: u64, seed: u64) -> Conformance {
    let mut found = Conformance::default();
    for (name, timeline) in corpus {
        match listen(timeline, Mutant::None) {
            Ok(None) => found.heard += 1,
            Ok(Some(difference)) => found.differences.push(format!("{name}: {difference}")),
            Err(deaf) => found.deaf.push((name.clone(), deaf)),
        }
    }
    let is_known = |(name, deaf): &(String, Deaf)| {
        DEAF_TO.iter().any(|(known, reason)| known == name && reason == deaf)
    };
    let unknown = found.deaf.iter().filter(|deaf| !is_known(deaf));
    let unknown: Vec<_> = unknown
        .map(|(name, deaf)| format!("{name} cannot be made by the model: {deaf:?}"))
        .collect();
    found.differences.extend(unknown);
    let began = cpu_now();
    for config in &TOLD {
        found.add(tell_sampled(config, Mutant::None, &mut Uniform::new(seed), runs));
        found.add(tell_sampled(config, Mutant::None, &mut Pct::new(seed, 3), runs));
    }
    found.elapsed = cpu_now().saturating_sub(began);
    found.untold.sort_unstable();
    found.untold.dedup();
    found
}

impl Conformance {
    fn add(&mut self, told: Told) {
        let Told { runs, choices, untold, first } = told;
        self.told += runs;
        self.choices += choices;
        self.untold.extend(untold);
        if let Some(first) = first {
            self.differences.push(first.difference.clone());
            self.first.get_or_insert(first);
        }
    }

    /// Says whether both levels are the same daemon, as far as was looked.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { heard, deaf, told, choices, untold, elapsed, .. } = self;
        write!(
            formatter,
            "both levels leave the same trace: {heard} timelines of the corpus ({} the model cannot \
             make), {told} schedules of the model with {choices} choices, in {elapsed:.1?}",
            deaf.len()
        )?;
        for reason in untold {
            write!(formatter, "\n  not told: {reason}")?;
        }
        Ok(())
    }
}
