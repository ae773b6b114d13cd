//! The rules of ARCHITECTURE.md that can be read off the source text, one function a rule.
//!
//! They are greps over tokens: sound enough to catch a slip in review, no proof against malice.

use crate::findings::{Escape, Finding, excuse};
use crate::source::Sources;
use crate::tokens::{Kind, Token, closer, starts_with, tokens};
use crate::wildcards;

/// What ends up in the binary that people install.
const SHIPPED: [&str; 3] = ["core/src/", "adapters/src/", "daemon/src/"];

/// Wildcard arms in core that are right: their value is no enum of ours.
const WILDCARDS_ALLOWED: [Escape; 0] = [];

/// Returns everything in `sources` that breaks a rule.
pub(crate) fn check(sources: &Sources) -> Vec<Finding> {
    let mut findings = adapters_are_named_by_daemon_alone(sources);
    findings.extend(sql_stays_in_its_folder(sources));
    findings.extend(unsafe_stays_in_its_folder(sources));
    findings.extend(supervisor_alone_commits(sources));
    findings.extend(core_has_no_wildcard_arm(sources, &WILDCARDS_ALLOWED));
    findings
}

/// Whoever else names an adapter could no longer be run against the fakes.
fn adapters_are_named_by_daemon_alone(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, shipped) in sources.shipped(&["core/src/", "harness/src/", "xtask/src/"]) {
        for token in shipped.iter().filter(|token| token.is("candor_adapters")) {
            let message = "only daemon names concrete adapters: take the port as an argument";
            findings.push(Finding::new(&file.path, token.line, message));
        }
    }
    findings
}

/// One folder knows the tables, so a migration can be reviewed by reading one folder.
fn sql_stays_in_its_folder(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let outside = sources.shipped(&SHIPPED).chain(sources.shipped(&["harness/src/"]));
    for (file, shipped) in
        outside.filter(|(file, _)| !file.path.starts_with("adapters/src/sqlite/"))
    {
        for token in &shipped {
            let is_sql = token.kind == Kind::Text && is_sql(token.text);
            if is_sql || token.is("rusqlite") || token.is("rusqlite_migration") {
                let message = "SQL lives in adapters/src/sqlite alone: add a method there";
                findings.push(Finding::new(&file.path, token.line, message));
            }
        }
    }
    findings
}

/// Whether a text literal is a statement: by its first word in capitals, or by its form.
fn is_sql(text: &str) -> bool {
    const WORDS: [&str; 8] =
        ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "PRAGMA"];
    const FORMS: [(&str, &str); 5] = [
        ("select ", " from "),
        ("insert ", " into "),
        ("update ", " set "),
        ("delete ", " from "),
        ("create ", " table "),
    ];
    let text = text.trim_start();
    let first = text.split_whitespace().next().unwrap_or("");
    let small = text.to_lowercase();
    (WORDS.contains(&first) && text.len() > first.len())
        || FORMS.iter().any(|(start, middle)| small.starts_with(start) && small.contains(middle))
}

/// One folder talks to the kernel by hand, so there is one folder to read with great care.
fn unsafe_stays_in_its_folder(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in sources.rust_files() {
        if file.path.starts_with("adapters/src/process/") {
            continue;
        }
        let all = tokens(&file.text);
        for (at, token) in all.iter().enumerate() {
            if token.is("unsafe") || lets_unsafe_pass(&all, at) {
                let message =
                    "unsafe lives in adapters/src/process alone: call a safe wrapper (rustix, std)";
                findings.push(Finding::new(&file.path, token.line, message));
            }
        }
    }
    findings
}

/// Whether `allow(…)` or `expect(…)` at `at` names the lint that forbids unsafe code.
fn lets_unsafe_pass(tokens: &[Token<'_>], at: usize) -> bool {
    let lifts = ["allow", "expect", "warn"].iter().any(|word| tokens[at].is(word));
    lifts
        && starts_with(tokens, at + 1, &["("])
        && tokens[at..=closer(tokens, at + 1)].iter().any(|token| token.is("unsafe_code"))
}

/// A second writer of statuses is how a status comes to lie.
fn supervisor_alone_commits(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut supervisor_commits = false;
    for (file, shipped) in sources.shipped(&SHIPPED) {
        for at in 0..shipped.len() {
            let by_method = starts_with(&shipped, at, &[".", "commit", "("]);
            let by_path = starts_with(&shipped, at, &["Repository", ":", ":", "commit"]);
            if !by_method && !by_path {
                continue;
            }
            // SQLite's own transactions end with a `commit` too, and take no argument.
            let ends_transaction = file.path.starts_with("adapters/src/sqlite/")
                && starts_with(&shipped, at + 3, &[")"]);
            if is_supervisor(&file.path) {
                supervisor_commits = true;
            } else if !ends_transaction {
                let message = "only core/src/supervisor.rs writes statuses: send it an input";
                findings.push(Finding::new(&file.path, shipped[at].line, message));
            }
        }
    }
    // Without this, renaming the method would leave a check that sees nothing and always passes.
    if !supervisor_commits {
        let message = "the supervisor calls no `.commit(`: if Repository::commit has a new name, \
                       give it to xtask/src/rules.rs too";
        findings.push(Finding::new("core/src/supervisor.rs", 0, message));
    }
    findings
}

fn is_supervisor(path: &str) -> bool {
    path == "core/src/supervisor.rs" || path.starts_with("core/src/supervisor/")
}

fn core_has_no_wildcard_arm(sources: &Sources, allowed: &[Escape]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, shipped) in sources.shipped(&["core/src/"]) {
        findings.extend(wildcards::find(&file.path, &shipped));
    }
    excuse(findings, allowed, |path, line| sources.line(path, line))
}

