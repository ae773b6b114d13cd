//! The Agent Client Protocol: captured conversations, and what no program that was at hand does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use candor_adapters::agents::{
    Acp, Agent, Answer, Item, Listener, OWED_KEYS_MAX, Order, Owed, PlanError, Resume,
};
use candor_core::agent::{AgentSpec, REQUESTS_OPEN_MAX, Turn, View};
use candor_core::bytes::ByteString;
use candor_core::session::SessionId;
use expect_test::expect_file;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::facts;

/// Streams of both programs, at least.
const STREAMS_MIN: usize = 20;

/// The session that those streams go on with that go on with one.
const RESUMED: &str = "the-session-before";

fn spec() -> AgentSpec {
    facts::spec("acp")
}

/// Returns what was ordered when a stream was captured, which its name tells.
fn spec_of(name: &str) -> AgentSpec {
    let mut spec = spec();
    let (_, case) = name.split_once('-').unwrap();
    match case {
        "talk" => spec.is_interactive = true,
        "fork" => spec.forks = true,
        "badmode" => spec.permission_mode = Some("nosuch".to_owned()),
        "badmodel" => spec.model = Some("no/such".to_owned()),
        "yolo" => {
            spec.permission_mode = Some("yolo".to_owned());
            spec.model = Some("gemini-2.5-flash".to_owned());
        }
        "plan" => {
            spec.permission_mode = Some("plan".to_owned());
            spec.model = Some("mock/mock-model".to_owned());
        }
        _ => {}
    }
    if matches!(case, "resume" | "fork" | "bad") {
        spec.resumes = Some(RESUMED.to_owned());
    }
    spec
}

fn streams() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures/acp");
    let mut streams = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            streams.push((name, fs::read(&path).unwrap()));
        }
    }
    streams.sort();
    assert!(streams.len() >= STREAMS_MIN, "{} streams", streams.len());
    streams
}

/// Writes down what is owed that was not before.
fn note(owed: &[Owed], known: &mut BTreeMap<u64, Vec<u8>>, place: u64, facts: &mut String) {
    for owed in owed {
        assert!(owed.key < OWED_KEYS_MAX);
        match known.get(&owed.key) {
            // Sent again by the same key it is not written again, so that it must not have changed.
            Some(bytes) => assert_eq!(bytes, &owed.bytes, "key {}", owed.key),
            None => {
                let text = String::from_utf8_lossy(&owed.bytes);
                let last = if owed.is_last { ", the last" } else { "" };
                let _ = writeln!(facts, "at {place} owes {}{last}: {}", owed.key, text.trim());
                known.insert(owed.key, owed.bytes.clone());
            }
        }
    }
}

#[test]
fn every_captured_conversation_is_understood() {
    for (name, stdout) in streams() {
        let spec = spec_of(&name);
        let mut listener = facts::listener(&Acp, &spec);
        let (mut owed, mut known) = (String::new(), BTreeMap::new());
        note(&listener.owed(), &mut known, 0, &mut owed);
        for line in stdout.split_inclusive(|byte| *byte == b'\n') {
            listener.take(line, &mut Vec::new());
            note(&listener.owed(), &mut known, listener.offset(), &mut owed);
            for asked in &listener.view().asks {
                let place = usize::try_from(asked.offset).unwrap();
                let bytes = &stdout[place..place + usize::try_from(asked.length).unwrap()];
                check_answers(asked, bytes);
            }
        }
        let facts = facts::read(&Acp, &spec, &stdout, "");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures/acp");
        expect_file![path.join(name).with_extension("facts")].assert_eq(&format!("{facts}{owed}"));
    }
}

