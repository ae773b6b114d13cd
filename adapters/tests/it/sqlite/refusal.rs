//! Files that the store must not open: each gets its own answer, and not a byte of it changes.

use std::fs;
use std::path::Path;

use candor_adapters::sqlite::{OpenError, SqliteStore};
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::Repository as _;
use candor_harness::contract::repository::chain::{Chain, session_id};
use rusqlite::config::DbConfig;

use super::disk::Disk;
use super::{Home, store};

/// Opens what must be refused, and returns why. Asserts that it says what to do, and that all files
/// are as they were. SQLite's index of the log, which it makes anew at will, does not count, nor
/// does a log without a byte.
fn refused(home: &Home) -> OpenError {
    let files = || {
        let read = |name: String| (name.clone(), fs::read(home.folder.path().join(name)).ok());
        let mut files: Vec<_> = home.files().into_iter().map(read).collect();
        files.retain(|(name, bytes)| {
            !name.ends_with("-shm") && (!name.ends_with("-wal") || *bytes != Some(Vec::new()))
        });
        files
    };
    let before = files();
    let error = SqliteStore::open(&home.database).unwrap_err();
    assert!(before == files(), "{error}: the files have changed");
    let sentence = error.to_string();
    assert!(sentence.contains(&*home.database.to_string_lossy()), "{sentence}");
    assert!(sentence.contains(": ") && !sentence.contains('\n'), "{sentence}");
    error
}

/// Returns a home with a database of one session that was closed.
async fn used_home() -> Home {
    let home = Home::new();
    let first = home.open();
    store(&first, &Chain::of(session_id(1), Policy::default(), &[Input::Spawned])).await;
    first.close().await.unwrap();
    home
}

#[tokio::test]
async fn a_newer_version_is_refused() {
    let home = used_home().await;
    home.raw().pragma_update(None, "user_version", 4).unwrap();
    home.raw().pragma_update(None, "journal_mode", "DELETE").unwrap();
    let error = refused(&home);
    assert!(matches!(error, OpenError::Newer { found: 4, supported: 3, .. }), "{error:?}");
    assert_eq!(home.files(), ["db"]);
}

/// The newer daemon was killed, so that only the log knows how new the database is.
#[tokio::test]
async fn a_newer_version_in_the_log_is_refused() {
    let home = used_home().await;
    let newer = home.raw();
    newer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    newer.pragma_update(None, "user_version", 4).unwrap();
    newer.close().unwrap();
    assert!(home.beside("-wal").metadata().unwrap().len() > 0);
    let error = refused(&home);
    assert!(matches!(error, OpenError::Newer { found: 4, .. }), "{error:?}");
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    for application_id in [0, 0x1234_5678] {
        let home = Home::new();
        let foreign = home.raw();
        foreign.pragma_update(None, "journal_mode", "WAL").unwrap();
        foreign.execute_batch("CREATE TABLE sessions (id)").unwrap();
        foreign.pragma_update(None, "application_id", application_id).unwrap();
        foreign.close().unwrap();
        let error = refused(&home);
        let found =
            matches!(error, OpenError::Foreign { application_id: it, .. } if it == application_id);
        assert!(found, "{error:?}");
        assert_eq!(home.files(), ["db"]);
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let whole = fs::read(used_home().await.database).unwrap();
    let mut version_0 = whole.clone();
    version_0[60..64].fill(0);
    let cases: [&[u8]; 6] = [
        b"",
        b"SQLite format 3\0",
        b"once upon a time",
        &[0; 8192],
        &whole[..whole.len() / 2],
        &version_0,
    ];
    for bytes in cases {
        let home = Home::new();
        fs::write(&home.database, bytes).unwrap();
        let error = refused(&home);
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
    }
}

/// After a crash the pages are checked before anything is written.
#[tokio::test]
async fn damaged_pages_are_found_after_a_crash() {
    let home = used_home().await;
    let raw = home.raw();
    raw.execute_batch("UPDATE state SET closed_cleanly = 0").unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'sessions_by_short'";
    let page: u32 = raw.query_row(root, [], |row| row.get(0)).unwrap();
    raw.close().unwrap();
    let mut bytes = fs::read(&home.database).unwrap();
    // Nothing reads this page before somebody looks for a short id.
    bytes[(page as usize - 1) * 4096..][..64].fill(0x5a);
    fs::write(&home.database, bytes).unwrap();
    let error = refused(&home);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_changed_table_is_refused() {
    let home = used_home().await;
    home.raw().execute_batch("ALTER TABLE events RENAME COLUMN cause TO reason").unwrap();
    let error = refused(&home);
    assert!(
        matches!(&error, OpenError::Corrupt { detail, .. } if detail.contains("events")),
        "{error:?}"
    );
}

/// A new database must not be given the log of one that is gone.
#[tokio::test]
async fn a_log_without_its_database_is_refused() {
    let home = Home::new();
    let first = home.open();
    store(&first, &Chain::launched(session_id(1))).await;
    drop(first);
    fs::remove_file(&home.database).unwrap();
    let error = refused(&home);
    assert!(
        matches!(&error, OpenError::Corrupt { detail, .. } if detail.contains("-wal")),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_no_plain_file_is_refused() {
    let home = Home::new();
    fs::create_dir(&home.database).unwrap();
    let error = refused(&home);
    assert!(
        matches!(&error, OpenError::NotWritable { reason, .. } if reason.contains("folder")),
        "{error:?}"
    );

    let missing = SqliteStore::open(Path::new("/nowhere/at/all/db")).unwrap_err();
    assert!(matches!(missing, OpenError::NotWritable { .. }), "{missing:?}");
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let Some(disk) = Disk::mount("4m") else { return };
    let empty = disk.home("empty");
    let used = disk.home("used");
    used.open().close().await.unwrap();
    disk.remount("ro");
    for home in [&empty, &used] {
        let error = refused(home);
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    }
    disk.remount("rw");
    used.open().commit(Chain::launched(session_id(1)).change()).await.unwrap();
}

#[tokio::test]
async fn a_locked_database_is_refused_in_time() {
    let home = used_home().await;
    let lock = home.raw();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = SqliteStore::open(&home.database).unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
    lock.execute_batch("ROLLBACK").unwrap();
    home.open().commit(Chain::launched(session_id(2)).change()).await.unwrap();
}
