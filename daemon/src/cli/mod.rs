//! The command line: one file a verb.

mod agent;
mod approvals;
mod arguments;
mod continuation;
mod conversation;
mod converse;
mod daemon;
mod doctor;
mod events;
mod hook;
mod launcher;
mod logs;
mod ls;
mod open;
mod prune;
mod reach;
mod rm;
mod run;
mod search;
mod send;
mod show;
mod stop;
mod terminal;
mod token;
mod top;
mod wait;

use std::env;
use std::io::Write as _;

use clap::Parser as _;

use crate::client::ClientError;
use crate::config::ConfigError;
use crate::exit_code;
use crate::home::{Home, HomeError};
use arguments::{Arguments, Verb};

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Own(String),
    /// Whoever read our output has left. There is nobody to tell.
    #[error("standard output is closed")]
    OutputClosed,
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Output(error)
        }
    }
}

/// Runs the program, and returns its exit code.
pub(crate) fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match dispatch(arguments.verb) {
        Ok(exit_code) => exit_code,
        Err(CliError::OutputClosed) => exit_code::OWN_ERROR,
        Err(error) => {
            complain(&error);
            let is_inside =
                matches!(&error, CliError::Client(error) if error.is_inside_a_session());
            if is_inside && !launches() {
                exit_code::INSIDE_A_SESSION
            } else {
                exit_code::OWN_ERROR
            }
        }
    }
}

/// Says whether the verb is one whose exit code may be the command's own.
fn launches() -> bool {
    const LAUNCHES: [&str; 7] = ["run", "continue", "claude", "codex", "gemini", "opencode", "acp"];

    let verb = env::args_os().skip(1).find(|word| !word.as_encoded_bytes().starts_with(b"-"));
    verb.is_some_and(|verb| LAUNCHES.iter().any(|launch| verb == *launch))
}

fn dispatch(verb: Verb) -> Result<u8, CliError> {
    match verb {
        Verb::Completions { shell } => arguments::print_completions(shell),
        Verb::Daemon { verb } => daemon::main(verb),
        Verb::Hook { verb } => with_runtime(hook::main(verb)),
        Verb::Open { print } => with_runtime(open::main(print)),
        Verb::Logout => with_runtime(token::log_out()),
        Verb::Token { verb } => with_runtime(token::main(verb)),
        Verb::Doctor(doctor) => with_runtime(doctor::main(doctor)),
        Verb::Run(run) => with_runtime(run::main(run)),
        Verb::Claude(run) => with_runtime(agent::main("claude", run)),
        Verb::Codex(run) => with_runtime(agent::main("codex", run)),
        Verb::Gemini(run) => with_runtime(agent::main("gemini", run)),
        Verb::Opencode(run) => with_runtime(agent::main("opencode", run)),
        Verb::Acp(run) => with_runtime(agent::main("acp", run)),
        Verb::Continue(arguments) => with_runtime(continuation::main(arguments)),
        Verb::Approvals(arguments) => with_runtime(approvals::main(arguments)),
        Verb::Approve(decide) => with_runtime(approvals::decide(decide, true)),
        Verb::Deny(decide) => with_runtime(approvals::decide(decide, false)),
        Verb::Bypass(bypass) => with_runtime(approvals::bypass(bypass)),
        Verb::Finish { id } => with_runtime(stop::main(id, "finish")),
        Verb::Ls(ls) => with_runtime(ls::main(ls)),
        Verb::Top => with_runtime(top::main()),
        Verb::Show(show) => with_runtime(show::main(show)),
        Verb::Logs(logs) => with_runtime(logs::main(logs)),
        Verb::Send(send) => with_runtime(send::main(send)),
        Verb::Interrupt { id } => with_runtime(stop::main(id, "interrupt")),
        Verb::Kill { id } => with_runtime(stop::main(id, "kill")),
        Verb::Wait(wait) => with_runtime(wait::main(wait)),
        Verb::Timeline { id } => with_runtime(logs::timeline(id)),
        Verb::Rm(rm) => with_runtime(rm::main(rm)),
        Verb::Prune(prune) => with_runtime(prune::main(prune)),
        Verb::Search(search) => with_runtime(search::main(search)),
        Verb::Events(events) => with_runtime(events::main(events)),
    }
}

fn with_runtime(verb: impl Future<Output = Result<u8, CliError>>) -> Result<u8, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(verb);
    // A read of standard input or a write to a stuck pipe must not hold the program back.
    runtime.shutdown_background();
    result
}

/// Prints what clap has to say. Its exit code is 2, but 125 for what launches, since 2 may be the
/// command's own.
fn usage(error: &clap::Error) -> u8 {
    // Where standard error is closed, the exit code is left to tell.
    let _unprinted = error.print();
    if !error.use_stderr() {
        return exit_code::SUCCESS;
    }
    if launches() { exit_code::OWN_ERROR } else { exit_code::USAGE }
}

fn complain(error: &impl std::fmt::Display) {
    // Some of the sentences that we pass on end in empty lines.
    let text = terminal::clean(error.to_string().trim_end());
    let _unprinted = writeln!(anstream::stderr(), "candor: {text}");
}

/// Prints a line of a verb whose exit code tells more than its output: if nobody reads the line, the
/// exit code counts all the same.
fn print_if_read(line: &str) -> Result<(), CliError> {
    match writeln!(std::io::stdout(), "{line}").map_err(CliError::from) {
        Ok(()) | Err(CliError::OutputClosed) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns a client of the home's daemon, which is started when none runs.
async fn client() -> Result<crate::client::Client, CliError> {
    launcher::connect_or_start(&Home::find()?).await
}

/// Returns the address of a session that a person named.
fn path_of(id: &str) -> String {
    format!("/v1/sessions/{}", encoded(id))
}

/// Returns a person's word as it may stand in an address: whatever is not plain is percent-encoded.
fn encoded(word: &str) -> String {
    word.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
