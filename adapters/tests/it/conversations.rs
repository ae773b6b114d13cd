//! The conversations: what is kept of them, what is found, and what becomes of a file that is of no
//! use.

use std::path::PathBuf;

use candor_adapters::agents::{Item, ItemKind, Place, Role, TurnUsage};
use candor_adapters::ids::UuidV7Source;
use candor_adapters::sqlite::conversations::{Batch, Conversations, Hits, Query};
use candor_core::agent::Usage;
use candor_core::ports::IdSource as _;
use candor_core::session::SessionId;
use tempfile::TempDir;

mod damage;
mod reading;
mod search;
mod writing;

/// Bytes that a line has in these tests, its end included.
const LINE_BYTES: u64 = 100;

/// A folder with a database, removed at the end.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("conversations.db")
    }

    fn aside(&self) -> PathBuf {
        self.folder.path().join("set-aside")
    }

    fn open(&self) -> Conversations {
        Conversations::open(&self.database(), &self.aside()).unwrap()
    }

    /// Returns the names of the databases that were set aside, in order.
    fn set_aside(&self) -> Vec<String> {
        let Ok(days) = self.aside().read_dir() else { return Vec::new() };
        let mut names: Vec<String> = days
            .flat_map(|day| day.unwrap().path().read_dir().unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        names.sort();
        names
    }
}

fn new_session() -> SessionId {
    UuidV7Source.session_id()
}

/// Something said in a line of its own.
fn said(line: u64, role: Role, text: &str) -> Item {
    let place = Place { offset: line * LINE_BYTES, length: LINE_BYTES - 1 };
    Item::new(place, role, ItemKind::Text, text)
}

/// The end of a turn, in a line of its own.
fn turn_end(line: u64, output_tokens: u64, cost_microusd: Option<u64>) -> Item {
    let usage = Usage { input_tokens: 10, cached_tokens: 5, output_tokens };
    Item {
        kind: ItemKind::TurnEnd,
        usage: Some(TurnUsage { usage, cost_microusd }),
        ..said(line, Role::System, "done")
    }
}

/// Adds what was said in these lines, after all that was said before.
async fn add(conversations: &Conversations, session: SessionId, items: Vec<Item>) {
    let lines = items.iter().map(|item| item.place.offset / LINE_BYTES);
    let first = lines.clone().min().unwrap_or(0);
    let last = lines.max().unwrap_or(0);
    let (from, read_to) = (first * LINE_BYTES, (last + 1) * LINE_BYTES);
    conversations.append(Batch { session, from, items, read_to }).await.unwrap();
}

/// Adds a text a line.
async fn add_texts(conversations: &Conversations, session: SessionId, texts: &[&str]) {
    let items = (0..).zip(texts).map(|(line, text)| said(line, Role::Assistant, text)).collect();
    add(conversations, session, items).await;
}

/// Returns the texts of a session.
async fn texts(conversations: &Conversations, session: SessionId) -> Vec<String> {
    let page = conversations.page(session, 0, 1_000).await.unwrap();
    page.items.into_iter().map(|stored| stored.item.text).collect()
}

async fn search(conversations: &Conversations, query: &str, session: Option<SessionId>) -> Hits {
    let query: Query = query.parse().unwrap();
    conversations.search(query, session, 100, None).await.unwrap()
}

/// Returns the numbers of what is found in one session, the newest first.
async fn found(conversations: &Conversations, query: &str, session: SessionId) -> Vec<u64> {
    let hits = search(conversations, query, Some(session)).await.hits;
    hits.iter().map(|hit| hit.stored.seq).collect()
}
