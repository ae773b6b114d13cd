//! `race-sim mutants`: the mistakes of the world against the timelines of the corpus, both ways, or
//! against one file. The mistakes of the model lie with the model.

use std::path::{Path, PathBuf};

use candor_harness::kills::{Kill, kills};
use candor_harness::timeline::{load, read_file};
use candor_harness::workspace::corpus;

use crate::codes::{SURVIVOR, USAGE};
use crate::complain;
use crate::output::{errln, out, outln};

/// What the verb does with a file, for the help.
pub(crate) const HELP: &str = "  race-sim mutants FILE
      Makes every mistake of the world in one timeline, and prints the lines that its header may have.
";

/// Lets every timeline look for every mistake, prints who finds what, and returns the exit code.
pub(crate) fn run() -> u8 {
    let corpus = match load(&[corpus()]) {
        Ok(corpus) => corpus.into_iter().map(|(_, timeline)| timeline).collect::<Vec<_>>(),
        Err(error) => return complain(&error),
    };
    let kills = match kills(&corpus) {
        Ok(kills) => kills,
        Err(error) => {
            errln!("race-sim: {error}");
            return USAGE;
        }
    };
    out!("{kills}");
    let (survivors, idle) = (kills.survivors(), kills.idle_invariants());
    let (all, found) = (kills.kills.len(), kills.kills.len() - survivors.len());
    outln!("{found}/{all} mistakes of the world found by the corpus");
    outln!("invariants of the world that find none of them: {}", list(&idle));
    if survivors.is_empty() && idle.is_empty() { 0 } else { SURVIVOR }
}

fn list(ids: &[&str]) -> String {
    if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
}

/// A file for which every mistake is made.
pub(crate) struct Suspect(PathBuf);

impl Suspect {
    /// Reads the words after `mutants`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        match words {
            [flag, ..] if flag.starts_with('-') => {
                Err(format!("`mutants` has no flag `{flag}`; it has `--only Mxx`"))
            }
            [file] => Ok(Self(PathBuf::from(file))),
            _ => Err("`mutants` takes one file, or none".to_owned()),
        }
    }

    /// Prints which mistakes the timeline finds, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        find(&self.0).unwrap_or_else(|code| code)
    }
}

fn find(path: &Path) -> Result<u8, u8> {
    let timeline = read_file(path).map_err(|error| complain(&error))?;
    let kills = kills(&[timeline]).map_err(|error| {
        errln!("race-sim: {}: {error}", path.display());
        USAGE
    })?;
    for Kill { mutant, claim, found_by, .. } in &kills.kills {
        if !found_by.is_empty() {
            let ids: Vec<_> = found_by.keys().copied().collect();
            outln!("# {claim}\nmutant  {mutant} violates {}", ids.join(","));
        }
    }
    let (all, found) = (kills.kills.len(), kills.kills.len() - kills.survivors().len());
    outln!("{found} of {all} mistakes of the world found");
    Ok(0)
}
