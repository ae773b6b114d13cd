//! The searched model: small configurations, the seeded bugs, and the search itself.

use std::time::Duration;

use candor_harness::model::conform::Conformance;
use candor_harness::model::{
    Config, Lock, Pct, Push, Uniform, coverage_statement, doctor, explore, explore_for, mutants,
    sample,
};

/// Schedules that each oracle draws here. `race-sim` draws more.
const RUNS: u64 = 300;

fn is_clean(config: &Config) {
    let report = explore(config);
    let broken: Vec<_> = report
        .violations
        .iter()
        .map(|violation| {
            let trace: Vec<_> = violation.trace.iter().map(ToString::to_string).collect();
            format!("{}: {}", violation.id(), trace.join(" | "))
        })
        .collect();
    assert!(broken.is_empty(), "{}: {broken:#?}", config.name);
    assert!(report.states > 1, "{} has no worlds", config.name);
}

#[test]
fn one_session_without_faults_keeps_every_invariant() {
    is_clean(&Config::PLAIN);
}

#[test]
fn one_session_with_a_crash_and_a_store_fault_keeps_every_invariant() {
    is_clean(&Config { crashes: 1, store_faults: 1, ..Config::LEAN });
}

#[test]
fn every_seeded_bug_is_found_by_an_invariant_that_is_expected_to() {
    let matrix = mutants();
    assert_eq!(matrix.survivors(), [], "{matrix}");
    assert!(matrix.idle_invariants().is_empty(), "{:?}\n{matrix}", matrix.idle_invariants());
}

#[test]
fn the_search_can_be_trusted() {
    let bad: Vec<_> =
        doctor(&Config::TINY).into_iter().filter(|finding| !finding.is_good).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn three_sessions_keep_every_invariant_in_schedules_drawn_at_random() {
    let uniform = sample(&Config::SAMPLED, &mut Uniform::new(1), RUNS);
    assert!(uniform.broken.is_empty(), "{uniform:?}");
    for depth in 1..=3 {
        let pct = sample(&Config::SAMPLED, &mut Pct::new(1, depth), RUNS);
        assert!(pct.broken.is_empty(), "{pct:?}");
    }
}

#[test]
fn a_lock_file_is_read_as_it_is_written_and_notices_a_drift() {
    let report = explore(&Config::PLAIN);
    let mut lock = Lock::default();
    assert!(lock.drift(&report).is_some(), "nothing is locked yet");
    lock.record(&report);
    let read = Lock::parse(&lock.render());
    assert_eq!(read, lock);
    assert_eq!(read.drift(&report), None);
    let other = explore(&Config { interrupts: 0, ..Config::PLAIN });
    assert!(read.drift(&other).is_some(), "a smaller search is a drift");
}

#[test]
fn the_coverage_statement_names_its_bounds() {
    let reports = vec![explore(&Config::PLAIN)];
    let sampled = vec![sample(&Config::SAMPLED, &mut Uniform::new(1), RUNS)];
    let push = Push {
        reports,
        matrix: mutants(),
        findings: Vec::new(),
        conformance: Conformance::default(),
        sampled,
    };
    let statement = coverage_statement(&push);
    assert!(statement.contains("300 schedules"), "{statement}");
    assert!(statement.contains("not in the model: "), "{statement}");
    assert!(statement.contains("0 crashes"), "{statement}");
    assert!(!push.vacuities().is_empty(), "without a crash, much is never met");
}

#[test]
fn a_search_that_runs_out_of_time_says_how_far_it_came() {
    let report = explore_for(&Config::TWO_FULL, Duration::ZERO);
    assert!(!report.is_exhaustive(), "{report:?}");
    assert!(report.frontier > 0 && report.states > report.frontier, "{report:?}");
    assert!(explore_for(&Config::PLAIN, Duration::MAX).is_exhaustive());
}

#[test]
fn what_has_no_lock_any_more_is_forgotten() {
    let report = explore(&Config::LEAN);
    let mut lock = Lock::default();
    lock.record(&report);
    lock.retain(|name| name != Config::LEAN.name);
    assert_eq!(lock, Lock::default());
}
