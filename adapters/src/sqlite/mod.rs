//! The `Repository` on SQLite: one file, one writer, readers beside it.
//!
//! | file | what it is for |
//! |---|---|
//! | `file.rs` | the file before SQLite touches it: whose it is, how it is made |
//! | `connection.rs` | the one way a connection is opened, every setting read back |
//! | `schema.rs`, `migrations/` | the tables and their versions |
//! | `rows.rs` | rows and their checksums |
//! | `writer.rs`, `group.rs` | the writing thread; one transaction for all that wait |
//! | `removal.rs` | deleting a session, and what stays of it |
//! | `launches.rs`, `search.rs` | what sessions are found by, and finding them |
//! | `doubt.rs` | whether it is known what is in the file |
//! | `readers.rs` | read-only connections with a deadline |
//! | `views.rs`, `prefix.rs` | lists, prefixes, counts |
//! | `snapshot.rs` | sessions and the place in the log that they stand at |
//! | `pages.rs` | events and removals, a page at a time |
//! | `backup.rs` | copies of the database, made while it is in use |
//! | `upkeep.rs`, `check.rs` | the log, SQLite's own checks, the row check |
//! | `inspect.rs` | a look from beside, which never writes |
//! | `conversations/` | another database: what agents and their users said |
//! | `hooks/` | another database: who is to be told of what, and whether they were |
//! | `watch.rs` | who is told how commits went |
//! | `errors.rs` | what SQLite says, in the words of the port |
//!
//! SQL is written here and nowhere else. Nothing here decides what a session's status is.
#![forbid(unsafe_code)]

mod backup;
mod check;
mod connection;
pub mod conversations;
mod doubt;
mod errors;
mod file;
mod group;
pub mod hooks;
mod inspect;
mod launches;
mod pages;
mod prefix;
mod readers;
mod removal;
mod rows;
mod schema;
mod search;
mod snapshot;
mod upkeep;
mod views;
mod watch;
mod writer;

use std::path::{Path, absolute};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use candor_core::event::{Seq, StoredEvent};
use candor_core::ports::{Change, CommitError, ReadError, Repository, StoredSession};
use candor_core::session::SessionId;
use candor_core::stop::Actor;
use candor_core::time::Timestamp;
use rusqlite::Connection;

pub use self::backup::{BACKUPS_KEPT, Backup, BackupError, backups};
pub use self::check::{CheckReport, KnownSession};
pub use self::errors::{CloseError, OpenError};
pub use self::inspect::{Inspector, Log, check_copy};
pub use self::pages::EventPage;
pub use self::removal::{Removal, RemoveError};
pub use self::snapshot::Snapshot;
pub use self::views::{DamagedRow, ListQuery, Listing, OutcomeCount, Resolution, StatusCounts};
pub use self::watch::CommitWatch;
pub use self::writer::Counters;

use self::connection::Role;
use self::errors::{ReadFailure, file_error, migration_error, open_error, unavailable};
use self::file::Presence;
use self::readers::{READ_MS_MAX, Readers};
use self::removal::Order;
use self::rows::EncodedChange;
use self::writer::Writer;

/// A database of sessions and events. Its clones share it.
///
/// Dropped without [`close`](Self::close) it is as safe as after a crash: nothing is lost, and the
/// next start checks the file first.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Store>);

#[derive(Debug)]
struct Store {
    writer: Writer,
    readers: Readers,
    was_closed: bool,
    watch: OnceLock<Arc<dyn CommitWatch>>,
}

impl Store {
    /// Runs `job` on one state of the database: the latest one, or a later one.
    ///
    /// `about` is the session that the read is about, for the error to name.
    async fn read<T: Send + 'static>(
        &self,
        about: Option<SessionId>,
        job: impl FnOnce(&Connection) -> Result<T, ReadFailure> + Send + 'static,
    ) -> Result<T, ReadError> {
        const IN_DOUBT: &str = "the disk has failed, and it is not known what it has kept";

        let deadline = Instant::now() + Duration::from_millis(READ_MS_MAX);
        let certainty = self.writer.certainty(deadline).await;
        let certainty = certainty.ok_or_else(|| unavailable(IN_DOUBT))?;
        let result = self.readers.read(deadline, about, job).await?;
        if self.writer.is_still_certain(certainty) {
            return Ok(result);
        }
        Err(unavailable(IN_DOUBT))
    }
}

