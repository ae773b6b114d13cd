//! A replayed Claude Code.
//!
//! It does what was measured of the real program, and what a message tells it. Nothing in it takes
//! its time: what it waits for is told by fifos.
#![doc = concat!("```text\n", include_str!("help.txt"), "```")]

mod ears;
mod kept;
mod play;
mod script;
mod tool;
mod voice;

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::Path;

use crate::signals::leave;
use ears::Ears;
use kept::Kept;
use play::Play;
use voice::Voice;

/// The name under which this program is a replayed agent, however it is called.
const NAME: &str = "claude";

/// Returns the arguments of a replayed agent, if this process is to be one.
pub(crate) fn arguments(all: &[OsString]) -> Option<&[OsString]> {
    let is_named = Path::new(all.first()?).file_name() == Some(OsStr::new(NAME));
    match all.get(1) {
        Some(first) if first == "--claude" => Some(&all[2..]),
        Some(_) | None if is_named => Some(&all[1..]),
        Some(_) | None => None,
    }
}

/// Plays to the end of standard input, or until something ends it.
///
/// # Errors
///
/// A sentence for the author of the test.
pub(crate) fn run(arguments: &[OsString]) -> Result<Infallible, String> {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if words.iter().any(|word| word == "--version") {
        print(&format!("{} (Claude Code)\n", voice::VERSION));
    }
    if words.iter().any(|word| word == "--help") {
        print(include_str!("help.txt"));
    }
    let kept = Kept::open(&words).map_err(|error| format!("cannot keep sessions: {error}"))?;
    Play::new(Voice::new(kept.session().to_owned()), Ears::open()?, kept).run()
}

fn print(text: &str) -> ! {
    drop(io::stdout().write_all(text.as_bytes()));
    leave(0)
}
