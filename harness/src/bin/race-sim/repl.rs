//! `race-sim repl`: a timeline by hand, line by line from standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use candor_harness::mutant::Mutants;
use candor_harness::repl::{Repl, Then};
use candor_harness::timeline::read_file;

use crate::codes::USAGE;
use crate::complain;
use crate::flags::Words;
use crate::output::{Out, errln, out, outln};

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim repl FILE [--mutant Mxx]
      Goes through a timeline by hand: step, back, list, choose, make, state, lanes, save; `help`
      there says more. Reads from standard input, so that a script can do it as well.
";

/// What `repl` was asked to do.
pub(crate) struct ByHand {
    path: PathBuf,
    mutants: Mutants,
}

impl ByHand {
    /// Reads the words after `repl`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let words = Words::parse("repl", words, None)?;
        let mutants = words.mutants();
        Ok(Self { path: words.path, mutants })
    }

    /// Reads lines until there are no more, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        let timeline = match read_file(&self.path) {
            Ok(timeline) => timeline,
            Err(error) => return complain(&error),
        };
        let mut repl = Repl::new(&timeline, self.mutants).read_from(&self.path);
        match converse(&mut repl) {
            Ok(()) => 0,
            Err(error) => {
                errln!("race-sim: cannot go on: {error}");
                USAGE
            }
        }
    }
}

fn converse(repl: &mut Repl) -> io::Result<()> {
    let stdin = io::stdin();
    let is_terminal = stdin.is_terminal();
    let mut lines = stdin.lock().lines();
    loop {
        if is_terminal {
            out!("{repl}");
            Out.flush()?;
        }
        let Some(line) = lines.next().transpose()? else {
            return Ok(());
        };
        match repl.line(&line) {
            Ok((said, then)) => {
                out!("{said}");
                if then == Then::Quit {
                    return Ok(());
                }
            }
            Err(complaint) => outln!("{complaint}"),
        }
    }
}
