//! What is asked, and what is answered.

use candor_adapters::agents::{Acp, Agent as _, Answer};
use candor_core::agent::{REQUESTS_OPEN_MAX, Turn, View};
use serde_json::{Value, json};

use super::{KINDS, Talk, ask, ended, greeted, opened, prompting, spec, update};

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
