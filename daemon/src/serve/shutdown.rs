//! How the daemon leaves: launches are refused, and then its sessions are left to their shims, or all
//! of them are stopped and their ends awaited.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candor_adapters::failpoint;
use candor_core::stop::{Actor, StopKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Refusal, Registry};

/// How long the daemon waits beyond the longest ladder for processes that even `SIGKILL` does not
/// end, such as those in uninterruptible sleep, in milliseconds. What is left then is taken up by
/// the next start.
const UNKILLABLE_MS: u64 = 5_000;

/// How often sessions are asked again while the daemon waits for them, in milliseconds.
const ASK_AGAIN_MS: u64 = 1_000;

/// How long a daemon that leaves its sessions waits for launches and commits under way, in
/// milliseconds. What is under way then is found by the next start, as after a crash.
const UNDER_WAY_MS: u64 = 10_000;

/// What becomes of the sessions when the daemon leaves.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Parting {
    /// They go on, where they can without a daemon.
    LeavesSessions,
    /// They are stopped first.
    StopsSessions,
}

/// The wish that the daemon leave, and whose wish it was.
pub(crate) struct Shutdown {
    asked: CancellationToken,
    /// Cancelled when nothing changes any more, so that streams end.
    quiet: CancellationToken,
    /// The first, which holds.
    wish: Mutex<Option<(Actor, Parting)>>,
    sessions_outlive: bool,
}

impl Shutdown {
    /// `sessions_outlive` says whether sessions can go on without a daemon.
    pub(crate) fn new(sessions_outlive: bool) -> Self {
        Self {
            asked: CancellationToken::new(),
            quiet: CancellationToken::new(),
            wish: Mutex::new(None),
            sessions_outlive,
        }
    }

    /// Asks the daemon to leave. The first who asks is named in the intents of sessions that are
    /// stopped for it, and the parting is the one that was wished first: the sessions may be left
    /// already.
    ///
    /// # Errors
    ///
    /// [`Refusal::LeavesSessions`] when the sessions should be stopped, and are left.
    pub(crate) fn ask(&self, by: Actor, parting: Parting) -> Result<(), Refusal> {
        let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, holds) = *wish.get_or_insert((by, parting));
        drop(wish);
        self.asked.cancel();
        if self.sessions_outlive && holds < parting {
            return Err(Refusal::LeavesSessions);
        }
        Ok(())
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Is cancelled when this daemon changes nothing any more, and no event will follow.
    pub(crate) const fn quiet(&self) -> &CancellationToken {
        &self.quiet
    }

    /// Parts from all sessions as it was asked. A further signal leaves at once where they go on,
    /// and makes it a kill where they are stopped.
    pub(crate) async fn part(&self, registry: &Arc<Registry>, signals: &mut Signals) {
        registry.close().await;
        failpoint!(ShutdownBegun);
        let wish = *self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let (by, parting) = wish.unwrap_or((Actor::Daemon, Parting::LeavesSessions));
        match parting {
            Parting::LeavesSessions if self.sessions_outlive => leave(registry, signals).await,
            Parting::LeavesSessions | Parting::StopsSessions => stop(registry, by, signals).await,
        }
        self.quiet.cancel();
    }
}

/// Waits until every session's task has put down what it was at. What happens to the processes from
/// now on, their shims keep for the next daemon.
async fn leave(registry: &Arc<Registry>, signals: &mut Signals) {
    registry.leave_sessions();
    tokio::select! {
        () = registry.drained() => {}
        () = signals.next() => {}
        () = tokio::time::sleep(Duration::from_millis(UNDER_WAY_MS)) => {
            tracing::warn!("left in the midst of a change: the next start finds out what came of it");
        }
    }
}

/// Stops all sessions and waits for their ends.
async fn stop(registry: &Arc<Registry>, by: Actor, signals: &mut Signals) {
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

#[cfg(test)]
mod tests {
    use candor_core::stop::Actor;

    use super::{Parting, Refusal, Shutdown};

    #[test]
    fn the_first_wish_holds_and_a_greater_one_is_told_so() {
        let (first, second) = (Actor::User(1), Actor::User(2));
        for (outlive, holds, wished, is_refused) in [
            (true, Parting::LeavesSessions, Parting::StopsSessions, true),
            (true, Parting::StopsSessions, Parting::LeavesSessions, false),
            (true, Parting::LeavesSessions, Parting::LeavesSessions, false),
            // They are stopped in any case.
            (false, Parting::LeavesSessions, Parting::StopsSessions, false),
        ] {
            let shutdown = Shutdown::new(outlive);
            assert!(shutdown.ask(first, holds).is_ok());
            let answer = shutdown.ask(second, wished);
            assert_eq!(matches!(answer, Err(Refusal::LeavesSessions)), is_refused, "{answer:?}");
            assert_eq!(*shutdown.wish.lock().unwrap(), Some((first, holds)));
        }
    }
}
