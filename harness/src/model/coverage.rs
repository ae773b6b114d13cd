//! What was looked at, in one statement that is honest about its bounds.

use super::Config;
use super::conform::Conformance;
use super::doctor::Finding;
use super::matrix::{INVARIANTS, Matrix};
use super::probe::{CrashTable, Sightings, UNWRITTEN};
use super::sample::Sampled;
use super::search::Report;

/// What no search and no schedule of the model looks at.
const OUT_OF_SIGHT: [&str; 5] = [
    "more than three sessions, more faults than stand above, more than one client",
    "how long things take: every deadline may come at any moment",
    "what is said beside final reports and requests: lines, usage, tokens, titles",
    "drafts, the names of requests, and the continuation of a session that has ended",
    "the store's files, sockets, and the kernel: their adapters have contract suites",
];

/// Everything that the push tier found out with the model.
#[derive(Clone, Debug)]
pub struct Push {
    /// One a configuration.
    pub reports: Vec<Report>,
    /// The mutants.
    pub matrix: Matrix,
    /// The checks of the search.
    pub findings: Vec<Finding>,
    /// How far both levels are the same daemon.
    pub conformance: Conformance,
    /// Schedules that were drawn.
    pub sampled: Vec<Sampled>,
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
        let unwritten = self.crash_table().unwritten().into_iter();
        let unwritten = unwritten.map(|cause| format!("no crash met a write `{cause}`"));
        probes.chain(edges).chain(holes).chain(unwritten).collect()
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
    let armed = usize::from(INVARIANTS) - idle.len();
    lines.push(format!("{armed}/{INVARIANTS} invariants armed, each by a mutant that it kills"));
    lines.push(format!("{killed}/{kills} mutants killed, the slowest in {slowest} µs"));
    let good = push.findings.iter().filter(|finding| finding.is_good).count();
    lines.push(format!("{good}/{} checks of the search hold", push.findings.len()));
    lines.extend(push.sampled.iter().map(|sampled| {
        let Sampled { runs, choices, .. } = sampled;
        format!("sampled {}: {runs} schedules, {choices} choices, no proof", Config::SAMPLED.name)
    }));
    lines.push(push.conformance.to_string());
    lines.extend(UNWRITTEN.map(|(cause, why)| format!("not in the model: {cause}: {why}")));
    lines.extend(OUT_OF_SIGHT.map(|line| format!("not in the model: {line}")));
    lines.join("\n")
}

fn line(report: &Report) -> String {
    let Report { config, states, transitions, depth, .. } = report;
    let kill = if config.has_kill { ", kills" } else { "" };
    let finish = if config.has_finish { ", finish" } else { "" };
    let ladder = if config.has_whole_ladder { ", the whole ladder" } else { "" };
    let timeout = if config.has_timeout { ", a time limit" } else { "" };
    let steps = if config.is_stepwise { ", a crash after each step of a write" } else { "" };
    let word = if report.is_exhaustive() { "exhaustive" } else { "cut short" };
    let symmetric = if config.is_symmetric { ", up to symmetry" } else { "" };
    format!(
        "{word} {:<13} {} session{}, <= {} crashes, {} store faults, {} stops each, {} \
         continues, {} exits, {} reports, {} requests, {} turns, {} settings, {} silences, {} misfires, {} reused \
         numbers, {} shutdowns, {} connects{kill}{finish}{ladder}{timeout}{steps}{symmetric}: \
         {states} states, {transitions} transitions, depth {depth}, {:.1} M transitions/s",
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
        config.turns,
        config.settings,
        config.silences,
        config.misfires,
        config.reuses,
        config.shutdowns,
        config.connects,
        report.transitions_per_second() / 1e6,
    )
}
