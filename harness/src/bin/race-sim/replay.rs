//! `race-sim replay`: the corpus, or single files, against their golden blocks.

use std::path::{Path, PathBuf};
use std::time::Instant;

use candor_harness::check::{Failure, check, judge};
use candor_harness::failure::Story;
use candor_harness::handle::{PREFIX, timeline_of_handle};
use candor_harness::invariants::Violation;
use candor_harness::mutant::Mutants;
use candor_harness::replay::{Mode, ReplayError};
use candor_harness::timeline::{Timeline, load, write_file};

use crate::codes::{LIVENESS, NONDETERMINISM, SAFETY, SURVIVOR, USAGE};
use crate::complain;

/// Where the corpus lies, seen from the folder of the workspace.
pub(crate) const CORPUS: &str = "harness/timelines";

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim replay [FILE|FOLDER|HANDLE]... [--lenient] [--bless]
      Replays timelines twice, checks every invariant, and compares the outcome with the golden
      block. Without a name: those in harness/timelines. A handle, which failures print, has no
      golden block. A file may be a twin, FILE.jsonl, as `convert` makes it; in folders, twins are
      left out.
        --lenient   leave out choices that are not enabled
        --bless     write the outcome into the golden block, of a twin in its own form
";

/// The invariant that speaks of what never ends.
const LIVENESS_ID: &str = "INV-34";

/// What `replay` was asked to do.
pub(crate) struct Replay {
    paths: Vec<PathBuf>,
    mode: Mode,
    bless: bool,
}

impl Replay {
    /// The whole corpus, choice by choice.
    pub(crate) fn corpus() -> Self {
        Self { paths: vec![PathBuf::from(CORPUS)], mode: Mode::Strict, bless: false }
    }

    /// Reads the words after `replay`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut request = Self { paths: Vec::new(), ..Self::corpus() };
        for word in words {
            match *word {
                "--lenient" => request.mode = Mode::Lenient,
                "--bless" => request.bless = true,
                flag if flag.starts_with('-') => {
                    return Err(format!("`replay` has no flag `{flag}`"));
                }
                path => request.paths.push(PathBuf::from(path)),
            }
        }
        if request.bless && request.mode == Mode::Lenient {
            let message = "--bless accepts whole timelines, so it does not go with --lenient";
            return Err(message.to_owned());
        }
        if request.paths.is_empty() {
            request.paths.push(PathBuf::from(CORPUS));
        }
        Ok(request)
    }

    /// Replays, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        let (handles, paths): (Vec<_>, Vec<_>) =
            self.paths.iter().cloned().partition(|path| is_handle(path));
        let mut corpus = match load(&paths) {
            Ok(corpus) => corpus,
            Err(error) => return complain(&error),
        };
        for handle in handles {
            match timeline_of_handle(&handle.to_string_lossy()) {
                Ok(timeline) => corpus.push((handle, timeline)),
                Err(error) => {
                    eprintln!("race-sim: {}: {error}", handle.display());
                    return USAGE;
                }
            }
        }
        let start = Instant::now();
        let mut worst = 0;
        let mut failed = 0;
        for (path, timeline) in &corpus {
            if let Err((code, message)) = self.replay_one(path, timeline) {
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

    fn replay_one(&self, path: &Path, timeline: &Timeline) -> Result<(), (u8, String)> {
        let is_derived = is_handle(path);
        let result = if self.bless || is_derived {
            judge(timeline, self.mode)
        } else {
            check(timeline, self.mode)
        };
        let outcome = result.map_err(|failure| {
            let at = match &failure {
                Failure::Replay(ReplayError::NotEnabled { .. }) => format!("{}: ", path.display()),
                _ => String::new(),
            };
            let story = match &failure {
                Failure::Violated(_) => Story::of_timeline(timeline, Mutants::NONE),
                _ => None,
            };
            let story = story.map_or_else(String::new, |story| format!("\n\n{story}"));
            (exit_code(&failure), format!("{at}{failure}{story}"))
        })?;
        if !outcome.skipped.is_empty() {
            println!("     left out {} choices that are not enabled", outcome.skipped.len());
        }
        if self.bless && !is_derived && timeline.golden.as_ref() != Some(&outcome.golden) {
            let blessed = Timeline { golden: Some(outcome.golden), ..timeline.clone() };
            write_file(path, &blessed)
                .map_err(|error| (USAGE, format!("cannot write {}: {error}", path.display())))?;
            println!("     {} has a new golden block", path.display());
        }
        Ok(())
    }
}

/// Whether a word is a handle, and no file has that name.
fn is_handle(path: &Path) -> bool {
    path.to_str().is_some_and(|name| name.starts_with(PREFIX)) && !path.exists()
}

/// Returns the exit code for why a timeline does not pass.
pub(crate) fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::Replay(_) | Failure::NoGolden { .. } => USAGE,
        Failure::Nondeterminism { .. } => NONDETERMINISM,
        Failure::Violated(violations) => code_of(violations),
        Failure::Survived { .. } => SURVIVOR,
        Failure::Expectation { .. } | Failure::Golden { .. } => SAFETY,
    }
}

/// Returns the exit code for what invariants found: that of liveness where nothing else is broken.
pub(crate) fn code_of(violations: &[Violation]) -> u8 {
    let is_liveness = violations.iter().all(|violation| violation.id == LIVENESS_ID);
    match violations {
        [] => 0,
        _ if is_liveness => LIVENESS,
        _ => SAFETY,
    }
}
