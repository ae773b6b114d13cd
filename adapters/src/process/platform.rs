//! What differs between the systems: one file each, with the same names in them.
//!
//! | name | what |
//! |---|---|
//! | `FOLDER_FLAGS` | how to open a folder only to enter it |
//! | `EXIT_PROBE` | how to ask for an exit that the watch has announced |
//! | `SIGNALS_MAX` | the highest signal number |
//! | `boot_id` | names this boot of the machine |
//! | `sign_of_life` | whether a process runs, and when it started |
//! | `fork_into` | forks into a cgroup, where there are any |
//! | `close_from`, `set_default` | safe to call between fork and exec |
//! | `disposition` | what this process does with a signal |
//! | `ExitWatch` | waits for the end of one process, without a thread or a timer |

use std::io;

use rustix::process::Pid;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod system;

pub use system::boot_id;
pub(super) use system::{
    EXIT_PROBE, ExitWatch, FOLDER_FLAGS, SIGNALS_MAX, close_from, disposition, fork_into,
    set_default, sign_of_life,
};
#[cfg(target_os = "linux")]
pub(super) use system::{Stat, stat};

/// What this process does with a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Disposition {
    /// Nothing.
    pub(super) is_ignored: bool,
    /// The kernel throws away how a child ended.
    pub(super) discards_children: bool,
}

/// Whether a process runs, as far as its number tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Life {
    /// It runs. Two processes that had the same number in one boot differ in the mark.
    Runs {
        /// When it started, in the system's own unit.
        start_mark: u64,
    },
    /// There is none, or only what is left of one until its parent looks.
    Gone,
}

/// Starts to watch the process that has this number now, whoever its parent is. `None` when there
/// is none. Needs a tokio runtime.
///
/// # Errors
///
/// When the system has no place for another watch.
pub(super) fn watch(pid: Pid) -> io::Result<Option<ExitWatch>> {
    // The last two are the answer where the number is that of a thread.
    const NO_PROCESS: [i32; 3] = [libc::ESRCH, libc::EINVAL, libc::ENOENT];

    match ExitWatch::of(pid) {
        Ok(watch) => Ok(Some(watch)),
        Err(error) if error.raw_os_error().is_some_and(|errno| NO_PROCESS.contains(&errno)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
