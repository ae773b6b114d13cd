//! Linux: pidfds, `/proc`, `close_range`.
#![expect(unsafe_code, reason = "three system calls that neither std nor rustix offers")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use candor_core::ports::Target;
use rustix::fs::OFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal,
    waitid,
};
use tokio::io::unix::AsyncFd;

use super::{Disposition, Life};
use crate::process::readiness::readable;

/// Opens a folder that may be entered but not read, too.
pub(in crate::process) const FOLDER_FLAGS: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The pidfd is readable once the process can be waited for. Should a debugger hold the exit back,
/// the answer is "not yet", and the pidfd tells again.
pub(in crate::process) const EXIT_PROBE: WaitIdOptions =
    WaitIdOptions::EXITED.union(WaitIdOptions::NOWAIT).union(WaitIdOptions::NOHANG);

/// `SIGRTMAX`.
pub(in crate::process) const SIGNALS_MAX: i32 = 64;

/// `PIDFD_SIGNAL_PROCESS_GROUP`, since Linux 6.9.
///
/// Source: `linux/pidfd.h`.
const SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// More than a line of `/proc/<pid>/stat` has: some fifty numbers, and a name of 64 bytes. The kernel
/// gives all of it in one read.
const STAT_BYTES_MAX: usize = 1536;

/// How many descriptors are closed one by one where the kernel cannot close a range.
const DESCRIPTORS_MAX: libc::rlim_t = 1 << 20;

/// `PIDFD_GET_INFO`, since Linux 6.13.
///
/// Source: `linux/pidfd.h`.
const GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;

/// `PIDFD_INFO_EXIT`, since Linux 6.15.
///
/// Source: `linux/pidfd.h`.
const INFO_EXIT: u64 = 1 << 3;

/// What the kernel tells of a process by a pidfd: the first version of its structure.
///
/// Source: `linux/pidfd.h`, `struct pidfd_info`, 64 bytes.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    numbers: [u32; 11],
    exit_status: i32,
}

/// Returns the name of this boot. A record that has another one tells of a process that the
/// restart ended.
///
/// # Errors
///
/// When `/proc` is not there. Without it no process can be told from another: give up.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// Says whether the process of this number runs, and since when, in clock ticks since the boot.
///
/// # Errors
///
/// When `/proc` does not answer: then nobody knows.
///
/// Source: `proc_pid_stat(5)`, fields 3, 9 and 22.
pub(in crate::process) fn sign_of_life(pid: Pid) -> io::Result<Life> {
    Ok(match stat(pid)? {
        Some(Stat { is_zombie: false, start_mark, .. }) => Life::Runs { start_mark },
        Some(_) | None => Life::Gone,
    })
}

/// What is known of the process that has a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::process) struct Stat {
    /// Whether it has ended, and waits for its parent to look. One whose first thread alone has
    /// ended runs.
    pub(in crate::process) is_zombie: bool,
    /// The number of the process that is told of its end.
    pub(in crate::process) parent: i32,
    /// The number of its process group.
    pub(in crate::process) group: i32,
    /// The number of its session, as the kernel has it: that of the process that began it, which is no
    /// other process's as long as anybody is in it.
    pub(in crate::process) session: i32,
    /// See [`Life::Runs`].
    pub(in crate::process) start_mark: u64,
    /// How it ended, as `wait` has it. Of a process that may not be looked into it reads as 0.
    pub(in crate::process) exit_status: i32,
    /// Whether it has executed a program since it was forked. A child at its gate has not.
    pub(in crate::process) has_executed: bool,
}

/// The flag of a process that was forked and has not executed anything.
///
/// Source: `PF_FORKNOEXEC` in the kernel's `linux/sched.h`.
const FORKED_ONLY: u32 = 0x40;

/// Returns what is known of the process of this number, or `None` when there is none.
///
/// # Errors
///
/// When `/proc` does not answer: then nobody knows.
pub(in crate::process) fn stat(pid: Pid) -> io::Result<Option<Stat>> {
    let mut stat = [0; STAT_BYTES_MAX];
    let read = File::open(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .and_then(|mut file| file.read(&mut stat));
    let bytes = match read {
        Ok(bytes) => bytes,
        // The second is the answer when it goes between the opening and the reading.
        Err(error) if [Some(libc::ENOENT), Some(libc::ESRCH)].contains(&error.raw_os_error()) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    parse_stat(&stat[..bytes]).map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The name of the program stands in parentheses, and may have blanks and parentheses in it.
fn parse_stat(stat: &[u8]) -> Option<Stat> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // These are the fields 3 to 6, 9, 20 and 22.
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let flags: u32 = fields.nth(9 - 7)?.parse().ok()?;
    let threads: u32 = fields.nth(20 - 10)?.parse().ok()?;
    let start_mark = fields.nth(22 - 21)?.parse().ok()?;
    let is_zombie = ["X", "x"].contains(&state) || (state == "Z" && threads <= 1);
    // Since Linux 3.5 it is the field 52; a line of before ends earlier.
    let exit_status = fields.nth(52 - 23).and_then(|field| field.parse().ok()).unwrap_or(0);
    let has_executed = flags & FORKED_ONLY == 0;
    Some(Stat { is_zombie, parent, group, session, start_mark, exit_status, has_executed })
}

/// Closes every descriptor from `first` on. Safe to call between fork and exec: two system calls,
/// no allocation.
pub(in crate::process) fn close_from(first: RawFd) {
    // SAFETY: closing a descriptor touches no memory. Whoever calls this wants them gone: see
    // the callers for why nothing uses them afterwards.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == 0 {
            return;
        }
        let mut limit = libc::rlimit { rlim_cur: DESCRIPTORS_MAX, rlim_max: DESCRIPTORS_MAX };
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let end = limit.rlim_cur.min(DESCRIPTORS_MAX);
        for descriptor in first..RawFd::try_from(end).unwrap_or(RawFd::MAX) {
            libc::close(descriptor);
        }
    }
}

