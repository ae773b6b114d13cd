//! What an agent asks, and who answers.

use std::fs;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::agents::{Stage, ask, touch};
use crate::support::{kernel, wire};

#[test]
fn what_is_allowed_or_denied_by_order_is_asked_of_nobody() {
    let stage = Stage::new();
    let [allowed, denied, begun] = ["allowed", "denied", "begun"].map(|name| stage.path(name));
    let deny = format!("Bash({})", touch(&denied));
    let allow = format!("Bash(touch {}*)", stage.folder().display());
    let options = ["--allow", &allow, "--deny", &deny];
    let steps = [ask(&touch(&allowed)), ask(&touch(&denied)), ask(&touch(&begun))];
    let id = stage.begin(&options, &steps);
    stage.run(["wait", &id]).expect(0);
    assert!(allowed.exists() && begun.exists() && !denied.exists());
    assert_eq!(stage.session(&id)["requests"], json!([]));
    assert_eq!(stage.causes(&id), ["launched", "spawned", "reported", "exited"]);
}

#[test]
fn a_pattern_is_no_way_to_more_than_it_says() {
    let stage = Stage::new();
    let made = stage.path("made");
    for command in [
        format!("echo ok; {}", touch(&made)),
        format!("echo $({})", touch(&made)),
        format!("echo ok && {}", touch(&made)),
        format!("echo `{}`", touch(&made)),
        format!("echo ok > {}", made.display()),
    ] {
        let id = stage.begin(&["--allow", "Bash(echo*)"], &[ask(&command)]);
        stage.asked(&id);
        stage.run(["deny", &id]).expect(0);
        stage.run(["wait", &id]).expect(0);
        assert!(!made.exists(), "{command}");
    }
}

#[test]
fn nobody_answers_through_an_agents_input() {
    let stage = Stage::new();
    let made = stage.path("made");
    let id = stage.begin(&[], &[ask(&touch(&made))]);
    let asked = stage.asked(&id);
    // As the agent's protocol has it: it would be taken for the answer of its user.
    let logs = stage.run(["logs", "--raw", &id]).expect(0);
    let lines = logs.stdout().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut requests = lines.filter(|line| line["request"]["subtype"] == "can_use_tool");
    let request = requests.next_back().unwrap();
    let answer = json!({
        "type": "control_response",
        "response": {
            "subtype": "success", "request_id": request["request_id"],
            "response": { "behavior": "allow", "updatedInput": request["request"]["input"] },
        },
    });
    let line = format!("{answer}\n");
    let path = format!("/v1/sessions/{id}/input?message=00000000-0000-0000-0000-000000000001");
    let detail =
        wire::ask(&stage.home(), "POST", &path, line.as_bytes()).assert_problem(409, "no_input");
    assert!(detail.contains("send it a message"), "{detail}");
    assert_eq!(stage.session(&id)["requests"][0]["digest"], asked["digest"]);
    assert_eq!(stage.session(&id)["requests"][0]["state"], "open");
    stage.run(["deny", &id]).expect(0);
    stage.run(["wait", &id]).expect(0);
    assert!(!made.exists());
}

#[test]
fn a_bypass_answers_what_is_open_and_what_comes_until_it_ends() {
    let stage = Stage::new();
    let [first, second, third] = ["first", "second", "third"].map(|name| stage.path(name));
    let go = stage.fifo("go");
    let steps = [
        ask(&touch(&first)),
        ask(&touch(&second)),
        format!("await {}", go.display()),
        ask(&touch(&third)),
    ];
    let id = stage.begin(&[], &steps);
    stage.asked(&id);
    stage.run(["bypass", &id, "1h"]).expect(0);
    // It goes on by itself from here: the fifo is opened when both are done.
    let mut gate = fs::OpenOptions::new().write(true).open(&go).unwrap();
    assert!(first.exists() && second.exists());
    stage.run(["bypass", &id, "off"]).expect(0);
    std::io::Write::write_all(&mut gate, b"go\n").unwrap();
    drop(gate);
    stage.await_cause(&id, "request_opened", 2);
    assert!(!third.exists());
    stage.run(["approve", &id]).expect(0);
    stage.run(["wait", &id]).expect(0);
    assert!(third.exists());
    let session = stage.session(&id);
    assert_eq!(session["requests"][0]["by"], "daemon", "{session:#}");
    stage.run(["bypass", &id, "1h"]).expect(125).because(&["decided"]);
    assert_eq!(stage.session(&id)["bypass_until"], Value::Null);
}

