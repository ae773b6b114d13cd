//! Flags that more than one verb has.

use std::path::PathBuf;

use candor_harness::destination::{Destination, NotWritten};
use candor_harness::mutant::{Mutant, Mutants};

use crate::codes::USAGE;
use crate::output::{errln, out};

/// Reads the mutant after `--mutant`.
fn mutant_of(word: Option<&str>) -> Result<Mutant, String> {
    let word = word.ok_or("`--mutant` needs a mutant such as M01")?;
    word.parse().map_err(|error| format!("{error}"))
}

/// The words after a verb that takes one file, and flags of which each may take a value.
pub(crate) struct Words {
    /// The file.
    pub(crate) path: PathBuf,
    /// The mutant after `--mutant`.
    pub(crate) mutant: Option<Mutant>,
    /// The word after the verb's own flag.
    pub(crate) own: Option<String>,
    /// Whether a file may be replaced.
    pub(crate) is_forced: bool,
}

/// The flags of verbs that write a file; with each of them goes `--force`.
const WRITING: [&str; 2] = ["--html", "--out"];

impl Words {
    /// Reads them. `own` is the flag that this verb has beside `--mutant`, if any; one word
    /// follows it.
    pub(crate) fn parse(verb: &str, words: &[&str], own: Option<&str>) -> Result<Self, String> {
        let (mut paths, mut mutant, mut value, mut is_forced) = (Vec::new(), None, None, false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--mutant" => mutant = Some(mutant_of(words.next().copied())?),
                flag if Some(flag) == own => {
                    let word =
                        words.next().ok_or_else(|| format!("`{flag}` needs a word after it"))?;
                    value = Some((*word).to_owned());
                }
                "--force" if own.is_some_and(|own| WRITING.contains(&own)) => is_forced = true,
                flag if flag.starts_with('-') => {
                    return Err(format!("`{verb}` has no flag `{flag}`"));
                }
                path => paths.push(PathBuf::from(path)),
            }
        }
        let one = <[PathBuf; 1]>::try_from(paths);
        let [path] = one.map_err(|_| format!("`{verb}` takes one file"))?;
        Ok(Self { path, mutant, own: value, is_forced })
    }

    /// Returns the file that the verb's own flag names, if it does.
    pub(crate) fn destination(&self) -> Option<Destination> {
        let inputs = [self.path.clone()];
        self.own.as_ref().map(|own| Destination::new(own, &inputs, self.is_forced))
    }

    /// Returns the mistakes of the world.
    pub(crate) fn mutants(&self) -> Mutants {
        self.mutant.map_or(Mutants::NONE, Mutants::only)
    }
}

/// Says why a file is not written, and returns the exit code for it.
pub(crate) fn unwritten(error: &NotWritten) -> u8 {
    errln!("race-sim: {error}");
    USAGE
}

/// Says so at once where a file must not be written.
pub(crate) fn check(destination: Option<&Destination>) -> Result<(), u8> {
    destination.map_or(Ok(()), Destination::check).map_err(|error| unwritten(&error))
}

/// Writes a text where it was asked for, or prints it, and returns the exit code.
pub(crate) fn put(destination: Option<&Destination>, text: &str) -> u8 {
    let Some(destination) = destination else {
        out!("{text}");
        return 0;
    };
    destination.write(text).map_or_else(|error| unwritten(&error), |()| 0)
}
