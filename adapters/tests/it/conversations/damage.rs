//! A file that is of no use gives its place to an empty one, at the start and while it is in use.

use std::fs;
use std::os::unix::fs::FileExt as _;

use candor_adapters::sqlite::conversations::{
    AppendError, Batch, Conversations, ConversationsFile, inspect,
};
use candor_core::ports::ReadError;
use candor_core::session::SessionId;

use super::{Home, LINE_BYTES, add_texts, found, new_session, said, texts};
use candor_adapters::agents::Role;

/// Fills a database with more than one page, and closes it.
async fn filled(home: &Home) -> SessionId {
    let session = new_session();
    let conversations = home.open();
    let many: Vec<String> = (0..2_000).map(|number| format!("some text {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    add_texts(&conversations, session, &many).await;
    conversations.close().await.unwrap();
    session
}

async fn works(conversations: &Conversations) {
    let session = new_session();
    add_texts(conversations, session, &["it works"]).await;
    assert_eq!(texts(conversations, session).await, ["it works"]);
    assert_eq!(found(conversations, "works", session).await, [1]);
}

/// Overwrites the page that holds the row of this text.
fn damage(home: &Home, text: &str) {
    let bytes = fs::read(home.database()).unwrap();
    let at = memchr::memmem::find(&bytes, text.as_bytes()).expect("it is kept as it is");
    let file = fs::OpenOptions::new().write(true).open(home.database()).unwrap();
    file.write_all_at(&[0xa5; 4_096], (at / 4_096 * 4_096) as u64).unwrap();
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_set_aside_and_the_file_is_kept() {
    let foreign = |home: &Home| {
        let other = rusqlite::Connection::open(home.database()).unwrap();
        other.execute_batch("CREATE TABLE precious (a); INSERT INTO precious VALUES (1)").unwrap();
    };
    let text = |home: &Home| fs::write(home.database(), "not a database").unwrap();
    let empty = |home: &Home| fs::write(home.database(), "").unwrap();
    let makers: [&dyn Fn(&Home); 3] = [&foreign, &text, &empty];
    for make in makers {
        let home = Home::new();
        make(&home);
        let before = fs::read(home.database()).unwrap();
        assert!(matches!(inspect(&home.database()), Ok(ConversationsFile::OfNoUse { .. })));
        let conversations = home.open();
        works(&conversations).await;
        conversations.close().await.unwrap();
        assert_eq!(home.set_aside(), ["conversations.db"]);
        let day = home.aside().read_dir().unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read(day.join("conversations.db")).unwrap(), before);
        assert!(matches!(inspect(&home.database()), Ok(ConversationsFile::Sound { items: 1 })));
    }
}

#[tokio::test]
async fn a_later_versions_file_is_set_aside() {
    let home = Home::new();
    let session = filled(&home).await;
    let later = rusqlite::Connection::open(home.database()).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let conversations = home.open();
    assert_eq!(conversations.read_to(session).await.unwrap(), 0);
    works(&conversations).await;
    assert_eq!(home.set_aside(), ["conversations.db"]);
}

#[tokio::test]
async fn damage_is_found_by_the_start_after_a_crash() {
    let home = Home::new();
    let session = filled(&home).await;
    let open = rusqlite::Connection::open(home.database()).unwrap();
    open.execute("UPDATE state SET closed_cleanly = 0", []).unwrap();
    drop(open);
    damage(&home, "some text 1000");
    assert!(matches!(inspect(&home.database()), Ok(ConversationsFile::OfNoUse { .. })));
    let conversations = home.open();
    assert_eq!(texts(&conversations, session).await, [""; 0]);
    works(&conversations).await;
    // A second one of the same day gets a name of its own.
    conversations.close().await.unwrap();
    fs::write(home.database(), "nothing of ours").unwrap();
    let conversations = home.open();
    works(&conversations).await;
    assert_eq!(home.set_aside(), ["conversations.db", "conversations.db.2"]);
}

#[tokio::test]
async fn damage_that_a_reader_meets_is_mended_and_told_to_who_writes() {
    let home = Home::new();
    let session = filled(&home).await;
    damage(&home, "some text 1000");
    let conversations = home.open();
    let read = conversations.page(session, 0, 1_000).await;
    assert!(matches!(read, Err(ReadError::Unavailable { .. })), "{read:?}");
    // Whoever asks the writer next finds that it has looked before.
    let from = 2_000 * LINE_BYTES;
    let items = vec![said(2_000, Role::User, "more")];
    let more = Batch { session, from, items, read_to: from + LINE_BYTES };
    let refused = conversations.append(more).await;
    assert_eq!(refused, Err(AppendError::Behind { read_to: 0 }));
    add_texts(&conversations, session, &["from the beginning"]).await;
    assert_eq!(texts(&conversations, session).await, ["from the beginning"]);
    assert_eq!(home.set_aside(), ["conversations.db"]);
}

#[tokio::test]
async fn damage_that_the_writer_meets_is_mended_at_once() {
    let home = Home::new();
    let session = filled(&home).await;
    damage(&home, "some text 1999");
    let conversations = home.open();
    let from = 2_000 * LINE_BYTES;
    let items = vec![said(2_000, Role::User, "more")];
    let more = Batch { session, from, items, read_to: from + LINE_BYTES };
    let refused = conversations.append(more.clone()).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    let refused = conversations.append(more).await;
    assert_eq!(refused, Err(AppendError::Behind { read_to: 0 }));
    works(&conversations).await;
    assert_eq!(home.set_aside(), ["conversations.db"]);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told_and_tried_again() {
    let home = Home::new();
    fs::create_dir(home.database()).unwrap();
    let conversations = home.open();
    let session = new_session();
    let batch = Batch { session, from: 0, items: Vec::new(), read_to: 1 };
    let refused = conversations.append(batch.clone()).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    assert!(matches!(conversations.read_to(session).await, Err(ReadError::Unavailable { .. })));
    fs::remove_dir(home.database()).unwrap();
    // It is left alone for a second, and no event tells that this is over.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while conversations.append(batch.clone()).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "it is never tried again");
        tokio::task::yield_now().await;
    }
    assert_eq!(conversations.read_to(session).await.unwrap(), 1);
}

#[tokio::test]
async fn none_at_all_is_nothing_to_worry_about() {
    let home = Home::new();
    assert!(matches!(inspect(&home.database()), Ok(ConversationsFile::Absent)));
}
