//! macOS: kqueue and `proc_pidinfo`.
//!
//! Three things are weaker here than on Linux, for want of a descriptor that names a process. A
//! folder must be readable to be entered. An exit that is announced is waited for, which takes
//! the last microseconds of the process's death. And what an earlier daemon left running is killed
//! by its number, right after its start time was checked: between the two it would have to end, be
//! reaped, and all other numbers be used up.
#![expect(unsafe_code, reason = "system calls that neither std nor rustix offers safely")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::event::kqueue::{
    Event, EventFilter, EventFlags, ProcessEvents, kevent_timespec, kqueue,
};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitIdOptions, kill_process_group};
use tokio::io::unix::AsyncFd;

use super::{Disposition, Life};
use crate::process::readiness::readable;

/// There is no way to open a folder that may only be entered.
pub(in crate::process) const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The kqueue tells of an exit a moment before it can be waited for, and does not tell again.
pub(in crate::process) const EXIT_PROBE: WaitIdOptions =
    WaitIdOptions::EXITED.union(WaitIdOptions::NOWAIT);

/// `NSIG - 1`.
pub(in crate::process) const SIGNALS_MAX: i32 = 31;

/// How many descriptors are closed one by one, at most: a limit may be "unlimited".
const DESCRIPTORS_MAX: libc::rlim_t = 1 << 20;

/// Longer than any name of a boot session, which is a UUID.
const BOOT_ID_BYTES_MAX: usize = 64;

/// Returns the name of this boot. A record that has another one tells of a process that the
/// restart ended.
///
/// # Errors
///
/// When the kernel does not tell it. Without it no process can be told from another: give up.
pub fn boot_id() -> io::Result<String> {
    let mut buffer = [0_u8; BOOT_ID_BYTES_MAX];
    let mut length = buffer.len();
    // SAFETY: the name ends in a NUL, and the kernel writes at most `length` bytes into the
    // buffer, which has as many.
    let answer = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            buffer.as_mut_ptr().cast(),
            &raw mut length,
            ptr::null_mut(),
            0,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    let text = CStr::from_bytes_until_nul(&buffer).ok().and_then(|text| text.to_str().ok());
    text.map(str::to_owned).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Says whether the process of this number runs, and since when, in microseconds of the wall clock.
///
/// # Errors
///
/// When the kernel does not answer, for want of a right: then nobody knows.
pub(in crate::process) fn sign_of_life(pid: Pid) -> io::Result<Life> {
    // SAFETY: a structure of integers, for which all zero is a value.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = i32::try_from(size_of::<libc::proc_bsdinfo>())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel writes at most `size` bytes into the structure, which has as many.
    let answer = unsafe {
        libc::proc_pidinfo(
            pid.as_raw_nonzero().get(),
            libc::PROC_PIDTBSDINFO,
            0,
            (&raw mut info).cast(),
            size,
        )
    };
    if answer != size {
        let error = io::Error::last_os_error();
        let gone = error.raw_os_error() == Some(libc::ESRCH);
        return if gone { Ok(Life::Gone) } else { Err(error) };
    }
    if info.pbi_status == libc::SZOMB {
        return Ok(Life::Gone);
    }
    let start_mark = info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec;
    Ok(Life::Runs { start_mark })
}

/// There are no cgroups.
///
/// # Safety
///
/// There is nothing to keep to.
pub(in crate::process) unsafe fn fork_into(_cgroup: BorrowedFd<'_>) -> Option<libc::pid_t> {
    None
}

/// Closes every descriptor from `first` on. Safe to call between fork and exec.
pub(in crate::process) fn close_from(first: RawFd) {
    let mut limit = libc::rlimit { rlim_cur: DESCRIPTORS_MAX, rlim_max: DESCRIPTORS_MAX };
    // SAFETY: the kernel writes one structure, which is there. Closing a descriptor touches no
    // memory. Whoever calls this wants them gone: see the callers for why nothing uses them
    // afterwards.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let end = limit.rlim_cur.min(DESCRIPTORS_MAX);
        for descriptor in first..RawFd::try_from(end).unwrap_or(RawFd::MAX) {
            libc::close(descriptor);
        }
    }
}

/// Gives a signal its default disposition. Safe to call between fork and exec.
pub(in crate::process) fn set_default(signal: i32) {
    // SAFETY: the default disposition runs no code of ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
    }
}

/// Says what this process does with a signal.
pub(in crate::process) fn disposition(signal: i32) -> Disposition {
    // SAFETY: a structure of integers, for which all zero is a value: the default.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one structure, which is there. Where it refuses, it writes nothing.
    unsafe {
        libc::sigaction(signal, ptr::null(), &raw mut now);
    }
    Disposition {
        is_ignored: now.sa_sigaction == libc::SIG_IGN,
        discards_children: now.sa_flags & libc::SA_NOCLDWAIT != 0,
    }
}

/// Waits for the end of one process through a kqueue.
#[derive(Debug)]
pub(in crate::process) struct ExitWatch {
    pid: Pid,
    queue: AsyncFd<OwnedFd>,
}

impl ExitWatch {
    /// Starts to watch the process that has this number now. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is none.
    pub(in crate::process) fn of(pid: Pid) -> io::Result<Self> {
        let queue = kqueue()?;
        let filter = EventFilter::Proc { pid, flags: ProcessEvents::EXIT };
        let event = Event::new(filter, EventFlags::ADD, ptr::null_mut());
        let mut none: [Event; 0] = [];
        // SAFETY: the event names a process and no descriptor.
        unsafe { kevent_timespec(&queue, &[event], &mut none, None)? };
        Ok(Self { pid, queue: readable(queue)? })
    }

    /// Asks `probe` each time the process may have ended, until it has an answer.
    ///
    /// Cancel safe: the answer is returned in the moment in which it is given.
    pub(in crate::process) async fn until<T>(&self, mut probe: impl FnMut() -> Option<T>) -> T {
        loop {
            // The event is never taken out of the queue, so that the queue stays readable.
            let Ok(mut guard) = self.queue.readable().await else {
                // Only when the runtime shuts down, and everything that waits with it.
                return std::future::pending().await;
            };
            if let Some(answer) = probe() {
                return answer;
            }
            guard.clear_ready();
        }
    }

    /// Waits until the process has ended, whoever its parent is.
    ///
    /// Cancel safe.
    pub(in crate::process) async fn ended(&self) {
        self.until(|| Some(())).await;
    }

    /// Kills the process and the group that it leads. See the head of this file for what this
    /// rests on.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it has ended; `EPERM` when it has become another user's.
    pub(in crate::process) fn kill_group(&self) -> io::Result<()> {
        Ok(kill_process_group(self.pid, Signal::KILL)?)
    }
}
