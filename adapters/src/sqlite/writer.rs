//! The only writer: one thread with one connection, which stores all changes that wait at the same
//! time in one transaction.
//!
//! An answer is given only after `COMMIT` has returned. A connection that did not keep its word is
//! closed, and the next one first makes sure of what is in the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use candor_core::event::Seq;
use candor_core::ports::CommitError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;
use tracing::warn;

use crate::failpoint;

use super::connection::{BUSY_MS_MAX, Role, open};
use super::doubt::{Certainty, Doubt};
use super::errors::{CloseError, OpenError, before_commit, leaves_doubt, not_stored};
use super::group::{self, Failed};
use super::removal::{self, Order, Removal, RemoveError};
use super::rows::EncodedChange;
use super::upkeep::{self, Checkpoint, Extent, checkpoint};

/// Changes that may wait for the writer, at most.
const QUEUE_CHANGES_MAX: usize = 1_024;

/// Changes that one transaction stores, at most.
const GROUP_CHANGES_MAX: usize = 256;

/// How long a caller waits for its answer, in milliseconds. The port promises one within 2 s.
const ANSWER_MS_MAX: u64 = 1_900;

/// What the writer leaves of that time for everything but waiting for a lock, in milliseconds.
const ANSWER_RESERVE_MS: u64 = 200;

/// How long closing may take, in milliseconds: it copies the log into the database.
const CLOSE_MS_MAX: u64 = 30_000;

/// The log is copied into the database when it has this many frames and nobody waits. One frame is
/// one page of 4 KiB.
const CHECKPOINT_FRAMES: u32 = 1_000;

/// The log is copied and emptied even while changes wait, when it has this many frames.
const CHECKPOINT_FRAMES_MAX: u32 = 4_000;

/// How long an overdue copy may wait for readers to end, in milliseconds.
const CHECKPOINT_WAIT_MS: u64 = 50;

/// The name of the thread.
const THREAD_NAME: &str = "candor-writer";

/// What the store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Changes that were stored.
    pub changes: u64,
    /// Transactions that it took.
    pub transactions: u64,
    /// How often the log was copied into the database.
    pub checkpoints: u64,
    /// Changes that wait for the writer at this moment.
    pub waiting: usize,
}

#[derive(Debug, Default)]
struct Counts {
    changes: AtomicU64,
    transactions: AtomicU64,
    checkpoints: AtomicU64,
}

/// The callers' end.
#[derive(Debug)]
pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
    counts: Arc<Counts>,
    doubt: Arc<Doubt>,
}

#[derive(Debug)]
enum Request {
    Store(Box<Waiting>),
    Remove(Removing),
    /// Find out what is in the file, if that is not known.
    Settle(oneshot::Sender<()>),
    Close(oneshot::Sender<Result<(), CloseError>>),
}

/// A change that waits for the writer.
#[derive(Debug)]
struct Waiting {
    change: EncodedChange,
    ticket: Ticket<Seq>,
}

/// A session that waits to be deleted.
#[derive(Debug)]
struct Removing {
    order: Order,
    ticket: Ticket<Result<Removal, RemoveError>>,
}

/// What a caller who waits for the writer holds the other end of.
#[derive(Debug)]
struct Ticket<T> {
    deadline: Instant,
    /// Set by whoever comes first: the writer, which then does what is asked, or the caller, who
    /// then knows that it never will.
    claimed: Arc<AtomicBool>,
    answer: oneshot::Sender<Result<T, CommitError>>,
}

impl<T> Ticket<T> {
    /// Says whether the caller still waits, and takes the request.
    fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }
}

