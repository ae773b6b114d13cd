//! Signal dispositions and masks of this process. Everything here is safe to call between fork
//! and exec.
//!
//! It never installs a handler.
#![expect(unsafe_code, reason = "neither std nor rustix sets a mask or a disposition")]

use std::mem;
use std::ptr;

use super::platform::{SIGNALS_MAX, set_default};

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
        if disposition(signal).is_some_and(|now| now.sa_sigaction == libc::SIG_IGN) {
            set_default(signal);
        }
    }
}

/// Makes sure that the kernel keeps the exits of our children until we look.
///
/// A process that was started with `SIGCHLD` ignored inherits that, and the kernel then throws its
/// children's exits away.
pub(super) fn keep_exits() {
    let throws_away = |now: libc::sigaction| {
        now.sa_sigaction == libc::SIG_IGN || now.sa_flags & libc::SA_NOCLDWAIT != 0
    };
    if disposition(libc::SIGCHLD).is_some_and(throws_away) {
        set_default(libc::SIGCHLD);
    }
}

/// Returns `None` for a number that is no signal, or is the C library's own.
fn disposition(signal: i32) -> Option<libc::sigaction> {
    // SAFETY: the kernel fills a structure on this stack, for which all zero is a value.
    unsafe {
        let mut now: libc::sigaction = mem::zeroed();
        (libc::sigaction(signal, ptr::null(), &raw mut now) == 0).then_some(now)
    }
}
