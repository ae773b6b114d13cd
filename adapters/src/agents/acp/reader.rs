//! What an agent says in the protocol, and what it is owed next.
//!
//! The way to the first prompt has steps, each of which is begun by the answer to the one before: the
//! greeting, the session, the mode and the model that were ordered, the prompt.

use candor_core::agent::{AgentSpec, Asked, REQUESTS_OPEN_MAX, Turn, View};
use candor_core::bytes::ByteString;
use candor_core::session::Report;
use serde_json::{Value, json};

use super::super::talk::Talk;
use super::super::{Item, ItemKind, Owed, Place, Reader, Role, TurnUsage, line, reading};
use super::calls::Calls;
use super::means::{config_option, end_of_turn, going_on, plan};
use super::wire::{
    Block, CancelledRequest, Failure, Initialized, Line, Notification, Opened, Prompted, Update,
    part,
};
use super::{asks, send};

/// The keys of what is owed: one for each step, and one for the end of the input.
const KEY_END: u64 = 5;

/// The first key of what is answered without anybody being asked: the offset of its line is added.
const KEY_ANSWERED: u64 = 16;

/// Answers of that kind that are repeated: the last so many.
const ANSWERED_MAX: usize = REQUESTS_OPEN_MAX;

/// Where the way to the first prompt stands: what was sent and is not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Greeting = 0,
    Opening = 1,
    Mode = 2,
    Model = 3,
    Prompting = 4,
    /// The first prompt was answered.
    Talking,
    /// It cannot go on, or is to go on with nothing.
    Done,
}

/// Reads what an agent says.
pub(super) struct AcpReader {
    spec: AgentSpec,
    cwd: String,
    step: Step,
    /// What is owed for the step.
    sent: Vec<u8>,
    /// Whether the session tells what was said in it before.
    loads: bool,
    /// What can be chosen, until it was.
    opened: Opened,
    answered: Vec<Owed>,
    calls: Calls,
    /// The call that each open request is about, beside [`View::asks`].
    asking: Vec<String>,
    talk: Talk,
    /// The agent's name for what it is saying.
    message: Option<Value>,
    view: View,
}

impl AcpReader {
    pub(super) fn new(spec: &AgentSpec, cwd: &ByteString) -> Self {
        let mut view = View::default();
        view.learned.agent_session.clone_from(&spec.agent_session);
        Self {
            spec: spec.clone(),
            cwd: cwd.to_text().into_owned(),
            step: Step::Greeting,
            sent: send::initialize(),
            loads: false,
            opened: Opened::default(),
            answered: Vec::new(),
            calls: Calls::default(),
            asking: Vec::new(),
            talk: Talk::default(),
            message: None,
            view,
        }
    }

    /// Takes a message. Says whether it is one that is known.
    fn take(&mut self, place: Place, line: Line, items: &mut Vec<Item>) -> bool {
        match (line.method.as_deref(), &line.id) {
            (Some("session/request_permission"), Some(_)) => self.asks(place, &line, items),
            (Some(_), Some(id)) => {
                let id = id.to_string();
                self.answer(place, send::error(&id, -32_601, "Method not found"));
                return false;
            }
            (Some("session/update"), None) => return self.update(place, &line, items),
            (Some("$/cancel_request"), None) => {
                let Some(request) = part::<CancelledRequest>(line.params.as_deref()) else {
                    return false;
                };
                let id = request.request_id.to_string();
                self.withdraw(|asked, _call| asked.agent_id == id);
            }
            // A method that begins like this is the agent's own.
            (Some(method), None) => return method.starts_with('_'),
            (None, Some(Value::String(id))) => {
                let id = id.clone();
                return self.answered(place, &id, line, items);
            }
            (None, _) => return false,
        }
        true
    }

