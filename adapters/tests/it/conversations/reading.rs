//! Pages, sums, and waiting for more.

use std::time::Duration;

use candor_adapters::agents::Role;
use candor_core::agent::Usage;

use super::{Home, add, add_texts, new_session, said, texts, turn_end};

#[tokio::test]
async fn pages_follow_on_each_other_without_gap_or_repetition() {
    let home = Home::new();
    let (session, other) = (new_session(), new_session());
    let conversations = home.open();
    let all: Vec<String> = (0..25).map(|number| format!("text {number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    add_texts(&conversations, session, &all).await;
    add_texts(&conversations, other, &["not here"]).await;
    let (mut cursor, mut seen, mut pages) = (0, Vec::new(), 0);
    loop {
        let page = conversations.page(session, cursor, 10).await.unwrap();
        cursor = page.next;
        pages += 1;
        seen.extend(page.items.into_iter().map(|stored| stored.item.text));
        if page.at_end {
            break;
        }
    }
    assert_eq!((seen, pages), (all.iter().map(ToString::to_string).collect(), 3));
    for beyond in [25, u64::from(u32::MAX), u64::MAX] {
        let page = conversations.page(session, beyond, 10).await.unwrap();
        assert_eq!((page.items.len(), page.next, page.at_end), (0, beyond, true));
    }
    let last = conversations.last(session, 2).await.unwrap();
    let last: Vec<_> = last.items.into_iter().map(|stored| stored.item.text).collect();
    assert_eq!(last, ["text 23", "text 24"]);
}

#[tokio::test]
async fn a_page_of_long_texts_ends_early_and_goes_on() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    let long = "long text ".repeat(25_000);
    add_texts(&conversations, session, &[long.as_str(); 40]).await;
    let first = conversations.page(session, 0, 100).await.unwrap();
    assert!(!first.at_end && first.items.len() < 40, "{} items", first.items.len());
    let (mut count, mut cursor) = (first.items.len(), first.next);
    while count < 40 {
        let page = conversations.page(session, cursor, 100).await.unwrap();
        assert!(!page.items.is_empty());
        (count, cursor) = (count + page.items.len(), page.next);
    }
    assert_eq!((count, cursor), (40, 40));
}

#[tokio::test]
async fn an_unknown_session_has_said_nothing() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    let page = conversations.page(session, 7, 10).await.unwrap();
    assert_eq!((page.items.len(), page.next, page.at_end), (0, 7, true));
    assert_eq!(conversations.totals(session).await.unwrap().turns, 0);
}

#[tokio::test]
async fn turns_are_added_up() {
    let home = Home::new();
    let (session, other) = (new_session(), new_session());
    let conversations = home.open();
    let items = vec![
        said(0, Role::User, "go"),
        turn_end(1, 100, Some(5)),
        turn_end(2, 200, None),
        turn_end(3, 300, Some(7)),
    ];
    add(&conversations, session, items).await;
    add(&conversations, other, vec![turn_end(0, 1_000, None)]).await;
    let totals = conversations.totals(session).await.unwrap();
    assert_eq!((totals.items, totals.turns, totals.cost_microusd), (4, 3, Some(12)));
    let usage = Usage { input_tokens: 30, cached_tokens: 15, output_tokens: 600 };
    assert_eq!(totals.usage, usage);
    assert_eq!(conversations.totals(other).await.unwrap().cost_microusd, None);
}

#[tokio::test]
async fn whoever_follows_is_woken_by_what_is_added_to_that_session() {
    let home = Home::new();
    let (session, other) = (new_session(), new_session());
    let conversations = home.open();
    let mut following = conversations.follow(session);
    add_texts(&conversations, other, &["elsewhere"]).await;
    let quiet = tokio::time::timeout(Duration::from_millis(50), following.woken()).await;
    assert!(quiet.is_err(), "woken by another session");
    add_texts(&conversations, session, &["here"]).await;
    assert!(following.woken().await);
    assert_eq!(texts(&conversations, session).await, ["here"]);
    conversations.close().await.unwrap();
    assert!(!following.woken().await, "nothing can follow");
}
