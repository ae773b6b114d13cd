//! Copies of the database, made while it is in use.
//!
//! A copy is one state of the database, whole: plain `cp` would miss what is in the log. It gets its
//! name when it was checked and is on the disk, so that whatever has the name of a copy is one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candor_core::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OpenFlags};

use super::connection::{Role, identity, open};
use super::schema;
use super::upkeep::quick_check;

/// Copies that are kept; the oldest beyond them are removed.
pub const BACKUPS_KEPT: usize = 3;

/// How long one copy may take, in seconds.
const BACKUP_S_MAX: u64 = 600;

/// How many steps SQLite takes between two looks at the clock. One step is well below 1 µs.
const STEPS_PER_LOOK: i32 = 1_000;

/// The mode of a copy.
const MODE: u32 = 0o600;

/// How the name of a copy begins and ends; between them stands when it was made, in UTC.
const NAME: (&str, &str) = ("candor-", ".db");

/// When it was made, as it stands in the name.
const STAMP: &str = "%Y%m%d-%H%M%S";

/// What the name of a copy that is not finished has at its end.
const UNFINISHED: &str = ".unfinished";

/// A copy of the database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backup {
    /// When it was begun, to the second.
    pub at: Timestamp,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

/// Why no copy was made. Nothing is left of the attempt, and the copies before it are all there.
#[derive(Debug, thiserror::Error)]
#[error("no copy of the database was made in {}: {reason}", folder.display())]
pub struct BackupError {
    /// Where it should have been.
    pub folder: PathBuf,
    /// What went wrong.
    pub reason: String,
}

/// Returns the copies in a folder, the newest first.
///
/// One whose name is of a time after `now`, when the clock was wrong, counts as the oldest: it must
/// neither keep a new one from being made nor outlive it.
///
/// # Errors
///
/// What the file system said. A folder that is not there holds none.
pub fn backups(folder: &Path, now: Timestamp) -> io::Result<Vec<Backup>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(at) = entry.file_name().to_str().and_then(stamp_of) else { continue };
        match fs::symlink_metadata(entry.path()) {
            Ok(metadata) if metadata.is_file() => {
                found.push(Backup { at, path: entry.path(), bytes: metadata.len() });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|backup| std::cmp::Reverse((backup.at <= now, backup.at)));
    Ok(found)
}

fn name_of(at: Timestamp) -> String {
    format!("{}{}{}", NAME.0, at.strftime(STAMP), NAME.1)
}

fn stamp_of(name: &str) -> Option<Timestamp> {
    let stamp = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let at = DateTime::strptime(STAMP, stamp).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Makes a copy, and then removes the oldest beyond [`BACKUPS_KEPT`]. It blocks.
pub(super) fn make(
    database: &Path,
    folder: &Path,
    at: Timestamp,
    is_wanted: impl Fn() -> bool + Send + 'static,
) -> Result<Backup, BackupError> {
    let failed = |reason: String| BackupError { folder: folder.to_owned(), reason };
    remove_unfinished(folder);
    let path = folder.join(name_of(at));
    let draft = folder.join(format!("{}{UNFINISHED}", name_of(at)));
    let made = copy(database, &draft, is_wanted).and_then(|()| {
        let publish = || -> io::Result<u64> {
            let file = File::open(&draft)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(folder)?.sync_all()?;
            Ok(file.metadata()?.len())
        };
        publish().map_err(|error| error.to_string())
    });
    let bytes = made.map_err(|reason| {
        remove_unfinished(folder);
        failed(reason)
    })?;
    remove_oldest(folder, at);
    Ok(Backup { at: stamp_of(&name_of(at)).unwrap_or(at), path, bytes })
}

/// Copies the database, and checks the copy. Afterwards the file is there and whole, or an error
/// says why it is worth nothing.
fn copy(
    database: &Path,
    draft: &Path,
    is_wanted: impl Fn() -> bool + Send + 'static,
) -> Result<(), String> {
    // SQLite fills a file that is there and empty, and leaves it its mode.
    let created = OpenOptions::new().write(true).create_new(true).mode(MODE).open(draft).map(drop);
    created.map_err(|error| error.to_string())?;
    let source = open(database, Role::Reader).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(BACKUP_S_MAX);
    let sql = |error: rusqlite::Error| error.to_string();
    source
        .progress_handler(STEPS_PER_LOOK, Some(move || Instant::now() > deadline || !is_wanted()))
        .map_err(sql)?;
    let name = draft.to_str().ok_or("its path is no text")?;
    // The setting that keeps readers from writing would keep this one from writing the copy. The
    // database itself was opened to be read only.
    source.pragma_update(None, "query_only", 0).map_err(sql)?;
    source.execute("VACUUM INTO ?1", [name]).map_err(sql)?;
    check(draft)
}

/// Looks whether a copy is one that can be restored.
fn check(draft: &Path) -> Result<(), String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = |error: rusqlite::Error| error.to_string();
    let copy = Connection::open_with_flags(draft, flags).map_err(sql)?;
    let number = |name| copy.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let marks = (number("application_id").map_err(sql)?, number("user_version").map_err(sql)?);
    identity(&schema::SESSIONS, draft, marks.0, marks.1).map_err(|error| error.to_string())?;
    match quick_check(&copy).map_err(sql)?.into_iter().next() {
        Some(finding) => Err(format!("the copy is damaged: {finding}")),
        None => Ok(()),
    }
}

/// Removes what attempts have left that were killed. What cannot be removed is tried again next
/// time.
fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_unfinished = name
            .to_str()
            .and_then(|name| name.split_once(UNFINISHED))
            .is_some_and(|(name, _sqlites_own)| stamp_of(name).is_some());
        if is_unfinished {
            let _harmless = fs::remove_file(entry.path());
        }
    }
}

fn remove_oldest(folder: &Path, now: Timestamp) {
    let found = backups(folder, now).unwrap_or_default();
    for old in found.into_iter().skip(BACKUPS_KEPT) {
        if let Err(error) = fs::remove_file(&old.path) {
            tracing::warn!(%error, path = %old.path.display(), "an old copy cannot be removed");
        }
    }
}
