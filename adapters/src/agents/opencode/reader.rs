//! What the lines of `opencode run --format json` mean.
//!
//! No line says that the turn is over. A step that ends with `stop` was the last one, unless another
//! follows, as when what was said is put in short because it became too long: so what is reported
//! counts only when the process has ended.

use candor_core::agent::{AgentSpec, Trouble, TroubleKind, Turn, Usage};
use candor_core::session::Report;
use candor_core::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::one_prompt::{Heard, OnePrompt};
use super::super::{Item, ItemKind, Place, Role, TurnUsage, reading};

/// What the result of a tool holds that was refused a permission.
///
/// Source: measured with 1.18.33; it is the same for every tool.
const REJECTION: &str = "rejected permission";

/// What is reported when that was the end.
const REJECTED: &str = "it stopped because it was refused a permission";

/// Reads what opencode prints.
pub(super) struct OpenCodeReader {
    heard: Heard,
    /// Whether a permission was refused since the last step that went on.
    is_rejected: bool,
    /// Whether the last step ended with the use of a tool, so that another one is to follow.
    is_between_steps: bool,
    /// What the steps of the turn have used so far.
    used: TurnUsage,
}

/// A line. What is not named here is not needed.
#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "reading::lenient")]
    timestamp: Option<i64>,
    #[serde(rename = "sessionID")]
    session_id: Option<String>,
    part: Option<Part>,
    #[serde(default, deserialize_with = "reading::lenient")]
    error: Option<Failure>,
    #[serde(default, deserialize_with = "reading::lenient")]
    rejected: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    tool: Option<String>,
    #[serde(rename = "callID")]
    call_id: Option<String>,
    reason: Option<String>,
    state: Option<State>,
    #[serde(default, deserialize_with = "reading::lenient")]
    tokens: Option<Tokens>,
    #[serde(default, deserialize_with = "reading::lenient")]
    cost: Option<f64>,
}

/// Where the use of a tool stands. It is told when it is over.
#[derive(Deserialize)]
struct State {
    status: Option<String>,
    input: Option<Box<RawValue>>,
    output: Option<String>,
    error: Option<String>,
}

/// The tokens of one step.
#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    input: u64,
    #[serde(default)]
    output: u64,
    #[serde(default)]
    reasoning: u64,
    #[serde(default)]
    cache: Cache,
}

#[derive(Default, Deserialize)]
struct Cache {
    #[serde(default)]
    read: u64,
    #[serde(default)]
    write: u64,
}

#[derive(Deserialize)]
struct Failure {
    name: Option<String>,
    data: Option<FailureData>,
}

#[derive(Deserialize)]
struct FailureData {
    message: Option<String>,
    #[serde(rename = "statusCode")]
    status_code: Option<u16>,
}

impl OpenCodeReader {
    pub(super) fn new(spec: &AgentSpec) -> Self {
        let mut heard = Heard::new(spec);
        // No line names it.
        heard.view.learned.model.clone_from(&spec.model);
        Self { heard, is_rejected: false, is_between_steps: false, used: TurnUsage::default() }
    }

    fn step_begins(&mut self) {
        self.heard.view.turn = Turn::Begun;
        // What was reported was not the end.
        self.heard.view.report = None;
        self.is_rejected = false;
        self.is_between_steps = false;
    }