impl SqliteStore {
    /// Opens the database, or makes an empty one where there is none.
    ///
    /// The caller sees to it that no other process does the same at this time, and that this
    /// process has it open only once.
    ///
    /// It blocks: it reads and writes files, and checks all of the database when it was not closed
    /// the last time.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; its text is a sentence for the user. The file is as it was before.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // SQLite takes a relative path that begins with `file:` for something else.
        let path = absolute(path).map_err(|error| file_error(path, &error))?;
        if file::look(&path)? == Presence::Absent {
            file::create(&path)?;
        }
        let sql = |error| open_error(&path, &error);
        let mut connection = connection::open(&path, Role::Writer)?;
        let was_closed = upkeep::was_closed_cleanly(&connection).map_err(sql)?;
        if !was_closed {
            let findings = upkeep::quick_check(&connection).map_err(sql)?;
            if let Some(finding) = findings.into_iter().next() {
                return Err(OpenError::Corrupt { path, detail: finding });
            }
            upkeep::settle(&connection, &path)?;
        }
        let migration = |error| migration_error(&path, &error);
        schema::migrate(&mut connection).map_err(migration)?;
        if let Some(detail) =
            schema::difference(&schema::SESSIONS, &connection).map_err(migration)?
        {
            return Err(OpenError::Corrupt { path, detail });
        }
        upkeep::mark_open(&connection).map_err(sql)?;
        file::remove_drafts(&path);
        let writer = Writer::start(path.clone(), connection)?;
        let watch = OnceLock::new();
        Ok(Self(Arc::new(Store { writer, readers: Readers::new(path), was_closed, watch })))
    }

    /// Says whether whoever had it open before has closed it. If not, they were killed, or their
    /// machine was.
    #[must_use]
    pub fn was_closed(&self) -> bool {
        self.0.was_closed
    }

    /// Has somebody told how each commit went. The first who comes is the only one.
    pub fn watch(&self, watch: Arc<dyn CommitWatch>) {
        // There is one daemon, which asks once.
        let _first = self.0.watch.set(watch);
    }

    /// Stores what waits, copies the log into the database, and notes that it was closed.
    ///
    /// Afterwards every commit is [`CommitError::NotStored`], and every read
    /// [`ReadError::Unavailable`]. To close twice is to close once.
    ///
    /// Cancel safe: dropped, it is like a store that was dropped.
    ///
    /// # Errors
    ///
    /// [`CloseError`]. Nothing that was acknowledged is lost.
    pub async fn close(&self) -> Result<(), CloseError> {
        self.0.readers.close().await;
        self.0.writer.close().await
    }

    /// Lists sessions, newest first.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]. Damaged rows are named in the listing.
    pub async fn list(&self, query: &ListQuery) -> Result<Listing, ReadError> {
        let query = query.clone();
        self.0.read(None, move |connection| views::list(connection, &query)).await
    }

    /// Reads all live sessions and the newest `ended_max` of the others, with the counts and the place
    /// in the event log that all of this stands at.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]. Damaged rows are named in the listing.
    pub async fn snapshot(&self, ended_max: u32) -> Result<Snapshot, ReadError> {
        self.0.read(None, move |connection| snapshot::snapshot(connection, ended_max)).await
    }

    /// Reads the rows of these sessions, each once. One that has no row is left out.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]. Damaged rows are named in the listing.
    pub async fn sessions(&self, ids: Vec<SessionId>) -> Result<Listing, ReadError> {
        self.0.read(None, move |connection| snapshot::rows(connection, &ids)).await
    }

    /// Finds the session that a prefix stands for: of its id, with hyphens or without, or of its
    /// short form. Capital letters are as good as small ones.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub async fn resolve(&self, prefix: &str) -> Result<Resolution, ReadError> {
        let prefix = prefix.to_owned();
        self.0.read(None, move |connection| views::resolve(connection, &prefix)).await
    }

    /// Returns the session that came of the request of that name, and what tells that request from
    /// others. The session may have been removed since.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub async fn requested(&self, key: &str) -> Result<Option<(SessionId, String)>, ReadError> {
        let key = key.to_owned();
        self.0.read(None, move |connection| launches::requested(connection, &key)).await
    }

    /// Deletes a session that has ended, with all its events, and stores that it was deleted.
    ///
    /// Both are one transaction, durable before this returns. Files are not touched: they go after
    /// it, so that whatever dies in between leaves files that [`removed`](Self::removed) tells of.
    ///
    /// Not cancel safe: dropped, the session may or may not be deleted.
    ///
    /// # Errors
    ///
    /// See [`RemoveError`]; nothing is deleted unless it is [`CommitError::Unknown`] of the store.
    pub async fn remove(
        &self,
        session: SessionId,
        by: Actor,
        at: Timestamp,
    ) -> Result<Removal, RemoveError> {
        self.0.writer.remove(Order { session, by, at }).await
    }

    /// Returns the sessions that were deleted, the newest deletion first, as far back as is kept.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub async fn removed(&self) -> Result<Vec<SessionId>, ReadError> {
        self.0.read(None, views::removed).await
    }

    /// Returns the events after `cursor` and the removals among them, in order, at most `limit` of
    /// them, good and damaged.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]. Damaged rows are named in the page.
    pub async fn events_page(&self, cursor: Seq, limit: u32) -> Result<EventPage, ReadError> {
        self.0.read(None, move |connection| pages::log(connection, cursor, limit)).await
    }

    /// Returns the events of one session after `cursor`, in order, at most `limit` of them, and its
    /// removal when it was deleted.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`]. Damaged rows are named in the page.
    pub async fn session_events(
        &self,
        id: SessionId,
        cursor: Seq,
        limit: u32,
    ) -> Result<EventPage, ReadError> {
        let job = move |connection: &_| pages::session_events(connection, id, cursor, limit);
        self.0.read(None, job).await
    }

    /// Counts the sessions by status.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub async fn counts_by_status(&self) -> Result<StatusCounts, ReadError> {
        self.0.read(None, views::counts).await
    }

    /// Counts the sessions by status and outcome, in the words of the rows. It looks at all of them.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub async fn counts_by_outcome(&self) -> Result<Vec<OutcomeCount>, ReadError> {
        self.0.read(None, views::counts_by_outcome).await
    }

    /// Returns the highest place that was ever given, or [`Seq::START`].
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub async fn last_seq(&self) -> Result<Seq, ReadError> {
        let read = |connection: &_| Ok(group::last_seq(connection)?);
        let number = self.0.read(None, read).await?;
        Ok(Seq::from_number(number.unsigned_abs()))
    }

    /// Makes a copy of the database in a folder, which must be there and be private, and removes
    /// the oldest copies beyond [`BACKUPS_KEPT`].
    ///
    /// It holds up neither commits nor reads: it has a connection and a thread of its own. Once
    /// `is_wanted` says no, it gives up.
    ///
    /// Only one at a time for a folder. Dropped, it goes on by itself.
    ///
    /// # Errors
    ///
    /// [`BackupError`]. Nothing is left of the attempt, and the copies before it are all there.
    pub async fn back_up(
        &self,
        folder: &Path,
        at: Timestamp,
        is_wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<Backup, BackupError> {
        let failed =
            |reason: &str| BackupError { folder: folder.to_owned(), reason: reason.to_owned() };
        let deadline = Instant::now() + Duration::from_millis(READ_MS_MAX);
        if self.0.writer.certainty(deadline).await.is_none() {
            return Err(failed("it is not known what is in the database"));
        }
        let (database, place) = (self.0.readers.path().to_owned(), folder.to_owned());
        let job = move || backup::make(&database, &place, at, is_wanted);
        match tokio::task::spawn_blocking(job).await {
            Ok(made) => made,
            Err(_panic_or_shutdown) => Err(failed("it was broken off")),
        }
    }

    /// Returns what the store has done since it was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.writer.counters()
    }
}

