//! The file: opened, made, checked, and set aside where it is of no use. Everything in it can be
//! read again, so that it never keeps a daemon from starting.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use candor_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tracing::warn;

use super::append::forget_removed;
use super::schema::CONVERSATIONS;
use crate::sqlite::connection::{Role, open_as};
use crate::sqlite::errors::{OpenError, file_error, migration_error, open_error};
use crate::sqlite::file::{self, Presence, beside};
use crate::sqlite::{schema, upkeep};

/// What lies beside a database.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A database of more bytes than this is not checked as a whole after a crash, which would keep its
/// readers waiting. What is damaged of it is noticed by who meets it.
const CHECK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Names that are tried for something that is set aside, at most.
const NAMES_MAX: u32 = 1_000;

/// Opens the database. Where there is none, or none that is of use, an empty one is made.
pub(super) fn open_or_rebuild(path: &Path, aside: &Path) -> Result<Connection, OpenError> {
    match open(path) {
        Err(error) => match no_use(error) {
            Ok(reason) => {
                set_aside(path, aside, &reason).map_err(|error| file_error(path, &error))?;
                open(path)
            }
            Err(error) => Err(error),
        },
        opened => opened,
    }
}

/// Returns why a file is of no use, or the error if it may be of use some other time.
pub(super) fn no_use(error: OpenError) -> Result<String, OpenError> {
    match error {
        OpenError::Newer { found, .. } => Ok(format!("a later version has written it ({found})")),
        OpenError::Foreign { .. } => Ok("it is a database of another program".to_owned()),
        OpenError::Corrupt { detail, .. } => Ok(detail),
        error @ (OpenError::NotWritable { .. }
        | OpenError::Full { .. }
        | OpenError::Busy { .. }
        | OpenError::Unsuitable { .. }
        | OpenError::NoThread { .. }) => Err(error),
    }
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    if file::look_for(&CONVERSATIONS, path)? == Presence::Absent {
        file::create_as(&CONVERSATIONS, path)?;
    }
    let sql = |error| open_error(path, &error);
    let migration = |error| migration_error(path, &error);
    let corrupt = |detail| OpenError::Corrupt { path: path.to_owned(), detail };
    let mut connection = open_as(&CONVERSATIONS, path, Role::Writer)?;
    if !upkeep::was_closed_cleanly(&connection).map_err(sql)? {
        let is_small = fs::metadata(path).is_ok_and(|file| file.len() <= CHECK_BYTES_MAX);
        let findings = match is_small {
            true => upkeep::quick_check(&connection).map_err(sql)?,
            false => Vec::new(),
        };
        if let Some(finding) = findings.into_iter().next() {
            return Err(corrupt(finding));
        }
        upkeep::settle(&connection, path)?;
    }
    (CONVERSATIONS.migrate)(&mut connection).map_err(migration)?;
    if let Some(detail) = schema::difference(&CONVERSATIONS, &connection).map_err(migration)? {
        return Err(corrupt(detail));
    }
    forget_removed(&connection).map_err(sql)?;
    upkeep::mark_open(&connection).map_err(sql)?;
    file::remove_drafts(path);
    Ok(connection)
}

/// Moves the database and what lies beside it into a folder of this day. Nobody may have it open to
/// write.
pub(super) fn set_aside(path: &Path, aside: &Path, reason: &str) -> io::Result<()> {
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let folder = aside.join(today);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let free = (1..=NAMES_MAX)
        .map(|number| match number {
            1 => folder.join(&name),
            number => folder.join(beside(&name, &format!(".{number}"))),
        })
        .find(|to| fs::symlink_metadata(to).is_err())
        .ok_or(io::ErrorKind::AlreadyExists)?;
    for suffix in SUFFIXES {
        match fs::rename(beside(path, suffix), beside(&free, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let to = free.display();
    warn!(reason, %to, "the conversations were set aside, and are read again from the outputs");
    Ok(())
}

/// Says whether an error means that the file does not hold what was written to it.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
