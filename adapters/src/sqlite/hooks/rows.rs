//! What is read and written, each within a transaction of the caller's.

use std::ops::Range;

use candor_core::event::Seq;
use candor_core::session::SessionId;
use candor_core::time::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    Advance, Attempt, Delivery, DeliveryId, Due, HOOKS_MAX, Hook, HookId, NewDelivery, Secret,
    StoredHook, Then,
};

/// Deliveries that may wait for one hook, at most. Beyond that its cursor stands still, and what is
/// to be delivered waits in the event log.
pub const PENDING_MAX: u64 = 10_000;

/// Deliveries of one hook that are remembered once they are done.
pub const DELIVERIES_KEPT: u32 = 1_000;

/// Bytes of what was wrong that are kept, at most.
pub const ERROR_BYTES_MAX: usize = 500;

/// Adds a hook, unless there are too many. Says whether it did.
pub(super) fn add(connection: &Connection, hook: &Hook) -> rusqlite::Result<bool> {
    const SQL: &str = "INSERT INTO hooks (id, url, words, session, secret, allow_local, \
         created_at_us, cursor, delivered, given_up) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0)";
    let count: i64 = connection.query_row("SELECT count(*) FROM hooks", [], |row| row.get(0))?;
    if count.unsigned_abs() >= HOOKS_MAX as u64 {
        return Ok(false);
    }
    connection.prepare_cached(SQL)?.execute(params![
        bytes(hook.id.0),
        hook.url,
        hook.words.join(","),
        hook.session.map(|session| bytes(session.as_uuid().to_owned())),
        hook.secret.bytes(),
        hook.allow_local,
        hook.created_at.as_microsecond(),
        integer(hook.cursor),
    ])?;
    Ok(true)
}

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<StoredHook>> {
    const SQL: &str = "SELECT id, url, words, session, secret, allow_local, created_at_us, cursor, \
         (SELECT count(*) FROM deliveries WHERE hook = hooks.id AND state = 'pending'), \
         delivered, given_up, disabled_at_us, disabled_reason FROM hooks ORDER BY id";
    let mut statement = connection.prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| {
        let session: Option<Vec<u8>> = row.get(3)?;
        let disabled_at: Option<i64> = row.get(11)?;
        let disabled_reason: Option<String> = row.get(12)?;
        Ok(StoredHook {
            hook: Hook {
                id: HookId(uuid(row, 0)?),
                url: row.get(1)?,
                words: row.get::<_, String>(2)?.split(',').map(str::to_owned).collect(),
                session: session.is_some().then(|| uuid(row, 3)).transpose()?.map(of_uuid),
                secret: Secret::new(row.get(4)?),
                allow_local: row.get(5)?,
                created_at: time(row, 6)?,
                cursor: seq(row, 7)?,
            },
            pending: number(row, 8)?,
            delivered: number(row, 9)?,
            given_up: number(row, 10)?,
            disabled: disabled_at
                .map(|_| {
                    Ok::<_, rusqlite::Error>((time(row, 11)?, disabled_reason.unwrap_or_default()))
                })
                .transpose()?,
        })
    })?;
    rows.collect()
}

pub(super) fn remove(connection: &Connection, hook: HookId) -> rusqlite::Result<bool> {
    let id = bytes(hook.0);
    connection.prepare_cached("DELETE FROM deliveries WHERE hook = ?1")?.execute([&id])?;
    Ok(connection.prepare_cached("DELETE FROM hooks WHERE id = ?1")?.execute([&id])? == 1)
}

pub(super) fn disable(
    connection: &Connection,
    hook: HookId,
    at: Timestamp,
    reason: &str,
) -> rusqlite::Result<()> {
    const DELIVERIES: &str = "UPDATE deliveries SET state = 'given_up', payload = NULL, \
         done_at_us = ?2, last_error = ifnull(last_error, ?3) \
         WHERE hook = ?1 AND state = 'pending'";
    const HOOK: &str = "UPDATE hooks SET disabled_at_us = ?2, disabled_reason = ?3, \
         given_up = given_up + ?4 WHERE id = ?1 AND disabled_at_us IS NULL";
    let (id, at) = (bytes(hook.0), at.as_microsecond());
    let given_up = connection.prepare_cached(DELIVERIES)?.execute(params![id, at, reason])?;
    connection.prepare_cached(HOOK)?.execute(params![id, at, reason, integer_of(given_up)])?;
    forget_oldest(connection, &id)
}

