//! How long it takes to read a page of a long conversation, and to find something in it.

use std::time::Instant;

use candor_adapters::agents::{Item, ItemKind, Place, Role};
use candor_adapters::ids::UuidV7Source;
use candor_adapters::sqlite::conversations::{Batch, Conversations, Query};
use candor_core::ports::IdSource as _;
use candor_core::session::SessionId;
use serde_json::{Value, json};

use crate::stage::{in_runtime, nanoseconds};

/// Items of one batch, as of an agent that prints without a pause.
const BATCH: u64 = 500;

/// Items on a page.
const PAGE: u32 = 100;

/// How often each is measured.
const ROUNDS: usize = 50;

/// Hits that a search returns.
const HITS: u32 = 20;

/// How many different words there are. The first are the most frequent ones.
const WORDS: u64 = 20_000;

/// What is looked for: half of all words are `w1`, and few are `needle`.
const SEARCHES: [(&str, &str); 7] = [
    ("frequent", "w1"),
    ("rare", "needle"),
    ("beginning", "w1*"),
    ("two", "w2 w3"),
    ("phrase", "\"w1 w2\""),
    ("exclusion", "w4 -w5"),
    ("several", "w7 w80 w800"),
];

/// A conversation of so many items, and another one of the same length beside it.
pub(crate) fn measure(count: usize) -> Value {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("conversations.db");
    in_runtime(async {
        let conversations =
            Conversations::open(&path, &home.path().join("aside")).expect("there is room");
        let (session, other) = (UuidV7Source.session_id(), UuidV7Source.session_id());
        let begun = Instant::now();
        fill(&conversations, session, count as u64).await;
        let filled = begun.elapsed();
        fill(&conversations, other, count as u64).await;
        let mut figures = json!({
            "fill_ns": nanoseconds(filled),
            "bytes": std::fs::metadata(&path).map_or(0, |file| file.len()),
        });
        let middle = count as u64 / 2;
        for (name, after) in [("first_page", 0), ("middle_page", middle)] {
            let mut taken = Vec::new();
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let page = conversations.page(session, after, PAGE).await.expect("it is read");
                taken.push(nanoseconds(begun.elapsed()));
                assert_eq!(page.items.len(), PAGE as usize);
            }
            figures[format!("{name}_ns")] = json!(taken);
        }
        for (name, query) in SEARCHES {
            for (place, among) in [("one", Some(session)), ("all", None)] {
                let taken = search(&conversations, query, among).await;
                figures[format!("search_{name}_{place}_ns")] = json!(taken);
            }
        }
        let begun = Instant::now();
        conversations.remove(other).await.expect("it is removed");
        // Closing waits for what is being removed step by step no longer than for one step; the next
        // one to open it goes on. So this is what somebody who asks waits for.
        figures["remove_ns"] = json!(nanoseconds(begun.elapsed()));
        figures
    })
}

async fn search(conversations: &Conversations, query: &str, among: Option<SessionId>) -> Vec<u64> {
    let query: Query = query.parse().expect("it can be looked for");
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let hits = conversations.search(query.clone(), among, HITS, None).await;
        taken.push(nanoseconds(begun.elapsed()));
        assert!(!hits.expect("it is looked for").hits.is_empty(), "{query:?}");
    }
    taken
}

/// Adds a conversation as an agent has it: what it says, its calls, and long results of these.
async fn fill(conversations: &Conversations, session: SessionId, count: u64) {
    let mut words = Words(7);
    let mut offset = 0;
    for begin in (0..count).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let from = offset;
        let mut items = Vec::new();
        for number in begin..count.min(begin + BATCH) {
            let (kind, role, length) = match number % 4 {
                0 => (ItemKind::Text, Role::Assistant, 40),
                1 => (ItemKind::ToolCall, Role::Assistant, 15),
                2 => (ItemKind::ToolResult, Role::Tool, 150),
                _ => (ItemKind::Thinking, Role::Assistant, 60),
            };
            let mut text = words.text(length);
            if number % (count / 5).max(1) == 0 {
                text.push_str(" needle");
            }
            let place = Place { offset, length: text.len() as u64 + 200 };
            offset += place.length + 1;
            items.push(Item::new(place, role, kind, text));
        }
        let batch = Batch { session, from, items, read_to: offset };
        conversations.append(batch).await.expect("there is room");
    }
}

/// Words as a language has them: few that are frequent, and many that are rare.
struct Words(u64);

impl Words {
    fn text(&mut self, length: u32) -> String {
        let words: Vec<String> = (0..length).map(|_| format!("w{}", self.next())).collect();
        words.join(" ")
    }

    fn next(&mut self) -> u64 {
        // The generator of Numerical Recipes: what is measured is to be the same each time.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (self.0 >> 33) % WORDS + 1;
        WORDS / uniform
    }
}
