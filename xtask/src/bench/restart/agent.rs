//! A child that writes numbered lines until it is told to end, or its time has come: xtask itself,
//! started again in a hidden mode. What it leaves in its folder is what the daemon is held against.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Signal, getpid, kill_process};

use super::fleet::{End, LINES, STARTS, TOLD};

/// The hidden verb.
pub(crate) const VERB: &str = "bench-agent";

/// How long it is between two lines.
pub(super) const PACE: Duration = Duration::from_millis(100);

/// Lines that one agent writes at most, so that a forgotten one does not stay for ever: two hours.
const LINES_MAX: u64 = 72_000;

/// Writes lines, in the folder of the first argument, at most as many as the second says (0 for no
/// limit), and ends as the third says.
pub(crate) fn child(arguments: &[OsString]) -> Result<ExitCode> {
    let [folder, lines_max, end] = arguments else {
        anyhow::bail!("name a folder, a number of lines and an end");
    };
    let folder = Path::new(folder);
    let lines_max = lines_max.to_str().and_then(|text| text.parse().ok());
    let lines_max = lines_max.context("give a number of lines")?;
    let lines_max = if lines_max == 0 { LINES_MAX } else { LINES_MAX.min(lines_max) };
    let end: End = end.to_str().and_then(End::parse).context("give an end")?;

    let mut starts = OpenOptions::new().append(true).create(true).open(folder.join(STARTS))?;
    writeln!(starts, "{}", getpid().as_raw_nonzero())?;
    let mut output = io::stdout();
    let mut written = 0;
    while written < lines_max && !folder.join(TOLD).exists() {
        written += 1;
        // One call a line, so that each is there or is not.
        output.write_all(line(written).as_bytes())?;
        output.flush()?;
        thread::sleep(PACE);
    }
    fs::write(folder.join(LINES), written.to_string())?;
    match end {
        End::Code(code) => Ok(code.into()),
        End::Signal(signal) => {
            kill_process(getpid(), Signal::from_named_raw(signal).context("no such signal")?)?;
            anyhow::bail!("signal {signal} does not kill")
        }
    }
}

/// Returns one line of the output, which is the same for every agent.
pub(super) fn line(number: u64) -> String {
    format!("line {number}\n")
}
