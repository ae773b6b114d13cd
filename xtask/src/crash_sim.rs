//! `cargo xtask crash-sim`: timelines of the harness on the real daemon, which is killed at its
//! failpoints.
//!
//! The failpoints are compiled in by a cfg that nobody else sets. It goes to our own packages alone,
//! so that SQLite and all the rest are those of the other tests and are not compiled again: cargo
//! calls this very program in the place of rustc for them, and keeps what comes of it apart.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

/// The cfg. `adapters/src/failpoint.rs` tells what it brings in.
pub(crate) const CFG: &str = "candor_failpoints";

/// Tells this program that cargo calls it in the place of rustc.
const AS_RUSTC: &str = "CANDOR_XTASK_AS_RUSTC";

/// The folder below the target folder in which the binaries lie, away from those that are run.
const FOLDER: &str = "failpoints";

/// The tests that are there under the cfg alone.
const TESTS: &str = "failpoints::";

/// Plays all of them.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let (_environment, _binary) = under_the_cfg(shell)?;
    let nextest = cmd!(shell, "cargo nextest --version").quiet().ignore_stderr().read();
    if nextest.is_err() {
        return Ok(cmd!(shell, "cargo test --package candor --test it {TESTS}").run()?);
    }
    let profile = if env::var_os("CI").is_some() { "ci" } else { "default" };
    let only = format!("test(/^{TESTS}/)");
    let run = cmd!(shell, "cargo nextest run --package candor --test it --profile {profile}");
    Ok(run.args(["--filterset", &only]).run()?)
}

/// Builds the daemon with its failpoints, and returns where it is.
pub(crate) fn build(shell: &Shell) -> Result<PathBuf> {
    let (_environment, binary) = under_the_cfg(shell)?;
    // With its tests, as `run` builds it: the features of their dependencies come along.
    cmd!(shell, "cargo build --package candor --bin candor --test it").run()?;
    Ok(binary)
}

/// Sets the environment in which cargo compiles our packages under the cfg, and returns where the
/// daemon will be.
fn under_the_cfg(shell: &Shell) -> Result<(Vec<xshell::PushEnv<'_>>, PathBuf)> {
    let (target, build) = folders(shell)?;
    let target = target.join(FOLDER);
    // By its name: the file may have been built anew since this process was started from it.
    let this = env::args_os().next().context("this program was started without a name")?;
    let this = std::path::absolute(this)?;
    let environment = as_rustc(shell, &this, CFG, &target, &build);
    Ok((environment, target.join("debug").join("candor")))
}

/// Sets the environment in which cargo calls `program`, which is this one or a copy of it, to compile
/// our packages, and that adds a cfg. Each program has what comes of it apart.
pub(crate) fn as_rustc<'shell>(
    shell: &'shell Shell,
    program: &Path,
    cfg: &str,
    target: &Path,
    build: &Path,
) -> Vec<xshell::PushEnv<'shell>> {
    vec![
        shell.push_env("RUSTC_WORKSPACE_WRAPPER", program),
        shell.push_env(AS_RUSTC, cfg),
        shell.push_env("CARGO_TARGET_DIR", target),
        shell.push_env("CARGO_BUILD_BUILD_DIR", build),
    ]
}

/// Returns cargo's folders for what is finished and for what is not.
pub(crate) fn folders(shell: &Shell) -> Result<(PathBuf, PathBuf)> {
    let json = cmd!(shell, "cargo metadata --format-version 1 --no-deps").quiet().read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let folder = |key: &str| metadata[key].as_str().map(PathBuf::from);
    let target = folder("target_directory").context("cargo names no target folder")?;
    let build = folder("build_directory").unwrap_or_else(|| target.clone());
    Ok((target, build))
}

/// Compiles as cargo says, under the cfg; `None` when it is not cargo that calls.
pub(crate) fn rustc(arguments: &[OsString]) -> Option<Result<ExitCode>> {
    let cfg = env::var_os(AS_RUSTC)?;
    let (rustc, arguments) = arguments.split_first()?;
    let is_rustc = Path::new(rustc).file_stem().is_some_and(|name| name == "rustc");
    is_rustc.then(|| {
        let status = Command::new(rustc).args(arguments).arg("--cfg").arg(cfg).status();
        let code = status.context("cannot start rustc")?.code();
        // Death by a signal has no code, and is a failure too.
        Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into())
    })
}
