//! One transaction for a group of changes.
//!
//! It decides what a failure means: nothing was stored, or nobody knows.

use candor_core::event::Seq;
use candor_core::ports::CommitError;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, params_from_iter};

use super::errors::{at_commit, before_commit, leaves_doubt, not_stored};
use super::launches;
use super::rows::{EncodedChange, event_columns, session_columns};

/// Why nothing of a group was stored, or nobody knows.
#[derive(Debug)]
pub(super) struct Failed {
    /// What every caller of the group is told.
    pub(super) answer: CommitError,
    /// Whether the connection can be used again.
    pub(super) connection_is_sound: bool,
}

/// Stores the changes in one transaction, and returns what became of each. A change that conflicts
/// takes none of the others along.
///
/// What it returns is durable.
pub(super) fn store<'change>(
    connection: &Connection,
    changes: impl Iterator<Item = &'change EncodedChange>,
) -> Result<Vec<Result<Seq, CommitError>>, Failed> {
    run(connection, "BEGIN IMMEDIATE").map_err(|error| roll_back(connection, &error))?;
    let results = store_each(connection, changes).map_err(|error| roll_back(connection, &error))?;
    if results.iter().all(Result::is_err) {
        run(connection, "ROLLBACK").map_err(|error| roll_back(connection, &error))?;
        return Ok(results);
    }
    crate::failpoint!(CommitWritten);
    match run(connection, "COMMIT") {
        Ok(()) => Ok(results),
        Err(error) => Err(give_up_commit(connection, &error)),
    }
}

fn store_each<'change>(
    connection: &Connection,
    changes: impl Iterator<Item = &'change EncodedChange>,
) -> rusqlite::Result<Vec<Result<Seq, CommitError>>> {
    let mut last = last_seq(connection)?;
    let mut results = Vec::new();
    for change in changes {
        let Some(seq) = last.checked_add(1) else {
            results.push(Err(not_stored("all places of events are used up")));
            continue;
        };
        run(connection, "SAVEPOINT one")?;
        results.push(if store_one(connection, change, seq)? {
            last = seq;
            Ok(Seq::from_number(seq.unsigned_abs()))
        } else {
            run(connection, "ROLLBACK TO one")?;
            Err(CommitError::Conflict)
        });
        run(connection, "RELEASE one")?;
    }
    Ok(results)
}

/// Returns the highest place that was ever given, as far as the file knows.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    // The last two are guards: should the first be damaged, no place is given twice all the same.
    const SQL: &str = "SELECT max(
        ifnull((SELECT max(seq) FROM sqlite_sequence WHERE name IN ('events', 'removals')), 0),
        ifnull((SELECT max(seq) FROM events), 0),
        ifnull((SELECT max(seq) FROM removals), 0))";
    connection.prepare_cached(SQL)?.query_row([], |row| row.get(0))
}

/// Writes row and event. Returns whether the row was where it had to be; if not, some of it may be
/// written and must be rolled back.
fn store_one(connection: &Connection, change: &EncodedChange, seq: i64) -> rusqlite::Result<bool> {
    let values = change.session.values(seq).map(ToSqlOutput::Borrowed);
    let rows = if change.expected == 0 {
        connection.prepare_cached(INSERT_SESSION)?.execute(params_from_iter(values))?
    } else {
        let expected = ToSqlOutput::from(change.expected);
        let values = values.into_iter().chain([expected]);
        connection.prepare_cached(UPDATE_SESSION)?.execute(params_from_iter(values))?
    };
    if rows == 0 {
        return Ok(false);
    }
    let values = change.event.values(seq).map(ToSqlOutput::Borrowed);
    if connection.prepare_cached(INSERT_EVENT)?.execute(params_from_iter(values))? == 0 {
        return Ok(false);
    }
    if let Some(launch) = &change.launch {
        launches::insert(connection, launch)?;
    }
    Ok(true)
}

const INSERT_SESSION: &str = concat!(
    "INSERT INTO sessions (",
    session_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO NOTHING"
);

/// What never changes is compared and not written, which leaves its indexes alone.
const UPDATE_SESSION: &str = "UPDATE sessions SET revision = ?3, status = ?4, outcome = ?5, \
     ended_at_us = ?8, last_event = ?9, last_seq = ?10, body = ?11, crc = ?12 \
     WHERE id = ?1 AND short = ?2 AND parent IS ?6 AND created_at_us = ?7 AND revision = ?13";

const INSERT_EVENT: &str = concat!(
    "INSERT INTO events (",
    event_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
     ON CONFLICT (session, revision) DO NOTHING"
);

/// Undoes a transaction whose `COMMIT` was not said yet. Should even that fail, nothing of it is
/// stored all the same: the connection is closed.
pub(super) fn roll_back(connection: &Connection, error: &rusqlite::Error) -> Failed {
    let undone = connection.is_autocommit() || run(connection, "ROLLBACK").is_ok();
    Failed {
        answer: before_commit(error),
        connection_is_sound: undone && connection.is_autocommit() && !leaves_doubt(error),
    }
}

/// Finds out what a failed `COMMIT` leaves.
pub(super) fn give_up_commit(connection: &Connection, error: &rusqlite::Error) -> Failed {
    let answer = at_commit(error);
    let undone = connection.is_autocommit() || run(connection, "ROLLBACK").is_ok();
    let is_certain = matches!(answer, CommitError::NotStored { .. });
    Failed { answer, connection_is_sound: undone && connection.is_autocommit() && is_certain }
}

/// Runs a statement that returns nothing.
pub(super) fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_rows| ())
}
