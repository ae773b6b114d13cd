//! A child that writes the time as its last act: xtask itself, started again in a hidden mode.
//!
//! A shell and `date` would end a millisecond or more after the time that they print.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

/// The hidden verb.
pub(crate) const VERB: &str = "bench-stamp";

/// Returns the wall clock in nanoseconds.
///
/// Not the monotonic clock: two processes must read the same one, and std gives no number for it.
/// A correction of the wall clock within one round is as rare as it is visible in the 99th
/// percentile.
pub(super) fn now_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos())
}

/// Sleeps for the milliseconds in the second argument, writes the time to the file in the first,
/// and ends.
pub(crate) fn child(arguments: &[OsString]) -> Result<ExitCode> {
    let path = arguments.first().context("name a file")?;
    let delay_ms = arguments.get(1).and_then(|delay| delay.to_str()).context("give a delay")?;
    let delay_ms = delay_ms.parse().context("give the delay in milliseconds")?;
    // Opened before the time is read, so that the writing takes one system call.
    let mut file = File::create(path)?;
    thread::sleep(Duration::from_millis(delay_ms));
    file.write_all(now_ns().to_string().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