    /// Takes the answer to something that was sent.
    fn answered(&mut self, place: Place, id: &str, line: Line, items: &mut Vec<Item>) -> bool {
        let result = line.result.as_deref();
        let failure = line.error;
        match (id, self.step) {
            (send::INITIALIZE, Step::Greeting) => match failure {
                Some(failure) => self.fails(place, "protocol_error", failure, items),
                None => self.open(place, part(result).unwrap_or_default(), items),
            },
            (send::SESSION, Step::Opening) => match failure {
                Some(failure) => {
                    let resumes = self.spec.resumes.is_some();
                    let word = if resumes { "no_session" } else { "session_failed" };
                    self.fails(place, word, failure, items);
                }
                None => self.opened(place, part(result).unwrap_or_default(), items),
            },
            (send::MODE | send::MODEL, Step::Mode | Step::Model) => match failure {
                Some(failure) => self.fails(place, "not_found", failure, items),
                None if self.step == Step::Mode => self.choose_model(place, items),
                None => {
                    self.view.learned.model.clone_from(&self.spec.model);
                    self.prompts();
                }
            },
            (id, Step::Prompting | Step::Talking) if id.starts_with(send::PROMPT) => {
                let prompted = part::<Prompted>(result);
                self.turn_ends(place, failure, prompted, items);
            }
            _ => return false,
        }
        true
    }

    /// Asks for a session, or for the one that is to be gone on with.
    fn open(&mut self, place: Place, greeting: Initialized, items: &mut Vec<Item>) {
        if let Some(version) = greeting.protocol_version
            && version != send::VERSION
        {
            let message = format!("it speaks version {version} of the Agent Client Protocol");
            return self.gives_up(place, "protocol_error", message, items);
        }
        self.view.learned.version = greeting.agent_info.and_then(|info| info.version);
        let capabilities = greeting.agent_capabilities.unwrap_or_default();
        let params = |session: Option<&str>| match session {
            Some(session) => {
                json!({"cwd": self.cwd, "mcpServers": [], "sessionId": session})
            }
            None => json!({"cwd": self.cwd, "mcpServers": []}),
        };
        let session = self.spec.resumes.as_deref();
        let method = match session {
            None => "session/new",
            Some(_) => match going_on(&capabilities, self.spec.forks) {
                Ok(method) => method,
                Err((word, message)) => {
                    return self.gives_up(place, word, message.to_owned(), items);
                }
            },
        };
        self.sent = send::request(send::SESSION, method, &params(session));
        self.loads = method == "session/load";
        self.step = Step::Opening;
    }

    /// Takes the session, and chooses the mode that was ordered.
    fn opened(&mut self, place: Place, opened: Opened, items: &mut Vec<Item>) {
        let own = if self.spec.forks { None } else { self.spec.resumes.clone() };
        let Some(session) = opened.session_id.clone().or(own) else {
            let message = "it opened a session and did not name it".to_owned();
            return self.gives_up(place, "session_failed", message, items);
        };
        self.view.learned.agent_session = Some(session.clone());
        let model = opened.models.as_ref().and_then(|models| models.current_model_id.clone());
        let option =
            config_option(&opened, "model").and_then(|option| option.current_value.as_ref());
        let model = model.or_else(|| option.and_then(Value::as_str).map(str::to_owned));
        self.view.learned.model = model;
        self.opened = opened;
        let ordered = self.spec.permission_mode.clone();
        let Some(mode) = ordered.or_else(|| self.mode_to_wait_for()) else {
            return self.choose_model(place, items);
        };
        self.sent = match (config_option(&self.opened, "mode"), &self.opened.modes) {
            (Some(option), _) => send::choose(send::MODE, &session, &option.id, &mode),
            (None, Some(modes)) if modes.available_modes.iter().any(|known| known.id == mode) => {
                let params = json!({"sessionId": session, "modeId": mode});
                send::request(send::MODE, "session/set_mode", &params)
            }
            (None, modes) => {
                let known = modes.iter().flat_map(|modes| &modes.available_modes);
                let known: Vec<&str> = known.map(|mode| mode.id.as_str()).collect();
                let message = format!("it has no mode {mode}; it has: {}", known.join(", "));
                return self.gives_up(place, "not_found", message, items);
            }
        };
        self.step = Step::Mode;
    }

    /// Returns the mode in which a session is already, when it is to be chosen once more for the sake
    /// of the answer: what was said in a session that is loaded stands before that.
    ///
    /// Source: by the protocol it stands before the answer to the loading; Gemini CLI 0.61.0 sends it
    /// right behind that, and nothing tells the last of it from the first that is new.
    fn mode_to_wait_for(&self) -> Option<String> {
        if !self.loads {
            return None;
        }
        let modes = self.opened.modes.as_ref().and_then(|modes| modes.current_mode_id.clone());
        let option = config_option(&self.opened, "mode");
        let value = option.and_then(|option| option.current_value.as_ref()?.as_str());
        value.map(str::to_owned).or(modes)
    }

