//! Many at once: one transaction for all that wait, and an answer in time whatever holds the lock.

use std::time::{Duration, Instant};

use candor_adapters::sqlite::SqliteStore;
use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::ports::{Change, CommitError, ReadError, Repository as _};
use candor_harness::contract::repository::chain::{Chain, session_id};
use tokio::task::{JoinHandle, yield_now};

use super::{Home, assert_sound};

/// What the port promises.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Starts a commit in a task of its own, which also says how long it took.
fn commit(
    store: &SqliteStore,
    change: &Change,
) -> JoinHandle<(Result<Seq, CommitError>, Duration)> {
    let (store, change) = (store.clone(), change.clone());
    tokio::spawn(async move {
        let start = Instant::now();
        (store.commit(&change).await, start.elapsed())
    })
}

/// Waits until so many changes wait for the writer.
async fn until_waiting(store: &SqliteStore, count: usize) {
    while store.counters().waiting != count {
        yield_now().await;
    }
}

/// Lets the commits that were started come to the writer, and waits until it has taken them.
async fn until_taken(store: &SqliteStore) {
    // There is one thread, and all other tasks have their turn before this one has its next.
    yield_now().await;
    until_waiting(store, 0).await;
}

#[tokio::test]
async fn what_waits_is_stored_in_one_transaction() {
    const WAITING: u64 = 64;

    let home = Home::new();
    let store = home.open();
    let lock = home.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The writer takes the first one alone, and waits for the lock.
    let mut commits = vec![commit(&store, Chain::launched(session_id(0)).change())];
    until_taken(&store).await;
    for number in 1..=WAITING {
        commits.push(commit(&store, Chain::launched(session_id(number)).change()));
    }
    until_waiting(&store, WAITING as usize).await;
    lock.execute_batch("ROLLBACK").unwrap();

    let mut places = Vec::new();
    for commit in commits {
        places.push(commit.await.unwrap().0.unwrap().number());
    }
    let counters = store.counters();
    assert_eq!((counters.changes, counters.transactions), (WAITING + 1, 2), "{counters:?}");
    assert!(places.is_sorted(), "in the order of their coming: {places:?}");
    assert_sound(&home).await;
}

/// One change of a group conflicts; the others of its transaction are stored.
#[tokio::test]
async fn a_conflict_hurts_nobody_else() {
    let home = Home::new();
    let store = home.open();
    let taken = Chain::launched(session_id(0));
    store.commit(taken.change()).await.unwrap();
    let mut without_row = Chain::launched(session_id(1));
    without_row.step(Input::Spawned);

    let lock = home.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = commit(&store, Chain::launched(session_id(2)).change());
    until_taken(&store).await;
    let good: Vec<_> = (3..6).map(|number| Chain::launched(session_id(number))).collect();
    let results = [
        commit(&store, good[0].change()),
        commit(&store, taken.by_another_writer().change()),
        commit(&store, good[1].change()),
        commit(&store, without_row.change()),
        commit(&store, good[2].change()),
    ];
    until_waiting(&store, results.len()).await;
    lock.execute_batch("ROLLBACK").unwrap();

    let mut kinds = Vec::new();
    for result in results {
        kinds.push(result.await.unwrap().0.map(Seq::number));
    }
    let conflict = || Err(CommitError::Conflict);
    assert_eq!(first.await.unwrap().0.map(Seq::number), Ok(2));
    assert_eq!(kinds, [Ok(3), conflict(), Ok(4), conflict(), Ok(5)]);
    assert_eq!(store.counters().transactions, 3);
    assert!(taken.is(&store.load(taken.session().id).await.unwrap().unwrap()));
    assert_eq!(store.load(without_row.session().id).await, Ok(None));
    assert_sound(&home).await;
}

/// A session whose row is gone and whose events are there is damaged, and not begun anew: of the
/// change that meets the events nothing is kept, while others of its transaction are stored.
#[tokio::test]
async fn a_change_that_meets_half_a_session_leaves_nothing() {
    let home = Home::new();
    let store = home.open();
    let half = Chain::launched(session_id(0));
    store.commit(half.change()).await.unwrap();
    let raw = home.raw();
    raw.execute_batch("DELETE FROM sessions; BEGIN IMMEDIATE").unwrap();
    let first = commit(&store, Chain::launched(session_id(1)).change());
    until_taken(&store).await;
    let again = commit(&store, half.by_another_writer().change());
    let good = commit(&store, Chain::launched(session_id(2)).change());
    until_waiting(&store, 2).await;
    raw.execute_batch("ROLLBACK").unwrap();

    for stored in [first, good] {
        stored.await.unwrap().0.unwrap();
    }
    assert_eq!(again.await.unwrap().0, Err(CommitError::Conflict));
    let read = store.load(session_id(0)).await;
    assert!(matches!(read, Err(ReadError::Damaged { .. })), "{read:?}");
    assert_eq!(store.live().await.unwrap(), [1, 2].map(session_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_on_many_threads_lose_nothing() {
    const WRITERS: u64 = 16;
    const CHANGES: u64 = 30;

    let home = Home::new();
    let store = home.open();
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut chain = Chain::launched(session_id(number));
                store.commit(chain.change()).await.unwrap();
                for round in 1..CHANGES {
                    chain.step(match round {
                        1 => Input::Spawned,
                        _ if round % 2 == 0 => Input::RequestOpened,
                        _ => Input::RequestClosed,
                    });
                    store.commit(chain.change()).await.unwrap();
                    let row = store.load(chain.session().id).await.unwrap().unwrap();
                    assert!(chain.is(&row), "{row:?}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let counters = store.counters();
    assert_eq!(counters.changes, WRITERS * CHANGES);
    assert!(counters.transactions < counters.changes, "{counters:?}");
    assert_eq!(store.last_seq().await, Ok(Seq::from_number(WRITERS * CHANGES)));
    assert_sound(&home).await;
}

/// Another process keeps the lock: everybody is told in time that nothing was stored, those too
/// who came while the writer waited; and once it lets go, commits work again.
#[tokio::test]
async fn a_foreign_lock_is_answered_in_time() {
    let home = Home::new();
    let store = home.open();
    let before = Chain::launched(session_id(0));
    store.commit(before.change()).await.unwrap();
    let lock = home.raw();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let mut commits = vec![commit(&store, Chain::launched(session_id(1)).change())];
    until_taken(&store).await;
    // While the writer waits with the first, more come, and reads go on.
    for number in 2..6 {
        commits.push(commit(&store, Chain::launched(session_id(number)).change()));
    }
    assert!(before.is(&store.load(before.session().id).await.unwrap().unwrap()));
    for commit in commits {
        let (result, took) = commit.await.unwrap();
        assert!(matches!(result, Err(CommitError::NotStored { .. })), "{result:?}");
        assert!(took < ANSWER_MAX, "{took:?}");
    }
    lock.execute_batch("ROLLBACK").unwrap();

    store.commit(Chain::launched(session_id(1)).change()).await.unwrap();
    assert_eq!(store.load(session_id(2)).await, Ok(None));
    assert_sound(&home).await;
}

/// Whoever does not wait for the answer leaves nothing half done.
#[tokio::test]
async fn a_commit_that_is_dropped_is_stored_or_not() {
    let home = Home::new();
    let store = home.open();
    for number in 0..20 {
        let commit = commit(&store, Chain::launched(session_id(number)).change());
        yield_now().await;
        commit.abort();
    }
    store.commit(Chain::launched(session_id(20)).change()).await.unwrap();
    assert_sound(&home).await;
}
