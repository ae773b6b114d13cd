//! All that a list needs to begin with, as it was at one place of the event log.

use std::collections::HashSet;

use candor_core::event::Seq;
use candor_core::session::SessionId;
use candor_core::status::Status;
use rusqlite::Connection;

use super::errors::ReadFailure;
use super::group::last_seq;
use super::views::{self, DamagedRow, ListQuery, Listing, StatusCounts, row_of};

/// Sessions as they were after exactly the events up to a place: whoever reads on from there has
/// no gap and no repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The place.
    pub seq: Seq,
    /// All that live and the newest that have ended, newest first.
    pub listing: Listing,
    /// How many there are of each status, listed or not.
    pub counts: StatusCounts,
    /// The oldest of those listed that have ended, when more have: before it, one lists on.
    pub next: Option<SessionId>,
}

/// Reads all live sessions and the newest `ended_max` of those that have ended.
pub(super) fn snapshot(connection: &Connection, ended_max: u32) -> Result<Snapshot, ReadFailure> {
    let seq = Seq::from_number(last_seq(connection)?.unsigned_abs());
    let (terminal, live): (Vec<_>, Vec<_>) =
        Status::ALL.into_iter().partition(|status| status.is_terminal());
    let of = |statuses, limit| ListQuery { statuses, ..ListQuery::newest(limit) };
    let mut listing = views::list(connection, &of(live, u32::MAX))?;
    // One more than wanted tells whether there are more.
    let mut ended = views::list(connection, &of(terminal, ended_max.saturating_add(1)))?;
    let has_more = ended.sessions.len() + ended.damaged.len() > ended_max as usize;
    ended.sessions.truncate(ended_max as usize);
    let next = ended.sessions.last().map(|stored| stored.session.id);
    let next = next.filter(|_| has_more);
    listing.sessions.append(&mut ended.sessions);
    listing.sessions.sort_unstable_by_key(|stored| std::cmp::Reverse(stored.session.id));
    listing.damaged.append(&mut ended.damaged);
    Ok(Snapshot { seq, listing, counts: views::counts(connection)?, next })
}

/// Reads the rows of these sessions. One that has none is left out.
pub(super) fn rows(connection: &Connection, ids: &[SessionId]) -> Result<Listing, ReadFailure> {
    let mut listing = Listing::default();
    let mut seen = HashSet::new();
    for id in ids.iter().filter(|id| seen.insert(**id)) {
        match row_of(connection, *id)? {
            Some(Ok(stored)) => listing.sessions.push(stored),
            Some(Err(damage)) => {
                let row = DamagedRow::Session { id: Some(*id), reason: damage.reason };
                listing.damaged.push(row);
            }
            None => {}
        }
    }
    Ok(listing)
}
