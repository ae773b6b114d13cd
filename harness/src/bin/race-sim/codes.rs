//! The exit codes, and what they mean.

/// It was called in a wrong way, or a file cannot be replayed.
pub(crate) const USAGE: u8 = 1;
/// It panicked.
pub(crate) const CRASH: u8 = 127;
/// Something never ends.
pub(crate) const LIVENESS: u8 = 128;
/// Something does not hold, or has another outcome.
pub(crate) const SAFETY: u8 = 129;
/// Two replays of the same differ.
pub(crate) const NONDETERMINISM: u8 = 130;
/// A seeded bug was not found.
pub(crate) const SURVIVOR: u8 = 131;

/// What the help says about them.
pub(crate) const HELP: &str = "\
Exit codes: 0 all passed, 1 wrong usage or a file that cannot be replayed, 127 a crash,
128 something never ends, 129 something does not hold or has another outcome, 130 two replays differ
or the search is not what is locked, 131 a seeded bug survived.
";
