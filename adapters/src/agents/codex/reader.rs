//! What the lines of `codex exec --json` mean.

use std::collections::BTreeSet;

use candor_core::agent::{AgentSpec, Trouble, TroubleKind, Turn, Usage};
use candor_core::session::Report;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::one_prompt::{Heard, OnePrompt};
use super::super::{Item, ItemKind, Place, Role, TurnUsage, reading};

/// Calls that are remembered as begun, at most. Of what is begun beyond that, the call is told again
/// with its result.
const CALLS_MAX: usize = 1_024;

/// Reads what Codex prints.
pub(super) struct CodexReader {
    heard: Heard,
    calls: BTreeSet<String>,
}

/// A line. What is not named here is not needed.
#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(rename = "type")]
    kind: String,
    thread_id: Option<String>,
    message: Option<String>,
    error: Option<Message>,
    #[serde(default, deserialize_with = "reading::lenient")]
    usage: Option<Tokens>,
    item: Option<Thing>,
}

#[derive(Deserialize)]
struct Message {
    message: Option<String>,
}

/// The tokens of a thread since its beginning, those of the sessions that it goes on with included.
#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    cached_input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
}

/// What a line is about: something said, or something done.
#[derive(Deserialize)]
struct Thing {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    message: Option<String>,
    command: Option<String>,
    aggregated_output: Option<String>,
    exit_code: Option<i64>,
    status: Option<String>,
    changes: Option<Box<RawValue>>,
    server: Option<String>,
    tool: Option<String>,
    arguments: Option<Box<RawValue>>,
    prompt: Option<String>,
    query: Option<String>,
    result: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "reading::lenient")]
    error: Option<Message>,
    #[serde(default, deserialize_with = "reading::lenient")]
    items: Option<Vec<Task>>,
}

/// An entry of a list of what is to be done.
#[derive(Deserialize)]
struct Task {
    text: String,
    #[serde(default)]
    completed: bool,
}

impl CodexReader {
    pub(super) fn new(spec: &AgentSpec) -> Self {
        let mut heard = Heard::new(spec);
        // No line names it.
        heard.view.learned.model.clone_from(&spec.model);
        Self { heard, calls: BTreeSet::new() }
    }

    fn turn_completed(&mut self, place: Place, tokens: Option<&Tokens>, items: &mut Vec<Item>) {
        let usage = tokens.map(Tokens::usage).unwrap_or_default();
        // It counts from the beginning of the thread, so that the last number is the sum.
        self.heard.view.learned.usage = usage;
        let report = Report {
            success: true,
            kind: Some("turn_completed".to_owned()),
            message: self.heard.view.learned.last_said.clone(),
            usage: tokens.map(Tokens::usage),
            ..Report::default()
        };
        self.turn_ended(place, report, TurnUsage { usage, cost_microusd: None }, items);
    }

    fn turn_ended(
        &mut self,
        place: Place,
        mut report: Report,
        usage: TurnUsage,
        items: &mut Vec<Item>,
    ) {
        let learned = &mut self.heard.view.learned;
        learned.turns = learned.turns.saturating_add(1);
        learned.trouble = None;
        report.turns = Some(learned.turns);
        items.push(reading::turn_end(place, &report, usage));
        self.heard.view.turn = Turn::Ended;
        self.heard.view.report = Some(report);
        // `exec` has one turn.
        self.heard.view.report_is_final = true;
    }

    /// Takes an error that is no end: what ends a turn says so with `turn.failed`.
    fn hindered(&mut self, place: Place, message: &str, items: &mut Vec<Item>) {
        let message = reading::sentence(message);
        let kind = match word_of(&message) {
            "rate_limit" => TroubleKind::RateLimit,
            _ => TroubleKind::Api,
        };
        self.heard.view.learned.trouble =
            Some(Trouble { kind, message: message.clone(), until: None });
        items.push(Item {
            is_error: true,
            ..Item::new(place, Role::System, ItemKind::Notice, message)
        });
    }

    fn thing(&mut self, place: Place, event: &str, thing: Thing, items: &mut Vec<Item>) -> bool {
        let is_completed = event == "item.completed";
        let (role, kind, text) = match thing.kind.as_str() {
            "agent_message" => (Role::Assistant, ItemKind::Text, thing.text),
            "reasoning" => (Role::Assistant, ItemKind::Thinking, thing.text),
            "error" => (Role::System, ItemKind::Notice, thing.message),
            "todo_list" => (Role::Assistant, ItemKind::Notice, thing.items.as_deref().map(list)),
            "command_execution" | "file_change" | "mcp_tool_call" | "collab_tool_call"
            | "web_search" => {
                self.call(place, is_completed, thing, items);
                return true;
            }
            _ => return false,
        };
        // What is said is told once, when it is whole.
        if !is_completed {
            return true;
        }
        let text = text.unwrap_or_default();
        if kind == ItemKind::Text {
            self.heard.view.learned.last_said = Some(reading::last_said(&text));
        }
        items.push(Item::new(place, role, kind, text));
        true
    }

    fn call(&mut self, place: Place, is_completed: bool, thing: Thing, items: &mut Vec<Item>) {
        let call = thing.id.clone();
        let is_known = call.as_ref().is_some_and(|call| self.calls.contains(call));
        if !is_known {
            items.push(thing.call(place));
        }
        match call {
            Some(call) if is_completed => {
                self.calls.remove(&call);
            }
            Some(call) if self.calls.len() < CALLS_MAX => {
                self.calls.insert(call);
            }
            Some(_) | None => {}
        }
        if is_completed {
            let part = u32::from(!is_known);
            items.push(Item { part, ..thing.into_result(place) });
        }
    }
}