/// Compares both answers to a request with what the program offers.
fn check_answers(asked: &candor_core::agent::Asked, bytes: &[u8]) {
    let line: Value = serde_json::from_slice(bytes).unwrap();
    for (approved, kind) in [(true, "allow_once"), (false, "reject_once")] {
        let answer = Answer { approved, message: Some("because".to_owned()) };
        let answer: Value =
            serde_json::from_slice(&Acp.answer(asked, bytes, &answer).unwrap()).unwrap();
        assert_eq!(answer["id"], line["id"]);
        assert_eq!(answer["result"]["outcome"]["outcome"], "selected");
        let chosen = &answer["result"]["outcome"]["optionId"];
        let options = line["params"]["options"].as_array().unwrap();
        let option = options.iter().find(|option| option["optionId"] == *chosen).unwrap();
        assert_eq!(option["kind"], kind);
    }
}

/// Somebody who talks with an agent.
struct Talk {
    listener: Listener,
    items: Vec<Item>,
    stdout: Vec<u8>,
}

impl Talk {
    fn new(spec: &AgentSpec) -> Self {
        Self { listener: facts::listener(&Acp, spec), items: Vec::new(), stdout: Vec::new() }
    }

    fn hear(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.stdout.extend_from_slice(line.as_bytes());
        self.listener.take(line.as_bytes(), &mut self.items);
    }

    fn hears(&mut self, messages: &[Value]) -> &View {
        for message in messages {
            self.hear(message);
        }
        self.listener.view()
    }

    /// Returns what is owed, as JSON; the end of the input is null.
    fn owed(&self) -> Vec<Value> {
        let parse = |owed: &Owed| serde_json::from_slice(&owed.bytes).unwrap_or(Value::Null);
        self.listener.owed().iter().map(parse).collect()
    }
}

fn greeted(capabilities: &Value) -> Value {
    json!({"id": "initialize", "result": {
        "protocolVersion": 1, "agentCapabilities": capabilities,
    }})
}

fn opened() -> Value {
    json!({"id": "session", "result": {"sessionId": "s"}})
}

fn update(update: &Value) -> Value {
    json!({"method": "session/update", "params": {"sessionId": "s", "update": update}})
}

fn says(text: &str) -> Value {
    update(&json!({
        "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text},
    }))
}

fn ended(id: &str, reason: &str) -> Value {
    json!({"id": id, "result": {"stopReason": reason}})
}

/// Returns a talk that has come to its first prompt.
fn prompting(spec: &AgentSpec) -> Talk {
    let mut talk = Talk::new(spec);
    talk.hears(&[greeted(&json!({})), opened()]);
    talk
}

fn ask(id: &Value, call: &Value, kinds: &[&str]) -> Value {
    let options: Vec<Value> =
        kinds.iter().map(|kind| json!({"optionId": format!("o-{kind}"), "kind": kind})).collect();
    json!({"id": id, "method": "session/request_permission", "params": {
        "sessionId": "s", "toolCall": call, "options": options,
    }})
}

const KINDS: [&str; 3] = ["allow_always", "allow_once", "reject_once"];

#[test]
fn each_end_of_a_turn_has_its_word() {
    let ends = [
        ("end_turn", "end_turn", true),
        ("max_tokens", "max_tokens", false),
        ("max_turn_requests", "max_turns", false),
        ("refusal", "refusal", false),
        ("cancelled", "cancelled", false),
        ("of_tomorrow", "of_tomorrow", false),
    ];
    for (reason, word, success) in ends {
        let mut talk = prompting(&spec());
        let view = talk.hears(&[says("Hello."), ended("prompt", reason)]);
        let report = view.report.as_ref().unwrap();
        assert_eq!((report.kind.as_deref(), report.success), (Some(word), success));
        assert!(view.report_is_final);
        assert_eq!(talk.owed(), [Value::Null], "the input ends after the only turn");
    }
}

