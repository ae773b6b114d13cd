//! The `candor` program: the daemon and its command line in one binary.

mod api;
mod byte_size;
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
    // Before anything else: a shim is to be as small as it can, and owns nothing of ours.
    #[cfg(target_os = "linux")]
    if std::env::args_os().nth(1).is_some_and(|word| word == serve::SHIM_WORD) {
        return candor_adapters::process::shim::main();
    }
    ExitCode::from(cli::main())
}
