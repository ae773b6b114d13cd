//! What is found, and that nothing that somebody types is an error.

use candor_adapters::sqlite::conversations::{Conversations, Query};
use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::TestRunner;

use super::{Home, add_texts, found, new_session, search};

#[tokio::test]
async fn words_are_found_by_their_beginnings_without_case_and_accents() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    let texts = [
        "The authentication failed: Zürich is not reachable",
        "retry in 5 s",
        "AUTH_TOKEN is set, and \"it's\" quoted",
        "the failed authentication",
        "日本語のテキスト",
    ];
    add_texts(&conversations, session, &texts).await;
    for (query, expected) in [
        ("auth", vec![4, 3, 1]),
        ("Authentication failed", vec![4, 1]),
        ("\"authentication failed\"", vec![1]),
        ("\"auth\"", vec![3]),
        ("\"authen\"*", vec![4, 1]),
        ("zurich", vec![1]),
        ("ZÜRICH", vec![1]),
        ("failed -reachable", vec![4]),
        ("failed -reach", vec![4, 1]),
        ("failed -reach*", vec![4]),
        ("authentication -\"failed authentication\"", vec![1]),
        ("5", vec![2]),
        ("a", vec![]),
        ("it's", vec![3]),
        ("AND", vec![3]),
        ("日本", vec![5]),
        ("text:failed", vec![]),
        ("nowhere", vec![]),
    ] {
        assert_eq!(found(&conversations, query, session).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_search_goes_through_all_sessions_a_page_at_a_time() {
    let home = Home::new();
    let (first, second) = (new_session(), new_session());
    let conversations = home.open();
    add_texts(&conversations, first, &["needle one", "hay", "needle two"]).await;
    add_texts(&conversations, second, &["needle three", "needle four"]).await;
    let query: Query = "needle".parse().unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let hits = conversations.search(query.clone(), None, 3, before).await.unwrap();
        seen.extend(hits.hits.iter().map(|hit| (hit.session, hit.stored.seq)));
        before = hits.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [(second, 2), (second, 1), (first, 3), (first, 1)]);
}

#[tokio::test]
async fn a_hit_shows_the_words_with_what_is_around_them() {
    let home = Home::new();
    let session = new_session();
    let conversations = home.open();
    let text = format!("{} the needle is here {}", "before ".repeat(300), "after ".repeat(300));
    add_texts(&conversations, session, &[&text]).await;
    let hits = search(&conversations, "needle here", Some(session)).await.hits;
    let snippet = &hits[0].snippet;
    let marked: Vec<&str> =
        snippet.marks.iter().map(|(from, to)| &snippet.text[*from..*to]).collect();
    assert_eq!(marked, ["needle", "here"]);
    assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…'), "{}", snippet.text);
    assert!(snippet.text.len() < 300, "{}", snippet.text);
    assert_eq!(hits[0].stored.item.text, "", "only the snippet of a text is told");
}

/// What people type, what they paste, and what the index's own language is made of.
fn typed() -> impl Strategy<Value = String> {
    let piece = proptest::prop_oneof![
        proptest::prelude::any::<String>(),
        proptest::prelude::any::<char>().prop_map(String::from),
        r#"[a-z"*()^:+{}, -]{0,8}"#,
        proptest::sample::select(vec![
            "AND", "OR", "NOT", "NEAR(", "\"", "\"\"", "-", "*", "text:", "{", "\0", "Ⓐ", "ª",
            "\u{300}", "rank", "'", ";", "--", "/*", "needle",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.join(" "))
}

#[test]
fn nothing_that_can_be_looked_for_is_an_error_of_the_index() {
    let home = Home::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let session = new_session();
    let conversations: Conversations = runtime.block_on(async {
        let conversations = home.open();
        add_texts(&conversations, session, &["a needle and text", "Ⓐ ª not or near"]).await;
        conversations
    });
    let config = ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() };
    let looked_for = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&typed(), |text| {
        if let Ok(query) = text.parse::<Query>() {
            looked_for.set(looked_for.get() + 1);
            let searching = conversations.search(query, None, 10, None);
            runtime.block_on(searching).map_err(|error| {
                proptest::test_runner::TestCaseError::fail(format!("{text:?}: {error}"))
            })?;
        }
        Ok(())
    });
    result.unwrap();
    assert!(looked_for.get() > 500, "most of what is typed is looked for");
}
