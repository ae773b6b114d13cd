//! Processes that stay when this one ends.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::process::{Command, Stdio};

use rustix::stdio::{dup2_stdin, stdin};

use crate::script::CLOSED;

/// Starts one and waits until it is ready. The child's standard input is the way by which it says
/// so, since the other two are what a test looks at.
pub(crate) fn start(arguments: &[OsString]) -> io::Result<()> {
    let (mut told, teller) = io::pipe()?;
    let mut command = Command::new(env::current_exe()?);
    let (closed, arguments): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|&argument| argument == CLOSED);
    if !closed.is_empty() {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    // It is not waited for: it is meant to stay, and this process to leave.
    drop(command.args(arguments).stdin(teller).spawn()?);
    // The command holds a copy of the teller.
    drop(command);
    told.read_exact(&mut [0])
}

/// Tells the parent, and lets go of the way by which it was told.
pub(crate) fn report_ready() -> io::Result<()> {
    rustix::io::write(stdin(), b"r")?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(())
}