pub(super) fn collect(
    connection: &Connection,
    advances: &[Advance],
    at: Timestamp,
) -> rusqlite::Result<()> {
    const CURSOR: &str = "UPDATE hooks SET cursor = ?3 WHERE id = ?1 AND cursor = ?2 \
         AND disabled_at_us IS NULL";
    for Advance { hook, from, to, deliveries } in advances {
        let id = bytes(hook.0);
        let cursor = params![id, integer(*from), integer(*to)];
        if connection.prepare_cached(CURSOR)?.execute(cursor)? == 1 {
            for delivery in deliveries {
                insert(connection, &id, delivery, at)?;
            }
        }
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    hook: &[u8],
    delivery: &NewDelivery,
    at: Timestamp,
) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO deliveries (id, hook, seq, session, kind, payload, state, \
         attempts, created_at_us, next_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', 0, ?7, ?7)";
    let NewDelivery { seq, session, kind, payload } = delivery;
    let session = bytes(session.as_uuid().to_owned());
    let (id, at) = (bytes(DeliveryId::new().0), at.as_microsecond());
    let values = params![id, hook, integer(*seq), session, kind, payload, at];
    connection.prepare_cached(SQL)?.execute(values).map(|_rows| ())
}

pub(super) fn due(
    connection: &Connection,
    hook: HookId,
    later: &Range<Timestamp>,
    limit: usize,
) -> rusqlite::Result<Vec<Due>> {
    const SQL: &str = "SELECT id, session, payload, attempts, first_at_us FROM deliveries AS it \
         WHERE hook = ?1 AND state = 'pending' \
         AND (next_at_us <= ?2 OR next_at_us > ?3) AND NOT EXISTS ( \
             SELECT 1 FROM deliveries AS earlier WHERE earlier.hook = it.hook \
             AND earlier.session = it.session AND earlier.seq < it.seq \
             AND earlier.state = 'pending') \
         ORDER BY next_at_us, seq LIMIT ?4";
    let mut statement = connection.prepare_cached(SQL)?;
    let limit = integer_of(limit);
    let (from, to) = (later.start.as_microsecond(), later.end.as_microsecond());
    let rows = statement.query_map(params![bytes(hook.0), from, to, limit], |row| {
        let first_at: Option<i64> = row.get(4)?;
        Ok(Due {
            id: DeliveryId(uuid(row, 0)?),
            session: of_uuid(uuid(row, 1)?),
            payload: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            attempts: count(row, 3)?,
            first_at: first_at.map(|_| time(row, 4)).transpose()?,
        })
    })?;
    rows.collect()
}

pub(super) fn next_at(
    connection: &Connection,
    hook: HookId,
    after: Timestamp,
) -> rusqlite::Result<Option<Timestamp>> {
    const SQL: &str = "SELECT next_at_us FROM deliveries \
         WHERE hook = ?1 AND state = 'pending' AND next_at_us > ?2 ORDER BY next_at_us LIMIT 1";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows =
        statement.query_map(params![bytes(hook.0), after.as_microsecond()], |row| time(row, 0))?;
    rows.next().transpose()
}

pub(super) fn attempted(
    connection: &Connection,
    delivery: DeliveryId,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    const AGAIN: &str = "UPDATE deliveries SET attempts = attempts + 1, \
         first_at_us = ifnull(first_at_us, ?2), last_status = ?3, last_error = ?4, next_at_us = ?5 \
         WHERE id = ?1 AND state = 'pending'";
    const DONE: &str = "UPDATE deliveries SET attempts = attempts + 1, \
         first_at_us = ifnull(first_at_us, ?2), last_status = ?3, last_error = ?4, state = ?5, \
         payload = NULL, done_at_us = ?2 WHERE id = ?1 AND state = 'pending'";
    const DELIVERED: &str = "UPDATE hooks SET delivered = delivered + 1 \
         WHERE id = (SELECT hook FROM deliveries WHERE id = ?1)";
    const GIVEN_UP: &str = "UPDATE hooks SET given_up = given_up + 1 \
         WHERE id = (SELECT hook FROM deliveries WHERE id = ?1)";
    let id = bytes(delivery.0);
    let at = attempt.at.as_microsecond();
    let error =
        attempt.error.as_deref().map(|error| &error[..error.floor_char_boundary(ERROR_BYTES_MAX)]);
    let (state, counter) = match attempt.then {
        Then::Again(next) => {
            let values = params![id, at, attempt.status, error, next.as_microsecond()];
            return connection.prepare_cached(AGAIN)?.execute(values).map(|_rows| ());
        }
        Then::Delivered => ("delivered", DELIVERED),
        Then::GivenUp => ("given_up", GIVEN_UP),
    };
    let values = params![id, at, attempt.status, error, state];
    // It is gone when its hook was removed meanwhile, and done when that was disabled.
    if connection.prepare_cached(DONE)?.execute(values)? == 0 {
        return Ok(());
    }
    connection.prepare_cached(counter)?.execute([&id])?;
    let of = "SELECT hook FROM deliveries WHERE id = ?1";
    let hook: Vec<u8> = connection.prepare_cached(of)?.query_row([&id], |row| row.get(0))?;
    forget_oldest(connection, &hook)
}

/// Forgets the oldest of what is done of a hook.
fn forget_oldest(connection: &Connection, hook: &[u8]) -> rusqlite::Result<()> {
    const SQL: &str = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries \
         WHERE hook = ?1 AND state <> 'pending' ORDER BY done_at_us DESC LIMIT -1 OFFSET ?2)";
    connection.prepare_cached(SQL)?.execute(params![hook, DELIVERIES_KEPT]).map(|_rows| ())
}