#[test]
fn an_error_that_ends_a_turn_has_its_word_and_its_sentence() {
    let errors = [
        (json!({"code": -32000, "message": "Authentication required"}), "authentication_failed"),
        (json!({"code": 429, "message": "slow down"}), "rate_limit"),
        (json!({"code": 503, "message": "{\"error\":{\"message\":\"down\"}}"}), "api_error"),
        (json!({"code": -32603, "message": "m", "data": {"details": "why"}}), "turn_failed"),
        (json!({"code": "odd"}), "protocol_error"),
    ];
    let sentences = ["Authentication required", "slow down", "down", "why", ""];
    for ((error, word), sentence) in errors.into_iter().zip(sentences) {
        let mut talk = prompting(&spec());
        let view = talk.hears(&[json!({"id": "prompt", "error": error})]);
        let report = view.report.as_ref().unwrap();
        assert!(!report.success);
        assert_eq!(report.kind.as_deref(), Some(word));
        assert!(report.message.as_deref().unwrap().contains(sentence));
    }
}

#[test]
fn a_login_that_is_missing_is_a_failure_that_says_so() {
    let mut talk = Talk::new(&spec());
    let error = json!({"code": -32000, "message": "Authentication required: run `x login`"});
    let view = talk.hears(&[greeted(&json!({})), json!({"id": "session", "error": error})]);
    let report = view.report.as_ref().unwrap();
    assert_eq!(report.kind.as_deref(), Some("authentication_failed"));
    assert_eq!(report.message.as_deref(), Some("Authentication required: run `x login`"));
    assert!(view.report_is_final);
    assert_eq!(talk.owed(), [Value::Null]);
}

#[test]
fn another_version_of_the_protocol_is_not_spoken() {
    let mut talk = Talk::new(&spec());
    let view = talk.hears(&[json!({"id": "initialize", "result": {"protocolVersion": 2}})]);
    let report = view.report.as_ref().unwrap();
    assert_eq!(report.kind.as_deref(), Some("protocol_error"));
    assert_eq!(talk.owed(), [Value::Null]);
}

#[test]
fn a_session_is_gone_on_with_as_the_agent_can() {
    let ways = [
        (json!({"loadSession": true}), false, Ok("session/load")),
        (
            json!({"loadSession": true, "sessionCapabilities": {"resume": {}}}),
            false,
            Ok("session/resume"),
        ),
        (json!({"sessionCapabilities": {"fork": {}}}), true, Ok("session/fork")),
        (json!({}), false, Err("no_session")),
        (json!({"loadSession": true}), true, Err("no_fork")),
    ];
    for (capabilities, forks, expected) in ways {
        let spec = AgentSpec { resumes: Some("old".to_owned()), forks, ..spec() };
        let mut talk = Talk::new(&spec);
        let view = talk.hears(&[greeted(&capabilities)]);
        match expected {
            Err(word) => assert_eq!(view.report.as_ref().unwrap().kind.as_deref(), Some(word)),
            Ok(method) => {
                let owed = talk.owed();
                assert_eq!(owed[0]["method"], method);
                assert_eq!(owed[0]["params"]["sessionId"], "old");
                assert_eq!(owed[0]["params"]["cwd"], "/srv/demo");
            }
        }
    }
}

/// The session that is loaded is told from its beginning; nothing of it is said now.
#[test]
fn what_was_said_before_is_not_said_again() {
    let spec = AgentSpec { resumes: Some("old".to_owned()), ..spec() };
    let mut talk = Talk::new(&spec);
    talk.hears(&[
        greeted(&json!({"loadSession": true})),
        says("of old"),
        update(&json!({
            "sessionUpdate": "tool_call", "toolCallId": "c", "status": "completed", "title": "old",
        })),
    ]);
    assert_eq!(talk.items, []);
    let view = talk.hears(&[json!({"id": "session", "result": {}})]);
    assert_eq!(view.learned.agent_session.as_deref(), Some("old"));
    assert_eq!((view.turn, view.learned.lines_unknown), (Turn::NotBegun, 0));
    assert_eq!(talk.owed()[0]["params"]["sessionId"], "old");
    let view = talk.hears(&[says("new"), ended("prompt", "end_turn")]);
    assert_eq!(view.learned.last_said.as_deref(), Some("new"));
}

