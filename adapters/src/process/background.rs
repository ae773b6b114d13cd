//! Leaving the terminal and the habits of whoever started this process.

use std::env;
use std::io;

use rustix::io::Errno;
use rustix::process::{getpid, getsid, setsid};

use super::platform::close_from;
use super::signals;

/// The first descriptor that is not one of the three standard ones.
const FIRST_OTHER: i32 = 3;

/// Makes this process one that nobody's terminal, folder, descriptor or signal habit reaches.
///
/// It gets a session of its own, without a terminal, and `/` to stand in, so that it keeps no file
/// system busy. All descriptors but the standard three are closed, which stay as they are. Signals
/// that were ignored get their default disposition, and all come through; `SIGPIPE` stays ignored,
/// as Rust programs have it.
///
/// Call it first in `main`, before a file is opened or a thread started: it closes descriptors
/// under whoever owns them. It does not fork: whoever starts this process goes on by itself, and
/// must not make it the leader of a process group.
///
/// # Errors
///
/// `EPERM` when this process leads a process group in somebody else's session; anything that keeps
/// `/` from being entered.
pub fn become_daemon() -> io::Result<()> {
    close_from(FIRST_OTHER);
    signals::reset_ignored(libc::SIGPIPE);
    signals::unblock_all();
    env::set_current_dir("/")?;
    match setsid() {
        // It has its own already.
        Err(Errno::PERM) if getsid(None) == Ok(getpid()) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
