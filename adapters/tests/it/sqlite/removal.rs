//! Deleting sessions: all of one goes at once, one line stays, and nothing else changes.

use candor_adapters::sqlite::{DamagedRow, ListQuery, RemoveError, Resolution, SqliteStore};
use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::Repository as _;
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::Actor;
use candor_core::time::Timestamp;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};

use super::{Home, assert_sound, store};

const USER: Actor = Actor::User(1_000);

fn at() -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_123_456).unwrap()
}

fn seq(number: u64) -> Seq {
    Seq::from_number(number)
}

/// A life of three changes.
fn ended(number: u64) -> Chain {
    let inputs = [Input::Spawned, exited(Exit::Code(3), false)];
    Chain::of(session_id(number), Policy::default(), &inputs)
}

async fn remove(database: &SqliteStore, id: SessionId) -> Result<Seq, RemoveError> {
    database.remove(id, USER, at()).await.map(|removal| removal.seq)
}

/// Returns the places of all events and removals after a cursor, read `limit` at a time.
async fn places(database: &SqliteStore, mut cursor: Seq, limit: u32) -> Vec<u64> {
    let mut places = Vec::new();
    loop {
        let page = database.events_page(cursor, limit).await.unwrap();
        assert!(page.damaged.is_empty(), "{page:?}");
        let mut here: Vec<u64> = page.events.iter().map(|stored| stored.seq.number()).collect();
        here.extend(page.removals.iter().map(|removal| removal.seq.number()));
        here.sort_unstable();
        assert!(here.len() <= limit as usize, "{page:?}");
        assert!(here.last().is_none_or(|last| *last == page.next.number()), "{page:?}");
        places.extend(here);
        cursor = page.next;
        if !page.may_have_more {
            return places;
        }
    }
}

#[tokio::test]
async fn a_session_goes_with_its_events_and_one_line_stays() {
    let home = Home::in_memory();
    let database = home.open();
    for number in [1, 2] {
        store(&database, &ended(number)).await;
    }
    let removal = database.remove(session_id(1), USER, at()).await.unwrap();
    assert_eq!((removal.seq, removal.last_seq, removal.gone_up_to), (seq(7), seq(3), seq(3)));
    assert_eq!((removal.session, removal.revision.number()), (session_id(1), 4));
    assert_eq!((removal.from, removal.by, removal.at), (Status::Failed, USER, at()));
    let look = async |database: &SqliteStore| {
        assert_eq!(database.load(session_id(1)).await, Ok(None));
        assert!(ended(2).is(&database.load(session_id(2)).await.unwrap().unwrap()));
        let listing = database.list(&ListQuery::newest(10)).await.unwrap();
        assert_eq!((listing.sessions.len(), listing.damaged.len()), (1, 0));
        assert_eq!(places(database, Seq::START, 100).await, [4, 5, 6, 7]);
        let page = database.events_page(Seq::START, 100).await.unwrap();
        assert_eq!((page.removals, page.last), (vec![removal.clone()], seq(7)));
        let page = database.session_events(session_id(1), Seq::START, 100).await.unwrap();
        assert_eq!((page.events.len(), page.removals), (0, vec![removal.clone()]));
        assert_eq!(database.counts_by_status().await.unwrap().of(Status::Failed), 1);
        assert_eq!(database.removed().await.unwrap(), [session_id(1)]);
        assert_sound(&home).await;
    };
    look(&database).await;
    database.close().await.unwrap();
    look(&home.open()).await;
}

#[tokio::test]
async fn what_has_not_ended_is_not_deleted() {
    let home = Home::in_memory();
    let database = home.open();
    let live = Chain::of(session_id(1), Policy::default(), &[Input::Spawned]);
    store(&database, &live).await;
    let refused = remove(&database, session_id(1)).await;
    assert_eq!(refused, Err(RemoveError::Live { status: Status::Running }));
    assert!(live.is(&database.load(session_id(1)).await.unwrap().unwrap()));
    assert_eq!(remove(&database, session_id(9)).await, Err(RemoveError::NotThere));
    assert_eq!(places(&database, Seq::START, 100).await, [1, 2]);
    assert_sound(&home).await;
}

