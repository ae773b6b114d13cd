//! What an agent says: shown, followed, found, removed with its session, and read again when its
//! database is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::wire::ask;
use crate::support::{Place, Said};

/// An agent that says what stands in `lines`, waits for what stands in `go`, if that is there, and
/// says what stands in `more`.
const AGENT: &str = r#"#!/bin/sh
case "$*" in *--version*) echo '2.1.197 (Claude Code)'; exit 0 ;; esac
cd "$(dirname "$0")" || exit
read -r prompt
cat lines
if test -p go; then cat go; cat more; fi
echo 'a warning' >&2
cat > /dev/null
"#;

/// One line of the agent's.
fn says(content: &Value) -> String {
    let message = json!({ "id": "m", "role": "assistant", "model": "m1", "content": [content] });
    let line = json!({ "type": "assistant", "message": message, "parent_tool_use_id": null,
        "session_id": "s" });
    format!("{line}\n")
}

fn text(text: &str) -> String {
    says(&json!({ "type": "text", "text": text }))
}

/// A place where `candor claude` runs the agent.
struct Stage {
    place: Place,
}

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        let folder = place.path("agent");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("claude");
        fs::write(&program, AGENT).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        place.configure(&format!("[agents]\nclaude = {program:?}\n"));
        Self { place }
    }

    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.place.path("agent").join(name), lines.concat()).unwrap();
    }

    /// Runs it to its end, and returns the id of its session.
    fn run(&self, prompt: &str) -> String {
        let id = self.launch(prompt);
        self.place.run(["wait", &id]).expect(0);
        id
    }

    fn launch(&self, prompt: &str) -> String {
        self.place.run(["claude", "-d", prompt]).expect(0).stdout().trim().to_owned()
    }

    fn search(&self, words: &str) -> Vec<Value> {
        let said = self.place.run(["search", "--json", words]).expect(0);
        said.json()["hits"].as_array().unwrap().clone()
    }

    fn messages(&self, id: &str, parameters: &str) -> Value {
        let path = format!("/v1/sessions/{id}/messages?{parameters}");
        ask(&self.place.home(), "GET", &path, b"").json()
    }
}

fn beginning() -> String {
    let init = json!({ "type": "system", "subtype": "init", "session_id": "s", "model": "m1",
        "claude_code_version": "2.1.197", "cwd": "/", "tools": [] });
    format!("{init}\n")
}

fn ending() -> String {
    let usage = json!({ "input_tokens": 12, "cache_read_input_tokens": 0, "output_tokens": 34 });
    let result = json!({ "type": "result", "subtype": "success", "is_error": false,
        "num_turns": 1, "result": "It is done.", "session_id": "s",
        "total_cost_usd": 0.25, "usage": usage });
    format!("{result}\n")
}

/// A whole turn with a call.
fn turn() -> Vec<String> {
    let call = json!({ "type": "tool_use", "id": "t1", "name": "Bash",
        "input": { "command": "ls -a", "timeout": 5 } });
    let result = json!({ "type": "tool_result", "tool_use_id": "t1",
        "content": "kangaroo.txt\nplain\u{1b}[31mred" });
    let user = json!({ "type": "user", "session_id": "s", "parent_tool_use_id": null,
        "message": { "role": "user", "content": [result] } });
    let all = [beginning(), text("I shall look."), says(&call), format!("{user}\n")];
    [&all[..], &[text("It is done."), ending()]].concat()
}

#[test]
fn an_agents_session_is_shown_as_a_conversation_and_raw_as_its_lines() {
    let stage = Stage::new();
    stage.write("lines", &turn());
    let id = stage.run("Which files are there?");
    let said = stage.place.run(["logs", &id]).expect(0);
    let shown = said.stdout();
    let mut rest = shown;
    for part in [
        "user:\nWhich files are there?\n",
        "assistant:\nI shall look.\n",
        "→ Bash ls -a\n",
        "  kangaroo.txt\n  plain\u{fffd}[31mred\n",
        "assistant:\nIt is done.\n",
        "12 tokens in, 34 out, $0.2500",
    ] {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} in {shown}"));
        rest = after;
    }
    assert_eq!(said.stderr(), "a warning\n");
    let raw = stage.place.run(["logs", "--raw", &id]).expect(0);
    assert_eq!(raw.stdout(), turn().concat());
    // In front it is shown as it comes, and a command's output stays what it is.
    let in_front: Said = stage.place.run(["claude", "Which files are there?"]).expect(0);
    assert_eq!(in_front.stdout(), shown);
    let command = stage.place.launch(["echo", "plain"]);
    stage.place.run(["wait", &command]).expect(0);
    assert_eq!(stage.place.run(["logs", &command]).expect(0).stdout(), "plain\n");
}

#[test]
fn a_conversation_is_followed_to_its_end_through_a_restart_of_the_daemon() {
    let stage = Stage::new();
    let go = stage.place.path("agent/go");
    stage.write("lines", &[beginning(), text("past")]);
    stage.write("more", &[text("future"), ending()]);
    let made = stage.place.fifo("agent/go");
    assert_eq!(made, go);
    let id = stage.launch("go on");
    let mut following = stage.place.start(["logs", "-f", &id]);
    while following.line() != "past" {}
    stage.place.kill_daemon();
    fs::write(go, "").unwrap();
    let rest = following.finish().expect(0);
    assert_eq!(rest.stdout().matches("future").count(), 1, "{}", rest.stdout());
    assert!(!rest.stdout().contains("past"), "{}", rest.stdout());
    assert_eq!(stage.place.end_of(&id)["outcome"], "succeeded");
}

