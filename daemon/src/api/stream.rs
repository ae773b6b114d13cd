//! What a client that shows sessions begins with, and what it goes on with.

use std::collections::BTreeMap;

use candor_core::status::Status;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EventKind, EventView, SessionView};

/// Sessions as they were after exactly the events up to `seq`: whoever reads the events after it has
/// neither a gap nor a repetition.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SnapshotView {
    pub(crate) seq: u64,
    /// All that live and the newest of those that have ended, newest first.
    pub(crate) sessions: Vec<SessionView>,
    /// How many sessions there are of each status, listed here or not.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) counts: BTreeMap<Status, u64>,
    /// What to list on `before`, when more have ended than are here.
    pub(crate) next: Option<String>,
}

/// An event with the session that it is of.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SessionEventView {
    #[serde(flatten)]
    pub(crate) event: EventView,
    /// As it was when the event was read: of the event's revision or a later one. Null when it was
    /// removed, or is too large to come along.
    pub(crate) view: Option<SessionView>,
}

impl EventKind {
    /// Every type.
    pub(crate) const ALL: [Self; 3] =
        [Self::StatusChanged, Self::SessionChanged, Self::SessionRemoved];

    /// Returns its word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::StatusChanged => "status_changed",
            Self::SessionChanged => "session_changed",
            Self::SessionRemoved => "session_removed",
        }
    }
}

/// A text that is the word of no type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an event's type is status_changed, session_changed or session_removed")]
pub(crate) struct UnknownKind;

impl std::str::FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownKind)
    }
}
