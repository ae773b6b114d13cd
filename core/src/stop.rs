//! How a session is made to end: who asked for what, and the ladder of signals.

use core::fmt;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::session::SessionId;
use crate::time::Timestamp;

/// What somebody asked for. Durable before the first signal of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// The user wants it to end, politely first.
    Interrupt,
    /// The user wants it gone now.
    Kill,
    /// The session's own time limit is over.
    Timeout,
    /// The daemon leaves and takes its sessions along.
    Shutdown,
    /// A continuation takes its place.
    Superseded,
    /// The user has no further message for it. It says nothing about how it ends.
    Finish,
}

impl StopKind {
    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Kill => "kill",
            Self::Timeout => "timeout",
            Self::Shutdown => "shutdown",
            Self::Superseded => "superseded",
            Self::Finish => "finish",
        }
    }
}

impl fmt::Display for StopKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Who caused a change.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Actor {
    /// A person or their tool, by the user id that the kernel vouched for.
    User(u32),
    /// The daemon itself: a fact that it saw, or a deadline.
    Daemon,
    /// Another session.
    Session(SessionId),
}

/// An intent as it is kept: what, by whom, when.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Intent {
    /// What was asked.
    pub kind: StopKind,
    /// Who asked.
    pub by: Actor,
    /// When the intent was accepted.
    pub at: Timestamp,
}

/// One rung of the stop ladder: a signal to the whole process group, followed by `SIGCONT` so that
/// a stopped process receives it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// No signal: the process is told on its standard input, in its own words, or that ends.
    Ask,
    /// `SIGINT`.
    Interrupt,
    /// `SIGINT` once more, for those in whom one gets lost.
    InterruptAgain,
    /// `SIGTERM`.
    Terminate,
    /// `SIGKILL`.
    Kill,
}

impl Rung {
    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Interrupt => "interrupt",
            Self::InterruptAgain => "interrupt_again",
            Self::Terminate => "terminate",
            Self::Kill => "kill",
        }
    }

    /// Returns the signal that this rung sends, if it sends one.
    #[must_use]
    pub const fn signal(self) -> Option<Signal> {
        match self {
            Self::Ask => None,
            Self::Interrupt | Self::InterruptAgain => Some(Signal::Interrupt),
            Self::Terminate => Some(Signal::Terminate),
            Self::Kill => Some(Signal::Kill),
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A signal that Candor sends. It sends no other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Signal {
    /// `SIGINT`.
    Interrupt,
    /// `SIGTERM`.
    Terminate,
    /// `SIGKILL`.
    Kill,
    /// `SIGCONT`.
    Continue,
}

/// The ladder: which rungs there are, and how long each waits for the process to go, in
/// milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Graces {
    /// From being asked to `SIGINT`; `None` where there is nothing to ask with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_ms: Option<NonZeroU32>,
    /// From `SIGINT` to the next rung.
    pub interrupt_ms: u32,
    /// From the second `SIGINT` to `SIGTERM`; `None` where there is no second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt_again_ms: Option<NonZeroU32>,
    /// From `SIGTERM` to `SIGKILL`.
    pub terminate_ms: u32,
    /// From the agent's final report to the ladder, when the process lingers. It is also what a turn
    /// has to come to its end when its session is finished.
    pub linger_ms: u32,
}

impl Graces {
    /// 10 s, 5 s, and 30 s after a report; `SIGINT` once, and nothing before it.
    pub const DEFAULT: Self = Self {
        ask_ms: None,
        interrupt_ms: 10_000,
        interrupt_again_ms: None,
        terminate_ms: 5_000,
        linger_ms: 30_000,
    };

    /// Returns the rung at which the ladder starts for this kind of stop.
    #[must_use]
    pub const fn first(&self, kind: StopKind) -> Rung {
        match kind {
            StopKind::Interrupt
            | StopKind::Timeout
            | StopKind::Shutdown
            | StopKind::Superseded
            | StopKind::Finish => {
                if self.ask_ms.is_some() {
                    Rung::Ask
                } else {
                    Rung::Interrupt
                }
            }
            StopKind::Kill => Rung::Kill,
        }
    }

    /// Returns the rung above, or `None` at the top.
    #[must_use]
    pub const fn above(&self, rung: Rung) -> Option<Rung> {
        match rung {
            Rung::Ask => Some(Rung::Interrupt),
            Rung::Interrupt if self.interrupt_again_ms.is_some() => Some(Rung::InterruptAgain),
            Rung::Interrupt | Rung::InterruptAgain => Some(Rung::Terminate),
            Rung::Terminate => Some(Rung::Kill),
            Rung::Kill => None,
        }
    }

    /// Returns the grace after `rung` for a stop of this kind, or `None` where there is nothing above
    /// it to climb to.
    #[must_use]
    pub const fn after(&self, rung: Rung, intent: Option<StopKind>) -> Option<u32> {
        match (rung, self.ask_ms, self.interrupt_again_ms) {
            (Rung::Ask, Some(_) | None, Some(_) | None)
                if matches!(intent, Some(StopKind::Finish)) =>
            {
                Some(self.linger_ms)
            }
            (Rung::Ask, Some(ask_ms), Some(_) | None) => Some(ask_ms.get()),
            (Rung::Ask, None, Some(_) | None) => Some(0),
            (Rung::Interrupt, Some(_) | None, Some(_) | None) => Some(self.interrupt_ms),
            (Rung::InterruptAgain, Some(_) | None, Some(again_ms)) => Some(again_ms.get()),
            (Rung::InterruptAgain, Some(_) | None, None) => Some(0),
            (Rung::Terminate, Some(_) | None, Some(_) | None) => Some(self.terminate_ms),
            (Rung::Kill, Some(_) | None, Some(_) | None) => None,
        }
    }

    /// Returns how long the whole ladder takes at most, in milliseconds.
    #[must_use]
    pub fn total_ms(&self) -> u64 {
        let optional = [self.ask_ms, self.interrupt_again_ms].into_iter().flatten();
        let rungs = [self.interrupt_ms, self.terminate_ms];
        rungs.into_iter().chain(optional.map(NonZeroU32::get)).map(u64::from).sum()
    }
}

impl Default for Graces {
    fn default() -> Self {
        Self::DEFAULT
    }
}
