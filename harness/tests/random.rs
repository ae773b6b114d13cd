//! Schedules that nobody wrote, thousands a run: no invariant may break in any of them.

use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32};

use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::verdict::{Completion, Verdict};
use candor_harness::failure::Story;
use candor_harness::ghost::{Record, Reply};
use candor_harness::random::{Budget, Schedule, run};
use candor_harness::replay::Run;
use candor_harness::script::{Command, run_script};
use candor_harness::shrink::{Failing, shrink, shrink_while};
use candor_harness::timeline::Choice;
use candor_harness::timeline::choice::{Ask, LaunchOptions};
use expect_test::{expect, expect_file};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

/// Seeds that every run tries, so that what passes here passes everywhere.
const FIXED_SEEDS: u64 = 5_000;

/// Seeds of which two runs are compared, entry by entry.
const COMPARED_SEEDS: u64 = 100;

/// Seeds in whose schedules the choices of others are tried.
const REFUSED_SEEDS: u64 = 8;

/// Seeds that are tried with the features that the world has a small model of.
const FEATURE_SEEDS: u64 = 2_000;

/// Fails with the schedule as a timeline, made short, to be kept in `harness/timelines`.
fn pass(schedule: Schedule) {
    if !schedule.violations.is_empty() {
        let seed = format!("seed {}", schedule.seed);
        let story = Failing::of_drawn(&schedule).map(|failing| Story::of_shrunk(&seed, &failing));
        let story = story.map_or_else(String::new, |story| story.to_string());
        let short = shrink(schedule).to_timeline();
        panic!("{story}\nkeep this in harness/timelines, with an id and a title:\n{short}");
    }
}

/// A search that never takes an edge proves nothing about it. If one is missing here, the weights
/// or the world keep it from happening.
#[test]
fn fixed_schedules_break_nothing_and_take_every_edge() {
    let mut edges = BTreeSet::new();
    for seed in 0..FIXED_SEEDS {
        let schedule = run(seed, Budget::DEFAULT);
        for entry in &schedule.log {
            if let Record::Durable { change, .. } = &entry.record {
                let from = change.event.from.map_or("none", Status::as_str);
                edges.insert(format!("{from} > {} by {}", change.event.to, change.event.cause));
            }
        }
        pass(schedule);
    }
    let edges: Vec<_> = edges.into_iter().collect();
    expect_file!["edges.txt"].assert_eq(&edges.join("\n"));
}

/// Sessions, stops and shutdowns that a script may hold: far more than what is searched.
const SCRIPT_COMMANDS_MAX: usize = 40;

/// What the world may do between the commands of a script, which are drawn apart.
const AROUND_SCRIPTS: Budget =
    Budget { sessions: 0, stops: 0, words: 12, crashes: 4, store_faults: 8, ..Budget::DEFAULT };

fn options() -> impl Strategy<Value = LaunchOptions> {
    let grace_ms = option::of((0_u32..20_000, 0_u32..20_000));
    let codes = option::of(btree_set(any::<u8>(), 1..4));
    let timeout_ms = option::of(any::<NonZeroU16>());
    let some = || option::of((1_u32..20_000).prop_map(|ms| NonZeroU32::new(ms).unwrap()));
    let rungs = (some(), some(), some());
    (timeout_ms, grace_ms, rungs, option::of(0_u32..40_000), codes, any::<bool>()).prop_map(
        |(timeout_ms, grace_ms, (ask_ms, again_ms, idle_ms), linger_ms, codes, always_reports)| {
            LaunchOptions {
                ask_ms,
                again_ms,
                idle_ms,
                timeout_ms: timeout_ms.map(Into::into),
                grace_ms,
                linger_ms,
                codes: codes.map(|codes| codes.into_iter().collect()),
                always_reports,
            }
        },
    )
}

fn scripts() -> impl Strategy<Value = Vec<(u8, Command)>> {
    let ask = prop_oneof![
        3 => Just(Ask::Interrupt),
        1 => Just(Ask::Kill),
        2 => Just(Ask::Finish),
    ];
    let command = prop_oneof![
        4 => options().prop_map(Command::Launch),
        2 => any::<u16>().prop_map(Command::Queue),
        6 => (any::<u16>(), ask).prop_map(|(at, ask)| Command::Stop(at, ask)),
        1 => Just(Command::Shutdown),
    ];
    vec((0_u8..8, command), 1..SCRIPT_COMMANDS_MAX)
}

