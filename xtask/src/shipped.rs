//! `cargo xtask shipped`: the program that people install has nothing in it of what is for tests.
//!
//! It looks at the bytes, and not at how they came about. The same search must find everything in
//! the binaries that are to have it: a search that finds nothing anywhere proves nothing.
//!
//! The cfg decides, and not the profile. So the checks of a push look into the program that they
//! have built anyway, and the release looks into the very file that it packs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::source::SourceFile;
use crate::tokens::{Kind, tokens};
use crate::{ci, crash_sim};

/// Where the names of the failpoints stand, and nothing else that looks like them.
const NAMES: &str = "adapters/src/failpoint/stop.rs";

/// How the name of every failpoint begins.
const PREFIX: &str = "candor-failpoint:";

/// The variable that they read.
const VARIABLE: &str = "CANDOR_FAILPOINTS";

/// The harness as symbols name it, with its mutants.
const HARNESS: &str = "candor_harness";

/// Looks into `binary`, or, where none is named, into the program that the other checks have built,
/// and into those in which there must be something to find.
pub(crate) fn run(shell: &Shell, binary: Option<&Path>) -> Result<()> {
    check_dependencies(shell)?;
    let names = names(shell)?;
    let failpoints: Vec<&str> = names.iter().map(String::as_str).chain([VARIABLE]).collect();
    let shipped = match binary {
        Some(binary) => binary.to_owned(),
        None => {
            ci::build(shell)?;
            let (target, _) = crash_sim::folders(shell)?;
            check_search(&crash_sim::build(shell)?, &failpoints)?;
            cmd!(shell, "cargo build --release --package candor-harness --bin race-sim").run()?;
            check_search(&target.join("release/race-sim"), &[HARNESS])?;
            target.join("debug/candor")
        }
    };
    let bytes = read(&shipped)?;
    for text in failpoints.iter().chain(&[HARNESS]) {
        ensure!(!contains(&bytes, text), "`{text}` is in {}", shipped.display());
    }
    let count = names.len();
    println!("shipped: none of {count} failpoints and no harness in {}", shipped.display());
    Ok(())
}

/// Finds everything where it must be.
fn check_search(binary: &Path, texts: &[&str]) -> Result<()> {
    let bytes = read(binary)?;
    for text in texts {
        ensure!(contains(&bytes, text), "`{text}` is not in {}", binary.display());
    }
    Ok(())
}

/// The harness comes into no program that is installed, by whatever way.
fn check_dependencies(shell: &Shell) -> Result<()> {
    let list = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let tree = cmd!(shell, "cargo tree --package candor").args(list).quiet().read()?;
    let mut packages = tree.lines().filter_map(|line| line.split(' ').next());
    ensure!(packages.all(|package| package != "candor-harness"), "candor depends on the harness");
    Ok(())
}

/// Returns the names of all failpoints.
fn names(shell: &Shell) -> Result<Vec<String>> {
    let file = SourceFile::new(NAMES, shell.read_file(NAMES)?);
    let names = names_in(&file);
    ensure!(!names.is_empty(), "there is no failpoint in {NAMES}: has it moved?");
    Ok(names)
}

fn names_in(file: &SourceFile) -> Vec<String> {
    let texts = tokens(&file.text).into_iter().filter(|token| token.kind == Kind::Text);
    let names = texts.map(|token| token.text).filter(|text| text.starts_with(PREFIX));
    names.map(str::to_owned).collect()
}

fn read(binary: &Path) -> Result<Vec<u8>> {
    fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{contains, names_in};
    use crate::source::SourceFile;

    #[test]
    fn names_are_read_from_the_literals() {
        let text = "// \"candor-failpoint:no\"\nB \"candor-failpoint:commit\" C \"other\"";
        assert_eq!(names_in(&SourceFile::new("a.rs", text)), ["candor-failpoint:commit"]);
    }

    #[test]
    fn a_name_is_found_anywhere() {
        assert!(contains(b"\0\0name", "name"));
        assert!(!contains(b"nam\0e", "name"));
        assert!(!contains(b"na", "name"));
    }
}
