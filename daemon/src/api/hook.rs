//! The shapes of hooks.

use candor_adapters::sqlite::hooks::{Delivery, StoredHook};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time_text;

/// A request for a hook.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookRequest {
    /// Where to.
    pub(crate) url: String,
    /// Which events: statuses, outcomes, `removed`, `all`. Left out, it is what somebody who waits
    /// for a session wants.
    #[serde(default)]
    pub(crate) on: Vec<String>,
    /// Only of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// Whether the address may be in this machine or its network.
    #[serde(default)]
    pub(crate) allow_local: bool,
}

/// A hook.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct HookView {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) on: Vec<String>,
    pub(crate) session: Option<String>,
    pub(crate) allow_local: bool,
    pub(crate) created_at: String,
    /// Deliveries that wait for their time or their turn.
    pub(crate) pending: u64,
    /// Deliveries that were taken, ever.
    pub(crate) delivered: u64,
    /// Deliveries that were given up, ever.
    pub(crate) given_up: u64,
    /// Since when nothing is delivered any more; null while it is.
    pub(crate) disabled_at: Option<String>,
    pub(crate) disabled_reason: Option<String>,
}

/// A hook that was just added.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct NewHookView {
    #[serde(flatten)]
    pub(crate) hook: HookView,
    /// What deliveries are signed with. It is not told again.
    pub(crate) secret: String,
}

/// What is kept of a delivery.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// The `webhook-id` of all its attempts.
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) session: String,
    /// The type that its payload says.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `pending`, `delivered` or `given_up`.
    pub(crate) state: String,
    pub(crate) attempts: u32,
    pub(crate) created_at: String,
    /// Before when no further attempt is made; null when there is none.
    pub(crate) next_at: Option<String>,
    /// When it was taken or given up.
    pub(crate) done_at: Option<String>,
    pub(crate) last_status: Option<u16>,
    pub(crate) last_error: Option<String>,
}

/// What came of trying a hook.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct HookTestView {
    /// Whether it would have counted as delivered.
    pub(crate) delivered: bool,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) took_ms: u64,
}

impl HookView {
    pub(crate) fn new(stored: &StoredHook) -> Self {
        let StoredHook { hook, pending, delivered, given_up, disabled } = stored;
        Self {
            id: hook.id.to_string(),
            url: hook.url.clone(),
            on: hook.words.clone(),
            session: hook.session.map(|session| session.to_string()),
            allow_local: hook.allow_local,
            created_at: time_text(hook.created_at),
            pending: *pending,
            delivered: *delivered,
            given_up: *given_up,
            disabled_at: disabled.as_ref().map(|(at, _)| time_text(*at)),
            disabled_reason: disabled.as_ref().map(|(_, reason)| reason.clone()),
        }
    }
}

impl DeliveryView {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            seq: delivery.seq.number(),
            session: delivery.session.to_string(),
            kind: delivery.kind,
            state: delivery.state,
            attempts: delivery.attempts,
            created_at: time_text(delivery.created_at),
            next_at: delivery.next_at.map(time_text),
            done_at: delivery.done_at.map(time_text),
            last_status: delivery.last_status,
            last_error: delivery.last_error,
        }
    }
}
