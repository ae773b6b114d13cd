//! What the world is told of a change.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::session::{EventId, Revision, SessionId};
use crate::status::Status;
use crate::stop::{Actor, Rung, StopKind};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Counts the events of the whole store, rising, and is never used twice. A reader's cursor.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// The cursor before the first event.
    pub const START: Self = Self(0);

    /// Wraps a number that a store kept or a reader named.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// Why a session changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The launch was accepted.
    Launched,
    /// The continuation of a live session was accepted; it waits for that one to end.
    Queued,
    /// The session that it waited for has ended.
    ParentEnded,
    /// The process is up.
    Spawned,
    /// The process is up, and was started by an earlier daemon.
    Adopted,
    /// The spawn was refused.
    SpawnRefused,
    /// It was proved that no process was ever made.
    NeverRan,
    /// The agent asks the user for something.
    RequestOpened,
    /// A request was answered or withdrawn.
    RequestClosed,
    /// The agent gave its final report.
    Reported,
    /// The agent has ended a turn, and waits for the next message.
    TurnEnded,
    /// The agent has taken a further message, and works on it.
    TurnBegan,
    /// Somebody changed what the agent may do without asking.
    SettingsChanged,
    /// Somebody asked for the end, or asked for more after that.
    Stop(StopKind),
    /// The grace of the rung below was over.
    Climbed(Rung),
    /// The exit was seen.
    Exited,
    /// The process was found gone, its exit unknown.
    Gone,
}

impl Cause {
    /// Every cause with the word that stands for it in the store and in the API.
    pub const ALL: [Self; 26] = [
        Self::Launched,
        Self::Queued,
        Self::ParentEnded,
        Self::Spawned,
        Self::Adopted,
        Self::SpawnRefused,
        Self::NeverRan,
        Self::RequestOpened,
        Self::RequestClosed,
        Self::Reported,
        Self::Stop(StopKind::Interrupt),
        Self::Stop(StopKind::Kill),
        Self::Stop(StopKind::Timeout),
        Self::Stop(StopKind::Shutdown),
        Self::Stop(StopKind::Superseded),
        Self::Stop(StopKind::Finish),
        Self::TurnEnded,
        Self::TurnBegan,
        Self::SettingsChanged,
        Self::Climbed(Rung::Ask),
        Self::Climbed(Rung::Interrupt),
        Self::Climbed(Rung::InterruptAgain),
        Self::Climbed(Rung::Terminate),
        Self::Climbed(Rung::Kill),
        Self::Exited,
        Self::Gone,
    ];

    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Launched => "launched",
            Self::Queued => "queued",
            Self::ParentEnded => "parent_ended",
            Self::Spawned => "spawned",
            Self::Adopted => "adopted",
            Self::SpawnRefused => "spawn_refused",
            Self::NeverRan => "never_ran",
            Self::RequestOpened => "request_opened",
            Self::RequestClosed => "request_closed",
            Self::Reported => "reported",
            Self::TurnEnded => "turn_ended",
            Self::TurnBegan => "turn_began",
            Self::SettingsChanged => "settings_changed",
            Self::Stop(kind) => kind.as_str(),
            Self::Climbed(Rung::Ask) => "rung_ask",
            Self::Climbed(Rung::InterruptAgain) => "rung_interrupt_again",
            Self::Climbed(Rung::Interrupt) => "rung_interrupt",
            Self::Climbed(Rung::Terminate) => "rung_terminate",
            Self::Climbed(Rung::Kill) => "rung_kill",
            Self::Exited => "exited",
            Self::Gone => "gone",
        }
    }

    /// Returns the cause that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One change of one session: exactly the step from revision `revision - 1` to `revision`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Event {
    /// Tells this change from every other.
    pub id: EventId,
    /// Whose change it is.
    pub session: SessionId,
    /// The revision that it led to.
    pub revision: Revision,
    /// When it was decided.
    pub at: Timestamp,
    /// The status before, or `None` for the first change.
    pub from: Option<Status>,
    /// The status after. Equal to `from` when something else changed.
    pub to: Status,
    /// Why.
    pub cause: Cause,
    /// Who caused it.
    pub by: Actor,
    /// How the session ended, in the change that ended it.
    pub verdict: Option<Verdict>,
}

/// An event with its place in the store's order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoredEvent {
    /// Its place.
    pub seq: Seq,
    /// The change.
    pub event: Event,
}
