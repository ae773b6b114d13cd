//! Waiting for a process that is not ours to end, such as a daemon that was asked to leave.

use std::io;

use rustix::process::Pid;

use super::platform::{ExitWatch, watch};

/// Waits for the end of process `pid`, which must be alive when this is called: the handle is taken
/// before the returned future is first polled, so that its number cannot come to mean another
/// process meanwhile.
///
/// Call it within a tokio runtime. Cancel safe.
///
/// # Errors
///
/// What the system said. A process that is gone already is no error.
pub fn await_end_of(pid: u32) -> impl Future<Output = io::Result<()>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let watched = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput)).and_then(watch);
    async move {
        if let Some(watch) = watched? {
            ExitWatch::ended(&watch).await;
        }
        Ok(())
    }
}
