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
    pub(crate) title: Option<String>,
    #[schema(value_type = Vec<schema::ByteString>)]
    pub(crate) command: Vec<ByteString>,
    #[schema(value_type = schema::ByteString)]
    pub(crate) cwd: ByteString,
    /// Names and values. They are handed to the process, and never stored.
    #[schema(value_type = Vec<schema::Variable>)]
    pub(crate) environment: Vec<(ByteString, ByteString)>,
    pub(crate) umask: u32,
    /// How long each rung of the ladder waits. Left out, it is what fits the agent, or the default.
    #[serde(default, deserialize_with = "schema::graces")]
    #[schema(value_type = Option<schema::Graces>)]
    pub(crate) graces: Option<Graces>,
    pub(crate) timeout_ms: Option<u64>,
    #[schema(value_type = Vec<u16>, maximum = 255)]
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

fn is_none(input: &StandardInput) -> bool {
    *input == StandardInput::None
}
