//! Bits that flip: each is reported, or was in no row. Nothing panics, and no wrong row passes.

use std::fs;

use candor_adapters::sqlite::{DamagedRow, ListQuery, SqliteStore};
use candor_core::event::{Seq, StoredEvent};
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::{ReadError, Repository as _, StoredSession};
use candor_core::session::SessionId;
use candor_core::stop::{Actor, StopKind};
use candor_core::time::Timestamp;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, every_end, exited, session_id};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, params};

use super::{Home, store};

/// Of a long column, one bit of this many is flipped.
const LONG_STRIDE: usize = 13;

/// A column is long from this many bits on.
const LONG_BITS: usize = 512;

/// How many bits of a whole file are flipped, one at a time, for each case that proptest would try:
/// so a run that is to look closer looks closer here too.
const FILE_FLIPS_PER_CASE: usize = 2;

/// Returns all values of the row with one bit flipped in one column, for every column and bit.
fn flips(row: &[Value]) -> Vec<(usize, Value)> {
    let mut flips = Vec::new();
    for (column, value) in row.iter().enumerate() {
        let bits = match value {
            Value::Null => 0,
            Value::Integer(_) | Value::Real(_) => 64,
            Value::Text(text) => text.len() * 8,
            Value::Blob(bytes) => bytes.len() * 8,
        };
        let stride = if bits > LONG_BITS { LONG_STRIDE } else { 1 };
        flips.extend((0..bits).step_by(stride).map(|bit| (column, flipped(value, bit))));
        // What was something becomes nothing, and the other way round.
        flips.push((column, if bits == 0 { Value::Integer(0) } else { Value::Null }));
    }
    flips
}

/// Text becomes a blob on the way, since it may not be UTF-8 any more.
fn flipped(value: &Value, bit: usize) -> Value {
    let bytes = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Value::Blob(bytes)
    };
    match value {
        Value::Integer(number) => Value::Integer(number ^ (1 << bit)),
        Value::Text(text) => bytes(text.as_bytes()),
        Value::Blob(blob) => bytes(blob),
        Value::Null | Value::Real(_) => Value::Null,
    }
}

/// Writes a value into one column of one row, as it is: without its checksum, and past all that
/// the tables forbid. Returns whether it could be written.
fn scribble(
    raw: &Connection,
    table: &str,
    key: i64,
    column: &str,
    value: &Value,
    text: bool,
) -> bool {
    let set = if text { "CAST(?1 AS TEXT)" } else { "?1" };
    let sql = format!("UPDATE {table} SET {column} = {set} WHERE rowid = ?2");
    let value = ToSqlOutput::Borrowed(ValueRef::from(value));
    raw.prepare_cached(&sql).unwrap().execute(params![value, key]).is_ok()
}

/// Returns a connection that lets through what the tables forbid.
fn scribbler(home: &Home) -> Connection {
    let raw = home.raw();
    for (pragma, value) in [("ignore_check_constraints", 1), ("synchronous", 0)] {
        raw.pragma_update(None, pragma, value).unwrap();
    }
    raw
}

fn row_of(raw: &Connection, table: &str, key: i64) -> (Vec<String>, Vec<Value>) {
    let mut statement = raw.prepare(&format!("SELECT * FROM {table} WHERE rowid = ?1")).unwrap();
    let names: Vec<_> = statement.column_names().into_iter().map(str::to_owned).collect();
    let values = statement
        .query_row([key], |row| (0..names.len()).map(|index| row.get(index)).collect())
        .unwrap();
    (names, values)
}

#[tokio::test]
async fn every_flipped_bit_of_a_session_is_found() {
    let home = Home::in_memory();
    let database = home.open();
    let good = Chain::launched(session_id(1));
    let life = [Input::Spawned, Input::Stop(StopKind::Kill), exited(Exit::Code(0), false)];
    let victim = Chain::of(session_id(2), Policy::default(), &life);
    for chain in [&good, &victim] {
        store(&database, chain).await;
    }
    let raw = scribbler(&home);
    let (names, row) = row_of(&raw, "sessions", 2);
    let mut count = 0;
    for (column, value) in flips(&row) {
        let text = matches!(row[column], Value::Text(_)) && value != Value::Null;
        let name = &names[column];
        if !scribble(&raw, "sessions", 2, name, &value, text) {
            continue;
        }
        count += 1;
        let id = victim.session().id;
        let read = database.load(id).await;
        let is_named = matches!(read, Err(ReadError::Damaged { session, .. }) if session == id);
        assert!(is_named, "{name} = {value:?}: {read:?}");
        if count % 50 == 0 {
            assert_damaged_beside(&home, &database, &good).await;
        }
        let text = matches!(row[column], Value::Text(_));
        assert!(scribble(&raw, "sessions", 2, name, &row[column], text));
    }
    assert!(count > 1_000, "{count}");
    assert!(victim.is(&database.load(victim.session().id).await.unwrap().unwrap()));
}

