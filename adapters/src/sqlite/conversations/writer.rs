//! The only writer: one thread, which adds all batches that wait at the same time in one
//! transaction, and has the database to itself.
//!
//! Whatever becomes of the file, the thread goes on: what cannot be written is told to who asked, and
//! a damaged file gives its place to an empty one.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use candor_core::session::SessionId;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::append::{append, has_removed, mark_removed, remove_some};
use super::place::{is_damage, open_or_rebuild, set_aside};
use super::wakeups::Wakeups;
use super::{AppendError, Batch};
use crate::sqlite::errors::{CloseError, OpenError, leaves_doubt};
use crate::sqlite::group::run;
use crate::sqlite::readers::Readers;
use crate::sqlite::upkeep::{self, Extent, checkpoint};

/// Requests that may wait for the writer, at most.
const QUEUE_MAX: usize = 64;

/// Items that one transaction adds, unless a single batch has more.
const GROUP_ITEMS_MAX: usize = 4_096;

/// Items that one transaction removes, at most.
const REMOVE_ITEMS_MAX: u32 = 2_000;

/// Pages of 4 KiB that are given back to the disk at once after a removal, at most.
const VACUUM_PAGES: u32 = 4_096;

/// How long a database that could not be opened is left alone, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// The log is copied into the database when it has this many frames of 4 KiB.
const CHECKPOINT_FRAMES: u32 = 1_000;

/// From this many on it is emptied, too, for which readers are waited for.
const CHECKPOINT_FRAMES_MAX: u32 = 8_000;

/// How long readers are waited for then, in milliseconds.
const CHECKPOINT_WAIT_MS: u64 = 50;

/// The name of the thread.
const THREAD_NAME: &str = "candor-talk";

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Request {
    Append(Batch, oneshot::Sender<Result<(), AppendError>>),
    Remove(SessionId, oneshot::Sender<Result<(), AppendError>>),
    /// A reader has met damage: look whether it is so.
    Check,
    Close(oneshot::Sender<Result<(), CloseError>>),
}

/// The thread's end.
pub(super) struct Thread {
    pub(super) path: PathBuf,
    pub(super) aside: PathBuf,
    pub(super) readers: Arc<Readers>,
    pub(super) wakeups: Arc<Wakeups>,
    inbox: mpsc::Receiver<Request>,
    /// Counts the files that have had the name, once the database was looked at.
    files: watch::Sender<u64>,
    connection: Option<Connection>,
    /// When it could not be opened, and why.
    failed: Option<(Instant, String)>,
    has_removed: bool,
}

type Answer = oneshot::Sender<Result<(), AppendError>>;