#[cfg(test)]
mod tests {
    use super::{
        adapters_are_named_by_daemon_alone, core_has_no_wildcard_arm, is_sql,
        sql_stays_in_its_folder, supervisor_alone_commits, unsafe_stays_in_its_folder,
    };
    use crate::findings::{Escape, Finding};
    use crate::source::{SourceFile, Sources};

    type Rule = fn(&Sources) -> Vec<Finding>;

    fn places(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
        let found = rule(&Sources::from_files(files));
        found.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn adapters_named_in_daemon_pass_and_in_harness_fail() {
        let rule: Rule = adapters_are_named_by_daemon_alone;
        let text = "//! doc\nuse candor_adapters::bus;";
        assert_eq!(places(rule, &[("daemon/src/serve/mod.rs", text)]), NOTHING);
        assert_eq!(places(rule, &[("adapters/tests/it/main.rs", text)]), NOTHING);
        assert_eq!(places(rule, &[("core/src/a.rs", "// candor_adapters")]), NOTHING);
        assert_eq!(places(rule, &[("harness/src/replay.rs", text)]), ["harness/src/replay.rs:2"]);
    }

    #[test]
    fn sql_passes_in_its_folder_and_in_tests_and_fails_elsewhere() {
        let rule: Rule = sql_stays_in_its_folder;
        let text = "use rusqlite::Row;\nconst A: &str = \"SELECT 1\";";
        assert_eq!(places(rule, &[("adapters/src/sqlite/rows.rs", text)]), NOTHING);
        assert_eq!(places(rule, &[("adapters/tests/it/main.rs", text)]), NOTHING);
        let tested = "#[cfg(test)] mod tests { use rusqlite::Row; }";
        assert_eq!(places(rule, &[("daemon/src/main.rs", tested)]), NOTHING);
        let found = places(rule, &[("daemon/src/http/mod.rs", text)]);
        assert_eq!(found, ["daemon/src/http/mod.rs:1", "daemon/src/http/mod.rs:2"]);
    }

    #[test]
    fn a_statement_is_told_from_a_sentence() {
        for sql in ["SELECT id", "\n  PRAGMA user_version", "insert or ignore into t", "UPDATE t"] {
            assert!(is_sql(sql), "{sql}");
        }
        for prose in ["select one of these", "Update the store", "DELETE", "created from a table"] {
            assert!(!is_sql(prose), "{prose}");
        }
    }

    #[test]
    fn unsafe_passes_in_process_and_fails_elsewhere() {
        let rule: Rule = unsafe_stays_in_its_folder;
        let text = "fn a() { unsafe { b() } }";
        assert_eq!(places(rule, &[("adapters/src/process/signal.rs", text)]), NOTHING);
        let talk = "#![forbid(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";";
        assert_eq!(places(rule, &[("core/src/lib.rs", talk)]), NOTHING);
        assert_eq!(places(rule, &[("daemon/tests/it/main.rs", text)]).len(), 1);
        let lifted = "#![expect(unsafe_code, reason = \"x\")]";
        assert_eq!(places(rule, &[("daemon/src/main.rs", lifted)]), ["daemon/src/main.rs:1"]);
    }

    const SUPERVISOR: (&str, &str) =
        ("core/src/supervisor.rs", "let end = self.repository.commit(&next).await;");

    #[test]
    fn commits_pass_in_the_supervisor_and_in_sqlite_transactions() {
        let rule: Rule = supervisor_alone_commits;
        let transaction = ("adapters/src/sqlite/writer.rs", "transaction.commit()?;");
        let contract = ("harness/src/contract.rs", "repository.commit(&next).await");
        let method = ("adapters/src/sqlite/mod.rs", "async fn commit(&self, next: &Next) {}");
        assert_eq!(places(rule, &[SUPERVISOR, transaction, contract, method]), NOTHING);
    }

    #[test]
    fn commits_fail_anywhere_else() {
        let rule: Rule = supervisor_alone_commits;
        let daemon = ("daemon/src/serve/mod.rs", "repository.commit(&next).await");
        let by_path = ("core/src/recovery.rs", "Repository::commit(&*repository, &next).await");
        let sqlite = ("adapters/src/sqlite/mod.rs", "self.commit(next)");
        let found = places(rule, &[SUPERVISOR, daemon, by_path, sqlite]);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_check_that_sees_no_commit_at_all_says_so() {
        let rule: Rule = supervisor_alone_commits;
        let renamed = ("core/src/supervisor.rs", "self.repository.store(&next).await");
        assert_eq!(places(rule, &[renamed]), ["core/src/supervisor.rs:0"]);
    }

    #[test]
    fn wildcards_fail_in_core_and_pass_in_its_tests_elsewhere_and_with_an_escape() {
        let text = "fn a() { match x {\n A => 1,\n _ => 2 } }";
        let rule: Rule = |sources| core_has_no_wildcard_arm(sources, &[]);
        assert_eq!(places(rule, &[("core/src/step.rs", text)]), ["core/src/step.rs:3"]);
        assert_eq!(places(rule, &[("adapters/src/sqlite/rows.rs", text)]), NOTHING);
        let tested = "#[cfg(test)]\nmod tests { fn a() { match x { _ => 2 } } }";
        assert_eq!(places(rule, &[("core/src/step.rs", tested)]), NOTHING);
        let escaped: Rule = |sources| {
            let escape = Escape { path: "core/src/step.rs", piece: "_ => 2", reason: "a number" };
            core_has_no_wildcard_arm(sources, &[escape])
        };
        assert_eq!(places(escaped, &[("core/src/step.rs", text)]), NOTHING);
    }
}
