//! `race-sim replay`: the corpus, or single files, against their golden blocks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candor_harness::check::{Failure, check, judge};
use candor_harness::failure::Story;
use candor_harness::handle::{PREFIX, timeline_of_handle};
use candor_harness::invariants::Violation;
use candor_harness::mutant::Mutants;
use candor_harness::next::Next;
use candor_harness::notice::{of_head, of_outcome};
use candor_harness::replay::{Mode, replay, with_its_world};
use candor_harness::timeline::{CorpusError, Timeline, load_each, write_file};
use candor_harness::workspace::corpus;

use crate::codes::{LIVENESS, NONDETERMINISM, SAFETY, SURVIVOR, USAGE};
use crate::next::asked;
use crate::output::outln;
use crate::told;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim replay [FILE|FOLDER|HANDLE]... [--lenient] [--bless]
      Replays timelines twice, checks every invariant, and compares the outcome with the golden
      block. Without a name: those in harness/timelines. A handle, which failures print, has no
      golden block. A file may be a twin, FILE.jsonl, as `convert` makes it; in folders, twins are
      left out.
        --lenient   leave out choices that are not enabled, and say which
        --bless     write the outcome into the golden block, of a twin in its own form; mend the
                    `world` line of the header
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
        Self { paths: vec![corpus()], mode: Mode::Strict, bless: false }
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
            request.paths.push(corpus());
        }
        Ok(request)
    }

    /// Replays, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        let start = Instant::now();
        let (mut worst, mut passed, mut failed) = (0, 0, 0);
        for (path, read) in self.read() {
            let (id, result) = match read {
                Ok(timeline) => {
                    let result = self.replay_one(&path, &timeline);
                    let id = timeline.id().to_owned();
                    (id, result.map(|notes| (timeline, notes)))
                }
                Err(said) => ("?".to_owned(), Err((USAGE, said))),
            };
            match result {
                Ok((timeline, notes)) => {
                    passed += 1;
                    outln!("ok   {id:<5} {}{}", timeline.title(), notes.concat());
                }
                Err((code, said)) => {
                    failed += 1;
                    worst = worst.max(code);
                    outln!("FAIL {id:<5} {}\n{said}", path.display());
                }
            }
        }
        outln!("{passed} passed, {failed} failed, in {} ms", start.elapsed().as_millis());
        worst
    }

    /// Reads every file and handle, each with what is wrong with it.
    fn read(&self) -> Vec<(PathBuf, Result<Timeline, String>)> {
        let (handles, paths): (Vec<_>, Vec<_>) =
            self.paths.iter().cloned().partition(|path| is_handle(path));
        let files = load_each(&paths).into_iter().map(|(path, read)| {
            let read = match asked(&path) {
                Some((line, before)) => Err(answer(line, before)),
                None => read.map_err(|error| told(&error)),
            };
            (path, read)
        });
        let handles = handles.into_iter().map(|handle| {
            let read = timeline_of_handle(&handle.to_string_lossy());
            let read = read.map_err(|error| error.to_string());
            (handle, read)
        });
        files.chain(handles).collect()
    }

    /// Replays one timeline, and returns what is to be said about it beside that it passes.
    fn replay_one(&self, path: &Path, read: &Timeline) -> Result<Vec<String>, (u8, String)> {
        let is_derived = is_handle(path);
        let mended = if self.bless { with_its_world(read) } else { None };
        let timeline = mended.as_ref().unwrap_or(read);
        let mut notes = if is_derived { Vec::new() } else { notes_on(timeline) };
        if self.mode == Mode::Lenient {
            notes.extend(left_out(timeline));
        }
        let result = if self.bless || is_derived {
            judge(timeline, self.mode)
        } else {
            check(timeline, self.mode)
        };
        let outcome = result.map_err(|failure| {
            (exit_code(&failure), explained(path, timeline, &failure) + &notes.concat())
        })?;
        let is_new = timeline.golden.as_ref() != Some(&outcome.golden);
        if self.bless && !is_derived && (is_new || mended.is_some()) {
            notes.extend(of_outcome(&outcome.golden).map(|notice| note(&notice)));
            let blessed = Timeline { golden: Some(outcome.golden), ..timeline.clone() };
            write_file(path, &blessed)
                .map_err(|error| (USAGE, format!("cannot write {}: {error}", path.display())))?;
            if mended.is_some() {
                notes.push(note(&"the `world` line of the header is mended"));
            }
            if is_new {
                notes.push(note(&format_args!("{} has a new golden block", path.display())));
            }
        }
        Ok(notes)
    }
}

/// Returns a sentence as it stands below the line of its timeline.
fn note(sentence: &impl fmt::Display) -> String {
    format!("\n     {sentence}")
}

fn notes_on(timeline: &Timeline) -> Vec<String> {
    of_head(timeline).iter().map(|notice| note(&format_args!("note: {notice}"))).collect()
}

/// Says which lines a lenient replay leaves out, if any.
fn left_out(timeline: &Timeline) -> Option<String> {
    let skipped = replay(timeline, Mode::Lenient).ok()?.skipped;
    let lines: Vec<_> = skipped.iter().map(ToString::to_string).collect();
    let which = if lines.len() == 1 { "line" } else { "lines" };
    let sentence = format!("left out {which} {}, not enabled there", lines.join(", "));
    (!lines.is_empty()).then(|| note(&sentence))
}

/// Says why a timeline fails, and what to look at.
fn explained(path: &Path, timeline: &Timeline, failure: &Failure) -> String {
    let at = match failure {
        Failure::Replay(_) => format!("{}: ", path.display()),
        _ => String::new(),
    };
    let more = match failure {
        Failure::Violated(_) => Story::of_timeline(timeline, Mutants::NONE)
            .map_or_else(String::new, |story| format!("\n\n{story}")),
        Failure::Survived { mutant, .. } => {
            format!("\nsee what it does: race-sim show {} --mutant {mutant}", path.display())
        }
        _ => String::new(),
    };
    format!("{at}{failure}{more}")
}

/// Answers the line `?` of a file. It passes for nothing, so that none is left in the corpus.
fn answer(line: usize, before: Result<Timeline, CorpusError>) -> String {
    let next = before
        .map_err(|error| told(&error))
        .and_then(|before| Next::after(&before, Mutants::NONE).map_err(|error| error.to_string()));
    match next {
        Ok(next) => format!("line {line}: put one of these in the place of `?`\n{next}"),
        Err(error) => error,
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
