//! `cargo xtask ci`: exactly what the required checks run, on a laptop as on a server.
//!
//! All steps share one profile and one set of features, so that the workspace is compiled once for
//! the lints, once for the tests, and not again.

use std::env;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use xshell::{Shell, cmd};

use crate::{
    agents, attacks, browser, crash_sim, faults, fuzz_api, layers, purity, race_sim, shipped, tidy,
    upgrade,
};

/// One check.
struct Step {
    name: &'static str,
    run: fn(&Shell) -> Result<()>,
}

/// Cheapest first, so that most mistakes are told within seconds.
const STEPS: [Step; 19] = [
    Step { name: "format", run: format },
    Step { name: "tidy", run: tidy::run },
    Step { name: "layers", run: layers::run },
    Step { name: "purity", run: purity::run },
    Step { name: "clippy", run: clippy },
    Step { name: "build", run: build },
    Step { name: "tests", run: tests },
    Step { name: "faults", run: faults::quick },
    Step { name: "attacks", run: attacks::quick },
    Step { name: "agents", run: agents::quick },
    Step { name: "browser", run: browser::quick },
    Step { name: "fuzz-api", run: fuzz_api::quick },
    Step { name: "doc-tests", run: doc_tests },
    Step { name: "docs", run: docs },
    Step { name: "alone", run: alone },
    Step { name: "race-sim", run: race_sim_push_tier },
    Step { name: "crash-sim", run: crash_sim::run },
    Step { name: "upgrade", run: upgrade::run },
    Step { name: "shipped", run: |shell| shipped::run(shell, None) },
];

/// The name of a step that exists.
#[derive(Debug)]
pub(crate) struct StepName(&'static str);

impl FromStr for StepName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut names = STEPS.iter().map(|step| step.name);
        names.find(|name| *name == text).map(Self).ok_or_else(|| {
            let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
            format!("no step is called `{text}`: the steps are {}", names.join(", "))
        })
    }
}

/// Runs every step, or only one, and prints what each took.
pub(crate) fn run(shell: &Shell, only: Option<&StepName>) -> Result<()> {
    let mut timings = Vec::new();
    let mut outcome = Ok(());
    for step in STEPS.iter().filter(|step| only.is_none_or(|only| only.0 == step.name)) {
        println!("\n==> {}", step.name);
        let start = Instant::now();
        let result = (step.run)(shell);
        timings.push((step.name, start.elapsed()));
        if let Err(error) = result {
            let name = step.name;
            outcome = Err(anyhow!(
                "step `{name}` failed: {error:#}\nrun it alone with: cargo xtask ci --only {name}"
            ));
            break;
        }
    }
    print!("{}", table(&timings));
    if outcome.is_ok() {
        println!("all of {} passed", timings.len());
    }
    outcome
}

fn table(timings: &[(&str, Duration)]) -> String {
    let total: Duration = timings.iter().map(|(_, elapsed)| *elapsed).sum();
    let rows = timings.iter().copied().chain([("total", total)]);
    let rows = rows.map(|(name, elapsed)| format!("{name:<12}{:>8.1}\n", elapsed.as_secs_f64()));
    format!("\n{:<12}{:>8}\n{}", "step", "seconds", rows.collect::<String>())
}

fn format(shell: &Shell) -> Result<()> {
    let check = cmd!(shell, "cargo fmt --all --check").run();
    check.context("the code is not formatted: run `cargo fmt --all`")
}

fn clippy(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo clippy --workspace --all-targets -- -D warnings").run()?;
    // Once more what is there under the cfg alone.
    let ours = cmd!(shell, "cargo clippy --package candor-adapters --package candor --all-targets");
    Ok(ours.args(["--", "-D", "warnings", "--cfg", crash_sim::CFG]).run()?)
}

/// Builds the binaries that tests start: cargo builds a package's own, but not those of another.
///
/// The tests are built in the same command, because with them go the features of the test
/// dependencies: binaries alone would be built with fewer features, and then once more.
pub(crate) fn build(shell: &Shell) -> Result<()> {
    Ok(cmd!(shell, "cargo build --workspace --bins --tests").run()?)
}

fn tests(shell: &Shell) -> Result<()> {
    let nextest = cmd!(shell, "cargo nextest --version").quiet().ignore_stderr().read();
    if nextest.is_err() {
        println!("cargo-nextest is not installed, so cargo test runs the tests");
        return Ok(cmd!(shell, "cargo test --workspace --tests --no-fail-fast").run()?);
    }
    let profile = if env::var_os("CI").is_some() { "ci" } else { "default" };
    let run = cmd!(shell, "cargo nextest run --workspace --profile {profile}");
    // These suites are steps of their own, which print their tables.
    let others = "not (package(=candor) & (binary(=faults) | binary(=agents) | binary(=attacks)))";
    Ok(run.args(["--filterset", others]).run()?)
}

/// Nextest runs no doc tests.
fn doc_tests(shell: &Shell) -> Result<()> {
    Ok(cmd!(shell, "cargo test --doc --workspace").run()?)
}

fn docs(shell: &Shell) -> Result<()> {
    let _variable = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    Ok(cmd!(shell, "cargo doc --workspace --no-deps").run()?)
}

/// Checks the shipped package with its own features only: beside the tests' dependencies it would
/// also compile when it forgot to ask for a feature that those happen to turn on.
fn alone(shell: &Shell) -> Result<()> {
    Ok(cmd!(shell, "cargo check --package candor").run()?)
}

fn race_sim_push_tier(shell: &Shell) -> Result<()> {
    let code = race_sim::run(&shell.current_dir(), &[])?;
    ensure!(code == 0, "race-sim exited with {code}: its report is above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;
    use std::time::Duration;

    use super::{STEPS, StepName, table};

    #[test]
    fn the_table_ends_with_the_sum() {
        let timings = [("format", Duration::from_millis(400)), ("tests", Duration::from_secs(2))];
        let expected = "\nstep         seconds\nformat           0.4\ntests            2.0\n\
                        total            2.4\n";
        assert_eq!(table(&timings), expected);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_names() {
        let error = StepName::from_str("test").unwrap_err();
        assert!(STEPS.iter().all(|step| error.contains(step.name)), "{error}");
    }
}
