//! `race-sim shrink`: a failing timeline, made short, for the corpus.

use std::path::PathBuf;

use candor_harness::destination::Destination;
use candor_harness::failure::Story;
use candor_harness::mutant::{Mutant, Mutants};
use candor_harness::shrink::Failing;
use candor_harness::timeline::{Timeline, read_file};
use candor_harness::trial::entry;

use crate::codes::{SAFETY, USAGE};
use crate::complain;
use crate::flags::{Words, check, put};
use crate::output::{err, errln};

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim shrink FILE [--mutant Mxx] [--out FILE] [--force]
      Makes a failing timeline as short and plain as it can be and still breaks the same, and prints
      it in the form of the corpus. The story of it goes to the other stream.
        --out FILE  write it there instead of printing it
        --force     also where there is another file already
";

/// What `shrink` was asked to do.
pub(crate) struct Shrink {
    path: PathBuf,
    mutant: Option<Mutant>,
    out: Option<Destination>,
}

impl Shrink {
    /// Reads the words after `shrink`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let words = Words::parse("shrink", words, Some("--out"))?;
        let out = words.destination();
        Ok(Self { path: words.path, mutant: words.mutant, out })
    }

    /// Shrinks, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        if let Err(code) = check(self.out.as_ref()) {
            return code;
        }
        let timeline = match read_file(&self.path) {
            Ok(timeline) => timeline,
            Err(error) => return complain(&error),
        };
        let mutants = self.mutant.map_or(Mutants::NONE, Mutants::only);
        let Some(failing) = Failing::of_timeline(&timeline, mutants) else {
            errln!("race-sim: {} breaks nothing, so that there is nothing to shrink", self.name());
            return USAGE;
        };
        let story = Story::of_shrunk(timeline.id(), &failing);
        if !story.failing.is_faithful_to(&failing) {
            errln!("race-sim: what is left of {} breaks something else", self.name());
            return SAFETY;
        }
        err!("{story}");
        put(self.out.as_ref(), &self.short(&timeline, &story).to_string())
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn short(&self, timeline: &Timeline, story: &Story) -> Timeline {
        let head = vec![
            entry("id", format!("{}-short", timeline.id())),
            entry("title", timeline.title()),
            entry("from", format!("shrunk from {}", timeline.id())),
        ];
        story.failing.to_timeline(head, self.mutant)
    }
}
