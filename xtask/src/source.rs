//! The workspace's files as the text checks see them.
//!
//! Walks the folders itself and does not ask git, so that an unpacked archive can be checked too.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tokens::{Token, starts_with, tokens};

/// Folders with nothing of ours in them, wherever they are.
const FOREIGN: [&str; 3] = [".git", "target", "node_modules"];

/// Kinds of files that hold text which people write.
const TEXT_ENDINGS: [&str; 9] = ["css", "html", "js", "md", "rs", "sql", "timeline", "toml", "yml"];

/// How deep folders may be nested, as a guard against a link that leads back.
const DEPTH_MAX: usize = 16;

/// One text file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file lies in a folder of tests or benchmarks.
    pub(crate) fn is_in_tests_folder(&self) -> bool {
        let mut folders = self.path.split('/').rev().skip(1);
        folders.any(|folder| matches!(folder, "tests" | "benches"))
    }

    /// Returns line `number`, which counts from 1, or nothing for a line that does not exist.
    pub(crate) fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|at| self.text.lines().nth(at)).unwrap_or("")
    }
}

/// All text files of the workspace.
#[derive(Debug)]
pub(crate) struct Sources {
    files: Vec<SourceFile>,
    /// Paths (a file, or a folder with its `/`) that only tests compile.
    test_paths: Vec<String>,
}

impl Sources {
    /// Reads every text file below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(root, root, 0, &mut files)?;
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self::from_files(files))
    }

    pub(crate) fn from_files(files: Vec<SourceFile>) -> Self {
        let test_paths =
            files.iter().filter(|file| file.is_rust()).flat_map(test_modules).collect();
        Self { files, test_paths }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    pub(crate) fn rust_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// Returns the Rust files below one of `folders`, each with the tokens that end up in a binary.
    pub(crate) fn shipped<'a>(
        &'a self,
        folders: &'a [&str],
    ) -> impl Iterator<Item = (&'a SourceFile, Vec<Token<'a>>)> {
        self.rust_files()
            .filter(|file| folders.iter().any(|folder| file.path.starts_with(folder)))
            .filter(|file| !self.is_test_only(&file.path))
            .map(|file| {
                let mut shipped = tokens(&file.text);
                shipped.retain(|token| !token.in_test);
                (file, shipped)
            })
    }

    /// Returns the text of a line, or nothing if there is no such file or line.
    pub(crate) fn line(&self, path: &str, number: usize) -> &str {
        self.files.iter().find(|file| file.path == path).map_or("", |file| file.line(number))
    }

    fn is_test_only(&self, path: &str) -> bool {
        self.test_paths.iter().any(|test| {
            path == test.as_str() || (test.ends_with('/') && path.starts_with(test.as_str()))
        })
    }
}

/// Returns the paths that `#[cfg(test)] mod NAME;` in `file` may stand for.
fn test_modules(file: &SourceFile) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let base = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        name => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let all = tokens(&file.text);
    let mut paths = Vec::new();
    for at in 0..all.len() {
        let declares = starts_with(&all, at, &["mod"]) && starts_with(&all, at + 2, &[";"]);
        if declares && all[at].in_test {
            let name = all[at + 1].text;
            paths.push(format!("{base}/{name}.rs"));
            paths.push(format!("{base}/{name}/"));
        }
    }
    paths
}

fn collect(root: &Path, folder: &Path, depth: usize, files: &mut Vec<SourceFile>) -> Result<()> {
    anyhow::ensure!(depth <= DEPTH_MAX, "{} is nested too deep", folder.display());
    let entries = fs::read_dir(folder).with_context(|| unreadable(folder))?;
    for entry in entries {
        let path = entry.with_context(|| unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || FOREIGN.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, depth + 1, files)?;
        } else if is_text(&path) {
            let bytes = fs::read(&path).with_context(|| unreadable(&path))?;
            let text = String::from_utf8(bytes)
                .with_context(|| format!("{} is not UTF-8: convert it", path.display()))?;
            files.push(SourceFile::new(relative(root, &path), text));
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    TEXT_ENDINGS.iter().any(|text| ending == *text)
}

fn relative(root: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    path.to_string_lossy().replace('\\', "/")
}

fn unreadable(path: &Path) -> String {
    format!("cannot read {}: check its permissions", path.display())
}

#[cfg(test)]
mod tests {
    use super::{SourceFile, Sources};

    #[test]
    fn shipped_code_leaves_out_test_items_and_test_files() {
        let sources = Sources::from_files(vec![
            SourceFile::new("core/src/step.rs", "fn a() {}\n#[cfg(test)]\nmod laws;"),
            SourceFile::new("core/src/step/laws.rs", "fn b() {}"),
            SourceFile::new("core/src/step/laws/deep.rs", "fn c() {}"),
            SourceFile::new("core/tests/it/main.rs", "fn d() {}"),
        ]);
        let shipped: Vec<_> = sources.shipped(&["core/src/"]).collect();
        assert_eq!(shipped.len(), 1);
        assert!(shipped[0].1.iter().all(|token| !token.is("laws")));
    }

    #[test]
    fn a_tests_folder_is_known_by_its_name_alone() {
        assert!(SourceFile::new("daemon/tests/it/cli.rs", "").is_in_tests_folder());
        assert!(!SourceFile::new("daemon/src/tests.rs", "").is_in_tests_folder());
    }

    #[test]
    fn a_line_that_does_not_exist_is_empty() {
        let file = SourceFile::new("a.rs", "one\ntwo\n");
        assert_eq!((file.line(0), file.line(2), file.line(9)), ("", "two", ""));
    }
}
