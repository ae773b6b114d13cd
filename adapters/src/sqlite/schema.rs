//! The schema: its versions, and what tells our file from any other.
//!
//! A migration never changes once it is released, and never runs on a file that is not ours.

use std::ops::Range;

use rusqlite::{Connection, MAIN_DB, Transaction};
use rusqlite_migration::{M, Migrations};

use super::launches;

/// "Cand", in the header of every database of sessions.
const APPLICATION_ID: i32 = 0x4361_6e64;

/// A kind of database that is ours: what tells it from any other, and how it is written.
#[derive(Debug)]
pub(super) struct Kind {
    /// The mark in its header.
    pub(super) application_id: i32,
    /// The version that this build reads and writes: how many migrations there are.
    pub(super) version: i32,
    /// How much of a transaction is on the disk when it is stored: SQLite's `synchronous`.
    pub(super) synchronous: i64,
    /// Brings it to that version, in one transaction.
    pub(super) migrate: fn(&mut Connection) -> Result<(), rusqlite_migration::Error>,
}

/// The database of sessions and events. What is stored is on the disk.
pub(super) static SESSIONS: Kind =
    Kind { application_id: APPLICATION_ID, version: VERSION, synchronous: 2, migrate };

/// The version that this build reads and writes: how many migrations there are.
pub(super) const VERSION: i32 = 3;

fn steps() -> Migrations<'static> {
    let launches = M::up_with_hook(
        include_str!("migrations/0003_launches.sql"),
        |transaction: &Transaction<'_>| Ok(launches::fill(transaction)?),
    );
    Migrations::new(vec![
        M::up(include_str!("migrations/0001_init.sql")),
        M::up(include_str!("migrations/0002_removals.sql")),
        launches,
    ])
}

/// Brings the database to [`VERSION`], in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), rusqlite_migration::Error> {
    steps().to_latest(connection)
}

/// Where the header says with what kind of journal the file is read and written.
///
/// Source: <https://sqlite.org/fileformat.html#file_format_version_numbers>.
const JOURNAL_AT: Range<usize> = 18..20;

/// The write-ahead log, as the header says it.
const WITH_LOG: u8 = 2;

/// Returns the bytes of a database that has the schema and no rows, and has a write-ahead log from
/// the beginning: to turn it on later is one more thing that can fail halfway.
pub(super) fn fresh_image(kind: &Kind) -> Result<Vec<u8>, rusqlite_migration::Error> {
    let fresh = fresh(kind)?;
    let mut image = fresh.serialize(MAIN_DB)?.to_vec();
    if let Some(journal) = image.get_mut(JOURNAL_AT) {
        journal.fill(WITH_LOG);
    }
    Ok(image)
}

/// Returns what is missing or different from the schema that this version makes, or `None`.
pub(super) fn difference(
    kind: &Kind,
    connection: &Connection,
) -> Result<Option<String>, rusqlite_migration::Error> {
    let found = definitions(connection)?;
    let missing = definitions(&fresh(kind)?)?.into_iter().find(|ours| !found.contains(ours));
    Ok(missing.map(|(name, _sql)| format!("its definition of `{name}` is not the one of Candor")))
}

fn fresh(kind: &Kind) -> Result<Connection, rusqlite_migration::Error> {
    let mut fresh = Connection::open_in_memory()?;
    (kind.migrate)(&mut fresh)?;
    Ok(fresh)
}

/// Returns names and definitions of all tables and indexes; those that SQLite makes by itself have
/// no text.
fn definitions(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::{APPLICATION_ID, SESSIONS, VERSION, difference, fresh, steps};

    #[test]
    fn migrations_lead_to_the_version() {
        steps().validate().unwrap();
        let fresh = fresh(&SESSIONS).unwrap();
        let pragma = |name| fresh.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        assert_eq!(pragma("user_version").unwrap(), VERSION);
        assert_eq!(pragma("application_id").unwrap(), APPLICATION_ID);
        assert_eq!(difference(&SESSIONS, &fresh).unwrap(), None);
    }

    #[test]
    fn a_changed_table_is_a_difference() {
        let fresh = fresh(&SESSIONS).unwrap();
        fresh.execute_batch("DROP INDEX sessions_by_short").unwrap();
        assert!(difference(&SESSIONS, &fresh).unwrap().unwrap().contains("sessions_by_short"));
    }
}
