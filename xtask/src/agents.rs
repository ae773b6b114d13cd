//! `cargo xtask agents`: the real agents against stand-ins for their model APIs.
//!
//! It never installs anything unless it is told to, and never into a folder that is not its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::crash_sim::folders;
use crate::suite::{self, Outcome};

/// A program that is installed from npm, in the version that the tests were written for.
struct Program {
    name: &'static str,
    package: &'static str,
    version: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program { name: "claude", package: "@anthropic-ai/claude-code", version: "2.1.197" },
    Program { name: "codex", package: "@openai/codex", version: "0.169.0" },
    Program { name: "gemini", package: "@google/gemini-cli", version: "0.61.0" },
    Program { name: "opencode", package: "opencode-ai", version: "1.18.33" },
];

/// The test that interrupts many agents.
const INTERRUPTS: &str = "interrupts_at_random_moments";

/// The tests that a push has time for.
const QUICK: &str = "quick::";

/// What to play.
#[derive(Default)]
pub(crate) struct Selection {
    pub(crate) install: bool,
    pub(crate) quick: bool,
    /// Only tests with this in their names.
    pub(crate) filter: Option<String>,
    pub(crate) interrupts: Option<usize>,
}

/// Plays the quick selection.
pub(crate) fn quick(shell: &Shell) -> Result<()> {
    run(shell, &Selection { quick: true, ..Selection::default() })
}

/// Plays what was chosen, and prints the table.
pub(crate) fn run(shell: &Shell, selection: &Selection) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("agents: the suite is for Linux, as shims are");
        return Ok(());
    }
    let (target, _) = folders(shell)?;
    let programs = target.join("agents");
    if selection.install {
        for program in &PROGRAMS {
            install(shell, program, &programs.join(program.name))?;
        }
    }
    let report = target.join("agents-report");
    suite::clear(&report)?;
    let played = play(shell, selection, &programs, &report);
    println!("{}", table(&outcomes(&report)?));
    played
}

/// Installs a program unless it is there.
fn install(shell: &Shell, program: &Program, folder: &Path) -> Result<()> {
    let Program { name, package, version } = program;
    if version_of(program, folder).as_deref() == Some(*version) {
        println!("agents: {name} {version} is there");
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let npm = cmd!(shell, "npm install --prefix {folder} --no-audit --no-fund --no-progress");
    npm.arg(format!("{package}@{version}")).run().with_context(|| {
        format!("cannot install {name}: is npm there, and can it reach its registry?")
    })?;
    let installed = version_of(program, folder);
    ensure!(installed.as_deref() == Some(*version), "npm has installed {installed:?} as {name}");
    Ok(())
}

/// Returns the version of a program in its folder, if it is there.
fn version_of(program: &Program, folder: &Path) -> Option<String> {
    let manifest = folder.join("node_modules").join(program.package).join("package.json");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(manifest).ok()?).ok()?;
    manifest["version"].as_str().map(str::to_owned)
}

fn play(shell: &Shell, selection: &Selection, programs: &Path, report: &Path) -> Result<()> {
    let tier = if selection.quick { "quick" } else { "full" };
    let _tier = shell.push_env("CANDOR_AGENTS", tier);
    let _programs = shell.push_env("CANDOR_AGENTS_PROGRAMS", programs);
    let _report = shell.push_env("CANDOR_AGENTS_REPORT", report);
    let _count = selection
        .interrupts
        .map(|count| shell.push_env("CANDOR_AGENTS_INTERRUPTS", count.to_string()));
    let filters = match (&selection.filter, selection.interrupts) {
        (_, Some(_)) => vec![INTERRUPTS],
        (Some(filter), None) => vec![filter.as_str()],
        (None, None) if selection.quick => vec![QUICK, INTERRUPTS],
        (None, None) => Vec::new(),
    };
    // What people run is what is shown, where there is the time to build it.
    let options: &[&str] = if selection.quick { &[] } else { &["--release"] };
    suite::play(shell, "agents", options, &filters)
}

/// Returns what became of the tests that were begun, by their names.
fn outcomes(report: &Path) -> Result<BTreeMap<String, Outcome>> {
    let names = fs::read_dir(report)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    let names: Vec<_> = names.collect::<Result<_>>()?;
    let names = names.into_iter().flatten();
    Ok(names.map(|name| (name.clone(), Outcome::read(report, &name))).collect())
}

/// Returns a line for each test, and the sums.
fn table(outcomes: &BTreeMap<String, Outcome>) -> String {
    let line = |(name, outcome): (&String, &Outcome)| match outcome {
        Outcome::Passed(figures) if !figures.is_empty() => format!("{name:<50} passed: {figures}"),
        Outcome::Passed(_) | Outcome::Skipped(_) | Outcome::Failed => {
            format!("{name:<50} {}", outcome.words())
        }
    };
    let count = |wanted: fn(&Outcome) -> bool| outcomes.values().filter(|it| wanted(it)).count();
    let sums = format!(
        "{} tests of agents: {} passed, {} skipped, {} failed\n",
        outcomes.len(),
        count(|outcome| matches!(outcome, Outcome::Passed(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        count(|outcome| matches!(outcome, Outcome::Failed)),
    );
    outcomes.iter().map(line).chain([sums]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Outcome, table};

    #[test]
    fn every_test_has_its_line_and_the_sums_come_last() {
        let outcomes = BTreeMap::from([
            ("claude.success".to_owned(), Outcome::Passed("1 run".to_owned())),
            ("codex.success".to_owned(), Outcome::Skipped("codex is not installed".to_owned())),
            ("codex.stops".to_owned(), Outcome::Failed),
        ]);
        let table = table(&outcomes);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("claude.success ") && lines[0].ends_with("passed: 1 run"));
        assert!(lines[1].ends_with(" FAILED"), "{table}");
        assert!(lines[2].ends_with(" skipped: codex is not installed"), "{table}");
        assert_eq!(lines[3], "3 tests of agents: 1 passed, 1 skipped, 1 failed");
    }
}
