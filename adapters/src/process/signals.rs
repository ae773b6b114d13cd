//! Signal dispositions and masks of this process. Everything here is safe to call between fork
//! and exec.
//!
//! It never installs a handler.
#![expect(unsafe_code, reason = "neither std nor rustix sets a mask")]

use std::mem;
use std::ptr;

use super::platform::{SIGNALS_MAX, disposition, set_default};

/// A signal mask to go back to.
pub(super) struct Mask(libc::sigset_t);

/// Holds all signals back from this thread, and returns the mask that it had.
pub(super) fn block_all() -> Mask {
    // SAFETY: both sets are structures of integers that live on this stack, and a thread may
    // change its own mask.
    unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        let mut before: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        Mask(before)
    }
}

/// Gives this thread the mask that [`block_all`] returned.
pub(super) fn restore(mask: &Mask) {
    // SAFETY: the set was filled by the kernel, and a thread may change its own mask.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask.0, ptr::null_mut());
    }
}

/// Lets all signals through to this thread.
pub(super) fn unblock_all() {
    // SAFETY: the set is a structure of integers on this stack, and a thread may change its own
    // mask.
    unsafe {
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Gives every signal its default disposition, whatever a parent had set.
pub(super) fn reset_all() {
    for signal in 1..=SIGNALS_MAX {
        set_default(signal);
    }
}

/// Gives every signal that a parent had set to be ignored, except `kept`, its default disposition.
/// Handlers stay: they are our own runtime's.
pub(super) fn reset_ignored(kept: i32) {
    for signal in (1..=SIGNALS_MAX).filter(|&signal| signal != kept) {
        if disposition(signal).is_ignored {
            set_default(signal);
        }
    }
}

/// Makes sure that the kernel keeps the exits of our children until we look.
///
/// A process that was started with `SIGCHLD` ignored inherits that, and the kernel then throws its
/// children's exits away.
pub(super) fn keep_exits() {
    let now = disposition(libc::SIGCHLD);
    if now.is_ignored || now.discards_children {
        set_default(libc::SIGCHLD);
    }
}