impl Writer {
    /// Starts the thread, which ends when this is dropped or closed.
    pub(super) fn start(path: PathBuf, connection: Connection) -> Result<Self, OpenError> {
        let (requests, inbox) = mpsc::channel(QUEUE_CHANGES_MAX);
        let counts = Arc::new(Counts::default());
        let doubt = Arc::new(Doubt::default());
        let thread = Thread {
            path,
            connection: Some(connection),
            inbox,
            counts: Arc::clone(&counts),
            doubt: Arc::clone(&doubt),
            checkpoint_at_frames: CHECKPOINT_FRAMES,
        };
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || thread.run())
            .map_err(|error| OpenError::NoThread { reason: error.to_string() })?;
        Ok(Self { requests, counts, doubt })
    }

    /// Stores a change, and answers in time, whatever the disk does.
    ///
    /// Not cancel safe: dropped, the change may or may not be stored.
    pub(super) async fn store(&self, change: EncodedChange) -> Result<Seq, CommitError> {
        failpoint!(CommitBegun, change.session());
        self.ask(|ticket| Request::Store(Box::new(Waiting { change, ticket }))).await
    }

    /// Deletes a session, and answers in time, whatever the disk does.
    ///
    /// Not cancel safe: dropped, the session may or may not be deleted.
    pub(super) async fn remove(&self, order: Order) -> Result<Removal, RemoveError> {
        let answer = self.ask(|ticket| Request::Remove(Removing { order, ticket })).await;
        answer.unwrap_or_else(|error| Err(RemoveError::Store(error)))
    }

    /// Hands a request to the thread, and waits for its answer as long as a caller may wait.
    async fn ask<T>(&self, request: impl FnOnce(Ticket<T>) -> Request) -> Result<T, CommitError> {
        let deadline = Instant::now() + Duration::from_millis(ANSWER_MS_MAX);
        let place = match timeout_at(deadline.into(), self.requests.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(not_stored("the store is closed")),
            Err(_elapsed) => return Err(not_stored("too many changes wait for the disk")),
        };
        let claimed = Arc::new(AtomicBool::new(false));
        let (answer, answered) = oneshot::channel();
        place.send(request(Ticket { deadline, claimed: Arc::clone(&claimed), answer }));
        if let Ok(Ok(result)) = timeout_at(deadline.into(), answered).await {
            return result;
        }
        if claimed.swap(true, Ordering::AcqRel) {
            self.doubt.leave();
            return Err(CommitError::Unknown { reason: "the disk does not answer".to_owned() });
        }
        Err(not_stored("the disk does not keep up"))
    }

    /// Waits until it is known what is in the file, or the deadline; returns `None` when it is not.
    pub(super) async fn certainty(&self, deadline: Instant) -> Option<Certainty> {
        if let Some(certainty) = self.doubt.certainty() {
            return Some(certainty);
        }
        let (answer, answered) = oneshot::channel();
        let settling = async {
            self.requests.send(Request::Settle(answer)).await.ok()?;
            answered.await.ok()
        };
        timeout_at(deadline.into(), settling).await.ok()??;
        self.doubt.certainty()
    }

    /// Says whether what was read since is known to be in the file.
    pub(super) fn is_still_certain(&self, certainty: Certainty) -> bool {
        self.doubt.is_still(certainty)
    }

    /// Stores what waits, marks the database as closed, and ends the thread.
    pub(super) async fn close(&self) -> Result<(), CloseError> {
        let deadline = Instant::now() + Duration::from_millis(CLOSE_MS_MAX);
        let (answer, answered) = oneshot::channel();
        let closing = async {
            match self.requests.send(Request::Close(answer)).await {
                Ok(()) => answered.await.unwrap_or_else(|_| Err(close_error("it broke off"))),
                Err(_closed_before) => Ok(()),
            }
        };
        timeout_at(deadline.into(), closing)
            .await
            .unwrap_or_else(|_elapsed| Err(close_error("the disk does not answer")))
    }

    /// Returns what was done so far.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            changes: self.counts.changes.load(Ordering::Relaxed),
            transactions: self.counts.transactions.load(Ordering::Relaxed),
            checkpoints: self.counts.checkpoints.load(Ordering::Relaxed),
            waiting: self.requests.max_capacity() - self.requests.capacity(),
        }
    }
}

fn close_error(reason: &str) -> CloseError {
    CloseError { reason: reason.to_owned() }
}

