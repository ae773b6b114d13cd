//! A session as core sees it: the row.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::agent::{AgentSpec, Learned, Request, Usage};
use crate::bytes::ByteString;
use crate::machine::{Machine, Policy};
use crate::status::Status;
use crate::stop::{Actor, Intent};
use crate::time::Timestamp;
use crate::verdict::{Evidence, Exit, Verdict, Witness};

/// Makes the type of an id that is a UUID and nothing else.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was minted for this, or that a store kept.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }
    };
}

uuid_id! {
    /// Identifies one session for as long as its row exists.
    ///
    /// The value is a UUID version 7, so ids sort by the time of creation to the millisecond. Core
    /// never mints one: see [`IdSource`](crate::ports::IdSource).
    SessionId
}

impl SessionId {
    /// Returns the short form for people: the last 8 hex digits, which differ where the first ones
    /// of sessions that were launched together do not.
    #[must_use]
    pub fn short(&self) -> String {
        let text = self.to_string();
        text[text.len() - 8..].to_string()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), formatter)
    }
}

uuid_id! {
    /// Identifies one change, so that a writer can tell its own from somebody else's.
    EventId
}

uuid_id! {
    /// Identifies one message to a process, so that it is written once, however often it is sent.
    MessageId
}

impl MessageId {
    /// Returns the id of the message that a session is sent by `key`: always the same one, so that
    /// whoever sends it again, after a restart say, does not send it twice.
    #[must_use]
    pub fn derived(session: SessionId, key: u64) -> Self {
        /// Version 8 of RFC 9562, which leaves it to the application: no random id is one.
        const VERSION: u128 = 0x8 << 76;
        let bits = session.0.as_u128() & !(0xf << 76);
        Self(Uuid::from_u128((bits ^ u128::from(key & (u64::MAX >> 2))) | VERSION))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), formatter)
    }
}

/// Counts the changes of one session, from 1, without a gap. 0 stands for "no row yet".
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// The revision of a session that has no row yet.
    pub const NONE: Self = Self(0);

    /// Wraps a number that a store kept.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// What a session reads as its standard input.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StandardInput {
    /// Nothing: it is at its end from the start.
    #[default]
    None,
    /// What it is sent, from a pipe that is held open until somebody closes it.
    Held,
}

/// What to run, and how. Fixed at the launch.
///
/// The values of the environment are not here: they are secrets more often than not, and go from
/// the caller to the process without ever being stored. See
/// [`Environment`](crate::ports::Environment).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Spec {
    /// What the user calls it.
    pub title: Option<String>,
    /// The program and its arguments; never empty.
    pub command: Vec<ByteString>,
    /// The folder to run in, absolute.
    pub cwd: ByteString,
    /// The names of the environment's variables.
    pub environment_names: Vec<ByteString>,
    /// The file mode creation mask of the caller.
    pub umask: u32,
    /// What its standard input is. Rows of before there was a choice have none.
    #[serde(default)]
    pub input: StandardInput,
    /// What was ordered of an agent, if one runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSpec>,
    /// The name under which somebody asked for it, if they gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestKey>,
    /// The numbers that the machine decides by.
    pub policy: Policy,
}

/// The name of a request for a session. Whoever does not know what became of one asks again under the
/// same name, and gets the same session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestKey {
    /// The name, which its client chose.
    pub key: String,
    /// What tells the request from any other, so that no other request passes for it.
    pub digest: String,
}

/// What the agent itself said at its end.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Whether it called its own work a success.
    pub success: bool,
    /// The agent's own word for the kind of end.
    pub kind: Option<String>,
    /// The agent's own sentence.
    pub message: Option<String>,
    /// How many turns it took.
    #[serde(default)]
    pub turns: Option<u32>,
    /// What it has cost, in millionths of a US dollar.
    #[serde(default)]
    pub cost_microusd: Option<u64>,
    /// Tokens.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// How many bytes each output held when the process was gone. What is beyond was written by
/// processes that it left behind.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct OutputSizes {
    /// Bytes of standard output.
    pub stdout_bytes: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
}

/// Something worth knowing about a session that changes no verdict.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note {
    /// When it was noticed.
    pub at: Timestamp,
    /// A sentence for a person.
    pub text: String,
}

/// What was seen when the process was found gone, beside what the machine keeps of it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sighting {
    /// Who saw the exit, if anybody did.
    pub witness: Option<Witness>,
    /// How much output there was, if anybody looked.
    pub output: Option<OutputSizes>,
    /// How many processes that the session had started it left behind alive, if anybody counted.
    /// Rows of before there was a count have none.
    #[serde(default)]
    pub left_behind: Option<u32>,
}

