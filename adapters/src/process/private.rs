//! Keeps the memory of this process from other programs of its user.

use std::io;

/// Lets nobody but root look into this process: it cannot be traced, `/proc` shows neither its memory nor
/// its environment nor its files, and it leaves no core dump. What it executes is as it always is.
///
/// On macOS nothing is done: there the system asks for a right that programs must be given.
///
/// # Errors
///
/// What the system said.
///
/// Source: `PR_SET_DUMPABLE(2const)`; `execve(2)` sets it anew.
pub fn keep_private() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
