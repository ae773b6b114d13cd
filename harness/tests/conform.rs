//! The searched model against the world on the shipped supervisor.

use std::path::PathBuf;

use candor_harness::model::conform::{DEAF_TO, Deaf, TOLD, Told, Untold, listen, tell_sampled};
use candor_harness::model::{Config, Pct, Uniform, explore, mutants_of};
use candor_harness::mutant::{Mutant, Mutants};
use candor_harness::replay::{Mode, replay_on};
use candor_harness::timeline::{Timeline, load};

/// Schedules that each oracle draws here. `race-sim` draws more.
const RUNS: u64 = 60;

#[test]
fn the_model_makes_every_timeline_of_the_corpus_with_the_same_trace() {
    let corpus = load(&[PathBuf::from("timelines")]).expect("the corpus");
    let mut deaf = Vec::new();
    for (path, timeline) in &corpus {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        match listen(timeline, Mutant::None) {
            Ok(None) => {}
            Ok(Some(difference)) => panic!("{stem}: {difference}"),
            Err(reason) => deaf.push((stem, reason)),
        }
    }
    let known: Vec<(String, Deaf)> =
        DEAF_TO.iter().map(|(stem, reason)| ((*stem).to_owned(), reason.clone())).collect();
    assert_eq!(deaf, known, "the list of what the model cannot make is closed");
}

/// What is told of the model, and what the world has no word for there.
fn is_followed(config: &Config) -> Vec<Untold> {
    let mut untold = Vec::new();
    let mut add = |told: Told| {
        if let Some(first) = told.first {
            panic!("{}: {}\n{}", config.name, first.difference, first.timeline);
        }
        assert!(told.choices > told.runs, "{}: {told:?}", config.name);
        untold.extend(told.untold);
    };
    add(tell_sampled(config, Mutant::None, &mut Uniform::new(1), RUNS));
    add(tell_sampled(config, Mutant::None, &mut Pct::new(1, 3), RUNS));
    untold.sort_unstable();
    untold.dedup();
    untold
}

#[test]
fn the_world_follows_schedules_of_the_model_and_what_it_has_no_word_for_is_known() {
    let mut untold: Vec<_> = TOLD.iter().flat_map(is_followed).collect();
    untold.sort_unstable();
    untold.dedup();
    assert_eq!(untold, Untold::ALL, "the list of what a timeline cannot tell is closed");
}

#[test]
fn a_mistake_of_the_model_alone_is_a_difference() {
    let mistakes = [
        (Mutant::M05, Config::PLAIN),
        (Mutant::M10, Config::STEPS),
        (Mutant::M17, Config::SMALL),
        (Mutant::M22, Config::PLAIN),
        (Mutant::M27, Config::PLAIN),
        (Mutant::M41, Config::PLAIN),
    ];
    for (mutant, config) in mistakes {
        let told = tell_sampled(&config, mutant, &mut Uniform::new(1), 500);
        assert!(told.first.is_some(), "{mutant}: {told:?}");
    }
}

#[test]
fn what_the_model_alone_does_not_do_is_missed_by_a_timeline() {
    let corpus = load(&[PathBuf::from("timelines")]).expect("the corpus");
    for mutant in [Mutant::M10, Mutant::M20, Mutant::M23] {
        let is_missed = |timeline| !matches!(listen(timeline, mutant), Ok(None));
        assert!(corpus.iter().any(|(_, timeline)| is_missed(timeline)), "{mutant}");
    }
}

#[test]
fn a_breach_is_told_as_a_timeline_that_is_one() {
    let report = explore(&Config { interrupts: 1, ..Config::PLAIN });
    assert!(report.violations.is_empty(), "{report:?}");
    let matrix = mutants_of(&[Mutant::M01, Mutant::M33]);
    for kill in &matrix.kills {
        let text = kill.timeline().expect("it is killed").to_string();
        let timeline: Timeline = text.parse().expect("a timeline");
        assert!(timeline.steps().count() > 3, "{text}");
    }
    // M01 is a mistake of both levels: the world makes it with the same choices.
    let timeline = matrix.kills[0].timeline().expect("it is killed");
    let outcome = replay_on(&timeline, Mode::Lenient, Mutants::only(Mutant::M01));
    assert!(!outcome.expect("lenient").violations.is_empty(), "{timeline}");
}
