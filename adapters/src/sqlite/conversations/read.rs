//! What is read of conversations.

use std::collections::BTreeSet;

use candor_core::agent::Usage;
use candor_core::session::SessionId;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::append::find;
use super::query::Query;
use super::rows::{ITEM_COLUMNS, ids_of, integer, item_columns, item_id, read_item};
use super::{Hit, HitCursor, Hits, Page, Snippet, StoredItem, Totals};
use crate::sqlite::errors::ReadFailure;

/// Items that one page has, at most.
pub const PAGE_ITEMS_MAX: u32 = 1_000;

/// Bytes of text after which a page ends, its last item included.
pub(super) const PAGE_TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Hits that one search returns, at most.
pub const HITS_MAX: u32 = 200;

/// Words around what was found, at most.
///
/// Source: <https://sqlite.org/fts5.html#the_snippet_function>, which allows 64.
const SNIPPET_WORDS: u32 = 24;

/// What stands before and behind a word that was found, in what the index returns: two characters
/// that are none.
const MARKS: (char, char) = ('\u{fdd0}', '\u{fdd1}');

const PAGE: &str = concat!(
    "SELECT ",
    item_columns!(),
    ", text FROM items WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
);

const LAST: &str = concat!(
    "SELECT ",
    item_columns!(),
    ", text FROM items WHERE id > ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3"
);

/// Reads the items after a place.
pub(super) fn page(
    connection: &Connection,
    session: &SessionId,
    after: u64,
    limit: u32,
) -> Result<Page, ReadFailure> {
    let Some(row) = find(connection, session)? else {
        return Ok(Page { next: after, at_end: true, ..Page::default() });
    };
    let mut page = Page { next: after, read_to: row.read_to, ..Page::default() };
    let (_, last) = ids_of(row.key);
    // A place beyond the last one there can be is beyond all of them.
    let first = item_id(row.key, integer(after).min(i64::from(u32::MAX)));
    let mut statement = connection.prepare_cached(PAGE)?;
    let mut rows = statement.query(params![first, last, limit.clamp(1, PAGE_ITEMS_MAX)])?;
    let mut text_bytes = 0;
    while text_bytes < PAGE_TEXT_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let stored = read_item(row, row.get(ITEM_COLUMNS)?)?;
        text_bytes += stored.item.text.len();
        page.next = stored.seq;
        page.items.push(stored);
    }
    page.at_end = page.next >= row.last_seq;
    Ok(page)
}

/// Reads the last items, in order.
pub(super) fn last(
    connection: &Connection,
    session: &SessionId,
    count: u32,
) -> Result<Page, ReadFailure> {
    let Some(row) = find(connection, session)? else {
        return Ok(Page { at_end: true, ..Page::default() });
    };
    let (first, last) = ids_of(row.key);
    let mut statement = connection.prepare_cached(LAST)?;
    let mut rows = statement.query(params![first, last, count.min(PAGE_ITEMS_MAX)])?;
    let mut items: Vec<StoredItem> = Vec::new();
    let mut text_bytes = 0;
    while text_bytes < PAGE_TEXT_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let stored = read_item(row, row.get(ITEM_COLUMNS)?)?;
        text_bytes += stored.item.text.len();
        items.push(stored);
    }
    items.reverse();
    Ok(Page { items, next: row.last_seq, at_end: true, read_to: row.read_to })
}

/// Returns up to which offset a session is complete.
pub(super) fn read_to(connection: &Connection, session: &SessionId) -> Result<u64, ReadFailure> {
    Ok(find(connection, session)?.map_or(0, |row| row.read_to))
}

/// Returns the sessions of which something is kept.
pub(super) fn sessions(connection: &Connection) -> Result<BTreeSet<SessionId>, ReadFailure> {
    let mut statement = connection.prepare("SELECT id FROM sessions WHERE is_removed = 0")?;
    let rows = statement.query_map([], |row| row.get::<_, [u8; 16]>(0))?;
    let ids = rows.map(|id| Ok(SessionId::from_uuid(Uuid::from_bytes(id?))));
    ids.collect()
}

