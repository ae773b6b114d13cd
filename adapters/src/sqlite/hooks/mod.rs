//! Hooks, and what is to be delivered to them, in a database of its own.
//!
//! | file | what it is for |
//! |---|---|
//! | `schema.rs` | the tables and their versions |
//! | `file.rs` | the file: opened, made, looked at from beside |
//! | `rows.rs` | what is read and written, each within a transaction |
//!
//! It is an outbox: the deliveries of a stretch of the event log and the new cursor are one
//! transaction, so that none is missed whoever is killed in between. Nothing of it can hold up or
//! harm the store of sessions. Nobody can make it again, so that a file which is of no use stays
//! where it is, and hooks are refused until somebody has moved it away.

mod file;
mod rows;
mod schema;

use std::ops::Range;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

use candor_core::event::Seq;
use candor_core::session::SessionId;
use candor_core::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;

pub use self::file::inspect;
pub use self::rows::{DELIVERIES_KEPT, ERROR_BYTES_MAX, PENDING_MAX};

use super::errors::{CloseError, file_error, leaves_doubt};
use super::group::run;
use super::upkeep::{self, Extent, checkpoint};

/// Hooks that there can be, at most.
pub const HOOKS_MAX: usize = 32;

/// How long who asks waits for an answer, in milliseconds.
const ANSWER_MS_MAX: u64 = 10_000;

/// How long closing may take, in milliseconds: it copies the log into the database.
const CLOSE_MS_MAX: u64 = 5_000;

/// The log is copied into the database when it has this many frames of 4 KiB.
const CHECKPOINT_FRAMES: u32 = 500;

/// All hooks and their deliveries. Its clones share it.
#[derive(Clone, Debug)]
pub struct Hooks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    connection: Arc<Mutex<Access>>,
}

#[derive(Debug)]
enum Access {
    /// Not opened yet, or to be opened anew.
    Closed,
    Open(Connection),
    /// Closed for good.
    Over,
}

/// Tells a hook from all others.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HookId(Uuid);

impl HookId {
    /// Returns one that no hook has.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads one as it is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }
}

impl Default for HookId {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for HookId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Tells a delivery from all others. All attempts at one have the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// Returns one that no delivery has.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for DeliveryId {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a hook signs with. It is never printed by accident.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps bytes that nobody can guess.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

/// What somebody wants to be told of, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// Tells it from all others.
    pub id: HookId,
    /// Where to.
    pub url: String,
    /// Which events.
    pub words: Vec<String>,
    /// Of which session; `None` for all.
    pub session: Option<SessionId>,
    /// What its deliveries are signed with.
    pub secret: Secret,
    /// Whether it may be on this machine or in its network.
    pub allow_local: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// Up to where the event log was looked at for it.
    pub cursor: Seq,
}

/// A hook with what became of its deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredHook {
    /// The hook.
    pub hook: Hook,
    /// Deliveries that wait.
    pub pending: u64,
    /// Deliveries that were taken, ever.
    pub delivered: u64,
    /// Deliveries that were given up, ever.
    pub given_up: u64,
    /// Since when it gets nothing any more, and why.
    pub disabled: Option<(Timestamp, String)>,
}

/// A delivery to be stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewDelivery {
    /// The event's place.
    pub seq: Seq,
    /// Whose event.
    pub session: SessionId,
    /// The type that the payload says.
    pub kind: String,
    /// The body as it is sent.
    pub payload: String,
}

/// How far the event log was looked at for a hook, and what came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advance {
    /// Whose.
    pub hook: HookId,
    /// Where its cursor stands.
    pub from: Seq,
    /// Where it stands then.
    pub to: Seq,
    /// What is to be delivered.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery whose turn it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// Which.
    pub id: DeliveryId,
    /// Whose.
    pub session: SessionId,
    /// The body.
    pub payload: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When the first was made.
    pub first_at: Option<Timestamp>,
}

/// What became of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// When it was begun.
    pub at: Timestamp,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// What was wrong.
    pub error: Option<String>,
    /// What follows from it.
    pub then: Then,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// It was taken.
    Delivered,
    /// Another attempt, at this time.
    Again(Timestamp),
    /// Nothing more.
    GivenUp,
}

/// What is kept of a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Which.
    pub id: DeliveryId,
    /// The event's place.
    pub seq: Seq,
    /// Whose event.
    pub session: SessionId,
    /// The type that the payload says.
    pub kind: String,
    /// `pending`, `delivered` or `given_up`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When the next attempt may be made; `None` when there is none.
    pub next_at: Option<Timestamp>,
    /// When it was taken or given up.
    pub done_at: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// What was wrong the last time.
    pub last_error: Option<String>,
}

/// Why something was not done. Nothing of it is stored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HooksError {
    /// The database cannot be used now.
    #[error("the hooks cannot be read and written ({reason})")]
    Unavailable {
        /// A sentence.
        reason: String,
    },
    /// There are as many as there can be.
    #[error("there are {HOOKS_MAX} hooks already: remove one with `candor hook rm` first")]
    TooMany,
}

