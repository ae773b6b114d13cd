//! Events and removals, a page at a time, in one order.
//!
//! A page also says what is gone, so that no reader takes what is left for all that there was.

use candor_core::event::{Seq, StoredEvent};
use candor_core::session::SessionId;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Params, Row, params};

use super::errors::ReadFailure;
use super::group::last_seq;
use super::removal::{self, Removal};
use super::rows::{Damage, event_columns, read_event, read_removal, removal_columns};
use super::views::DamagedRow;

/// Events, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The good ones.
    pub events: Vec<StoredEvent>,
    /// The removals of sessions that have their places among them, in order.
    pub removals: Vec<Removal>,
    /// Those that would be among them.
    pub damaged: Vec<DamagedRow>,
    /// The cursor for the next page: the place of the last event or removal, good or damaged.
    pub next: Seq,
    /// Whether the limit was reached, so that there may be more.
    pub may_have_more: bool,
    /// The highest place after which nothing that belongs to this page is gone: whoever has read up
    /// to here or further has missed nothing. [`Seq::START`] when everything is there.
    pub gone_up_to: Seq,
    /// The place of the newest removal that is told of there, or [`Seq::START`]: when it has moved
    /// since the page before, more may be gone than was then.
    pub newest_removal: Seq,
    /// The highest place that was ever given. A cursor beyond it is of another store.
    pub last: Seq,
}

/// Reads the events after a cursor, without removals.
pub(super) fn events(
    connection: &Connection,
    after: Seq,
    limit: u32,
) -> Result<EventPage, ReadFailure> {
    let mut page = EventPage { next: after, ..EventPage::default() };
    let statement = connection.prepare_cached(EVENTS)?;
    let seen = read_events(statement, params![cursor(after), limit], &mut page)?;
    page.may_have_more = seen >= limit;
    Ok(page)
}

const EVENTS: &str =
    concat!("SELECT ", event_columns!(), " FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2");

/// Reads events and removals after a cursor.
pub(super) fn log(
    connection: &Connection,
    after: Seq,
    limit: u32,
) -> Result<EventPage, ReadFailure> {
    const REMOVALS: &str = concat!(
        "SELECT ",
        removal_columns!(),
        " FROM removals WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    );
    let mut page = begin_page(connection, after)?;
    if let Some(newest) = removal::newest(connection)? {
        page.gone_up_to = newest.gone_up_to;
        page.newest_removal = newest.seq;
    }
    let params = params![cursor(after), limit];
    let mut seen = read_events(connection.prepare_cached(EVENTS)?, params, &mut page)?;
    seen += read_removals(connection.prepare_cached(REMOVALS)?, params, &mut page)?;
    cut(&mut page, seen, limit);
    Ok(page)
}

/// Reads the events of one session after a cursor, and its removal.
pub(super) fn session_events(
    connection: &Connection,
    id: SessionId,
    after: Seq,
    limit: u32,
) -> Result<EventPage, ReadFailure> {
    const SQL: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events WHERE session = ?1 AND seq > ?2 ORDER BY revision LIMIT ?3"
    );
    const REMOVAL: &str = concat!(
        "SELECT ",
        removal_columns!(),
        " FROM removals WHERE session = ?1 AND seq > ?2 LIMIT ?3"
    );
    let mut page = begin_page(connection, after)?;
    let bytes = id.as_uuid().as_bytes().as_slice();
    let params = params![bytes, cursor(after), limit];
    let mut seen = read_events(connection.prepare_cached(SQL)?, params, &mut page)?;
    seen += read_removals(connection.prepare_cached(REMOVAL)?, params, &mut page)?;
    if let [removal] = &page.removals[..] {
        page.gone_up_to = removal.last_seq;
        page.newest_removal = removal.seq;
    }
    cut(&mut page, seen, limit);
    Ok(page)
}

/// A cursor beyond what can be stored is beyond all events.
fn cursor(after: Seq) -> i64 {
    i64::try_from(after.number()).unwrap_or(i64::MAX)
}

fn begin_page(connection: &Connection, after: Seq) -> Result<EventPage, ReadFailure> {
    let last = Seq::from_number(last_seq(connection)?.unsigned_abs());
    Ok(EventPage { next: after, last, ..EventPage::default() })
}

/// Leaves the first `limit` of all that was read, in the order of their places.
fn cut(page: &mut EventPage, seen: u32, limit: u32) {
    page.may_have_more = seen >= limit;
    let mut places: Vec<Seq> = page.events.iter().map(|stored| stored.seq).collect();
    places.extend(page.removals.iter().map(|removal| removal.seq));
    places.extend(page.damaged.iter().map(DamagedRow::place));
    places.sort_unstable();
    let Some(last) = places.get(..limit as usize).and_then(<[Seq]>::last).copied() else {
        return;
    };
    page.events.retain(|stored| stored.seq <= last);
    page.removals.retain(|removal| removal.seq <= last);
    page.damaged.retain(|damaged| damaged.place() <= last);
    page.next = last;
}

impl DamagedRow {
    /// Returns its place among the events, or [`Seq::START`] when it has none.
    const fn place(&self) -> Seq {
        match self {
            Self::Session { .. } => Seq::START,
            Self::Removal { seq, .. } | Self::Event { seq, .. } => *seq,
        }
    }
}

/// Reads rows of events into a page, and returns how many there were.
fn read_events(
    statement: CachedStatement<'_>,
    params: impl Params,
    page: &mut EventPage,
) -> Result<u32, ReadFailure> {
    read_rows(statement, params, page, |page, seq, row| {
        match read_event(row)? {
            Ok(stored) => page.events.push(stored),
            Err(Damage { session, reason }) => {
                page.damaged.push(DamagedRow::Event { seq, session, reason });
            }
        }
        Ok(())
    })
}

/// Reads rows of removals into a page, and returns how many there were.
fn read_removals(
    statement: CachedStatement<'_>,
    params: impl Params,
    page: &mut EventPage,
) -> Result<u32, ReadFailure> {
    read_rows(statement, params, page, |page, seq, row| {
        let removal = read_removal(row)?.map_err(|Damage { session, reason }| {
            page.damaged.push(DamagedRow::Removal { seq, session, reason });
        });
        page.removals.extend(removal.ok());
        Ok(())
    })
}

/// Reads rows that begin with their place, and returns how many there were.
fn read_rows(
    mut statement: CachedStatement<'_>,
    params: impl Params,
    page: &mut EventPage,
    read: impl Fn(&mut EventPage, Seq, &Row<'_>) -> rusqlite::Result<()>,
) -> Result<u32, ReadFailure> {
    let mut rows = statement.query(params)?;
    let mut seen: u32 = 0;
    while let Some(row) = rows.next()? {
        seen += 1;
        let seq = place(row)?;
        page.next = page.next.max(seq);
        read(page, seq, row)?;
    }
    Ok(seen)
}

/// Returns the place of a row, which is its first column.
fn place(row: &Row<'_>) -> rusqlite::Result<Seq> {
    Ok(match row.get_ref(0)? {
        ValueRef::Integer(number) => Seq::from_number(u64::try_from(number).unwrap_or(0)),
        _ => Seq::START,
    })
}
