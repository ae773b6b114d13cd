//! The shim as a program of its own, for the tests of the adapters: `candor` does the same for a
//! hidden argument.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    return candor_adapters::process::shim::main();
    #[cfg(not(target_os = "linux"))]
    return ExitCode::FAILURE;
}
