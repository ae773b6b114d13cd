//! `cargo xtask dist`: the program as it is published.
//!
//! On Linux it is static and lies at a fixed address. Each session has a shim, which is the same
//! program once more: with neither a loader nor a library nor addresses to put right, it shares
//! nearly all of its pages with all others. It has a target folder of its own, since its flags are
//! none of the other builds'.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

/// How rustc makes such a program, separated as `CARGO_ENCODED_RUSTFLAGS` wants it.
const LINUX_FLAGS: &str = "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static";

/// Below the target folder of the workspace.
const FOLDER: &str = "shipped";

/// Builds the program and says where it is.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let binary = build(shell, &["--package", "candor"])?.join("candor");
    let bytes = fs::metadata(&binary)?.len();
    println!("dist: {} ({:.1} MB)", binary.display(), megabytes(bytes));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "it is printed with one digit")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Builds what the arguments of Cargo select, and returns the folder that it lies in. Examples are
/// in `examples` there.
pub(crate) fn build(shell: &Shell, selection: &[&str]) -> Result<PathBuf> {
    let host = host(shell)?;
    let json = cmd!(shell, "cargo metadata --format-version 1 --no-deps").quiet().read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let target = metadata["target_directory"].as_str().context("no target folder")?;
    let folder = Path::new(target).join(FOLDER);
    // With a target named, the flags are not for what runs at build time, which cannot be static.
    let build = cmd!(
        shell,
        "cargo build --profile dist --locked --target-dir {folder} --target {host} {selection...}"
    );
    let is_linux = host.contains("-linux-");
    let build = if is_linux { build.env("CARGO_ENCODED_RUSTFLAGS", LINUX_FLAGS) } else { build };
    build.run()?;
    let built = folder.join(host).join("dist");
    let program = built.join("candor");
    if is_linux && program.exists() {
        let bytes = fs::read(&program)?;
        ensure!(is_fixed_and_static(&bytes), "{} is not static", program.display());
    }
    Ok(built)
}

fn host(shell: &Shell) -> Result<String> {
    let version = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Whether a program of 64 bits lies at a fixed address and needs no loader.
///
/// Source: `elf(5)`: `e_type`, `e_phoff`, `e_phentsize`, `e_phnum`, `p_type`.
fn is_fixed_and_static(program: &[u8]) -> bool {
    const FIXED: u64 = 2;
    const INTERPRETER: u64 = 3;

    let number = |at: usize, bytes: usize| {
        let number = program.get(at..at.checked_add(bytes)?)?;
        Some(number.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    let headers = || {
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let places = (0..count).map(|index| usize::try_from(first + index * size).ok());
        places.map(|place| number(place?, 4)).collect::<Option<Vec<_>>>()
    };
    program.starts_with(b"\x7fELF")
        && number(16, 2) == Some(FIXED)
        && headers().is_some_and(|kinds| !kinds.contains(&INTERPRETER))
}

#[cfg(test)]
mod tests {
    use super::is_fixed_and_static;

    /// Returns a program of this type with one header of that type.
    fn program(kind: u8, header: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..4].copy_from_slice(b"\x7fELF");
        (bytes[16], bytes[32], bytes[54], bytes[56], bytes[64]) = (kind, 64, 56, 1, header);
        bytes
    }

    #[test]
    fn only_a_fixed_program_without_a_loader_will_do() {
        assert!(is_fixed_and_static(&program(2, 1)));
        assert!(!is_fixed_and_static(&program(3, 1)), "position-independent");
        assert!(!is_fixed_and_static(&program(2, 3)), "needs a loader");
        assert!(!is_fixed_and_static(&program(2, 1)[..64]), "cut off");
        assert!(!is_fixed_and_static(b""));
    }
}
