//! `race-sim show`: one timeline for a reader.

use std::path::PathBuf;

use candor_harness::destination::Destination;
use candor_harness::failure::Story;
use candor_harness::lanes;
use candor_harness::mutant::Mutants;
use candor_harness::page::page;
use candor_harness::replay::{Mode, replay};
use candor_harness::shrink::Failing;
use candor_harness::timeline::{Timeline, read_file};
use candor_harness::trial::{Manner, Trial, schedule_of};

use crate::codes::USAGE;
use crate::complain;
use crate::flags::{Words, check, unwritten};
use crate::output::{errln, out, outln};
use crate::replay::code_of;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim show FILE [--mutant Mxx] [--html OUT] [--force]
      Shows one timeline as lanes; with a mutant, what it breaks, and which two steps have the wrong
      order. With --html: as one page for a browser, which needs no network;
      with --force also where there is another file already.
";

/// What `show` was asked to do.
pub(crate) struct Show {
    path: PathBuf,
    mutants: Mutants,
    html: Option<Destination>,
}

impl Show {
    /// Reads the words after `show`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let words = Words::parse("show", words, Some("--html"))?;
        let mutants = words.mutants();
        let html = words.destination();
        Ok(Self { path: words.path, mutants, html })
    }

    /// Shows the timeline, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        if let Err(code) = check(self.html.as_ref()) {
            return code;
        }
        let timeline = match read_file(&self.path) {
            Ok(timeline) => timeline,
            Err(error) => return complain(&error),
        };
        // What ships must be able to make each of its choices; a mutant need not.
        if self.mutants == Mutants::NONE
            && let Err(error) = replay(&timeline, Mode::Strict)
        {
            errln!("race-sim: {}: {error}", self.path.display());
            return USAGE;
        }
        if let Some(html) = &self.html
            && let Err(error) = html.write(&page(&timeline, self.mutants))
        {
            return unwritten(&error);
        }
        outln!("{}  {}\n", timeline.id(), timeline.title());
        match Failing::of_timeline(&timeline, self.mutants) {
            Some(failing) => {
                let story = Story::of(timeline.id(), failing);
                out!("{story}");
                code_of(&story.failing.trial.violations)
            }
            None => {
                self.show(&timeline);
                0
            }
        }
    }

    fn show(&self, timeline: &Timeline) {
        let ends_fair = timeline.ends_fair();
        let manner = Manner { mutants: self.mutants, ends_fair, ..Manner::PLAIN };
        let trial = Trial::run(&schedule_of(timeline), manner);
        out!("{}\n{}", lanes::render(&trial), trial.golden);
    }
}
