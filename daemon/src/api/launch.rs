//! What somebody who wants a session says.

use candor_core::bytes::ByteString;
use candor_core::session::StandardInput;
use candor_core::stop::Graces;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;
use crate::serve::AgentRequest;

/// A request to launch.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaunchRequest {
    /// What its user calls it.
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// The program and its arguments.
    #[schema(value_type = Vec<schema::ByteString>)]
    pub(crate) command: Vec<ByteString>,
    /// The folder to run in, absolute.
    #[schema(value_type = schema::ByteString)]
    pub(crate) cwd: ByteString,
    /// Names and values. They are handed to the process, and never stored. Left out or null, they are
    /// the daemon's own.
    #[serde(default)]
    #[schema(value_type = Option<Vec<schema::Variable>>)]
    pub(crate) environment: Option<Vec<(ByteString, ByteString)>>,
    /// The file mode creation mask: the lowest nine bits of it are taken.
    #[serde(default = "umask")]
    #[schema(default = umask)]
    pub(crate) umask: u32,
    /// How long each rung of the ladder waits. Left out, it is what fits the agent, or the default.
    #[serde(default, deserialize_with = "schema::graces")]
    #[schema(value_type = Option<schema::Graces>)]
    pub(crate) graces: Option<Graces>,
    /// After how many milliseconds it is ended; null for never.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub(crate) timeout_ms: Option<u64>,
    /// The exit codes that are a success.
    #[serde(default = "success_codes")]
    #[schema(value_type = Vec<u16>, maximum = 255, default = success_codes)]
    pub(crate) success_codes: Vec<u8>,
    /// What its standard input is. Left out where there is none, which is what daemons of before
    /// there was a choice understand.
    #[serde(default, skip_serializing_if = "is_none")]
    #[schema(value_type = schema::StandardInput)]
    pub(crate) input: StandardInput,
    /// The agent to run. The command is what it is given as further arguments then, and may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<AgentRequest>,
}

/// The mask of who says none.
pub(crate) const fn umask() -> u32 {
    0o022
}

/// What is a success where nobody says it.
fn success_codes() -> Vec<u8> {
    vec![0]
}

fn is_none(input: &StandardInput) -> bool {
    *input == StandardInput::None
}
