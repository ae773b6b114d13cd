//! What people and programs ask of the store beyond the port: lists, prefixes, stories, counts.
//!
//! A damaged row never hides the good ones: it is named beside them.

use std::fmt;

use candor_core::event::Seq;
use candor_core::ports::StoredSession;
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::time::Timestamp;
use rusqlite::{CachedStatement, Connection, Params, params};

use super::errors::ReadFailure;
use super::prefix::Prefix;
use super::removal::{REMOVALS_KEPT_MAX, Removal};
use super::rows::{
    Damage, read_removal, read_session, removal_columns, session_columns, session_id,
};
use super::search;

/// Ids that an ambiguous prefix is answered with, at most.
pub(super) const AMBIGUOUS_MAX: usize = 10;

/// Which sessions to list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListQuery {
    /// Only those that stand here; all when it is empty.
    pub statuses: Vec<Status>,
    /// Only those that continue this one.
    pub parent: Option<SessionId>,
    /// Only those that are older than this one, for the next page.
    pub before: Option<SessionId>,
    /// Only those that had ended by then.
    pub ended_by: Option<Timestamp>,
    /// Only those with one of these outcomes; all when it is empty.
    pub outcomes: Vec<String>,
    /// Only those of this agent.
    pub agent: Option<String>,
    /// Only those that run in this folder.
    pub folder: Option<String>,
    /// Only those that have this in their title, command, prompt, folder or id, in small letters or
    /// capital ones.
    pub text: Option<String>,
    /// How many, at most.
    pub limit: u32,
}

impl ListQuery {
    /// Returns the query for the newest `limit` sessions of all.
    #[must_use]
    pub const fn newest(limit: u32) -> Self {
        Self {
            statuses: Vec::new(),
            parent: None,
            before: None,
            ended_by: None,
            outcomes: Vec::new(),
            agent: None,
            folder: None,
            text: None,
            limit,
        }
    }
}

/// A row that is there and is not what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DamagedRow {
    /// The row of a session.
    Session {
        /// Whose, if that much can be read.
        id: Option<SessionId>,
        /// What gave it away.
        reason: String,
    },
    /// The row of a removal.
    Removal {
        /// Its place.
        seq: Seq,
        /// Of which session, if that much can be read.
        session: Option<SessionId>,
        /// What gave it away.
        reason: String,
    },
    /// The row of an event.
    Event {
        /// Its place.
        seq: Seq,
        /// Whose, if that much can be read.
        session: Option<SessionId>,
        /// What gave it away.
        reason: String,
    },
}

impl fmt::Display for DamagedRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session { id: Some(id), reason } => {
                write!(formatter, "the row of session {id} is damaged: {reason}")
            }
            Self::Session { id: None, reason } => {
                write!(formatter, "the row of some session is damaged: {reason}")
            }
            Self::Removal { seq, session: Some(id), reason } => {
                write!(formatter, "removal {seq} of session {id} is damaged: {reason}")
            }
            Self::Removal { seq, session: None, reason } => {
                write!(formatter, "removal {seq} is damaged: {reason}")
            }
            Self::Event { seq, session: Some(id), reason } => {
                write!(formatter, "event {seq} of session {id} is damaged: {reason}")
            }
            Self::Event { seq, session: None, reason } => {
                write!(formatter, "event {seq} is damaged: {reason}")
            }
        }
    }
}

/// Sessions, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The good ones.
    pub sessions: Vec<StoredSession>,
    /// Those that would be among them.
    pub damaged: Vec<DamagedRow>,
}

/// What a prefix of an id stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// One session.
    One(SessionId),
    /// No session; one that was deleted had such an id.
    Removed(Removal),
    /// No session.
    None,
    /// More than one; the first few, newest first.
    Ambiguous(Vec<SessionId>),
}

/// How many sessions stand at each status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusCounts([u64; Status::ALL.len()]);

