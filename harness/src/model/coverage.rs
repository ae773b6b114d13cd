//! What was looked at, in one statement that is honest about its bounds.

use super::doctor::Finding;
use super::matrix::{INVARIANTS, Matrix};
use super::probe::{CrashTable, Sightings};
use super::search::Report;

/// Everything that the push tier found out with the model.
#[derive(Clone, Debug)]
pub struct Push {
    /// One a configuration.
    pub reports: Vec<Report>,
    /// The mutants.
    pub matrix: Matrix,
    /// The checks of the search.
    pub findings: Vec<Finding>,
}

impl Push {
    /// Returns where all crashes of all searches fell.
    #[must_use]
    pub fn crash_table(&self) -> CrashTable {
        let mut all = CrashTable::default();
        self.reports.iter().for_each(|report| all.add(&report.crash_table));
        all
    }

    /// Returns what no search has met, although it must be possible.
    #[must_use]
    pub fn vacuities(&self) -> Vec<String> {
        let mut all = Sightings::default();
        self.reports.iter().for_each(|report| all.add(&report.sightings));
        let probes = all.missing_probes().into_iter().map(|probe| format!("never met: {probe}"));
        let edges = all.missing_edges().into_iter().map(|(from, to)| {
            let from = from.map_or("nothing", |from| from.as_str());
            format!("edge never taken: {from} > {to}")
        });
        let holes = self.crash_table().holes().into_iter();
        let holes = holes.map(|cause| format!("no crash in every window of the write `{cause}`"));
        probes.chain(edges).chain(holes).collect()
    }
}

/// Says what was looked at.
#[must_use]
pub fn coverage_statement(push: &Push) -> String {
    let mut lines: Vec<_> = push.reports.iter().map(line).collect();
    let idle = push.matrix.idle_invariants();
    let kills = push.matrix.kills.len();
    let killed = kills - push.matrix.survivors().len();
    let slowest = push.matrix.slowest().as_micros();
    lines.push(format!(
        "{INVARIANTS}/{INVARIANTS} invariants armed, {} of them kill a mutant",
        usize::from(INVARIANTS) - idle.len()
    ));
    lines.push(format!("{killed}/{kills} mutants killed, the slowest in {slowest} µs"));
    let good = push.findings.iter().filter(|finding| finding.is_good).count();
    lines.push(format!("{good}/{} checks of the search hold", push.findings.len()));
    lines.join("\n")
}

fn line(report: &Report) -> String {
    let Report { config, states, transitions, depth, .. } = report;
    let symmetric = if config.is_symmetric { ", up to symmetry" } else { "" };
    format!(
        "exhaustive {:<13} {} session{}, <= {} crashes, {} store faults, {} stops each, {} \
         continues, {} exits, {} reports, {} requests, {} silences, {} misfires, {} reused numbers, {} shutdowns, {} connects{symmetric}: {states} \
         states, {transitions} transitions, depth {depth}, {:.1} M transitions/s",
        config.name,
        config.sessions,
        if config.sessions == 1 { "" } else { "s" },
        config.crashes,
        config.store_faults,
        config.interrupts,
        config.continues,
        config.exits,
        config.reports,
        config.requests,
        config.silences,
        config.misfires,
        config.reuses,
        config.shutdowns,
        config.connects,
        report.transitions_per_second() / 1e6,
    )
}
