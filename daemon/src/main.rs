//! The `candor` program: the daemon and its command line in one binary.

mod api;
mod cli;
mod client;
mod config;
mod doctor;
mod duration;
mod exit_code;
mod home;
mod http;
mod serve;
mod signal_name;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::main())
}