/// Asserts that the list has the good one and names the other, and so does the check.
async fn assert_damaged_beside(home: &Home, database: &SqliteStore, good: &Chain) {
    let listing = database.list(&ListQuery::newest(10)).await.unwrap();
    assert!(listing.sessions.iter().all(|row| good.is(row)), "{listing:?}");
    assert_eq!((listing.sessions.len(), listing.damaged.len()), (1, 1), "{listing:?}");
    assert!(matches!(listing.damaged[0], DamagedRow::Session { id: Some(_), .. }));
    let report = home.check().await.unwrap();
    assert_eq!(report.sessions, 2, "{report:?}");
    // Under another key it leaves its story without a row, which is named as well.
    assert!((1..=2).contains(&report.damaged_count), "{report:?}");
    assert!(report.known.iter().all(|known| known.id == good.session().id), "{report:?}");
    assert!(!report.is_sound());
}

#[tokio::test]
async fn every_flipped_bit_of_an_event_is_found() {
    let home = Home::in_memory();
    let database = home.open();
    let life = [Input::Spawned, exited(Exit::Signal { number: 9, core_dumped: false }, true)];
    let chain = Chain::of(session_id(1), Policy::default(), &life);
    store(&database, &chain).await;
    let raw = scribbler(&home);
    let mut count = 0;
    for key in [1, 2, 3] {
        let (names, row) = row_of(&raw, "events", key);
        for (column, value) in flips(&row) {
            let name = &names[column];
            // The key of the row cannot be written in place: that is for the flips of whole files.
            let text = matches!(row[column], Value::Text(_)) && value != Value::Null;
            if name == "seq" || !scribble(&raw, "events", key, name, &value, text) {
                continue;
            }
            count += 1;
            let page = database.events_page(Seq::START, 10).await.unwrap();
            assert_eq!(page.damaged.len(), 1, "{name} = {value:?}: {page:?}");
            assert_eq!((page.events.len(), page.next), (2, Seq::from_number(3)), "{page:?}");
            assert_port_stops_before(&database, key.unsigned_abs()).await;
            let text = matches!(row[column], Value::Text(_));
            assert!(scribble(&raw, "events", key, name, &row[column], text));
        }
    }
    assert!(count > 1_000, "{count}");
    assert_eq!(database.events_after(Seq::START, 10).await.unwrap().len(), 3);
}

/// Asserts that the port serves what comes before a damaged event, and then names it.
#[tokio::test]
async fn every_flipped_bit_of_a_removal_is_found() {
    let home = Home::in_memory();
    let database = home.open();
    let inputs = [Input::Spawned, exited(Exit::Code(0), false)];
    for number in [1, 2] {
        store(&database, &Chain::of(session_id(number), Policy::default(), &inputs)).await;
    }
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    database.remove(session_id(1), Actor::User(7), at).await.unwrap();
    let raw = scribbler(&home);
    let (columns, row) = row_of(&raw, "removals", 7);
    for (column, value) in flips(&row) {
        let text = matches!(row[column], Value::Text(_));
        // The key itself would be another row.
        if columns[column] == "seq"
            || !scribble(&raw, "removals", 7, &columns[column], &value, text)
        {
            continue;
        }
        let page = database.events_page(Seq::START, 10).await.unwrap();
        assert_eq!((page.events.len(), page.removals.len()), (3, 0), "{}", columns[column]);
        let named = matches!(page.damaged[..], [DamagedRow::Removal { .. }]);
        assert!(named, "{}: {page:?}", columns[column]);
        let text = matches!(row[column], Value::Text(_));
        assert!(scribble(&raw, "removals", 7, &columns[column], &row[column], text));
    }
    assert!(home.check().await.unwrap().is_sound());
}

