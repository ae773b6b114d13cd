//! `cargo xtask upgrade`: sessions that an earlier program launched, under the daemon of today.
//!
//! The earlier program is built from the history, and the test of `daemon/tests/it/upgrade.rs` runs it.
//!
//! What is not our own is compiled already, so that it shares the folder for that. Cargo tells our own
//! packages of two checkouts apart as little as those of one that was moved: as with the failpoints, a
//! program in the place of rustc does, which has a name of its own for that.

use std::env;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::crash_sim::{as_rustc, folders};

/// The commit whose program is upgraded from: with the oldest shims that must still be understood. It
/// changes when that is given up, which is an entry of the changelog.
const PREVIOUS: &str = "2c215e3218e1ddf9e9f4b4dfca7b3f6a3d2dcee3";

/// The test.
const TEST: &str = "upgrade::a_new_daemon_takes_over_the_sessions_of_an_earlier_one";

/// Builds the earlier program, and runs the test with it.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let commit = format!("{PREVIOUS}^{{commit}}");
    if cmd!(shell, "git cat-file -e {commit}").quiet().ignore_stderr().run().is_err() {
        println!("skipped: {PREVIOUS} is not in this history: fetch all of it (no shallow clone)");
        return Ok(());
    }
    let (target, build) = folders(shell)?;
    let folder = target.join("upgrade");
    let source = folder.join("source");
    // What an earlier run has left is of the same commit, or is made anew.
    shell.remove_path(&source)?;
    shell.create_dir(&source)?;
    let archive = folder.join("source.tar");
    cmd!(shell, "git archive --output {archive} {PREVIOUS}").run()?;
    cmd!(shell, "tar -x -f {archive} -C {source}").run()?;
    let program = {
        let _at = shell.push_dir(&source);
        let wrapper = folder.join("as-rustc");
        // By its name: the file may have been built anew since this process was started from it.
        let this = env::args_os().next().context("this program was started without a name")?;
        shell.copy_file(std::path::absolute(this)?, &wrapper)?;
        let _environment =
            as_rustc(shell, &wrapper, "candor_previous", &folder.join("target"), &build);
        cmd!(shell, "cargo build --package candor --bin candor --test it").run()?;
        folder.join("target").join("debug").join("candor")
    };
    let _previous = shell.push_env("CANDOR_PREVIOUS", program);
    let test = cmd!(shell, "cargo test --package candor --test it -- --exact {TEST}");
    test.run().context("a session of an earlier program is not taken over")
}