/// Notes kept per session, at most. Later ones are dropped: the first tell how it began.
pub const NOTES_MAX: usize = 32;

/// The row.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Session {
    /// Who it is.
    pub id: SessionId,
    /// The session that this one continues.
    pub parent: Option<SessionId>,
    /// What runs. Shared, since every change carries the row.
    #[serde(with = "shared")]
    pub spec: Arc<Spec>,
    /// What decides.
    pub machine: Machine,
    /// When the launch was accepted.
    pub created_at: Timestamp,
    /// When the process was known to be up.
    pub started_at: Option<Timestamp>,
    /// When the end was settled.
    pub ended_at: Option<Timestamp>,
    /// The first intent.
    pub intent: Option<Intent>,
    /// The agent's final report.
    pub report: Option<Box<Report>>,
    /// What was seen of the end.
    pub sighting: Sighting,
    /// What else is worth knowing, oldest first.
    pub notes: Vec<Note>,
    /// What became known of its agent. What was learned since the last change is stored with the
    /// next one.
    #[serde(default)]
    pub learned: Learned,
    /// What the agent asks its user: what is open, and the last of what is closed, oldest first.
    #[serde(default)]
    pub requests: Vec<Request>,
    /// How many requests there were.
    #[serde(default)]
    pub requests_count: u32,
    /// The offset in standard output up to which requests are known.
    #[serde(default)]
    pub requests_read_to: u64,
    /// How many turns its agent had ended when it was last handed in that one had.
    #[serde(default)]
    pub turns_ended: u32,
    /// Until when its agent may do everything without asking.
    #[serde(default)]
    pub bypass_until: Option<Timestamp>,
}

impl Session {
    /// Returns the row of a session of which nothing is stored yet.
    pub(crate) fn unborn(
        id: SessionId,
        parent: Option<SessionId>,
        spec: Arc<Spec>,
        machine: Machine,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            parent,
            spec,
            machine,
            created_at,
            started_at: None,
            ended_at: None,
            intent: None,
            report: None,
            sighting: Sighting::default(),
            notes: Vec::new(),
            learned: Learned::default(),
            requests: Vec::new(),
            requests_count: 0,
            requests_read_to: 0,
            turns_ended: 0,
            bypass_until: None,
        }
    }

    /// Returns where the session stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.machine.status()
    }

    /// Returns how many changes it has had.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.machine.revision()
    }

    /// Returns how it ended, or `None` while it lives.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.machine.verdict()
    }

    /// Returns what the verdict rests on, or `None` while it lives.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        self.machine.evidence()
    }

    /// Returns what the kernel said of the end, if anybody saw it.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.machine.exit()
    }

    /// Says whether it is an agent that is given further messages.
    #[must_use]
    pub fn is_interactive(&self) -> bool {
        self.spec.agent.as_ref().is_some_and(|agent| agent.is_interactive)
    }

    /// Returns the request of this number, if it is kept.
    #[must_use]
    pub fn request(&self, number: u32) -> Option<&Request> {
        self.requests.iter().find(|request| request.number == number)
    }

    /// Appends a note, unless there are [`NOTES_MAX`] already.
    pub fn note(&mut self, at: Timestamp, text: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(Note { at, text });
        }
    }
}

/// Lets serde write the spec through its `Arc` without the `rc` feature, whose reference cycles
/// nobody here wants.
mod shared {
    use super::{Arc, Deserialize, Deserializer, Serialize, Serializer, Spec};

    pub(super) fn serialize<S: Serializer>(
        spec: &Arc<Spec>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Spec::serialize(spec, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Spec>, D::Error> {
        Spec::deserialize(deserializer).map(Arc::new)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(formatter, "user:{uid}"),
            Self::Daemon => formatter.write_str("daemon"),
            Self::Session(id) => write!(formatter, "session:{id}"),
        }
    }
}

/// A text that names no actor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such actor: expected user:UID, daemon or session:ID")]
pub struct UnknownActor;

impl FromStr for Actor {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, UnknownActor> {
        if text == "daemon" {
            return Ok(Self::Daemon);
        }
        if let Some(uid) = text.strip_prefix("user:") {
            return uid.parse().map(Self::User).map_err(|_| UnknownActor);
        }
        let id = text.strip_prefix("session:").ok_or(UnknownActor)?;
        Uuid::parse_str(id).map(|id| Self::Session(SessionId(id))).map_err(|_| UnknownActor)
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
