//! How a session is made to end: who asked for what, and the ladder of signals.

use core::fmt;

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
        }
    }

    /// Returns the rung at which the ladder starts for this kind.
    #[must_use]
    pub const fn first_rung(self) -> Rung {
        match self {
            Self::Interrupt | Self::Timeout | Self::Shutdown | Self::Superseded => Rung::Interrupt,
            Self::Kill => Rung::Kill,
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
    /// `SIGINT`.
    Interrupt,
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
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminate",
            Self::Kill => "kill",
        }
    }

    /// Returns the rung above, or `None` at the top.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Interrupt => Some(Self::Terminate),
            Self::Terminate => Some(Self::Kill),
            Self::Kill => None,
        }
    }

    /// Returns the signal that this rung sends.
    #[must_use]
    pub const fn signal(self) -> Signal {
        match self {
            Self::Interrupt => Signal::Interrupt,
            Self::Terminate => Signal::Terminate,
            Self::Kill => Signal::Kill,
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

/// How long each rung waits for the process to go, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Graces {
    /// From `SIGINT` to `SIGTERM`.
    pub interrupt_ms: u32,
    /// From `SIGTERM` to `SIGKILL`.
    pub terminate_ms: u32,
    /// From the agent's final report to `SIGINT`, when the process lingers.
    pub linger_ms: u32,
}

impl Graces {
    /// 10 s, 5 s, and 30 s after a report.
    pub const DEFAULT: Self = Self { interrupt_ms: 10_000, terminate_ms: 5_000, linger_ms: 30_000 };

    /// Returns the grace after `rung`, or `None` where there is nothing above it to climb to.
    #[must_use]
    pub const fn after(&self, rung: Rung) -> Option<u32> {
        match rung {
            Rung::Interrupt => Some(self.interrupt_ms),
            Rung::Terminate => Some(self.terminate_ms),
            Rung::Kill => None,
        }
    }
}

impl Default for Graces {
    fn default() -> Self {
        Self::DEFAULT
    }
}
