//! `race-sim next`: what the world could decide at the end of a timeline, or at its line `?`.

use std::fs;
use std::path::{Path, PathBuf};

use candor_harness::mutant::Mutants;
use candor_harness::next::{Next, question_of};
use candor_harness::timeline::{CorpusError, Form, Timeline, read_file};

use crate::codes::USAGE;
use crate::complain;
use crate::flags::Words;
use crate::output::{errln, out};

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim next FILE [--mutant Mxx]
      Prints what the world could decide after the last choice of FILE, or at its line `?`. `replay`
      of a file with such a line prints it as well.
";

/// What `next` was asked to do.
pub(crate) struct WhatNext {
    path: PathBuf,
    mutants: Mutants,
}

impl WhatNext {
    /// Reads the words after `next`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let words = Words::parse("next", words, None)?;
        let mutants = words.mutants();
        Ok(Self { path: words.path, mutants })
    }

    /// Prints the choices, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        let timeline = asked(&self.path).map_or_else(|| read_file(&self.path), |(_, read)| read);
        let timeline = match timeline {
            Ok(timeline) => timeline,
            Err(error) => return complain(&error),
        };
        match Next::after(&timeline, self.mutants) {
            Ok(next) => {
                out!("{next}");
                0
            }
            Err(error) => {
                errln!("race-sim: {}: {error}", self.path.display());
                USAGE
            }
        }
    }
}

/// Returns the line `?` of a file, with what stands before it; `None` where it has no such line.
pub(crate) fn asked(path: &Path) -> Option<(usize, Result<Timeline, CorpusError>)> {
    let text = fs::read_to_string(path).ok().filter(|_| Form::of(path) == Form::Text)?;
    let question = question_of(&text)?;
    let read = question.before.parse();
    let read = read.map_err(|error| CorpusError::Malformed { path: path.to_owned(), error });
    Some((question.line, read))
}