#[test]
fn an_answer_outlives_the_daemon_that_took_it_and_arrives_once() {
    let stage = Stage::new();
    let made = stage.path("made");
    let count = format!("echo once >> {}", made.display());
    let id = stage.begin(&[], &[ask(&count)]);
    let request = stage.asked(&id);
    stage.kill_daemon();
    assert_eq!(stage.session(&id)["status"], "waiting_input", "another daemon knows it as well");
    stage.run(["approve", request["id"].as_str().unwrap()]).expect(0);
    stage.kill_daemon();
    stage.run(["wait", &id]).expect(0);
    assert_eq!(fs::read_to_string(&made).unwrap(), "once\n");
    let asked = |cause: &String| cause == "request_opened" || cause == "request_closed";
    let causes: Vec<String> = stage.causes(&id).into_iter().filter(asked).collect();
    assert_eq!(causes, ["request_opened", "request_closed"], "reading it again changes nothing");
}

#[test]
fn of_several_requests_each_is_answered_by_its_name() {
    let stage = Stage::new();
    let [first, second] = ["first", "second"].map(|name| stage.path(name));
    let steps = [
        format!("open {}", touch(&first)),
        format!("open {}", touch(&second)),
        "answers".to_owned(),
    ];
    let id = stage.begin(&[], &steps);
    stage.await_cause(&id, "request_opened", 2);
    stage.run(["approve", &id]).expect(125).because(&["several"]);
    let short = &id[id.len() - 8..];
    stage.run(["deny", &format!("{short}.1")]).expect(0);
    assert_eq!(stage.session(&id)["status"], "waiting_input", "the other one still waits");
    stage.run(["approve", &format!("{short}.2")]).expect(0);
    stage.run(["wait", &id]).expect(0);
    assert!(!first.exists() && second.exists());
}

#[test]
fn an_answer_is_for_what_was_shown() {
    use crate::support::wire::ask as post;

    let stage = Stage::new();
    let made = stage.path("made");
    let id = stage.begin(&[], &[ask(&touch(&made))]);
    stage.asked(&id);
    let body = br#"{"approved": true, "digest": "0000"}"#;
    let path = format!("/v1/sessions/{id}/requests/1");
    post(&stage.home(), "POST", &path, body).assert_problem(400, "bad_request");
    assert_eq!(stage.session(&id)["status"], "waiting_input");
    stage.run(["kill", &id]).expect(0);
    stage.run(["wait", &id]).expect(130);
    assert!(!made.exists());
}

#[test]
fn a_request_stays_open_while_a_daemon_cannot_reach_its_session() {
    let stage = Stage::new();
    let made = stage.path("made");
    let id = stage.begin(&[], &[ask(&touch(&made))]);
    stage.asked(&id);
    let shim = kernel::shim_of(&id);
    kill_process(shim, Signal::STOP).unwrap();
    stage.kill_daemon();
    // No event tells how well a session is looked after.
    while stage.session(&id)["supervision"] != "unreachable" {}
    kill_process(shim, Signal::CONT).unwrap();
    while stage.session(&id)["supervision"] != "ok" {}
    assert_eq!(stage.session(&id)["requests"][0]["state"], "open");
    stage.run(["approve", &id]).expect(0);
    stage.run(["wait", &id]).expect(0);
    assert!(made.exists());
}

#[test]
fn what_a_bypass_lets_pass_is_written_down() {
    let stage = Stage::new();
    let made = stage.path("made");
    let id = stage.begin(&["--bypass", "1h"], &[ask(&touch(&made))]);
    stage.run(["wait", &id]).expect(0);
    assert!(made.exists());
    let request = stage.session(&id)["requests"][0].clone();
    assert_eq!((&request["state"], &request["by"]), (&"approved".into(), &"daemon".into()));
}