    /// Chooses the model that was ordered.
    fn choose_model(&mut self, place: Place, items: &mut Vec<Item>) {
        let Some(model) = self.spec.model.clone() else { return self.prompts() };
        let session = self.view.learned.agent_session.clone().unwrap_or_default();
        self.sent = match (config_option(&self.opened, "model"), &self.opened.models) {
            (Some(option), _) => send::choose(send::MODEL, &session, &option.id, &model),
            (None, Some(_)) => {
                let params = json!({"sessionId": session, "modelId": model});
                send::request(send::MODEL, "session/set_model", &params)
            }
            (None, None) => {
                let message = "it does not let a model be chosen".to_owned();
                return self.gives_up(place, "not_found", message, items);
            }
        };
        self.step = Step::Model;
    }

    fn prompts(&mut self) {
        let session = self.view.learned.agent_session.clone().unwrap_or_default();
        self.sent = send::prompt(send::PROMPT, &session, &self.spec.prompt);
        self.opened = Opened::default();
        self.step = Step::Prompting;
    }

    fn update(&mut self, place: Place, line: &Line, items: &mut Vec<Item>) -> bool {
        let Some(Notification { update }) = part(line.params.as_deref()) else { return false };
        // What is told before the prompt is what was said in the session before it was gone on with.
        let is_new = matches!(self.step, Step::Prompting | Step::Talking);
        match update.session_update.as_str() {
            "agent_message_chunk" | "agent_thought_chunk" if is_new => {
                self.says(place, &update, items);
            }
            "tool_call" | "tool_call_update" if is_new => {
                self.begins();
                items.extend(self.talk.flush());
                let over = update.tool_call_id.clone();
                if self.calls.take(place, update, items) {
                    self.withdraw(|_asked, call| over.as_deref() == Some(call));
                }
            }
            "plan" if is_new => {
                self.begins();
                items.extend(self.talk.flush());
                let plan = plan(&update);
                items.push(Item::new(place, Role::Assistant, ItemKind::Notice, plan));
            }
            "usage_update" => {
                if let Some(cost) = update.cost.filter(|cost| cost.currency == "USD") {
                    self.view.learned.cost_microusd = Some(reading::microusd(cost.amount));
                }
            }
            "agent_message_chunk"
            | "agent_thought_chunk"
            | "user_message_chunk"
            | "tool_call"
            | "tool_call_update"
            | "plan"
            | "available_commands_update"
            | "current_mode_update"
            | "config_option_update"
            | "session_info_update" => {}
            _ => return false,
        }
        true
    }

    fn says(&mut self, place: Place, update: &Update, items: &mut Vec<Item>) {
        self.begins();
        if self.message != update.message_id {
            self.message.clone_from(&update.message_id);
            items.extend(self.talk.flush());
        }
        let text = part::<Block>(update.content.as_deref()).map(Block::into_text);
        let kind = match update.session_update.as_str() {
            "agent_thought_chunk" => ItemKind::Thinking,
            _ => ItemKind::Text,
        };
        let piece = Item::new(place, Role::Assistant, kind, text.unwrap_or_default());
        items.extend(self.talk.add(piece));
        if kind == ItemKind::Text {
            self.view.learned.last_said = self.talk.last_said();
        }
    }

    fn begins(&mut self) {
        self.view.turn = Turn::Begun;
    }

    /// Takes a request for permission. What nobody could answer is answered at once.
    fn asks(&mut self, place: Place, line: &Line, items: &mut Vec<Item>) {
        items.extend(self.talk.flush());
        let Some(ask) = asks::ask(line, place) else {
            let id = line.id.as_ref().map(Value::to_string).unwrap_or_default();
            return self.answer(place, send::error(&id, -32_602, "Invalid params"));
        };
        if self.view.asks.len() >= REQUESTS_OPEN_MAX {
            return self.answer(place, Some(asks::cancelled(&ask.asked.agent_id)));
        }
        self.begins();
        let call = ask.permission.tool_call;
        let input = call.raw_input.as_deref();
        items.extend(self.calls.ask(place, &call.tool_call_id, call.kind, call.title, input));
        self.view.asks.push(ask.asked);
        self.asking.push(call.tool_call_id);
    }

    /// Takes note that nobody needs an answer any more to requests.
    fn withdraw(&mut self, is_gone: impl Fn(&Asked, &str) -> bool) {
        let asks = std::mem::take(&mut self.view.asks);
        for (asked, call) in asks.into_iter().zip(std::mem::take(&mut self.asking)) {
            if !is_gone(&asked, &call) {
                self.view.asks.push(asked);
                self.asking.push(call);
            }
        }
    }

