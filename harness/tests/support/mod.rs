//! The binary `race-sim` under test, and files for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A timeline without a golden block.
pub(crate) const GOOD: &str = "\
timeline 1
id      one
title   a launch
world   sessions=1 subs=0 crash=0 dbfault=0

@0      user launch s1
@+1     write ok s1#1
";

/// A timeline of the corpus, which finds mistakes and has a golden block.
pub(crate) const ORIGINAL_BUG: &str = "timelines/exit_meets_unstored_interrupt.timeline";

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_race-sim"));
    command.args(arguments);
    command
}

pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

pub(crate) fn race_sim(arguments: &[&str]) -> Ran {
    ran(command(arguments).output().unwrap())
}

/// Writes a timeline into a folder of its own, and returns both.
pub(crate) fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("one.timeline");
    fs::write(&path, text).unwrap();
    (folder, path)
}

pub(crate) fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns a file of the harness by its path there.
pub(crate) fn ours(path: &str) -> String {
    name(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).to_owned()
}
