//! What Claude Code's lines mean.

use candor_core::agent::{
    AgentSpec, REQUESTS_OPEN_MAX, SAID_BYTES_MAX, Trouble, Turn, Usage, View,
};
use candor_core::session::Report;

use super::items::{Items, SYNTHETIC};
use super::tasks::Tasks;
use super::wire::{Block, Content, Line, Object};
use super::{asks, report};
use crate::agents::{Item, Owed, Place, Reader, TurnUsage, line};

/// How a piece of an answer that is being written begins. They are many and small, and what they are
/// pieces of follows as a whole, so they are not read.
const PARTIAL: &[u8] = b"{\"type\":\"stream_event\"";

/// The key of the first message.
const KEY_PROMPT: u64 = 0;

/// The key of the end of the input.
const KEY_END: u64 = 1;

/// The first key of what is refused without anybody being asked: the offset of its line is added.
const KEY_REFUSED: u64 = 2;

/// Refusals that are repeated: the last so many.
const REFUSALS_MAX: usize = 64;

/// Reads one session.
pub(super) struct ClaudeReader {
    view: View,
    /// The line with the prompt, until the first turn begins.
    prompt: Option<Vec<u8>>,
    is_interactive: bool,
    /// The call that each open request is about, beside [`View::asks`].
    calls: Vec<Option<String>>,
    refusals: Vec<Owed>,
    tasks: Tasks,
    /// The program's word for the last request to the provider that failed in this turn.
    error: Option<String>,
    /// Whether something was said to the user in this turn.
    has_said: bool,
    /// Whether the trouble is a limit, which lasts until it is lifted.
    is_limited: bool,
    /// How often the model was asked, as the program counts it.
    turns_of_model: u32,
    has_ended: bool,
}

impl ClaudeReader {
    pub(super) fn new(spec: &AgentSpec) -> Self {
        Self {
            view: View::default(),
            prompt: Some(super::user_line(&spec.prompt)),
            is_interactive: spec.is_interactive,
            calls: Vec::new(),
            refusals: Vec::new(),
            tasks: Tasks::default(),
            error: None,
            has_said: false,
            is_limited: false,
            turns_of_model: 0,
            has_ended: false,
        }
    }

    /// Takes a line that could be read. Returns whether it is one of those that are known.
    fn take(&mut self, line: &Line<'_>, place: Place, items: &mut Vec<Item>) -> bool {
        let mut items = Items::new(items, place, line);
        match line.kind.or_empty() {
            "assistant" => self.assistant(line, &mut items),
            "user" => self.user(line, &mut items),
            "result" => self.result(line, &mut items),
            "system" => return self.system(line, &mut items),
            "rate_limit_event" => self.limit(line, &mut items),
            "control_request" => return self.request(line, place),
            "control_cancel_request" => self.close(|ask, _| ask == line.request_id.or_empty()),
            "control_response" => {
                let Object(response) = &line.response;
                if response.subtype.as_str() == Some("error") {
                    items.notice(response.error.or_empty(), true);
                }
            }
            // An answer that was written goes through.
            "stream_event" => self.passes(),
            "keep_alive" | "tool_progress" | "tool_use_summary" | "auth_status"
            | "prompt_suggestion" | "conversation_reset" => {}
            _ => return false,
        }
        true
    }

    fn assistant(&mut self, line: &Line<'_>, items: &mut Items<'_>) {
        let Object(message) = &line.message;
        items.assistant(line);
        let is_synthetic = message.model.as_str() == Some(SYNTHETIC);
        self.passes();
        if !is_synthetic {
            self.lift_limit();
        }
        // What a sub-agent says or fails at is said to the agent, and not to the user.
        if line.parent_tool_use_id.is_some() {
            return;
        }
        if is_synthetic {
            self.error = line.error.as_str().and_then(asks::name);
        } else {
            self.begin();
        }
        if let Some(text) = last_text(&message.content) {
            self.has_said = true;
            self.say(text);
        }
    }

    fn user(&mut self, line: &Line<'_>, items: &mut Items<'_>) {
        items.user(line);
        let Content::Blocks(blocks) = &line.message.0.content else { return };
        for Object(block) in blocks {
            if block.kind.as_str() == Some("tool_result")
                && let Some(call) = block.tool_use_id.as_str()
            {
                self.close(|_, ask| ask == Some(call));
            }
        }
    }

