//! `race-sim mutants`: the mistakes of the world against the timelines of the corpus, both ways, or
//! against one file. The mistakes of the model lie with the model.

use std::path::{Path, PathBuf};

use candor_harness::check::broken_on;
use candor_harness::kills::kills;
use candor_harness::mutant::Mutants;
use candor_harness::timeline::{load, read_file};
use candor_harness::workspace::corpus;
use candor_harness::world::MISTAKES;

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
    let breaks = |mutants| {
        let broken = broken_on(&timeline, mutants).map_err(|error| {
            errln!("race-sim: {}: {error}", path.display());
            USAGE
        });
        broken.map(|broken| broken.into_iter().map(|violation| violation.id).collect::<Vec<_>>())
    };
    let without = breaks(Mutants::NONE)?;
    let mut found = 0;
    for (mutant, claim) in MISTAKES {
        let broken = breaks(Mutants::only(mutant))?;
        let mut own: Vec<_> = broken.into_iter().filter(|id| !without.contains(id)).collect();
        own.sort_unstable();
        own.dedup();
        if !own.is_empty() {
            found += 1;
            outln!("# {claim}\nmutant  {mutant} violates {}", own.join(","));
        }
    }
    outln!("{found} of {} mistakes of the world found", MISTAKES.len());
    Ok(0)
}
