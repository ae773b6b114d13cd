//! `race-sim explain`: choices of our world under which a log is what one would have seen.

use std::fs;
use std::path::PathBuf;

use candor_harness::explain::{Explanation, WORLDS, WORLDS_MAX, explain, read_log};
use candor_harness::mutant::Mutants;

use crate::codes::{SAFETY, USAGE};
use crate::flags::Words;
use crate::output::{errln, out};

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim explain PARTIAL [--mutant Mxx] [--worlds N]
      Looks for a timeline that explains a foreign or partial log, and prints it, or how far it got.
      A log has a line for each thing that was seen, in order; what was not seen is free:
        ask s1 launch|interrupt|kill      see s1 running       see s1 completed(interrupted)
        see p1 up|INT|TERM|KILL|gone      see p1 exit code 1   see p1 exit signal 9
        see reply accepted                see daemon crash     see daemon boot
      or any choice as a timeline has it, or JSON: {\"see\": \"s1 running\"}. At most 100,000 worlds
      are looked at, unless --worlds says otherwise, so that every machine finds the same.
";

/// What `explain` was asked to do.
pub(crate) struct Explain {
    path: PathBuf,
    mutants: Mutants,
    worlds_max: usize,
}

impl Explain {
    /// Reads the words after `explain`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let words = Words::parse("explain", words, Some("--worlds"))?;
        let mutants = words.mutants();
        let worlds_max = words.own.map_or(Ok(WORLDS), |word| word.parse());
        let worlds_max = worlds_max.ok().filter(|worlds| (1..=WORLDS_MAX).contains(worlds));
        let worlds_max = worlds_max
            .ok_or_else(|| format!("`--worlds` takes a number from 1 to {WORLDS_MAX}"))?;
        Ok(Self { path: words.path, mutants, worlds_max })
    }

    /// Searches, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        let path = self.path.display();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) => {
                errln!("race-sim: cannot read {path}: {error}");
                return USAGE;
            }
        };
        let log = match read_log(&text) {
            Ok(log) => log,
            Err(error) => {
                errln!("race-sim: {path}: {error}");
                return USAGE;
            }
        };
        let Explanation { timeline, explained, stuck_at, worlds, bound } =
            explain(&log, self.mutants, self.worlds_max);
        out!("{timeline}");
        let all = log.len();
        let Some(stuck_at) = stuck_at else {
            errln!("{all} of {all} observations explained, {worlds} worlds looked at");
            return 0;
        };
        let bound = bound
            .map_or_else(|| "every world within the bounds".to_owned(), |bound| bound.to_string());
        errln!(
            "{explained} of {all} observations explained, {worlds} worlds looked at: {bound}\n\
             line {}: expected `{}` next, and no world that was found goes there",
            stuck_at.line,
            stuck_at.what
        );
        SAFETY
    }
}