impl Hooks {
    /// Returns the hooks in this file. It is opened when it is first needed, and made where there is
    /// none.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self(Arc::new(Shared { path, connection: Arc::new(Mutex::new(Access::Closed)) }))
    }

    /// Adds a hook.
    ///
    /// Not cancel safe: dropped, it may or may not be added.
    ///
    /// # Errors
    ///
    /// [`HooksError`].
    pub async fn add(&self, hook: Hook) -> Result<(), HooksError> {
        let is_added = self.transact(move |connection| rows::add(connection, &hook)).await?;
        if is_added { Ok(()) } else { Err(HooksError::TooMany) }
    }

    /// Returns all hooks, the oldest first. It makes no file where there is none.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<StoredHook>, HooksError> {
        if tokio::fs::try_exists(&self.0.path).await.is_ok_and(|exists| !exists) {
            return Ok(Vec::new());
        }
        self.transact(rows::list).await
    }

    /// Removes a hook with all of its deliveries. Says whether there was one.
    ///
    /// Not cancel safe: dropped, it may or may not be removed.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn remove(&self, hook: HookId) -> Result<bool, HooksError> {
        self.transact(move |connection| rows::remove(connection, hook)).await
    }

    /// Gives up what waits for a hook, and stores nothing more for it.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn disable(
        &self,
        hook: HookId,
        at: Timestamp,
        reason: String,
    ) -> Result<(), HooksError> {
        self.transact(move |connection| rows::disable(connection, hook, at, &reason)).await
    }

    /// Stores deliveries together with the cursors that they come from. What is of a hook whose
    /// cursor is not where it was said to be is left out: it was removed meanwhile.
    ///
    /// Not cancel safe: dropped, all or nothing of it is stored, and the next
    /// [`list`](Self::list) tells.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn collect(&self, advances: Vec<Advance>, at: Timestamp) -> Result<(), HooksError> {
        self.transact(move |connection| rows::collect(connection, &advances, at)).await
    }

    /// Returns the deliveries of a hook whose turn it is, at most `limit`: of each session the first
    /// that waits. Their time is not within `later`, which begins now and ends where no time can be.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn due(
        &self,
        hook: HookId,
        later: Range<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Due>, HooksError> {
        self.transact(move |connection| rows::due(connection, hook, &later, limit)).await
    }

    /// Returns when the next delivery of a hook may be due after a moment, if one waits for its time.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn next_at(
        &self,
        hook: HookId,
        after: Timestamp,
    ) -> Result<Option<Timestamp>, HooksError> {
        self.transact(move |connection| rows::next_at(connection, hook, after)).await
    }

    /// Stores what became of an attempt, and forgets the oldest of what is done beyond
    /// [`DELIVERIES_KEPT`].
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`]. The delivery waits as before then, and is made once more.
    pub async fn attempted(
        &self,
        delivery: DeliveryId,
        attempt: Attempt,
    ) -> Result<(), HooksError> {
        self.transact(move |connection| rows::attempted(connection, delivery, &attempt)).await
    }

    /// Returns the last deliveries of a hook, the newest event first.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub async fn deliveries(
        &self,
        hook: HookId,
        limit: usize,
    ) -> Result<Vec<Delivery>, HooksError> {
        self.transact(move |connection| rows::deliveries(connection, hook, limit)).await
    }

    /// Closes the database, for good.
    ///
    /// # Errors
    ///
    /// [`CloseError`]. Nothing is lost.
    pub async fn close(&self) -> Result<(), CloseError> {
        let late = || CloseError { reason: "the disk does not answer".to_owned() };
        let connection = Arc::clone(&self.0.connection);
        let closing = async {
            let mut access = connection.lock_owned().await;
            let closed =
                spawn_blocking(move || match std::mem::replace(&mut *access, Access::Over) {
                    Access::Open(connection) => upkeep::close(connection),
                    Access::Closed | Access::Over => Ok(()),
                });
            let closed = closed.await.unwrap_or_else(|error| Err(error.to_string()));
            closed.map_err(|reason| CloseError { reason })
        };
        let limit = Duration::from_millis(CLOSE_MS_MAX);
        timeout(limit, closing).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// Runs `job` in one transaction.
    async fn transact<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HooksError> {
        let path = self.0.path.clone();
        let connection = Arc::clone(&self.0.connection);
        let asking = async {
            let mut access: OwnedMutexGuard<Access> = connection.lock_owned().await;
            let running = spawn_blocking(move || access.transact(&path, job));
            running.await.unwrap_or_else(|_panic| Err("it was broken off: a bug".to_owned()))
        };
        let limit = Duration::from_millis(ANSWER_MS_MAX);
        let late = || Err("the disk does not answer".to_owned());
        let result = timeout(limit, asking).await.unwrap_or_else(|_elapsed| late());
        result.map_err(|reason| HooksError::Unavailable { reason })
    }
}

impl Access {
    fn transact<T>(
        &mut self,
        path: &Path,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, String> {
        if matches!(self, Self::Closed) {
            // SQLite takes a relative path that begins with `file:` for something else.
            let path = absolute(path).map_err(|error| file_error(path, &error).to_string())?;
            *self = Self::Open(file::open(&path).map_err(|error| error.to_string())?);
        }
        let Self::Open(connection) = self else {
            return Err("they are closed".to_owned());
        };
        let done = run(connection, "BEGIN IMMEDIATE")
            .and_then(|()| job(connection))
            .and_then(|done| run(connection, "COMMIT").map(|()| done));
        match done {
            Ok(done) => {
                checkpoint_when_due(connection);
                Ok(done)
            }
            Err(error) => {
                let is_undone = connection.is_autocommit() || run(connection, "ROLLBACK").is_ok();
                if !is_undone || leaves_doubt(&error) {
                    warn!(%error, "the database of hooks is opened anew");
                    *self = Self::Closed;
                }
                Err(error.to_string())
            }
        }
    }
}

fn checkpoint_when_due(connection: &Connection) {
    let frames = checkpoint(connection, Extent::Nothing).ok().and_then(|log| log.frames);
    if frames.is_some_and(|frames| frames >= CHECKPOINT_FRAMES)
        && let Err(error) = checkpoint(connection, Extent::AllAndEmpty)
    {
        warn!(%error, "the log of hooks cannot be copied into their database");
    }
}
