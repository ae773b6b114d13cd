//! A real process that does what a test tells it.
//!
//! Everything that a test waits for is told by the agent, and everything that the agent waits for
//! is told by the test, through fifos and files: nobody needs to sleep. It never outlives a test
//! that forgot it by more than [`signals::HANG_MAX`].
#![doc = concat!("```text\n", include_str!("help.txt"), "```")]

mod children;
mod claude;
mod dump;
mod script;
mod signals;
mod steps;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use script::{End, Script};

/// What a wrong command line is answered with. No test asks for this code.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let all: Vec<_> = env::args_os().collect();
    if let Some(arguments) = claude::arguments(&all) {
        let Err(message) = claude::run(arguments);
        return fail(&message);
    }
    let arguments = all[1.min(all.len())..].to_vec();
    if arguments.iter().any(|argument| argument == "--help") {
        let printed = io::stdout().write_all(include_str!("help.txt").as_bytes());
        return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let outcome = Script::parse(arguments).and_then(run);
    let Err(message) = outcome;
    fail(&message)
}

fn fail(message: &str) -> ExitCode {
    drop(writeln!(io::stderr(), "fake-agent: {message}"));
    ExitCode::from(USAGE)
}

/// Follows the script to its end, from which there is no return.
fn run(script: Script) -> Result<std::convert::Infallible, String> {
    signals::keep_stamp(script.stamp);
    if script.core {
        signals::ask_for_core()?;
    }
    signals::install(&script.reactions)?;
    for step in script.steps {
        steps::take(&step)?;
    }
    match script.end {
        End::Exit(code) => signals::leave(code),
        End::Die(signal) => signals::die(signal),
        End::Hang => signals::hang(),
        End::Digest => signals::leave(steps::digest_input()?),
    }
}
