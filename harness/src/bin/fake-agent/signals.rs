//! Signals, and the ends of this process.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::signal::{SIGBUS, SIGPIPE, SIGSEGV};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, raise};

use crate::script::Action;
use crate::steps;

/// How long a process stays that was told to hang: longer than any test, and not for ever.
pub(crate) const HANG_MAX: Duration = Duration::from_mins(5);

/// The exit code of one that nobody ended. No test asks for it.
const FORGOTTEN: u8 = 99;

/// The exit code of one that did not die of a signal that should have killed it.
const SURVIVED: u8 = 98;

/// Where to write when the end came.
static STAMP: OnceLock<Option<PathBuf>> = OnceLock::new();

/// The signals whose disposition is not the one that this process was started with.
static HANDLED: OnceLock<Vec<i32>> = OnceLock::new();

pub(crate) fn keep_stamp(path: Option<PathBuf>) {
    STAMP.get_or_init(|| path);
}

/// Raises the limit for core dumps as far as it goes.
pub(crate) fn ask_for_core() -> Result<(), String> {
    let maximum = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: maximum, maximum })
        .map_err(|error| format!("cannot ask for a core dump: {error}"))
}

/// Handles signals from now on, on a thread of their own.
pub(crate) fn install(reactions: &[(i32, Action)]) -> Result<(), String> {
    if reactions.is_empty() {
        // No thread and no pipe, so that a dump shows what the parent gave and nothing else.
        return Ok(());
    }
    let actions: HashMap<i32, Action> = reactions.iter().copied().collect();
    let signals: Vec<i32> = actions.keys().copied().collect();
    listen(&signals, move |signal| {
        if let Some(&action) = actions.get(&signal) {
            react(signal, action);
        }
    })
}

/// Tells every one of these signals from now on, on a thread of its own.
pub(crate) fn listen(signals: &[i32], tell: impl Fn(i32) + Send + 'static) -> Result<(), String> {
    HANDLED.get_or_init(|| signals.to_vec());
    let mut signals = Signals::new(signals).map_err(|error| format!("{error}"))?;
    thread::spawn(move || {
        for signal in signals.forever() {
            tell(signal);
        }
    });
    Ok(())
}

fn react(signal: i32, action: Action) {
    match action {
        Action::Ignore => {}
        Action::Exit(code) => leave(code),
        Action::Die => die(signal),
        Action::Delay { ms, code } => {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(ms));
                leave(code)
            });
        }
        Action::Report { success, code } => {
            steps::print_result(success);
            leave(code)
        }
    }
}

/// Leaves with an exit code.
pub(crate) fn leave(code: u8) -> ! {
    stamp();
    process::exit(i32::from(code))
}

/// Dies of a signal.
pub(crate) fn die(signal: i32) -> ! {
    stamp();
    // Rust ignores the first of these and catches the others.
    let changed = [SIGPIPE, SIGBUS, SIGSEGV].contains(&signal)
        || HANDLED.get().is_some_and(|handled| handled.contains(&signal));
    let died = if changed { emulate_default_handler(signal) } else { raise(signal) };
    drop(writeln!(io::stderr(), "fake-agent: signal {signal} does not kill: {died:?}"));
    process::exit(i32::from(SURVIVED))
}

/// Waits for a signal.
pub(crate) fn hang() -> ! {
    thread::sleep(HANG_MAX);
    leave(FORGOTTEN)
}

fn stamp() {
    if let Some(Some(path)) = STAMP.get() {
        let now = clock_gettime(ClockId::Monotonic);
        let ns = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
        if let Err(error) = fs::write(path, ns.to_string()) {
            drop(writeln!(io::stderr(), "fake-agent: cannot stamp: {error}"));
        }
    }
}
