//! The look from beside: it sees what the store sees, and finds what the store alone would not.

use std::fs;

use candor_adapters::sqlite::{DamagedRow, Inspector, KnownSession, OpenError, check_copy};
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};

use super::{Home, store};

/// Returns a session that ran to its end, with three events.
fn ended(number: u64) -> Chain {
    Chain::of(
        session_id(number),
        Policy::default(),
        &[Input::Spawned, exited(Exit::Code(0), false)],
    )
}

/// Returns what the check names of sessions, after `damage` was done to a closed database with two
/// sessions that have ended.
async fn named_after(damage: &str) -> Vec<DamagedRow> {
    let home = Home::in_memory();
    let database = home.open();
    for number in [1, 2] {
        store(&database, &ended(number)).await;
    }
    database.close().await.unwrap();
    home.raw().execute_batch(damage).unwrap();
    let report = home.check().await.unwrap();
    assert_eq!(report.sqlite, Vec::<String>::new());
    report.damaged
}

fn of_first(reason: &str) -> [DamagedRow; 1] {
    [DamagedRow::Session { id: Some(session_id(1)), reason: reason.to_owned() }]
}

#[tokio::test]
async fn what_is_sound_is_told_with_its_sessions() {
    let home = Home::in_memory();
    assert!(Inspector::open(&home.database).unwrap().is_none());
    assert_eq!(home.files(), [""; 0], "to look makes nothing");
    let database = home.open();
    store(&database, &ended(1)).await;
    store(&database, &Chain::of(session_id(2), Policy::default(), &[Input::Spawned])).await;
    store(&database, &Chain::launched(session_id(3))).await;
    let report = home.check().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.sessions, report.events), (3, 6));
    let known =
        |number, is_live, has_run| KnownSession { id: session_id(number), is_live, has_run };
    assert_eq!(report.known, [known(1, false, true), known(2, true, true), known(3, true, false)]);
}

#[tokio::test]
async fn a_gap_in_a_story_is_named() {
    for lost in ["1", "2"] {
        let damage = format!("DELETE FROM events WHERE seq = {lost}");
        assert_eq!(named_after(&damage).await, of_first("its events have a gap"), "{lost}");
    }
}

#[tokio::test]
async fn a_story_without_its_session_is_named() {
    let named = named_after("DELETE FROM sessions WHERE rowid = 1").await;
    assert_eq!(named, of_first("it cannot be found, and its events are there"));
}

#[tokio::test]
async fn a_story_that_goes_beyond_its_session_is_named() {
    let named = named_after(
        "INSERT INTO events (session, revision, id, at_us, from_status, to_status, cause, by_actor, crc)
         SELECT session, 4, id, at_us, from_status, to_status, cause, by_actor, crc
         FROM events WHERE seq = 3",
    )
    .await;
    assert!(named.contains(&of_first("its events go beyond it")[0]), "{named:?}");
}

#[tokio::test]
async fn references_that_lead_nowhere_and_tables_that_are_not_ours_are_named() {
    for (damage, finding) in [
        (
            "PRAGMA foreign_keys = OFF;
             CREATE TABLE one (id INTEGER PRIMARY KEY);
             CREATE TABLE other (one INTEGER REFERENCES one (id));
             INSERT INTO other VALUES (7)",
            "a row of other refers to one of one that is not there",
        ),
        ("DROP INDEX sessions_by_short", "sessions_by_short"),
    ] {
        let home = Home::in_memory();
        home.open().close().await.unwrap();
        home.raw().execute_batch(damage).unwrap();
        let report = home.check().await.unwrap();
        assert!(report.sqlite.iter().any(|line| line.contains(finding)), "{report:?}");
        assert!(!report.is_sound());
    }
}

#[tokio::test]
async fn to_look_writes_nothing_into_a_database_that_was_left_by_a_crash() {
    let home = Home::in_memory();
    let database = home.open();
    store(&database, &ended(1)).await;
    let crashed = Home::in_memory();
    for ending in ["", "-wal"] {
        fs::copy(home.beside(ending), crashed.beside(ending)).unwrap();
    }
    let bytes = || ["", "-wal"].map(|ending| fs::read(crashed.beside(ending)).unwrap());
    let before = bytes();
    let inspector = Inspector::open(&crashed.database).unwrap().unwrap();
    assert!(!inspector.was_closed() && !inspector.is_older());
    assert_eq!(inspector.log().unwrap().bytes, before[1].len() as u64);
    let report = inspector.check().await.unwrap();
    assert_eq!((report.sessions, report.is_sound()), (1, true), "the log is read as well");
    drop(inspector);
    assert!(bytes() == before);
}

#[tokio::test]
async fn a_log_that_nobody_cuts_is_told() {
    let home = Home::in_memory();
    let _database = home.open();
    let log = fs::File::options().write(true).open(home.beside("-wal")).unwrap();
    let inspector = Inspector::open(&home.database).unwrap().unwrap();
    assert!(!inspector.log().unwrap().is_too_long);
    log.set_len((64 << 20) + 1).unwrap();
    assert!(inspector.log().unwrap().is_too_long);
}

#[tokio::test]
async fn a_copy_is_ours_or_is_told_apart() {
    let home = Home::in_memory();
    home.open().close().await.unwrap();
    check_copy(&home.database).unwrap();
    home.raw().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(check_copy(&home.database), Err(OpenError::Newer { found: 99, .. })));
    fs::write(home.beside("-text"), "no database").unwrap();
    assert!(matches!(check_copy(&home.beside("-text")), Err(OpenError::Corrupt { .. })));
}
