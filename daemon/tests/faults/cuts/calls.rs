//! The system calls of a shim, and how each can be cut.

use std::collections::BTreeMap;
use std::fmt;

/// One call, as the trace tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    /// Which of the calls of this name it is, from 1.
    pub(super) number: usize,
    /// What it returned, where that is a number.
    returned: Option<i64>,
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Blow {
    /// The shim is killed on entry, so that the call never happens.
    Kill,
    /// It fails with this error and does nothing.
    Fail(&'static str),
    /// A write takes nothing, and says that it took a part.
    Lie,
    /// Nothing that makes a process works, from the beginning on.
    NoFork(&'static str),
}

/// One cut.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) call: Call,
    pub(super) blow: Blow,
}

/// Errors that calls can fail with. A `close` lets go whatever it answers, which an injected failure
/// does not, so it is not among them.
///
/// Source: their manual pages, and for what is missing there the file systems of Linux.
const ERRORS: [(&str, &[&str]); 3] = [
    (
        "EIO",
        &[
            "chdir",
            "fchdir",
            "flock",
            "fstat",
            "fsync",
            "fdatasync",
            "getcwd",
            "lseek",
            "mkdir",
            "mkdirat",
            "newfstatat",
            "open",
            "openat",
            "read",
            "pread64",
            "readlink",
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "statx",
            "unlink",
            "unlinkat",
            "pwrite64",
            "write",
        ],
    ),
    (
        "ENOSPC",
        &[
            "bind",
            "epoll_ctl",
            "fsync",
            "fdatasync",
            "mkdir",
            "mkdirat",
            "open",
            "openat",
            "pwrite64",
            "rename",
            "renameat",
            "renameat2",
            "write",
        ],
    ),
    (
        "EMFILE",
        &[
            "accept4",
            "dup",
            "dup2",
            "dup3",
            "epoll_create1",
            "fcntl",
            "inotify_init1",
            "open",
            "openat",
            "pidfd_open",
            "pipe2",
            "signalfd4",
            "socket",
            "socketpair",
            "timerfd_create",
        ],
    ),
];

/// All that make a process.
const FORKS: &str = "clone,clone3,fork,vfork";

impl Call {
    /// Reads the calls of a process with one thread.
    pub(super) fn all(trace: &str) -> Vec<Self> {
        let mut numbers = BTreeMap::new();
        let calls = trace.lines().filter_map(|line| {
            let (name, _) = line.split_once('(')?;
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                // A signal, or the end.
                return None;
            }
            let number = numbers.entry(name.to_owned()).or_insert(0);
            *number += 1;
            let returned = line.rsplit_once(" = ").map(|(_, value)| value);
            let returned = returned.and_then(|value| value.split(' ').next()?.parse().ok());
            Some(Self { name: name.to_owned(), number: *number, returned })
        });
        // The first is that of strace itself, which becomes the shim by it.
        calls.filter(|call| call.name != "execve").collect()
    }
}

impl Blow {
    /// A kill at every call.
    pub(super) fn kills(calls: &[Call]) -> Vec<Cut> {
        calls.iter().map(|call| Cut { call: call.clone(), blow: Self::Kill }).collect()
    }

    /// This error of every call that can have it, and did not fail anyway.
    pub(super) fn fails(calls: &[Call], error: &'static str) -> Vec<Cut> {
        let (_, names) = ERRORS.iter().find(|(name, _)| *name == error).unwrap();
        let can = |call: &&Call| names.contains(&call.name.as_str()) && call.returned >= Some(0);
        let blow = Self::Fail(error);
        calls.iter().filter(can).map(|call| Cut { call: call.clone(), blow }).collect()
    }

    /// One cut, of all that make a process.
    pub(super) fn no_fork(calls: &[Call], error: &'static str) -> Vec<Cut> {
        let mut forks = calls.iter().filter(|call| FORKS.split(',').any(|fork| call.name == fork));
        let blow = Self::NoFork(error);
        forks.next().map(|call| Cut { call: call.clone(), blow }).into_iter().collect()
    }

    /// A lie of every write of more than one byte.
    pub(super) fn lies(calls: &[Call]) -> Vec<Cut> {
        let can = |call: &&Call| {
            ["write", "sendto"].contains(&call.name.as_str()) && call.returned > Some(1)
        };
        calls.iter().filter(can).map(|call| Cut { call: call.clone(), blow: Self::Lie }).collect()
    }
}

impl Cut {
    /// Returns the names of the calls that are watched for it.
    pub(super) fn watched(&self) -> &str {
        if let Blow::NoFork(_) = self.blow { FORKS } else { &self.call.name }
    }

    /// Returns what `strace` is told.
    pub(super) fn injection(&self) -> String {
        let Call { name, number, returned } = &self.call;
        let blow = match self.blow {
            Blow::Kill => "signal=SIGKILL".to_owned(),
            Blow::Fail(error) => format!("error={error}"),
            Blow::Lie => format!("retval={}", returned.unwrap_or(2) / 2),
            Blow::NoFork(error) => return format!("inject={FORKS}:error={error}"),
        };
        format!("inject={name}:{blow}:when={number}")
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.injection())
    }
}
