//! `cargo xtask faults`: the fault suite, and the table of what it shows.

#[cfg(test)]
pub(crate) mod check;
pub(crate) mod list;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use xshell::Shell;

use crate::crash_sim::folders;
use crate::source::Sources;
use crate::suite::{self, Outcome};
use crate::tokens::{starts_with, tokens};

use list::{FAULTS, Fault, Shown};

/// Where the suite is.
const SUITE: &str = "daemon/tests/faults/";

/// What to play.
pub(crate) struct Selection {
    pub(crate) quick: bool,
    /// Only tests with this in their names.
    pub(crate) filter: Option<String>,
    pub(crate) power_cuts: Option<usize>,
}

/// Plays the quick selection.
pub(crate) fn quick(shell: &Shell) -> Result<()> {
    run(shell, &Selection { quick: true, filter: None, power_cuts: None })
}

/// Plays what was chosen, and prints the table.
pub(crate) fn run(shell: &Shell, selection: &Selection) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("faults: the suite is for Linux, as shims are");
        return Ok(());
    }
    let (target, _) = folders(shell)?;
    let report = target.join("faults");
    suite::clear(&report)?;
    let played = play(shell, selection, &report);
    let tests = names_of_tests(&Sources::read(&shell.current_dir())?, SUITE);
    let filter = selection.filter.as_deref().unwrap_or("");
    let chosen: Vec<&str> =
        tests.iter().map(String::as_str).filter(|test| test.contains(filter)).collect();
    let outcomes = chosen.iter().map(|test| (*test, Outcome::read(&report, test))).collect();
    println!("{}", table(FAULTS, "faults", &outcomes, filter.is_empty()));
    played
}

fn play(shell: &Shell, selection: &Selection, report: &Path) -> Result<()> {
    let tier = if selection.quick { "quick" } else { "full" };
    let _tier = shell.push_env("CANDOR_FAULTS", tier);
    let _report = shell.push_env("CANDOR_FAULTS_REPORT", report);
    let _cuts = selection
        .power_cuts
        .map(|cuts| shell.push_env("CANDOR_FAULTS_POWER_CUTS", cuts.to_string()));
    let filters: Vec<&str> = selection.filter.iter().map(String::as_str).collect();
    suite::play(shell, "faults", &[], &filters)
}

/// Whether a test is named after this fault.
pub(crate) fn is_of(test: &str, fault: &Fault) -> bool {
    let id = fault.id.to_lowercase();
    test.strip_prefix(&id).is_some_and(|rest| rest.starts_with('_'))
}

/// Returns a line for each of a list, the figures, and the sums. A part of the tests shows only theirs.
pub(crate) fn table(
    list: &[Fault],
    what: &str,
    outcomes: &BTreeMap<&str, Outcome>,
    all: bool,
) -> String {
    let mut lines = Vec::new();
    let (mut here, mut there, mut nowhere) = (0, 0, 0);
    for fault in list {
        let tests = outcomes.iter().filter(|(test, _)| is_of(test, fault));
        let words = match &fault.shown {
            Shown::Here => {
                here += 1;
                // What failed is what counts, then what was skipped.
                let mut of_it: Vec<_> = tests.map(|(_, outcome)| outcome).collect();
                of_it.sort_by_key(|outcome| match outcome {
                    Outcome::Failed => 0,
                    Outcome::Skipped(_) => 1,
                    Outcome::Passed(_) => 2,
                });
                of_it.first().map(|outcome| outcome.words())
            }
            Shown::There(tests) => {
                there += 1;
                let (path, test) = tests[0];
                all.then(|| format!("by {test} in {path}"))
            }
            Shown::Not(why) => {
                nowhere += 1;
                all.then(|| format!("not shown: {why}"))
            }
        };
        if let Some(words) = words {
            lines.push(format!("{:<4} {:<54} {words}", fault.id, fault.words));
        }
    }
    for (test, outcome) in outcomes {
        if let Outcome::Passed(figures) = outcome
            && !figures.is_empty()
        {
            lines.push(format!("{test}: {figures}"));
        }
    }
    let count = |wanted: fn(&Outcome) -> bool| outcomes.values().filter(|it| wanted(it)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed));
    lines.push(format!(
        "{} {what}: {here} by tests of the suite, {there} by tests elsewhere, {nowhere} not shown\n\
         {} tests of the suite: {passed} passed, {skipped} skipped, {failed} failed\n",
        list.len(),
        outcomes.len()
    ));
    lines.join("\n")
}

/// Returns the names of the tests of a suite, which is a folder.
pub(crate) fn names_of_tests(sources: &Sources, suite: &str) -> Vec<String> {
    let files = sources.rust_files().filter(|file| file.path.starts_with(suite));
    files.flat_map(|file| tests_in(&file.text)).collect()
}

/// Returns the names of the tests in a file.
pub(crate) fn tests_in(text: &str) -> Vec<String> {
    let all = tokens(text);
    let mut names = Vec::new();
    let mut is_test = false;
    for at in 0..all.len() {
        is_test |= starts_with(&all, at, &["#", "[", "test", "]"])
            || starts_with(&all, at, &["#", "[", "tokio", ":", ":", "test"]);
        if is_test && starts_with(&all, at, &["fn"]) {
            names.extend(all.get(at + 1).map(|name| name.text.to_owned()));
            is_test = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::check::check_list;
    use super::{FAULTS, Outcome, SUITE, table, tests_in};

    /// How many faults there are of each kind.
    const KINDS: [(&str, usize); 6] =
        [("L", 20), ("P", 22), ("I", 13), ("O", 15), ("D", 22), ("C", 23)];

    /// Ways to make many of them happen at once, which have tests of their own.
    const RECIPES: [&str; 2] = ["R1", "R3"];

    #[test]
    fn every_fault_is_listed_once_and_in_order() {
        let numbers =
            KINDS.iter().flat_map(|(kind, count)| (1..=*count).map(move |n| format!("{kind}{n}")));
        let expected: Vec<String> = numbers.chain(RECIPES.map(str::to_owned)).collect();
        let ids: Vec<&str> = FAULTS.iter().map(|fault| fault.id).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn every_fault_has_its_tests_or_a_reason() {
        check_list(FAULTS, SUITE);
    }

    #[test]
    fn tests_are_found_by_their_attribute() {
        let text = "#[test]\nfn l1_a() {}\nfn helper() {}\n#[tokio::test]\nasync fn l2_b() {}\n";
        assert_eq!(tests_in(text), ["l1_a", "l2_b"]);
    }

    #[test]
    fn what_failed_is_told_before_what_passed() {
        let outcomes = BTreeMap::from([
            ("l1_a", Outcome::Passed("3 of 3".to_owned())),
            ("l1_b", Outcome::Failed),
            ("l2_a", Outcome::Skipped("no root".to_owned())),
        ]);
        let table = table(FAULTS, "faults", &outcomes, false);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("L1 ") && lines[0].ends_with("FAILED"), "{table}");
        assert!(lines[1].starts_with("L2 ") && lines[1].ends_with("skipped: no root"), "{table}");
        assert_eq!(lines[2], "l1_a: 3 of 3");
        assert_eq!(lines[4], "3 tests of the suite: 1 passed, 1 skipped, 1 failed");
    }
}
