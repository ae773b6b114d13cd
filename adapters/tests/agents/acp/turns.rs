//! The way to a turn, and its end.

use candor_adapters::agents::{Acp, Agent as _};
use candor_core::agent::{AgentSpec, Turn};
use serde_json::{Value, json};

use super::{Talk, ended, greeted, opened, prompting, says, spec, update};

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
