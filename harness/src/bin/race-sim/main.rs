//! `race-sim`: replays timelines, shows them, and searches the model for more. Started by
//! `cargo xtask race-sim`.
//!
//! It changes a file only with `--bless`: of a timeline nothing above the line `----`, and the lock
//! file of the model. Each verb has a file here, or lies with the model.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its streams"
)]

mod codes;
mod compare;
mod convert;
mod explain;
mod flags;
mod import;
mod mutants;
mod repl;
mod replay;
mod show;
mod shrink;
mod table;

use std::env;
use std::io::stdout;
use std::panic::{UnwindSafe, catch_unwind};
use std::process::ExitCode;

use candor_harness::model::command;
use candor_harness::timeline::CorpusError;

use codes::{CRASH, USAGE};
use convert::Convert;
use explain::Explain;
use import::Import;
use repl::ByHand;
use replay::Replay;
use show::Show;
use shrink::Shrink;

const INTRODUCTION: &str = "\
race-sim: replays races, and looks for more

  race-sim
      The push tier: replays the corpus, searches, hunts seeded bugs, checks the search and the lock.
";

fn main() -> ExitCode {
    let arguments: Vec<String> =
        match env::args_os().skip(1).map(|word| word.into_string()).collect() {
            Ok(arguments) => arguments,
            Err(word) => return usage(&format!("{} is not UTF-8", word.to_string_lossy())),
        };
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["replay", rest @ ..] => asked(Replay::parse(rest), |request| request.run()),
        ["show", rest @ ..] => asked(Show::parse(rest), |request| request.run()),
        ["shrink", rest @ ..] => asked(Shrink::parse(rest), |request| request.run()),
        ["explain", rest @ ..] => asked(Explain::parse(rest), |request| request.run()),
        ["repl", rest @ ..] => asked(ByHand::parse(rest), |request| request.run()),
        ["convert", rest @ ..] => asked(Convert::parse(rest), |request| request.run()),
        ["import", rest @ ..] => asked(Import::parse(rest), |request| request.run()),
        ["table"] => guarded(|| table::run(false)),
        ["table", "--markdown"] => guarded(|| table::run(true)),
        ["table", ..] => usage("`table` has the flag --markdown and no other"),
        ["compare", rest @ ..] => {
            guarded(|| compare::run(rest).unwrap_or_else(|message| misuse(&message)))
        }
        ["mutants"] => guarded(|| mutants::run().max(run_model(&["mutants"]))),
        ["help" | "--help" | "-h"] => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        [] => guarded(push_tier),
        words => guarded(|| run_model(words)),
    }
}

/// Carries out a request, or says why it is none.
fn asked<T: UnwindSafe>(request: Result<T, String>, run: fn(&T) -> u8) -> ExitCode {
    match request {
        Ok(request) => guarded(move || run(&request)),
        Err(message) => usage(&message),
    }
}

fn help() -> String {
    let verbs = [
        replay::HELP,
        show::HELP,
        shrink::HELP,
        explain::HELP,
        repl::HELP,
        table::HELP,
        compare::HELP,
        convert::HELP,
        import::HELP,
        command::HELP,
    ];
    [INTRODUCTION, &verbs.concat(), "\n", codes::HELP].concat()
}

fn usage(message: &str) -> ExitCode {
    eprintln!("race-sim: {message}\n\n{}", help());
    ExitCode::from(USAGE)
}

/// Says what is wrong with the words, and returns the exit code for it.
fn misuse(message: &str) -> u8 {
    let _code = usage(message);
    USAGE
}

/// Turns a panic, which has told its message already, into its exit code.
fn guarded(work: impl FnOnce() -> u8 + UnwindSafe) -> ExitCode {
    ExitCode::from(catch_unwind(work).unwrap_or(CRASH))
}

/// Everything that is looked at on every push.
fn push_tier() -> u8 {
    Replay::corpus().run().max(mutants::run()).max(run_model(&["push"]))
}

fn run_model(words: &[&str]) -> u8 {
    match command::run(words, &mut stdout()) {
        Ok(Some(code)) => code,
        Ok(None) => {
            let verb = words.first().copied().unwrap_or_default();
            misuse(&format!("there is no verb `{verb}`"))
        }
        Err(error) => {
            eprintln!("race-sim: {error}");
            error.exit_code()
        }
    }
}

/// Says why the corpus cannot be used, and returns the exit code for it.
pub(crate) fn complain(error: &CorpusError) -> u8 {
    match error {
        CorpusError::Unreadable { source, .. } => eprintln!("race-sim: {error}: {source}"),
        CorpusError::Malformed { .. }
        | CorpusError::Duplicate { .. }
        | CorpusError::Empty { .. }
        | CorpusError::TooMany { .. } => eprintln!("race-sim: {error}"),
    }
    USAGE
}
