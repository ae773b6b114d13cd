//! Where a session stands, and the only ways from one place to another.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a session stands. The word is the same in the store, in the API and on the screen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for its parent session to end.
    Queued,
    /// The launch is accepted; whether there is a process is not known yet.
    Starting,
    /// The process is up and works.
    Running,
    /// The process is up and waits for an answer of the user.
    WaitingInput,
    /// The end is decided, by an intent or by the agent's final report; the process is not known
    /// to be gone yet.
    Completing,
    /// It ended well, or was interrupted because somebody asked.
    Completed,
    /// It ended badly, and nobody had asked for the end.
    Failed,
    /// It is gone and nobody saw how.
    Lost,
}

/// A word that names no status.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no such status: use one of queued, starting, running, waiting_input, completing, completed, failed, lost"
)]
pub struct UnknownStatus;

impl Status {
    /// All of them, in the order of a session's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::WaitingInput,
        Self::Completing,
        Self::Completed,
        Self::Failed,
        Self::Lost,
    ];

    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::WaitingInput => "waiting_input",
            Self::Completing => "completing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Says whether the session has ended, for good.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Lost => true,
            Self::Queued
            | Self::Starting
            | Self::Running
            | Self::WaitingInput
            | Self::Completing => false,
        }
    }

    /// Says whether a change may lead from `from` (`None`: no session yet) to `to`.
    ///
    /// An edge from a status to itself is a change that keeps the status, such as a rung of the
    /// stop ladder. [`step`](crate::step) can take no edge that is not here, and the supervisor
    /// checks each one once more before it commits.
    #[must_use]
    pub const fn edge(from: Option<Self>, to: Self) -> bool {
        let Some(from) = from else {
            return matches!(to, Self::Queued | Self::Starting);
        };
        match from {
            // Failed: the creation was in doubt and refused, so that it must never start.
            Self::Queued => {
                matches!(to, Self::Queued | Self::Starting | Self::Completed | Self::Failed)
            }
            // To itself: somebody changed its settings.
            Self::Starting => {
                matches!(to, Self::Starting | Self::Running | Self::Completing) || to.is_terminal()
            }
            Self::Running => {
                matches!(to, Self::Running | Self::WaitingInput | Self::Completing)
                    || to.is_terminal()
            }
            Self::WaitingInput => {
                matches!(to, Self::WaitingInput | Self::Running | Self::Completing)
                    || to.is_terminal()
            }
            Self::Completing => matches!(to, Self::Completing) || to.is_terminal(),
            Self::Completed | Self::Failed | Self::Lost => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(UnknownStatus)
    }
}
