//! How the API's document describes the types of core that go over the wire. Core itself knows
//! nothing of documents, so each has a picture here; the functions hold it to the original.

#![allow(dead_code, reason = "of most of these types only the description is used")]

use std::num::NonZeroU32;

use candor_core::{agent, session, status, stop};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Bytes without a NUL: a text where they are UTF-8, and else an object with them in base64.
pub(crate) struct ByteString;

impl PartialSchema for ByteString {
    fn schema() -> RefOr<Schema> {
        const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[^\u0000]*$"));
        let base64 = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(BASE64))
            .content_encoding("base64")
            .description(Some("The bytes, without a 0 among them."));
        let bytes = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .property("bytes", base64)
            .required("bytes")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        OneOfBuilder::new()
            .item(text)
            .item(bytes)
            .description(Some(
                "Bytes without a 0 among them, as the operating system takes arguments and paths: a \
                 text where they are UTF-8, and else an object with them in base64.",
            ))
            .into()
    }
}

impl ToSchema for ByteString {}

/// A variable of an environment: its name, which is neither empty nor has a `=` in it, and its value.
pub(crate) struct Variable;

impl PartialSchema for Variable {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(ByteString::name()))
            .min_items(Some(2))
            .max_items(Some(2))
            .description(Some(
                "A variable of an environment: its name, which is neither empty nor has a `=` in it, \
                 and its value.",
            ))
            .into()
    }
}

impl ToSchema for Variable {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ByteString::name().into_owned(), ByteString::schema()));
    }
}

/// Where a session stands. A session goes on to `completed`, `failed` or `lost`, and stays there.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Status {
    Queued,
    Starting,
    Running,
    WaitingInput,
    Completing,
    Completed,
    Failed,
    Lost,
}

const _: fn(status::Status) -> Status = |original| match original {
    status::Status::Queued => Status::Queued,
    status::Status::Starting => Status::Starting,
    status::Status::Running => Status::Running,
    status::Status::WaitingInput => Status::WaitingInput,
    status::Status::Completing => Status::Completing,
    status::Status::Completed => Status::Completed,
    status::Status::Failed => Status::Failed,
    status::Status::Lost => Status::Lost,
};

/// What a session reads as its standard input: nothing, or what it is sent.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum StandardInput {
    None,
    Held,
}

const _: fn(session::StandardInput) -> StandardInput = |original| match original {
    session::StandardInput::None => StandardInput::None,
    session::StandardInput::Held => StandardInput::Held,
};

/// Where a request of an agent stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RequestState {
    Open,
    Approved,
    Denied,
    Withdrawn,
}

const _: fn(agent::RequestState) -> RequestState = |original| match original {
    agent::RequestState::Open => RequestState::Open,
    agent::RequestState::Approved => RequestState::Approved,
    agent::RequestState::Denied => RequestState::Denied,
    agent::RequestState::Withdrawn => RequestState::Withdrawn,
};

/// What hinders an agent: it must wait, or its provider cannot be reached.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum TroubleKind {
    RateLimit,
    Api,
}

const _: fn(agent::TroubleKind) -> TroubleKind = |original| match original {
    agent::TroubleKind::RateLimit => TroubleKind::RateLimit,
    agent::TroubleKind::Api => TroubleKind::Api,
};

/// Tokens, as the agent counts them.
#[derive(ToSchema)]
pub(crate) struct Usage {
    /// Tokens that were read, those from a cache not among them.
    input_tokens: u64,
    /// Tokens that were read from a cache.
    cached_tokens: u64,
    /// Tokens that were written.
    output_tokens: u64,
}

const _: fn(agent::Usage) -> Usage = |original| {
    let agent::Usage { input_tokens, cached_tokens, output_tokens } = original;
    Usage { input_tokens, cached_tokens, output_tokens }
};

/// What an agent may do without being asked about. The first that fits decides: deny, allow, edits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Permissions {
    /// Patterns of what is denied: `Tool`, `Tool(exactly this)`, or `Tool(what begins so*)`.
    deny: Vec<String>,
    /// Patterns of what is allowed.
    allow: Vec<String>,
    /// Whether it may change files in the session's folder.
    edits_in_folder: bool,
}

/// Reads what an agent may do, and refuses what is no part of that.
pub(crate) fn permissions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<agent::Permissions, D::Error> {
    let Permissions { deny, allow, edits_in_folder } = Permissions::deserialize(deserializer)?;
    Ok(agent::Permissions { deny, allow, edits_in_folder })
}

/// How long each rung of the ladder waits for the process to go, in milliseconds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Graces {
    /// From being asked to `SIGINT`; left out where there is nothing to ask with.
    #[schema(value_type = Option<u32>, minimum = 1)]
    ask_ms: Option<NonZeroU32>,
    /// From `SIGINT` to the next rung.
    interrupt_ms: u32,
    /// From the second `SIGINT` to `SIGTERM`; left out where there is no second one.
    #[schema(value_type = Option<u32>, minimum = 1)]
    interrupt_again_ms: Option<NonZeroU32>,
    /// From `SIGTERM` to `SIGKILL`.
    terminate_ms: u32,
    /// From the agent's final report to the ladder, when the process lingers.
    linger_ms: u32,
}

/// Reads a ladder, and refuses what is no part of one.
pub(crate) fn graces<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<stop::Graces>, D::Error> {
    let graces = Option::<Graces>::deserialize(deserializer)?;
    Ok(graces.map(|graces| {
        let Graces { ask_ms, interrupt_ms, interrupt_again_ms, terminate_ms, linger_ms } = graces;
        stop::Graces { ask_ms, interrupt_ms, interrupt_again_ms, terminate_ms, linger_ms }
    }))
}