/// The end of its parent is what it waits for, and only the parent's row tells of that.
#[tokio::test]
async fn what_a_queued_session_waits_for_is_not_deleted_until_it_was_told() {
    let home = Home::in_memory();
    let database = home.open();
    store(&database, &ended(1)).await;
    let mut child = Chain::queued(session_id(2), session_id(1));
    database.commit(child.change()).await.unwrap();
    let refused = remove(&database, session_id(1)).await;
    assert_eq!(refused, Err(RemoveError::Awaited { child: session_id(2) }));
    child.step(Input::ParentEnded);
    database.commit(child.change()).await.unwrap();
    remove(&database, session_id(1)).await.unwrap();
    let row = database.load(session_id(2)).await.unwrap().unwrap();
    assert_eq!(row.session.parent, Some(session_id(1)), "it keeps the name of what it continues");
    assert_sound(&home).await;
}

#[tokio::test]
async fn a_damaged_row_is_not_deleted_since_it_may_be_a_live_one() {
    let home = Home::in_memory();
    let database = home.open();
    store(&database, &ended(1)).await;
    home.raw().execute("UPDATE sessions SET body = body || ' '", []).unwrap();
    let refused = remove(&database, session_id(1)).await;
    assert!(matches!(refused, Err(RemoveError::Damaged { .. })), "{refused:?}");
    assert_eq!(places(&database, Seq::START, 100).await, [1, 2, 3]);
}

#[tokio::test]
async fn of_two_deletions_at_once_one_counts() {
    let home = Home::in_memory();
    let database = home.open();
    for number in 1..=20 {
        store(&database, &ended(number)).await;
        let (one, other) = tokio::join!(
            remove(&database, session_id(number)),
            remove(&database, session_id(number))
        );
        assert_eq!(one.is_ok(), other.is_err(), "{one:?} {other:?}");
        assert_eq!(one.and(other), Err(RemoveError::NotThere));
    }
    assert_eq!(database.removed().await.unwrap().len(), 20);
    assert_sound(&home).await;
}

#[tokio::test]
async fn a_place_is_never_given_twice() {
    let home = Home::in_memory();
    let database = home.open();
    store(&database, &ended(1)).await;
    assert_eq!(remove(&database, session_id(1)).await, Ok(seq(4)));
    // Nothing but the counter knows of the places now.
    home.raw().execute("DELETE FROM removals", []).unwrap();
    assert_eq!(database.last_seq().await.unwrap(), seq(4));
    assert_eq!(store(&database, &ended(2)).await, seq(7));
}

#[tokio::test]
async fn pages_hold_events_and_removals_in_one_order() {
    let home = Home::in_memory();
    let database = home.open();
    for number in 1..=6 {
        store(&database, &ended(number)).await;
        if number % 2 == 0 {
            remove(&database, session_id(number - 1)).await.unwrap();
        }
    }
    let all = [4, 5, 6, 7, 11, 12, 13, 14, 18, 19, 20, 21];
    for limit in [1, 2, 3, 4, 5, 11, 12, 13, 100] {
        assert_eq!(places(&database, Seq::START, limit).await, all, "{limit} at a time");
        assert_eq!(places(&database, seq(6), limit).await, all[3..], "{limit} at a time");
    }
    // The port tells of changes alone, and a page of it is not cut short by removals.
    let events = database.events_after(seq(6), 4).await.unwrap();
    let places: Vec<u64> = events.iter().map(|stored| stored.seq.number()).collect();
    assert_eq!(places, [11, 12, 13, 18]);
}

#[tokio::test]
async fn a_page_says_up_to_where_something_is_gone() {
    let home = Home::in_memory();
    let database = home.open();
    for number in 1..=3 {
        store(&database, &ended(number)).await;
    }
    let gone = async |cursor| database.events_page(cursor, 1).await.unwrap().gone_up_to;
    assert_eq!(gone(Seq::START).await, Seq::START);
    remove(&database, session_id(2)).await.unwrap();
    assert_eq!(gone(Seq::START).await, seq(6));
    remove(&database, session_id(1)).await.unwrap();
    assert_eq!(gone(seq(100)).await, seq(6), "an older one changes nothing");
    // Of one session only its own events count.
    let page = database.session_events(session_id(3), Seq::START, 9).await.unwrap();
    assert_eq!((page.gone_up_to, page.events.len()), (Seq::START, 3));
    let page = database.session_events(session_id(1), Seq::START, 9).await.unwrap();
    assert_eq!((page.gone_up_to, page.removals.len()), (seq(3), 1));
}

