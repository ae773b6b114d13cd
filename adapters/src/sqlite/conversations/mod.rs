//! Conversations: what agents and their users said, in a database of its own.
//!
//! | file | what it is for |
//! |---|---|
//! | `schema.rs` | the tables and their versions |
//! | `place.rs` | the file: opened, made, set aside |
//! | `writer.rs`, `append.rs` | the writing thread, and what it does |
//! | `rows.rs` | items as rows |
//! | `read.rs` | pages, sums, hits |
//! | `query.rs` | what somebody looks for |
//! | `wakeups.rs` | who waits for more |
//! | `inspect.rs` | a look from beside |
//!
//! All of it is derived from what the sessions have printed, and can be read again. So it may lose
//! the last that was stored when the power is cut, a file that is damaged or somebody else's is set
//! aside and begun anew, and nothing of it can hold up or harm the store of sessions: it has its own
//! file, its own thread and its own readers.

mod append;
mod inspect;
mod place;
mod query;
mod read;
mod rows;
mod schema;
mod wakeups;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, absolute};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_core::agent::Usage;
use candor_core::ports::ReadError;
use candor_core::session::SessionId;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout_at;
use uuid::Uuid;

pub use self::inspect::{ConversationsFile, inspect};
pub use self::query::{QUERY_BYTES_MAX, QUERY_TERMS_MAX, Query, QueryError};
pub use self::read::{HITS_MAX, PAGE_ITEMS_MAX};
pub use self::rows::{kind_word, role_word};
pub use self::wakeups::Following;

use self::schema::CONVERSATIONS;
use self::wakeups::Wakeups;
use self::writer::{Request, Thread};
use super::errors::{CloseError, OpenError, ReadFailure, file_error, unavailable};
use super::readers::{READ_MS_MAX, Readers};
use crate::agents::Item;

/// How long who adds something waits for an answer, in milliseconds.
const ANSWER_MS_MAX: u64 = 10_000;

/// How long closing may take, in milliseconds: it copies the log into the database.
const CLOSE_MS_MAX: u64 = 10_000;

/// What all sessions' agents and users said. Its clones share it.
#[derive(Clone, Debug)]
pub struct Conversations(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    requests: mpsc::Sender<Request>,
    files: watch::Receiver<u64>,
    readers: Arc<Readers>,
    wakeups: Arc<Wakeups>,
}

/// What is added at once: all items of a stretch of a session's standard output.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose.
    pub session: SessionId,
    /// Where the stretch begins, in bytes. All before it must be there already.
    pub from: u64,
    /// What was read there. Items that are there already, by offset and part, stay as they are.
    pub items: Vec<Item>,
    /// Where it ends: up to here the conversation is complete then.
    pub read_to: u64,
}

/// Why a batch was not added.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// There is a gap before it: the file was damaged and begun anew, or the power was cut. What lies
    /// between is to be read again.
    #[error("the conversation is complete up to byte {read_to} only")]
    Behind {
        /// Up to where it is complete.
        read_to: u64,
    },
    /// The session was removed.
    #[error("the session was removed")]
    Removed,
    /// The database cannot be written now. The same may be tried again, and is added once.
    #[error("the conversations cannot be written ({reason})")]
    Unavailable {
        /// What it said.
        reason: String,
    },
}

/// An item that is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredItem {
    /// Counts the items of its session, from 1, in the order in which they were added. Whoever reads
    /// all of a session's output again comes to the same numbers.
    pub seq: u64,
    /// The item.
    pub item: Item,
}

/// Items of a session, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<StoredItem>,
    /// Where the next page begins: after the last of them.
    pub next: u64,
    /// Whether nothing more is there at the moment.
    pub at_end: bool,
    /// Up to which byte of standard output the conversation is complete.
    pub read_to: u64,
}

/// What a session has used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Its items.
    pub items: u64,
    /// Turns that have ended.
    pub turns: u64,
    /// Tokens of these turns.
    pub usage: Usage,
    /// Their cost in millionths of a US dollar, as far as the agent tells.
    pub cost_microusd: Option<u64>,
}

/// Where a search goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HitCursor(i64);

impl HitCursor {
    /// Returns it as a number, for the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// Returns the cursor of a number.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// What a search found, the newest first: sessions by when they first said something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hits {
    /// The hits.
    pub hits: Vec<Hit>,
    /// Where it goes on, if there may be more.
    pub next: Option<HitCursor>,
}

/// An item that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hit {
    /// Whose it is.
    pub session: SessionId,
    /// The item, without its text.
    pub stored: StoredItem,
    /// The part of its text in which the words are.
    pub snippet: Snippet,
}

/// A part of a text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snippet {
    /// The part.
    pub text: String,
    /// Where in it the words stand, as ranges of bytes.
    pub marks: Vec<(usize, usize)>,
}

impl Conversations {
    /// Opens the database, and makes an empty one where there is none. One that is of no use, since
    /// it is damaged, of another program or of a later version, is moved into the folder `aside`.
    ///
    /// It does not wait for the file: a thread of its own opens it, and tries again when it cannot.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoThread`], and [`OpenError::NotWritable`] for a path that cannot be one.
    pub fn open(path: &Path, aside: &Path) -> Result<Self, OpenError> {
        // SQLite takes a relative path that begins with `file:` for something else.
        let path = absolute(path).map_err(|error| file_error(path, &error))?;
        let readers = Arc::new(Readers::of(&CONVERSATIONS, path.clone()));
        let wakeups = Arc::new(Wakeups::default());
        let (requests, files) =
            Thread::start(path, aside.to_owned(), Arc::clone(&readers), Arc::clone(&wakeups))?;
        Ok(Self(Arc::new(Shared { requests, files, readers, wakeups })))
    }

