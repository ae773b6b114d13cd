//! Finding sessions: the ids of those that a query asks for, from indexes.
//!
//! One index leads, and what it leads to is compared with the rest of the query. So a query takes as
//! long as there is much that fits the index and not the rest.

use candor_core::session::SessionId;
use candor_core::status::Status;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::errors::ReadFailure;
use super::launches;
use super::rows::session_id;
use super::views::{ListQuery, newest_first};

/// Characters of the pieces that texts are found by.
const PIECE_CHARACTERS: usize = 3;

/// Sessions of the statuses or outcomes that are asked for, at most, for these to lead rather than a
/// folder, an agent or a text.
const FEW: i64 = 1_000;

/// A statement that grows with the query.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds a condition, in which `?` stands for the value.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql += " AND ";
        self.sql += condition;
        self.values.push(value.into());
    }

    /// Adds the condition that a column is one of some words; of no words, that it is anything.
    fn and_one_of(&mut self, column: &str, words: impl Iterator<Item = String>) {
        let before = self.values.len();
        self.values.extend(words.map(Value::Text));
        if let count @ 1.. = self.values.len() - before {
            let places = vec!["?"; count].join(", ");
            for part in [" AND ", column, " IN (", &places, ")"] {
                self.sql += part;
            }
        }
    }

    fn ids(mut self, end: &str, limit: u32, connection: &Connection) -> Found {
        self.sql += end;
        self.values.push(Value::Integer(i64::from(limit)));
        let mut statement = connection.prepare_cached(&self.sql)?;
        let rows = statement.query_map(params_from_iter(self.values), |row| {
            // What is no id cannot be of a session, and is left to the check.
            Ok(session_id(row.get_ref(0)?).ok())
        })?;
        let ids: rusqlite::Result<Vec<_>> = rows.filter_map(Result::transpose).collect();
        Ok(ids?)
    }
}

type Found = Result<Vec<SessionId>, ReadFailure>;

impl ListQuery {
    /// Says whether it asks for more than what the indexes of `sessions` alone lead to.
    pub(super) const fn is_search(&self) -> bool {
        self.text.is_some()
            || self.agent.is_some()
            || self.folder.is_some()
            || !self.outcomes.is_empty()
    }

    /// Says whether a session is one that is searched for.
    pub(super) fn finds(&self, session: &candor_core::session::Session) -> bool {
        let spec = &session.spec;
        let outcome = session.verdict().map(candor_core::verdict::Verdict::outcome);
        (self.outcomes.is_empty()
            || outcome.is_some_and(|outcome| self.outcomes.iter().any(|known| known == outcome)))
            && self.agent.as_deref().is_none_or(|agent| launches::agent(spec) == Some(agent))
            && self.folder.as_ref().is_none_or(|folder| launches::folder(spec) == *folder)
            && self
                .text
                .as_ref()
                .is_none_or(|text| launches::text(session).contains(&text.to_lowercase()))
    }
}

/// Returns the ids of what is searched for, newest first.
pub(super) fn ids(connection: &Connection, query: &ListQuery, before: &[u8]) -> Found {
    if let Some(text) = &query.text {
        return of_text(connection, query, text);
    }
    if query.agent.is_none() && query.folder.is_none() {
        return of_outcome(connection, query, before);
    }
    let is_of_few = is_of_few(connection, query)?;
    let mut statement = Statement::new(match is_of_few {
        true => {
            "SELECT s.id FROM sessions AS s CROSS JOIN launches AS l ON l.session = s.id WHERE 1"
        }
        false => {
            "SELECT l.session FROM launches AS l CROSS JOIN sessions AS s ON s.id = l.session \
             WHERE 1"
        }
    });
    let id = if is_of_few { "s.id" } else { "l.session" };
    statement.and(&format!("{id} < ?"), before.to_vec());
    add_rest(&mut statement, query);
    statement.ids(&format!(" ORDER BY {id} DESC LIMIT ?"), query.limit, connection)
}

/// Adds the conditions that any index may leave to be compared.
fn add_rest(statement: &mut Statement, query: &ListQuery) {
    if let Some(folder) = &query.folder {
        statement.and("l.folder = ?", folder.clone());
    }
    if let Some(agent) = &query.agent {
        statement.and("l.agent = ?", agent.clone());
    }
    statement.and_one_of("s.status", words(&query.statuses));
    statement.and_one_of("s.outcome", query.outcomes.iter().cloned());
    if let Some(ended_by) = query.ended_by {
        statement.and("s.ended_at_us <= ?", ended_by.as_microsecond());
    }
    if let Some(parent) = query.parent {
        statement.and("s.parent = ?", parent.as_uuid().as_bytes().to_vec());
    }
}

