//! What the documents say of the harness is so.

use std::collections::BTreeSet;

use candor_harness::invariants::ALL;

/// Invariants that only the searched model looks at.
const OF_THE_MODEL: [&str; 2] = ["INV-23", "INV-33"];

const README: &str = include_str!("../README.md");

#[test]
fn the_readme_lists_every_invariant_with_its_claim() {
    let listed: BTreeSet<_> =
        README.lines().filter(|line| line.starts_with("| INV-")).map(str::to_owned).collect();
    for invariant in &ALL {
        let row = format!("| {} | {} |", invariant.id, invariant.claim);
        assert!(listed.contains(&row), "harness/README.md has no row `{row}`");
    }
    for id in OF_THE_MODEL {
        assert!(listed.iter().any(|row| row.starts_with(&format!("| {id} |"))), "{id}");
    }
    assert_eq!(listed.len(), ALL.len() + OF_THE_MODEL.len());
}

/// The example of the README is a timeline, passes, and leaves nothing open.
#[test]
fn the_example_of_the_readme_can_be_replayed() {
    let indented = README.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    let text: String = indented
        .expect("the README has an example")
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("   ")))
        .collect();
    let timeline = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let outcome = candor_harness::check::judge(&timeline, candor_harness::replay::Mode::Strict);
    let outcome = outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(outcome.golden.contains("end  quiescent"), "{}", outcome.golden);
}
