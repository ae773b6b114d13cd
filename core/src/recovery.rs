//! What a restart does with each stored status.
//!
//! It is derived from the row alone. No command is stepped before its answer has come in.

use crate::status::Status;

/// The first thing to do about a session that a daemon finds in its store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Recovery {
    /// It has ended. Nothing changes it any more.
    Nothing,
    /// Look whether the session that it waits for has ended, and tell it.
    AwaitParent,
    /// Find out what became of its process, and step the answer.
    Attach,
}

impl Recovery {
    /// Returns what to do about a session that was stored with this status.
    ///
    /// `starting` is attached to as well: the daemon before may have died on either side of the
    /// moment when the process came up.
    #[must_use]
    pub const fn of(status: Status) -> Self {
        match status {
            Status::Completed | Status::Failed | Status::Lost => Self::Nothing,
            Status::Queued => Self::AwaitParent,
            Status::Starting | Status::Running | Status::WaitingInput | Status::Completing => {
                Self::Attach
            }
        }
    }
}
