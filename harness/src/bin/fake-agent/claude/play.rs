//! What a replayed agent does: turns, and what breaks them off.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

use super::ears::{Ears, Event};
use super::kept::Kept;
use super::script::{self, Step};
use super::tool::Tool;
use super::voice::{self, Call, Report, Voice};
use crate::signals::{die, leave};
use crate::steps::{ready, wait_for};

/// How long a task in the background has to its end, once input has ended.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of what was killed is waited for.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// What the model is told of a tool that its user did not want.
const REJECTED: &str = "The user doesn't want to proceed with this tool use.";

/// What the model is told of a request that nobody can answer any more.
const STREAM_CLOSED: &str = "Tool permission stream closed before response received";

const SUCCESS: Report<'_> =
    Report { subtype: "success", is_error: false, terminal_reason: "completed", api_status: None };

/// What it is doing, which decides what a signal does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Start,
    Idle,
    Model,
    Tool,
    Permission,
}

/// What a turn may go on after.
#[derive(Debug)]
enum Heard {
    Nothing,
    Ended { token: u64, text: String, is_error: bool },
    Answered,
    BrokenOff,
}

/// A turn that is to come.
#[derive(Debug)]
enum Turn {
    Message(String),
    TaskEnded,
}

/// A request for permission.
#[derive(Debug)]
struct Request {
    id: String,
    call: Call,
    answer: Option<(bool, String)>,
}

/// A replayed agent.
#[derive(Debug)]
pub(crate) struct Play {
    voice: Voice,
    ears: Ears,
    kept: Kept,
    turns: VecDeque<Turn>,
    requests: Vec<Request>,
    tool: Option<(Call, Tool)>,
    background: Vec<(String, Tool)>,
    /// Controls that came before anybody read them.
    unread: Vec<Event>,
    has_started: bool,
    input_ended: bool,
    swallows: bool,
    is_deaf: bool,
    lingers: bool,
    /// Whether this turn has a report, or is to have none.
    is_settled: bool,
    /// Whether the last report was of an error.
    has_failed: bool,
}

impl Play {
    pub(crate) const fn new(voice: Voice, ears: Ears, kept: Kept) -> Self {
        Self {
            voice,
            ears,
            kept,
            turns: VecDeque::new(),
            requests: Vec::new(),
            tool: None,
            background: Vec::new(),
            unread: Vec::new(),
            has_started: false,
            input_ended: false,
            swallows: false,
            is_deaf: false,
            lingers: false,
            is_settled: false,
            has_failed: false,
        }
    }

    /// Plays one turn after the other.
    pub(crate) fn run(mut self) -> Result<Infallible, String> {
        loop {
            match self.turns.pop_front() {
                Some(Turn::Message(message)) => self.turn(&message)?,
                Some(Turn::TaskEnded) => {
                    self.voice.init();
                    self.voice.say("The background task is done.");
                    self.report(SUCCESS);
                }
                None if self.input_ended && !self.lingers => self.wind_down(),
                None => {
                    let event = self.ears.next();
                    self.hear(event, Phase::Idle);
                }
            }
        }
    }

    /// Leaves, unless a task in the background wakes the model once more.
    fn wind_down(&mut self) {
        if self.background.is_empty() {
            leave(self.has_failed.into());
        }
        let heard = self.ears.next_within(BACKGROUND_PATIENCE);
        if let Some(event) = heard {
            self.hear(event, Phase::Idle);
            return;
        }
        for (id, task) in std::mem::take(&mut self.background) {
            task.kill();
            self.end_task(&id, "killed", "stopped");
        }
    }

    fn turn(&mut self, message: &str) -> Result<(), String> {
        let steps = script::steps(message)?;
        self.is_settled = false;
        if !steps.iter().any(|step| matches!(step, Step::Init)) {
            self.begin(message)?;
        }
        for step in steps {
            if !self.catch_up() || !self.take(step, message)? {
                return Ok(());
            }
        }
        if self.catch_up() && !self.is_settled {
            self.report(SUCCESS);
        }
        Ok(())
    }

    fn begin(&mut self, message: &str) -> Result<(), String> {
        self.has_started = true;
        self.voice.init();
        let unread = std::mem::take(&mut self.unread);
        self.ears.put_back(unread);
        self.kept.prompt(message).map_err(|error| format!("cannot keep a prompt: {error}"))
    }

    /// Takes note of all that has happened, and says whether the turn goes on.
    fn catch_up(&mut self) -> bool {
        while let Some(event) = self.ears.heard() {
            let phase = self.phase();
            if matches!(self.hear(event, phase), Heard::BrokenOff) {
                return false;
            }
            if !self.has_started {
                return true;
            }
        }
        true
    }

    /// What it is doing while nothing else is said.
    fn phase(&self) -> Phase {
        match (self.has_started, self.requests.is_empty()) {
            (false, _) => Phase::Start,
            (true, true) => Phase::Model,
            (true, false) => Phase::Permission,
        }
    }

