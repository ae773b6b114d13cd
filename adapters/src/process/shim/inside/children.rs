//! The shim's children: the one that it launched, and those that fell to it when their own parents
//! died.
#![expect(
    unsafe_code,
    reason = "neither std nor rustix makes a signalfd or tells whose exit it is"
)]

use std::fs::File;
use std::io::{self, Read as _};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, waitid, waitpid};

/// The kernel's structure for one signal that was read.
///
/// Source: `signalfd(2)`.
const SIGNAL_BYTES: usize = 128;

/// How many orphans are reaped before the shim looks at anything else.
const REAPED_MAX: usize = 256;

/// Tells when a child has ended. A signalfd and no pidfd of the one child, since it tells of the
/// orphans as well, and of outputs that grow: see `keeper.rs`.
#[derive(Debug)]
pub(super) struct Children {
    signals: File,
}

impl Children {
    /// Starts to listen. All signals must be blocked, as a shim has them.
    ///
    /// # Errors
    ///
    /// When the system has no place for it.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the set is a structure of integers on this stack, the kernel reads it, and
        // returns a new descriptor that nobody else knows.
        let descriptor = unsafe {
            let mut set: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigaddset(&raw mut set, libc::SIGIO);
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is open, and this is its only owner.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { signals: descriptor.into() })
    }

    /// Forgets what was told until now, and says whether it was told of an output. Call it first and
    /// look then, so that nothing is missed.
    pub(super) fn forget(&mut self) -> bool {
        let mut signals = [0; 4 * SIGNAL_BYTES];
        // What is said of children, they say themselves, and better.
        let bytes = self.signals.read(&mut signals).unwrap_or(0);
        // The number of the signal comes first.
        let output = libc::SIGIO.to_ne_bytes();
        signals[..bytes].chunks(SIGNAL_BYTES).any(|signal| signal.starts_with(&output))
    }
}

impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

/// Returns how a child ended, if it has, and leaves it unreaped.
pub(super) fn end_of(child: Pid) -> Option<WaitIdStatus> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    retry_on_intr(|| waitid(WaitId::Pid(child), look)).ok().flatten()
}

/// Reaps a child that has ended.
pub(super) fn reap(child: Pid) {
    // It can only fail when there is no such child any more.
    let _ = retry_on_intr(|| waitpid(Some(child), WaitOptions::NOHANG));
}

/// Says whether there is such a child and it lives. If it has ended, it is reaped.
pub(super) fn lives(child: Pid) -> bool {
    matches!(retry_on_intr(|| waitpid(Some(child), WaitOptions::NOHANG)), Ok(None))
}

/// Reaps all that have ended, except `kept`: their parents died before them, and nobody asks for
/// their exits. Unreaped they would count against the user's limit of processes.
pub(super) fn reap_orphans(kept: Pid) {
    for _ in 0..REAPED_MAX {
        match any_ended() {
            // Others may wait behind it. Its end is the shim's own, and then they are init's.
            Some(child) if child == kept => return,
            Some(child) => reap(child),
            None => return,
        }
    }
}

/// Returns a child that has ended.
pub(in crate::process::shim) fn any_ended() -> Option<Pid> {
    // SAFETY: the kernel writes one structure, which is there, and all zero is a value of it. The
    // field is one that `waitid` sets.
    let pid = unsafe {
        let mut told: libc::siginfo_t = mem::zeroed();
        let look = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
        libc::waitid(libc::P_ALL, 0, ptr::from_mut(&mut told), look);
        told.si_pid()
    };
    Pid::from_raw(pid)
}
