//! The row check: every row is read and verified, and what is damaged is named.
//!
//! It reads a slice at a time, so that it neither keeps the log from being cut nor sees half of a
//! change.

use std::time::{Duration, Instant};

use candor_core::event::{Seq, StoredEvent};
use candor_core::ports::{ReadError, StoredSession};
use candor_core::session::SessionId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::errors::ReadFailure;
use super::readers::{READ_MS_MAX, Readers};
use super::removal::Removal;
use super::rows::{
    event_columns, read_event, read_removal, read_session, removal_columns, session_columns,
    session_id,
};
use super::schema;
use super::upkeep::full_check;
use super::views::DamagedRow;

/// Rows that one read looks at.
const SLICE_ROWS: u32 = 500;

/// How long SQLite's own check may take, in seconds.
const FULL_CHECK_S_MAX: u64 = 600;

/// Damaged rows that are named, at most. The others are counted.
const NAMED_MAX: usize = 1_000;

/// A session whose row can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownSession {
    /// Whose row it is.
    pub id: SessionId,
    /// Whether it has not ended.
    pub is_live: bool,
    /// Whether its process was up at some time, so that there is output.
    pub has_run: bool,
}

/// What the row check found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckReport {
    /// Rows of sessions that were read.
    pub sessions: u64,
    /// Rows of events that were read.
    pub events: u64,
    /// Rows of removals that were read.
    pub removals: u64,
    /// How many rows are damaged.
    pub damaged_count: u64,
    /// The first of them.
    pub damaged: Vec<DamagedRow>,
    /// What SQLite's own checks say, and how the tables differ from ours; empty when they find
    /// nothing.
    pub sqlite: Vec<String>,
    /// The sessions, in the order of their rows. Those whose row is damaged are not among them.
    pub known: Vec<KnownSession>,
}

impl CheckReport {
    /// Says whether nothing was found.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.damaged_count == 0 && self.sqlite.is_empty()
    }

    fn name(&mut self, damaged: DamagedRow) {
        self.damaged_count += 1;
        if self.damaged.len() < NAMED_MAX {
            self.damaged.push(damaged);
        }
    }

    fn add(&mut self, slice: Self) {
        self.sessions += slice.sessions;
        self.events += slice.events;
        self.removals += slice.removals;
        self.known.extend(slice.known);
        for damaged in slice.damaged {
            self.name(damaged);
        }
    }
}

/// Checks everything.
pub(super) async fn check(readers: &Readers) -> Result<CheckReport, ReadError> {
    let mut report = CheckReport::default();
    // Pages that cannot be read end a walk early; SQLite's own check then says so.
    let deadline = Instant::now() + Duration::from_secs(FULL_CHECK_S_MAX);
    report.sqlite = readers
        .read(deadline, None, |connection| match check_file(connection) {
            Ok(findings) => Ok(findings),
            Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
            Err(error) => Err(error.into()),
        })
        .await?;
    walk(readers, &mut report, i64::MIN, check_sessions).await?;
    walk(readers, &mut report, i64::MIN, check_events).await?;
    walk(readers, &mut report, Vec::new(), check_stories).await?;
    walk(readers, &mut report, i64::MIN, check_removals).await?;
    Ok(report)
}

/// Lets SQLite check its pages, indexes and references, and compares the tables with ours.
fn check_file(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = full_check(connection)?;
    match schema::difference(&schema::SESSIONS, connection) {
        Ok(difference) => findings.extend(difference),
        // What cannot be compared is named by what kept it from being so.
        Err(error) => findings.push(error.to_string()),
    }
    Ok(findings)
}

/// A part of a walk, and the key that the next part begins after, or `None` at the end.
type Slice<K> = (CheckReport, Option<K>);

