//! `cargo xtask attacks`: what could be tried against a daemon, and the table of what shows that it comes
//! to nothing.

mod list;

use anyhow::Result;
use xshell::Shell;

use crate::crash_sim::folders;
use crate::faults::{names_of_tests, table};
use crate::source::Sources;
use crate::suite::{self, Outcome};

use list::ATTACKS;

/// Where the suite is.
const SUITE: &str = "daemon/tests/attacks/";

/// Plays the suite against the program of the checks.
pub(crate) fn quick(shell: &Shell) -> Result<()> {
    run(shell, None, false)
}

/// Plays the tests with `filter` in their names, or all, against the program of the checks or the one
/// of a release build, and prints the table.
pub(crate) fn run(shell: &Shell, filter: Option<&str>, release: bool) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("attacks: the suite is for Linux, as shims are");
        return Ok(());
    }
    let (target, _) = folders(shell)?;
    let report = target.join("attacks");
    suite::clear(&report)?;
    let filter = filter.unwrap_or("");
    let played = {
        let _report = shell.push_env("CANDOR_ATTACKS_REPORT", &report);
        let options: &[&str] = if release { &["--release"] } else { &[] };
        let filters: &[&str] = if filter.is_empty() { &[] } else { &[filter] };
        suite::play(shell, "attacks", options, filters)
    };
    let tests = names_of_tests(&Sources::read(&shell.current_dir())?, SUITE);
    let chosen = tests.iter().map(String::as_str).filter(|test| test.contains(filter));
    let outcomes = chosen.map(|test| (test, Outcome::read(&report, test))).collect();
    println!("{}", table(ATTACKS, "attacks", &outcomes, filter.is_empty()));
    played
}

#[cfg(test)]
mod tests {
    use super::{ATTACKS, SUITE};
    use crate::faults::check::check_list;

    #[test]
    fn every_row_of_the_threat_model_is_listed_once_and_in_order() {
        let ids: Vec<&str> = ATTACKS.iter().map(|attack| attack.id).collect();
        let expected: Vec<String> = (1..=35).map(|number| format!("T{number}")).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn every_row_has_its_tests_or_a_reason() {
        check_list(ATTACKS, SUITE);
    }
}
