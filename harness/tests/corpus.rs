//! The corpus as a whole: nothing twice, nothing missing, and every file says what it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candor_harness::timeline::{HeadLine, Timeline, load};
use candor_harness::world::MISTAKES;

/// The races that were found in the daemon that the idea of this one comes from.
const RACES: [&str; 41] = [
    "A01", "A02", "A03", "A05", "A06", "A08", "A09", "A11", "A12", "A14", // interrupt
    "B01", "B02", "B04", "B05", "B06", "B08", // continue, draft, launch
    "C01", "C02", "C03", "C06", "C07", "C08", "C10", "C11", // approval, settings
    "D01", "D03", "D05", "D06", "D07", // shutdown, restart
    "E01", "E02", "E04", "E06", "E07", "E08", "E09", // exit
    "F01", "F02", "F04", "F06", "F08", // delivery, page
];

/// Keys that every timeline has.
const KEYS: [&str; 5] = ["id", "title", "from", "world", "expect"];

/// Loads every file, and refuses a race that stands twice.
fn corpus() -> Vec<(PathBuf, Timeline)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    load(&[folder]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_race_is_one_file_that_finds_the_mistake_it_is_about() {
    let corpus = corpus();
    for race in RACES {
        let from = format!("races.jsonl#{race}");
        let files: Vec<_> = corpus
            .iter()
            .filter(|(_, timeline)| timeline.values("from").any(|value| value == from))
            .collect();
        let [(path, timeline)] = files.as_slice() else {
            panic!("{race} has {} files", files.len());
        };
        assert_eq!(timeline.id(), race, "{}", path.display());
        assert!(timeline.victims().next().is_some(), "{} names no mutant", path.display());
    }
}

/// A mistake that no timeline finds is one that the world cannot make, or that nobody looks for.
#[test]
fn each_mistake_of_the_world_is_found_by_a_timeline() {
    let named: BTreeSet<_> = corpus()
        .iter()
        .flat_map(|(_, timeline)| timeline.victims().collect::<Vec<_>>())
        .map(|victim| victim.mutant)
        .collect();
    let made: BTreeSet<_> = MISTAKES.iter().map(|(mutant, _)| mutant.to_string()).collect();
    assert_eq!(named, made);
}

#[test]
fn every_timeline_says_what_it_is_for() {
    for (path, timeline) in corpus() {
        let path = path.display();
        for key in KEYS {
            assert_eq!(timeline.values(key).count(), 1, "{path}: {key}");
        }
        let says_its_point = timeline
            .head
            .iter()
            .any(|line| matches!(line, HeadLine::Comment(text) if text.len() > 10));
        assert!(says_its_point, "{path} has no comment that says its point");
    }
}

/// Whoever reads a race of something that cannot be done yet must know that.
#[test]
fn what_is_only_a_model_is_marked_as_such() {
    const WORDS: [&str; 5] = ["user draft", "user start", "fetch ", "show ", "stall "];
    for (path, timeline) in corpus() {
        let has_model = timeline.steps().any(|step| {
            let words = step.choice.to_string();
            WORDS.iter().any(|word| words.starts_with(word))
        });
        let text: String = timeline
            .head
            .iter()
            .map(|line| match line {
                HeadLine::Comment(text) => text.as_str(),
                HeadLine::Blank | HeadLine::Entry { .. } => "",
            })
            .collect();
        let is_marked = text.contains("model of a feature") || text.contains("models of features");
        assert!(!has_model || is_marked, "{} does not say what is only a model", path.display());
    }
}

#[test]
fn every_name_says_who_meets_what() {
    for (path, _) in corpus() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        assert!(name.contains("_meets_"), "{name}");
    }
}