#[test]
fn messages_are_read_a_page_at_a_time_or_as_lines() {
    let stage = Stage::new();
    stage.write("lines", &turn());
    let id = stage.run("Which files are there?");
    // It waits for the last of them, and so whatever is asked then finds all of it.
    let path = format!("/v1/sessions/{id}/messages?follow=true");
    let reply = ask(&stage.place.home(), "GET", &path, b"");
    // What is not an object is how the answer is cut into pieces.
    let body = String::from_utf8(reply.body).unwrap();
    let lines: Vec<Value> = body
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "text", "tool_call", "tool_result", "text", "turn_end"]);
    let first = stage.messages(&id, "limit=4");
    assert_eq!((&first["next"], &first["at_end"]), (&json!(4), &json!(false)));
    assert_eq!(first["items"].as_array().unwrap()[..], lines[..4]);
    let second = stage.messages(&id, "limit=4&after=4");
    assert_eq!((&second["next"], &second["at_end"]), (&json!(6), &json!(true)));
    assert_eq!(second["items"].as_array().unwrap()[..], lines[4..]);
    assert_eq!(stage.messages(&id, "last=1")["items"][0], lines[5]);
    let (call, end) = (&lines[2], &lines[5]);
    assert_eq!(
        (&call["tool"], &call["call"], &call["role"]),
        (&json!("Bash"), &json!("t1"), &json!("assistant"))
    );
    assert_eq!(end["usage"]["output_tokens"], 34);
    let usage = ask(&stage.place.home(), "GET", &format!("/v1/sessions/{id}/usage"), b"").json();
    assert_eq!((&usage["turns"], &usage["cost_usd"]), (&json!(1), &json!(0.25)));

    let home = stage.place.home();
    let wrong = |parameters: &str| {
        let path = format!("/v1/sessions/{id}/messages?{parameters}");
        ask(&home, "GET", &path, b"").assert_problem(400, "bad_request")
    };
    assert!(wrong("limit=0").contains("from 1 to 1000"));
    wrong("last=5&follow=true");
    wrong("after=x");
    ask(&home, "GET", "/v1/sessions/nobody/messages", b"").assert_problem(404, "not_found");
}

#[test]
fn what_was_said_is_found_until_its_session_is_removed() {
    let stage = Stage::new();
    stage.write("lines", &turn());
    let (one, other) = (stage.run("Find the kangaroo"), stage.run("Find something else"));
    // To show it waits for the last of it.
    stage.place.run(["logs", &one]).expect(0);
    stage.place.run(["logs", &other]).expect(0);
    let hits = stage.search("kanga");
    assert_eq!(hits.len(), 3);
    let prompt = &stage.search("\"find the kangaroo\"")[0];
    assert_eq!((&prompt["session"], &prompt["role"]), (&json!(one), &json!("user")));
    let text = stage.place.run(["search", "--session", &one, "kangaroo.txt"]).expect(0);
    assert!(
        text.stdout().contains("tool") && text.stdout().contains("kangaroo.txt"),
        "{}",
        text.stdout()
    );
    stage.place.run(["search", "platypus"]).expect(0).because(&["nothing", "these words"]);
    for nonsense in ["!!", "-- -x", "\"\""] {
        stage.place.run(["search", "--", nonsense]).expect(125).because(&["at least one"]);
    }
    stage.place.run(["search", "--limit", "0", "x"]).expect(2);

    stage.place.run(["rm", &one]).expect(0);
    let hits = stage.search("kangaroo");
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(hits[0]["session"], json!(other));
    let path = format!("/v1/sessions/{one}/messages");
    ask(&stage.place.home(), "GET", &path, b"").assert_problem(410, "removed");
    stage.place.run(["prune", "--older", "0s"]).expect(0);
    assert!(stage.search("kangaroo").is_empty());
}

#[test]
fn a_database_that_is_gone_or_damaged_is_made_again_from_the_outputs() {
    let stage = Stage::new();
    stage.write("lines", &turn());
    let id = stage.run("Which files are there?");
    let before = stage.place.run(["logs", &id]).expect(0);
    let database = stage.place.home().join("conversations.db");
    for damage in ["damaged", "gone"] {
        stage.place.run(["daemon", "stop"]).expect(0);
        match damage {
            "gone" => fs::remove_file(&database).unwrap(),
            _ => fs::write(&database, "this is no database").unwrap(),
        }
        if damage == "damaged" {
            let said = stage.place.run(["doctor"]).expect(4);
            let found = "warning  conversations: the conversations are of no use";
            assert!(said.stdout().contains(found), "{said:?}");
        }
        stage.place.run(["daemon", "start"]).expect(0);
        let after = stage.place.run(["logs", &id]).expect(0);
        assert_eq!(after.stdout(), before.stdout(), "{damage}");
        assert_eq!(stage.search("kangaroo").len(), 1, "{damage}");
    }
    let days = stage.place.names_in("set-aside");
    let aside = stage.place.home().join("set-aside").join(&days[0]).join("conversations.db");
    assert_eq!(fs::read_to_string(aside).unwrap(), "this is no database");
    stage.place.run(["daemon", "stop"]).expect(0);
    stage.place.run(["doctor"]).expect(0);
}
