//! Who waits for a conversation to go on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candor_core::session::SessionId;
use tokio::sync::watch;

/// Those who wait, by session. Nothing is kept of a session that nobody waits for.
#[derive(Debug, Default)]
pub(super) struct Wakeups(Mutex<HashMap<SessionId, watch::Sender<()>>>);

/// Tells when a conversation may have gone on.
#[derive(Debug)]
pub struct Following(watch::Receiver<()>);

impl Following {
    /// Waits until something was added or removed since the last call, or since it was made. Returns
    /// false when nothing can follow.
    ///
    /// Cancel safe.
    pub async fn woken(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl Wakeups {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen: what is added from now on wakes.
    pub(super) fn follow(&self, session: SessionId) -> Following {
        let mut senders = self.lock();
        senders.retain(|_, sender| sender.receiver_count() > 0);
        Following(senders.entry(session).or_default().subscribe())
    }

    /// Wakes those who wait for a session.
    pub(super) fn wake(&self, session: SessionId) {
        if let Some(sender) = self.lock().get(&session) {
            sender.send_replace(());
        }
    }

    /// Wakes all for the last time.
    pub(super) fn end(&self) {
        self.lock().clear();
    }
}
