//! What is added, and what is removed.

use candor_adapters::agents::{ITEM_BYTES_MAX, Item, ItemKind, Role};
use candor_adapters::sqlite::conversations::{AppendError, Batch};
use candor_core::time::Timestamp;

use super::{Home, LINE_BYTES, add, add_texts, found, new_session, said, search, texts, turn_end};

#[tokio::test]
async fn an_item_comes_back_as_it_was_after_a_restart() {
    let home = Home::new();
    let session = new_session();
    let call = Item {
        part: 3,
        kind: ItemKind::ToolCall,
        text: "{\"command\":\"ls\"}\0\u{1f600}".to_owned(),
        is_cut: true,
        tool: Some("Bash".to_owned()),
        call: Some("toolu_1".to_owned()),
        is_error: true,
        within: Some("toolu_0".to_owned()),
        at: Some(Timestamp::from_microsecond(1_700_000_000_123_456).unwrap()),
        model: Some("claude-opus-4-5".to_owned()),
        ..said(0, Role::Tool, "")
    };
    let items = [call, turn_end(1, 7, Some(12_345))];
    let conversations = home.open();
    add(&conversations, session, items.to_vec()).await;
    conversations.close().await.unwrap();

    let conversations = home.open();
    let page = conversations.page(session, 0, 10).await.unwrap();
    let found: Vec<_> = page.items.iter().map(|stored| stored.item.clone()).collect();
    assert_eq!(found, items);
    assert_eq!(page.items.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(conversations.read_to(session).await.unwrap(), 2 * LINE_BYTES);
}

#[tokio::test]
async fn what_is_added_again_is_there_once() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    add_texts(&conversations, session, &["one", "two"]).await;
    add_texts(&conversations, session, &["one", "two", "three"]).await;
    assert_eq!(texts(&conversations, session).await, ["one", "two", "three"]);
    assert_eq!(found(&conversations, "two", session).await, [2]);
    // Two pieces of one line are two items.
    let part = Item { part: 1, ..said(2, Role::Assistant, "three and a half") };
    add(&conversations, session, vec![part]).await;
    assert_eq!(found(&conversations, "three", session).await, [4, 3]);
    // Who reads from the beginning takes back nothing of what is complete.
    conversations
        .append(Batch { session, from: 0, items: Vec::new(), read_to: LINE_BYTES })
        .await
        .unwrap();
    assert_eq!(conversations.read_to(session).await.unwrap(), 3 * LINE_BYTES);
}

#[tokio::test]
async fn a_gap_is_refused_and_says_where_to_begin() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    let late = Batch { session, from: LINE_BYTES, items: Vec::new(), read_to: 2 * LINE_BYTES };
    let nothing_yet = Err(AppendError::Behind { read_to: 0 });
    assert_eq!(conversations.append(late.clone()).await, nothing_yet);
    add_texts(&conversations, session, &["one"]).await;
    assert_eq!(conversations.append(late).await, Ok(()));
    let far = Batch { session, from: 900, items: vec![said(9, Role::User, "far")], read_to: 1_000 };
    assert_eq!(conversations.append(far).await, Err(AppendError::Behind { read_to: 200 }));
    assert_eq!(texts(&conversations, session).await, ["one"]);
}

#[tokio::test]
async fn batches_of_many_sessions_at_once_keep_their_order() {
    let home = Home::new();
    let conversations = home.open();
    let sessions: Vec<_> = (0..20).map(|_| new_session()).collect();
    let adding = sessions.iter().map(|session| {
        let conversations = &conversations;
        async move {
            for line in 0..25 {
                let text = format!("line {line}");
                add(conversations, *session, vec![said(line, Role::User, &text)]).await;
            }
        }
    });
    futures_util::future::join_all(adding).await;
    let expected: Vec<String> = (0..25).map(|line| format!("line {line}")).collect();
    for session in sessions {
        assert_eq!(texts(&conversations, session).await, expected);
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    let long = "ü".repeat(ITEM_BYTES_MAX);
    add_texts(&conversations, session, &[&long]).await;
    let page = conversations.page(session, 0, 10).await.unwrap();
    assert_eq!(page.items[0].item.text.len(), ITEM_BYTES_MAX);
    assert!(page.items[0].item.is_cut);
}

#[tokio::test]
async fn a_removed_conversation_is_neither_read_nor_found_and_stays_away() {
    let home = Home::new();
    let (gone, kept) = (new_session(), new_session());
    let conversations = home.open();
    let many: Vec<String> = (0..5_000).map(|number| format!("needle {number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    add_texts(&conversations, gone, &many).await;
    add_texts(&conversations, kept, &["another needle"]).await;
    conversations.remove(gone).await.unwrap();
    assert_eq!(texts(&conversations, gone).await, [""; 0]);
    assert_eq!(conversations.read_to(gone).await.unwrap(), 0);
    let hits = search(&conversations, "needle", None).await.hits;
    assert_eq!(hits.iter().map(|hit| hit.session).collect::<Vec<_>>(), [kept]);
    let late = Batch { session: gone, from: 0, items: Vec::new(), read_to: 1 };
    let refused = conversations.append(late).await;
    assert_eq!(refused, Err(AppendError::Removed));
    assert_eq!(conversations.sessions().await.unwrap().into_iter().collect::<Vec<_>>(), [kept]);
    conversations.remove(new_session()).await.unwrap();
    conversations.close().await.unwrap();

    // Whatever of it was left by then, the next one removes; and what is left is sound.
    let conversations = home.open();
    assert_eq!(texts(&conversations, kept).await, ["another needle"]);
    conversations.close().await.unwrap();
    assert_eq!(home.set_aside(), [""; 0]);
}
