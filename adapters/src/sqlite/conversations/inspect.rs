//! A look at the file from beside, whoever has it open.

use std::path::{Path, absolute};

use super::place::no_use;
use super::schema::CONVERSATIONS;
use crate::sqlite::connection::{Role, open_as};
use crate::sqlite::errors::{OpenError, file_error, open_error};
use crate::sqlite::file::{self, Presence};
use crate::sqlite::{schema, upkeep};

/// What was found.
#[derive(Debug)]
pub enum ConversationsFile {
    /// There is none, and none has been.
    Absent,
    /// It is as it should be.
    Sound {
        /// How many items it has.
        items: u64,
    },
    /// The next daemon sets it aside and reads everything again, for this reason.
    OfNoUse {
        /// Why.
        reason: String,
    },
}

/// Looks at a database of conversations, and lets SQLite check it. It writes nothing, and blocks.
///
/// Not while the same process has it open: see `sqlite/file.rs`.
///
/// # Errors
///
/// See [`OpenError`]: it could not be looked at.
pub fn inspect(path: &Path) -> Result<ConversationsFile, OpenError> {
    let path = absolute(path).map_err(|error| file_error(path, &error))?;
    check(&path).or_else(|error| no_use(error).map(|reason| ConversationsFile::OfNoUse { reason }))
}

fn check(path: &Path) -> Result<ConversationsFile, OpenError> {
    if file::look_for(&CONVERSATIONS, path)? == Presence::Absent {
        return Ok(ConversationsFile::Absent);
    }
    let sql = |error| open_error(path, &error);
    let connection = open_as(&CONVERSATIONS, path, Role::Reader)?;
    let corrupt = |detail| OpenError::Corrupt { path: path.to_owned(), detail };
    if let Some(finding) = upkeep::quick_check(&connection).map_err(sql)?.into_iter().next() {
        return Err(corrupt(finding));
    }
    let difference = schema::difference(&CONVERSATIONS, &connection);
    if let Some(detail) = difference.map_err(|error| corrupt(error.to_string()))? {
        return Err(corrupt(detail));
    }
    let items = connection
        .query_row("SELECT count(*) FROM items", [], |row| row.get::<_, i64>(0))
        .map_err(sql)?;
    Ok(ConversationsFile::Sound { items: items.unsigned_abs() })
}
