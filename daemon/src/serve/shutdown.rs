//! How the daemon leaves: launches are refused, every session is stopped and its end awaited.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candor_adapters::failpoint;
use candor_core::stop::{Actor, StopKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Registry;

/// How long the daemon waits beyond the longest ladder for processes that even `SIGKILL` does not
/// end, such as those in uninterruptible sleep, in milliseconds. What is left then is taken up by
/// the next start.
const UNKILLABLE_MS: u64 = 5_000;

/// How often sessions are asked again while the daemon waits for them, in milliseconds.
const ASK_AGAIN_MS: u64 = 1_000;

/// The wish that the daemon leave, and whose wish it was.
pub(crate) struct Shutdown {
    asked: CancellationToken,
    /// Cancelled when nothing changes any more, so that streams end.
    quiet: CancellationToken,
    by: Mutex<Actor>,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self {
            asked: CancellationToken::new(),
            quiet: CancellationToken::new(),
            by: Mutex::new(Actor::Daemon),
        }
    }

    /// Asks the daemon to leave. The first who asks is named in the sessions' intents.
    pub(crate) fn ask(&self, by: Actor) {
        if !self.is_asked() {
            *self.by.lock().unwrap_or_else(PoisonError::into_inner) = by;
        }
        self.asked.cancel();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Is cancelled when all sessions have ended and no event will follow.
    pub(crate) const fn quiet(&self) -> &CancellationToken {
        &self.quiet
    }

    fn by(&self) -> Actor {
        *self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all sessions and waits for their ends. A further signal makes it a kill.
    pub(crate) async fn drain(&self, registry: &Arc<Registry>, signals: &mut Signals) {
        registry.close().await;
        failpoint!(ShutdownBegun);
        let by = self.by();
        let longest_ms = registry.longest_ladder_ms() + UNKILLABLE_MS;
        let mut ask_again = tokio::time::interval(Duration::from_millis(ASK_AGAIN_MS));
        let patience = tokio::time::sleep(Duration::from_millis(longest_ms));
        tokio::pin!(patience);
        loop {
            tokio::select! {
                () = registry.drained() => break,
                // The first tick is now. Asking a session that is stopping changes nothing, and one
                // whose store did not take the wish has to be asked again.
                _ = ask_again.tick() => ask(registry, StopKind::Shutdown, by),
                () = &mut patience => {
                    tracing::error!("some processes do not end; the next start takes them up");
                    break;
                }
                () = signals.next() => ask(registry, StopKind::Kill, Actor::Daemon),
            }
        }
        self.quiet.cancel();
    }
}

/// Asks all sessions, beside everything else: one that cannot answer yet must hold up neither the
/// daemon's patience nor a further signal.
fn ask(registry: &Arc<Registry>, kind: StopKind, by: Actor) {
    let registry = Arc::clone(registry);
    tokio::spawn(async move { registry.stop_all(kind, by).await });
}

/// The signals that ask the daemon to leave.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to catch them. `SIGHUP` is caught too, and means nothing: a terminal that goes away
    /// takes no daemon along.
    ///
    /// # Errors
    ///
    /// When the system refuses a handler.
    pub(crate) fn catch() -> std::io::Result<Self> {
        let _hangup_is_ignored = signal(SignalKind::hangup())?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
