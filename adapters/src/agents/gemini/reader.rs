//! What the lines of Gemini CLI mean.

use candor_core::agent::{AgentSpec, Turn, Usage};
use candor_core::session::Report;
use candor_core::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::one_prompt::{Heard, OnePrompt};
use super::super::talk::Talk;
use super::super::{Item, ItemKind, Place, Role, TurnUsage, reading};

/// Reads what Gemini CLI prints.
pub(super) struct GeminiReader {
    heard: Heard,
    talk: Talk,
    /// The last error that it told of. A result that bears none is about this one.
    last_error: Option<String>,
}

/// A line. What is not named here is not needed.
#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "reading::lenient")]
    timestamp: Option<Timestamp>,
    session_id: Option<String>,
    model: Option<String>,
    role: Option<String>,
    content: Option<String>,
    delta: Option<bool>,
    tool_name: Option<String>,
    tool_id: Option<String>,
    parameters: Option<Box<RawValue>>,
    status: Option<String>,
    output: Option<String>,
    severity: Option<String>,
    message: Option<String>,
    #[serde(default, deserialize_with = "reading::lenient")]
    error: Option<Failure>,
    #[serde(default, deserialize_with = "reading::lenient")]
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    cached: u64,
    #[serde(default)]
    output_tokens: u64,
}

impl GeminiReader {
    pub(super) fn new(spec: &AgentSpec) -> Self {
        Self { heard: Heard::new(spec), talk: Talk::default(), last_error: None }
    }

    fn message(&mut self, place: Place, said: Line, items: &mut Vec<Item>) {
        let text = said.content.unwrap_or_default();
        let role = if said.role.as_deref() == Some("user") { Role::User } else { Role::Assistant };
        if said.delta == Some(true) && role == Role::Assistant {
            let piece = Item { at: said.timestamp, ..Item::new(place, role, ItemKind::Text, text) };
            items.extend(self.talk.add(piece));
        } else {
            items.extend(self.talk.flush());
            if role == Role::Assistant {
                self.talk.say(&text);
            }
            items.push(Item { at: said.timestamp, ..Item::new(place, role, ItemKind::Text, text) });
        }
        if role == Role::Assistant {
            self.heard.view.learned.last_said = self.talk.last_said();
        }
    }

    fn result(&mut self, place: Place, said: Line, items: &mut Vec<Item>) {
        items.extend(self.talk.flush());
        let learned = &mut self.heard.view.learned;
        let usage = said.stats.as_ref().map(Stats::usage);
        learned.usage = usage.unwrap_or_default();
        learned.turns = learned.turns.saturating_add(1);
        let mut report = if said.status.as_deref() == Some("success") {
            let message = learned.last_said.clone();
            Report { success: true, kind: Some("success".to_owned()), message, ..Report::default() }
        } else {
            failure(said.error, self.last_error.take())
        };
        report.turns = Some(learned.turns);
        report.usage = usage;
        let used = TurnUsage { usage: usage.unwrap_or_default(), cost_microusd: None };
        items.push(Item { at: said.timestamp, ..reading::turn_end(place, &report, used) });
        self.heard.view.turn = Turn::Ended;
        self.heard.view.report = Some(report);
        self.heard.view.report_is_final = true;
    }
}

impl Stats {
    /// Returns them as they are counted here: what came from a cache is not counted twice.
    const fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input_tokens.saturating_sub(self.cached),
            cached_tokens: self.cached,
            output_tokens: self.output_tokens,
        }
    }
}

/// Returns the report of a result that is an error.
fn failure(error: Option<Failure>, last_error: Option<String>) -> Report {
    let (kind, message) = error.map_or((None, None), |error| (error.kind, error.message));
    let message = message.or(last_error).unwrap_or_else(|| "it does not say why".to_owned());
    // An error of the provider is passed on in brackets, and sometimes with advice behind them.
    let inner = message.strip_prefix("[API Error: ");
    let inner = inner.map(|rest| rest.rsplit_once(']').map_or(rest, |(inner, _advice)| inner));
    let word = match (inner, kind.as_deref()) {
        (Some(inner), _) => match status_in(inner) {
            Some(status) => reading::word_of_status(status),
            // It gives up on these in words of its own, with advice about the quota.
            None if message.contains("rate limit") || message.contains("quota") => "rate_limit",
            None => "api_error",
        },
        (None, Some("FatalTurnLimitedError")) => "max_turns",
        (None, Some("FatalAuthenticationError")) => "authentication_failed",
        (None, Some("unknown") | None) => "error",
        (None, Some(kind)) => kind,
    };
    reading::failure(word, reading::sentence(inner.unwrap_or(&message)))
}

/// Returns the status of the answer that an error of the provider holds. It is a number, or the
/// number as a text.
fn status_in(text: &str) -> Option<u16> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let code = value.get("error").unwrap_or(&value).get("code")?;
    match code.as_u64() {
        Some(code) => code.try_into().ok(),
        None => code.as_str()?.parse().ok(),
    }
}

impl OnePrompt for GeminiReader {
    type Line = Line;

    /// Source: measured with 0.61.0, whose exit codes are the status of the provider's answer modulo 256
    /// as often as they are its own.
    const SIGNS: &'static [(&'static str, &'static str)] = &[
        ("Error resuming session", "no_session"),
        ("No previous sessions found", "no_session"),
        ("already exists. Use --resume", "session_exists"),
        // It waits half a second for its prompt, and no longer.
        ("No input provided via stdin", "no_prompt"),
        ("must specify the GEMINI_API_KEY", "authentication_failed"),
        ("Please set an Auth method", "authentication_failed"),
        ("Invalid auth method", "authentication_failed"),
        ("not running in a trusted directory", "untrusted_folder"),
        ("Unknown argument", "bad_arguments"),
    ];

    fn heard(&self) -> &Heard {
        &self.heard
    }

    fn heard_mut(&mut self) -> &mut Heard {
        &mut self.heard
    }

    fn take(&mut self, place: Place, said: Line, items: &mut Vec<Item>) -> bool {
        let at = said.timestamp;
        match said.kind.as_str() {
            "init" => {
                self.heard.view.turn = Turn::Begun;
                let learned = &mut self.heard.view.learned;
                if said.session_id.is_some() {
                    learned.agent_session = said.session_id;
                }
                learned.model = said.model;
            }
            "message" => self.message(place, said, items),
            "tool_use" => {
                let given =
                    said.parameters.map_or_else(|| "{}".to_owned(), |it| it.get().to_owned());
                items.extend(self.talk.flush());
                items.push(Item {
                    tool: said.tool_name,
                    call: said.tool_id,
                    at,
                    ..Item::new(place, Role::Assistant, ItemKind::ToolCall, given)
                });
            }
            "tool_result" => {
                let is_error = said.status.as_deref() != Some("success");
                let text = said.output.or_else(|| said.error?.message).unwrap_or_default();
                items.extend(self.talk.flush());
                items.push(Item {
                    call: said.tool_id,
                    is_error,
                    at,
                    ..Item::new(place, Role::Tool, ItemKind::ToolResult, text)
                });
            }
            "error" => {
                let message = reading::sentence(&said.message.unwrap_or_default());
                let is_error = said.severity.as_deref() != Some("warning");
                if is_error {
                    self.last_error = Some(message.clone());
                }
                items.extend(self.talk.flush());
                items.push(Item {
                    is_error,
                    at,
                    ..Item::new(place, Role::System, ItemKind::Notice, message)
                });
            }
            "result" => self.result(place, said, items),
            _ => return false,
        }
        true
    }

    fn rest(&mut self) -> Option<Item> {
        self.talk.flush()
    }
}
