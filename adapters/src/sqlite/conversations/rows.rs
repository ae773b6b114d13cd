//! Items as rows, and back.

use std::borrow::Cow;

use candor_core::agent::{Usage, cut};
use candor_core::session::SessionId;
use candor_core::time::Timestamp;
use rusqlite::Row;
use rusqlite::types::{ToSql, ValueRef};

use super::StoredItem;
use crate::agents::{ITEM_BYTES_MAX, Item, ItemKind, Place, Role, TurnUsage};

/// Items of one session, at most: what its numbers have room for is far beyond.
pub(super) const SESSION_ITEMS_MAX: u64 = 4_000_000;

/// Bytes of text that one session may have before its further texts are cut short.
pub(super) const SESSION_TEXT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of a text that is cut short for that reason.
const SHORT_TEXT_BYTES_MAX: usize = 1_024;

/// Bytes of the name of a tool, a call or a model, at most.
const NAME_BYTES_MAX: usize = 1_024;

/// How many bits of an item's id count the items of its session; those above are the session's key.
const SEQ_BITS: u32 = 32;

/// The highest key of a session.
pub(super) const KEY_MAX: i64 = (1 << (63 - SEQ_BITS)) - 1;

/// The columns of an item, in the order of [`read_item`].
macro_rules! item_columns {
    () => {
        "id, byte_offset, byte_length, part, role, kind, is_cut, tool, call, is_error, within, \
         at_us, model, input_tokens, cached_tokens, output_tokens, cost_microusd"
    };
}
pub(super) use item_columns;

/// How many columns those are.
pub(super) const ITEM_COLUMNS: usize = 17;

/// Returns the id of an item.
pub(super) const fn item_id(key: i64, seq: i64) -> i64 {
    (key << SEQ_BITS) | seq
}

/// Returns the lowest and the highest id that a session's items can have.
pub(super) const fn ids_of(key: i64) -> (i64, i64) {
    (item_id(key, 0), item_id(key, (1 << SEQ_BITS) - 1))
}

/// Returns the key of the session that an item belongs to.
pub(super) const fn key_of(id: i64) -> i64 {
    id >> SEQ_BITS
}

/// Returns the place of an item among those of its session.
pub(super) const fn seq_of(id: i64) -> u64 {
    (id & ((1 << SEQ_BITS) - 1)).unsigned_abs()
}

/// Returns a number as SQLite keeps it. What is beyond its integers is beyond any file as well.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns the bytes of a session's id.
pub(super) fn id_bytes(session: &SessionId) -> &[u8] {
    session.as_uuid().as_bytes().as_slice()
}

/// What is kept of an item's text, and whether it was cut.
pub(super) fn text_of(item: &Item, session_text_bytes: u64) -> (Cow<'_, str>, bool) {
    let is_full = session_text_bytes >= SESSION_TEXT_BYTES_MAX;
    let bytes_max = if is_full { SHORT_TEXT_BYTES_MAX } else { ITEM_BYTES_MAX };
    if item.text.len() <= bytes_max {
        return (Cow::Borrowed(&item.text), item.is_cut);
    }
    (Cow::Owned(cut(&item.text, bytes_max)), true)
}

pub(super) const INSERT_ITEM: &str = concat!(
    "INSERT INTO items (",
    item_columns!(),
    ", session, text) VALUES \
     (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) \
     ON CONFLICT (session, byte_offset, part) DO NOTHING"
);

/// Writes an item. Returns whether it was not there yet.
pub(super) fn insert_item(
    connection: &rusqlite::Connection,
    id: i64,
    item: &Item,
    text: &str,
    is_cut: bool,
) -> rusqlite::Result<bool> {
    let name = |name: &Option<String>| name.as_deref().map(|name| cut(name, NAME_BYTES_MAX));
    let used = item.usage.as_ref();
    let tokens = |of: fn(&Usage) -> u64| used.map(|used| integer(of(&used.usage)));
    let values: [&dyn ToSql; ITEM_COLUMNS + 2] = [
        &id,
        &integer(item.place.offset),
        &integer(item.place.length),
        &item.part,
        &role_word(item.role),
        &kind_word(item.kind),
        &is_cut,
        &name(&item.tool),
        &name(&item.call),
        &item.is_error,
        &name(&item.within),
        &item.at.map(Timestamp::as_microsecond),
        &name(&item.model),
        &tokens(|usage| usage.input_tokens),
        &tokens(|usage| usage.cached_tokens),
        &tokens(|usage| usage.output_tokens),
        &used.and_then(|used| used.cost_microusd).map(integer),
        &key_of(id),
        &text,
    ];
    Ok(connection.prepare_cached(INSERT_ITEM)?.execute(values.as_slice())? == 1)
}

/// Reads the columns of [`item_columns`]; the text is the caller's.
pub(super) fn read_item(row: &Row<'_>, text: String) -> rusqlite::Result<StoredItem> {
    let number = |column| row.get::<_, Option<i64>>(column).map(|it| it.map(i64::unsigned_abs));
    let usage = match number(13)? {
        None => None,
        Some(input_tokens) => Some(TurnUsage {
            usage: Usage {
                input_tokens,
                cached_tokens: number(14)?.unwrap_or(0),
                output_tokens: number(15)?.unwrap_or(0),
            },
            cost_microusd: number(16)?,
        }),
    };
    let at: Option<i64> = row.get(11)?;
    let item = Item {
        place: Place { offset: number(1)?.unwrap_or(0), length: number(2)?.unwrap_or(0) },
        part: row.get(3)?,
        role: word(row, 4, role_of)?,
        kind: word(row, 5, kind_of)?,
        text,
        is_cut: row.get(6)?,
        tool: row.get(7)?,
        call: row.get(8)?,
        is_error: row.get(9)?,
        within: row.get(10)?,
        at: at.and_then(|at| Timestamp::from_microsecond(at).ok()),
        model: row.get(12)?,
        usage,
    };
    Ok(StoredItem { seq: seq_of(row.get(0)?), item })
}

/// Reads a word. One that nobody has written is damage.
fn word<T>(row: &Row<'_>, column: usize, of: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let value = row.get_ref(column)?;
    let text = match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    text.and_then(of).ok_or_else(|| damaged(column))
}

fn damaged(column: usize) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(format!("column {column} has no word of ours")))
}

/// Returns who says something, as a word.
#[must_use]
pub const fn role_word(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::System => "system",
    }
}

fn role_of(word: &str) -> Option<Role> {
    let all = [Role::User, Role::Assistant, Role::Tool, Role::System];
    all.into_iter().find(|role| role_word(*role) == word)
}

/// Returns what an item is, as a word.
#[must_use]
pub const fn kind_word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Text => "text",
        ItemKind::Thinking => "thinking",
        ItemKind::ToolCall => "tool_call",
        ItemKind::ToolResult => "tool_result",
        ItemKind::TurnEnd => "turn_end",
        ItemKind::Notice => "notice",
    }
}

fn kind_of(word: &str) -> Option<ItemKind> {
    use ItemKind::{Notice, Text, Thinking, ToolCall, ToolResult, TurnEnd};

    let all = [Text, Thinking, ToolCall, ToolResult, TurnEnd, Notice];
    all.into_iter().find(|kind| kind_word(*kind) == word)
}
