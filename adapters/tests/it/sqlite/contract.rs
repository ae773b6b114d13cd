//! The promises of the port, and that they outlast the process.

use std::os::unix::fs::PermissionsExt as _;

use candor_adapters::sqlite::SqliteStore;
use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::{CommitError, ReadError, Repository as _};
use candor_core::status::Status;
use candor_core::verdict::Exit;
use candor_harness::contract::repository;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};

use super::{Home, assert_sound, store};

macro_rules! kept {
    ($($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            let home = Home::new();
            let store = home.open();
            repository::$promise(&store).await;
            assert_sound(&home).await;
        }
    )*};
}
candor_harness::repository_promises!(kept);

/// A runtime with many threads runs the same promises on one store, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_promises_hold_on_one_store() {
    macro_rules! all {
        ($($promise:ident)*) => {{
            let home = Home::new();
            let store = home.open();
            $(repository::$promise(&store).await;)*
            assert_sound(&home).await;
        }};
    }
    candor_harness::repository_promises!(all);
}

#[tokio::test]
async fn a_closed_store_is_tidy_and_everything_is_there_again() {
    let home = Home::new();
    let first = home.open();
    let closed_cleanly = || -> i64 {
        let flag = "SELECT closed_cleanly FROM state";
        home.raw().query_row(flag, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(closed_cleanly(), 0);
    let ended = Chain::of(
        session_id(1),
        Policy::default(),
        &[Input::Spawned, exited(Exit::Code(0), false)],
    );
    let live = Chain::of(session_id(2), Policy::default(), &[Input::Spawned]);
    store(&first, &ended).await;
    let last = store(&first, &live).await;
    first.close().await.unwrap();
    assert_eq!(home.files(), ["db"]);
    assert_eq!(closed_cleanly(), 1);

    let again = home.open();
    for chain in [&ended, &live] {
        let row = again.load(chain.session().id).await.unwrap().unwrap();
        assert!(chain.is(&row), "{row:?}");
    }
    assert_eq!(again.live().await, Ok(vec![live.session().id]));
    assert_eq!(again.last_seq().await, Ok(last));
    let next = again.commit(Chain::launched(session_id(3)).change()).await.unwrap();
    assert_eq!(next.number(), last.number() + 1);
}

#[tokio::test]
async fn a_dropped_store_loses_nothing() {
    let home = Home::new();
    let chain = Chain::of(session_id(1), Policy::default(), &[Input::Spawned]);
    let seq = store(&home.open(), &chain).await;
    let again = home.open();
    let row = again.load(chain.session().id).await.unwrap().unwrap();
    assert!(chain.is(&row) && row.last_seq == seq, "{row:?}");
    assert_sound(&home).await;
}

#[tokio::test]
async fn a_closed_store_refuses_and_says_so() {
    let home = Home::new();
    let store = home.open();
    let clone = store.clone();
    store.close().await.unwrap();
    store.close().await.unwrap();
    let change = Chain::launched(session_id(1));
    let refused = clone.commit(change.change()).await;
    assert!(matches!(refused, Err(CommitError::NotStored { .. })), "{refused:?}");
    let refused = clone.load(session_id(1)).await;
    assert!(matches!(refused, Err(ReadError::Unavailable { .. })), "{refused:?}");
    assert_eq!(home.open().last_seq().await, Ok(Seq::START));
}

#[tokio::test]
async fn closing_stores_what_waits() {
    let home = Home::new();
    let first = home.open();
    let chains: Vec<_> = (0..50).map(|number| Chain::launched(session_id(number))).collect();
    let commits: Vec<_> = chains
        .iter()
        .map(|chain| {
            let (store, change) = (first.clone(), chain.change().clone());
            tokio::spawn(async move { store.commit(&change).await })
        })
        .collect();
    tokio::task::yield_now().await;
    first.close().await.unwrap();
    let again = home.open();
    for (chain, commit) in chains.iter().zip(commits) {
        let result = commit.await.unwrap();
        let row = again.load(chain.session().id).await.unwrap();
        assert_eq!(result.is_ok(), row.is_some(), "{result:?}");
    }
}

/// Whoever may not read the database may not read what lies beside it either.
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let home = Home::new();
    let store = home.open();
    store.commit(Chain::launched(session_id(1)).change()).await.unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let mode = home.beside(suffix).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "db{suffix}");
    }
}

