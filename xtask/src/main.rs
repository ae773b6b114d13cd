//! `cargo xtask`: every chore of the workspace, one file a chore.
//!
//! This file only dispatches. It must never do a chore itself, and nothing here is shipped.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its streams"
)]

mod agents;
mod attacks;
mod bench;
mod browser;
mod candor;
mod ci;
mod crash_sim;
mod demo;
mod dist;
mod faults;
mod findings;
mod flags;
mod fuzz_api;
mod layers;
mod purity;
mod race_sim;
mod rules;
mod shipped;
mod source;
mod suite;
mod tidy;
mod tokens;
mod upgrade;
mod wildcards;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use xshell::Shell;

use crate::flags::{Xtask, XtaskCmd};

fn main() -> ExitCode {
    match dispatch(env::args_os().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut arguments: Vec<OsString>) -> Result<ExitCode> {
    if let Some(done) = crash_sim::rustc(&arguments) {
        return done;
    }
    if let Some(done) = bench::child(&arguments) {
        return done;
    }
    let shell = Shell::new()?;
    shell.change_dir(root());

    // This comes before the parser: the harness has flags of its own, which xflags would refuse.
    match arguments.first().and_then(|verb| verb.to_str()) {
        Some("race-sim") => return Ok(race_sim::run(&root(), &arguments[1..])?.into()),
        None => arguments.push("--help".into()),
        Some(_) => {}
    }

    // Prints the help and exits 0, or prints what is wrong with the arguments and exits 2.
    let flags = Xtask::from_vec(arguments).unwrap_or_else(|error| error.exit());
    match flags.subcommand {
        XtaskCmd::Ci(ci) => ci::run(&shell, ci.only.as_ref())?,
        XtaskCmd::Demo(_) => demo::run(&shell)?,
        XtaskCmd::Dist(_) => dist::run(&shell)?,
        XtaskCmd::Purity(_) => purity::run(&shell)?,
        XtaskCmd::Layers(_) => layers::run(&shell)?,
        XtaskCmd::Tidy(_) => tidy::run(&shell)?,
        XtaskCmd::CrashSim(_) => crash_sim::run(&shell)?,
        XtaskCmd::Faults(faults) => {
            let flags::Faults { filter, quick, power_cuts } = faults;
            faults::run(&shell, &faults::Selection { quick, filter, power_cuts })?;
        }
        XtaskCmd::Attacks(flags::Attacks { filter, release }) => {
            attacks::run(&shell, filter.as_deref(), release)?;
        }
        XtaskCmd::FuzzApi(flags::FuzzApi { install, quick }) => {
            fuzz_api::run(&shell, install, quick)?;
        }
        XtaskCmd::Agents(agents) => {
            let flags::Agents { filter, install, quick, interrupts } = agents;
            agents::run(&shell, &agents::Selection { install, quick, filter, interrupts })?;
        }
        XtaskCmd::Browser(browser) => {
            let flags::Browser { filter, install, quick, screenshots, seed } = browser;
            let selection = browser::Selection { install, quick, screenshots, filter, seed };
            browser::run(&shell, &selection)?;
        }
        XtaskCmd::Upgrade(_) => upgrade::run(&shell)?,
        XtaskCmd::Shipped(shipped) => shipped::run(&shell, shipped.binary.as_deref())?,
        XtaskCmd::RaceSim(_) => return Ok(race_sim::run(&root(), &[])?.into()),
        XtaskCmd::Bench(bench) => return bench::run(&shell, &bench),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the folder that holds the workspace's Cargo.toml.
///
/// Cargo sets the variable at run time too, so a checkout that was moved after the build is found.
fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), Path::to_path_buf)
}
