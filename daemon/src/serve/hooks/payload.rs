//! What is sent: no values of the environment, and nothing of the output.

use candor_core::status::Status;
use serde::Serialize;

use crate::api::{EventKind, EventView, SessionView};

/// Bytes of a body, at most. Of a session that would make it longer only the event is told: a
/// receiver may ask for the rest.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// The body of a delivery.
#[derive(Serialize)]
struct Payload<'view> {
    #[serde(rename = "type")]
    kind: &'view str,
    timestamp: &'view str,
    event: Option<&'view EventView>,
    /// As it was when the delivery was stored, its revision the event's or a later one. Null for one
    /// that was removed, or is too large.
    session: Option<&'view SessionView>,
}

/// Returns the type of an event's delivery.
pub(super) fn kind_of(event: &EventView) -> String {
    match event.kind {
        EventKind::StatusChanged => format!("session.{}", event.to.map_or("none", Status::as_str)),
        EventKind::SessionChanged => "session.changed".to_owned(),
        EventKind::SessionRemoved => "session.removed".to_owned(),
    }
}

/// Returns the body of an event's delivery.
pub(super) fn of_event(kind: &str, event: &EventView, session: Option<&SessionView>) -> String {
    let payload = |session| Payload { kind, timestamp: &event.at, event: Some(event), session };
    let whole = text(&payload(session));
    if whole.len() > PAYLOAD_BYTES_MAX { text(&payload(None)) } else { whole }
}

/// The type of a delivery that only tries a hook.
pub(super) const TRIAL: &str = "hook.test";

/// Returns the body of a delivery that only tries a hook.
pub(super) fn of_trial(timestamp: &str) -> String {
    text(&Payload { kind: TRIAL, timestamp, event: None, session: None })
}

fn text(payload: &Payload<'_>) -> String {
    // Maps with keys of text and numbers that are finite: it cannot fail.
    serde_json::to_string(payload).unwrap_or_default()
}
