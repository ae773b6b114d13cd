//! The database, its log and its backups. It is looked at and never mended: what is damaged may
//! still be read by somebody who knows how.

use std::collections::BTreeMap;
use std::path::Path;

use candor_adapters::sqlite::conversations::{ConversationsFile, inspect};
use candor_adapters::sqlite::{
    CheckReport, DamagedRow, Inspector, KnownSession, OpenError, check_copy, hooks,
};
use candor_core::session::SessionId;

use super::ground::Daemon;
use super::tree::Tree;
use super::{Check, counted};
use crate::home::Home;

/// What the database tells of sessions.
#[derive(Debug, Default)]
pub(super) struct Known {
    sessions: BTreeMap<SessionId, KnownSession>,
    /// Whether every session there is, is among them. If not, nobody can say that a folder belongs
    /// to none, or that a session does not live.
    pub(super) is_complete: bool,
}

impl Known {
    pub(super) fn get(&self, id: SessionId) -> Option<&KnownSession> {
        self.sessions.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KnownSession> {
        self.sessions.values()
    }
}

/// Checks the database, and returns what it tells of sessions.
pub(super) async fn examine(home: &Home, tree: &Tree, daemon: &Daemon) -> (Vec<Check>, Known) {
    let (backups_check, newest) = backups(home, tree);
    let restore = restore(home, newest.as_deref());
    let (mut checks, known) = main_file(home, tree, daemon, &restore).await;
    checks.extend([backups_check, conversations(home, tree), hooks(home, tree)]);
    (checks, known)
}

/// Checks the database of conversations. Nothing is lost with it, and a daemon mends it by itself.
fn conversations(home: &Home, tree: &Tree) -> Check {
    const ID: &str = "conversations";
    if tree.is_link(Path::new(Home::CONVERSATIONS)) {
        let found = "the database of conversations is a link, which is not followed";
        return Check::warning(
            ID,
            found,
            "nothing: remove it, and the next daemon makes a new one",
        );
    }
    match inspect(&home.conversations()) {
        Ok(ConversationsFile::Absent) => Check::ok(ID, "there are no conversations yet"),
        Ok(ConversationsFile::Sound { items }) => {
            Check::ok(ID, format!("the conversations are as written: items {items}"))
        }
        Ok(ConversationsFile::OfNoUse { reason }) => Check::warning(
            ID,
            format!("the conversations are of no use to this version: {reason}"),
            "nothing: the next daemon sets the file aside and reads them again from the outputs",
        ),
        Err(error) => Check::warning(
            ID,
            format!("the conversations cannot be looked at: {error}"),
            "nothing: sessions do not need them; make the file readable and writable for you",
        ),
    }
}

/// Checks the database of hooks. Nothing else has what is in it, so that it is never mended.
fn hooks(home: &Home, tree: &Tree) -> Check {
    const ID: &str = "hooks";
    if tree.is_link(Path::new(Home::HOOKS)) {
        let found = "the database of hooks is a link, which is not followed";
        return Check::warning(ID, found, "nothing: put the file itself in its place");
    }
    match hooks::inspect(&home.hooks()) {
        Ok(None) => Check::ok(ID, "there are no hooks yet"),
        Ok(Some(count)) => Check::ok(ID, format!("the hooks are as written: {count}")),
        Err(error) => Check::warning(
            ID,
            format!("the hooks are of no use to this version: {error}"),
            "nothing: sessions do not need them; move hooks.db, hooks.db-wal and hooks.db-shm away, \
             and add the hooks again",
        ),
    }
}

async fn main_file(
    home: &Home,
    tree: &Tree,
    daemon: &Daemon,
    restore: &str,
) -> (Vec<Check>, Known) {
    const ID: &str = "database";
    const UNTOLD: &str =
        "; so nobody can tell which session a file belongs to, and none is touched";
    let alone = |check| (vec![check], Known::default());
    if tree.is_link(Path::new(Home::DATABASE)) {
        let found = format!("the database is a link, which is not followed{UNTOLD}");
        return alone(Check::problem(ID, found, "nothing: put the file itself in its place"));
    }
    let inspector = match Inspector::open(&home.database()) {
        Ok(Some(inspector)) => inspector,
        Ok(None) if tree.pieces.is_empty() => {
            let known = Known { is_complete: true, ..Known::default() };
            return (vec![Check::ok(ID, "there is no database yet")], known);
        }
        Ok(None) => {
            let found = format!("the database is gone, and files of sessions are there{UNTOLD}");
            return alone(Check::problem(ID, found, restore));
        }
        Err(error) => {
            let would = match error {
                OpenError::Corrupt { .. } => restore,
                OpenError::Newer { .. }
                | OpenError::Foreign { .. }
                | OpenError::NotWritable { .. }
                | OpenError::Full { .. }
                | OpenError::Busy { .. }
                | OpenError::Unsuitable { .. }
                | OpenError::NoThread { .. } => "nothing: the file is left as it is",
            };
            return alone(Check::problem(ID, format!("{error}{UNTOLD}"), would));
        }
    };
    let format = inspector.format();
    if inspector.is_older() {
        let found = format!(
            "the database has format {format}, which the next daemon brings up to date{UNTOLD}"
        );
        return alone(Check::ok(ID, found));
    }
    let mut checks = vec![
        Check::ok(ID, format!("the database is Candor's, of format {format}")),
        log(&inspector, daemon),
    ];
    match inspector.check().await {
        Ok(report) => {
            checks.extend([pages(&report, restore), rows(&report, restore)]);
            (checks, Known::of(&report))
        }
        Err(error) => {
            let found = format!("the database could not be checked to its end: {error}{UNTOLD}");
            checks.push(Check::problem("pages", found, "nothing: mend that, and look again"));
            (checks, Known::default())
        }
    }
}

impl Known {
    fn of(report: &CheckReport) -> Self {
        let sessions = report.known.iter().map(|known| (known.id, *known)).collect();
        Self { sessions, is_complete: report.is_sound() }
    }
}

fn log(inspector: &Inspector, daemon: &Daemon) -> Check {
    const ID: &str = "log";
    match inspector.log() {
        Ok(log) if log.is_too_long => Check::warning(
            ID,
            format!("the database's log has grown to {} MiB: somebody keeps it", log.bytes >> 20),
            "nothing: end what else reads the database, then restart the daemon",
        ),
        Ok(log) if *daemon == Daemon::None && !inspector.was_closed() => {
            let bytes = log.bytes;
            let found = format!(
                "the last daemon was killed; the next one takes over its log of {bytes} bytes"
            );
            Check::ok(ID, found)
        }
        Ok(log) => Check::ok(ID, format!("the database's log has {} bytes", log.bytes)),
        Err(error) => Check::problem(
            ID,
            format!("the database's log cannot be looked at: {error}"),
            "nothing: make it readable for you",
        ),
    }
}

fn pages(report: &CheckReport, restore: &str) -> Check {
    const ID: &str = "pages";
    if report.sqlite.is_empty() {
        return Check::ok(ID, "SQLite finds nothing wrong with the database");
    }
    let found = counted(report.sqlite.len(), "thing", "things");
    Check::problem(ID, format!("SQLite finds {found} wrong with the database"), restore)
        .about(report.sqlite.clone())
}

fn rows(report: &CheckReport, restore: &str) -> Check {
    const ID: &str = "rows";
    if report.damaged_count == 0 {
        let (sessions, events) = (report.sessions, report.events);
        let found = format!("all rows are as written: sessions {sessions}, events {events}");
        return Check::ok(ID, found);
    }
    let count = usize::try_from(report.damaged_count).unwrap_or(usize::MAX);
    let found = counted(count, "row or story is", "rows and stories are");
    Check::problem(ID, format!("{found} not as written; the others are served"), restore)
        .about(report.damaged.iter().map(DamagedRow::to_string).collect())
}

/// Says how to go on after the database.
fn restore(home: &Home, newest_backup: Option<&str>) -> String {
    let away = "stop the daemon and move candor.db, candor.db-wal and candor.db-shm away";
    let folder = home.folder().display();
    match newest_backup {
        Some(backup) => {
            format!("nothing: to restore, {away}, then copy {folder}/backups/{backup} to candor.db")
        }
        None => format!("nothing: to restore a copy or to begin anew, {away} (from {folder})"),
    }
}

/// Checks the backups, and returns the name of the newest good one.
fn backups(home: &Home, tree: &Tree) -> (Check, Option<String>) {
    const ID: &str = "backups";
    let folder = Path::new(Home::BACKUPS);
    let names = Tree::below(home, Home::BACKUPS);
    let databases = names.iter().filter(|name| name.ends_with(".db"));
    let (bad, good): (Vec<&String>, Vec<_>) = databases.partition(|name| {
        tree.is_link(&folder.join(name)) || check_copy(&home.backups().join(name)).is_err()
    });
    let newest = good.last().map(|name| (*name).clone());
    if bad.is_empty() {
        let found = format!("backups of the database: {}", good.len());
        return (Check::ok(ID, found), newest);
    }
    let found = counted(bad.len(), "backup is", "backups are");
    let check = Check::warning(
        ID,
        format!("{found} no database of this Candor"),
        "nothing: they are left for you to look at",
    );
    (check.about(bad.into_iter().cloned().collect()), newest)
}