    /// Takes one step, and says whether the turn goes on.
    fn take(&mut self, step: Step, message: &str) -> Result<bool, String> {
        match step {
            Step::Init => self.begin(message)?,
            Step::Swallow => self.swallows = true,
            Step::Deaf => self.is_deaf = true,
            Step::Ready(path) => return Ok(self.wait_for_file(path, true)),
            Step::Await(path) => return Ok(self.wait_for_file(path, false)),
            Step::Hang => return Ok(self.await_end_of(None, self.phase()).is_some()),
            Step::Say(text) => self.voice.say(&text),
            Step::Line(bytes) => self.voice.say(&"x".repeat(bytes)),
            Step::Recall => {
                let prompts = self.kept.prompts().map_err(|error| error.to_string())?;
                self.voice.say(&format!("I was shown {prompts} prompts."));
            }
            Step::Tool(command) => {
                let call = self.voice.call(&command);
                return self.run_tool(call);
            }
            Step::Ask(command) => {
                self.open(&command);
                return self.await_answers();
            }
            Step::Open(command) => self.open(&command),
            Step::Answers => return self.await_answers(),
            Step::Background(command) => self.start_task(&command)?,
            Step::Subagent => self.voice.subagent(),
            Step::Retry(status) => self.voice.retry(status),
            Step::Failure(status) => {
                self.voice.failure(status);
                (self.is_settled, self.has_failed) = (true, true);
                return Ok(false);
            }
            Step::Print(line) => voice::print_line(&line),
            Step::Garbage => voice::print_bytes(b"{\"type\":\"\xff\xfe\",\x00}\n"),
            Step::Torn => {
                voice::print_bytes(br#"{"type":"result","subtype":"success","is_error":fal"#);
                leave(0)
            }
            Step::Result(subtype) => {
                let is_error = subtype != "success";
                self.report(Report { subtype: &subtype, is_error, ..SUCCESS });
            }
            Step::Silent => self.is_settled = true,
            Step::Linger => self.lingers = true,
            Step::Exit(code) => leave(code),
            Step::Die(signal) => die(signal),
        }
        Ok(true)
    }

    fn report(&mut self, report: Report<'_>) {
        self.voice.result(report);
        (self.is_settled, self.has_failed) = (true, report.is_error);
    }

    /// Writes to a file, or waits for a line from it. It can be broken off meanwhile.
    fn wait_for_file(&mut self, path: PathBuf, tells: bool) -> bool {
        let token = self.ears.begin(move || {
            if tells { ready(&path) } else { wait_for(&path) }?;
            Ok((String::new(), false))
        });
        let phase = self.phase();
        match self.await_end_of(Some(token), phase) {
            Some((error, true)) => {
                voice::print_line(&error);
                leave(2)
            }
            Some((_, false)) => true,
            None => false,
        }
    }

    /// Waits for the end of something, or for ever. Returns what came of it, unless it is broken off.
    fn await_end_of(&mut self, wanted: Option<u64>, phase: Phase) -> Option<(String, bool)> {
        loop {
            let event = self.ears.next();
            match self.hear(event, phase) {
                Heard::Ended { token, text, is_error } if Some(token) == wanted => {
                    return Some((text, is_error));
                }
                Heard::BrokenOff => return None,
                Heard::Nothing | Heard::Answered | Heard::Ended { .. } => {}
            }
        }
    }

    fn run_tool(&mut self, call: Call) -> Result<bool, String> {
        let tool = Tool::start(&call.command, &mut self.ears).map_err(|error| error.to_string())?;
        let token = tool.token;
        self.tool = Some((call.clone(), tool));
        let ended = self.await_end_of(Some(token), Phase::Tool);
        self.tool = None;
        if let Some((text, is_error)) = &ended {
            self.voice.tool_result(&call, text, *is_error);
        }
        Ok(ended.is_some())
    }

    fn open(&mut self, command: &str) {
        let call = self.voice.call(command);
        let id = self.voice.ask(&call);
        self.requests.push(Request { id, call, answer: None });
    }

    fn await_answers(&mut self) -> Result<bool, String> {
        while self.requests.iter().any(|request| request.answer.is_none()) {
            if self.input_ended {
                self.close_requests();
                break;
            }
            let event = self.ears.next();
            if matches!(self.hear(event, Phase::Permission), Heard::BrokenOff) {
                return Ok(false);
            }
        }
        for request in std::mem::take(&mut self.requests) {
            match request.answer {
                Some((true, _)) => {
                    if !self.run_tool(request.call)? {
                        return Ok(false);
                    }
                }
                Some((false, why)) => self.voice.denied(&request.call, &why),
                None => self.voice.denied(&request.call, STREAM_CLOSED),
            }
        }
        Ok(true)
    }

    /// Answers what nobody can answer any more.
    fn close_requests(&mut self) {
        for request in &mut self.requests {
            request.answer.get_or_insert_with(|| (false, STREAM_CLOSED.to_owned()));
        }
    }

    fn start_task(&mut self, command: &str) -> Result<(), String> {
        let call = self.voice.call(command);
        let tool = Tool::start(command, &mut self.ears).map_err(|error| error.to_string())?;
        let id = format!("task{}", tool.token);
        let more = json!({
            "tool_use_id": call.id, "description": "a step", "task_type": "local_bash",
        });
        self.voice.task("task_started", &id, more);
        self.voice.tool_result(&call, "Command running in background", false);
        self.background.push((id, tool));
        Ok(())
    }

    fn end_task(&mut self, id: &str, patch: &str, status: &str) {
        self.voice.task("task_updated", id, json!({"patch": {"status": patch}}));
        let more = json!({"status": status, "output_file": "", "summary": "a step"});
        self.voice.task("task_notification", id, more);
    }

    /// Does what an event asks for while it is at something.
    fn hear(&mut self, event: Event, phase: Phase) -> Heard {
        match event {
            Event::Control { .. } | Event::Signal(_) if self.is_deaf => {}
            Event::Message(text) => self.turns.push_back(Turn::Message(text)),
            Event::InputEnded => self.input_ended = true,
            Event::Nonsense(line) => {
                use std::io::Write as _;
                drop(writeln!(std::io::stderr(), "Error parsing streaming input line: {line}"));
                leave(1)
            }
            Event::Answer { request, is_allowed, message } => {
                let open = self.requests.iter_mut().find(|open| open.id == request);
                if let Some(open) = open {
                    open.answer.get_or_insert((is_allowed, message));
                    return Heard::Answered;
                }
            }
            Event::Ended { token, text, is_error } => return self.ended(token, text, is_error),
            event @ Event::Control { .. } if phase == Phase::Start => self.unread.push(event),
            Event::Control { request, subtype } => return self.control(&request, &subtype, phase),
            Event::Signal(signal) => return self.signal(signal, phase),
        }
        Heard::Nothing
    }

    fn ended(&mut self, token: u64, text: String, is_error: bool) -> Heard {
        let task = self.background.iter().position(|(_, task)| task.token == token);
        let Some(task) = task else { return Heard::Ended { token, text, is_error } };
        let (id, _) = self.background.remove(task);
        self.end_task(&id, "completed", "completed");
        self.turns.push_back(Turn::TaskEnded);
        Heard::Nothing
    }

    fn control(&mut self, request: &str, subtype: &str, phase: Phase) -> Heard {
        match subtype {
            "interrupt" if phase != Phase::Idle => {
                self.break_off(Some(request), phase);
                return Heard::BrokenOff;
            }
            "initialize" => {
                self.voice.respond(request, Some(json!({"commands": [], "models": []})))
            }
            "interrupt" | "set_permission_mode" | "set_model" => self.voice.respond(request, None),
            _ => self.voice.refuse(request, subtype),
        }
        Heard::Nothing
    }

    fn signal(&mut self, signal: i32, phase: Phase) -> Heard {
        match (signal, phase) {
            (SIGINT, _) if self.swallows => self.swallows = false,
            (_, Phase::Start) => die(signal),
            (SIGINT, Phase::Idle | Phase::Model) => leave(0),
            (SIGINT, Phase::Tool | Phase::Permission) => {
                self.break_off(None, phase);
                leave(0)
            }
            // A tool that runs is left behind.
            (SIGTERM, _) => leave(143),
            (SIGHUP, _) => leave(129),
            _ => die(signal),
        }
        Heard::Nothing
    }

    /// Waits for the end of what was killed, and leaves all else for later. What has left its group
    /// may hold its output open.
    fn await_killed(&mut self, killed: u64) {
        let mut others = Vec::new();
        while let Some(event) = self.ears.next_within(KILL_PATIENCE) {
            if matches!(&event, Event::Ended { token, .. } if *token == killed) {
                break;
            }
            others.push(event);
        }
        self.ears.put_back(others);
    }

    /// Breaks off the turn, with the lines that the real program prints, in their order.
    fn break_off(&mut self, request: Option<&str>, phase: Phase) {
        let requests = std::mem::take(&mut self.requests);
        for open in requests.iter().filter(|open| open.answer.is_none()) {
            self.voice.cancel(&open.id);
        }
        let tool = self.tool.take();
        if let Some((_, tool)) = &tool {
            tool.kill();
            self.await_killed(tool.token);
        }
        if let Some(request) = request {
            self.voice.respond(request, None);
        }
        for call in requests.iter().map(|open| &open.call).chain(tool.iter().map(|(call, _)| call))
        {
            self.voice.denied(call, REJECTED);
        }
        let in_tool = matches!(phase, Phase::Tool | Phase::Permission);
        self.voice.interrupted(in_tool);
        self.report(Report {
            subtype: "error_during_execution",
            is_error: true,
            terminal_reason: if in_tool { "aborted_tools" } else { "aborted_streaming" },
            api_status: None,
        });
    }
}