async fn assert_port_stops_before(database: &SqliteStore, damaged: u64) {
    let mut cursor = Seq::START;
    for expected in 1..damaged {
        let page = database.events_after(cursor, 1).await.unwrap();
        cursor = page[0].seq;
        assert_eq!(cursor.number(), expected);
    }
    let at = database.events_after(cursor, 10).await;
    assert!(matches!(at, Err(ReadError::Damaged { .. })), "{at:?}");
}

/// A live session whose row is damaged still has a process, which must not be overlooked.
#[tokio::test]
async fn a_live_session_is_not_overlooked_for_a_damaged_row() {
    let home = Home::in_memory();
    let database = home.open();
    let running = Chain::of(session_id(1), Policy::default(), &[Input::Spawned]);
    let other = Chain::of(session_id(2), Policy::default(), &[Input::Spawned]);
    for chain in [&running, &other] {
        store(&database, chain).await;
    }
    let raw = scribbler(&home);
    let (names, row) = row_of(&raw, "sessions", 1);
    let ids = vec![session_id(1), session_id(2)];
    for (column, value) in flips(&row) {
        let text = matches!(row[column], Value::Text(_)) && value != Value::Null;
        let name = &names[column];
        // A session without a status, or another id, is not in the index any more.
        if name == "id" || name == "status" {
            continue;
        }
        if scribble(&raw, "sessions", 1, name, &value, text) {
            assert_eq!(database.live().await.unwrap(), ids, "{name} = {value:?}");
        }
        assert!(scribble(
            &raw,
            "sessions",
            1,
            name,
            &row[column],
            matches!(row[column], Value::Text(_))
        ));
    }
}

/// An event is gone, and the row of its session is not: the check says so.
#[tokio::test]
async fn a_session_without_its_last_event_is_found() {
    let home = Home::in_memory();
    let database = home.open();
    let chain = Chain::of(session_id(1), Policy::default(), &[Input::Spawned]);
    store(&database, &chain).await;
    home.raw().execute_batch("DELETE FROM events WHERE seq = 2").unwrap();
    let report = home.check().await.unwrap();
    let expected = DamagedRow::Session {
        id: Some(session_id(1)),
        reason: "its last event is missing".to_owned(),
    };
    assert_eq!((report.sqlite, report.damaged), (Vec::new(), vec![expected]));
}

/// The index of keys leads to another session's row, which is a good one: it is not taken for the
/// one that was asked for.
#[tokio::test]
async fn a_key_that_leads_to_another_row_is_found() {
    let home = Home::in_memory();
    let chains = [1, 2].map(|number| Chain::launched(session_id(number)));
    let database = home.open();
    for chain in &chains {
        store(&database, chain).await;
    }
    database.close().await.unwrap();
    // Hides the indexes from SQLite while the rows change places.
    let schema = home.raw();
    schema.pragma_update(None, "writable_schema", 1).unwrap();
    schema
        .execute_batch(
            "CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE tbl_name = 'sessions';
             DELETE FROM sqlite_schema WHERE tbl_name = 'sessions' AND type = 'index';
             UPDATE sqlite_schema SET sql = replace(sql, 'PRIMARY KEY', '') WHERE name = 'sessions'",
        )
        .unwrap();
    schema.close().unwrap();
    home.raw()
        .execute_batch(
            "UPDATE sessions SET rowid = 9 WHERE rowid = 1;
             UPDATE sessions SET rowid = 1 WHERE rowid = 2;
             UPDATE sessions SET rowid = 2 WHERE rowid = 9",
        )
        .unwrap();
    let schema = home.raw();
    schema.pragma_update(None, "writable_schema", 1).unwrap();
    schema
        .execute_batch(
            "DELETE FROM sqlite_schema WHERE tbl_name = 'sessions';
             INSERT INTO sqlite_schema SELECT * FROM hidden",
        )
        .unwrap();
    schema.close().unwrap();
    home.raw().execute_batch("DROP TABLE hidden").unwrap();

    let database = home.open();
    for chain in &chains {
        let id = chain.session().id;
        let read = database.load(id).await;
        let is_named = matches!(read, Err(ReadError::Damaged { session, .. }) if session == id);
        assert!(is_named, "{read:?}");
    }
    let listing = database.list(&ListQuery::newest(10)).await.unwrap();
    assert_eq!((listing.sessions.len(), listing.damaged.len()), (0, 2), "{listing:?}");
    assert_eq!(database.live().await.unwrap(), [1, 2].map(session_id));
    assert!(!home.check().await.unwrap().is_sound());
}

