//! Who is told of what happens, by webhook.
//!
//! | file | what it is for |
//! |---|---|
//! | `words.rs` | which events a hook wants |
//! | `collect.rs` | from the event log into the outbox |
//! | `deliver.rs` | from the outbox to the receiver, one task a hook |
//! | `retry.rs` | what follows from an attempt |
//! | `payload.rs` | what is sent |
//!
//! The event log is read after each hook's own cursor, and deliveries and cursor are stored together,
//! so that what happened is delivered at least once, whoever is killed in between. No session waits
//! for any of it.

mod collect;
mod deliver;
mod payload;
mod retry;
mod words;

pub(super) use collect::run;
pub(crate) use deliver::try_out;
pub(crate) use words::{DEFAULT_WORDS, check as check_words};

use words::Words;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use candor_adapters::sqlite::hooks::{Hook, HookId, Hooks, HooksError};
use candor_adapters::webhook::WebhookClient;
use candor_core::event::Seq;
use tokio::sync::{Notify, watch};

/// How long a removal waits for the events that it takes along to be looked at, in milliseconds.
/// Beyond that, sessions are removed all the same: hooks must not fill the disk.
const CAUGHT_UP_MS_MAX: u64 = 2_000;

/// Attempts that were made since the daemon started, by how they ended.
#[derive(Debug, Default)]
pub(crate) struct AttemptCounts {
    pub(crate) delivered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) given_up: AtomicU64,
}

/// The hooks of this daemon.
pub(crate) struct Webhooks {
    pub(crate) store: Hooks,
    pub(crate) counts: AttemptCounts,
    client: WebhookClient,
    /// Told when hooks were added or removed, or a hook has room again.
    changed: Notify,
    /// Whether a hook takes nothing more for the moment, since too much waits for it.
    is_full: AtomicBool,
    /// Up to where all hooks that take something have looked.
    looked_to: watch::Sender<Seq>,
}

impl Webhooks {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            store: Hooks::new(path),
            counts: AttemptCounts::default(),
            client: WebhookClient::default(),
            changed: Notify::new(),
            is_full: AtomicBool::new(false),
            looked_to: watch::Sender::new(Seq::START),
        }
    }

    /// Adds a hook, which is told of what happens from now on.
    ///
    /// # Errors
    ///
    /// [`HooksError`].
    pub(crate) async fn add(&self, hook: Hook) -> Result<(), HooksError> {
        // From now on somebody waits.
        self.looked_to.send_replace(Seq::START);
        let added = self.store.add(hook).await;
        // A look of before it was there may have said meanwhile that nobody waits.
        self.looked_to.send_replace(Seq::START);
        self.changed.notify_one();
        added
    }

    /// Removes a hook with what waits for it, and says whether there was one. An attempt under way is
    /// broken off.
    ///
    /// # Errors
    ///
    /// [`HooksError::Unavailable`].
    pub(crate) async fn remove(&self, hook: HookId) -> Result<bool, HooksError> {
        let removed = self.store.remove(hook).await;
        self.changed.notify_one();
        removed
    }

    /// Waits until what happened up to a place is in the outbox, as far as anybody wants it; or until
    /// it takes too long.
    pub(super) async fn caught_up(&self, to: Seq) {
        let mut looked_to = self.looked_to.subscribe();
        let looked = looked_to.wait_for(|looked_to| *looked_to >= to);
        let limit = Duration::from_millis(CAUGHT_UP_MS_MAX);
        if tokio::time::timeout(limit, looked).await.is_err() {
            tracing::warn!(seq = to.number(), "hooks may miss events of a session that is removed");
        }
    }

    /// Takes note that a delivery is done, so that there may be room for more.
    fn made_room(&self) {
        if self.is_full.swap(false, Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }
}
