//! What every test needs: a place of its own, programs to run there, and laws for what it sees.

mod place;
mod running;
mod screen;
mod sse;
mod story;

#[cfg(target_os = "linux")]
pub(crate) mod kernel;
pub(crate) mod wire;

pub(crate) use place::{Place, agent, end, user};
pub(crate) use running::{Running, Said};
pub(crate) use screen::Screen;
pub(crate) use sse::{Frame, Sse};
pub(crate) use story::{assert_chain, assert_time};

use std::io::{self, Write as _};

/// Makes a list of words for a command line out of texts and paths.
macro_rules! words {
    ($($word:expr),* $(,)?) => { [$(::std::ffi::OsString::from($word)),*] };
}
pub(crate) use words;

/// Says that a test could not show its claim on this machine, and why.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tests may be skipped"))]
pub(crate) fn skip(reason: &str) {
    // Where nobody reads, nobody needs to know.
    let _unread = writeln!(io::stderr(), "skipped: {reason}");
}