fn words(statuses: &[Status]) -> impl Iterator<Item = String> + '_ {
    statuses.iter().map(|status| status.as_str().to_owned())
}

/// Says whether few sessions have the statuses, or the outcomes, that are asked for.
fn is_of_few(connection: &Connection, query: &ListQuery) -> Result<bool, ReadFailure> {
    const BY_STATUS: &str =
        "SELECT count(*) FROM (SELECT 1 FROM sessions WHERE status = ?1 LIMIT ?2)";
    const BY_OUTCOME: &str =
        "SELECT count(*) FROM (SELECT 1 FROM sessions WHERE outcome = ?1 LIMIT ?2)";
    let are_few = |sql: &str, words: Vec<String>| {
        let mut sum = 0;
        for word in &words {
            let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            sum += connection.prepare_cached(sql)?.query_row(params![word, FEW + 1], count)?;
        }
        Ok::<_, ReadFailure>(!words.is_empty() && sum <= FEW)
    };
    Ok(are_few(BY_STATUS, words(&query.statuses).collect())?
        || are_few(BY_OUTCOME, query.outcomes.clone())?)
}

/// The index of outcomes has each status in the order of ids.
fn of_outcome(connection: &Connection, query: &ListQuery, before: &[u8]) -> Found {
    let mut ids = Vec::new();
    let is_asked_for =
        |status: &Status| query.statuses.is_empty() || query.statuses.contains(status);
    for status in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
        for outcome in query.outcomes.iter().filter(|_| is_asked_for(&status)) {
            let mut statement = Statement::new("SELECT s.id FROM sessions AS s WHERE 1");
            statement.and("s.outcome = ?", outcome.clone());
            statement.and("s.id < ?", before.to_vec());
            let one = ListQuery { statuses: vec![status], outcomes: Vec::new(), ..query.clone() };
            add_rest(&mut statement, &one);
            ids.extend(statement.ids(" ORDER BY s.id DESC LIMIT ?", query.limit, connection)?);
        }
    }
    newest_first(&mut ids, query.limit);
    Ok(ids)
}

/// Texts are found in the order in which sessions were stored, which is that of their ids but for
/// launches at the same moment.
fn of_text(connection: &Connection, query: &ListQuery, text: &str) -> Found {
    let text = text.to_lowercase();
    let needs_row = !query.statuses.is_empty()
        || !query.outcomes.is_empty()
        || query.ended_by.is_some()
        || query.parent.is_some();
    let is_of_few = is_of_few(connection, query)?;
    // Of few, each text is read; and of a text that is too short for the index, all are.
    let pieces = if is_of_few { String::new() } else { pieces(&text) };
    let mut sql = "SELECT l.session FROM ".to_owned();
    sql += match (is_of_few, pieces.is_empty()) {
        (true, _) => "sessions AS s CROSS JOIN launches AS l ON l.session = s.id",
        (false, true) => "launches AS l",
        (false, false) => "launch_texts AS t CROSS JOIN launches AS l ON l.place = t.rowid",
    };
    if needs_row && !is_of_few {
        sql += " CROSS JOIN sessions AS s ON s.id = l.session";
    }
    let mut statement = Statement::new(&(sql + " WHERE l.folder IS NOT NULL"));
    let place = if pieces.is_empty() { "l.place" } else { "t.rowid" };
    if !pieces.is_empty() {
        statement.and("t.launch_texts MATCH ?", pieces);
    }
    if let Some(before) = &query.before {
        let bytes = before.as_uuid().as_bytes().as_slice();
        let place_of: Option<i64> = connection
            .prepare_cached("SELECT place FROM launches WHERE session = ?1")?
            .query_row([bytes], |row| row.get(0))
            .optional()?;
        // After one that nobody knows any more comes nothing that could be told.
        let Some(place_of) = place_of else { return Ok(Vec::new()) };
        statement.and(&format!("{place} < ?"), place_of);
    }
    statement.and("instr(l.text, ?) > 0", text);
    add_rest(&mut statement, query);
    statement.ids(&format!(" ORDER BY {place} DESC LIMIT ?"), query.limit, connection)
}

/// Returns what must all be in a text that has this one in it, as the index is asked for it; nothing
/// for a text that is too short for the index.
fn pieces(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let quoted = |piece: &[char]| {
        let piece: String = piece.iter().collect();
        format!("\"{}\"", piece.replace('"', "\"\""))
    };
    characters.windows(PIECE_CHARACTERS).map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_are_of_three_characters_and_quoted() {
        assert_eq!(pieces("ab"), "");
        assert_eq!(pieces("abc"), "\"abc\"");
        assert_eq!(pieces("a\"öü"), "\"a\"\"ö\" \"\"\"öü\"");
    }
}
