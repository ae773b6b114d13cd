//! `race-sim`: replays timelines, shows them, and searches the model for more. Started by
//! `cargo xtask race-sim`.
//!
//! It changes a file only with `--bless`: the golden block of a timeline and its `world` line, and the
//! lock file of the model. It writes over another only with `--force`. Each verb has a file here, or
//! lies with the model.

mod codes;
mod compare;
mod convert;
mod explain;
mod flags;
mod help;
mod import;
mod mutants;
mod next;
mod output;
mod repl;
mod replay;
mod show;
mod shrink;
mod table;

use std::env;
use std::error::Error as _;
use std::io::Write as _;
use std::panic::{UnwindSafe, catch_unwind};
use std::process::ExitCode;

use candor_harness::model::command::{self, CommandError};
use candor_harness::timeline::CorpusError;

use codes::{CRASH, USAGE};
use convert::Convert;
use explain::Explain;
use help::misuse;
use import::Import;
use mutants::Suspect;
use next::WhatNext;
use output::{Out, errln, out};
use repl::ByHand;
use replay::Replay;
use show::Show;
use shrink::Shrink;

/// The words that ask for help.
const HELP: [&str; 3] = ["help", "--help", "-h"];

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> =
        env::args_os().skip(1).map(|word| word.into_string()).collect();
    let code = match &arguments {
        Ok(arguments) => {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            carry_out(&words)
        }
        Err(word) => misuse("", &format!("{} is not UTF-8", word.to_string_lossy())),
    };
    // Whatever goes wrong here ends the program.
    let _infallible = Out.flush();
    ExitCode::from(code)
}

fn carry_out(words: &[&str]) -> u8 {
    match words {
        [] => guarded(push_tier),
        [word] if HELP.contains(word) => {
            out!("{}", help::whole());
            0
        }
        [word, verb, ..] if HELP.contains(word) => help_of(verb),
        [verb, rest @ ..] if rest.iter().any(|word| ["--help", "-h"].contains(word)) => {
            help_of(verb)
        }
        [verb, rest @ ..] => match *verb {
            "replay" => asked(verb, Replay::parse(rest), Replay::run),
            "next" => asked(verb, WhatNext::parse(rest), WhatNext::run),
            "show" => asked(verb, Show::parse(rest), Show::run),
            "shrink" => asked(verb, Shrink::parse(rest), Shrink::run),
            "explain" => asked(verb, Explain::parse(rest), Explain::run),
            "repl" => asked(verb, ByHand::parse(rest), ByHand::run),
            "convert" => asked(verb, Convert::parse(rest), Convert::run),
            "import" => asked(verb, Import::parse(rest), Import::run),
            "table" if rest.is_empty() => guarded(|| table::run(false)),
            "table" if rest == ["--markdown"] => guarded(|| table::run(true)),
            "table" => misuse(verb, "`table` has the flag --markdown and no other"),
            "compare" => {
                guarded(|| compare::run(rest).unwrap_or_else(|message| misuse(verb, &message)))
            }
            "mutants" if rest.is_empty() => guarded(|| mutants::run().max(run_model(words))),
            "mutants" if rest[0] != "--only" => asked(verb, Suspect::parse(rest), Suspect::run),
            _ => guarded(|| run_model(words)),
        },
    }
}

/// Carries out a request, or says why it is none.
fn asked<T: UnwindSafe>(verb: &str, request: Result<T, String>, run: fn(&T) -> u8) -> u8 {
    match request {
        Ok(request) => guarded(move || run(&request)),
        Err(message) => misuse(verb, &message),
    }
}

fn help_of(verb: &str) -> u8 {
    let Some(own) = help::of(verb) else {
        return misuse("", &no_verb(verb));
    };
    out!("{own}");
    0
}

fn no_verb(verb: &str) -> String {
    format!("there is no verb `{verb}`")
}

/// Turns a panic, which has told its message already, into its exit code.
fn guarded(work: impl FnOnce() -> u8 + UnwindSafe) -> u8 {
    catch_unwind(work).unwrap_or(CRASH)
}

/// Everything that is looked at on every push.
fn push_tier() -> u8 {
    Replay::corpus().run().max(mutants::run()).max(run_model(&["push"]))
}

fn run_model(words: &[&str]) -> u8 {
    let verb = words.first().copied().unwrap_or_default();
    match command::run(words, &mut Out) {
        Ok(Some(code)) => code,
        Ok(None) => misuse("", &no_verb(verb)),
        Err(CommandError::Usage(message)) => misuse(verb, &message),
        Err(error) => {
            errln!("race-sim: {error}");
            error.exit_code()
        }
    }
}

/// Says why the corpus cannot be used, and returns the exit code for it.
pub(crate) fn complain(error: &CorpusError) -> u8 {
    errln!("race-sim: {}", told(error));
    USAGE
}

/// Returns what is wrong with a file, with what the system says of it.
pub(crate) fn told(error: &CorpusError) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
