//! The two streams of every verb.
//!
//! Whoever reads them may leave before the end, as `head` does: that is no failure, and nobody may
//! see a panic for it. What is printed through here never is one.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process;

use crate::codes::USAGE;

/// Standard output. The first trouble ends the program: with 0 where nobody reads any more.
pub(crate) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        checked(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        checked(io::stdout().flush())
    }
}

fn checked<T>(written: io::Result<T>) -> io::Result<T> {
    match &written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(error) if error.kind() != ErrorKind::Interrupted => {
            complain(format_args!("race-sim: cannot write what was found: {error}\n"));
            process::exit(USAGE.into())
        }
        Ok(_) | Err(_) => written,
    }
}

/// Prints on standard output.
pub(crate) fn say(words: Arguments<'_>) {
    // Whatever can go wrong has ended the program.
    let _infallible = Out.write_fmt(words);
}

/// Prints on standard error; where that does not go, there is nobody to be told.
pub(crate) fn complain(words: Arguments<'_>) {
    let _unheard = io::stderr().write_fmt(words);
}

/// As `print!`, without its panic.
macro_rules! out {
    ($($words:tt)*) => { $crate::output::say(format_args!($($words)*)) };
}

/// As `println!`, without its panic.
macro_rules! outln {
    ($($words:tt)*) => { $crate::output::say(format_args!("{}\n", format_args!($($words)*))) };
}

/// As `eprint!`, without its panic.
macro_rules! err {
    ($($words:tt)*) => { $crate::output::complain(format_args!($($words)*)) };
}

/// As `eprintln!`, without its panic.
macro_rules! errln {
    ($($words:tt)*) => {
        $crate::output::complain(format_args!("{}\n", format_args!($($words)*)))
    };
}

pub(crate) use {err, errln, out, outln};
