//! What Claude Code asks, and what it is told.

use candor_adapters::agents::{Agent as _, Answer, Claude, Listener, PROMPT_BYTES_MAX};
use candor_core::agent::{Asked, REQUESTS_OPEN_MAX, View};
use serde_json::{Value, json};

use crate::facts;

fn listener() -> Listener {
    facts::listener(&Claude, &facts::spec("claude"))
}

fn take(listener: &mut Listener, lines: &[Value]) {
    for line in lines {
        listener.take(format!("{line}\n").as_bytes(), &mut Vec::new());
    }
}

/// Makes the line that asks for a tool.
fn asks(id: &str, tool: &str, input: &Value) -> Value {
    json!({"type": "control_request", "request_id": id, "request": {
        "subtype": "can_use_tool", "tool_name": tool, "input": input,
        "tool_use_id": format!("call-{id}"), "description": "what the model calls it",
    }})
}

fn asked(tool: &str, input: &Value) -> Asked {
    let mut listener = listener();
    take(&mut listener, &[asks("r", tool, input)]);
    let [asked] = listener.view().asks.as_slice() else { panic!("{:?}", listener.view().asks) };
    asked.clone()
}

fn answer(approved: bool, message: Option<&str>) -> Answer {
    Answer { approved, message: message.map(str::to_owned) }
}

fn json_line(bytes: &[u8]) -> Value {
    assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert_eq!(bytes.last(), Some(&b'\n'));
    serde_json::from_slice(bytes).unwrap()
}

fn told(line: &Value, asked: &Asked, answer: &Answer) -> Option<Value> {
    let bytes = Claude.answer(asked, line.to_string().as_bytes(), answer)?;
    Some(json_line(&bytes))
}

#[test]
fn a_command_and_the_files_of_an_edit_are_told_apart() {
    let command = asked("Bash", &json!({"command": "rm -r x", "description": "tidies up"}));
    assert_eq!(
        (command.command.as_deref(), command.summary.as_str()),
        (Some("rm -r x"), "rm -r x")
    );
    assert!(command.paths.is_empty());

    for (tool, key) in [
        ("Edit", "file_path"),
        ("Write", "file_path"),
        ("MultiEdit", "file_path"),
        ("NotebookEdit", "notebook_path"),
    ] {
        // A file's content may call itself a command, and is none.
        let edit = asked(tool, &json!({key: "/srv/a", "command": "x"}));
        assert_eq!(edit.paths, ["/srv/a"], "{tool}");
        assert_eq!((edit.command, edit.summary.as_str()), (None, "/srv/a"), "{tool}");
    }

    let read = asked("Read", &json!({"file_path": "/srv/a"}));
    assert_eq!((read.command, read.paths.len()), (None, 0));

    let other = asked("mcp__x__y", &json!({"b": 1, "a": "z"}));
    assert_eq!(other.summary, "{\"a\":\"z\",\"b\":1} (what the model calls it)");

    let question = json!({"questions": [
        {"question": "Which?", "options": [{"label": "one"}, {"label": "two"}]},
    ]});
    assert_eq!(asked("AskUserQuestion", &question).summary, "Which? (one, two)");
}

#[test]
fn what_is_too_long_to_be_looked_at_whole_is_left_to_the_user() {
    let long = "x".repeat(1 << 20);
    let command = asked("Bash", &json!({"command": long}));
    assert_eq!(command.command, None);
    assert!(command.summary.len() <= candor_core::agent::SUMMARY_BYTES_MAX);
    assert!(asked("Write", &json!({"file_path": long})).paths.is_empty());
}

#[test]
fn a_digest_is_of_the_tool_and_all_of_its_input() {
    let one = asked("Bash", &json!({"command": "ls", "timeout": 1}));
    assert_eq!(one.digest, asked("Bash", &json!({"timeout": 1, "command": "ls"})).digest);
    assert_ne!(one.digest, asked("Bash", &json!({"command": "ls", "timeout": 2})).digest);
    assert_ne!(one.digest, asked("Shell", &json!({"command": "ls", "timeout": 1})).digest);
}

#[test]
fn what_is_allowed_goes_back_as_it_came() {
    // A number that no f64 holds, an escape, an order of keys.
    let line = r#"{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"z":12345678901234567890123,"command":"\u0041"}}}"#;
    let mut listener = listener();
    listener.take(line.as_bytes(), &mut Vec::new());
    listener.take(b"\n", &mut Vec::new());
    let asked = &listener.view().asks[0];
    assert_eq!((asked.offset, asked.length), (0, line.len() as u64));
    let bytes = Claude.answer(asked, line.as_bytes(), &answer(true, None)).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(
        text,
        "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"r\",\
         \"response\":{\"behavior\":\"allow\",\"updatedInput\":{\"z\":12345678901234567890123,\
         \"command\":\"\\u0041\"}}}}\n"
    );
}

#[test]
fn what_is_denied_is_told_why() {
    let line = asks("r", "Bash", &json!({"command": "ls"}));
    let asked = asked("Bash", &json!({"command": "ls"}));
    let denied = told(&line, &asked, &answer(false, Some("not\nnow"))).unwrap();
    assert_eq!(denied["response"]["response"], json!({"behavior": "deny", "message": "not\nnow"}));
    let denied = told(&line, &asked, &answer(false, None)).unwrap();
    assert_eq!(denied["response"]["response"]["message"], json!("The user does not allow this."));
}

