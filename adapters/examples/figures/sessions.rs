//! A database of many sessions that have ended, for a daemon to be measured with.

use std::path::Path;
use std::time::Instant;

use candor_adapters::sqlite::SqliteStore;
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::Repository as _;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::stage::{in_runtime, nanoseconds};

/// Sessions that are written at the same time, so that many share a transaction.
const TOGETHER: usize = 1_000;

/// Makes it at `path`, with so many sessions of three events each.
pub(crate) fn fill(count: usize, path: &Path) -> Value {
    in_runtime(async {
        let begun = Instant::now();
        let store = SqliteStore::open(path).expect("there is room");
        let sessions = (0..count as u64).map(|number| {
            let store = &store;
            async move {
                let exit = Exit::Code(u8::from(number % 4 == 0));
                let inputs = [Input::Spawned, exited(exit, false)];
                let chain = Chain::of(session_id(number), Policy::default(), &inputs);
                for change in chain.life() {
                    store.commit(change).await.expect("there is room");
                }
            }
        });
        stream::iter(sessions).buffer_unordered(TOGETHER).collect::<()>().await;
        store.close().await.expect("it can be closed");
        json!({ "fill_ns": nanoseconds(begun.elapsed()) })
    })
}
