//! The names of signals, as people know them.

/// Names by number, from 1. They are the same on all Linux machines that Candor runs on but MIPS.
///
/// Source: `signal(7)`.
#[cfg(not(target_os = "macos"))]
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Names by number, from 1.
///
/// Source: `signal(3)` of macOS.
#[cfg(target_os = "macos")]
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGEMT",
    "SIGFPE",
    "SIGKILL",
    "SIGBUS",
    "SIGSEGV",
    "SIGSYS",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGURG",
    "SIGSTOP",
    "SIGTSTP",
    "SIGCONT",
    "SIGCHLD",
    "SIGTTIN",
    "SIGTTOU",
    "SIGIO",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGINFO",
    "SIGUSR1",
    "SIGUSR2",
];

/// The first real-time signal that programs may use, as the C library of Linux counts.
const REAL_TIME_MIN: u8 = 34;

/// Returns the name of signal `number`.
pub(crate) fn of(number: u8) -> String {
    match NAMES.get(usize::from(number).wrapping_sub(1)) {
        Some(name) => (*name).to_owned(),
        None if number == REAL_TIME_MIN => "SIGRTMIN".to_owned(),
        None if number > REAL_TIME_MIN => format!("SIGRTMIN+{}", number - REAL_TIME_MIN),
        None => format!("SIG{number}"),
    }
}
