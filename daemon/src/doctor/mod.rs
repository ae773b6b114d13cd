//! What is so in a home, and what would mend it: the checks of `candor doctor`.
//!
//! | file | what it looks at |
//! |---|---|
//! | `ground.rs` | the home itself, its file system and disk, its socket, its lock |
//! | `tree.rs` | every file and folder below: who may read and write it, and what is a link |
//! | `database.rs` | the database, its log and its backups, the conversations and the hooks |
//! | `records.rs` | what lies in the folder of sessions, and whose it is |
//! | `shims.rs` | the folders of shims among it |
//! | `mend.rs` | the only place that changes anything |
//!
//! To look changes nothing, follows no link and starts no daemon. What belongs to a live session,
//! or may, is looked at and never touched.

mod database;
mod ground;
mod mend;
mod records;
mod shims;
mod tree;

use std::path::PathBuf;

use serde::Serialize;

use crate::home::{Home, HomeLock};

pub(crate) use ground::{Daemon, unfindable};
pub(crate) use mend::mend;

/// Names that a check lists, at most. The others are counted.
const ITEMS_MAX: usize = 1_000;

/// What a check came to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All is well.
    Ok,
    /// Candor works, and something is not as it should be.
    Warning,
    /// Candor does not work, or something was lost or may be.
    Problem,
}

/// Something that is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Remedy {
    /// Take the rights of everybody else away. The path is below the home; an empty one is the home.
    Close { path: PathBuf, mode: rustix::fs::Mode },
    /// Move it aside. The path is below the home.
    SetAside { path: PathBuf },
}

/// One check, done.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) id: &'static str,
    pub(crate) verdict: Verdict,
    /// What is so, in a sentence.
    pub(crate) found: String,
    /// What doctor would do, or why it would do nothing, in a sentence; null when all is well.
    pub(crate) would: Option<String>,
    /// What it is about: the first of them.
    pub(crate) items: Vec<String>,
    /// Whether `--fix` changes something.
    pub(crate) fixable: bool,
    #[serde(skip)]
    pub(crate) remedies: Vec<Remedy>,
}

impl Check {
    fn ok(id: &'static str, found: impl Into<String>) -> Self {
        let found = found.into();
        let (items, remedies) = (Vec::new(), Vec::new());
        Self { id, verdict: Verdict::Ok, found, would: None, items, fixable: false, remedies }
    }

    fn warning(id: &'static str, found: impl Into<String>, would: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, would: Some(would.into()), ..Self::ok(id, found) }
    }

    fn problem(id: &'static str, found: impl Into<String>, would: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, would: Some(would.into()), ..Self::ok(id, found) }
    }

    fn about(mut self, mut items: Vec<String>) -> Self {
        items.truncate(ITEMS_MAX);
        self.items = items;
        self
    }

    /// Says that it can be mended only while no daemon runs.
    fn needs_no_daemon(&mut self) {
        if let Some(would) = self.would.as_mut().filter(|_| self.fixable) {
            would.push_str(", once the daemon is stopped");
        }
    }

    fn mended_by(mut self, remedies: Vec<Remedy>) -> Self {
        self.fixable = !remedies.is_empty();
        self.remedies = remedies;
        self
    }
}

/// Looks at everything.
///
/// `lock` is the home's lock when the caller has it, and so keeps every daemon out.
pub(crate) async fn examine(home: &Home, lock: Option<&HomeLock>) -> (Daemon, Vec<Check>) {
    let (home_check, is_usable) = ground::home(home);
    let mut checks = vec![home_check, ground::socket(home)];
    if !is_usable {
        return (Daemon::None, checks);
    }
    let daemon = match lock {
        Some(_) => Daemon::None,
        None => ground::daemon(home).await,
    };
    checks.extend([ground::file_system(home), ground::space(home), ground::lock(&daemon)]);
    // First the names and then the rows: a row is there before the first file of its session.
    let tree = tree::Tree::of(home);
    let (database_checks, known) = database::examine(home, &tree, &daemon).await;
    let records = records::Records::of(home, &tree, &known);
    checks.extend([tree.owners(), tree.access(&records), tree.links()]);
    checks.extend(database_checks);
    checks.extend(records.checks(home, &known));
    if daemon != Daemon::None {
        checks.iter_mut().for_each(Check::needs_no_daemon);
    }
    (daemon, checks)
}

/// Says whether a home is there and may be looked into: a folder of the user's own, and no link.
pub(crate) fn is_usable(home: &Home) -> bool {
    ground::home(home).1
}

/// Returns `count` with the word for one of them, or for many.
fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