/// What a database holds, as far as it can be read.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    sessions: Vec<StoredSession>,
    events: Vec<StoredEvent>,
    live: Vec<SessionId>,
    /// Whether something was found to be wrong.
    is_reported: bool,
}

async fn contents(home: &Home, database: &SqliteStore, chains: &[Chain]) -> Contents {
    let mut contents = Contents::default();
    for chain in chains {
        match database.load(chain.session().id).await {
            Ok(Some(row)) => {
                assert!(chain.is(&row), "a wrong row passed: {row:?}");
                contents.sessions.push(row);
            }
            Ok(None) => {}
            Err(_) => contents.is_reported = true,
        }
    }
    match database.list(&ListQuery::newest(100)).await {
        Ok(listing) => {
            for row in &listing.sessions {
                let right = chains.iter().any(|chain| chain.is(row));
                assert!(right, "a wrong row passed: {row:?}");
            }
            contents.is_reported |= !listing.damaged.is_empty();
        }
        Err(_) => contents.is_reported = true,
    }
    match database.events_page(Seq::START, 1_000).await {
        Ok(page) => {
            contents.is_reported |= !page.damaged.is_empty();
            contents.events = page.events;
        }
        Err(_) => contents.is_reported = true,
    }
    match database.live().await {
        Ok(live) => contents.live = live,
        Err(_) => contents.is_reported = true,
    }
    contents.is_reported |= database.last_seq().await.is_err();
    contents.is_reported |= database.counts_by_status().await.is_err();
    match home.check().await {
        Ok(report) => contents.is_reported |= !report.is_sound(),
        Err(_) => contents.is_reported = true,
    }
    contents
}

/// Flips one bit of the file at a time, all over it. The database is refused, or the damage is
/// reported, or everything is there: the bit meant nothing.
#[tokio::test]
async fn a_flipped_bit_of_the_file_is_reported_or_meant_nothing() {
    let home = Home::in_memory();
    let database = home.open();
    let mut chains = Vec::new();
    for (number, (policy, inputs, _verdict)) in (0..).zip(every_end()) {
        chains.push(Chain::of(session_id(number), policy, &inputs));
    }
    chains.push(Chain::launched(session_id(90)));
    chains.push(Chain::queued(session_id(91), session_id(90)));
    for chain in &chains {
        store(&database, chain).await;
    }
    let whole = contents(&home, &database, &chains).await;
    assert!(!whole.is_reported && whole.sessions.len() == chains.len());
    database.close().await.unwrap();
    let file = fs::read(&home.database).unwrap();

    let (mut refused, mut reported, mut harmless) = (0, 0, 0);
    // A stride that shares no factor with the size of a page reaches every kind of place.
    let flips = proptest::test_runner::Config::default().cases as usize * FILE_FLIPS_PER_CASE;
    let stride = (file.len() * 8 / flips) | 1;
    for bit in (0..file.len() * 8).step_by(stride) {
        let damaged = Home::in_memory();
        let mut bytes = file.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&damaged.database, &bytes).unwrap();
        let Ok(database) = SqliteStore::open(&damaged.database) else {
            refused += 1;
            assert!(
                fs::read(&damaged.database).unwrap() == bytes,
                "bit {bit}: refused and changed"
            );
            continue;
        };
        let found = contents(&home, &database, &chains).await;
        for event in &found.events {
            assert!(whole.events.contains(event), "bit {bit}: a wrong event passed: {event:?}");
        }
        if found.is_reported {
            reported += 1;
        } else {
            harmless += 1;
            assert_eq!(found, whole, "bit {bit}: something is missing and nobody says so");
        }
    }
    // Most of the file is rows, and some of it is free.
    assert!(refused > 0 && reported > refused && harmless > 0, "{refused} {reported} {harmless}");
}