#[test]
fn a_question_is_answered_with_the_message() {
    let input = json!({"questions": [{"question": "Which?"}, {"question": "When?"}]});
    let asked = asked("AskUserQuestion", &input);
    let line = asks("r", "AskUserQuestion", &input);
    let told = told(&line, &asked, &answer(true, Some("the first"))).unwrap();
    assert_eq!(
        told["response"]["response"]["updatedInput"],
        json!({
            "questions": [{"question": "Which?"}, {"question": "When?"}],
            "answers": {"Which?": "the first", "When?": "the first"},
        })
    );
}

#[test]
fn another_line_than_the_one_that_asked_gets_no_answer() {
    let asked = asked("Bash", &json!({"command": "ls"}));
    let others = [
        asks("r", "Bash", &json!({"command": "rm -r /"})),
        asks("s", "Bash", &json!({"command": "ls"})),
        asks("r", "Edit", &json!({"command": "ls"})),
        json!({"type": "assistant"}),
        json!(null),
    ];
    for other in others {
        assert_eq!(told(&other, &asked, &answer(true, None)), None, "{other}");
    }
    assert_eq!(Claude.answer(&asked, b"{\"torn", &answer(true, None)), None);
}

#[test]
fn a_request_is_closed_by_its_result_a_cancellation_or_the_end_of_the_turn() {
    let mut listener = listener();
    let input = json!({"command": "ls"});
    let ids = |listener: &Listener| -> Vec<String> {
        listener.view().asks.iter().map(|asked| asked.agent_id.clone()).collect()
    };
    take(&mut listener, &["a", "b", "c", "d"].map(|id| asks(id, "Bash", &input)));
    assert_eq!(ids(&listener), ["a", "b", "c", "d"]);
    let result = json!({"type": "user", "message": {"content": [
        {"type": "tool_result", "tool_use_id": "call-b", "content": "x"},
    ]}});
    take(&mut listener, &[result]);
    assert_eq!(ids(&listener), ["a", "c", "d"]);
    take(&mut listener, &[json!({"type": "control_cancel_request", "request_id": "a"})]);
    assert_eq!(ids(&listener), ["c", "d"]);
    let task = json!({"type": "system", "subtype": "task_started", "task_id": "t"});
    let result = json!({"type": "result", "subtype": "success", "is_error": false});
    // A sub-agent in the background goes on asking.
    take(&mut listener, &[task, result.clone()]);
    assert_eq!(ids(&listener), ["c", "d"]);
    let over = json!({"type": "system", "subtype": "task_updated", "task_id": "t",
        "patch": {"status": "completed"}});
    take(&mut listener, &[over, result]);
    assert!(ids(&listener).is_empty());
}

#[test]
fn what_is_asked_beyond_the_limit_is_denied_and_what_nobody_knows_is_refused() {
    let mut listener = listener();
    let input = json!({"command": "ls"});
    for number in 0..REQUESTS_OPEN_MAX {
        take(&mut listener, &[asks(&number.to_string(), "Bash", &input)]);
    }
    let owed_before = listener.owed().len();
    take(
        &mut listener,
        &[
            asks("one too many", "Bash", &input),
            json!({"type": "control_request", "request_id": "h", "request": {"subtype": "hook_callback"}}),
        ],
    );
    assert_eq!(listener.view().asks.len(), REQUESTS_OPEN_MAX);
    let owed = listener.owed();
    assert_eq!(owed.len(), owed_before + 2);
    let [.., denied, refused] = owed.as_slice() else { panic!("{owed:?}") };
    let (key, other) = (denied.key, refused.key);
    assert!(key != other && !denied.is_last && !refused.is_last);
    let denied = json_line(&denied.bytes);
    assert_eq!(denied["response"]["request_id"], "one too many");
    assert_eq!(denied["response"]["response"]["behavior"], "deny");
    let refused = json_line(&refused.bytes);
    assert_eq!(refused["response"]["request_id"], "h");
    assert_eq!(refused["response"]["subtype"], "error");
    assert_eq!(listener.view().learned.lines_unknown, 1);
    // With the turn, both are history.
    take(&mut listener, &[json!({"type": "result", "subtype": "success"})]);
    assert!(listener.owed().iter().all(|owed| owed.is_last), "{:?}", listener.owed());
}

#[test]
fn a_message_is_one_line_whatever_is_in_it() {
    let long = "\u{2028}\n\"\\\0é".repeat(PROMPT_BYTES_MAX / 16);
    for text in ["--help", "", "a\nb\r\n", &long] {
        let line = json_line(&Claude.message(&View::default(), text).unwrap());
        assert_eq!(line["message"]["content"][0]["text"], text);
        assert_eq!((&line["type"], &line["message"]["role"]), (&json!("user"), &json!("user")));
    }
}

#[test]
fn it_is_asked_to_break_off_in_its_own_words() {
    let line = json_line(&Claude.interruption(&View::default()).unwrap());
    assert_eq!(line["type"], "control_request");
    assert_eq!(line["request"]["subtype"], "interrupt");
}
