//! The lines of the protocol, as far as they are understood here. What is not of the expected form is
//! left out, and not the line that it stands in.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::reading::lenient;

/// A message: a request has a method and an id, a notification a method, an answer an id.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) method: Option<String>,
    pub(super) id: Option<Value>,
    pub(super) params: Option<Box<RawValue>>,
    pub(super) result: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) error: Option<Failure>,
}

/// Why a request failed.
#[derive(Deserialize)]
pub(super) struct Failure {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

/// The answer to the greeting.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialized {
    pub(super) protocol_version: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) agent_capabilities: Option<Capabilities>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) agent_info: Option<AgentInfo>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Capabilities {
    #[serde(default)]
    pub(super) load_session: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) session_capabilities: Option<SessionCapabilities>,
}

/// What is there, even empty, is supported.
#[derive(Default, Deserialize)]
pub(super) struct SessionCapabilities {
    pub(super) resume: Option<Value>,
    pub(super) fork: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct AgentInfo {
    pub(super) version: Option<String>,
}

/// The answer to the request for a session.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    pub(super) session_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) modes: Option<Modes>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) models: Option<Models>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) config_options: Option<Vec<ConfigOption>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Modes {
    pub(super) current_mode_id: Option<String>,
    #[serde(default)]
    pub(super) available_modes: Vec<Mode>,
}

#[derive(Deserialize)]
pub(super) struct Mode {
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Models {
    pub(super) current_model_id: Option<String>,
}

/// Something that can be chosen, by which some agents replace their modes and models.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigOption {
    pub(super) id: String,
    pub(super) category: Option<String>,
    pub(super) current_value: Option<Value>,
}

/// A notification about a session.
#[derive(Deserialize)]
pub(super) struct Notification {
    pub(super) update: Update,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update {
    pub(super) session_update: String,
    pub(super) message_id: Option<Value>,
    /// Of a message it is one block, of a tool's use a list.
    pub(super) content: Option<Box<RawValue>>,
    pub(super) tool_call_id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) raw_input: Option<Box<RawValue>>,
    pub(super) raw_output: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) entries: Option<Vec<Entry>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) cost: Option<Cost>,
}

/// An entry of a plan.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) content: String,
    pub(super) status: Option<String>,
}

/// What the session has cost so far.
#[derive(Deserialize)]
pub(super) struct Cost {
    pub(super) amount: f64,
    pub(super) currency: String,
}

/// A block of content.
#[derive(Deserialize)]
pub(super) struct Block {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    uri: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    text: Option<String>,
    uri: Option<String>,
}

/// A part of what a tool shows.
#[derive(Deserialize)]
pub(super) struct Shown {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    content: Option<Block>,
    pub(super) path: Option<String>,
}

/// The answer to a prompt.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prompted {
    pub(super) stop_reason: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<Tokens>,
    #[serde(default, rename = "_meta", deserialize_with = "lenient")]
    pub(super) meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens {
    #[serde(default)]
    pub(super) input_tokens: u64,
    #[serde(default)]
    pub(super) output_tokens: u64,
    #[serde(default)]
    pub(super) cached_read_tokens: Option<u64>,
}

/// What Gemini CLI adds.
#[derive(Deserialize)]
pub(super) struct Meta {
    pub(super) quota: Option<Quota>,
}

#[derive(Deserialize)]
pub(super) struct Quota {
    pub(super) token_count: Option<TokenCount>,
}

#[derive(Deserialize)]
pub(super) struct TokenCount {
    #[serde(default)]
    pub(super) input_tokens: u64,
    #[serde(default)]
    pub(super) output_tokens: u64,
}

/// A request for permission.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Permission {
    pub(super) tool_call: ToolCall,
    pub(super) options: Vec<Choice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolCall {
    pub(super) tool_call_id: String,
    pub(super) title: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) raw_input: Option<Box<RawValue>>,
    pub(super) content: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) locations: Option<Vec<Location>>,
}

#[derive(Deserialize)]
pub(super) struct Location {
    pub(super) path: String,
}

/// One of the answers that can be given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Choice {
    pub(super) option_id: String,
    pub(super) kind: Option<String>,
}

/// A notification that a request needs no answer any more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CancelledRequest {
    pub(super) request_id: Value,
}

/// Reads a part of a line.
pub(super) fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

impl Block {
    /// Returns what there is to read of it.
    pub(super) fn into_text(self) -> String {
        let resource = self.resource.and_then(|resource| resource.text.or(resource.uri));
        match self.text.or(resource).or(self.uri) {
            Some(text) => text,
            None => format!("[{}]", self.kind),
        }
    }
}

impl Shown {
    /// Returns what there is to read of it: of a change the file.
    pub(super) fn into_text(self) -> String {
        match (self.content, self.path) {
            (Some(block), _) => block.into_text(),
            (None, Some(path)) => path,
            (None, None) => format!("[{}]", self.kind),
        }
    }

    /// Returns the file that it changes, if it is a change.
    pub(super) fn changed(&self) -> Option<&str> {
        (self.kind == "diff").then_some(self.path.as_deref()).flatten()
    }
}
