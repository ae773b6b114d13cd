//! The attacks: what somebody could try who is not the user, and what must come of it.
//!
//! A test is named after its row of the threat model (`t1_…` is the first), and `cargo xtask attacks`
//! prints the table of all rows, with what shows each. A real daemon is attacked, with requests written
//! by hand: no client that would put right what is wrong about them stands in between.
//!
//! No test touches a process that it did not start. One that needs what this machine does not have says
//! so, and is counted as skipped.
#![cfg(target_os = "linux")]

mod hosts;
mod inside;
mod limits;
mod logins;
mod others;
mod page;
mod shown;
mod site;
#[expect(dead_code, unused_imports, reason = "the other tests of the program use the rest")]
#[path = "../it/support/mod.rs"]
mod support;
mod texts;