impl StatusCounts {
    /// Returns how many stand at `status`.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        self.iter().find(|(candidate, _count)| *candidate == status).map_or(0, |(_, count)| count)
    }

    /// Returns all of them, in the order of a session's life.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> + '_ {
        Status::ALL.into_iter().zip(self.0)
    }
}

/// Reads one session.
pub(super) fn load(
    connection: &Connection,
    id: SessionId,
) -> Result<Option<StoredSession>, ReadFailure> {
    let damaged = |reason: String| ReadFailure::Damaged { session: id, reason };
    match row_of(connection, id)? {
        Some(Ok(stored)) => Ok(Some(stored)),
        Some(Err(damage)) => Err(damaged(damage.reason)),
        None if has_events(connection, id)? => {
            Err(damaged("it cannot be found, and its events are there".to_owned()))
        }
        None => Ok(None),
    }
}

/// Reads a row by its key. A row that the index of keys leads to, and that has another key, is
/// damaged, wherever SQLite takes the key from.
pub(super) fn row_of(
    connection: &Connection,
    id: SessionId,
) -> rusqlite::Result<Option<Result<StoredSession, Damage>>> {
    const SQL: &str = concat!("SELECT ", session_columns!(), " FROM sessions WHERE id = ?1");
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query([id.as_uuid().as_bytes().as_slice()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(read_session(row)?.and_then(|stored| match stored.session.id == id {
        true => Ok(stored),
        false => {
            Err(Damage { session: Some(id), reason: "its key leads to another row".to_owned() })
        }
    })))
}

fn has_events(connection: &Connection, id: SessionId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM events WHERE session = ?1 LIMIT 1")?
        .exists([id.as_uuid().as_bytes().as_slice()])
}

/// Reads a list.
pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<Listing, ReadFailure> {
    let mut listing = Listing::default();
    for id in ids(connection, query)? {
        let reason = match row_of(connection, id)? {
            Some(Ok(stored)) if query.fits(&stored) => {
                listing.sessions.push(stored);
                continue;
            }
            Some(Ok(_)) => "an index contradicts it".to_owned(),
            Some(Err(damage)) => damage.reason,
            None => "an index names it, and it cannot be found".to_owned(),
        };
        listing.damaged.push(DamagedRow::Session { id: Some(id), reason });
    }
    Ok(listing)
}

impl ListQuery {
    fn fits(&self, stored: &StoredSession) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&stored.session.status()))
            && self.parent.is_none_or(|parent| stored.session.parent == Some(parent))
            && self.ended_by.is_none_or(|ended_by| {
                stored.session.ended_at.is_some_and(|ended_at| ended_at <= ended_by)
            })
            && self.finds(&stored.session)
    }
}

/// Returns the ids that a query asks for, newest first, from indexes alone.
fn ids(connection: &Connection, query: &ListQuery) -> Result<Vec<SessionId>, ReadFailure> {
    let limit = i64::from(query.limit);
    // A key that is longer than all ids sorts after them.
    let all = [0xff; 17];
    let before = query.before.as_ref().map_or(all.as_slice(), |id| id.as_uuid().as_bytes());
    if query.is_search() {
        return search::ids(connection, query, before);
    }
    if let Some(parent) = &query.parent {
        return children(connection, query, parent, before);
    }
    if let Some(ended_by) = query.ended_by {
        return ended(connection, query, before, ended_by);
    }
    if query.statuses.is_empty() {
        let sql = "SELECT id FROM sessions WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        return read_ids(connection.prepare_cached(sql)?, params![before, limit]);
    }
    let mut ids = Vec::new();
    for status in &query.statuses {
        let sql = "SELECT id FROM sessions WHERE status = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
        let params = params![status.as_str(), before, limit];
        ids.extend(read_ids(connection.prepare_cached(sql)?, params)?);
    }
    newest_first(&mut ids, query.limit);
    Ok(ids)
}

pub(super) fn newest_first(ids: &mut Vec<SessionId>, limit: u32) {
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
    ids.truncate(limit as usize);
}