    /// Takes the end of a turn, or of a sub-agent, which is none of the session's business.
    fn result(&mut self, line: &Line<'_>, items: &mut Items<'_>) {
        if line.parent_tool_use_id.is_some() {
            return;
        }
        let success = report::is_success(line);
        self.passes();
        if success {
            self.lift_limit();
        }
        let cost_before = self.view.learned.cost_microusd.unwrap_or_default();
        self.count(line);
        let learned = &self.view.learned;
        let (usage, cost_microusd) = (learned.usage, learned.cost_microusd);

        let message = report::message(line);
        // What was said in this turn stands there already.
        let is_said = self.has_said && (success || message == learned.last_said);
        let text = message.as_deref().filter(|_| !is_said).unwrap_or_default();
        items.turn_end(
            text,
            !success,
            TurnUsage {
                usage: report::turn_usage(line),
                cost_microusd: cost_microusd.map(|cost| cost.saturating_sub(cost_before)),
            },
        );
        if let Some(text) = line.result.as_str().filter(|text| !text.is_empty()) {
            self.say(text);
        }
        self.view.report = Some(Report {
            success,
            kind: Some(report::kind(line, self.error.as_deref())),
            message,
            turns: Some(self.turns_of_model),
            cost_microusd,
            usage: Some(usage),
        });
        self.view.turn = Turn::Ended;
        self.prompt = None;
        self.refusals.clear();
        if self.tasks.none_run() {
            self.close(|_, _| true);
            self.view.report_is_final |= !self.is_interactive;
        }
    }

    /// Adds what a turn has used. The program's figures are those of its process, and stand at 0 in
    /// some reports of failures: what was used stays used.
    fn count(&mut self, line: &Line<'_>) {
        let turns = u32::try_from(line.num_turns.count()).unwrap_or(u32::MAX);
        self.turns_of_model = self.turns_of_model.saturating_add(turns);
        let learned = &mut self.view.learned;
        learned.turns = learned.turns.saturating_add(1);
        learned.cost_microusd = learned.cost_microusd.max(report::cost_microusd(line));
        let (total, known) = (&line.model_usage, learned.usage);
        learned.usage = Usage {
            input_tokens: known.input_tokens.max(total.input_tokens),
            cached_tokens: known.cached_tokens.max(total.cached_tokens),
            output_tokens: known.output_tokens.max(total.output_tokens),
        };
    }

    fn system(&mut self, line: &Line<'_>, items: &mut Items<'_>) -> bool {
        match line.subtype.or_empty() {
            "init" => self.init(line),
            "api_retry" => {
                let trouble = report::retry(line);
                items.notice(&trouble.message, true);
                self.view.learned.trouble = Some(trouble);
                self.is_limited = false;
            }
            "task_started" => self.tasks.started(line.task_id.or_empty()),
            "task_updated" => {
                let Object(patch) = &line.patch;
                self.tasks.is_now(line.task_id.or_empty(), patch.status.or_empty());
            }
            "task_notification" => {
                self.tasks.is_now(line.task_id.or_empty(), line.status.or_empty());
                let status = line.status.or_empty();
                let text = format!("task {status}: {}", line.summary.or_empty());
                items.notice(&text, status == "failed");
            }
            "compact_boundary" => items.notice("The conversation so far was summarised.", false),
            "informational"
            | "local_command"
            | "local_command_output"
            | "notification"
            | "model_fallback"
            | "model_refusal_fallback"
            | "model_refusal_no_fallback"
            | "mirror_error"
            | "permission_denied" => {
                items.notice(line.content.or_empty(), false);
            }
            "agents_killed"
            | "api_error"
            | "away_summary"
            | "commands_changed"
            | "elicitation_complete"
            | "file_snapshot"
            | "files_persisted"
            | "hook_progress"
            | "hook_response"
            | "hook_started"
            | "memory_recall"
            | "memory_saved"
            | "model_consent_fallback"
            | "permission_retry"
            | "plugin_install"
            | "post_turn_summary"
            | "scheduled_task_fire"
            | "session_state_changed"
            | "status"
            | "stop_hook_summary"
            | "task_progress"
            | "task_summary"
            | "thinking_tokens"
            | "turn_duration"
            | "turn_starting"
            | "worker_shutting_down" => {}
            _ => return false,
        }
        true
    }

    /// Takes the beginning of a turn: it is printed at each.
    fn init(&mut self, line: &Line<'_>) {
        let learned = &mut self.view.learned;
        let told = [
            (&mut learned.agent_session, &line.session_id),
            (&mut learned.model, &line.model),
            (&mut learned.version, &line.claude_code_version),
        ];
        for (known, word) in told {
            if let Some(word) = word.as_str().and_then(asks::name) {
                *known = Some(word);
            }
        }
        self.begin();
        self.error = None;
        self.has_said = false;
    }

    fn begin(&mut self) {
        self.view.turn = Turn::Begun;
        self.prompt = None;
    }

