//! Reads beside the writer: a few read-only connections, used from tokio's blocking threads.
//!
//! No read lasts longer than its deadline, so that none keeps the write-ahead log from being cut.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use candor_core::ports::ReadError;
use candor_core::session::SessionId;
use rusqlite::Connection;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::error::Elapsed;
use tokio::time::timeout_at;

use super::connection::{Role, open_as};
use super::errors::{ReadFailure, read_error, unavailable};
use super::schema::{self, Kind};

/// Connections that read at the same time, at most.
const READERS_MAX: u32 = 4;

/// How long a read may take, waiting for its turn included, in milliseconds.
pub(super) const READ_MS_MAX: u64 = 5_000;

/// How much longer a caller waits for a read that hangs in the operating system, where no deadline
/// of ours reaches, in milliseconds.
const READ_SLACK_MS: u64 = 200;

/// How many steps SQLite takes between two looks at the clock. One step is well below 1 µs.
const STEPS_PER_LOOK: i32 = 10_000;

/// The connections.
#[derive(Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    kind: &'static Kind,
    path: PathBuf,
    idle: Mutex<Idle>,
}

/// Connections that nobody uses.
#[derive(Debug, Default)]
struct Idle {
    /// Counts the files that had this name. A connection to an earlier one is of no use.
    file: u64,
    connections: Vec<Connection>,
}

impl Readers {
    /// Opens nothing yet: the first read does.
    pub(super) fn new(path: PathBuf) -> Self {
        Self::of(&schema::SESSIONS, path)
    }

    /// Returns readers of a database of this kind. Opens nothing yet.
    pub(super) fn of(kind: &'static Kind, path: PathBuf) -> Self {
        let shared = Arc::new(Shared { kind, path, idle: Mutex::default() });
        Self { shared, turns: Arc::new(Semaphore::new(READERS_MAX as usize)) }
    }

    /// Returns where the database is.
    pub(super) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `job` in one transaction, until the deadline.
    ///
    /// Cancel safe.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        deadline: Instant,
        about: Option<SessionId>,
        job: impl FnOnce(&Connection) -> Result<T, ReadFailure> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = timeout_at(deadline.into(), Arc::clone(&self.turns).acquire_owned()).await;
        let turn = granted(turn)?;
        let shared = Arc::clone(&self.shared);
        let running = spawn_blocking(move || {
            let result = shared.run(deadline, about, job);
            drop(turn);
            result
        });
        let latest = deadline + Duration::from_millis(READ_SLACK_MS);
        match timeout_at(latest.into(), running).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic_or_shutdown)) => Err(unavailable("the read was broken off")),
            Err(_elapsed) => Err(unavailable("the disk does not answer")),
        }
    }

    /// Takes note that another file has the name of the database now.
    pub(super) fn begin_anew(&self) {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.file += 1;
        idle.connections.clear();
    }

    /// Lets no read begin any more, waits for those that run, and closes their connections.
    pub(super) async fn close(&self) {
        let wait = Instant::now() + Duration::from_millis(READ_MS_MAX + READ_SLACK_MS);
        let turns = timeout_at(wait.into(), self.turns.acquire_many(READERS_MAX)).await;
        self.turns.close();
        self.begin_anew();
        drop(turns);
    }
}

fn granted(
    turn: Result<Result<OwnedSemaphorePermit, AcquireError>, Elapsed>,
) -> Result<OwnedSemaphorePermit, ReadError> {
    match turn {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_closed)) => Err(unavailable("the store is closed")),
        Err(_elapsed) => Err(unavailable("too many others read")),
    }
}

impl Shared {
    fn run<T>(
        &self,
        deadline: Instant,
        about: Option<SessionId>,
        job: impl FnOnce(&Connection) -> Result<T, ReadFailure>,
    ) -> Result<T, ReadError> {
        let (file, idle) = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            (idle.file, idle.connections.pop())
        };
        let connection = match idle {
            Some(connection) => connection,
            None => open_as(self.kind, &self.path, Role::Reader)
                .map_err(|error| unavailable(&error.to_string()))?,
        };
        // A connection that met an error is not used again: it may be what is broken.
        let result = in_one_transaction(&connection, deadline, job)
            .map_err(|failure| read_error(failure, about))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.file == file {
            idle.connections.push(connection);
        }
        Ok(result)
    }
}

fn in_one_transaction<T>(
    connection: &Connection,
    deadline: Instant,
    job: impl FnOnce(&Connection) -> Result<T, ReadFailure>,
) -> Result<T, ReadFailure> {
    let is_late = move || Instant::now() > deadline;
    connection.progress_handler(STEPS_PER_LOOK, Some(is_late))?;
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = job(connection)?;
    connection.prepare_cached("ROLLBACK")?.execute([])?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use candor_core::ports::ReadError;
    use rusqlite::Connection;

    use super::{READERS_MAX, Readers};
    use crate::sqlite::connection::{Role, open};
    use crate::sqlite::errors::ReadFailure;
    use crate::sqlite::file;

    fn count_for_ever(connection: &Connection) -> Result<i64, ReadFailure> {
        const SQL: &str =
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number)
            SELECT count(*) FROM number";
        Ok(connection.query_row(SQL, [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_broken_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        file::create(&path).unwrap();
        let _writer = open(&path, Role::Writer).unwrap();
        let readers = Readers::new(path);
        // More of them than there are connections, one after the other: each gives its own back.
        for _ in 0..=READERS_MAX {
            let deadline = Instant::now() + Duration::from_millis(5);
            let result = readers.read(deadline, None, count_for_ever).await;
            let reason = "the read took too long".to_owned();
            assert_eq!(result, Err(ReadError::Unavailable { reason }));
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(readers.read(deadline, None, |_connection| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_in_a_read_is_an_error_and_costs_no_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        file::create(&path).unwrap();
        let _writer = open(&path, Role::Writer).unwrap();
        let readers = Readers::new(path);
        let deadline = Instant::now() + Duration::from_secs(5);
        for _ in 0..=READERS_MAX {
            let result = readers.read(deadline, None, |_| -> Result<(), _> { panic!("a bug") });
            assert!(matches!(result.await, Err(ReadError::Unavailable { .. })));
        }
        assert_eq!(readers.read(deadline, None, |_connection| Ok(7)).await, Ok(7));
    }
}
