//! `race-sim show`: one timeline for a reader.

use std::path::Path;

use candor_harness::lanes;
use candor_harness::replay::{Mode, replay};
use candor_harness::timeline::read_file;

use crate::codes::USAGE;
use crate::complain;
use crate::replay::code_of;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "\
  race-sim show FILE
      Shows one timeline as lanes.
";

/// Shows the timeline in a file, and returns the exit code.
pub(crate) fn run(path: &Path) -> u8 {
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
            code_of(&outcome.violations)
        }
        Err(error) => {
            eprintln!("race-sim: {}: {error}", path.display());
            USAGE
        }
    }
}