pub(super) fn deliveries(
    connection: &Connection,
    hook: HookId,
    limit: usize,
) -> rusqlite::Result<Vec<Delivery>> {
    const SQL: &str = "SELECT id, seq, session, kind, state, attempts, created_at_us, next_at_us, \
         done_at_us, last_status, last_error FROM deliveries \
         WHERE hook = ?1 ORDER BY seq DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(SQL)?;
    let limit = integer_of(limit);
    let rows = statement.query_map(params![bytes(hook.0), limit], |row| {
        let state: String = row.get(4)?;
        let done_at: Option<i64> = row.get(8)?;
        let is_pending = state == "pending";
        Ok(Delivery {
            id: DeliveryId(uuid(row, 0)?),
            seq: seq(row, 1)?,
            session: of_uuid(uuid(row, 2)?),
            kind: row.get(3)?,
            state,
            attempts: count(row, 5)?,
            created_at: time(row, 6)?,
            next_at: is_pending.then(|| time(row, 7)).transpose()?,
            done_at: done_at.map(|_| time(row, 8)).transpose()?,
            last_status: row.get(9)?,
            last_error: row.get(10)?,
        })
    })?;
    rows.collect()
}

fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

const fn of_uuid(id: Uuid) -> SessionId {
    SessionId::from_uuid(id)
}

fn integer_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn integer(seq: Seq) -> i64 {
    i64::try_from(seq.number()).unwrap_or(i64::MAX)
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let bytes: Vec<u8> = row.get(column)?;
    Uuid::from_slice(&bytes).map_err(|error| wrong(column, Type::Blob, error))
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    number(row, column).map(Seq::from_number)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u32> {
    row.get::<_, i64>(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let microseconds = row.get(column)?;
    Timestamp::from_microsecond(microseconds).map_err(|error| wrong(column, Type::Integer, error))
}

fn wrong(
    column: usize,
    kind: Type,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
