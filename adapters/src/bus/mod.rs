//! The event bus: a broadcast of wake-ups within one daemon.
//!
//! It carries the highest `seq` and nothing else. Events themselves never travel here: a queue of
//! them would drop some for a slow reader, and the reader would have to notice. A single value
//! cannot lag: however late a reader looks, it finds the newest.

use async_trait::async_trait;
use candor_core::event::Seq;
use candor_core::ports::{EventBus, Subscription};
use tokio::sync::watch;

/// Wakes every listener of this process.
#[derive(Debug)]
pub struct BroadcastBus {
    highest: watch::Sender<Seq>,
}

impl BroadcastBus {
    /// Makes a bus on which nothing has been published.
    #[must_use]
    pub fn new() -> Self {
        Self { highest: watch::Sender::new(Seq::START) }
    }
}

impl Default for BroadcastBus {
    fn default() -> Self {
        Self::new()
    }
}

impl EventBus for BroadcastBus {
    fn publish(&self, seq: Seq) {
        crate::failpoint!(PublishBegun);
        // Two sessions may publish in the other order than they committed. The lower number still
        // wakes, as the port promises, and does not hide the higher one.
        self.highest.send_modify(|highest| *highest = seq.max(*highest));
        crate::failpoint!(PublishDone);
    }

    fn subscribe(&self) -> Box<dyn Subscription> {
        Box::new(Listener { highest: self.highest.subscribe() })
    }
}

struct Listener {
    highest: watch::Receiver<Seq>,
}

#[async_trait]
impl Subscription for Listener {
    async fn woken(&mut self) -> Option<Seq> {
        self.highest.changed().await.ok()?;
        Some(*self.highest.borrow_and_update())
    }
}
