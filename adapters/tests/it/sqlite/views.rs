//! Lists, prefixes, stories and counts.

use candor_adapters::sqlite::{ListQuery, Resolution, SqliteStore};
use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::{Repository as _, StoredSession};
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};
use uuid::Uuid;

use super::{Home, assert_sound, store};

/// Stores 12 sessions, of which session n stands at the status n modulo 4: running, completed,
/// failed, completing. They are stored in no order.
async fn twelve(database: &SqliteStore) {
    for number in [5, 0, 11, 3, 8, 1, 10, 2, 7, 4, 9, 6] {
        let inputs: &[Input] = match number % 4 {
            0 => &[Input::Spawned],
            1 => &[Input::Spawned, exited(Exit::Code(0), false)],
            2 => &[Input::Spawned, exited(Exit::Code(1), false)],
            _ => &[Input::Spawned, Input::Stop(StopKind::Interrupt)],
        };
        store(database, &Chain::of(session_id(number), Policy::default(), inputs)).await;
    }
}

async fn listed(database: &SqliteStore, query: &ListQuery) -> Vec<u64> {
    let listing = database.list(query).await.unwrap();
    assert!(listing.damaged.is_empty(), "{listing:?}");
    let number = |id: SessionId| (0..100).find(|number| session_id(*number) == id).unwrap();
    listing.sessions.iter().map(|stored| number(stored.session.id)).collect()
}

