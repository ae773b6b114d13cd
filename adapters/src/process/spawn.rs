//! Fork and exec, with a gate between them.
//!
//! After the fork the child stands still until the parent opens the gate, and leaves without
//! executing anything when the parent dies instead. So the parent can write down who the child is
//! before the program runs its first instruction.
//!
//! The daemon has threads, and any of them may hold a lock at the moment of the fork. So between
//! fork and exec the child makes system calls and nothing else: it never allocates, locks, panics
//! or returns.
#![expect(unsafe_code, reason = "nothing else can hold a child back between fork and exec")]

use std::convert::Infallible;
use std::ffi::{CString, c_char, c_int};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use candor_core::verdict::SpawnStage;
use rustix::io::{fcntl_dupfd_cloexec, retry_on_intr};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::open_files::limit_of_children;
use super::plan::{Plan, Refusal};
use super::platform::{close_from, fork_into};
use super::signals;

/// What the parent prepares lies above, so that the child can move it down without overwriting
/// what it still needs.
const DESCRIPTOR_FLOOR: RawFd = 16;

/// Where the child has what it needs besides its three standard descriptors, until the exec.
const FOLDER: RawFd = 3;
const GATE: RawFd = 4;
const REFUSALS: RawFd = 5;

/// How often an executable file that somebody writes to right now is tried again.
const BUSY_RETRIES_MAX: u32 = 5;

/// How long the child waits before each of those.
const BUSY_RETRY_MS: c_int = 90;

/// The kernel takes no longer path.
///
/// Source: `limits.h`, `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4096;

/// The exit code of a child that never executed. Nobody takes it for a session's: a child with an
/// identity that was refused is reaped here.
const NEVER_EXECUTED: c_int = 125;

/// A stage and an error number, as the child sends them.
const MESSAGE_BYTES: usize = 5;

/// What the child gets.
pub(super) struct Descriptors<'launch> {
    pub(super) stdin: BorrowedFd<'launch>,
    pub(super) stdout: BorrowedFd<'launch>,
    pub(super) stderr: BorrowedFd<'launch>,
    pub(super) folder: BorrowedFd<'launch>,
    /// The cgroup that it begins in, if it can.
    pub(super) cgroup: Option<BorrowedFd<'launch>>,
}

/// A child that waits at the gate. Dropped, it leaves and is reaped, and never executed anything.
pub(super) struct GatedChild {
    pid: Pid,
    is_in_cgroup: bool,
    gate: Option<PipeWriter>,
    refusals: PipeReader,
}