/// Returns the ids of sessions that had ended by then, newest first. It reads what no index has: who
/// asks for this is about to delete what it finds, and does so rarely.
fn ended(
    connection: &Connection,
    query: &ListQuery,
    before: &[u8],
    ended_by: Timestamp,
) -> Result<Vec<SessionId>, ReadFailure> {
    const SQL: &str = "SELECT id FROM sessions \
         WHERE status = ?1 AND id < ?2 AND ended_at_us <= ?3 ORDER BY id DESC LIMIT ?4";
    let mut ids = Vec::new();
    for status in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
        if query.statuses.is_empty() || query.statuses.contains(&status) {
            let ended_by_us = ended_by.as_microsecond();
            let params = params![status.as_str(), before, ended_by_us, i64::from(query.limit)];
            ids.extend(read_ids(connection.prepare_cached(SQL)?, params)?);
        }
    }
    newest_first(&mut ids, query.limit);
    Ok(ids)
}

fn children(
    connection: &Connection,
    query: &ListQuery,
    parent: &SessionId,
    before: &[u8],
) -> Result<Vec<SessionId>, ReadFailure> {
    let sql = "SELECT id, status FROM sessions WHERE parent = ?1 AND id < ?2 ORDER BY id DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![parent.as_uuid().as_bytes().as_slice(), before])?;
    let mut ids = Vec::new();
    while ids.len() < query.limit as usize {
        let Some(row) = rows.next()? else { break };
        let status = row.get_ref(1)?.as_str().unwrap_or_default().parse::<Status>();
        // A status that is none is damage, which reading the row will name.
        let fits = |status| query.statuses.is_empty() || query.statuses.contains(&status);
        if status.is_ok_and(fits) || status.is_err() {
            ids.extend(session_id(row.get_ref(0)?));
        }
    }
    Ok(ids)
}

/// Reads ids from an index. What is no id cannot be of a session, and is left to the check.
fn read_ids(
    mut statement: CachedStatement<'_>,
    params: impl Params,
) -> Result<Vec<SessionId>, ReadFailure> {
    let rows = statement.query_map(params, |row| Ok(session_id(row.get_ref(0)?).ok()))?;
    let ids: rusqlite::Result<Vec<_>> = rows.filter_map(Result::transpose).collect();
    Ok(ids?)
}

/// Returns the live sessions, oldest first.
///
/// A live session that is missed is a process that nobody watches. So a damaged row counts as live,
/// and when an index and a row disagree, all rows are read.
pub(super) fn live(connection: &Connection) -> Result<Vec<SessionId>, ReadFailure> {
    let statuses: Vec<_> = Status::ALL.into_iter().filter(|status| !status.is_terminal()).collect();
    let query = ListQuery { statuses, ..ListQuery::newest(u32::MAX) };
    let mut ids = Vec::new();
    for id in ids_oldest_first(connection, &query)? {
        match row_of(connection, id)? {
            Some(Ok(stored)) if query.fits(&stored) => ids.push(id),
            Some(_) | None => return live_by_rows(connection, &query),
        }
    }
    Ok(ids)
}

fn ids_oldest_first(
    connection: &Connection,
    query: &ListQuery,
) -> Result<Vec<SessionId>, ReadFailure> {
    let mut ids = ids(connection, query)?;
    ids.reverse();
    Ok(ids)
}

