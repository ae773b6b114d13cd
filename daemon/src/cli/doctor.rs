//! `candor doctor`: says whether all is well in the home, what is not, and what it would do about
//! it; and does it.
//!
//! It starts no daemon: it is for those who cannot.

use std::io::Write;

use candor_core::time::Timestamp;
use serde::Serialize;

use super::arguments::Doctor;
use super::terminal::{clean, clean_line, json};
use super::{CliError, complain};
use crate::doctor::{self, Check, Daemon, Verdict};
use crate::exit_code;
use crate::home::{Home, HomeError, HomeLock, LockError};

/// Names that are shown of those that a check is about. `--json` has more of them.
const ITEMS_SHOWN: usize = 3;

/// Characters of a name that are shown.
const ITEM_WIDTH: usize = 160;

/// How often it mends and looks again, at most: one thing that is mended may show another, as a
/// database that others could read gives its mode to the log that a look makes.
const ROUNDS_MAX: u32 = 4;

/// Characters of a day at the beginning of a time.
const DAY_LENGTH: usize = "2026-01-01".len();

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// The worst of all checks.
    verdict: Verdict,
    /// The home, unless there is no place for one.
    home: Option<String>,
    checks: Vec<Check>,
    /// What was done.
    fixed: Vec<String>,
    /// What was to be done, and why it was not.
    not_fixed: Vec<String>,
}

pub(super) async fn main(arguments: Doctor) -> Result<u8, CliError> {
    let report = match Home::find() {
        Ok(home) if arguments.fix => fix(&home).await,
        Ok(home) => Report::of(&home, examine(&home).await.1),
        Err(error) => Report::without_home(&error),
    };
    if arguments.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(std::io::stdout(), "{}", json(&text))?;
    } else {
        report.print(&mut std::io::stdout().lock(), arguments.verbose)?;
    }
    Ok(match report.verdict {
        Verdict::Ok => exit_code::SUCCESS,
        Verdict::Warning => exit_code::WARNING,
        Verdict::Problem => exit_code::PROBLEM,
    })
}

async fn examine(home: &Home) -> (Daemon, Vec<Check>) {
    doctor::examine(home, None).await
}

/// Mends what can be mended, and looks again.
async fn fix(home: &Home) -> Report {
    if !doctor::is_usable(home) {
        return Report::of(home, examine(home).await.1);
    }
    let lock = match home.lock() {
        Ok(lock) => lock,
        Err(error) => return unfixed(home, &error).await,
    };
    let mut fixed = Vec::new();
    let mut rounds = 1;
    loop {
        let (_daemon, checks) = doctor::examine(home, Some(&lock)).await;
        if rounds > ROUNDS_MAX {
            return Report { fixed, ..Report::of(home, checks) };
        }
        let (done, not_fixed) = mend(home, &lock, &checks);
        if done.is_empty() {
            return Report { fixed, not_fixed, ..Report::of(home, checks) };
        }
        fixed.extend(done);
        rounds += 1;
    }
}

/// Only looks, since a daemon has the home, or nobody can have it.
async fn unfixed(home: &Home, error: &LockError) -> Report {
    let (daemon, checks) = examine(home).await;
    let why = match daemon {
        Daemon::Serves { .. } => {
            "the daemon runs: `candor daemon stop` ends it, and its sessions go on".to_owned()
        }
        Daemon::None | Daemon::Silent { .. } | Daemon::Unknown { .. } => error.to_string(),
    };
    let fixable = checks.iter().filter(|check| check.fixable);
    let not_fixed = fixable.map(|check| format!("{}: {why}", check.id)).collect();
    Report { not_fixed, ..Report::of(home, checks) }
}

fn mend(home: &Home, lock: &HomeLock, checks: &[Check]) -> (Vec<String>, Vec<String>) {
    let now = Timestamp::now().to_string();
    let today = now.get(..DAY_LENGTH).unwrap_or(&now);
    let (mut fixed, mut not_fixed) = (Vec::new(), Vec::new());
    for check in checks {
        for remedy in &check.remedies {
            match doctor::mend(home, lock, remedy, today) {
                Ok(done) => fixed.push(done),
                Err(error) => not_fixed.push(format!("{}: {error}", check.id)),
            }
        }
    }
    (fixed, not_fixed)
}

impl Report {
    fn of(home: &Home, checks: Vec<Check>) -> Self {
        let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
        let home = Some(home.folder().display().to_string());
        Self { verdict, home, checks, fixed: Vec::new(), not_fixed: Vec::new() }
    }

    fn without_home(error: &HomeError) -> Self {
        let checks = vec![doctor::unfindable(error)];
        let (fixed, not_fixed) = (Vec::new(), Vec::new());
        Self { verdict: Verdict::Problem, home: None, checks, fixed, not_fixed }
    }

    fn print(&self, out: &mut impl Write, verbose: bool) -> Result<(), CliError> {
        for done in &self.fixed {
            writeln!(out, "fixed    {}", clean_line(done, usize::MAX))?;
        }
        for verdict in [Verdict::Problem, Verdict::Warning] {
            for check in self.checks.iter().filter(|check| check.verdict == verdict) {
                print_finding(out, check)?;
            }
        }
        let well = self.checks.iter().filter(|check| check.verdict == Verdict::Ok);
        for check in well.clone().filter(|_| verbose) {
            writeln!(out, "ok       {}: {}", check.id, clean(&check.found))?;
        }
        for why in &self.not_fixed {
            complain(&format!("not fixed: {why}"));
        }
        match (well.count(), self.checks.len()) {
            (passed, all) if passed == all => writeln!(out, "all {all} checks passed")?,
            (passed, all) => writeln!(out, "{passed} of {all} checks passed")?,
        }
        Ok(())
    }
}

fn print_finding(out: &mut impl Write, check: &Check) -> Result<(), CliError> {
    let word = if check.verdict == Verdict::Problem { "problem" } else { "warning" };
    writeln!(out, "{word:8} {}: {}", check.id, clean(&check.found))?;
    for item in check.items.iter().take(ITEMS_SHOWN) {
        writeln!(out, "           {}", clean_line(item, ITEM_WIDTH))?;
    }
    if check.items.len() > ITEMS_SHOWN {
        writeln!(out, "           and {} more: see --json", check.items.len() - ITEMS_SHOWN)?;
    }
    let would = check.would.as_deref().unwrap_or_default();
    match check.fixable {
        true => writeln!(out, "         → --fix {}", clean(would))?,
        false => writeln!(out, "         → {}", clean(would))?,
    }
    Ok(())
}