#[tokio::test]
async fn lists_are_newest_first() {
    let home = Home::in_memory();
    let database = home.open();
    twelve(&database).await;
    let all = ListQuery::newest(100);
    assert_eq!(listed(&database, &all).await, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(listed(&database, &ListQuery::newest(3)).await, [11, 10, 9]);
    assert_eq!(listed(&database, &ListQuery::newest(0)).await, [0; 0]);
    let before = Some(session_id(4));
    assert_eq!(listed(&database, &ListQuery { before, ..all.clone() }).await, [3, 2, 1, 0]);
    // A cursor whose session is gone is as good.
    let before = Some(SessionId::from_uuid(Uuid::max()));
    assert_eq!(listed(&database, &ListQuery { before, ..ListQuery::newest(1) }).await, [11]);
}

#[tokio::test]
async fn lists_are_of_the_statuses_asked_for() {
    let home = Home::in_memory();
    let database = home.open();
    twelve(&database).await;
    let of = |statuses: &[Status], limit| ListQuery {
        statuses: statuses.to_vec(),
        ..ListQuery::newest(limit)
    };
    let failed = [Status::Failed];
    assert_eq!(listed(&database, &of(&failed, 9)).await, [10, 6, 2]);
    assert_eq!(listed(&database, &of(&failed, 2)).await, [10, 6]);
    let two = [Status::Running, Status::Completed, Status::Running];
    assert_eq!(listed(&database, &of(&two, 9)).await, [9, 8, 5, 4, 1, 0]);
    assert_eq!(listed(&database, &of(&two, 3)).await, [9, 8, 5]);
    let page = ListQuery { before: Some(session_id(5)), ..of(&two, 2) };
    assert_eq!(listed(&database, &page).await, [4, 1]);
    assert_eq!(listed(&database, &of(&[Status::Lost], 9)).await, [0; 0]);

    let counts = database.counts_by_status().await.unwrap();
    assert_eq!(counts.of(Status::Running), 3);
    assert_eq!(counts.of(Status::Lost), 0);
    assert_eq!(counts.iter().map(|(_status, count)| count).sum::<u64>(), 12);
    assert_eq!(database.live().await.unwrap(), [0, 3, 4, 7, 8, 11].map(session_id));
}

#[tokio::test]
async fn lists_are_of_one_parent() {
    let home = Home::in_memory();
    let database = home.open();
    let parent = session_id(1);
    store(&database, &Chain::launched(parent)).await;
    for number in [2, 4, 3] {
        store(&database, &Chain::queued(session_id(number), parent)).await;
    }
    let mut started = Chain::queued(session_id(5), parent);
    started.step(Input::ParentEnded);
    store(&database, &started).await;
    store(&database, &Chain::queued(session_id(6), session_id(2))).await;
    let children = ListQuery { parent: Some(parent), ..ListQuery::newest(9) };
    assert_eq!(listed(&database, &children).await, [5, 4, 3, 2]);
    let page = ListQuery { before: Some(session_id(4)), limit: 1, ..children.clone() };
    assert_eq!(listed(&database, &page).await, [3]);
    let starting = ListQuery { statuses: vec![Status::Starting], ..children };
    assert_eq!(listed(&database, &starting).await, [5]);
    assert_sound(&home).await;
}

fn id(text: &str) -> SessionId {
    SessionId::from_uuid(Uuid::parse_str(text).unwrap())
}

#[tokio::test]
async fn prefixes_resolve() {
    let home = Home::in_memory();
    let database = home.open();
    let one = id("01990000-aaaa-7000-8000-00000000beef");
    let two = id("01990000-aaaa-7000-8000-0000beef0001");
    let three = id("0199beef-0000-7000-8000-000012345678");
    for id in [one, two, three] {
        store(&database, &Chain::launched(id)).await;
    }
    let cases = [
        ("01990000-aaaa-7000-8000-00000000beef", Resolution::One(one)),
        ("01990000aaaa7000800000000000BEEF", Resolution::One(one)),
        ("01990000-AAAA-7000-8000-00000000b", Resolution::One(one)),
        ("0000beef", Resolution::One(one)),
        ("0000", Resolution::One(one)),
        ("BEEF0001", Resolution::One(two)),
        ("beef", Resolution::One(two)),
        ("0199beef", Resolution::One(three)),
        ("0199beef-", Resolution::One(three)),
        ("1", Resolution::One(three)),
        ("12345678", Resolution::One(three)),
        ("123456789", Resolution::None),
        ("12345678-", Resolution::None),
        ("0199", Resolution::Ambiguous(vec![three, two, one])),
        ("0", Resolution::Ambiguous(vec![three, two, one])),
        ("01990000-aaaa-", Resolution::Ambiguous(vec![two, one])),
        ("ffff", Resolution::None),
        ("", Resolution::None),
        ("-", Resolution::None),
        ("beef-", Resolution::None),
        ("' OR 1=1", Resolution::None),
        ("%", Resolution::None),
        ("\u{1f980}", Resolution::None),
    ];
    for (prefix, expected) in cases {
        assert_eq!(database.resolve(prefix).await, Ok(expected), "{prefix}");
    }
}

/// Many are ambiguous: a few are named, the newest ones.
#[tokio::test]
async fn long_ambiguity_is_cut() {
    let home = Home::in_memory();
    let database = home.open();
    for number in 0..30 {
        store(&database, &Chain::launched(session_id(number))).await;
    }
    let text = session_id(0).to_string();
    let Resolution::Ambiguous(ids) = database.resolve(&text[..8]).await.unwrap() else {
        panic!("{text} is not the only one")
    };
    assert_eq!(ids, (20..30).rev().map(session_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn stories_come_in_pages() {
    let home = Home::in_memory();
    let database = home.open();
    let chain = Chain::of(
        session_id(1),
        Policy::default(),
        &[Input::Spawned, Input::RequestOpened, Input::RequestClosed],
    );
    for (change, number) in chain.life().iter().zip(10..) {
        database.commit(change).await.unwrap();
        store(&database, &Chain::launched(session_id(number))).await;
    }
    let id = chain.session().id;
    let mut cursor = Seq::START;
    let mut read = Vec::new();
    loop {
        let page = database.session_events(id, cursor, 3).await.unwrap();
        read.extend(page.events.iter().map(|stored| stored.event));
        cursor = page.next;
        if !page.may_have_more {
            break;
        }
    }
    assert_eq!(read, chain.life().iter().map(|change| change.event).collect::<Vec<_>>());
    assert_eq!(database.session_events(session_id(99), Seq::START, 9).await.unwrap().events, []);
    let page = database.events_page(Seq::from_number(7), 9).await.unwrap();
    assert_eq!((page.events.len(), page.next, page.may_have_more), (1, Seq::from_number(8), false));
}

#[tokio::test]
async fn a_snapshot_is_all_that_live_the_newest_ended_and_the_place_of_it() {
    let home = Home::in_memory();
    let database = home.open();
    let empty = database.snapshot(10).await.unwrap();
    assert_eq!((empty.seq, empty.listing.sessions.len(), empty.next), (Seq::START, 0, None));
    twelve(&database).await;
    let numbers = |sessions: &[StoredSession]| -> Vec<u64> {
        let number = |id| (0..100).find(|number| session_id(*number) == id).unwrap();
        sessions.iter().map(|stored| number(stored.session.id)).collect()
    };
    for (ended_max, expected, next) in [
        (100, vec![11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], None),
        (6, vec![11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], None),
        (3, vec![11, 10, 9, 8, 7, 6, 4, 3, 0], Some(6)),
        (0, vec![11, 8, 7, 4, 3, 0], None),
    ] {
        let snapshot = database.snapshot(ended_max).await.unwrap();
        assert_eq!(numbers(&snapshot.listing.sessions), expected, "{ended_max}");
        assert_eq!(snapshot.next, next.map(session_id), "{ended_max}");
        assert_eq!(snapshot.seq, database.last_seq().await.unwrap());
        assert_eq!(snapshot.counts, database.counts_by_status().await.unwrap());
    }
    let ids = [3, 50, 1, 3].map(session_id).to_vec();
    assert_eq!(numbers(&database.sessions(ids).await.unwrap().sessions), [3, 1]);
}
