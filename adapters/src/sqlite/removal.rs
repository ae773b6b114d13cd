//! Deleting an ended session: its row and its events go, and one line stays that says so.
//!
//! All of it is one transaction. Files are not looked at here: they go after the rows, so that a
//! row never tells of files that are gone while it is there to be read.

use candor_core::event::Seq;
use candor_core::ports::CommitError;
use candor_core::session::{Revision, SessionId};
use candor_core::status::Status;
use candor_core::stop::Actor;
use candor_core::time::Timestamp;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::errors::not_stored;
use super::group::{Failed, give_up_commit, last_seq, roll_back, run};
use super::launches;
use super::rows::{Damage, RemovalColumns, read_removal, removal_columns, session_id};
use super::views::row_of;

/// Deletions that are kept, at most. Beyond that the oldest are dropped, and a reader whose cursor
/// lies before one of those is told that something after it is gone.
pub(super) const REMOVALS_KEPT_MAX: u32 = 10_000;

/// The deletion of a session, in the order of its events: what is left of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Removal {
    /// Its place in the order of all events.
    pub seq: Seq,
    /// What was deleted.
    pub session: SessionId,
    /// The revision after the last one that it had.
    pub revision: Revision,
    /// When it was deleted.
    pub at: Timestamp,
    /// How it had ended.
    pub from: Status,
    /// Who deleted it.
    pub by: Actor,
    /// The place of its last event, which is gone.
    pub last_seq: Seq,
    /// The highest place of anything that was deleted until then.
    pub gone_up_to: Seq,
}

/// Why a session was not deleted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RemoveError {
    /// The store did not take it, or may have.
    #[error(transparent)]
    Store(CommitError),
    /// There is no such session.
    #[error("there is no such session")]
    NotThere,
    /// It has not ended.
    #[error("it is {status}, and only what has ended is deleted")]
    Live {
        /// Where it stands.
        status: Status,
    },
    /// A session that continues it has yet to be told of its end.
    #[error("session {child} waits for its end")]
    Awaited {
        /// The session that waits.
        child: SessionId,
    },
    /// The row is not what was written, and might be that of a live session.
    #[error("its row is damaged: {reason}")]
    Damaged {
        /// What gave it away.
        reason: String,
    },
}

/// What to delete, for whom, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) session: SessionId,
    pub(super) by: Actor,
    pub(super) at: Timestamp,
}

/// Deletes the rows of one session, and stores its removal, in one transaction. What it returns is
/// durable.
pub(super) fn remove(
    connection: &Connection,
    order: Order,
) -> Result<Result<Removal, RemoveError>, Failed> {
    run(connection, "BEGIN IMMEDIATE").map_err(|error| roll_back(connection, &error))?;
    let outcome = remove_rows(connection, order).map_err(|error| roll_back(connection, &error))?;
    if outcome.is_err() {
        run(connection, "ROLLBACK").map_err(|error| roll_back(connection, &error))?;
        return Ok(outcome);
    }
    match run(connection, "COMMIT") {
        Ok(()) => Ok(outcome),
        Err(error) => Err(give_up_commit(connection, &error)),
    }
}