/// The thread's end.
struct Thread {
    path: PathBuf,
    /// `None` after a failure that leaves it open what is in the file.
    connection: Option<Connection>,
    inbox: mpsc::Receiver<Request>,
    counts: Arc<Counts>,
    doubt: Arc<Doubt>,
    checkpoint_at_frames: u32,
}

/// What is taken from the queue at once.
#[derive(Default)]
struct Group {
    changes: Vec<Waiting>,
    removals: Vec<Removing>,
    settle: Vec<oneshot::Sender<()>>,
    close: Option<oneshot::Sender<Result<(), CloseError>>>,
}

impl Group {
    fn len(&self) -> usize {
        self.changes.len() + self.removals.len() + self.settle.len()
    }
}

impl Thread {
    fn run(mut self) {
        // It sleeps here, and wakes for nothing but a request.
        while let Some(first) = self.inbox.blocking_recv() {
            let group = self.collect(first);
            self.store(group.changes);
            for removing in group.removals {
                self.remove(removing);
            }
            self.doubt.catch_up();
            if !group.settle.is_empty() {
                self.settle();
            }
            for answer in group.settle {
                let _left = answer.send(());
            }
            if let Some(answer) = group.close {
                self.close(answer);
                return;
            }
            self.checkpoint_when_due();
        }
    }

