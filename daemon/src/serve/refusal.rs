//! Why something that was asked is not done, each with the sentence that a person is told.

use candor_core::agent::RequestState;
use candor_core::ports::ReadError;
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::Actor;
use candor_core::supervisor::HandleError;
use candor_core::time::Timestamp;

use super::registry::LIVE_SESSIONS_MAX;

/// Why something that was asked is not done. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the daemon is stopping: start it again with `candor daemon start`")]
    Stopping,
    #[error(
        "the daemon is already leaving, and its sessions go on: only the next daemon can stop them, \
         with `candor daemon stop --sessions`"
    )]
    LeavesSessions,
    #[error(
        "{LIVE_SESSIONS_MAX} sessions are live, which is the most at one time: stop one, or wait \
         for one to end"
    )]
    TooMany,
    #[error("the store is unavailable ({0}), and nothing was changed: mend that, and try again")]
    StoreUnavailable(String),
    #[error(
        "the store does not answer ({0}), and may have taken the change: look with `candor ls` \
         before you try again"
    )]
    InDoubt(String),
    #[error("{0}: this is a bug, and nothing was changed; please report it")]
    Bug(String),
    #[error("the row of session {session} is damaged ({reason}): it is left as it is")]
    Damaged { session: SessionId, reason: String },
    #[error("no session has the id {0}")]
    Unknown(SessionId),
    #[error("session {session} was removed by {by} at {at:.6}")]
    Removed { session: SessionId, by: Actor, at: Timestamp },
    #[error(
        "session {session} is {status}, and only what has ended is removed: stop it first with \
         `candor interrupt`"
    )]
    Live { session: SessionId, status: Status },
    #[error(
        "session {session} is not removed: session {child} waits for its end, and is still queued"
    )]
    Awaited { session: SessionId, child: SessionId },
    #[error(
        "session {session} is removed, and some of its files are not ({reason}): the next start of \
         the daemon tries again"
    )]
    FilesLeft { session: SessionId, reason: String },
    #[error("session {0} is live in the store, and this daemon does not drive it: restart it")]
    NotDriven(SessionId),
    #[error(
        "the request is not open any more: it was {}",
        state.map_or("closed, or never was", state_word)
    )]
    RequestNotOpen { state: Option<RequestState> },
    #[error("session {session} is not continued: {reason}")]
    NotContinued { session: SessionId, reason: String },
    #[error(
        "session {session} is continued by session {child} already: continue that one, or fork with \
         `--fork`"
    )]
    AlreadyContinued { session: SessionId, child: SessionId },
    #[error(
        "session {0} has no input that could be closed, and ends by itself when it is through: \
         `candor interrupt` stops it before"
    )]
    NotToBeFinished(SessionId),
    #[error("the end of session {0} is decided: it asks for nothing any more")]
    EndDecided(SessionId),
    #[error("{0}")]
    BadOrder(String),
    #[error("session {0} reads nothing: it was launched without `--stdin`")]
    NoInput(SessionId),
    #[error(
        "session {0} runs an agent, whose input is Candor's own: send it a message, with `candor send` or \
         `POST /v1/sessions/{0}/messages`, and answer what it asks with `candor approve` or `candor deny`"
    )]
    NoInputOfAgent(SessionId),
    #[error("session {session} has ended, and reads no more: {status} ({outcome})")]
    Ended { session: SessionId, status: Status, outcome: String },
    #[error("session {0} reads no more: its standard input was closed")]
    InputClosed(SessionId),
    #[error(
        "session {0} has not read what it was sent before, and nothing of this was taken: send it \
         again when it has"
    )]
    InputFull(SessionId),
    #[error(
        "nobody can say whether session {0} gets the message: send it again with the same `message`"
    )]
    MessageInDoubt(SessionId),
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { reason } => Self::StoreUnavailable(reason),
            ReadError::Damaged { session, reason } => Self::Damaged { session, reason },
        }
    }
}

impl From<HandleError> for Refusal {
    fn from(error: HandleError) -> Self {
        match error {
            HandleError::StoreUnavailable { reason } | HandleError::Blocked { reason } => {
                Self::StoreUnavailable(reason)
            }
            HandleError::InDoubt { reason } => Self::InDoubt(reason),
            HandleError::Usurped { id } => Self::NotDriven(id),
            HandleError::RequestNotOpen { state } => Self::RequestNotOpen { state },
            HandleError::Illegal(error) => Self::Bug(error.to_string()),
        }
    }
}

const fn state_word(state: RequestState) -> &'static str {
    match state {
        RequestState::Open => "open",
        RequestState::Approved => "approved before",
        RequestState::Denied => "denied before",
        RequestState::Withdrawn => "withdrawn",
    }
}