#[test]
fn pieces_of_a_message_become_one_and_another_message_another() {
    let mut talk = prompting(&spec());
    let piece = |id: &str, text: &str| {
        update(&json!({
            "sessionUpdate": "agent_message_chunk", "messageId": id,
            "content": {"type": "text", "text": text},
        }))
    };
    let thought = update(&json!({
        "sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"},
    }));
    talk.hears(&[thought, piece("1", "Hel"), piece("1", "lo"), piece("2", "again")]);
    talk.hears(&[ended("prompt", "end_turn")]);
    let texts: Vec<&str> = talk.items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(texts, ["hm", "Hello", "again", "end_turn"]);
    assert_eq!(talk.listener.view().learned.last_said.as_deref(), Some("again"));
}

/// What was being said when the process died is in no line of its own.
#[test]
fn what_was_being_said_at_the_end_is_kept() {
    let mut talk = prompting(&spec());
    talk.hears(&[says("I was "), says("about to")]);
    assert_eq!(talk.items, []);
    talk.listener.end("", &mut talk.items);
    assert_eq!(talk.items.len(), 1);
    assert_eq!(talk.items[0].text, "I was about to");
    assert_eq!(talk.listener.view().report, None);
}

#[test]
fn a_talk_goes_on_until_its_input_ends() {
    let spec = AgentSpec { is_interactive: true, ..spec() };
    let mut talk = Talk::new(&spec);
    assert_eq!(Acp.message(talk.listener.view(), "too early"), None);
    talk.hears(&[greeted(&json!({})), opened(), says("one"), ended("prompt", "end_turn")]);
    assert_eq!(talk.owed(), Vec::<Value>::new());
    assert_eq!(talk.listener.view().turn, Turn::Ended);
    assert!(!talk.listener.view().report_is_final);

    let message = |text| Acp.message(talk.listener.view(), text).unwrap();
    let [first, second] =
        ["-x", "-x"].map(|text| serde_json::from_slice::<Value>(&message(text)).unwrap());
    assert_eq!(first["params"]["prompt"][0]["text"], "-x");
    assert_eq!(first["params"]["sessionId"], "s");
    assert_ne!(first["id"], second["id"], "each is answered for itself");

    let view = talk.hears(&[says("two")]);
    assert_eq!(view.turn, Turn::Begun);
    let id = first["id"].as_str().unwrap().to_owned();
    let view = talk.hears(&[ended(&id, "refusal")]);
    assert_eq!((view.turn, view.learned.turns), (Turn::Ended, 2));
    assert_eq!(view.report.as_ref().unwrap().kind.as_deref(), Some("refusal"));

    // A turn that is broken off has no report, and that of the turn before is none of its.
    talk.hears(&[says("three")]);
    talk.listener.end("", &mut talk.items);
    assert_eq!(talk.listener.view().report, None);
}

#[test]
fn an_edit_names_its_files_and_a_command_its_line() {
    let edit = json!({"toolCallId": "c", "kind": "edit", "title": "Edit a.rs",
        "content": [{"type": "diff", "path": "/srv/demo/a.rs", "newText": "x"}],
        "locations": [{"path": "/srv/demo/a.rs"}, {"path": "/srv/demo/b.rs"}]});
    let command = json!({"toolCallId": "d", "kind": "execute", "title": "Runs tests",
        "rawInput": {"command": "cargo test"}, "locations": [{"path": "/srv/demo"}]});
    let both = json!({"toolCallId": "e", "kind": "edit", "rawInput": {"command": "rm a"},
        "locations": [{"path": "/srv/demo/a.rs"}]});
    let mut talk = prompting(&spec());
    let asks = [ask(&json!(0), &edit, &KINDS), ask(&json!("1"), &command, &KINDS)];
    talk.hears(&asks);
    let view = talk.hears(&[ask(&json!(2), &both, &KINDS)]);
    let facts: Vec<_> = view
        .asks
        .iter()
        .map(|asked| (asked.agent_id.as_str(), asked.command.as_deref(), asked.paths.len()))
        .collect();
    assert_eq!(facts, [("0", None, 2), ("\"1\"", Some("cargo test"), 0), ("2", Some("rm a"), 0)]);
    assert_eq!(view.asks[1].summary, "cargo test\nRuns tests");
    assert_eq!(view.turn, Turn::Begun);
}

