//! `cargo xtask race-sim`: starts the harness's own binary in a release build.
//!
//! It must never know what the arguments mean: the harness does.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// What both steps build.
const BINARY: [&str; 4] = ["--package", "candor-harness", "--bin", "race-sim"];

/// Runs `race-sim` of the workspace at `root` with `arguments`, in the folder where the user stands,
/// so that paths mean what was typed, and returns its exit code. Without arguments it runs the tier
/// of every push.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> Result<u8> {
    if let Some(code) = build(root)? {
        return Ok(code);
    }
    let status = cargo("run", root).arg("--quiet").arg("--").args(arguments).status();
    let status = status.context("cannot start cargo: is it on the PATH?")?;

    // Death by a signal has no code, and is a failure too.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn cargo(verb: &str, root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.args([verb, "--release"]).args(BINARY);
    command.arg("--manifest-path").arg(root.join("Cargo.toml"));
    command
}

/// Builds it, says so once where there is something to build, and returns the exit code where it
/// does not build. Cargo's own lines are shown then, and otherwise kept to itself.
fn build(root: &Path) -> Result<Option<u8>> {
    let mut child = cargo("build", root)
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo: is it on the PATH?")?;
    let (mut told, mut is_said) = (Vec::new(), false);
    for line in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.context("cannot read what cargo says")?;
        if !is_said && line.trim_start().starts_with("Compiling ") {
            eprintln!("building race-sim, which takes a minute the first time");
            is_said = true;
        }
        told.push(line);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if status.success() {
        return Ok(None);
    }
    told.iter().for_each(|line| eprintln!("{line}"));
    Ok(Some(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
