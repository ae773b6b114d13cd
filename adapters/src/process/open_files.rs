//! The limit of open files: raised for the daemon, and given back to its children.
//!
//! The usual soft limit of 1,024 is there for programs that put descriptors into `select`, which
//! the daemon does not do and a session's program may. So the daemon raises its own, and each child
//! gets the one that the daemon was started with.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the daemon asks for, at most: several times what its named limits come to.
const OPEN_FILES_MAX: u64 = 65_536;

/// The limit that this process was started with, once it was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit of open files of this process as far as it may and needs. Called once, before
/// there are any children.
///
/// # Errors
///
/// What the system said. Then everything is as it was, and fewer sessions find room.
pub fn raise_open_files() -> std::io::Result<()> {
    let before = getrlimit(Resource::Nofile);
    let wanted = before.maximum.map_or(OPEN_FILES_MAX, |hard| hard.min(OPEN_FILES_MAX));
    if before.current.is_some_and(|soft| soft < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: before.maximum })?;
        let _raised_before = BEFORE.set(before);
    }
    Ok(())
}

/// Gives a child that has not begun yet the limit that this process was started with.
///
/// # Errors
///
/// What the system said.
#[cfg(target_os = "linux")]
pub(super) fn give_back(child: rustix::process::Pid) -> std::io::Result<()> {
    if let Some(before) = BEFORE.get() {
        rustix::process::prlimit(Some(child), Resource::Nofile, *before)?;
    }
    Ok(())
}

/// Returns the limit that a child is to get back, where this process has raised its own.
pub(super) fn limit_of_children() -> Option<libc::rlimit> {
    let infinite = |limit: Option<u64>| limit.map_or(libc::RLIM_INFINITY, |limit| limit as _);
    BEFORE.get().map(|before| libc::rlimit {
        rlim_cur: infinite(before.current),
        rlim_max: infinite(before.maximum),
    })
}