async fn walk<K: Clone + PartialOrd + Send + 'static>(
    readers: &Readers,
    report: &mut CheckReport,
    first: K,
    slice: fn(&Connection, &K) -> Result<Slice<K>, ReadFailure>,
) -> Result<(), ReadError> {
    let mut after = Some(first);
    while let Some(key) = after {
        let deadline = Instant::now() + Duration::from_millis(READ_MS_MAX);
        let from = key.clone();
        let read = readers.read(deadline, None, move |connection| match slice(connection, &from) {
            Err(ReadFailure::Sql(error)) if is_damage(&error) => Ok(Err(error.to_string())),
            result => result.map(Ok),
        });
        after = match read.await? {
            Ok((part, next)) => {
                report.add(part);
                // A damaged tree may lead back to where it came from.
                next.filter(|next| *next > key)
            }
            Err(finding) => {
                report.sqlite.push(finding);
                None
            }
        };
    }
    Ok(())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};

    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | Unknown))
}

/// Checks the sessions whose rows lie after `key`, and returns the last key, or `None` at the end.
fn check_sessions(connection: &Connection, key: &i64) -> Result<Slice<i64>, ReadFailure> {
    const SQL: &str = concat!(
        "SELECT ",
        session_columns!(),
        ", rowid FROM sessions NOT INDEXED WHERE rowid > ?1 ORDER BY rowid LIMIT ?2"
    );
    let mut report = CheckReport::default();
    let mut last = None;
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![key, SLICE_ROWS])?;
    while let Some(row) = rows.next()? {
        report.sessions += 1;
        last = Some(row.get("rowid")?);
        let (id, reason) = match read_session(row)? {
            Ok(stored) => {
                report.known.push(KnownSession::of(&stored));
                match contradiction(connection, &stored)? {
                    Some(reason) => (Some(stored.session.id), reason),
                    None => continue,
                }
            }
            Err(damage) => (damage.session, damage.reason),
        };
        report.name(DamagedRow::Session { id, reason });
    }
    let is_full = report.sessions == u64::from(SLICE_ROWS);
    Ok((report, last.filter(|_| is_full)))
}

impl KnownSession {
    const fn of(stored: &StoredSession) -> Self {
        Self {
            id: stored.session.id,
            is_live: !stored.session.status().is_terminal(),
            has_run: stored.session.started_at.is_some(),
        }
    }
}

/// Compares a session with the event that led to it, and with the index of keys.
fn contradiction(
    connection: &Connection,
    stored: &StoredSession,
) -> rusqlite::Result<Option<String>> {
    let id = stored.session.id.as_uuid().as_bytes().as_slice();
    let found = connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?.exists([id])?;
    if !found {
        return Ok(Some("it cannot be found by its key".to_owned()));
    }
    const SQL: &str = concat!("SELECT ", event_columns!(), " FROM events WHERE seq = ?1");
    let seq = i64::try_from(stored.last_seq.number()).unwrap_or(i64::MAX);
    let event = connection.prepare_cached(SQL)?.query_row([seq], read_event).optional()?;
    Ok(match event {
        None => Some("its last event is missing".to_owned()),
        // It is named itself.
        Some(Err(_damage)) => None,
        Some(Ok(event)) if led_to(&event, stored) => None,
        Some(Ok(_)) => Some("its last event contradicts it".to_owned()),
    })
}

fn led_to(last: &StoredEvent, stored: &StoredSession) -> bool {
    last.event.id == stored.last_event
        && last.event.session == stored.session.id
        && last.event.revision == stored.session.revision()
        && last.event.to == stored.session.status()
}

/// Checks the events whose rows lie after `key`, and returns the last key, or `None` at the end.
fn check_events(connection: &Connection, key: &i64) -> Result<Slice<i64>, ReadFailure> {
    const SQL: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events NOT INDEXED WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    );
    let mut report = CheckReport::default();
    let mut last = None;
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![key, SLICE_ROWS])?;
    while let Some(row) = rows.next()? {
        report.events += 1;
        let place: i64 = row.get(0)?;
        last = Some(place);
        if let Err(damage) = read_event(row)? {
            let seq = Seq::from_number(u64::try_from(place).unwrap_or(0));
            report.name(DamagedRow::Event { seq, session: damage.session, reason: damage.reason });
        }
    }
    let is_full = report.events == u64::from(SLICE_ROWS);
    Ok((report, last.filter(|_| is_full)))
}