#[async_trait]
impl Repository for SqliteStore {
    async fn commit(&self, change: &Change) -> Result<Seq, CommitError> {
        let began = Instant::now();
        let answer = match EncodedChange::of(change) {
            Ok(encoded) => self.0.writer.store(encoded).await,
            Err(error) => Err(error),
        };
        if let Some(watch) = self.0.watch.get() {
            watch.answered(change, began.elapsed(), &answer);
        }
        answer
    }

    async fn load(&self, id: SessionId) -> Result<Option<StoredSession>, ReadError> {
        let loaded = self.0.read(Some(id), move |connection| views::load(connection, id)).await;
        if let (Some(watch), Ok(Some(stored))) = (self.0.watch.get(), &loaded) {
            watch.loaded(stored);
        }
        loaded
    }

    async fn live(&self) -> Result<Vec<SessionId>, ReadError> {
        self.0.read(None, views::live).await
    }

    /// A page ends before a damaged event; the next one begins with it and fails. Events of deleted
    /// sessions are not there any more: [`SqliteStore::events_page`] tells of that.
    async fn events_after(&self, cursor: Seq, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        let job = move |connection: &_| up_to_damage(pages::events(connection, cursor, limit)?);
        self.0.read(None, job).await
    }
}

/// Returns the events before the first damaged one, or that one's damage when it is the first.
fn up_to_damage(page: EventPage) -> Result<Vec<StoredEvent>, ReadFailure> {
    let EventPage { mut events, damaged, .. } = page;
    let Some(DamagedRow::Event { seq, session, reason }) = damaged.into_iter().next() else {
        return Ok(events);
    };
    events.retain(|stored| stored.seq < seq);
    if !events.is_empty() {
        return Ok(events);
    }
    let session = session.unwrap_or_else(|| SessionId::from_uuid(uuid::Uuid::nil()));
    Err(ReadFailure::Damaged { session, reason: format!("event {seq}: {reason}") })
}