#[test]
fn what_was_looked_at_is_what_is_answered() {
    let call = json!({"toolCallId": "c", "kind": "execute", "rawInput": {"command": "ls"}});
    let mut talk = prompting(&spec());
    let view = talk.hears(&[ask(&json!(7), &call, &KINDS)]).clone();
    let asked = &view.asks[0];
    let other = json!({"toolCallId": "c", "kind": "execute", "rawInput": {"command": "rm"}});
    let answer = Answer { approved: true, message: None };
    let other = ask(&json!(7), &other, &KINDS).to_string();
    assert_eq!(Acp.answer(asked, other.as_bytes(), &answer), None);
    let id = ask(&json!(8), &call, &KINDS).to_string();
    assert_eq!(Acp.answer(asked, id.as_bytes(), &answer), None);
}

#[test]
fn what_can_only_be_allowed_for_good_says_so_and_what_cannot_be_denied_is_cancelled() {
    let call = json!({"toolCallId": "c", "kind": "execute", "title": "ls"});
    let outcome = |kinds: &[&str], approved| {
        let mut talk = prompting(&spec());
        let line = ask(&json!(0), &call, kinds);
        let view = talk.hears(std::slice::from_ref(&line)).clone();
        let bytes = line.to_string();
        let answer = Answer { approved, message: None };
        let answer = Acp.answer(&view.asks[0], bytes.as_bytes(), &answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        (answer["result"]["outcome"].clone(), view.asks[0].summary.clone())
    };
    let (chosen, summary) = outcome(&["allow_always", "reject_always"], true);
    assert_eq!(chosen, json!({"outcome": "selected", "optionId": "o-allow_always"}));
    assert_eq!(summary, "ls\nIt can only be allowed for good.");
    let (chosen, _) = outcome(&["allow_always", "reject_always"], false);
    assert_eq!(chosen, json!({"outcome": "selected", "optionId": "o-reject_always"}));
    let (chosen, _) = outcome(&["allow_once"], false);
    assert_eq!(chosen, json!({"outcome": "cancelled"}));
}

#[test]
fn requests_are_withdrawn_by_the_agent_by_the_end_of_their_call_and_of_the_turn() {
    let call = |id: &str| json!({"toolCallId": id, "kind": "execute", "title": id});
    let mut talk = prompting(&spec());
    let asks = ["a", "b", "c"].map(|id| ask(&json!(id), &call(id), &KINDS));
    talk.hears(&asks);
    let open =
        |view: &View| view.asks.iter().map(|asked| asked.agent_id.clone()).collect::<Vec<_>>();
    let cancel = json!({"method": "$/cancel_request", "params": {"requestId": "a"}});
    assert_eq!(open(talk.hears(&[cancel])), ["\"b\"", "\"c\""]);
    let over = update(&json!({
        "sessionUpdate": "tool_call_update", "toolCallId": "b", "status": "failed",
    }));
    assert_eq!(open(talk.hears(&[over])), ["\"c\""]);
    assert_eq!(open(talk.hears(&[ended("prompt", "end_turn")])), Vec::<String>::new());
}

#[test]
fn an_interruption_cancels_the_turn_and_everything_that_is_asked() {
    let mut talk = Talk::new(&spec());
    assert_eq!(Acp.interruption(talk.listener.view()), None, "there is no session yet");
    talk.hears(&[greeted(&json!({})), opened()]);
    let call = json!({"toolCallId": "c", "kind": "execute", "title": "ls"});
    talk.hears(&[ask(&json!(0), &call, &KINDS), ask(&json!("x"), &call, &KINDS)]);
    let bytes = Acp.interruption(talk.listener.view()).unwrap();
    let lines: Vec<Value> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(lines[0]["method"], "session/cancel");
    assert_eq!(lines[0]["params"]["sessionId"], "s");
    let cancelled = json!({"outcome": {"outcome": "cancelled"}});
    assert_eq!((&lines[1]["id"], &lines[1]["result"]), (&json!(0), &cancelled));
    assert_eq!((&lines[2]["id"], &lines[2]["result"]), (&json!("x"), &cancelled));
    assert_eq!(lines.len(), 3);
}

#[test]
fn what_is_not_offered_is_refused_and_what_is_too_much_is_cancelled() {
    let mut talk = prompting(&spec());
    talk.hears(&[json!({"id": 5, "method": "fs/read_text_file", "params": {"path": "/etc"}})]);
    let owed = talk.owed();
    assert_eq!((&owed[0]["id"], &owed[0]["error"]["code"]), (&json!(5), &json!(-32_601)));
    talk.hears(&[json!({"id": 6, "method": "session/request_permission", "params": {}})]);
    assert_eq!(talk.owed()[1]["error"]["code"], -32_602);

    let call = json!({"toolCallId": "c", "kind": "execute", "title": "ls"});
    for id in 0..=REQUESTS_OPEN_MAX {
        talk.hear(&ask(&json!(100 + id), &call, &KINDS));
    }
    assert_eq!(talk.listener.view().asks.len(), REQUESTS_OPEN_MAX);
    let owed = talk.owed();
    assert_eq!(owed[2]["id"], json!(100 + REQUESTS_OPEN_MAX));
    assert_eq!(owed[2]["result"]["outcome"]["outcome"], "cancelled");
}

#[test]
fn a_tool_is_told_once_however_it_is_reported() {
    let mut talk = prompting(&spec());
    let tool = |kind: &str, more: &Value| {
        let mut it = json!({"sessionUpdate": kind, "toolCallId": "c"});
        it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        update(&it)
    };
    talk.hears(&[
        tool("tool_call", &json!({"status": "pending", "kind": "read", "rawInput": {}})),
        tool("tool_call_update", &json!({"status": "in_progress", "rawInput": {"path": "a"}})),
        tool("tool_call_update", &json!({"status": "in_progress", "rawInput": {"path": "a"}})),
        tool(
            "tool_call_update",
            &json!({"status": "failed", "content": [
            {"type": "content", "content": {"type": "text", "text": "no such file"}}]}),
        ),
    ]);
    let told: Vec<_> =
        talk.items.iter().map(|item| (item.text.as_str(), item.is_error, item.part)).collect();
    assert_eq!(told, [("{\"path\":\"a\"}", false, 0), ("no such file", true, 0)]);
    assert_eq!(talk.items[0].tool.as_deref(), Some("read"));

    talk.items.clear();
    talk.hears(&[tool("tool_call", &json!({"status": "completed", "rawOutput": {"output": "x"}}))]);
    let told: Vec<_> = talk.items.iter().map(|item| (item.text.as_str(), item.part)).collect();
    assert_eq!(told, [("{\"title\":\"\"}", 0), ("x", 1)]);
}

fn order(arguments: &[&str]) -> Order {
    Order {
        session: SessionId::from_uuid("01a20211-a25b-7983-940a-15b8b5ed09c6".parse().unwrap()),
        prompt: "do the thing".to_owned(),
        cwd: facts::folder(),
        model: None,
        permission_mode: None,
        max_turns: None,
        is_interactive: false,
        asks: true,
        resume: None,
        arguments: arguments.iter().map(|text| ByteString::try_from(*text).unwrap()).collect(),
        environment_names: Vec::new(),
    }
}

#[test]
fn the_order_names_the_program_and_how_it_speaks() {
    let order = order(&["gemini", "--acp"]);
    assert_eq!(Acp.program_of(&order).unwrap().to_text(), "gemini");
    let plan = Acp.plan(&order, Path::new("/opt/gemini")).unwrap();
    let command: Vec<_> = plan.command.iter().map(|argument| argument.to_text()).collect();
    assert_eq!(command, ["/opt/gemini", "--acp"]);
    assert!(plan.always_reports && plan.graces.ask_ms.is_some());
}

#[test]
fn an_order_that_cannot_be_carried_out_gets_a_sentence() {
    let good = order(&["gemini", "--acp"]);
    let resume = |id: &str| Some(Resume { agent_session: id.to_owned(), forks: false });
    let cwd = ByteString::new(b"/srv/\xff".to_vec()).unwrap();
    let orders = [
        (order(&[]), "behind `--`"),
        (order(&["--acp"]), "behind `--`"),
        (order(&[""]), "behind `--`"),
        (Order { max_turns: Some(1), ..good.clone() }, "leave out --max-turns"),
        (Order { prompt: String::new(), ..good.clone() }, "empty"),
        (Order { model: Some("a b".to_owned()), ..good.clone() }, "the model"),
        (Order { permission_mode: Some("-y".to_owned()), ..good.clone() }, "the permission mode"),
        (Order { resume: resume("a b"), ..good.clone() }, "the agent's session"),
        (Order { cwd, ..good }, "UTF-8"),
    ];
    for (order, part) in orders {
        let PlanError(sentence) = Acp.plan(&order, Path::new("/opt/gemini")).unwrap_err();
        assert!(sentence.contains(part), "{sentence}");
    }
}

/// Something like a message: JSON of any form with the words that mean something, or anything at all.
fn message() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "id",
        "method",
        "params",
        "result",
        "error",
        "session/update",
        "session/request_permission",
        "update",
        "sessionUpdate",
        "agent_message_chunk",
        "tool_call",
        "tool_call_update",
        "content",
        "toolCall",
        "toolCallId",
        "options",
        "optionId",
        "kind",
        "status",
        "completed",
        "initialize",
        "session",
        "prompt",
        "sessionId",
        "stopReason",
        "end_turn",
        "text",
        "type",
        "plan",
        "entries",
        "protocolVersion",
        "code",
        "message",
        "requestId",
        "$/cancel_request",
        "modes",
        "rawInput",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop_oneof![
        3 => value.prop_map(|value| value.to_string()),
        1 => Just(greeted(&json!({})).to_string()),
        1 => Just(opened().to_string()),
        1 => Just(says("a").to_string()),
        1 => Just(ended("prompt", "end_turn").to_string()),
        1 => Just(ask(&json!(0), &json!({"toolCallId": "c"}), &KINDS).to_string()),
        1 => ".{0,20}",
    ]
}

proptest! {
    /// Nothing that is said panics, and what is owed by one key is always the same.
    #[test]
    fn whatever_is_said_is_read_twice_alike(
        messages in prop::collection::vec(message(), 0..16), is_interactive: bool,
    ) {
        let spec = AgentSpec { is_interactive, ..spec() };
        let mut read = Vec::new();
        for _ in 0..2 {
            let mut listener = facts::listener(&Acp, &spec);
            let (mut known, mut items) = (BTreeMap::new(), Vec::new());
            for message in &messages {
                listener.take(format!("{message}\n").as_bytes(), &mut items);
                note(&listener.owed(), &mut known, 0, &mut String::new());
                prop_assert!(listener.view().asks.len() <= REQUESTS_OPEN_MAX);
                let _ = Acp.interruption(listener.view());
            }
            listener.end("", &mut items);
            prop_assert!(listener.view().asks.is_empty());
            read.push((listener.view().clone(), items, known));
        }
        prop_assert_eq!(&read[0], &read[1]);
    }
}
