//! The fault suite: what can go wrong around a real daemon, made to happen, and what must hold then.
//!
//! A test is named after its fault (`l1_…` is the first of the launch), and one that plays on a
//! place goes through [`suite::fault`], which holds the invariants G1 to G7 against it at the end.
//! `cargo xtask faults` runs them and prints the table of all faults; plain `cargo test` plays the
//! quick selection.
//!
//! No test waits for time to pass, and none touches a process that it did not start. One that needs
//! what this machine does not have says so, and is counted as skipped.
#![cfg(target_os = "linux")]

mod crash;
mod cuts;
mod database;
mod exit;
mod interrupt;
mod invariants;
mod launch;
mod output;
mod power;
mod suite;
#[expect(dead_code, unused_imports, reason = "the other tests of the program use the rest")]
#[path = "../it/support/mod.rs"]
mod support;
mod tools;
