//! The corpus as a whole: nothing twice, nothing missing, and every file says what it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candor_harness::timeline::{HeadLine, Timeline, load};

/// The races of the first floor.
const RACES: [&str; 9] = ["A01", "A02", "A03", "A05", "A06", "A09", "D01", "D05", "D06"];

/// Keys that every timeline has.
const KEYS: [&str; 5] = ["id", "title", "from", "world", "expect"];

/// Loads every file, and refuses a race that stands twice.
fn corpus() -> Vec<(PathBuf, Timeline)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    load(&[folder]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_races_of_the_first_floor_are_there() {
    let corpus = corpus();
    let from: BTreeSet<_> =
        corpus.iter().flat_map(|(_, timeline)| timeline.values("from")).collect();
    for race in RACES {
        assert!(from.contains(format!("races.jsonl#{race}").as_str()), "{race} is missing");
    }
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

#[test]
fn every_name_says_who_meets_what() {
    for (path, _) in corpus() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        assert!(name.contains("_meets_"), "{name}");
    }
}