    fn turn_ends(
        &mut self,
        place: Place,
        failure: Option<Failure>,
        prompted: Option<Prompted>,
        items: &mut Vec<Item>,
    ) {
        items.extend(self.talk.flush());
        self.message = None;
        self.calls.clear();
        self.withdraw(|_asked, _call| true);
        let usage = prompted.as_ref().and_then(Prompted::usage_of_turn);
        let learned = &mut self.view.learned;
        learned.turns = learned.turns.saturating_add(1);
        reading::add(&mut learned.usage, usage.unwrap_or_default());
        let report = match (failure, prompted) {
            (Some(failure), _) => failure.report("turn_failed"),
            (None, Some(prompted)) => {
                end_of_turn(&prompted.stop_reason, learned.last_said.as_deref())
            }
            (None, None) => reading::failure(
                "protocol_error",
                "it ended the turn without a word about how".to_owned(),
            ),
        };
        let used = TurnUsage { usage: usage.unwrap_or_default(), cost_microusd: None };
        items.push(reading::turn_end(place, &report, used));
        self.view.report = Some(Report {
            turns: Some(learned.turns),
            usage: usage.map(|_| learned.usage),
            cost_microusd: learned.cost_microusd,
            ..report
        });
        self.view.turn = Turn::Ended;
        self.step = if self.spec.is_interactive { Step::Talking } else { Step::Done };
        self.view.report_is_final = !self.spec.is_interactive;
    }

    /// Ends what did not even come to a turn.
    fn gives_up(&mut self, place: Place, word: &str, message: String, items: &mut Vec<Item>) {
        let report = reading::failure(word, message);
        items.push(Item {
            is_error: true,
            ..Item::new(
                place,
                Role::System,
                ItemKind::Notice,
                report.message.clone().unwrap_or_default(),
            )
        });
        self.view.report = Some(report);
        self.view.report_is_final = true;
        self.step = Step::Done;
    }

    fn fails(&mut self, place: Place, word: &str, failure: Failure, items: &mut Vec<Item>) {
        let report = failure.report(word);
        let (word, message) = (report.kind.unwrap_or_default(), report.message.unwrap_or_default());
        let message = match (&self.spec.resumes, self.step) {
            (Some(session), Step::Opening) => {
                format!("it cannot go on with its session {session}: {message}")
            }
            (Some(_) | None, _) => message,
        };
        self.gives_up(place, &word, message, items);
    }

    /// Keeps an answer that nobody was asked about.
    fn answer(&mut self, place: Place, bytes: Option<Vec<u8>>) {
        let Some(bytes) = bytes else { return };
        if self.answered.len() == ANSWERED_MAX {
            self.answered.remove(0);
        }
        let key = KEY_ANSWERED.saturating_add(place.offset);
        self.answered.push(Owed { key, bytes, is_last: false });
    }
}

impl Reader for AcpReader {
    fn line(&mut self, place: Place, bytes: &[u8], items: &mut Vec<Item>) {
        if line::is_blank(bytes) {
            return;
        }
        let is_known = reading::parse(bytes).is_some_and(|line| self.take(place, line, items));
        if !is_known {
            reading::count_unknown(&mut self.view);
        }
    }

    fn oversized_line(&mut self, _place: Place) {
        reading::count_unknown(&mut self.view);
    }

    fn end(&mut self, _stderr: &str) {
        // Of a turn that was broken off, the report of the one before says nothing.
        if self.view.turn == Turn::Begun && !self.view.report_is_final {
            self.view.report = None;
        }
        self.view.report_is_final = true;
        self.withdraw(|_asked, _call| true);
        self.step = Step::Done;
    }

    fn rest(&mut self) -> Option<Item> {
        self.talk.flush()
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn owed(&self) -> Vec<Owed> {
        let mut owed = self.answered.clone();
        match self.step {
            Step::Greeting | Step::Opening | Step::Mode | Step::Model | Step::Prompting => {
                let bytes = self.sent.clone();
                owed.push(Owed { key: self.step as u64, bytes, is_last: false });
            }
            Step::Talking => {}
            Step::Done => owed.push(Owed { key: KEY_END, bytes: Vec::new(), is_last: true }),
        }
        owed
    }
}