    /// Takes what waits already, up to the limit of a group or the request to close.
    fn collect(&mut self, first: Request) -> Group {
        let mut group = Group::default();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Store(waiting) => group.changes.push(*waiting),
                Request::Remove(removing) => group.removals.push(removing),
                Request::Settle(answer) => group.settle.push(answer),
                Request::Close(answer) => {
                    group.close = Some(answer);
                    break;
                }
            }
            let has_room = group.len() < GROUP_CHANGES_MAX;
            next = has_room.then(|| self.inbox.try_recv().ok()).flatten();
        }
        group
    }

    fn store(&mut self, mut group: Vec<Waiting>) {
        group.retain(|waiting| waiting.ticket.claim());
        let Some(earliest) = group.iter().map(|waiting| waiting.ticket.deadline).min() else {
            return;
        };
        let results = match self.try_store(&group, earliest) {
            Ok(results) => results,
            Err(answer) => vec![Err(answer); group.len()],
        };
        let stored = results.iter().filter(|result| result.is_ok()).count();
        if stored > 0 {
            self.counts.transactions.fetch_add(1, Ordering::Relaxed);
            self.counts.changes.fetch_add(stored as u64, Ordering::Relaxed);
        }
        for (waiting, result) in group.into_iter().zip(results) {
            // A caller who has left reads the row when it matters.
            let _left = waiting.ticket.answer.send(result);
        }
    }

    fn try_store(
        &mut self,
        group: &[Waiting],
        deadline: Instant,
    ) -> Result<Vec<Result<Seq, CommitError>>, CommitError> {
        let results = self.in_transaction(deadline, |connection| {
            group::store(connection, group.iter().map(|waiting| &waiting.change))
        })?;
        failpoint!(CommitDone);
        Ok(results)
    }

    /// Deletes a session in a transaction of its own.
    fn remove(&mut self, removing: Removing) {
        let Removing { order, ticket } = removing;
        if !ticket.claim() {
            return;
        }
        let result =
            self.in_transaction(ticket.deadline, |connection| removal::remove(connection, order));
        if matches!(result, Ok(Ok(_))) {
            self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        }
        // A caller who has left finds out by reading.
        let _left = ticket.answer.send(result);
    }

    /// Runs a job that is one transaction, on a connection that can be trusted.
    fn in_transaction<T>(
        &mut self,
        deadline: Instant,
        job: impl FnOnce(&Connection) -> Result<T, Failed>,
    ) -> Result<T, CommitError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen(deadline)?,
        };
        wait_for_locks_until(&connection, deadline)?;
        match job(&connection) {
            Ok(results) => {
                self.connection = Some(connection);
                Ok(results)
            }
            Err(Failed { answer, connection_is_sound: true }) => {
                self.connection = Some(connection);
                Err(answer)
            }
            Err(Failed { answer, connection_is_sound: false }) => {
                warn!(error = %answer, "the database failed to store a change; it is opened anew");
                if matches!(answer, CommitError::Unknown { .. }) {
                    self.doubt.begin();
                }
                drop(connection);
                // At once, so that whoever now wants to read the row need not wait.
                self.connection = self.reopen(deadline).ok();
                Err(answer)
            }
        }
    }

    fn settle(&mut self) {
        if self.connection.is_none() {
            let deadline = Instant::now() + Duration::from_millis(ANSWER_MS_MAX);
            self.connection = self.reopen(deadline).ok();
        }
    }

    /// Opens a new connection and copies all of the log into the database. What an earlier one
    /// wrote and could not vouch for is durable then, or gone.
    fn reopen(&self, deadline: Instant) -> Result<Connection, CommitError> {
        let failed = |reason: &str| {
            warn!(reason, "the database cannot be opened anew");
            not_stored(reason)
        };
        let connection =
            open(&self.path, Role::Writer).map_err(|error| failed(&error.to_string()))?;
        wait_for_locks_until(&connection, deadline)?;
        match checkpoint(&connection, Extent::AllAndEmpty) {
            Ok(Checkpoint { is_complete: true, .. }) => {
                self.doubt.end();
                Ok(connection)
            }
            Ok(Checkpoint { is_complete: false, .. }) => Err(failed("its log is being read")),
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    fn checkpoint_when_due(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let frames = match checkpoint(connection, Extent::Nothing) {
            Ok(Checkpoint { frames: Some(frames), .. }) => frames,
            Ok(Checkpoint { frames: None, .. }) | Err(_) => return,
        };
        if frames < CHECKPOINT_FRAMES {
            self.checkpoint_at_frames = CHECKPOINT_FRAMES;
        }
        let is_due = frames >= self.checkpoint_at_frames && self.inbox.is_empty();
        let is_overdue = frames >= self.checkpoint_at_frames.max(CHECKPOINT_FRAMES_MAX);
        let extent = match (is_due, is_overdue) {
            (false, false) => return,
            (true, false) => Extent::WhatIsFree,
            // Under readers that come without a pause the log never starts anew by itself.
            (_, true) => Extent::AllAndEmpty,
        };
        // The next try comes only when there is much more to copy: this one may fail, or be kept
        // from the end of the log by a reader.
        self.checkpoint_at_frames = frames.saturating_add(CHECKPOINT_FRAMES);
        let wait = Duration::from_millis(CHECKPOINT_WAIT_MS);
        let done = connection.busy_timeout(wait).and_then(|()| checkpoint(connection, extent));
        match done {
            Ok(_) => {
                self.counts.checkpoints.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                warn!(%error, "the log cannot be copied into the database");
                if leaves_doubt(&error) {
                    self.connection = None;
                }
            }
        }
    }

    fn close(mut self, answer: oneshot::Sender<Result<(), CloseError>>) {
        self.inbox.close();
        while let Ok(request) = self.inbox.try_recv() {
            match request {
                Request::Store(waiting) => {
                    let _left = waiting.ticket.answer.send(Err(not_stored("the store is closed")));
                }
                Request::Remove(removing) => {
                    let _left = removing.ticket.answer.send(Err(not_stored("the store is closed")));
                }
                Request::Settle(answer) => drop(answer),
                Request::Close(also) => {
                    let _left = also.send(Ok(()));
                }
            }
        }
        self.settle();
        let result = match self.connection.take() {
            Some(connection) => upkeep::close(connection),
            None => Err("it is not known what is in it".to_owned()),
        };
        let _left = answer.send(result.map_err(|reason| close_error(&reason)));
    }
}

/// Lets the connection wait for another process's lock as long as the caller can, and no longer.
fn wait_for_locks_until(connection: &Connection, deadline: Instant) -> Result<(), CommitError> {
    let reserve = Duration::from_millis(ANSWER_RESERVE_MS);
    let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(reserve);
    let wait = left.min(Duration::from_millis(u64::from(BUSY_MS_MAX)));
    connection.busy_timeout(wait).map_err(|error| before_commit(&error))
}