/// Adds up what a session's turns have used.
pub(super) fn totals(connection: &Connection, session: &SessionId) -> Result<Totals, ReadFailure> {
    // A sum of integers that overflows would be an error; one of reals is only inexact.
    const SQL: &str = "SELECT count(*), total(input_tokens), total(cached_tokens), \
         total(output_tokens), total(cost_microusd), count(cost_microusd) \
         FROM items INDEXED BY items_that_end_turns \
         WHERE kind = 'turn_end' AND id BETWEEN ?1 AND ?2";
    let Some(row) = find(connection, session)? else {
        return Ok(Totals::default());
    };
    let (first, last) = ids_of(row.key);
    let totals = connection.prepare_cached(SQL)?.query_row([first, last], |columns| {
        let total = |column| columns.get::<_, f64>(column).map(whole);
        let has_cost = columns.get::<_, i64>(5)? > 0;
        Ok(Totals {
            items: row.last_seq,
            turns: columns.get::<_, i64>(0)?.unsigned_abs(),
            usage: Usage {
                input_tokens: total(1)?,
                cached_tokens: total(2)?,
                output_tokens: total(3)?,
            },
            cost_microusd: if has_cost { Some(total(4)?) } else { None },
        })
    })?;
    Ok(totals)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sums of what was written from whole numbers; a cast of a float stops at the ends"
)]
fn whole(sum: f64) -> u64 {
    sum as u64
}

const SEARCH: &str = concat!(
    "WITH found AS (SELECT rowid AS hit, snippet(words, 0, ?4, ?5, '…', ?6) AS around \
     FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3 ORDER BY rowid DESC LIMIT ?7) \
     SELECT ",
    item_columns!(),
    ", around, (SELECT sessions.id FROM sessions \
     WHERE sessions.key = items.session AND is_removed = 0) \
     FROM found CROSS JOIN items ON items.id = found.hit ORDER BY hit DESC"
);

/// Looks for words, and returns the newest hits first.
pub(super) fn search(
    connection: &Connection,
    query: &Query,
    session: Option<&SessionId>,
    limit: u32,
    before: Option<HitCursor>,
) -> Result<Hits, ReadFailure> {
    let (mut first, mut last) = (0, i64::MAX);
    if let Some(session) = session {
        let Some(row) = find(connection, session)? else {
            return Ok(Hits::default());
        };
        (first, last) = ids_of(row.key);
    }
    if let Some(HitCursor(before)) = before {
        last = last.min(before);
    }
    let limit = limit.clamp(1, HITS_MAX);
    let mut statement = connection.prepare_cached(SEARCH)?;
    let (begin, end) = (MARKS.0.to_string(), MARKS.1.to_string());
    let expression = query.as_expression();
    let mut rows =
        statement.query(params![expression, first, last, begin, end, SNIPPET_WORDS, limit])?;
    let mut hits = Hits::default();
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        seen += 1;
        let id: i64 = row.get(0)?;
        hits.next = Some(HitCursor(id));
        // One of a session that is being removed is none.
        let Some(uuid) = row.get::<_, Option<[u8; 16]>>(ITEM_COLUMNS + 1)? else { continue };
        let around: String = row.get(ITEM_COLUMNS)?;
        let stored = read_item(row, String::new())?;
        let session = SessionId::from_uuid(Uuid::from_bytes(uuid));
        hits.hits.push(Hit { session, stored, snippet: Snippet::of(&around) });
    }
    if seen < limit {
        hits.next = None;
    }
    Ok(hits)
}

impl Snippet {
    /// Takes the marks out of a text, and keeps where they were.
    fn of(marked: &str) -> Self {
        let mut snippet = Self::default();
        let mut begun = None;
        for character in marked.chars() {
            if character == MARKS.0 {
                begun = Some(snippet.text.len());
            } else if character == MARKS.1 {
                let end = snippet.text.len();
                snippet.marks.extend(begun.take().map(|begin| (begin, end)));
            } else {
                snippet.text.push(character);
            }
        }
        snippet
    }
}

#[cfg(test)]
mod tests {
    use super::{MARKS, Snippet};

    #[test]
    fn marks_become_places_in_the_text() {
        let (begin, end) = MARKS;
        let snippet = Snippet::of(&format!("…an {begin}ünd{end} {begin}x{end}…{end}"));
        assert_eq!(snippet.text, "…an ünd x…");
        let marked: Vec<&str> =
            snippet.marks.iter().map(|(from, to)| &snippet.text[*from..*to]).collect();
        assert_eq!(marked, ["ünd", "x"]);
    }
}