fn remove_rows(
    connection: &Connection,
    order: Order,
) -> rusqlite::Result<Result<Removal, RemoveError>> {
    let stored = match row_of(connection, order.session)? {
        Some(Ok(stored)) => stored,
        Some(Err(Damage { reason, .. })) => return Ok(Err(RemoveError::Damaged { reason })),
        None => return Ok(Err(RemoveError::NotThere)),
    };
    let status = stored.session.status();
    if !status.is_terminal() {
        return Ok(Err(RemoveError::Live { status }));
    }
    if let Some(child) = waiting_child(connection, order.session)? {
        return Ok(Err(RemoveError::Awaited { child }));
    }
    let Some(seq) = last_seq(connection)?.checked_add(1) else {
        return Ok(Err(RemoveError::Store(not_stored("all places of events are used up"))));
    };
    let gone_before = drop_oldest(connection, REMOVALS_KEPT_MAX)?;
    let removal = Removal {
        seq: Seq::from_number(seq.unsigned_abs()),
        session: order.session,
        revision: stored.session.revision().next(),
        // Rows keep microseconds, and what is told now must be what is read later.
        at: Timestamp::from_microsecond(order.at.as_microsecond()).unwrap_or(order.at),
        from: status,
        by: order.by,
        last_seq: stored.last_seq,
        gone_up_to: gone_before.max(stored.last_seq),
    };
    let columns = match RemovalColumns::of(&removal) {
        Ok(columns) => columns,
        Err(reason) => return Ok(Err(RemoveError::Store(not_stored(&reason)))),
    };
    let values = columns.values().map(ToSqlOutput::Borrowed);
    connection.prepare_cached(INSERT_REMOVAL)?.execute(params_from_iter(values))?;
    let id = order.session.as_uuid().as_bytes().as_slice();
    connection.prepare_cached("DELETE FROM events WHERE session = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([id])?;
    launches::empty(connection, order.session)?;
    Ok(Ok(removal))
}

const INSERT_REMOVAL: &str = concat!(
    "INSERT INTO removals (",
    removal_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
);

/// Returns a session that is queued behind this one. Once its parent's row is gone, nothing could
/// tell it of the end that it waits for.
fn waiting_child(
    connection: &Connection,
    parent: SessionId,
) -> rusqlite::Result<Option<SessionId>> {
    const SQL: &str = "SELECT id FROM sessions WHERE parent = ?1 AND status = ?2 LIMIT 1";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement
        .query(params![parent.as_uuid().as_bytes().as_slice(), Status::Queued.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(session_id(row.get_ref(0)?).ok())
}

/// Makes room for one more removal, and returns the highest place of anything that is gone by then.
fn drop_oldest(connection: &Connection, kept_max: u32) -> rusqlite::Result<Seq> {
    // Of the newest ones, one less than may be kept stay.
    const OLDEST: &str = "SELECT seq FROM removals ORDER BY seq DESC LIMIT 1 OFFSET ?1";
    let dropped: Option<i64> = connection
        .prepare_cached(OLDEST)?
        .query_row([kept_max - 1], |row| row.get(0))
        .optional()?;
    let mut gone = newest(connection)?.map_or(Seq::START, |newest| newest.gone_up_to);
    if let Some(dropped) = dropped {
        launches::drop_removed(connection, dropped)?;
        connection.prepare_cached("DELETE FROM removals WHERE seq <= ?1")?.execute([dropped])?;
        gone = gone.max(Seq::from_number(dropped.unsigned_abs()));
    }
    Ok(gone)
}

/// Returns the removal that was stored last, if there is one and it can be read.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<Option<Removal>> {
    const SQL: &str =
        concat!("SELECT ", removal_columns!(), " FROM removals ORDER BY seq DESC LIMIT 1");
    let newest = connection.prepare_cached(SQL)?.query_row([], read_removal).optional()?;
    // A damaged row is named by whoever reads it for itself.
    Ok(newest.and_then(Result::ok))
}

#[cfg(test)]
mod tests {
    use candor_core::event::Seq;
    use candor_core::input::Input;
    use candor_core::machine::Policy;
    use candor_core::stop::Actor;
    use candor_core::time::Timestamp;
    use candor_core::verdict::Exit;
    use candor_harness::contract::repository::chain::{Chain, exited, session_id};

    use super::{Order, drop_oldest, newest, remove};
    use crate::sqlite::connection::{Role, open};
    use crate::sqlite::rows::EncodedChange;
    use crate::sqlite::{file, group, schema};

    #[test]
    fn the_oldest_removals_are_dropped_and_what_is_gone_stays_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        file::create(&path).unwrap();
        let mut connection = open(&path, Role::Writer).unwrap();
        schema::migrate(&mut connection).unwrap();
        for number in 1..=4 {
            let inputs = [Input::Spawned, exited(Exit::Code(0), false)];
            let chain = Chain::of(session_id(number), Policy::default(), &inputs);
            for change in chain.life() {
                let change = EncodedChange::of(change).unwrap();
                group::store(&connection, [&change].into_iter()).unwrap()[0].clone().unwrap();
            }
            let (session, by) = (session_id(number), Actor::Daemon);
            let order = Order { session, by, at: Timestamp::UNIX_EPOCH };
            // A session takes three places, and its removal the fourth.
            let removal = remove(&connection, order).unwrap().unwrap();
            assert_eq!(removal.seq, Seq::from_number(4 * number));
            assert_eq!(removal.gone_up_to, Seq::from_number(4 * number - 1));
        }
        // Room for one more among three: the two oldest go, the younger of which was at 8.
        assert_eq!(drop_oldest(&connection, 3).unwrap(), Seq::from_number(15));
        let seqs = |connection: &rusqlite::Connection| -> Vec<i64> {
            let mut statement =
                connection.prepare("SELECT seq FROM removals ORDER BY seq").unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(seqs(&connection), [12, 16]);
        // A removal that is dropped is gone itself, though no session of a later place is.
        assert_eq!(drop_oldest(&connection, 1).unwrap(), Seq::from_number(16));
        assert_eq!(seqs(&connection), [0; 0]);
        assert_eq!(group::last_seq(&connection).unwrap(), 16, "no place is given twice");
        assert_eq!(newest(&connection).unwrap(), None);
    }
}
