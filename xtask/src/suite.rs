//! Suites of tests that leave a file each with what became of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// What became of one test.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// With its figures.
    Passed(String),
    Skipped(String),
    /// Or broken off: it has said nothing.
    Failed,
}

impl Outcome {
    pub(crate) fn read(report: &Path, test: &str) -> Self {
        let said = fs::read_to_string(report.join(test)).unwrap_or_default();
        match said.trim().split_once(':') {
            Some(("passed", figures)) => Self::Passed(figures.trim().to_owned()),
            Some(("skipped", reason)) => Self::Skipped(reason.trim().to_owned()),
            Some(_) | None => Self::Failed,
        }
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Passed(_) => "passed".to_owned(),
            Self::Skipped(reason) => format!("skipped: {reason}"),
            Self::Failed => "FAILED".to_owned(),
        }
    }
}

/// Makes an empty folder for the reports. What an earlier run has left says nothing of this one.
pub(crate) fn clear(report: &Path) -> Result<()> {
    if report.exists() {
        fs::remove_dir_all(report).context("cannot remove the report of an earlier run")?;
    }
    Ok(fs::create_dir_all(report)?)
}

/// Runs the tests of a suite whose name is `suite`, as is its profile, with further options of cargo:
/// those with one of `filters` in their names, or all.
pub(crate) fn play(shell: &Shell, suite: &str, options: &[&str], filters: &[&str]) -> Result<()> {
    // The scripted agent is a program of another package, and would be built by the first test.
    cmd!(shell, "cargo build {options...} --package candor-harness --bin fake-agent").run()?;
    let nextest = cmd!(shell, "cargo nextest --version").quiet().ignore_stderr().read();
    if nextest.is_err() {
        let test = cmd!(shell, "cargo test {options...} --package candor --test {suite}");
        return Ok(test.arg("--").args(filters).run()?);
    }
    let run = cmd!(
        shell,
        "cargo nextest run {options...} --package candor --test {suite} --profile {suite}"
    );
    Ok(run.args(filters).run()?)
}
