//! The care of the file itself: whether it was closed tidily, SQLite's own checks, and its log.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tracing::warn;

use super::errors::{OpenError, open_error};

/// Findings of SQLite's own checks that are kept, at most.
const FINDINGS_MAX: u32 = 20;

/// How much of the log is to be copied into the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    /// Nothing: this only tells how long the log is.
    Nothing,
    /// What nobody reads, without waiting.
    WhatIsFree,
    /// All of it, after which the log is empty.
    AllAndEmpty,
}

/// What a checkpoint came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Checkpoint {
    /// Whether nobody kept it from what was asked for.
    pub(super) is_complete: bool,
    /// How long the log was, in frames; `None` when the database has no log.
    pub(super) frames: Option<u32>,
}

/// Copies the log into the database.
pub(super) fn checkpoint(connection: &Connection, extent: Extent) -> rusqlite::Result<Checkpoint> {
    let sql = match extent {
        Extent::Nothing => "PRAGMA wal_checkpoint(NOOP)",
        Extent::WhatIsFree => "PRAGMA wal_checkpoint(PASSIVE)",
        Extent::AllAndEmpty => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.prepare_cached(sql)?.query_row([], |row| {
        let frames: i64 = row.get(1)?;
        Ok(Checkpoint {
            is_complete: row.get::<_, i64>(0)? == 0,
            frames: u32::try_from(frames).ok(),
        })
    })
}

/// Copies all of the log that a crash has left into the database.
///
/// Part of it may be in memory alone, where the disk had failed before the crash; and what is
/// written after such a part is worth no more than it.
pub(super) fn settle(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match checkpoint(connection, Extent::AllAndEmpty) {
        Ok(Checkpoint { is_complete: true, .. }) => Ok(()),
        Ok(Checkpoint { is_complete: false, .. }) => {
            Err(OpenError::Busy { path: path.to_path_buf() })
        }
        Err(error) => Err(open_error(path, &error)),
    }
}

/// Says whether the last one who had the database open took leave of it.
pub(super) fn was_closed_cleanly(connection: &Connection) -> rusqlite::Result<bool> {
    let flag = "SELECT closed_cleanly FROM state WHERE only_row = 1";
    connection.query_row(flag, [], |row| Ok(row.get::<_, i64>(0)? == 1))
}

/// Notes that the database is open. Until it is closed, the next start has reason to check it.
pub(super) fn mark_open(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE state SET closed_cleanly = 0 WHERE only_row = 1", []).map(|_| ())
}

/// Notes that the database is closed, empties the log, and closes it.
pub(super) fn close(connection: Connection) -> Result<(), String> {
    let marked = connection.execute("UPDATE state SET closed_cleanly = 1 WHERE only_row = 1", []);
    marked.map_err(|error| error.to_string())?;
    match checkpoint(&connection, Extent::AllAndEmpty) {
        Ok(Checkpoint { is_complete: true, .. }) => {
            // Lets SQLite remove the empty log.
            let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            connection.set_db_config(config, false).map_err(|error| error.to_string())?;
        }
        // What is in the log is as safe there as in the database.
        Ok(Checkpoint { is_complete: false, .. }) => {}
        Err(error) => warn!(%error, "the log is left beside the database"),
    }
    connection.close().map_err(|(_connection, error)| error.to_string())
}

/// Gives room at the end of the file back to the disk, at most so many pages of 4 KiB, where the file
/// was made for it.
pub(super) fn give_back(connection: &Connection, pages_max: u32) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages_max})"))?;
    // Each step gives one page back.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Runs SQLite's check of its pages, and returns what it found.
pub(super) fn quick_check(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    findings(connection, &format!("PRAGMA quick_check({FINDINGS_MAX})"))
}

/// Runs SQLite's check of its pages, indexes and references, and returns what it found.
pub(super) fn full_check(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = findings(connection, &format!("PRAGMA integrity_check({FINDINGS_MAX})"))?;
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && found.len() < FINDINGS_MAX as usize
    {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        found.push(format!("a row of {table} refers to one of {parent} that is not there"));
    }
    Ok(found)
}

/// A row may have several lines, the first of which is a heading.
fn findings(connection: &Connection, check: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(check)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut findings = Vec::new();
    for row in rows {
        let row = row?;
        let lines = row.lines().filter(|line| *line != "ok" && !line.starts_with("*** "));
        findings.extend(lines.map(str::to_owned));
    }
    Ok(findings)
}
