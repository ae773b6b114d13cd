//! The file: opened, made, looked at from beside.

use std::path::{Path, absolute};

use rusqlite::Connection;

use super::schema::HOOKS;
use crate::sqlite::connection::{Role, open_as};
use crate::sqlite::errors::{OpenError, file_error, migration_error, open_error};
use crate::sqlite::file::{self, Presence};
use crate::sqlite::{schema, upkeep};

/// Opens the database, and makes an empty one where there is none. One that is of no use stays as it
/// is: nothing else knows what is in it.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    if file::look_for(&HOOKS, path)? == Presence::Absent {
        file::create_as(&HOOKS, path)?;
    }
    let sql = |error| open_error(path, &error);
    let migration = |error| migration_error(path, &error);
    let corrupt = |detail| OpenError::Corrupt { path: path.to_owned(), detail };
    let mut connection = open_as(&HOOKS, path, Role::Writer)?;
    if !upkeep::was_closed_cleanly(&connection).map_err(sql)? {
        if let Some(finding) = upkeep::quick_check(&connection).map_err(sql)?.into_iter().next() {
            return Err(corrupt(finding));
        }
        upkeep::settle(&connection, path)?;
    }
    (HOOKS.migrate)(&mut connection).map_err(migration)?;
    if let Some(detail) = schema::difference(&HOOKS, &connection).map_err(migration)? {
        return Err(corrupt(detail));
    }
    upkeep::mark_open(&connection).map_err(sql)?;
    file::remove_drafts(path);
    Ok(connection)
}

/// Looks at a database of hooks, and lets SQLite check it. Returns how many hooks it has, or `None`
/// where there is no such file. It writes nothing, and blocks.
///
/// Not while the same process has it open: see `sqlite/file.rs`.
///
/// # Errors
///
/// See [`OpenError`]: it is of no use as it is, or could not be looked at.
pub fn inspect(path: &Path) -> Result<Option<u64>, OpenError> {
    let path = absolute(path).map_err(|error| file_error(path, &error))?;
    if file::look_for(&HOOKS, &path)? == Presence::Absent {
        return Ok(None);
    }
    let sql = |error| open_error(&path, &error);
    let connection = open_as(&HOOKS, &path, Role::Reader)?;
    let corrupt = |detail| OpenError::Corrupt { path: path.clone(), detail };
    if let Some(finding) = upkeep::quick_check(&connection).map_err(sql)?.into_iter().next() {
        return Err(corrupt(finding));
    }
    let difference = schema::difference(&HOOKS, &connection);
    if let Some(detail) = difference.map_err(|error| corrupt(error.to_string()))? {
        return Err(corrupt(detail));
    }
    let hooks = connection
        .query_row("SELECT count(*) FROM hooks", [], |row| row.get::<_, i64>(0))
        .map_err(sql)?;
    Ok(Some(hooks.unsigned_abs()))
}
