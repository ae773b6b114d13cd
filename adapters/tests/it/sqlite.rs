//! The store against its contract, and against everything that a real disk does to it.

use std::path::{Path, PathBuf};

use candor_adapters::sqlite::{CheckReport, Inspector, SqliteStore};
use candor_core::event::Seq;
use candor_core::ports::Repository as _;
use candor_harness::contract::repository::chain::Chain;
use tempfile::TempDir;

mod backup;
mod contract;
mod damage;
mod disk;
mod group;
mod inspect;
mod kill;
mod launches;
mod refusal;
mod removal;
mod rows;
mod views;

/// A folder that is removed at the end, and the path of a database in it.
struct Home {
    folder: TempDir,
    database: PathBuf,
}

impl Home {
    fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    /// In memory where the system has such a folder, for tests that write a lot.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::of(if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        })
    }

    fn of(folder: TempDir) -> Self {
        let database = folder.path().join("db");
        Self { folder, database }
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.database).unwrap()
    }

    /// Checks the database from beside. That this process may have it open costs the store its lock
    /// on the file, which nobody else wants here.
    async fn check(&self) -> Result<CheckReport, String> {
        let inspector = Inspector::open(&self.database).map_err(|error| error.to_string())?;
        inspector.expect("there is one").check().await.map_err(|error| error.to_string())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("db{suffix}"))
    }

    /// Returns the names of all files, in order.
    fn files(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Opens the database as any other program would.
    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.database).unwrap()
    }
}

/// Stores all changes of a life, and returns the place of the last one.
async fn store(store: &SqliteStore, chain: &Chain) -> Seq {
    let mut seq = Seq::START;
    for change in chain.life() {
        seq = store.commit(change).await.unwrap();
    }
    seq
}

/// Asserts that the row check finds nothing.
async fn assert_sound(home: &Home) {
    let report = home.check().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
}

/// Says why a test did nothing.
#[expect(clippy::print_stderr, reason = "whoever reads the report must know what was not tested")]
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
