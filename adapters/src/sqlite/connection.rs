//! The one way a connection is opened, for the writer and for readers.
//!
//! Every setting is read back: a connection that lacks one is not used. Nothing is written to a
//! file before it is known to be ours, and of a version that this build knows.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::errors::{OpenError, open_error};
use super::schema::{self, Kind};
use super::upkeep::{Extent, checkpoint};

/// Earlier versions of SQLite can damage a database in WAL mode, when it is written and checkpointed
/// by two connections at once.
///
/// Source: <https://sqlite.org/wal.html#walresetbug>.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

const _: () = assert!(
    rusqlite::ffi::SQLITE_VERSION_NUMBER >= SQLITE_VERSION_MIN,
    "the bundled SQLite is too old to be trusted with a write-ahead log"
);

/// How long a connection waits for another process's lock, at most, in milliseconds. What the
/// writer promises its callers leaves no more.
pub(super) const BUSY_MS_MAX: u32 = 1_500;

/// The size that the write-ahead log is cut back to when it starts anew, in bytes.
pub(super) const JOURNAL_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// Memory that a connection may keep pages in, in KiB.
const CACHE_KIB: i64 = 512;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// The only one that writes.
    Writer,
    /// One of those that read beside it.
    Reader,
}

/// Settings that are numbers: name, value.
///
/// The two `fullfsync` mean something on macOS alone, where a plain `fsync` leaves the data in the
/// drive's cache. A connection's busy timeout is not among them: the writer changes it with each
/// group. Nor is what differs from one kind of database to the other.
const SETTINGS: [(&str, i64); 10] = [
    ("foreign_keys", 1),
    ("journal_size_limit", JOURNAL_BYTES_MAX),
    ("wal_autocheckpoint", 0),
    ("cell_size_check", 1),
    ("mmap_size", 0),
    ("trusted_schema", 0),
    ("cache_size", -CACHE_KIB),
    ("temp_store", 2),
    ("fullfsync", 1),
    ("checkpoint_fullfsync", 1),
];

/// Opens the database of sessions, which must exist.
pub(super) fn open(path: &Path, role: Role) -> Result<Connection, OpenError> {
    open_as(&schema::SESSIONS, path, role)
}

/// Opens a database of this kind, which must exist.
pub(super) fn open_as(kind: &Kind, path: &Path, role: Role) -> Result<Connection, OpenError> {
    let sql = |error| open_error(path, &error);
    let flags = match role {
        Role::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let mut connection =
        Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sql)?;
    connection.busy_timeout(Duration::from_millis(u64::from(BUSY_MS_MAX))).map_err(sql)?;
    // Without it, to close the connection again after a refusal would write.
    set_config(&connection, DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, path)?;
    set_config(&connection, DbConfig::SQLITE_DBCONFIG_DEFENSIVE, path)?;
    check_identity(kind, &connection, path)?;
    if role == Role::Writer {
        let fell_back = connection.is_readonly(MAIN_DB).map_err(sql)?;
        if fell_back {
            let reason = "it may only be read".to_owned();
            return Err(OpenError::NotWritable { path: path.to_path_buf(), reason });
        }
        use_log(&connection).map_err(sql)?;
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
    } else {
        set(&connection, "query_only", 1, path)?;
    }
    check_log(&connection, role, path)?;
    for (name, value) in SETTINGS.into_iter().chain([("synchronous", kind.synchronous)]) {
        set(&connection, name, value, path)?;
    }
    Ok(connection)
}

/// Turns the write-ahead log on, which changes the file only where somebody else has turned it off.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    // The change is stored after its row was returned, and only the next call tells of a failure.
    while rows.next()?.is_some() {}
    Ok(())
}

/// Refuses to work without the write-ahead log, whatever the reason.
fn check_log(connection: &Connection, role: Role, path: &Path) -> Result<(), OpenError> {
    let sql = |error| open_error(path, &error);
    let journal: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(sql)?;
    // The word is what was asked for. The number of frames is there only when there is a log.
    let is_logged = role == Role::Reader
        || checkpoint(connection, Extent::Nothing).map_err(sql)?.frames.is_some();
    if journal == "wal" && is_logged {
        return Ok(());
    }
    let path = path.to_path_buf();
    Err(OpenError::Unsuitable { path, setting: "journal_mode", found: journal })
}

/// Sets a number, and reads it back.
fn set(
    connection: &Connection,
    name: &'static str,
    value: i64,
    path: &Path,
) -> Result<(), OpenError> {
    let sql = |error| open_error(path, &error);
    connection.pragma_update(None, name, value).map_err(sql)?;
    let found: i64 = connection.pragma_query_value(None, name, |row| row.get(0)).map_err(sql)?;
    if found == value {
        return Ok(());
    }
    let path = path.to_path_buf();
    Err(OpenError::Unsuitable { path, setting: name, found: found.to_string() })
}

fn set_config(connection: &Connection, config: DbConfig, path: &Path) -> Result<(), OpenError> {
    match connection.set_db_config(config, true) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let setting = "a safeguard of the library";
            let found = "off".to_owned();
            Err(OpenError::Unsuitable { path: path.to_path_buf(), setting, found })
        }
        Err(error) => Err(open_error(path, &error)),
    }
}

/// Refuses a file that is not ours, or too new, as the database and its write-ahead log together
/// have it.
fn check_identity(kind: &Kind, connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(|error| open_error(path, &error))
    };
    identity(kind, path, number("application_id")?, number("user_version")?)
}

/// Refuses what the two marks of a file's header say is not for this build.
pub(super) fn identity(
    kind: &Kind,
    path: &Path,
    application_id: i32,
    version: i32,
) -> Result<(), OpenError> {
    let path = path.to_path_buf();
    if application_id != kind.application_id {
        return Err(OpenError::Foreign { path, application_id });
    }
    if version > kind.version {
        return Err(OpenError::Newer { path, found: version, supported: kind.version });
    }
    if version < 1 {
        return Err(OpenError::Corrupt { path, detail: format!("its format is {version}") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Role, SQLITE_VERSION_MIN, open};
    use crate::sqlite::file;

    #[test]
    fn the_library_that_runs_is_the_one_that_was_bundled() {
        assert_eq!(rusqlite::version_number(), rusqlite::ffi::SQLITE_VERSION_NUMBER);
        assert!(rusqlite::version_number() >= SQLITE_VERSION_MIN);
    }

    #[test]
    fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        file::create(&path).unwrap();
        let _writer = open(&path, Role::Writer).unwrap();
        let reader = open(&path, Role::Reader).unwrap();
        let error = reader.execute("UPDATE state SET closed_cleanly = 0", []).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly));
    }
}
