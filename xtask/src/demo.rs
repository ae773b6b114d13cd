//! `cargo xtask demo`: what Candor is for, in half a minute, with nothing left behind.

use std::ffi::OsStr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use crate::candor::Candor;

/// A command that has something to say on both outputs, and ends well.
const WORK: &str = "echo working; echo a remark >&2; echo done";

/// A command that answers an interrupt as agents often do: by exit code 130, which other tools take
/// for a failure.
const STUBBORN: &str =
    "trap 'echo asked to stop; exit 130' INT; echo up; while :; do sleep 1; done";

/// Runs a session to its end, interrupts another, and shows what Candor says of both.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let candor = Candor::start(shell)?;
    println!("\nA daemon runs, in a home of its own that is removed at the end.");

    println!("\nA session, in front: its output comes as it is written.");
    show(&candor, ["run", "--title", "some work", "--", "sh", "-c", WORK])?;

    println!("\nAnother one, left to run, that ends with exit code 130 when it is interrupted.");
    let id = candor.launch(["sh", "-c", STUBBORN])?;
    await_line(&candor, &id)?;
    show(&candor, ["interrupt", &id])?;
    let waited = candor.output(["wait", &id])?;
    ensure!(waited.status.code() == Some(130), "the wait ended with {}", waited.status);

    println!("\nIt is completed, as asked. It was not failed for a moment:");
    show(&candor, ["ls"])?;
    show(&candor, ["show", &id])?;
    Ok(())
}

/// Prints a command as it would be typed, and runs it.
fn show<const N: usize>(candor: &Candor, arguments: [&str; N]) -> Result<()> {
    let typed: Vec<_> = arguments
        .iter()
        .map(|word| if word.contains(' ') { format!("{word:?}") } else { (*word).to_owned() })
        .collect();
    println!("\n$ candor {}", typed.join(" "));
    let status =
        candor.command(arguments.map(OsStr::new)).status().context("cannot start candor")?;
    ensure!(status.success(), "candor {} ended with {status}", typed.join(" "));
    Ok(())
}

/// Waits until the session has written its first line, so that its trap is set.
fn await_line(candor: &Candor, id: &str) -> Result<()> {
    use std::io::{BufRead as _, BufReader};

    let mut follower = candor.command(["logs", "-f", id]).stdout(Stdio::piped()).spawn()?;
    let output = follower.stdout.take().context("no output to follow")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    follower.kill()?;
    follower.wait()?;
    ensure!(line == "up\n", "the session said {line:?}");
    Ok(())
}
