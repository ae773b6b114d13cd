//! SQLite's errors in the words of the ports, and why a file is refused.
//!
//! Everything here is a named function and no `From`: each call shows where the vocabulary changes.

use std::io;
use std::path::{Path, PathBuf};

use candor_core::ports::{CommitError, ReadError};
use candor_core::session::SessionId;
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Why a database was not opened. Nothing was written to it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of Candor has written it.
    #[error(
        "the database {} has format {found} and this version of Candor reads up to {supported}: \
         start the newer Candor that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: i32,
        /// The latest version that this build can read.
        supported: i32,
    },
    /// It is a database of some other program.
    #[error(
        "{} is a database of another program (application id {application_id:#x}): move it away, \
         or give Candor another home",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The mark of the program that made it; 0 when it left none.
        application_id: i32,
    },
    /// It is damaged, or no database at all.
    #[error(
        "the database {} is damaged ({detail}): restore a copy of it, or move it away to begin \
         with an empty one",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        detail: String,
    },
    /// It cannot be read, written or made.
    #[error(
        "the database {} cannot be read and written ({reason}): make its folder writable for you, \
         or give Candor another home",
        path.display()
    )]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The disk is full.
    #[error("the disk of the database {} is full: free some space and start again", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Some other process holds its lock.
    #[error(
        "another process keeps the database {} locked: end that process and start again",
        path.display()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file system or the library refuses a setting that safety needs.
    #[error(
        "the database {} cannot be kept safely there ({setting} is {found}): give Candor a home on \
         a local disk",
        path.display()
    )]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What it is instead of what was asked for.
        found: String,
    },
    /// There is no thread left to write it with.
    #[error(
        "no thread can be started to write the database ({reason}): raise the limit of threads"
    )]
    NoThread {
        /// What the operating system said.
        reason: String,
    },
}

/// Why a store was closed less tidily than it should be. Nothing is lost.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the database could not be marked as closed ({reason}): the next start will check it first"
)]
pub struct CloseError {
    /// What the store said.
    pub reason: String,
}

/// Maps what an attempt to open the database met.
pub(super) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_path_buf();
    let text = error.to_string();
    // The index of the log lies in a file that needs room as well.
    if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) {
        return OpenError::Full { path };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Busy { path },
        Some(ErrorCode::DiskFull) => OpenError::Full { path },
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory,
        ) => OpenError::NotWritable { path, reason: text },
        // What is left can only come of a file that does not hold what our own files hold.
        _ => OpenError::Corrupt { path, detail: text },
    }
}

/// Maps what a migration met.
pub(super) fn migration_error(path: &Path, error: &rusqlite_migration::Error) -> OpenError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => open_error(path, err),
        error => OpenError::Corrupt { path: path.to_path_buf(), detail: error.to_string() },
    }
}

/// Maps what the operating system said of the file.
pub(super) fn file_error(path: &Path, error: &io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            OpenError::Full { path: path.to_path_buf() }
        }
        _ => OpenError::NotWritable { path: path.to_path_buf(), reason: error.to_string() },
    }
}

/// Returns the answer for a change that met `error` before `COMMIT` was said: nothing of it can be
/// in the file.
pub(super) fn before_commit(error: &rusqlite::Error) -> CommitError {
    CommitError::NotStored { reason: error.to_string() }
}

/// Returns the answer for changes whose `COMMIT` met `error`.
///
/// A full disk leaves the last frame of the write-ahead log unwritten, and that one alone makes
/// the others count; a lock or a read-only file comes before the first. After anything else the
/// frames may be on the disk or not.
pub(super) fn at_commit(error: &rusqlite::Error) -> CommitError {
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ReadOnly,
        ) => CommitError::NotStored { reason },
        _ => CommitError::Unknown { reason },
    }
}

/// Says whether a connection that met `error` may be broken itself.
pub(super) fn leaves_doubt(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
        )
    )
}

/// What a read met.
#[derive(Debug)]
pub(super) enum ReadFailure {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// A row is there and is not what was written.
    Damaged { session: SessionId, reason: String },
}

impl From<rusqlite::Error> for ReadFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Maps what a read met; `about` is the session that it was about, when it was about one.
pub(super) fn read_error(failure: ReadFailure, about: Option<SessionId>) -> ReadError {
    let error = match failure {
        ReadFailure::Damaged { session, reason } => {
            return ReadError::Damaged { session, reason };
        }
        ReadFailure::Sql(error) => error,
    };
    let reason = error.to_string();
    match (error.sqlite_error_code(), about) {
        (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), Some(session)) => {
            ReadError::Damaged { session, reason }
        }
        (Some(ErrorCode::OperationInterrupted), _) => unavailable("the read took too long"),
        _ => ReadError::Unavailable { reason },
    }
}

/// Returns the error of a read that got no answer.
pub(super) fn unavailable(reason: &str) -> ReadError {
    ReadError::Unavailable { reason: reason.to_owned() }
}

/// Returns the error of a change that was not stored.
pub(super) fn not_stored(reason: &str) -> CommitError {
    CommitError::NotStored { reason: reason.to_owned() }
}