fn live_by_rows(connection: &Connection, query: &ListQuery) -> Result<Vec<SessionId>, ReadFailure> {
    const SQL: &str = concat!("SELECT ", session_columns!(), " FROM sessions NOT INDEXED");
    let mut statement = connection.prepare(SQL)?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        match read_session(row)? {
            Ok(stored) if query.fits(&stored) => ids.push(stored.session.id),
            Ok(_) => {}
            Err(damage) => ids.extend(damage.session),
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Returns what a prefix stands for.
pub(super) fn resolve(connection: &Connection, text: &str) -> Result<Resolution, ReadFailure> {
    let Some(prefix) = Prefix::parse(text) else {
        return Ok(Resolution::None);
    };
    let limit = AMBIGUOUS_MAX as i64 + 1;
    let (first, last) = prefix.range();
    let sql = "SELECT id FROM sessions WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3";
    let params = params![first.as_slice(), last.as_slice(), limit];
    let mut ids = read_ids(connection.prepare_cached(sql)?, params)?;
    if let Some((first, last)) = prefix.short_range() {
        let sql = "SELECT id FROM sessions WHERE short BETWEEN ?1 AND ?2 LIMIT ?3";
        ids.extend(read_ids(connection.prepare_cached(sql)?, params![first, last, limit])?);
    }
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
    ids.truncate(AMBIGUOUS_MAX);
    Ok(match ids[..] {
        [] => removed_of(connection, &prefix)?.map_or(Resolution::None, Resolution::Removed),
        [id] => Resolution::One(id),
        _ => Resolution::Ambiguous(ids),
    })
}

/// Returns the removal of the one deleted session that a prefix stands for.
fn removed_of(connection: &Connection, prefix: &Prefix) -> Result<Option<Removal>, ReadFailure> {
    const SQL: &str =
        concat!("SELECT ", removal_columns!(), " FROM removals ORDER BY seq DESC LIMIT ?1");
    let (first, last) = prefix.range();
    let short = prefix.short_range();
    let mut found = None;
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query([REMOVALS_KEPT_MAX])?;
    while let Some(row) = rows.next()? {
        let Ok(removal) = read_removal(row)? else { continue };
        let id = removal.session.as_uuid().as_bytes();
        let is_meant = (first..=last).contains(id)
            || short
                .as_ref()
                .is_some_and(|(first, last)| (first..=last).contains(&&removal.session.short()));
        if is_meant && found.replace(removal).is_some() {
            // More than one: the text is too short to tell of any.
            return Ok(None);
        }
    }
    Ok(found)
}

/// Returns the sessions that were deleted, the newest deletion first.
pub(super) fn removed(connection: &Connection) -> Result<Vec<SessionId>, ReadFailure> {
    const SQL: &str = "SELECT session FROM removals ORDER BY seq DESC LIMIT ?1";
    read_ids(connection.prepare_cached(SQL)?, [REMOVALS_KEPT_MAX])
}

/// Counts the sessions by status.
pub(super) fn counts(connection: &Connection) -> Result<StatusCounts, ReadFailure> {
    let mut statement =
        connection.prepare_cached("SELECT count(*) FROM sessions WHERE status = ?1")?;
    let mut counts = [0; Status::ALL.len()];
    for (count, status) in counts.iter_mut().zip(Status::ALL) {
        let number: i64 = statement.query_row([status.as_str()], |row| row.get(0))?;
        *count = number.unsigned_abs();
    }
    Ok(StatusCounts(counts))
}

/// How many sessions have ended in a way, or have not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutcomeCount {
    /// Where they stand.
    pub status: String,
    /// How they ended; `None` for those that live.
    pub outcome: Option<String>,
    /// How many they are.
    pub count: u64,
}

/// Counts the sessions by status and outcome.
pub(super) fn counts_by_outcome(connection: &Connection) -> Result<Vec<OutcomeCount>, ReadFailure> {
    // Two questions, since each has an index that answers it without a look at the rows.
    let mut statement = connection.prepare_cached(
        "SELECT status, NULL, count(*) FROM sessions \
         WHERE status NOT IN ('completed', 'failed', 'lost') GROUP BY status \
         UNION ALL SELECT status, outcome, count(*) FROM sessions \
         WHERE outcome IS NOT NULL GROUP BY outcome, status",
    )?;
    let rows = statement.query_map([], |row| {
        let count: i64 = row.get(2)?;
        Ok(OutcomeCount { status: row.get(0)?, outcome: row.get(1)?, count: count.unsigned_abs() })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
