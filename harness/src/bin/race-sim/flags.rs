//! Flags that more than one verb has.

use candor_harness::mutant::Mutant;

/// Reads the mutant after `--mutant`.
pub(crate) fn mutant_of(word: Option<&str>) -> Result<Mutant, String> {
    let word = word.ok_or("`--mutant` needs a mutant such as M01")?;
    word.parse().map_err(|error| format!("{error}"))
}
