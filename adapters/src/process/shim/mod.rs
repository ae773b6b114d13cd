//! Processes that outlive the daemon, and whose end is never missed: a shim for each.
//!
//! [`ShimSpawner`] does not fork the session's process itself. It starts a *shim*, which is the same
//! program once more, tiny and with one thread, and orders the launch from it. The shim is the
//! parent: it sees the exit, writes it down before it reaps, and is asked for signals. The daemon
//! may be killed, replaced and started again meanwhile, and finds everything by
//! [`attach`](candor_core::ports::ProcessSpawner::attach).
//!
//! | file | who | what |
//! |---|---|---|
//! | `place.rs` | both | the records, the lock, the socket: names and meaning |
//! | `frame.rs`, `request.rs` | both | what they say to each other |
//! | `inside/` | the shim | from its start to its end |
//! | `cgroup.rs` | both | the session's own cgroup, if there can be one |
//! | `spawner.rs`, `launch.rs` | the daemon | starting a shim |
//! | `find.rs` | the daemon | what became of one |
//! | `heir.rs` | the daemon | what falls to it when shims are killed |
//! | `link.rs`, `process.rs` | the daemon | being connected with one |
//! | `fence.rs` | the daemon | keeping one out, where its files are removed |
//! | `trace.rs` | whoever looks | whether one lives, and what is wrong |
//!
//! What holds it together:
//!
//! - **The lock is the life of the shim.** The kernel lets go of it whatever its holder dies of, and
//!   no number that is used again can be mistaken for it. A daemon that finds it free keeps it
//!   while it decides, so that a shim that comes late does not start behind its back.
//! - **`started` is durable before the program's first instruction**, so without it there was none.
//!   The `intent` only tells a shim that comes late whether it may still go on.
//! - **`exit` is durable before the process is reaped.** While it cannot be written the zombie keeps
//!   the status.
//! - **A stop is for all that the session started.** Once a signal to end it was asked for, it goes to
//!   everything that descends from the shim, and when the process itself has ended, what is left is
//!   ended before `exit` says so. It says how many could not be, or, where nobody asked for an end,
//!   how many were left alone.
//! - **The standard input is the shim's**, where it is held: a daemon that dies ends nothing. What was
//!   said to be accepted is in the shim's memory, and is written once and in order; a message is known
//!   by its id when it comes again.
//! - **A whole `exit` is the truth**, whoever lives or is dead. So a shim leaves as soon as it is
//!   written: who comes later reads it.
//!
//! Linux alone for now. On macOS the daemon keeps its direct children.

mod cgroup;
mod fence;
mod find;
#[cfg(test)]
mod first_version;
mod frame;
mod heir;
mod inside;
mod launch;
mod link;
mod place;
mod process;
mod request;
mod spawner;
mod trace;

use std::io;
use std::path::Path;

use candor_core::session::SessionId;
use rustix::process::Pid;

use super::identity::Identity;
use super::record::Found;
use place::{Place, Started};

pub(super) use cgroup::session_of as cgroup_session;
pub use fence::{Fence, fence};
pub use inside::main;
pub use spawner::{ShimProgram, ShimSpawner};
pub use trace::shim_trace;

/// What people see of a shim in a list of processes.
const NAME: &std::ffi::CStr = c"candor-shim";

/// Reads who the process of a session is that a shim has started.
///
/// # Errors
///
/// When the record could not be read.
pub(super) fn known(sessions: &Path, session: SessionId) -> io::Result<Found<Identity>> {
    Ok(match Place::of(sessions, session).load::<Started>()? {
        Found::Whole(started) => Found::Whole(started.identity),
        Found::Damaged => Found::Damaged,
        Found::Nothing => Found::Nothing,
    })
}

/// Whether the process of this number is a shim, by the name that it has given itself. It is asked only
/// of the parents of sessions' processes.
pub(super) fn is_shim(pid: Pid) -> bool {
    has_name(pid).unwrap_or(false)
}

/// See [`is_shim`].
///
/// # Errors
///
/// When there is no such process, or `/proc` does not answer.
pub(super) fn has_name(pid: Pid) -> io::Result<bool> {
    let name = std::fs::read(format!("/proc/{}/comm", pid.as_raw_nonzero()))?;
    Ok(name.trim_ascii_end() == NAME.to_bytes())
}
