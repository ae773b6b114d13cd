//! What sessions are found by beside their ids: texts, folders, agents, and the requests that they
//! came of.

use candor_core::ports::StoredSession;
use candor_core::session::{RequestKey, Session, SessionId, Spec};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::errors::ReadFailure;
use super::rows::{read_session, session_columns, session_id};

/// Bytes of each part of what is searched in, at most: of a title, a command, a prompt, a folder.
const PART_BYTES_MAX: usize = 1_024;

/// What is kept of a launch.
#[derive(Debug)]
pub(super) struct Launch {
    session: [u8; 16],
    agent: Option<String>,
    folder: String,
    text: String,
    request: Option<RequestKey>,
}

impl Launch {
    pub(super) fn of(session: &Session) -> Self {
        let spec = &session.spec;
        Self {
            session: session.id.as_uuid().into_bytes(),
            agent: agent(spec).map(str::to_owned),
            folder: folder(spec),
            text: text(session),
            request: spec.request.clone(),
        }
    }
}

/// Returns the agent that a session is found by.
pub(super) fn agent(spec: &Spec) -> Option<&str> {
    spec.agent.as_ref().map(|agent| agent.kind.as_str())
}

/// Returns the folder that a session is found by.
pub(super) fn folder(spec: &Spec) -> String {
    spec.cwd.to_text().into_owned()
}

/// Returns what a session is searched in: its title, its command or what its agent was told, its
/// folder and its id, in small letters.
pub(super) fn text(session: &Session) -> String {
    let spec = &session.spec;
    let command: Vec<_> = spec.command.iter().map(|word| word.to_text()).collect();
    let prompt = spec.agent.as_ref().map_or("", |agent| &agent.prompt);
    let parts =
        [spec.title.as_deref().unwrap_or_default(), prompt, &command.join(" "), &folder(spec)]
            .map(|part| head(part).replace('\0', "\u{fffd}"));
    let [title, prompt, command, folder] = parts;
    let (agent, id) = (agent(spec).unwrap_or_default(), session.id);
    format!("{title}\n{agent}\n{prompt}\n{command}\n{folder}\n{id}").to_lowercase()
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(PART_BYTES_MAX)]
}

/// Keeps what a session is found by. A name that another request has already stays with that.
pub(super) fn insert(connection: &Connection, launch: &Launch) -> rusqlite::Result<()> {
    const INSERT: &str = "INSERT INTO launches (session, agent, folder, text, key, digest) \
         SELECT ?1, ?2, ?3, ?4, iif(EXISTS (SELECT 1 FROM launches WHERE key = ?5), NULL, ?5), ?6 \
         WHERE true ON CONFLICT (session) DO NOTHING";
    const INDEX: &str = "INSERT INTO launch_texts (rowid, text) VALUES (?1, ?2)";
    let Launch { session, agent, folder, text, request } = launch;
    let (key, digest) = request.as_ref().map(|it| (&it.key, &it.digest)).unzip();
    // What is left of one that was removed under the same id, which no id source gives twice.
    connection
        .prepare_cached("DELETE FROM launches WHERE session = ?1 AND folder IS NULL")?
        .execute([session.as_slice()])?;
    let params = params![session.as_slice(), agent, folder, text, key, digest];
    if connection.prepare_cached(INSERT)?.execute(params)? == 1 {
        let place = connection.last_insert_rowid();
        connection.prepare_cached(INDEX)?.execute(params![place, text])?;
    }
    Ok(())
}

/// Empties what is kept of a session that is removed.
pub(super) fn empty(connection: &Connection, session: SessionId) -> rusqlite::Result<()> {
    const UNINDEX: &str = "INSERT INTO launch_texts (launch_texts, rowid, text) \
         SELECT 'delete', place, text FROM launches WHERE session = ?1";
    const EMPTY: &str =
        "UPDATE launches SET agent = NULL, folder = NULL, text = '' WHERE session = ?1";
    let id = session.as_uuid().as_bytes().as_slice();
    connection.prepare_cached(UNINDEX)?.execute([id])?;
    connection.prepare_cached(EMPTY)?.execute([id])?;
    Ok(())
}

/// Drops what is kept of sessions whose removal is dropped, up to a place among the removals.
pub(super) fn drop_removed(connection: &Connection, up_to: i64) -> rusqlite::Result<()> {
    const DROP: &str = "DELETE FROM launches WHERE folder IS NULL AND session IN \
         (SELECT session FROM removals WHERE seq <= ?1)";
    connection.prepare_cached(DROP)?.execute([up_to]).map(drop)
}

/// Returns the session that came of the request of that name, and what tells that request from
/// others. The session may have been removed since.
pub(super) fn requested(
    connection: &Connection,
    key: &str,
) -> Result<Option<(SessionId, String)>, ReadFailure> {
    const SQL: &str = "SELECT session, digest FROM launches WHERE key = ?1";
    let mut statement = connection.prepare_cached(SQL)?;
    let found = statement
        .query_row([key], |row| {
            Ok(session_id(row.get_ref(0)?).ok().zip(row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    Ok(found.flatten())
}

/// Keeps what there was before anything was kept. Rows that cannot be read are left out, as they are
/// of every list.
pub(super) fn fill(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    const SQL: &str = concat!("SELECT ", session_columns!(), " FROM sessions ORDER BY id");
    let mut statement = transaction.prepare(SQL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Ok(StoredSession { session, .. }) = read_session(row)? {
            insert(transaction, &Launch::of(&session))?;
        }
    }
    Ok(())
}
