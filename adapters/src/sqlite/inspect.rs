//! A look at a database from beside, whoever has it open: for whoever asks whether all is well.
//!
//! It reads through read-only connections. It never writes to the database, never copies its log,
//! and never mends anything; all that it may leave is an empty log and its index, beside a database
//! that had none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf, absolute};

use candor_core::ports::ReadError;

use super::check::{self, CheckReport};
use super::connection::{self, JOURNAL_BYTES_MAX, Role};
use super::errors::{OpenError, file_error, open_error};
use super::file::{self, Presence, beside};
use super::readers::Readers;
use super::schema;
use super::upkeep;

/// A log of more than this, in bytes, is not being cut: some reader does not let it.
const LOG_BYTES_MAX: u64 = 4 * JOURNAL_BYTES_MAX.unsigned_abs();

/// A database that is looked at.
#[derive(Debug)]
pub struct Inspector {
    path: PathBuf,
    format: i32,
    was_closed: bool,
    readers: Readers,
}

/// How long a write-ahead log is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Log {
    /// In bytes; 0 when there is none.
    pub bytes: u64,
    /// Whether it should have been cut before it became so long.
    pub is_too_long: bool,
}

impl Inspector {
    /// Opens a database to look at it. `None` when there is none, and none has been.
    ///
    /// Not while the same process has it open: see `file.rs`. It blocks.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; its text is a sentence for the user.
    pub fn open(path: &Path) -> Result<Option<Self>, OpenError> {
        let path = absolute(path).map_err(|error| file_error(path, &error))?;
        if file::look(&path)? == Presence::Absent {
            return Ok(None);
        }
        let connection = connection::open(&path, Role::Reader)?;
        let sql = |error| open_error(&path, &error);
        let format = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        let format = format.map_err(sql)?;
        let was_closed = upkeep::was_closed_cleanly(&connection).map_err(sql)?;
        Ok(Some(Self { format, was_closed, readers: Readers::new(path.clone()), path }))
    }

    /// Returns the version of the tables.
    #[must_use]
    pub const fn format(&self) -> i32 {
        self.format
    }

    /// Says whether an earlier version of Candor has written it, so that its rows cannot be checked
    /// before the next daemon has brought it up to date.
    #[must_use]
    pub const fn is_older(&self) -> bool {
        self.format < schema::VERSION
    }

    /// Says whether the last one who had it open took leave of it.
    #[must_use]
    pub const fn was_closed(&self) -> bool {
        self.was_closed
    }

    /// Measures the write-ahead log.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub fn log(&self) -> io::Result<Log> {
        let bytes = match fs::metadata(beside(&self.path, "-wal")) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Log { bytes, is_too_long: bytes > LOG_BYTES_MAX })
    }

    /// Reads every row and verifies it, checks that no session's story has a gap, and lets SQLite
    /// check its pages, indexes and references.
    ///
    /// Changes that are stored meanwhile may be looked at or not.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`] when it could not be done to the end.
    pub async fn check(&self) -> Result<CheckReport, ReadError> {
        check::check(&self.readers).await
    }
}

/// Looks at the header of a copy of a database, without SQLite.
///
/// # Errors
///
/// See [`OpenError`]: it is not one of ours, too new, or cannot be read.
pub fn check_copy(path: &Path) -> Result<(), OpenError> {
    file::look(path).map(|_presence| ())
}