/// What `clone3` takes: flags, pidfd, two places for the number, the signal at the end, stack and its
/// size, tls, two of numbers to choose, cgroup.
///
/// Source: `clone(2)`, `struct clone_args`.
type CloneArguments = [u64; 11];

/// `CLONE_INTO_CGROUP`. The C library's constant is too narrow for it.
///
/// Source: `linux/sched.h`.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks, with the child in a cgroup from its first instruction. Unlike moving it there later, this
/// waits for nobody. `None` when the kernel does not do it, and then there is no child.
///
/// # Safety
///
/// As for `fork` in a process with threads: until it executes or exits, the child makes only calls
/// that are safe in a signal handler. The C library does not know that it is another process: in
/// particular what it keeps of the thread's own number is the parent's.
///
/// Source: `clone(2)`, `CLONE_INTO_CGROUP`, since Linux 5.7.
pub(in crate::process) unsafe fn fork_into(cgroup: BorrowedFd<'_>) -> Option<libc::pid_t> {
    let cgroup = u64::try_from(cgroup.as_raw_fd()).ok()?;
    let exit_signal = u64::try_from(libc::SIGCHLD).ok()?;
    let arguments: CloneArguments = [INTO_CGROUP, 0, 0, 0, exit_signal, 0, 0, 0, 0, 0, cgroup];
    // SAFETY: the kernel reads one structure, which is there. Without `CLONE_VM` the child has a copy
    // of this stack and goes on from here, as after `fork`; the rest is the caller's promise.
    let pid = unsafe {
        let size = size_of::<CloneArguments>();
        libc::syscall(libc::SYS_clone3, &raw const arguments, size)
    };
    libc::pid_t::try_from(pid).ok().filter(|&pid| pid >= 0)
}

/// The kernel's own structure for a disposition: handler, flags, restorer, mask. All zero is
/// `SIG_DFL` without flags.
///
/// The system call is made by hand, since the C library refuses to touch the two signals that it
/// uses, and a parent may have ignored those as well.
type Action = [u64; 4];

/// Gives a signal its default disposition. Safe to call between fork and exec.
pub(in crate::process) fn set_default(signal: i32) {
    let default: Action = [0; 4];
    let none = ptr::null_mut::<Action>();
    // SAFETY: the kernel reads one structure, which is there, and writes nothing. It refuses the
    // numbers that are no signals.
    unsafe {
        let call = libc::SYS_rt_sigaction;
        libc::syscall(call, signal, &raw const default, none, size_of::<u64>());
    }
}

/// Says what this process does with a signal.
pub(in crate::process) fn disposition(signal: i32) -> Disposition {
    let mut now: Action = [0; 4];
    let none = ptr::null::<Action>();
    // SAFETY: the kernel writes one structure, which is there, and reads nothing. Where it refuses,
    // it writes nothing.
    unsafe {
        let call = libc::SYS_rt_sigaction;
        libc::syscall(call, signal, none, &raw mut now, size_of::<u64>());
    }
    let [handler, flags, _restorer, _mask] = now;
    Disposition {
        is_ignored: handler == libc::SIG_IGN as u64,
        discards_children: flags & libc::SA_NOCLDWAIT as u64 != 0,
    }
}

/// Waits for the end of one process through a pidfd, which stays that of this process whatever
/// becomes of its number.
#[derive(Debug)]
pub(in crate::process) struct ExitWatch {
    pidfd: AsyncFd<OwnedFd>,
}