    fn tool(&mut self, place: Place, part: Part, items: &mut Vec<Item>) {
        let Some(state) = part.state else { return };
        let given = state.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned());
        items.push(Item {
            tool: part.tool,
            call: part.call_id.clone(),
            ..Item::new(place, Role::Assistant, ItemKind::ToolCall, given)
        });
        let is_error = state.status.as_deref() != Some("completed");
        self.is_rejected |= state.error.as_ref().is_some_and(|error| error.contains(REJECTION));
        let text = state.output.or(state.error).unwrap_or_default();
        items.push(Item {
            part: 1,
            call: part.call_id,
            is_error,
            ..Item::new(place, Role::Tool, ItemKind::ToolResult, text)
        });
    }

    fn step_ends(&mut self, place: Place, part: &Part, items: &mut Vec<Item>) {
        let usage = part.tokens.as_ref().map(Tokens::usage).unwrap_or_default();
        let cost = reading::microusd(part.cost.unwrap_or_default());
        let learned = &mut self.heard.view.learned;
        reading::add(&mut learned.usage, usage);
        reading::add(&mut self.used.usage, usage);
        for total in [&mut learned.cost_microusd, &mut self.used.cost_microusd] {
            *total = Some(total.unwrap_or_default().saturating_add(cost));
        }
        learned.trouble = None;
        match part.reason.as_deref().unwrap_or("unknown") {
            // A further step is the rule, unless a permission was refused. If it does not come, the exit
            // is left to speak.
            "tool-calls" if !self.is_rejected => self.is_between_steps = true,
            "unknown" => {
                let message = "the provider's answer did not say why it ended".to_owned();
                learned.trouble = Some(Trouble { kind: TroubleKind::Api, message, until: None });
            }
            reason => {
                let report = end_of_step(reason, learned.last_said.as_deref());
                learned.turns = learned.turns.saturating_add(1);
                let used = std::mem::take(&mut self.used);
                items.push(reading::turn_end(place, &report, used));
                self.heard.view.turn = Turn::Ended;
                self.report(report);
            }
        }
    }

    /// Keeps a report, with what was used so far.
    fn report(&mut self, report: Report) {
        let learned = &self.heard.view.learned;
        self.heard.view.report = Some(Report {
            turns: Some(learned.turns),
            usage: Some(learned.usage),
            cost_microusd: learned.cost_microusd,
            ..report
        });
    }

    fn failed(&mut self, place: Place, error: Option<Failure>, items: &mut Vec<Item>) {
        let (name, data) = error.map_or((None, None), |error| (error.name, error.data));
        let (message, status) = data.map_or((None, None), |data| (data.message, data.status_code));
        let word = match (status, name.as_deref()) {
            (Some(status), _) => reading::word_of_status(status),
            (None, Some("ProviderAuthError")) => "authentication_failed",
            (None, Some("ContextOverflowError")) => "prompt_too_long",
            (None, Some("MessageOutputLengthError")) => "max_tokens",
            (None, Some("MessageAbortedError")) => "aborted",
            (None, Some("APIError" | "UnknownError") | None) => "api_error",
            (None, Some(name)) => name,
        };
        let message = reading::sentence(&message.or_else(|| name.clone()).unwrap_or_default());
        items.push(Item {
            is_error: true,
            ..Item::new(place, Role::System, ItemKind::Notice, message.clone())
        });
        self.heard.view.learned.trouble = None;
        self.report(reading::failure(word, message));
    }

    /// Takes the line that some versions end with.
    fn done(&mut self, is_rejected: bool) {
        self.heard.view.turn = Turn::Ended;
        if is_rejected && self.is_between_steps {
            self.report(reading::failure("permission_rejected", REJECTED.to_owned()));
        }
        self.heard.view.report_is_final = self.heard.view.report.is_some();
    }
}

impl Tokens {
    /// Returns them as they are counted here.
    const fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input.saturating_add(self.cache.write),
            cached_tokens: self.cache.read,
            output_tokens: self.output.saturating_add(self.reasoning),
        }
    }
}

/// Returns the report that counts if the step was the last one.
fn end_of_step(reason: &str, last_said: Option<&str>) -> Report {
    let (word, message) = match reason {
        "stop" => {
            let message = last_said.map(ToOwned::to_owned);
            let kind = Some("stop".to_owned());
            return Report { success: true, kind, message, ..Report::default() };
        }
        "tool-calls" => ("permission_rejected", REJECTED),
        "length" => ("max_tokens", "the answer was longer than it may be"),
        reason => (reason, "the last step did not end well"),
    };
    reading::failure(word, message.to_owned())
}

impl OnePrompt for OpenCodeReader {
    type Line = Line;

    /// Source: measured with 1.18.33.
    const SIGNS: &'static [(&'static str, &'static str)] = &[
        ("Session not found", "no_session"),
        ("You must provide a message", "no_prompt"),
        ("Model not found", "not_found"),
        ("ConfigInvalidError", "bad_configuration"),
    ];

    fn heard(&self) -> &Heard {
        &self.heard
    }

    fn heard_mut(&mut self) -> &mut Heard {
        &mut self.heard
    }

    fn take(&mut self, place: Place, said: Line, items: &mut Vec<Item>) -> bool {
        let at = said.timestamp.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let begin = items.len();
        match (said.kind.as_str(), said.part) {
            ("step_start", _) => self.step_begins(),
            ("text", Some(part)) => {
                let text = part.text.unwrap_or_default();
                self.heard.view.learned.last_said = Some(reading::last_said(&text));
                items.push(Item::new(place, Role::Assistant, ItemKind::Text, text));
            }
            ("reasoning", Some(part)) => {
                let text = part.text.unwrap_or_default();
                items.push(Item::new(place, Role::Assistant, ItemKind::Thinking, text));
            }
            ("tool_use", Some(part)) => self.tool(place, part, items),
            ("step_finish", Some(part)) => self.step_ends(place, &part, items),
            ("error", _) => self.failed(place, said.error, items),
            ("done", _) => self.done(said.rejected.is_some_and(|rejected| !rejected.is_empty())),
            _ => return false,
        }
        for item in &mut items[begin..] {
            item.at = at;
        }
        if said.session_id.is_some() {
            self.heard.view.learned.agent_session = said.session_id;
        }
        true
    }

    fn ended(&mut self, stderr: &str) {
        if self.is_between_steps && stderr.contains("auto-rejecting") {
            self.report(reading::failure("permission_rejected", REJECTED.to_owned()));
        }
    }
}
