//! The adapters against the contract suites of the harness, and what only a real machine can show.

mod bus;
mod conversations;
mod hooks;
mod process;
mod sqlite;
mod webhook;
