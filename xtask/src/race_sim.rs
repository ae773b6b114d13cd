//! `cargo xtask race-sim`: starts the harness's own binary in a release build.
//!
//! It must never know what the arguments mean: the harness does.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Runs `race-sim` with `arguments`, from the folder `root`, and returns its exit code. Without
/// arguments it runs the tier of every push.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> Result<u8> {
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .args(["run", "--quiet", "--release", "--package", "candor-harness"])
        .args(["--bin", "race-sim", "--"])
        .args(arguments);
    let status = command.status().context("cannot start cargo: is it on the PATH?")?;

    // Death by a signal has no code, and is a failure too.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