impl Tokens {
    /// Returns them as they are counted here: what came from a cache is not counted twice.
    const fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input_tokens.saturating_sub(self.cached_input_tokens),
            cached_tokens: self.cached_input_tokens,
            output_tokens: self.output_tokens,
        }
    }
}

impl Thing {
    /// Returns the call of a tool.
    fn call(&self, place: Place) -> Item {
        let given = match self.kind.as_str() {
            "command_execution" => object("command", self.command.as_deref()),
            "web_search" => object("query", self.query.as_deref()),
            "collab_tool_call" => object("prompt", self.prompt.as_deref()),
            "file_change" => {
                let changes = self.changes.as_ref().map_or("[]", |changes| changes.get());
                format!("{{\"changes\":{changes}}}")
            }
            _ => self.arguments.as_ref().map_or("{}", |arguments| arguments.get()).to_owned(),
        };
        let tool = match (&self.server, &self.tool) {
            (Some(server), Some(tool)) => format!("{server}.{tool}"),
            (None, Some(tool)) => tool.clone(),
            (Some(_) | None, None) => self.kind.clone(),
        };
        Item {
            tool: Some(tool),
            call: self.id.clone(),
            ..Item::new(place, Role::Assistant, ItemKind::ToolCall, given)
        }
    }

    /// Returns what came of it.
    fn into_result(self, place: Place) -> Item {
        let is_failed = matches!(self.status.as_deref(), Some("failed" | "declined"));
        let is_error = is_failed || self.exit_code.is_some_and(|code| code != 0);
        let text = self
            .aggregated_output
            .or_else(|| self.error.and_then(|error| error.message))
            .or_else(|| self.result.map(|result| result.get().to_owned()))
            .or(self.status)
            .unwrap_or_default();
        Item { call: self.id, is_error, ..Item::new(place, Role::Tool, ItemKind::ToolResult, text) }
    }
}

/// Returns an object of JSON with one text.
fn object(name: &str, text: Option<&str>) -> String {
    serde_json::json!({ name: text.unwrap_or_default() }).to_string()
}

/// Returns a list of what is to be done as a person writes it.
fn list(tasks: &[Task]) -> String {
    let mut text = String::new();
    for task in tasks {
        text.push_str(if task.completed { "[x] " } else { "[ ] " });
        text.push_str(&task.text);
        text.push('\n');
    }
    text
}

/// How the sentences begin that tell of the provider and hold no status; the first is its answer itself.
const API_ERRORS: [&str; 4] = [
    "{\"error\"",
    "stream disconnected",
    "exceeded retry limit",
    "We\u{2019}re currently experiencing",
];

/// Returns the word for the end of a turn, by the sentence that Codex has for it.
///
/// Source: measured with 0.169.0 against answers with each status.
fn word_of(message: &str) -> &'static str {
    let status = message
        .split_once("status ")
        .or_else(|| message.split_once("status: "))
        .and_then(|(_, rest)| rest.get(..3))
        .and_then(|digits| digits.parse().ok());
    match status {
        Some(status) => reading::word_of_status(status),
        None if message.contains("usage limit") => "rate_limit",
        None if API_ERRORS.iter().any(|beginning| message.starts_with(beginning)) => "api_error",
        None if message.starts_with("Missing environment variable") => "authentication_failed",
        None => "turn_failed",
    }
}

impl OnePrompt for CodexReader {
    type Line = Line;

    /// Source: measured with 0.169.0.
    const SIGNS: &'static [(&'static str, &'static str)] = &[
        ("no rollout found for thread id", "no_session"),
        ("No prompt provided via stdin", "no_prompt"),
        ("Error loading config.toml", "bad_configuration"),
        ("Not inside a trusted directory", "untrusted_folder"),
        ("Not logged in", "authentication_failed"),
        ("error: unexpected argument", "bad_arguments"),
        ("error: invalid value", "bad_arguments"),
        ("error: the argument", "bad_arguments"),
    ];

    fn heard(&self) -> &Heard {
        &self.heard
    }

    fn heard_mut(&mut self) -> &mut Heard {
        &mut self.heard
    }

    fn take(&mut self, place: Place, said: Line, items: &mut Vec<Item>) -> bool {
        match said.kind.as_str() {
            "thread.started" => {
                if said.thread_id.is_some() {
                    self.heard.view.learned.agent_session = said.thread_id;
                }
            }
            "turn.started" => self.heard.view.turn = Turn::Begun,
            "turn.completed" => self.turn_completed(place, said.usage.as_ref(), items),
            "turn.failed" => {
                let message = said.error.and_then(|error| error.message).unwrap_or_default();
                let report = reading::failure(word_of(&message), reading::sentence(&message));
                self.turn_ended(place, report, TurnUsage::default(), items);
            }
            "error" => self.hindered(place, &said.message.unwrap_or_default(), items),
            "item.started" | "item.updated" | "item.completed" => {
                let Some(thing) = said.item else { return false };
                if thing.kind != "error" {
                    self.heard.view.learned.trouble = None;
                }
                return self.thing(place, &said.kind, thing, items);
            }
            _ => return false,
        }
        true
    }
}