impl Thread {
    /// Starts the thread, which opens the database first. It ends when the sender is dropped.
    pub(super) fn start(
        path: PathBuf,
        aside: PathBuf,
        readers: Arc<Readers>,
        wakeups: Arc<Wakeups>,
    ) -> Result<(mpsc::Sender<Request>, watch::Receiver<u64>), OpenError> {
        let (requests, inbox) = mpsc::channel(QUEUE_MAX);
        let (files, told) = watch::channel(0);
        let (connection, failed, has_removed) = (None, None, false);
        let thread =
            Self { path, aside, readers, wakeups, inbox, files, connection, failed, has_removed };
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || thread.run())
            .map_err(|error| OpenError::NoThread { reason: error.to_string() })?;
        Ok((requests, told))
    }

    fn run(mut self) {
        self.open();
        self.files.send_replace(1);
        // While something is to be removed it does not sleep, and is asked between two steps.
        while let Some(first) = self.next_request() {
            let mut batches = Vec::new();
            let mut next = first;
            while let Some(request) = next.take() {
                match request {
                    Request::Append(batch, answer) => batches.push((batch, answer)),
                    Request::Remove(session, answer) => {
                        self.append(std::mem::take(&mut batches));
                        let _left = answer.send(self.remove(session));
                    }
                    Request::Check => self.check(),
                    Request::Close(answer) => {
                        self.append(batches);
                        let _left = answer.send(self.close());
                        return;
                    }
                }
                let items: usize = batches.iter().map(|(batch, _)| batch.items.len()).sum();
                if items < GROUP_ITEMS_MAX {
                    next = self.inbox.try_recv().ok();
                }
            }
            self.append(batches);
            self.remove_step();
            self.checkpoint_when_due();
        }
    }

    /// Returns `None` when nobody can ask any more, and otherwise what is asked, if it must not wait
    /// for that.
    fn next_request(&mut self) -> Option<Option<Request>> {
        if self.has_removed && self.connection.is_some() {
            return match self.inbox.try_recv() {
                Ok(request) => Some(Some(request)),
                Err(mpsc::error::TryRecvError::Empty) => Some(None),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
            };
        }
        self.inbox.blocking_recv().map(Some)
    }

    fn open(&mut self) {
        match open_or_rebuild(&self.path, &self.aside) {
            Ok(connection) => {
                self.has_removed = has_removed(&connection).unwrap_or(true);
                self.connection = Some(connection);
                self.failed = None;
            }
            Err(error) => {
                warn!(%error, "conversations cannot be kept; sessions do not need them");
                self.failed = Some((Instant::now(), error.to_string()));
            }
        }
    }

    /// Returns the connection, or why there is none. One that failed is tried again after a while.
    fn connection(&mut self) -> Result<&Connection, AppendError> {
        let may_retry = self
            .failed
            .as_ref()
            .is_none_or(|(at, _)| at.elapsed() >= Duration::from_millis(RETRY_MS));
        if self.connection.is_none() && may_retry {
            self.open();
        }
        let reason = self.failed.as_ref().map(|(_, reason)| reason.clone());
        self.connection.as_ref().ok_or_else(|| AppendError::Unavailable {
            reason: reason.unwrap_or_else(|| "the database is not open".to_owned()),
        })
    }

    fn append(&mut self, batches: Vec<(Batch, Answer)>) {
        if batches.is_empty() {
            return;
        }
        let (batches, answers): (Vec<Batch>, Vec<Answer>) = batches.into_iter().unzip();
        let count = batches.len();
        let results = self
            .in_transaction(|connection| {
                batches.iter().map(|batch| append(connection, batch)).collect()
            })
            .unwrap_or_else(|error| vec![Err(error); count]);
        for ((batch, answer), result) in batches.iter().zip(answers).zip(results) {
            if result.is_ok() {
                self.wakeups.wake(batch.session);
            }
            // Whoever has left asks again, and it makes no difference.
            let _left = answer.send(result);
        }
    }

    fn remove(&mut self, session: SessionId) -> Result<(), AppendError> {
        self.in_transaction(|connection| mark_removed(connection, &session))?;
        self.wakeups.wake(session);
        self.has_removed = true;
        Ok(())
    }

    /// Removes a part of what is to be removed.
    fn remove_step(&mut self) {
        if !self.has_removed || self.connection.is_none() {
            return;
        }
        let left = self.in_transaction(|connection| {
            remove_some(connection, REMOVE_ITEMS_MAX)?;
            has_removed(connection)
        });
        // What fails is tried again by the next start at the latest.
        self.has_removed = left.unwrap_or(false);
        if !self.has_removed
            && let Some(connection) = &self.connection
            && let Err(error) = upkeep::give_back(connection, VACUUM_PAGES)
        {
            warn!(%error, "the room of removed conversations is not given back yet");
        }
    }

    fn in_transaction<T>(
        &mut self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, AppendError> {
        let connection = self.connection()?;
        let done = run(connection, "BEGIN IMMEDIATE")
            .and_then(|()| job(connection))
            .and_then(|done| run(connection, "COMMIT").map(|()| done));
        let error = match done {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let is_undone = connection.is_autocommit() || run(connection, "ROLLBACK").is_ok();
        let reason = error.to_string();
        if is_damage(&error) {
            self.rebuild(&reason);
        } else if !is_undone || leaves_doubt(&error) {
            warn!(%error, "the database of conversations is opened anew");
            self.connection = None;
        }
        Err(AppendError::Unavailable { reason })
    }

    /// Gives the place of a damaged file to an empty one.
    fn rebuild(&mut self, reason: &str) {
        self.connection = None;
        if let Err(error) = set_aside(&self.path, &self.aside, reason) {
            warn!(%error, reason, "damaged conversations cannot be set aside");
            self.failed = Some((Instant::now(), reason.to_owned()));
            return;
        }
        self.open();
        self.readers.begin_anew();
        self.files.send_modify(|files| *files += 1);
    }

    fn check(&mut self) {
        let Ok(connection) = self.connection() else { return };
        let finding = match upkeep::quick_check(connection) {
            Ok(findings) => findings.into_iter().next(),
            Err(error) => is_damage(&error).then(|| error.to_string()),
        };
        match finding {
            Some(finding) => self.rebuild(&finding),
            None => info!("a reader met damage in the conversations, and there is none"),
        }
    }

    fn checkpoint_when_due(&mut self) {
        let Some(connection) = &self.connection else { return };
        let frames = checkpoint(connection, Extent::Nothing).ok().and_then(|log| log.frames);
        let extent = match frames {
            Some(frames) if frames >= CHECKPOINT_FRAMES_MAX => Extent::AllAndEmpty,
            Some(frames) if frames >= CHECKPOINT_FRAMES => Extent::WhatIsFree,
            Some(_) | None => return,
        };
        let wait = Duration::from_millis(CHECKPOINT_WAIT_MS);
        let done = connection.busy_timeout(wait).and_then(|()| checkpoint(connection, extent));
        if let Err(error) = done
            && leaves_doubt(&error)
        {
            warn!(%error, "the log of conversations cannot be copied into their database");
            self.connection = None;
        }
    }

    fn close(&mut self) -> Result<(), CloseError> {
        self.inbox.close();
        match self.connection.take() {
            Some(connection) => upkeep::close(connection).map_err(|reason| CloseError { reason }),
            None => Ok(()),
        }
    }
}
