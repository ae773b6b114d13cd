//! What single messages of the protocol mean.

use candor_core::agent::Usage;
use candor_core::session::Report;
use serde_json::Value;

use super::super::reading;
use super::wire::{Capabilities, ConfigOption, Failure, Opened, Prompted, Update};

/// The code of an error that asks for a login.
const AUTHENTICATION_REQUIRED: i64 = -32_000;

/// Returns the method by which a session is gone on with, or why it cannot be. What was said in it is
/// not needed again: who can leave that out is asked to.
pub(super) fn going_on(
    capabilities: &Capabilities,
    forks: bool,
) -> Result<&'static str, (&'static str, &'static str)> {
    let session = capabilities.session_capabilities.as_ref();
    if forks {
        let can = session.is_some_and(|session| session.fork.is_some());
        return can
            .then_some("session/fork")
            .ok_or(("no_fork", "it cannot copy a session of its own: leave out --fork"));
    }
    if session.is_some_and(|session| session.resume.is_some()) {
        return Ok("session/resume");
    }
    capabilities
        .load_session
        .then_some("session/load")
        .ok_or(("no_session", "it cannot go on with a session of its own"))
}

/// Returns what can be chosen of a category.
pub(super) fn config_option<'a>(opened: &'a Opened, category: &str) -> Option<&'a ConfigOption> {
    let options = opened.config_options.as_deref().unwrap_or_default();
    options.iter().find(|option| option.category.as_deref() == Some(category))
}

/// Returns a plan as a person writes it.
pub(super) fn plan(update: &Update) -> String {
    let mut text = String::new();
    for entry in update.entries.iter().flatten() {
        let is_done = entry.status.as_deref() == Some("completed");
        text.push_str(if is_done { "[x] " } else { "[ ] " });
        text.push_str(&entry.content);
        text.push('\n');
    }
    text
}

/// Returns the report for the end of a turn.
///
/// Source: `StopReason` of the protocol.
pub(super) fn end_of_turn(stop_reason: &str, last_said: Option<&str>) -> Report {
    let (word, message) = match stop_reason {
        "end_turn" => {
            let message = last_said.map(ToOwned::to_owned);
            let kind = Some("end_turn".to_owned());
            return Report { success: true, kind, message, ..Report::default() };
        }
        "max_tokens" => ("max_tokens", "the answer was longer than it may be"),
        "max_turn_requests" => ("max_turns", "it asked its model as often as it may in a turn"),
        "refusal" => ("refusal", "it refuses to go on"),
        "cancelled" => ("cancelled", "the turn was broken off"),
        other => (other, "the turn did not end well"),
    };
    reading::failure(word, message.to_owned())
}

impl Prompted {
    /// Returns what the turn used, as the agent counts it.
    pub(super) fn usage_of_turn(&self) -> Option<Usage> {
        if let Some(tokens) = &self.usage {
            // Those from a cache are counted apart.
            return Some(Usage {
                input_tokens: tokens.input_tokens,
                cached_tokens: tokens.cached_read_tokens.unwrap_or_default(),
                output_tokens: tokens.output_tokens,
            });
        }
        let count = self.meta.as_ref()?.quota.as_ref()?.token_count.as_ref()?;
        Some(Usage {
            input_tokens: count.input_tokens,
            cached_tokens: 0,
            output_tokens: count.output_tokens,
        })
    }
}

impl Failure {
    /// Returns the report for something that failed, with `word` where the error has none of its own.
    /// Some pass the status of the provider's answer on as the code.
    pub(super) fn report(self, word: &str) -> Report {
        let word = match (self.code, u16::try_from(self.code)) {
            (AUTHENTICATION_REQUIRED, _) => "authentication_failed",
            (_, Ok(status @ 400..600)) => reading::word_of_status(status),
            // Source: measured with opencode 1.18.33.
            _ if self.data.as_ref().is_some_and(|data| data["errorName"] == "APIError") => {
                "api_error"
            }
            _ => word,
        };
        let details = self.data.as_ref().and_then(|data| data.get("details").or(Some(data)));
        let message = match details.and_then(Value::as_str) {
            Some(details) if !details.is_empty() => details,
            Some(_) | None => &self.message,
        };
        reading::failure(word, reading::sentence(message))
    }
}