    /// Adds a batch. The same may be added again, and whoever reads from the beginning once more adds
    /// nothing.
    ///
    /// It waits where the disk is slow, so that whoever follows an output is held up. Nobody whose
    /// word counts for a status may wait for it.
    ///
    /// Not cancel safe: dropped, the batch may or may not be added.
    ///
    /// # Errors
    ///
    /// See [`AppendError`].
    pub async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        self.ask(|answer| Request::Append(batch, answer)).await
    }

    /// Removes a session's conversation. Nobody reads it any more when this returns; the room that it
    /// took is given back afterwards, and after a crash by the next start.
    ///
    /// Not cancel safe: dropped, it may or may not be removed.
    ///
    /// # Errors
    ///
    /// [`AppendError::Unavailable`].
    pub async fn remove(&self, session: SessionId) -> Result<(), AppendError> {
        self.ask(|answer| Request::Remove(session, answer)).await
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), AppendError>>) -> Request,
    ) -> Result<(), AppendError> {
        let unavailable =
            |reason: &str| Err(AppendError::Unavailable { reason: reason.to_owned() });
        let deadline = Instant::now() + Duration::from_millis(ANSWER_MS_MAX);
        let (answer, answered) = oneshot::channel();
        let asking = async {
            match self.0.requests.send(request(answer)).await {
                Ok(()) => answered.await.unwrap_or_else(|_| unavailable("they were closed")),
                Err(_closed) => unavailable("they are closed"),
            }
        };
        match timeout_at(deadline.into(), asking).await {
            Ok(result) => result,
            Err(_elapsed) => unavailable("the disk does not answer"),
        }
    }

    /// Returns up to which byte of its standard output a session's conversation is complete.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn read_to(&self, session: SessionId) -> Result<u64, ReadError> {
        self.read(Some(session), move |connection| read::read_to(connection, &session)).await
    }

    /// Returns the items of a session after a place, at most `limit` of them, [`PAGE_ITEMS_MAX`], and
    /// some MiB of text. A session of which nothing is known has none.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn page(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Page, ReadError> {
        let job = move |connection: &_| read::page(connection, &session, after, limit);
        self.read(Some(session), job).await
    }

    /// Returns the last items of a session, in order.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn last(&self, session: SessionId, count: u32) -> Result<Page, ReadError> {
        self.read(Some(session), move |connection| read::last(connection, &session, count)).await
    }

    /// Adds up what a session's turns have used. What each used stands in its
    /// [`TurnEnd`](crate::agents::ItemKind::TurnEnd).
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn totals(&self, session: SessionId) -> Result<Totals, ReadError> {
        self.read(Some(session), move |connection| read::totals(connection, &session)).await
    }

    /// Looks for words, in all conversations or in one.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn search(
        &self,
        query: Query,
        session: Option<SessionId>,
        limit: u32,
        before: Option<HitCursor>,
    ) -> Result<Hits, ReadError> {
        let job =
            move |connection: &_| read::search(connection, &query, session.as_ref(), limit, before);
        self.read(session, job).await
    }

    /// Returns the sessions of which something is kept.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn sessions(&self) -> Result<BTreeSet<SessionId>, ReadError> {
        self.read(None, read::sessions).await
    }

    /// Returns a number that changes when the file has given its place to an empty one, so that all
    /// sessions are to be read again. It is 0 until the file was looked at.
    #[must_use]
    pub fn files(&self) -> watch::Receiver<u64> {
        self.0.files.clone()
    }

    /// Begins to listen for what is added to a session's conversation. Whoever reads to the end
    /// afterwards and waits then, misses nothing.
    #[must_use]
    pub fn follow(&self, session: SessionId) -> Following {
        self.0.wakeups.follow(session)
    }

    /// Adds what waits, and closes the database. Afterwards nothing is added and nothing is read, and
    /// nobody waits for more.
    ///
    /// Cancel safe: dropped, it is like a database that was dropped.
    ///
    /// # Errors
    ///
    /// [`CloseError`]. Nothing is lost.
    pub async fn close(&self) -> Result<(), CloseError> {
        self.0.wakeups.end();
        self.0.readers.close().await;
        let (answer, answered) = oneshot::channel();
        let closing = async {
            match self.0.requests.send(Request::Close(answer)).await {
                Ok(()) => answered.await.unwrap_or(Ok(())),
                Err(_closed_before) => Ok(()),
            }
        };
        let deadline = Instant::now() + Duration::from_millis(CLOSE_MS_MAX);
        let late = || CloseError { reason: "the disk does not answer".to_owned() };
        timeout_at(deadline.into(), closing).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// Reads in one transaction, once the file was opened. Damage is told to the writer.
    async fn read<T: Send + 'static>(
        &self,
        about: Option<SessionId>,
        job: impl FnOnce(&Connection) -> Result<T, ReadFailure> + Send + 'static,
    ) -> Result<T, ReadError> {
        let deadline = Instant::now() + Duration::from_millis(READ_MS_MAX);
        let mut files = self.0.files.clone();
        match timeout_at(deadline.into(), files.wait_for(|files| *files > 0)).await {
            Ok(Ok(_ready)) => {}
            Ok(Err(_closed)) => return Err(unavailable("the conversations are closed")),
            Err(_elapsed) => return Err(unavailable("the conversations are being looked at")),
        }
        // Damage is told of a session alone, so there has to be one.
        let about = about.unwrap_or_else(|| SessionId::from_uuid(Uuid::nil()));
        let result = self.0.readers.read(deadline, Some(about), job).await;
        if matches!(result, Err(ReadError::Damaged { .. })) {
            // A full queue means that it is looked at soon anyway, by whoever writes.
            let _full = self.0.requests.try_send(Request::Check);
            return Err(unavailable("the conversations are damaged, and are set aside"));
        }
        result
    }
}
