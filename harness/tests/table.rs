//! The table of statuses and inputs is the machine's, and the documents show the same.

use std::fs;
use std::path::Path;

use candor_harness::table::{Table, without_visits};

#[test]
fn the_document_shows_what_the_machine_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/status-table.md");
    let document = fs::read_to_string(&file).unwrap();
    let is = without_visits(&Table::of_machine().markdown());
    let stale = "run `cargo xtask race-sim table --markdown` into docs/status-table.md";
    assert_eq!(without_visits(&document), is, "{stale}");
}

#[test]
fn a_cell_without_its_visits_says_what_can_come_of_it() {
    assert_eq!(without_visits("| = / + (3) | bug | = (never) |"), "| = / + | bug | = |");
}

/// What a run does is counted, and the cells that it does not reach are told.
#[test]
fn visits_are_counted_where_they_happen() {
    let mut table = Table::of_machine();
    let before = table.never_hit();
    assert!(before.contains(&"starting x spawned".to_owned()), "{before:?}");
    let text = "timeline 1\n@0 user launch s1\n@0 write ok s1#1\n@0 spawn ok s1 -> p1\n";
    table.visit([&text.parse().unwrap()]);
    let after = table.never_hit();
    assert!(!after.contains(&"starting x spawned".to_owned()), "{after:?}");
    assert!(after.len() < before.len());
    assert!(table.render().contains("(never)"));
}