impl GatedChild {
    /// Returns the child's number, which is also that of the session and of the process group that
    /// it leads once it executes.
    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it is in the cgroup that was asked for.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "shims ask, and are not there")
    )]
    pub(super) const fn is_in_cgroup(&self) -> bool {
        self.is_in_cgroup
    }

    /// Lets the child execute its program, and waits until it has. Afterwards it is the caller's
    /// to reap.
    ///
    /// # Errors
    ///
    /// What was refused. The child is gone then, and reaped.
    pub(super) fn open_gate(mut self) -> Result<(), Refusal> {
        if let Some(mut gate) = self.gate.take() {
            match gate.write_all(&[1]) {
                // Broken, when the child is gone already. Then it has said why, or was killed.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    // It finds the gate closed for good, and leaves.
                    drop(gate);
                    reap(self.pid);
                    return Err(Refusal::at(SpawnStage::Fork)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let mut message = Vec::with_capacity(MESSAGE_BYTES);
        let read = self.refusals.read_to_end(&mut message);
        match (read, <[u8; MESSAGE_BYTES]>::try_from(message)) {
            (Ok(_), Ok(message)) => {
                reap(self.pid);
                Err(decode(message))
            }
            // The exec has closed its end. Or the child was killed before, which is an end like
            // any other, and will be seen as one.
            (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => Ok(()),
        }
    }
}

impl Drop for GatedChild {
    fn drop(&mut self) {
        if self.gate.take().is_some() {
            reap(self.pid);
        }
    }
}

/// Waits for a child that is about to leave by itself.
fn reap(pid: Pid) {
    // It can only fail when there is no such child any more.
    let _ = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
}

/// Makes the child and leaves it at the gate.
///
/// # Errors
///
/// [`SpawnStage::Fork`], with what the kernel lacked.
pub(super) fn fork(plan: &Plan, descriptors: &Descriptors<'_>) -> Result<GatedChild, Refusal> {
    let fork = Refusal::at(SpawnStage::Fork);
    let (gate_of_child, gate) = io::pipe().map_err(&fork)?;
    let (refusals, refusals_of_child) = io::pipe().map_err(&fork)?;
    let lifted = [
        lift(descriptors.stdin)?,
        lift(descriptors.stdout)?,
        lift(descriptors.stderr)?,
        lift(descriptors.folder)?,
        lift(gate_of_child.as_fd())?,
        lift(refusals_of_child.as_fd())?,
    ];
    let arguments = pointers(&plan.arguments);
    let variables = pointers(&plan.variables);
    let mut candidate = vec![0; PATH_BYTES_MAX];
    let mut child = Child {
        descriptors: lifted.each_ref().map(OwnedFd::as_raw_fd),
        umask: plan.umask as libc::mode_t,
        open_files: limit_of_children(),
        program: plan.arguments.first().map_or(&[], |program| program.as_bytes()),
        search: &plan.search,
        candidate: &mut candidate,
        arguments: &arguments,
        variables: &variables,
    };

    // No handler of this process may run in the child, where it would act on what both share.
    let mask = signals::block_all();
    // SAFETY: the child calls only `Child::run`, which keeps to what is safe after a fork in a
    // process with threads (see the head of this file) and never returns.
    let within = descriptors.cgroup.and_then(|cgroup| unsafe { fork_into(cgroup) });
    let is_in_cgroup = within.is_some();
    // SAFETY: as above.
    let pid = match within.unwrap_or_else(|| unsafe { libc::fork() }) {
        0 => child.run(),
        pid => pid,
    };
    let error = io::Error::last_os_error();
    signals::restore(&mask);
    let pid =
        Some(pid).filter(|&pid| pid > 0).and_then(Pid::from_raw).ok_or_else(|| fork(error))?;
    Ok(GatedChild { pid, is_in_cgroup, gate: Some(gate), refusals })
}

fn lift(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Refusal> {
    fcntl_dupfd_cloexec(descriptor, DESCRIPTOR_FLOOR).map_err(Refusal::at(SpawnStage::Fork))
}

/// Returns the array that `execve` takes. It points into `texts`.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// Everything that the child looks at.
struct Child<'launch> {
    /// stdin, stdout, stderr, folder, gate, refusals: each belongs at its own index.
    descriptors: [RawFd; 6],
    umask: libc::mode_t,
    open_files: Option<libc::rlimit>,
    program: &'launch [u8],
    search: &'launch [u8],
    candidate: &'launch mut [u8],
    arguments: &'launch [*const c_char],
    variables: &'launch [*const c_char],
}

impl Child<'_> {
    /// The life of the child until it executes. It has nowhere to return to.
    fn run(&mut self) -> ! {
        let Err((stage, errno)) = self.prepare().and_then(|()| self.execute());
        let message = encode(stage, errno);
        // SAFETY: the message is on this stack, and `_exit` runs none of the parent's handlers.
        unsafe {
            libc::write(REFUSALS, message.as_ptr().cast(), message.len());
            libc::_exit(NEVER_EXECUTED)
        }
    }

    fn prepare(&self) -> Result<(), (SpawnStage, c_int)> {
        for (target, &source) in (0..).zip(&self.descriptors) {
            // SAFETY: descriptors are the child's own copies, and every source lies above every
            // target.
            if unsafe { libc::dup2(source, target) } == -1 {
                return Err((SpawnStage::Fork, errno()));
            }
        }
        // At once, since among the rest are the daemon's lock and the gates of other children: as
        // long as a copy of those is open somewhere, they do not close.
        close_from(REFUSALS + 1);
        for kept in [FOLDER, GATE, REFUSALS] {
            // SAFETY: it takes numbers and touches no memory.
            unsafe { libc::fcntl(kept, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        // A session and not only a group of its own: it must have no terminal. With the daemon's
        // it would get SIGHUP when that is closed, would be stopped when it reads or writes there
        // in the background, and could ask for a password where nobody looks. Without one such a
        // question fails at once. It cannot fail: a child never leads a group yet.
        // SAFETY: both take no pointer.
        unsafe {
            libc::setsid();
            libc::umask(self.umask);
        }
        if let Some(limit) = &self.open_files {
            // SAFETY: the structure is there, and lowering a soft limit cannot be refused.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
        }
        signals::reset_all();
        signals::unblock_all();
        // SAFETY: it takes no pointer.
        if unsafe { libc::fchdir(FOLDER) } == -1 {
            return Err((SpawnStage::Folder, errno()));
        }
        await_gate();
        Ok(())
    }

    /// Tries one file after the other, as `execvp` does: what is not there is passed over, what
    /// may not be executed is remembered. Unlike there, a file that no loader knows is not handed
    /// to a shell: the user gets to know it.
    ///
    /// Source: `exec(3)`, "Special semantics for execlp() and execvp()".
    fn execute(&mut self) -> Result<Infallible, (SpawnStage, c_int)> {
        let mut busy_retries = BUSY_RETRIES_MAX;
        if self.program.contains(&b'/') {
            let Some(&path) = self.arguments.first() else {
                return Err((SpawnStage::Exec, libc::ENOENT));
            };
            return Err((SpawnStage::Exec, self.try_file(path, &mut busy_retries)));
        }
        let mut answer = libc::ENOENT;
        for folder in self.search.split(|&byte| byte == b':') {
            if self.program.is_empty() || !join(self.candidate, folder, self.program) {
                continue;
            }
            match self.try_file(self.candidate.as_ptr().cast(), &mut busy_retries) {
                libc::ENOENT | libc::ENOTDIR => {}
                // A network share that is away.
                libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                libc::EACCES => answer = libc::EACCES,
                errno => return Err((SpawnStage::Exec, errno)),
            }
        }
        Err((SpawnStage::Exec, answer))
    }

    /// Returns only when the file could not be executed.
    fn try_file(&self, path: *const c_char, busy_retries: &mut u32) -> c_int {
        loop {
            // SAFETY: the path ends in a NUL, both arrays end in a null pointer, and all that they
            // point to was prepared before the fork and lives on in the child's copy.
            unsafe { libc::execve(path, self.arguments.as_ptr(), self.variables.as_ptr()) };
            let errno = errno();
            if errno != libc::ETXTBSY || *busy_retries == 0 {
                return errno;
            }
            // An updater is at work, and is done in a moment.
            *busy_retries -= 1;
            // SAFETY: there are no descriptors to look at.
            unsafe { libc::poll(ptr::null_mut(), 0, BUSY_RETRY_MS) };
        }
    }
}

/// Waits until the parent opens the gate. When it dies instead, nobody knows of this process, and
/// it leaves.
fn await_gate() {
    let mut byte = 0_u8;
    loop {
        // SAFETY: the kernel writes at most one byte, which is there.
        match unsafe { libc::read(GATE, (&raw mut byte).cast(), 1) } {
            1 => return,
            -1 if errno() == libc::EINTR => {}
            // SAFETY: it runs none of the parent's handlers.
            _ => unsafe { libc::_exit(NEVER_EXECUTED) },
        }
    }
}

/// Writes `folder/name` and a NUL into `path`, or says that it is too long. An empty folder is
/// the current one.
fn join(path: &mut [u8], folder: &[u8], name: &[u8]) -> bool {
    let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
    let pieces = [folder, slash, name, b"\0"];
    let mut bytes = pieces.into_iter().flatten();
    for target in path {
        match bytes.next() {
            Some(&byte) => *target = byte,
            None => return true,
        }
    }
    bytes.next().is_none()
}

/// Reading it makes no call that could go wrong after a fork.
fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Returns a refusal as it travels between two processes of one program.
pub(super) fn encode(stage: SpawnStage, errno: c_int) -> [u8; MESSAGE_BYTES] {
    let stage = match stage {
        SpawnStage::Prepare => 0,
        SpawnStage::Folder => 1,
        SpawnStage::Fork => 2,
        SpawnStage::Exec => 3,
    };
    let [a, b, c, d] = errno.to_ne_bytes();
    [stage, a, b, c, d]
}

/// Reads what [`encode`] returned.
pub(super) fn decode([stage, a, b, c, d]: [u8; MESSAGE_BYTES]) -> Refusal {
    let stage = match stage {
        0 => SpawnStage::Prepare,
        1 => SpawnStage::Folder,
        2 => SpawnStage::Fork,
        _ => SpawnStage::Exec,
    };
    Refusal { stage, errno: c_int::from_ne_bytes([a, b, c, d]) }
}

#[cfg(test)]
mod tests {
    use candor_core::verdict::SpawnStage;

    use super::{PATH_BYTES_MAX, Refusal, decode, encode, join};

    #[test]
    fn refusals_come_across() {
        for stage in [SpawnStage::Prepare, SpawnStage::Folder, SpawnStage::Fork, SpawnStage::Exec] {
            for errno in [0, 2, 133, i32::MAX, i32::MIN] {
                assert_eq!(decode(encode(stage, errno)), Refusal { stage, errno });
            }
        }
    }

    #[test]
    fn paths_are_joined_as_far_as_they_fit() {
        let mut path = [b'x'; 8];
        assert!(join(&mut path, b"/bin", b"sh"));
        assert_eq!(&path, b"/bin/sh\0");
        assert!(!join(&mut path, b"/bin", b"ash"));
        assert!(join(&mut path, b"", b"sh"));
        assert_eq!(&path[..3], b"sh\0");
        assert!(join(&mut path, b"a", b"b"));
        assert_eq!(&path[..4], b"a/b\0");
        assert!(!join(&mut [0; PATH_BYTES_MAX], b"/", &[b'x'; PATH_BYTES_MAX]));
    }
}
