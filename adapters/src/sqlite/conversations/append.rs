//! What is added and removed, each within a transaction of the caller's.

use candor_core::session::SessionId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{
    KEY_MAX, SESSION_ITEMS_MAX, id_bytes, ids_of, insert_item, integer, item_id, text_of,
};
use super::{AppendError, Batch};

/// A session's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionRow {
    pub(super) key: i64,
    pub(super) read_to: u64,
    pub(super) last_seq: u64,
    text_bytes: u64,
    is_removed: bool,
}

/// Reads a session's row, also that of one that is being removed.
fn session_row(
    connection: &Connection,
    session: &SessionId,
) -> rusqlite::Result<Option<SessionRow>> {
    const SQL: &str =
        "SELECT key, read_to, last_seq, text_bytes, is_removed FROM sessions WHERE id = ?1";
    let number = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    connection
        .prepare_cached(SQL)?
        .query_row([id_bytes(session)], |row| {
            Ok(SessionRow {
                key: row.get(0)?,
                read_to: number(row, 1)?,
                last_seq: number(row, 2)?,
                text_bytes: number(row, 3)?,
                is_removed: row.get::<_, i64>(4)? != 0,
            })
        })
        .optional()
}

/// Reads a session's row.
pub(super) fn find(
    connection: &Connection,
    session: &SessionId,
) -> rusqlite::Result<Option<SessionRow>> {
    Ok(session_row(connection, session)?.filter(|row| !row.is_removed))
}

/// Adds a batch. What of it is there already stays as it is.
pub(super) fn append(
    connection: &Connection,
    batch: &Batch,
) -> rusqlite::Result<Result<(), AppendError>> {
    let mut row = match session_row(connection, &batch.session)? {
        Some(row) if row.is_removed => return Ok(Err(AppendError::Removed)),
        Some(row) => row,
        None if batch.from > 0 => return Ok(Err(AppendError::Behind { read_to: 0 })),
        None => {
            const SQL: &str = "INSERT INTO sessions \
                 (id, read_to, last_seq, text_bytes, is_removed) VALUES (?1, 0, 0, 0, 0)";
            connection.prepare_cached(SQL)?.execute([id_bytes(&batch.session)])?;
            let key = connection.last_insert_rowid();
            SessionRow { key, read_to: 0, last_seq: 0, text_bytes: 0, is_removed: false }
        }
    };
    if batch.from > row.read_to {
        return Ok(Err(AppendError::Behind { read_to: row.read_to }));
    }
    if row.key > KEY_MAX {
        return Ok(Err(AppendError::Unavailable { reason: "all keys are used up".to_owned() }));
    }
    add_items(connection, batch, &mut row)?;
    const UPDATE: &str =
        "UPDATE sessions SET read_to = ?2, last_seq = ?3, text_bytes = ?4 WHERE key = ?1";
    connection.prepare_cached(UPDATE)?.execute(params![
        row.key,
        integer(row.read_to.max(batch.read_to)),
        integer(row.last_seq),
        integer(row.text_bytes)
    ])?;
    Ok(Ok(()))
}

fn add_items(connection: &Connection, batch: &Batch, row: &mut SessionRow) -> rusqlite::Result<()> {
    for item in &batch.items {
        if row.last_seq >= SESSION_ITEMS_MAX {
            tracing::warn!(session = %batch.session, "its conversation is too long to be kept whole");
            break;
        }
        let id = item_id(row.key, integer(row.last_seq + 1));
        let (text, is_cut) = text_of(item, row.text_bytes);
        if insert_item(connection, id, item, &text, is_cut)? {
            const INDEX: &str = "INSERT INTO words (rowid, text) VALUES (?1, ?2)";
            connection.prepare_cached(INDEX)?.execute(params![id, text])?;
            row.last_seq += 1;
            row.text_bytes += text.len() as u64;
        }
    }
    Ok(())
}

/// Says that a session is removed: nobody reads it any more, and nothing is added. Its items are
/// there until [`remove_some`] has removed them.
pub(super) fn mark_removed(connection: &Connection, session: &SessionId) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO sessions (id, read_to, last_seq, text_bytes, is_removed) \
         VALUES (?1, 0, 0, 0, 1) ON CONFLICT (id) DO UPDATE SET is_removed = max(is_removed, 1)";
    connection.prepare_cached(SQL)?.execute([id_bytes(session)]).map(|_rows| ())
}

/// Says whether something waits to be removed.
pub(super) fn has_removed(connection: &Connection) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM sessions WHERE is_removed = 1)";
    connection.prepare_cached(SQL)?.query_row([], |row| row.get(0))
}

/// Removes the rows of sessions that nothing is left of. Until a restart they keep away what comes
/// late: afterwards nobody is there who could bring it.
pub(super) fn forget_removed(connection: &Connection) -> rusqlite::Result<()> {
    const SQL: &str = "DELETE FROM sessions WHERE is_removed = 2";
    connection.prepare_cached(SQL)?.execute([]).map(|_rows| ())
}

/// Removes at most so many items of a session that was removed.
pub(super) fn remove_some(connection: &Connection, items_max: u32) -> rusqlite::Result<()> {
    const KEY: &str = "SELECT key FROM sessions WHERE is_removed = 1 LIMIT 1";
    const LAST: &str = "SELECT max(id), count(*) FROM \
         (SELECT id FROM items WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3)";
    // The index has no texts of its own: what it is to forget it is told.
    const WORDS: &str = "INSERT INTO words (words, rowid, text) \
         SELECT 'delete', id, text FROM items WHERE id BETWEEN ?1 AND ?2";
    const ITEMS: &str = "DELETE FROM items WHERE id BETWEEN ?1 AND ?2";
    const SESSION: &str = "UPDATE sessions SET is_removed = 2 WHERE key = ?1";

    let key = connection.prepare_cached(KEY)?.query_row([], |row| row.get(0)).optional()?;
    let Some(key): Option<i64> = key else { return Ok(()) };
    let (first, last) = ids_of(key);
    let found: (Option<i64>, u32) = connection
        .prepare_cached(LAST)?
        .query_row(params![first, last, items_max], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let (Some(last), _) = found {
        connection.prepare_cached(WORDS)?.execute([first, last])?;
        connection.prepare_cached(ITEMS)?.execute([first, last])?;
    }
    if found.1 < items_max {
        connection.prepare_cached(SESSION)?.execute([key])?;
    }
    Ok(())
}
