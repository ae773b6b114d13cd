//! Everything that can happen to a session, as far as it decides.

use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::stop::{Rung, StopKind};
use crate::verdict::End;

/// One thing that happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Somebody asks for the end.
    Stop(StopKind),
    /// The launch succeeded: the process is up.
    Spawned,
    /// Nobody can say yet whether there is a process, or reach it.
    Unreachable,
    /// The process that an earlier daemon started was found alive, and is ours again.
    Adopted,
    /// The agent asks the user for something.
    RequestOpened,
    /// One of its requests was answered or withdrawn.
    RequestClosed,
    /// The agent has ended a turn, and waits for the next message.
    TurnEnded,
    /// The agent has taken a further message.
    TurnBegan,
    /// Somebody changes what the agent may do without asking.
    SettingsChanged,
    /// The agent reported, and no further turn can follow.
    FinalReport {
        /// What it said of itself.
        success: bool,
    },
    /// The process is known gone, and this is how it went.
    Gone(End),
    /// A deadline was reached. It may come late, and mean nothing any more.
    Due(Deadline),
    /// The session that this one waits for has ended.
    ParentEnded,
}

/// Something that was to happen at a moment. A new deadline of a kind takes the place of the old.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// The session's own time limit.
    Timeout,
    /// The process lingers after its final report.
    Linger,
    /// It has waited long enough for a message.
    Idle,
    /// The process has had its grace after this rung.
    RungOver(Rung),
}

/// An input that no order of events can produce in this status: a bug in the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{input:?} cannot happen to a session that is {status}: this is a bug")]
pub struct IllegalInput {
    /// Where the session stood.
    pub status: Status,
    /// What was claimed to have happened.
    pub input: Input,
}
