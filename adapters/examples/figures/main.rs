//! What the two spawners and the conversations take, as JSON in nanoseconds: for `cargo xtask bench`, which judges it. It is
//! its own shim.

#[cfg(target_os = "linux")]
mod conversations;
#[cfg(target_os = "linux")]
mod launches;
#[cfg(target_os = "linux")]
mod lists;
#[cfg(target_os = "linux")]
mod sessions;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod tree;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::io::Write as _;

    let words: Vec<String> = std::env::args().skip(1).collect();
    let count = || words.get(1).and_then(|word| word.parse().ok()).unwrap_or(1);
    let figures = match words.first().map(String::as_str) {
        Some(stage::SHIM) => return candor_adapters::process::shim::main(),
        Some("launches") => launches::measure(count()),
        Some("conversations") => conversations::measure(count()),
        Some("lists") => lists::measure(count()),
        Some("sessions") => match words.get(2) {
            Some(path) => sessions::fill(count(), path.as_ref()),
            None => return ExitCode::FAILURE,
        },
        Some("tree") => tree::measure(count()),
        _ => return ExitCode::FAILURE,
    };
    match writeln!(std::io::stdout(), "{figures}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
