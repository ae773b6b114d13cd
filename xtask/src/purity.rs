//! `cargo xtask purity`: proves that core reaches no clock, randomness, file, thread or runtime.
//!
//! Three gates, because each leaks alone: the bare-metal build proves that nothing needs an
//! operating system, the list of names that nothing brings one in quietly, and the head of lib.rs
//! that the first gate means what it says.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

/// A machine without an operating system, so a dependency that needs `std` does not compile. A wasm
/// target is not enough: its `std` has clocks and files that compile, and fail when called.
const TARGET: &str = "x86_64-unknown-none";

/// Everything that core may reach: data types, and macros that run at build time.
const NAMES_ALLOWED: [&str; 15] = [
    "async-trait",
    "base64",
    "candor-core",
    "jiff",
    "jiff-core",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    "uuid",
];

/// What core/src/lib.rs must say, each on a line of its own.
const HEAD: [&str; 2] = ["#![no_std]", "#![forbid(unsafe_code)]"];

/// Fails with a sentence at the first gate that core does not pass.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let lib = shell.read_file("core/src/lib.rs")?;
    check_head(&lib)?;

    let tree = "cargo tree --package candor-core --edges normal --prefix none --format {p}";
    let tree = cmd!(shell, "cargo")
        .args(tree.split(' ').skip(1))
        .quiet()
        .read()
        .context("cannot list what core depends on")?;
    check_names(&tree)?;

    ensure_target(shell)?;
    let build = cmd!(shell, "cargo build --quiet --package candor-core --no-default-features");
    build.args(["--target", TARGET]).run().with_context(|| {
        format!("core does not build for {TARGET}: move what needs std behind a port")
    })?;
    println!("purity: core builds without an operating system and depends on data types alone");
    Ok(())
}

fn check_head(lib: &str) -> Result<()> {
    for line in HEAD {
        ensure!(
            lib.lines().any(|found| found.trim() == line),
            "core/src/lib.rs does not say {line}: put it back, on a line of its own"
        );
    }
    Ok(())
}

/// Checks the names in the answer of `cargo tree`, which starts each line with one.
fn check_names(tree: &str) -> Result<()> {
    let mut names: Vec<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    ensure!(names.contains(&"candor-core"), "cargo tree did not list candor-core itself");
    names.retain(|name| !NAMES_ALLOWED.contains(name));
    if names.is_empty() {
        return Ok(());
    }
    bail!(
        "core depends on {}: move that need behind a port, or, if it is a plain data type, \
         add the name to NAMES_ALLOWED in xtask/src/purity.rs",
        names.join(", ")
    );
}

/// Makes sure that the standard library of the bare target is there.
fn ensure_target(shell: &Shell) -> Result<()> {
    // Asks the compiler and not rustup: a toolchain of the distribution has no rustup.
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    if Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    cmd!(shell, "rustup target add {TARGET}").run().with_context(|| {
        format!(
            "the target {TARGET} is missing and could not be added: \
             check the network, then run `rustup target add {TARGET}`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{check_head, check_names};

    #[test]
    fn a_pure_head_passes_and_one_without_no_std_fails() {
        assert!(check_head("//! core\n#![no_std]\n#![forbid(unsafe_code)]\n").is_ok());
        let error = check_head("//! core\n#![forbid(unsafe_code)]\n").unwrap_err();
        assert!(error.to_string().contains("#![no_std]"), "{error}");
        assert!(check_head("// #![no_std]\n#![forbid(unsafe_code)]\n").is_err());
    }

    #[test]
    fn known_names_pass_and_a_new_one_is_named() {
        let tree = "candor-core v0.1.0 (/somewhere)\nuuid v1.0.0\nserde v1.0.0 (*)\n";
        assert!(check_names(tree).is_ok());
        let error = check_names(&format!("{tree}getrandom v0.4.0\nlibc v0.2.0\n")).unwrap_err();
        assert!(error.to_string().starts_with("core depends on getrandom, libc:"), "{error}");
    }

    #[test]
    fn an_empty_tree_is_no_proof() {
        assert!(check_names("").is_err());
    }
}
