//! `cargo xtask tidy`: what is cheap to keep and dull to review.
//!
//! It must never judge style that rustfmt or clippy judges already.

use anyhow::Result;
use xshell::Shell;

use crate::findings::{Escape, Finding, excuse, report};
use crate::source::{SourceFile, Sources};
use crate::tokens::{Token, closer, starts_with, tokens};

/// A longer file has two subjects: split it.
const FILE_LINES_MAX: usize = 500;

/// Packages in Cargo.lock, ours included. Each one more is code that we ship or trust.
const LOCK_PACKAGES_MAX: usize = 320;

/// Files that may be longer. `piece` is a part of their first line.
const LONG_FILES_ALLOWED: [Escape; 0] = [];

/// Tests that may sleep: where the passing of real time is what is tested.
const SLEEPS_ALLOWED: [Escape; 1] = [Escape {
    path: "daemon/tests/agents/random.rs",
    piece: "random.below(span_ms)",
    reason: "it interrupts at random moments, which no event tells",
}];

/// Fails with a list of places to mend.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let sources = Sources::read(&shell.current_dir())?;
    let mut findings = check(&sources, &SLEEPS_ALLOWED);
    findings.extend(lock_file(&shell.read_file("Cargo.lock")?));
    report("tidy", &findings)?;
    println!("tidy: {} files in order", sources.files().count());
    Ok(())
}

fn check(sources: &Sources, sleeps_allowed: &[Escape]) -> Vec<Finding> {
    let line_of = |path: &str, line| sources.line(path, line);
    let mut findings: Vec<_> = sources.files().flat_map(blanks).collect();
    findings.extend(sources.rust_files().filter_map(head));
    let long = sources.rust_files().filter_map(length).collect();
    findings.extend(excuse(long, &LONG_FILES_ALLOWED, line_of));
    let mut sleeps = Vec::new();
    for file in sources.rust_files() {
        let all = tokens(&file.text);
        findings.extend(banned_words(file, &all));
        sleeps.extend(sleeps_in_tests(file, &all));
    }
    findings.extend(excuse(sleeps, sleeps_allowed, line_of));
    findings
}

fn blanks(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::new(&file.path, at + 1, "the line ends in a blank: remove it"));
        }
    }
    let last = file.text.lines().count();
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(Finding::new(&file.path, last, "the last line has no newline: add one"));
    }
    if file.text.ends_with("\n\n") {
        findings.push(Finding::new(&file.path, last, "the file ends in an empty line: remove it"));
    }
    findings
}

fn head(file: &SourceFile) -> Option<Finding> {
    let message =
        "the file does not open with `//!`: say what it is for, then what it must never do";
    (!file.text.starts_with("//!")).then(|| Finding::new(&file.path, 1, message))
}

fn length(file: &SourceFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let message = format!("{lines} lines, more than {FILE_LINES_MAX}: split the file by subject");
    (lines > FILE_LINES_MAX).then(|| Finding::new(&file.path, 1, message))
}

