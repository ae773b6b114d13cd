//! Going on with what an agent has begun.

use std::fs;

use crate::agents::{Stage, tool};
use crate::support::{Running, words};

fn hang() -> [String; 1] {
    ["hang".to_owned()]
}

#[test]
fn a_live_session_is_superseded_whatever_becomes_of_the_daemon() {
    let stage = Stage::new();
    // It heeds nothing, so that it is still there when the next daemon looks for it.
    let parent = stage.begin(&["--grace", "1h,1h"], &["deaf".to_owned(), "hang".to_owned()]);
    stage.await_cause(&parent, "spawned", 1);
    let seen = stage.path("seen");
    let look = tool(&format!("echo $CANDOR_TEST_VALUE > {}", seen.display()));
    let prompt = format!("steps:\n{look}");
    let env = "CANDOR_TEST_VALUE=kept in memory";
    let words = words!["continue", "-d", "--env", env, &parent, &prompt];
    let child = stage.run(words).expect(0).stdout().trim().to_owned();
    stage.kill_daemon();
    assert_eq!(stage.session(&child)["status"], "queued");
    stage.run(["kill", &parent]).expect(0);
    stage.run(["wait", &parent]).expect(130);
    stage.run(["wait", &child]).expect(0);
    assert_eq!(fs::read_to_string(&seen).unwrap(), "kept in memory\n");
    let (parent, child) = (stage.session(&parent), stage.session(&child));
    assert_eq!(parent["intent"]["kind"], "superseded");
    assert_eq!(parent["intent"]["by"], format!("session:{}", child["id"].as_str().unwrap()));
    assert_eq!(child["parent"], parent["id"]);
    assert_eq!(child["agent"]["agent_session"], parent["agent"]["agent_session"]);
    let causes = stage.causes(child["id"].as_str().unwrap());
    assert_eq!(causes[..3], ["queued", "parent_ended", "spawned"]);
}

#[test]
fn of_two_who_go_on_with_one_session_one_does() {
    let stage = Stage::new();
    let parent = stage.begin(&[], &hang());
    stage.await_cause(&parent, "spawned", 1);
    let prompt = "steps:\nhang";
    let both =
        [(); 2].map(|()| Running::start(stage.candor(words!["continue", "-d", &parent, prompt])));
    let said = both.map(Running::finish);
    let won = said.iter().filter(|said| said.status.success()).count();
    assert_eq!(won, 1);
    let lost = said.iter().find(|said| !said.status.success()).unwrap();
    lost.because(&["already"]);
    assert_eq!(stage.sessions().len(), 2);
    let child = stage.sessions().iter().find(|it| it["parent"] == *parent).unwrap()["id"].clone();
    let child = child.as_str().unwrap();
    stage.await_cause(child, "spawned", 1);
    // A copy is nobody's rival.
    let copy = stage.run(["continue", "-d", "--fork", child, "hello"]).expect(0);
    stage.run(["wait", copy.stdout().trim()]).expect(0);
    stage.run(["kill", child]).expect(0);
    stage.run(["wait", child]).expect(130);
}

#[test]
fn one_that_waits_can_be_stopped_and_then_never_starts() {
    let stage = Stage::new();
    // It heeds nothing, so that its end takes the whole ladder.
    let steps = ["deaf".to_owned(), "hang".to_owned()];
    let parent = stage.begin(&["--grace", "1h,1h"], &steps);
    stage.await_cause(&parent, "spawned", 1);
    let child = stage.run(["continue", "-d", &parent, "hello"]).expect(0);
    let child = child.stdout().trim().to_owned();
    assert_eq!(stage.session(&child)["status"], "queued");
    stage.run(["interrupt", &child]).expect(0);
    stage.run(["wait", &child]).expect(130);
    assert_eq!(stage.causes(&child), ["queued", "interrupt"]);
    stage.run(["kill", &parent]).expect(0);
    stage.run(["wait", &parent]).expect(130);
    assert_eq!(stage.session(&child)["started_at"], serde_json::Value::Null);
}

#[test]
fn of_two_who_go_on_with_what_has_said_nothing_yet_one_does() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let parent = stage.begin(&[], &[format!("await {}", go.display()), "init".to_owned()]);
    stage.await_cause(&parent, "spawned", 1);
    let child = stage.run(["continue", "-d", &parent, "steps:\nhang"]).expect(0);
    let child = child.stdout().trim().to_owned();
    stage.run(["continue", "-d", &parent, "hello"]).expect(125).because(&["already"]);
    for id in [&child, &parent] {
        stage.run(["kill", id]).expect(0);
        stage.run(["wait", id]).expect(130);
    }
}

#[test]
fn one_that_never_started_is_gone_on_with_from_where_it_would_have() {
    let stage = Stage::new();
    let kept = stage.path("kept");
    fs::create_dir(&kept).unwrap();
    let env = format!("FAKE_CLAUDE_SESSIONS={}", kept.display());
    let steps = ["say first".to_owned(), "deaf".to_owned(), "hang".to_owned()];
    let parent = stage.begin(&["--grace", "1h,1h", "--env", &env], &steps);
    let mut said = stage.start(["logs", "-f", &parent]);
    while !said.line().contains("first") {}
    let words = ["continue", "-d", "--env", &env, &parent, "never"];
    let child = stage.run(words).expect(0).stdout().trim().to_owned();
    for id in [&child, &parent] {
        stage.run(["kill", id]).expect(0);
        stage.run(["wait", id]).expect(130);
    }
    let words = ["continue", "-d", "--env", &env, &child, "steps:\nrecall"];
    let next = stage.run(words).expect(0).stdout().trim().to_owned();
    stage.run(["wait", &next]).expect(0);
    let said = stage.session(&next)["agent"]["last_said"].as_str().unwrap().to_owned();
    assert!(said.contains('2'), "the first prompt and this one: {said}");
}