/// Places are not used again even when the rows that had them are deleted.
#[tokio::test]
async fn seq_goes_on_after_deleted_rows() {
    let home = Home::new();
    let first = home.open();
    let last = store(&first, &Chain::of(session_id(1), Policy::default(), &[Input::Spawned])).await;
    first.close().await.unwrap();
    home.raw().execute_batch("DELETE FROM events; DELETE FROM sessions").unwrap();

    let again = home.open();
    assert_eq!(again.last_seq().await, Ok(last));
    let next = again.commit(Chain::launched(session_id(1)).change()).await.unwrap();
    assert!(next > last, "{next} after {last}");
}

/// The counter of places is damaged. Too low, no place is given twice; at its end, nothing is stored
/// any more, and that is said.
#[tokio::test]
async fn a_damaged_counter_of_places_does_no_harm() {
    let home = Home::new();
    let store = home.open();
    let chain = Chain::of(session_id(1), Policy::default(), &[Input::Spawned]);
    let last = super::store(&store, &chain).await;
    let raw = home.raw();
    let set = |number: i64| raw.execute("UPDATE sqlite_sequence SET seq = ?1", [number]).unwrap();
    for damaged in [0, -1, 1, i64::MIN] {
        set(damaged);
        assert_eq!(store.last_seq().await, Ok(last));
    }
    let next = store.commit(Chain::launched(session_id(2)).change()).await.unwrap();
    assert_eq!(next.number(), last.number() + 1);
    set(i64::MAX);
    let refused = store.commit(Chain::launched(session_id(3)).change()).await;
    assert!(matches!(refused, Err(CommitError::NotStored { .. })), "{refused:?}");
}

/// The log is copied into the database by the writer, and does not grow for ever.
#[tokio::test]
async fn the_log_is_cut() {
    const LOG_BYTES_MAX: u64 = 20 * 1024 * 1024;

    let home = Home::in_memory();
    let store = home.open();
    let mut chain = Chain::launched(session_id(1));
    change_often(&store, &mut chain, 2_000).await;
    let checkpoints = store.counters().checkpoints;
    assert!((1..100).contains(&checkpoints), "{checkpoints}");
    let log_bytes = home.beside("-wal").metadata().unwrap().len();
    assert!(log_bytes < LOG_BYTES_MAX, "{log_bytes}");
    assert_sound(&home).await;
}

/// Stores the chain's last change, and so many more.
async fn change_often(store: &SqliteStore, chain: &mut Chain, count: u64) {
    store.commit(chain.change()).await.unwrap();
    for _ in 0..count {
        chain.step(match chain.session().status() {
            Status::Starting => Input::Spawned,
            Status::Running => Input::RequestOpened,
            _ => Input::RequestClosed,
        });
        store.commit(chain.change()).await.unwrap();
    }
}

/// Somebody reads for a long time, and the log grows meanwhile. Afterwards it is cut.
#[tokio::test]
async fn the_log_is_cut_after_a_long_read() {
    const LOG_BYTES_LONG: u64 = 16 * 1024 * 1024;

    let home = Home::in_memory();
    let store = home.open();
    let mut chain = Chain::launched(session_id(1));
    store.commit(chain.change()).await.unwrap();
    chain.step(Input::Spawned);
    let reader = home.raw();
    reader.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    let log_bytes = || home.beside("-wal").metadata().unwrap().len();
    while log_bytes() < LOG_BYTES_LONG {
        change_often(&store, &mut chain, 100).await;
        chain.step(match chain.session().status() {
            Status::Running => Input::RequestOpened,
            _ => Input::RequestClosed,
        });
    }
    reader.execute_batch("ROLLBACK").unwrap();
    change_often(&store, &mut chain, 300).await;
    assert!(log_bytes() < LOG_BYTES_LONG / 2, "{}", log_bytes());
    assert_sound(&home).await;
}

/// A change that contradicts itself is a bug of its maker, and does not get in.
#[tokio::test]
async fn a_change_that_contradicts_itself_is_refused() {
    let home = Home::new();
    let store = home.open();
    let good = Chain::launched(session_id(1)).change().clone();
    let mut other_session = good.clone();
    other_session.event.session = session_id(2);
    let mut skips = good.clone();
    skips.event.revision = skips.event.revision.next();
    let mut other_status = good.clone();
    other_status.event.to = Status::Lost;
    for change in [other_session, skips, other_status] {
        let refused = store.commit(&change).await;
        assert!(matches!(refused, Err(CommitError::NotStored { .. })), "{refused:?}");
    }
    store.commit(&good).await.unwrap();
}