proptest! {
    // The schedule is made short by what knows schedules.
    #![proptest_config(ProptestConfig {
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Many sessions, and users who ask for more than any budget of the search allows.
    #[test]
    fn no_long_script_of_users_breaks_an_invariant(seed in any::<u64>(), script in scripts()) {
        pass(run_script(seed, &script, AROUND_SCRIPTS));
    }
}

proptest! {
    // A seed rots when the generator changes; what it found is kept as a timeline.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// As many as `PROPTEST_CASES` says, and others each time.
    #[test]
    fn no_other_schedule_breaks_an_invariant(seed in any::<u64>()) {
        pass(run(seed, Budget::DEFAULT));
    }
}

/// What is to come must not break what is there: a page shows what the store has, an approval is
/// answered once, and who continues a session is alone.
#[test]
fn fixed_schedules_with_features_break_nothing() {
    let mut seen = BTreeSet::new();
    for seed in 0..FEATURE_SEEDS {
        let schedule = run(seed, Budget::FEATURES);
        seen.extend(schedule.log.iter().filter_map(|entry| match &entry.record {
            Record::Approval { standing, .. } => Some(format!("approval {standing}")),
            Record::Replied { reply: Reply::TooLate, .. } => Some("too late".to_owned()),
            Record::Replied { reply: Reply::AlreadyStarted, .. } => Some("started".to_owned()),
            Record::Replied { reply: Reply::AlreadyContinued, .. } => Some("continued".to_owned()),
            Record::Listed { .. } => Some("listed".to_owned()),
            _ => None,
        }));
        pass(schedule);
    }
    let seen: Vec<_> = seen.into_iter().collect();
    expect![[r#"
        approval answered
        approval asked
        approval open
        approval withdrawn
        continued
        listed
        started
        too late"#]]
    .assert_eq(&seen.join("\n"));
}

/// A choice that is refused leaves no trace, or whoever leaves it out would replay something else.
#[test]
fn a_refused_choice_changes_nothing() {
    let mut refusals = 0;
    for seed in 0..REFUSED_SEEDS {
        let schedule = run(seed, Budget::FEATURES);
        let others = run(seed + REFUSED_SEEDS, Budget::FEATURES);
        for (at, (at_ms, choice)) in schedule.steps.iter().enumerate() {
            let mut run = replayed(&schedule.steps[..at]);
            for (_, other) in &others.steps {
                let before = picture(&run);
                if run.choose(run.world().now_ms(), other).is_err() {
                    refusals += 1;
                    assert_eq!(picture(&run), before, "seed {seed}: `{other}`");
                } else {
                    run = replayed(&schedule.steps[..at]);
                }
            }
            run.choose(*at_ms, choice).expect("it was made before");
        }
    }
    assert!(refusals > 1_000, "{refusals}");
}

fn replayed(steps: &[(u64, Choice)]) -> Run {
    let mut run = Run::default();
    for (at_ms, choice) in steps {
        run.choose(*at_ms, choice).expect("it was made before");
    }
    run
}

/// Everything of a run that anybody can see.
fn picture(run: &Run) -> (u64, usize, String, String) {
    let world = run.world();
    let menu = format!("{:?}", world.enabled());
    (world.now_ms(), world.log().entries().len(), menu, format!("{:?}", world.rest()))
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..COMPARED_SEEDS {
        let (one, other) = (run(seed, Budget::DEFAULT), run(seed, Budget::DEFAULT));
        assert_eq!(one.log, other.log, "seed {seed}");
    }
}

#[test]
fn a_schedule_is_shrunk_to_what_it_takes() {
    let is_interrupted = |schedule: &Schedule| {
        schedule.log.iter().any(|entry| match &entry.record {
            Record::Durable { change, .. } => {
                let asked = Verdict::Completed(Completion::Interrupted(StopKind::Interrupt));
                change.event.verdict == Some(asked) && change.session.started_at.is_some()
            }
            _ => false,
        })
    };
    let long = (0..FIXED_SEEDS).map(|seed| run(seed, Budget::DEFAULT)).find(is_interrupted);
    let short = shrink_while(long.expect("one of so many sessions is interrupted"), is_interrupted);
    let choices: Vec<_> = short.steps.iter().map(|(_, choice)| choice.to_string()).collect();
    expect![[r#"
        user launch s1
        write ok s1#1
        user interrupt s1"#]]
    .assert_eq(&choices.join("\n"));
}
