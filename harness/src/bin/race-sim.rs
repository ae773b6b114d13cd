//! `race-sim`: replays timelines, shows them, and searches the model for more. Started by
//! `cargo xtask race-sim`.
//!
//! It changes a file only with `--bless`: of a timeline nothing above the line `----`, and the lock
//! file of the model.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its streams"
)]

use std::io::stdout;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use candor_harness::check::{Failure, check, judge};
use candor_harness::lanes;
use candor_harness::model::command;
use candor_harness::replay::{Mode, ReplayError, replay};
use candor_harness::timeline::{CorpusError, Timeline, load, read_file};

/// Where the corpus lies, seen from the folder of the workspace.
const CORPUS: &str = "harness/timelines";

const HELP: &str = "\
race-sim: replays races, and looks for more

  race-sim
      The push tier: replays the corpus, searches, hunts seeded bugs, checks the search and the lock.
  race-sim replay [FILE|FOLDER]... [--lenient] [--bless]
      Replays timelines twice, checks every invariant, and compares the outcome with the golden
      block. Without a name: those in harness/timelines.
        --lenient   leave out choices that are not enabled
        --bless     write the outcome into the golden block
  race-sim show FILE
      Shows one timeline as lanes.
";

const EXIT_CODES: &str = "\
Exit codes: 0 all passed, 1 wrong usage or a file that cannot be replayed, 127 a crash,
128 something never ends, 129 something does not hold or has another outcome, 130 two replays differ
or the search is not what is locked, 131 a seeded bug survived.
";

const USAGE: u8 = 1;
const CRASH: u8 = 127;
const LIVENESS: u8 = 128;
const SAFETY: u8 = 129;
const NONDETERMINISM: u8 = 130;

/// The invariant that speaks of what never ends.
const LIVENESS_ID: &str = "INV-34";

/// What `replay` was asked to do.
struct Replay {
    paths: Vec<PathBuf>,
    mode: Mode,
    bless: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> =
        match env::args_os().skip(1).map(|word| word.into_string()).collect() {
            Ok(arguments) => arguments,
            Err(word) => return usage(&format!("{} is not UTF-8", word.to_string_lossy())),
        };
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["replay", rest @ ..] => match parse_replay(rest) {
            Ok(request) => guarded(move || run_replay(&request)),
            Err(message) => usage(&message),
        },
        ["show", file] if !file.starts_with('-') => {
            let file = PathBuf::from(file);
            guarded(move || run_show(&file))
        }
        ["show", ..] => usage("`show` takes one file"),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}{}\n{EXIT_CODES}", command::HELP);
            ExitCode::SUCCESS
        }
        [] => guarded(push_tier),
        words => guarded(|| run_model(words)),
    }
}

fn parse_replay(words: &[&str]) -> Result<Replay, String> {
    let mut request = Replay { paths: Vec::new(), mode: Mode::Strict, bless: false };
    for word in words {
        match *word {
            "--lenient" => request.mode = Mode::Lenient,
            "--bless" => request.bless = true,
            flag if flag.starts_with('-') => return Err(format!("`replay` has no flag `{flag}`")),
            path => request.paths.push(PathBuf::from(path)),
        }
    }
    if request.bless && request.mode == Mode::Lenient {
        return Err("--bless accepts whole timelines, so it does not go with --lenient".to_owned());
    }
    if request.paths.is_empty() {
        request.paths.push(PathBuf::from(CORPUS));
    }
    Ok(request)
}

fn usage(message: &str) -> ExitCode {
    eprintln!("race-sim: {message}\n\n{HELP}{}\n{EXIT_CODES}", command::HELP);
    ExitCode::from(USAGE)
}

/// Turns a panic, which has told its message already, into its exit code.
fn guarded(work: impl FnOnce() -> u8 + UnwindSafe) -> ExitCode {
    ExitCode::from(catch_unwind(work).unwrap_or(CRASH))
}

