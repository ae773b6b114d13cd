//! How long it takes to list a hundred sessions out of many.

use std::time::Instant;

use candor_adapters::ids::UuidV7Source;
use candor_adapters::sqlite::{ListQuery, SqliteStore};
use candor_core::bytes::ByteString;
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::{IdSource as _, Repository as _};
use candor_core::session::Spec;
use candor_core::status::Status;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, spec};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::stage::{in_runtime, nanoseconds};

/// Sessions that are stored at the same time.
const AT_ONCE: usize = 256;

/// Sessions in one list.
const LISTED: u32 = 100;

/// How often each list is measured.
const ROUNDS: usize = 50;

/// Of so many sessions one has failed, and one other has a rare word in its title.
const ONE_OF: usize = 5_000;

/// So many sessions, and the lists of them.
pub(crate) fn measure(count: usize) -> Value {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("candor.db");
    in_runtime(async {
        let store = SqliteStore::open(&path).expect("there is room");
        for first in (0..count).step_by(AT_ONCE) {
            let storing = (first..count.min(first + AT_ONCE)).map(|number| fill(&store, number));
            join_all(storing).await;
        }
        let size = std::fs::metadata(&path).map_or(0, |file| file.len());
        let mut figures = json!({ "bytes": size });
        for (name, query) in queries() {
            let mut taken = Vec::new();
            let mut found = 0;
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                found = store.list(&query).await.expect("it can be read").sessions.len();
                taken.push(nanoseconds(begun.elapsed()));
            }
            taken.sort_unstable();
            figures[name] = json!({ "found": found, "median_ns": taken[ROUNDS / 2] });
        }
        figures
    })
}

async fn fill(store: &SqliteStore, number: usize) {
    let rare = if number % ONE_OF == 1 { "needle" } else { "plain" };
    let text = |text: String| ByteString::new(text.into_bytes()).expect("it has no NUL");
    let command = ["cargo", "test", "--package"].map(str::to_owned);
    let command = command.into_iter().chain([format!("crate-{}", number % 977)]);
    let spec = Spec {
        title: Some(format!("{rare} work, number {number}")),
        command: command.map(text).collect(),
        cwd: text(format!("/home/somebody/work/project-{}", number % 100)),
        ..spec(Policy::default())
    };
    let mut chain = Chain::launched_with(UuidV7Source.session_id(), spec);
    let exit = Exit::Code(u8::from(number.is_multiple_of(ONE_OF)));
    chain.step(Input::Spawned);
    chain.step(exited(exit, false));
    for change in chain.life() {
        store.commit(change).await.expect("it is stored");
    }
}

fn queries() -> Vec<(&'static str, ListQuery)> {
    let all = || ListQuery::newest(LISTED);
    let text = |text: &str| ListQuery { text: Some(text.to_owned()), ..all() };
    let folder = || Some("/home/somebody/work/project-7".to_owned());
    let failed = || vec![Status::Failed];
    vec![
        ("all", all()),
        ("failed", ListQuery { statuses: failed(), ..all() }),
        ("outcome", ListQuery { outcomes: vec!["exit_code".to_owned()], ..all() }),
        ("folder", ListQuery { folder: folder(), ..all() }),
        ("folder_failed", ListQuery { folder: folder(), statuses: failed(), ..all() }),
        (
            "folder_completed",
            ListQuery { folder: folder(), statuses: vec![Status::Completed], ..all() },
        ),
        ("text_frequent", text("WORK")),
        ("text_some", text("crate-97")),
        ("text_rare", text("needle")),
        ("text_none", text("no such text")),
        ("text_short", text("-9")),
        ("text_failed", ListQuery { statuses: failed(), ..text("number 95000") }),
        ("text_folder", ListQuery { folder: folder(), ..text("needle") }),
    ]
}
