//! Flags that more than one verb has.

use std::path::PathBuf;

use candor_harness::mutant::{Mutant, Mutants};

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
}

impl Words {
    /// Reads them. `own` is the flag that this verb has beside `--mutant`, if any; one word
    /// follows it.
    pub(crate) fn parse(verb: &str, words: &[&str], own: Option<&str>) -> Result<Self, String> {
        let (mut paths, mut mutant, mut value) = (Vec::new(), None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--mutant" => mutant = Some(mutant_of(words.next().copied())?),
                flag if Some(flag) == own => {
                    let word =
                        words.next().ok_or_else(|| format!("`{flag}` needs a word after it"))?;
                    value = Some((*word).to_owned());
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("`{verb}` has no flag `{flag}`"));
                }
                path => paths.push(PathBuf::from(path)),
            }
        }
        let one = <[PathBuf; 1]>::try_from(paths);
        let [path] = one.map_err(|_| format!("`{verb}` takes one file"))?;
        Ok(Self { path, mutant, own: value })
    }

    /// Returns the mistakes of the world.
    pub(crate) fn mutants(&self) -> Mutants {
        self.mutant.map_or(Mutants::NONE, Mutants::only)
    }
}