    fn limit(&mut self, line: &Line<'_>, items: &mut Items<'_>) {
        match report::limit(&line.rate_limit_info.0) {
            Some(trouble) => {
                items.notice(&trouble.message, true);
                self.view.learned.trouble = Some(trouble);
                self.is_limited = true;
            }
            None => self.lift_limit(),
        }
    }

    /// Takes note that a request to the provider came back.
    fn passes(&mut self) {
        if !self.is_limited {
            self.view.learned.trouble = None;
        }
    }

    fn lift_limit(&mut self) {
        self.is_limited = false;
        self.view.learned.trouble = None;
    }

    fn say(&mut self, text: &str) {
        self.view.learned.last_said = Some(line::tail(text, SAID_BYTES_MAX).to_owned());
    }

    /// Takes a request. What nobody here can answer is refused, so that the program does not wait.
    fn request(&mut self, line: &Line<'_>, place: Place) -> bool {
        let Some(request_id) = line.request_id.as_str().and_then(asks::name) else { return false };
        let Some(ask) = asks::ask(line, place) else {
            self.refuse(place, asks::unsupported(&request_id));
            return false;
        };
        if self.view.asks.len() < REQUESTS_OPEN_MAX {
            self.view.asks.push(ask.asked);
            self.calls.push(ask.call);
        } else {
            self.refuse(place, asks::denial(&request_id, "Too many requests are open."));
        }
        true
    }

    fn refuse(&mut self, place: Place, bytes: Vec<u8>) {
        if self.refusals.len() == REFUSALS_MAX {
            self.refusals.remove(0);
        }
        let key = KEY_REFUSED + place.offset;
        self.refusals.push(Owed { key, bytes, is_last: false });
    }

    /// Closes the requests that fit, by the program's name for them and by the call.
    fn close(&mut self, fits: impl Fn(&str, Option<&str>) -> bool) {
        let mut index = 0;
        while let (Some(asked), Some(call)) = (self.view.asks.get(index), self.calls.get(index)) {
            if fits(&asked.agent_id, call.as_deref()) {
                self.view.asks.remove(index);
                self.calls.remove(index);
            } else {
                index += 1;
            }
        }
    }

    fn unknown(&mut self) {
        let count = &mut self.view.learned.lines_unknown;
        *count = count.saturating_add(1);
    }
}

/// Returns the last text of a message.
fn last_text<'a>(content: &'a Content<'_>) -> Option<&'a str> {
    let text = |Object(block): &'a Object<Block<'_>>| {
        block.text.as_str().filter(|_| block.kind.as_str() == Some("text"))
    };
    match content {
        Content::Nothing => None,
        Content::Text(text) => Some(text.as_ref()),
        Content::Blocks(blocks) => blocks.iter().rev().find_map(text),
    }
    .filter(|text| !text.is_empty())
}

impl Reader for ClaudeReader {
    fn line(&mut self, place: Place, line: &[u8], items: &mut Vec<Item>) {
        if line.starts_with(PARTIAL) {
            self.passes();
            return;
        }
        if line::is_blank(line) {
            return;
        }
        let text = line::text(line);
        let read = if line::may_be_object(line) { serde_json::from_str(&text).ok() } else { None };
        let is_known = read.is_some_and(|read: Line<'_>| self.take(&read, place, items));
        if !is_known {
            self.unknown();
        }
        let waits = self.view.turn == Turn::Ended && !self.view.report_is_final;
        self.view.learned.in_background = if waits { self.tasks.count() } else { 0 };
    }

    fn oversized_line(&mut self, _place: Place) {
        self.unknown();
    }

    fn end(&mut self, stderr: &str) {
        self.has_ended = true;
        self.view.learned.in_background = 0;
        self.close(|_, _| true);
        self.refusals.clear();
        self.prompt = None;
        if !self.is_limited {
            self.view.learned.trouble = None::<Trouble>;
        }
        // A turn that was broken off without a word leaves the report of the turn before, which says
        // nothing of it.
        if self.view.turn == Turn::Begun && !self.view.report_is_final {
            self.view.report = None;
        }
        if self.view.turn == Turn::NotBegun {
            self.view.report = report::refusal(stderr);
        }
        self.view.report_is_final = self.view.report.is_some();
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn owed(&self) -> Vec<Owed> {
        if self.has_ended {
            return Vec::new();
        }
        let prompt = self.prompt.iter().map(|bytes| Owed {
            key: KEY_PROMPT,
            bytes: bytes.clone(),
            is_last: false,
        });
        let end = self.view.report_is_final.then(|| Owed {
            key: KEY_END,
            bytes: Vec::new(),
            is_last: true,
        });
        prompt.chain(self.refusals.iter().cloned()).chain(end).collect()
    }
}
