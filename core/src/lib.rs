//! Candor's rules: what a session's status may be, what each event makes of it, and how an end is
//! judged.
//!
//! Everything here is decided from values that are handed in. Core reads no clock, draws no random
//! number, opens no file, starts no thread and knows no runtime: those are [`ports`], which
//! `candor-adapters` implements on a real machine and `candor-harness` fakes so that a race can be
//! replayed.
//!
//! Read it in this order:
//!
//! 1. [`status`]: the words, and the only edges between them;
//! 2. [`step`]: the whole machine, one input at a time;
//! 3. [`verdict`]: what an end means, as one total function of its evidence;
//! 4. [`supervisor`]: the one way a change happens: step, commit, then everything else.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod agent;
pub mod bytes;
pub mod event;
pub mod happening;
pub mod input;
pub mod machine;
pub mod ports;
pub mod protocol;
pub mod recording;
pub mod recovery;
pub mod session;
pub mod status;
pub mod step;
pub mod stop;
pub mod supervisor;
pub mod time;
pub mod verdict;

#[cfg(test)]
mod tests;