/// Checks the removals whose rows lie after `key`, and returns the last key, or `None` at the end.
fn check_removals(connection: &Connection, key: &i64) -> Result<Slice<i64>, ReadFailure> {
    const SQL: &str = concat!(
        "SELECT ",
        removal_columns!(),
        " FROM removals NOT INDEXED WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    );
    let mut report = CheckReport::default();
    // A database of an older version has none yet.
    if !connection.table_exists(None, "removals")? {
        return Ok((report, None));
    }
    let mut last = None;
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![key, SLICE_ROWS])?;
    while let Some(row) = rows.next()? {
        report.removals += 1;
        let place: i64 = row.get(0)?;
        last = Some(place);
        let (session, reason) = match read_removal(row)? {
            Ok(removal) if is_there(connection, &removal)? => {
                (Some(removal.session), "something of its session is still there".to_owned())
            }
            Ok(_) => continue,
            Err(damage) => (damage.session, damage.reason),
        };
        let seq = Seq::from_number(u64::try_from(place).unwrap_or(0));
        report.name(DamagedRow::Removal { seq, session, reason });
    }
    let is_full = report.removals == u64::from(SLICE_ROWS);
    Ok((report, last.filter(|_| is_full)))
}

/// Says whether a session that was deleted has a row or an event all the same.
fn is_there(connection: &Connection, removal: &Removal) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT 1 FROM sessions WHERE id = ?1 \
         UNION ALL SELECT 1 FROM events WHERE session = ?1 LIMIT 1";
    let id = removal.session.as_uuid().as_bytes().as_slice();
    connection.prepare_cached(SQL)?.exists([id])
}

/// Checks that the stories of the sessions after `key` have no gap, and that each belongs to a row.
///
/// That a row agrees with its last event is checked with the row.
fn check_stories(connection: &Connection, key: &Vec<u8>) -> Result<Slice<Vec<u8>>, ReadFailure> {
    const SQL: &str = "SELECT session, count(*), min(revision), max(revision) FROM events \
                       WHERE session > ?1 GROUP BY session ORDER BY session LIMIT ?2";
    let mut report = CheckReport::default();
    let mut last = None;
    let mut seen = 0;
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![key, SLICE_ROWS])?;
    while let Some(row) = rows.next()? {
        seen += 1;
        let story = Story { count: row.get(1)?, first: row.get(2)?, last: row.get(3)? };
        // What is no id is named with its event.
        if let Ok(id) = session_id(row.get_ref(0)?)
            && let Some(reason) = story.fault(connection, id)?
        {
            report.name(DamagedRow::Session { id: Some(id), reason: reason.to_owned() });
        }
        last = row.get_ref(0)?.as_blob().ok().map(<[u8]>::to_vec);
    }
    Ok((report, last.filter(|_| seen == SLICE_ROWS)))
}

/// The revisions of one session's events, none of which is there twice.
struct Story {
    count: i64,
    first: i64,
    last: i64,
}

impl Story {
    /// Says what is wrong with it, but for what the check of the session's row says.
    fn fault(
        &self,
        connection: &Connection,
        id: SessionId,
    ) -> rusqlite::Result<Option<&'static str>> {
        const SQL: &str = concat!("SELECT ", session_columns!(), " FROM sessions WHERE id = ?1");
        let key = id.as_uuid().as_bytes().as_slice();
        let row = connection.prepare_cached(SQL)?.query_row([key], read_session).optional()?;
        let revision = match row {
            None => return Ok(Some("it cannot be found, and its events are there")),
            Some(Err(_damage)) => return Ok(None),
            Some(Ok(stored)) => stored.session.revision().number(),
        };
        if (self.first, self.last) != (1, self.count) {
            return Ok(Some("its events have a gap"));
        }
        let goes_beyond = u64::try_from(self.last).is_ok_and(|last| last > revision);
        Ok(goes_beyond.then_some("its events go beyond it"))
    }
}
