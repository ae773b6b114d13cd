//! What sessions are found by, and the requests that they came of.

use candor_adapters::sqlite::{ListQuery, SqliteStore};
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::session::{RequestKey, SessionId, Spec};
use candor_core::stop::Actor;
use candor_core::time::Timestamp;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id, spec};

use super::{Home, assert_sound, store};

async fn found(database: &SqliteStore, text: &str) -> Vec<SessionId> {
    let query = ListQuery { text: Some(text.to_owned()), ..ListQuery::newest(100) };
    let listing = database.list(&query).await.unwrap();
    assert!(listing.damaged.is_empty(), "{listing:?}");
    listing.sessions.iter().map(|stored| stored.session.id).collect()
}

fn ended(number: u64) -> Chain {
    let inputs = [Input::Spawned, exited(Exit::Code(0), false)];
    Chain::of(session_id(number), Policy::default(), &inputs)
}

/// A session that came of a request.
fn requested(number: u64, key: &str) -> Chain {
    let request = RequestKey { key: key.to_owned(), digest: format!("digest {number}") };
    let spec = Spec { request: Some(request), ..spec(Policy::default()) };
    Chain::launched_with(session_id(number), spec)
}

#[tokio::test]
async fn sessions_of_an_older_database_are_found_as_well() {
    let home = Home::new();
    let database = home.open();
    for number in 1..=3 {
        store(&database, &ended(number)).await;
    }
    database.close().await.unwrap();
    home.raw()
        .execute_batch(
            "DROP TABLE launch_texts; DROP TABLE launches; DROP INDEX sessions_by_outcome;
             PRAGMA user_version = 2",
        )
        .unwrap();
    let database = home.open();
    let all = [session_id(3), session_id(2), session_id(1)];
    assert_eq!(found(&database, "\u{1f980} A 'TITLE'").await, all);
    assert_eq!(found(&database, "BIN/Agent").await, all);
    assert_eq!(found(&database, &session_id(2).to_string()).await, all[1..2]);
    let outcomes = vec!["succeeded".to_owned()];
    let query = ListQuery { outcomes, ..ListQuery::newest(2) };
    assert_eq!(database.list(&query).await.unwrap().sessions.len(), 2);
    assert_sound(&home).await;
}

#[tokio::test]
async fn a_request_is_known_by_its_name_also_when_its_session_is_removed() {
    let home = Home::new();
    let database = home.open();
    store(&database, &requested(1, "key")).await;
    let known = Some((session_id(1), "digest 1".to_owned()));
    assert_eq!(database.requested("key").await.unwrap(), known);
    assert_eq!(database.requested("KEY").await.unwrap(), None);
    // A name that is given to two stays with the first, and neither is lost.
    store(&database, &requested(2, "key")).await;
    assert_eq!(database.requested("key").await.unwrap(), known);
    assert_eq!(found(&database, "title").await, [session_id(2), session_id(1)]);

    store(&database, &ended(3)).await;
    assert_eq!(found(&database, "title").await.len(), 3);
    let at = Timestamp::UNIX_EPOCH;
    database.remove(session_id(3), Actor::Daemon, at).await.unwrap();
    assert_eq!(found(&database, "title").await, [session_id(2), session_id(1)]);
    assert_sound(&home).await;
    database.close().await.unwrap();
    assert_eq!(home.open().requested("key").await.unwrap(), known);
}