/// Everything that is looked at on every push.
fn push_tier() -> u8 {
    let corpus = Replay { paths: vec![PathBuf::from(CORPUS)], mode: Mode::Strict, bless: false };
    run_replay(&corpus).max(run_model(&["push"]))
}

fn run_model(words: &[&str]) -> u8 {
    match command::run(words, &mut stdout()) {
        Ok(Some(code)) => code,
        Ok(None) => {
            let verb = words.first().copied().unwrap_or_default();
            let _code = usage(&format!("there is no verb `{verb}`"));
            USAGE
        }
        Err(error) => {
            eprintln!("race-sim: {error}");
            error.exit_code()
        }
    }
}

fn run_replay(request: &Replay) -> u8 {
    let corpus = match load(&request.paths) {
        Ok(corpus) => corpus,
        Err(error) => return complain(&error),
    };
    let start = Instant::now();
    let mut worst = 0;
    let mut failed = 0;
    for (path, timeline) in &corpus {
        if let Err((code, message)) = replay_one(path, timeline, request) {
            failed += 1;
            worst = worst.max(code);
            println!("FAIL {:<5} {}\n{message}", timeline.id(), path.display());
        } else {
            println!("ok   {:<5} {}", timeline.id(), timeline.title());
        }
    }
    let passed = corpus.len() - failed;
    println!("{passed} passed, {failed} failed, in {} ms", start.elapsed().as_millis());
    worst
}

fn replay_one(path: &Path, timeline: &Timeline, request: &Replay) -> Result<(), (u8, String)> {
    let result =
        if request.bless { judge(timeline, request.mode) } else { check(timeline, request.mode) };
    let outcome = result.map_err(|failure| {
        let at = match &failure {
            Failure::Replay(ReplayError::NotEnabled { .. }) => format!("{}: ", path.display()),
            _ => String::new(),
        };
        (exit_code(&failure), format!("{at}{failure}"))
    })?;
    if !outcome.skipped.is_empty() {
        println!("     left out {} choices that are not enabled", outcome.skipped.len());
    }
    if request.bless && timeline.golden.as_ref() != Some(&outcome.golden) {
        let blessed = Timeline { golden: Some(outcome.golden), ..timeline.clone() };
        fs::write(path, blessed.to_string())
            .map_err(|error| (USAGE, format!("cannot write {}: {error}", path.display())))?;
        println!("     {} has a new golden block", path.display());
    }
    Ok(())
}

fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::Replay(_) | Failure::NoGolden { .. } => USAGE,
        Failure::Nondeterminism { .. } => NONDETERMINISM,
        Failure::Violated(violations) => {
            let is_liveness = violations.iter().all(|violation| violation.id == LIVENESS_ID);
            if is_liveness { LIVENESS } else { SAFETY }
        }
        Failure::Expectation { .. } | Failure::Golden { .. } => SAFETY,
    }
}

fn run_show(path: &Path) -> u8 {
    let timeline = match read_file(path) {
        Ok(timeline) => timeline,
        Err(error) => return complain(&error),
    };
    match replay(&timeline, Mode::Strict) {
        Ok(outcome) => {
            print!("{}\n{}", lanes::render(&timeline, &outcome.log), outcome.golden);
            for violation in &outcome.violations {
                println!("{violation}");
            }
            u8::from(!outcome.violations.is_empty()) * SAFETY
        }
        Err(error) => {
            eprintln!("race-sim: {}: {error}", path.display());
            USAGE
        }
    }
}

fn complain(error: &CorpusError) -> u8 {
    match error {
        CorpusError::Unreadable { source, .. } => eprintln!("race-sim: {error}: {source}"),
        CorpusError::Malformed { .. }
        | CorpusError::Duplicate { .. }
        | CorpusError::Empty { .. }
        | CorpusError::TooMany { .. } => eprintln!("race-sim: {error}"),
    }
    USAGE
}