/// Finds words that hide work: tests that do not run, lints that are off, code that is not there.
fn banned_words(file: &SourceFile, tokens: &[Token<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |at: usize, message: &str| {
        findings.push(Finding::new(&file.path, tokens[at].line, message));
    };
    for at in 0..tokens.len() {
        if starts_with(tokens, at, &["#", "[", "ignore"]) {
            find(at, "an ignored test proves nothing: make it fast, or delete it");
        }
        if tokens[at].is("should_panic") {
            find(at, "should_panic passes for the wrong panic: assert on the error or its message");
        }
        if starts_with(tokens, at, &["todo", "!"])
            || starts_with(tokens, at, &["unimplemented", "!"])
        {
            find(at, "unfinished code: write it, or return an error that says what is missing");
        }
        if is_bare_allow(tokens, at) {
            find(at, "a bare allow outlives its cause: use #[expect(LINT, reason = \"…\")]");
        }
    }
    findings
}

/// Whether an attribute at `at` has an `allow(…)` without a reason.
fn is_bare_allow(tokens: &[Token<'_>], at: usize) -> bool {
    let inner = starts_with(tokens, at, &["#", "!", "["]);
    if !inner && !starts_with(tokens, at, &["#", "["]) {
        return false;
    }
    let open = at + 1 + usize::from(inner);
    let attribute = &tokens[open..=closer(tokens, open)];
    let allow = (0..attribute.len()).find(|at| starts_with(attribute, *at, &["allow", "("]));
    allow.is_some_and(|allow| {
        let list = &attribute[allow + 1..=closer(attribute, allow + 1)];
        !list.iter().any(|token| token.is("reason"))
    })
}

/// A sleep in a test is either too short on a busy machine or too long on every other.
fn sleeps_in_tests(file: &SourceFile, tokens: &[Token<'_>]) -> Vec<Finding> {
    let everywhere = file.is_in_tests_folder();
    let mut findings = Vec::new();
    for at in 0..tokens.len() {
        let sleeps = starts_with(tokens, at, &["thread", ":", ":", "sleep"])
            || starts_with(tokens, at, &["time", ":", ":", "sleep"]);
        if sleeps && (everywhere || tokens[at].in_test) {
            let message = "a test that sleeps is slow and flaky: wait for the event itself";
            findings.push(Finding::new(&file.path, tokens[at].line, message));
        }
    }
    findings
}

fn lock_file(text: &str) -> Option<Finding> {
    let packages = text.lines().filter(|line| *line == "[[package]]").count();
    let message = format!(
        "{packages} packages, more than {LOCK_PACKAGES_MAX}: drop a dependency or a feature, \
         or raise LOCK_PACKAGES_MAX in xtask/src/tidy.rs and say why in the commit"
    );
    (packages > LOCK_PACKAGES_MAX).then(|| Finding::new("Cargo.lock", 0, message))
}

#[cfg(test)]
mod tests {
    use super::{FILE_LINES_MAX, LOCK_PACKAGES_MAX, check, lock_file};
    use crate::source::{SourceFile, Sources};

    /// Returns the lines of the findings in a file of this path and text.
    fn lines(path: &str, text: &str) -> Vec<usize> {
        let sources = Sources::from_files(vec![SourceFile::new(path, text)]);
        check(&sources, &[]).iter().map(|finding| finding.line).collect()
    }

    const NOTHING: [usize; 0] = [];

    #[test]
    fn a_tidy_file_passes() {
        assert_eq!(lines("core/src/a.rs", "//! What it is.\n\nfn a() {}\n"), NOTHING);
        assert_eq!(lines("README.md", "# Candor\n"), NOTHING);
    }

    #[test]
    fn blanks_at_ends_fail() {
        assert_eq!(lines("README.md", "one \ntwo\t\nthree"), [1, 2, 3]);
        assert_eq!(lines("README.md", "one\n\n"), [2]);
    }

    #[test]
    fn a_rust_file_without_a_head_fails() {
        assert_eq!(lines("core/src/a.rs", "fn a() {}\n"), [1]);
    }

    #[test]
    fn a_file_at_the_limit_passes_and_one_line_more_fails() {
        let full = format!("//! A\n{}", "\n".repeat(FILE_LINES_MAX - 2) + "//\n");
        assert_eq!(lines("core/src/a.rs", &full), NOTHING);
        assert_eq!(lines("core/src/a.rs", &format!("{full}//\n")), [1]);
    }

    #[test]
    fn words_that_hide_work_fail() {
        for offence in [
            "#[ignore]",
            "#[ignore = \"slow\"]",
            "#[should_panic(expected = \"x\")]",
            "todo!()",
            "unimplemented!()",
            "#[allow(dead_code)]",
            "#![allow(dead_code)]",
            "#[cfg_attr(test, allow(dead_code))]",
        ] {
            assert_eq!(lines("core/src/a.rs", &format!("//! A\n{offence}\n")), [2], "{offence}");
        }
    }

    #[test]
    fn the_same_words_in_texts_and_with_reasons_pass() {
        for fine in [
            "const A: &str = \"todo!() #[ignore]\"; // todo!()",
            "#[allow(dead_code, reason = \"differs by platform\")]",
            "#[expect(dead_code, reason = \"read by people\")]",
            "fn allow(ignore: u8) {}",
        ] {
            assert_eq!(lines("core/src/a.rs", &format!("//! A\n{fine}\n")), NOTHING, "{fine}");
        }
    }

    #[test]
    fn sleeps_fail_in_tests_and_pass_in_the_daemon() {
        let text = "//! A\nasync fn a() { tokio::time::sleep(second).await; }\n";
        assert_eq!(lines("daemon/src/a.rs", text), NOTHING);
        assert_eq!(lines("daemon/tests/it/a.rs", text), [2]);
        let module = "//! A\n#[cfg(test)]\nmod tests { use std::thread::sleep; }\n";
        assert_eq!(lines("daemon/src/a.rs", module), [3]);
    }

    #[test]
    fn the_lock_file_has_a_cap() {
        assert_eq!(lock_file(&"[[package]]\n".repeat(LOCK_PACKAGES_MAX)), None);
        assert!(lock_file(&"[[package]]\n".repeat(LOCK_PACKAGES_MAX + 1)).is_some());
    }
}