#[tokio::test]
async fn a_prefix_of_a_deleted_session_is_told_as_that_and_stands_in_nobodys_way() {
    let home = Home::in_memory();
    let database = home.open();
    for number in [1, 2] {
        store(&database, &ended(number)).await;
    }
    let common = session_id(1).to_string()[..8].to_owned();
    assert!(session_id(2).to_string().starts_with(&common));
    let resolve = async |text: &str| database.resolve(text).await.unwrap();
    assert!(matches!(resolve(&common).await, Resolution::Ambiguous(_)));
    remove(&database, session_id(1)).await.unwrap();
    assert_eq!(resolve(&common).await, Resolution::One(session_id(2)));
    for text in [session_id(1).to_string(), session_id(1).short()] {
        let resolution = resolve(&text).await;
        let told = matches!(&resolution, Resolution::Removed(it) if it.session == session_id(1));
        assert!(told, "{text}: {resolution:?}");
    }
    remove(&database, session_id(2)).await.unwrap();
    assert_eq!(resolve(&common).await, Resolution::None, "it could be either");
    assert_eq!(resolve("ffff").await, Resolution::None);
}

#[tokio::test]
async fn sessions_are_listed_by_when_they_had_ended() {
    let home = Home::in_memory();
    let database = home.open();
    let chains = [1, 2, 3].map(ended);
    for chain in &chains {
        store(&database, chain).await;
    }
    let live = Chain::of(session_id(4), Policy::default(), &[Input::Spawned]);
    store(&database, &live).await;
    let listed = async |query: ListQuery| -> Vec<SessionId> {
        let listing = database.list(&query).await.unwrap();
        assert!(listing.damaged.is_empty(), "{listing:?}");
        listing.sessions.iter().map(|stored| stored.session.id).collect()
    };
    let ended_by = chains[1].session().ended_at;
    let until_then = ListQuery { ended_by, ..ListQuery::newest(10) };
    assert_eq!(listed(until_then.clone()).await, [session_id(2), session_id(1)]);
    let page = ListQuery { before: Some(session_id(2)), ..until_then.clone() };
    assert_eq!(listed(page).await, [session_id(1)]);
    let good = ListQuery { statuses: vec![Status::Completed], ..until_then.clone() };
    assert_eq!(listed(good).await, []);
    let bad = ListQuery { statuses: vec![Status::Failed], limit: 1, ..until_then };
    assert_eq!(listed(bad).await, [session_id(2)]);
    let late = Some(Timestamp::MAX);
    assert_eq!(listed(ListQuery { ended_by: late, ..ListQuery::newest(10) }).await.len(), 3);
}

/// One row and one event of a deleted session would be trodden on by whoever reads it.
#[tokio::test]
async fn the_check_finds_what_is_left_of_a_deleted_session() {
    let home = Home::in_memory();
    let database = home.open();
    let chain = ended(1);
    store(&database, &chain).await;
    remove(&database, session_id(1)).await.unwrap();
    assert_sound(&home).await;
    database.commit(&chain.life()[0]).await.unwrap();
    let report = home.check().await.unwrap();
    let named = matches!(report.damaged[..], [DamagedRow::Removal { .. }]);
    assert!(named && report.removals == 1, "{report:?}");
}

/// What an earlier version has written is read and deleted like everything else.
#[tokio::test]
async fn a_database_of_version_1_is_brought_up_to_date() {
    let home = Home::in_memory();
    let raw = home.raw();
    raw.execute_batch(include_str!("../../../src/sqlite/migrations/0001_init.sql")).unwrap();
    raw.pragma_update(None, "user_version", 1).unwrap();
    raw.close().unwrap();
    let database = home.open();
    store(&database, &ended(1)).await;
    assert_eq!(remove(&database, session_id(1)).await, Ok(seq(4)));
    assert_sound(&home).await;
}