impl ExitWatch {
    /// Starts to watch the process that has this number now. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is none; `ENOSYS` before Linux 5.3, where Candor cannot work.
    pub(in crate::process) fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self { pidfd: readable(pidfd_open(pid, PidfdFlags::empty())?)? })
    }

    /// Asks `probe` each time the process may have ended, until it has an answer.
    ///
    /// Cancel safe: the answer is returned in the moment in which it is given.
    pub(in crate::process) async fn until<T>(&self, mut probe: impl FnMut() -> Option<T>) -> T {
        loop {
            let Ok(mut guard) = self.pidfd.readable().await else {
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

    /// Kills the process and the group that it leads.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub(in crate::process) fn kill_group(&self) -> io::Result<()> {
        Ok(self.send(Target::Group, Signal::KILL)?)
    }

    /// Sends a signal to the process, or to the group that it leads.
    ///
    /// Before Linux 6.9 a group cannot be named by a pidfd, and by its number it may be another's
    /// meanwhile. There the process alone gets it.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it has ended; `EPERM` when it has become another user's.
    pub(in crate::process) fn send(&self, target: Target, signal: Signal) -> Result<(), Errno> {
        let pidfd = self.pidfd.get_ref();
        let sent = match target {
            Target::Process => return pidfd_send_signal(pidfd, signal),
            Target::Group => send_to_group(pidfd, signal),
        };
        match sent {
            // The kernel does not know the flag, or the process leads no group.
            Err(Errno::INVAL | Errno::SRCH) => pidfd_send_signal(pidfd, signal),
            sent => sent,
        }
    }

    /// Returns how the process ended, if it has and is our own child, and leaves it unreaped.
    pub(in crate::process) fn seen_as_parent(&self) -> Option<WaitIdStatus> {
        let child = || WaitId::PidFd(self.pidfd.as_fd());
        retry_on_intr(|| waitid(child(), EXIT_PROBE)).ok().flatten()
    }

    /// Returns how the process ended, as `wait` has it, whoever was its parent and has reaped it.
    /// `None` when it has not, or on a kernel that does not keep that.
    pub(in crate::process) fn status_afterwards(&self) -> Option<i32> {
        let mut info = Info { mask: INFO_EXIT, ..Info::default() };
        // SAFETY: the kernel writes one structure of the size that is named in the call's number,
        // which is there.
        let answer =
            unsafe { libc::ioctl(self.pidfd.as_raw_fd(), GET_INFO, ptr::from_mut(&mut info)) };
        (answer == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_status)
    }

    /// Reaps the process, which has ended and is our own child.
    pub(in crate::process) fn reap(&self) {
        let child = || WaitId::PidFd(self.pidfd.as_fd());
        let ended = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG);
        // It can only fail when there is no such child any more.
        let _ = retry_on_intr(|| waitid(child(), ended));
    }
}

fn send_to_group(pidfd: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let none = ptr::null::<libc::siginfo_t>();
    // SAFETY: the pidfd is open for the length of the call, and no structure is handed over.
    let answer = unsafe {
        let call = libc::SYS_pidfd_send_signal;
        libc::syscall(call, pidfd.as_raw_fd(), signal.as_raw(), none, SIGNAL_PROCESS_GROUP)
    };
    if answer == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::{Stat, parse_stat};

    #[test]
    fn a_program_may_be_called_anything() {
        let fields = "1 43 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 2";
        for name in ["sleep", "a b", ") Z 1 (", "x) R 5", ""] {
            let running = format!("42 ({name}) S {fields}\n");
            let (parent, group, session) = (1, 43, 42);
            let (start_mark, has_executed) = (777, true);
            let (is_zombie, exit_status) = (false, 0);
            let stat =
                Stat { is_zombie, parent, group, session, start_mark, exit_status, has_executed };
            assert_eq!(parse_stat(running.as_bytes()), Some(stat));
            let zombie = format!("42 ({name}) Z {fields}\n");
            let gone = Stat { is_zombie: true, ..stat };
            assert_eq!(parse_stat(zombie.as_bytes()), Some(gone));
        }
    }

    /// Its first thread is a zombie until the last one has ended.
    #[test]
    fn a_process_runs_as_long_as_one_thread_does() {
        let fields = "1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 2 0 777 1 2";
        let stat = parse_stat(format!("42 (sleep) Z {fields}\n").as_bytes()).unwrap();
        assert!(!stat.is_zombie);
    }

    #[test]
    fn a_zombie_tells_how_it_ended() {
        let rest = "0 ".repeat(29);
        let fields = "1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777";
        let stat = parse_stat(format!("42 (sleep) Z {fields} {rest}10752\n").as_bytes()).unwrap();
        assert_eq!(stat.exit_status, 42 << 8);
    }

    #[test]
    fn a_child_that_executed_nothing_is_known() {
        let stat = b"42 (sleep) Z 1 42 42 0 -1 4194628 1 0 0 0 0 0 0 0 20 0 1 0 777 1 2\n";
        let stat = parse_stat(stat).unwrap();
        assert!(stat.is_zombie && !stat.has_executed, "{stat:?}");
    }

    #[test]
    fn half_a_line_tells_nothing() {
        for stat in ["", "42 (sleep", "42 (sleep)", "42 (sleep) S 1 42", "42 (sleep) S x"] {
            assert_eq!(parse_stat(stat.as_bytes()), None);
        }
    }
}
