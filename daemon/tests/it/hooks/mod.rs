//! `candor hook`: what happens is told, at least once, in order, and to nobody else.

mod input;
mod killed;
mod receiver;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::wire::ask;
use crate::support::{Place, agent, words};
use receiver::Receiver;

/// Adds a hook, and returns what is told of it.
#[track_caller]
fn add(place: &Place, receiver: &Receiver, on: &str) -> Value {
    let url = receiver.url();
    place.run(["hook", "add", &url, "--on", on, "--allow-local", "--json"]).expect(0).json()
}

fn list(place: &Place) -> Vec<Value> {
    place.run(["hook", "ls", "--json"]).expect(0).json().as_array().unwrap().clone()
}

fn deliveries(place: &Place, hook: &Value) -> Vec<Value> {
    let id = hook["id"].as_str().unwrap();
    let said = place.run(["hook", "deliveries", id, "--limit", "1000", "--json"]).expect(0);
    said.json().as_array().unwrap().clone()
}

/// Waits until a hook is told to be as it should: what was answered is put down a moment later.
fn await_hook(place: &Place, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Some(hook) = list(place).into_iter().find(|hook| is_so(hook)) {
            return hook;
        }
    }
}

#[test]
fn an_end_is_told_whole_and_signed() {
    let place = Place::new();
    let receiver = Receiver::start();
    place.run(["run", "--", "true"]).expect(0);
    let hook = add(&place, &receiver, "completed,failed");
    place
        .run(["run", "--env", "API_TOKEN=c4n4ry", "--", "sh", "-c", "echo k4n4ri; exit 3"])
        .expect(3);
    let call = receiver.call();
    assert_eq!(call.path, "/hook");
    assert_eq!(call.headers["content-type"], "application/json");
    call.assert_signed(hook["secret"].as_str().unwrap());
    assert!(!call.body.contains("c4n4ry"), "no values of the environment: {}", call.body);
    let (id, told) = (call.id().to_owned(), call.accept());
    let session = &place.sessions()[0];
    let events = place.events([""; 0]);
    // What happened before the hook was there is not told.
    let expected = json!({
        "type": "session.failed", "timestamp": events[5]["at"], "event": events[5],
        "session": session,
    });
    assert_eq!(told, expected);
    let now = await_hook(&place, |hook| hook["delivered"] == 1);
    assert_eq!((&now["pending"], &now["given_up"]), (&json!(0), &json!(0)));
    let metrics = String::from_utf8(ask(&place.home(), "GET", "/metrics", b"").body).unwrap();
    for line in [
        "candor_hooks{state=\"enabled\"} 1",
        "candor_hook_attempts_total{result=\"delivered\"} 1",
        "candor_hook_deliveries_pending 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} in {metrics}");
    }
    let kept = &deliveries(&place, &hook)[0];
    assert_eq!(kept["id"], id);
    assert_eq!((&kept["state"], &kept["attempts"]), (&json!("delivered"), &json!(1)));
    assert_eq!((&kept["last_status"], &kept["seq"]), (&json!(204), &events[5]["seq"]));
}

#[test]
fn the_secret_is_told_once() {
    let place = Place::new();
    let receiver = Receiver::start();
    let url = receiver.url();
    let said = place.run(["hook", "add", &url, "--allow-local"]).expect(0);
    let secret = said.stdout().lines().last().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    for words in [vec!["hook", "ls"], vec!["hook", "ls", "--json"]] {
        assert!(!place.run(words).expect(0).stdout().contains("whsec_"));
    }
    assert_eq!(list(&place)[0]["on"], json!(["completed", "failed", "lost", "waiting_input"]));
    let log = std::fs::read_to_string(place.home().join("daemon.log")).unwrap();
    assert!(!log.contains(&secret));
}

#[test]
fn each_session_is_told_in_order_and_none_waits_for_another() {
    let place = Place::new();
    let receiver = Receiver::start();
    let hook = add(&place, &receiver, "all");
    let first = place.launch(["true"]);
    let held = receiver.call();
    assert_eq!(held.json()["session"]["id"], first);
    place.run(["wait", &first]).expect(0);
    let second = place.launch(["true"]);
    place.run(["wait", &second]).expect(0);
    let told: Vec<Value> = (0..3).map(|_| receiver.take()).collect();
    assert!(told.iter().all(|told| told["event"]["session"] == *second), "{told:?}");
    assert!(receiver.is_idle(), "the first is not answered yet");
    let mut story = vec![held.accept()["event"].clone()];
    story.extend((0..2).map(|_| receiver.take()["event"].clone()));
    assert_eq!(story, place.story(&first));
    let told: Vec<Value> = told.iter().map(|told| told["event"].clone()).collect();
    assert_eq!(told, place.story(&second));
    await_hook(&place, |hook| hook["delivered"] == 6);
    assert!(deliveries(&place, &hook).iter().all(|it| it["attempts"] == 1));
}

#[test]
fn what_is_not_taken_is_sent_again_under_the_same_id() {
    let place = Place::new();
    let receiver = Receiver::start();
    let hook = add(&place, &receiver, "completed");
    place.run(["run", "--", "true"]).expect(0);
    let first = receiver.call();
    let (id, body) = (first.id().to_owned(), first.body.clone());
    first.answer(500, "");
    let again = receiver.call();
    assert_eq!((again.id(), &again.body), (&*id, &body));
    again.assert_signed(hook["secret"].as_str().unwrap());
    let kept = &deliveries(&place, &hook)[0];
    assert_eq!((&kept["attempts"], &kept["last_status"]), (&json!(1), &json!(500)));
    assert_eq!(kept["last_error"], "it answers 500");
    again.accept();
    await_hook(&place, |hook| hook["delivered"] == 1);
    assert_eq!(deliveries(&place, &hook)[0]["attempts"], 2);
}

#[test]
fn who_is_gone_for_good_is_left_alone() {
    let place = Place::new();
    let receiver = Receiver::start();
    add(&place, &receiver, "completed");
    place.run(["run", "--", "true"]).expect(0);
    receiver.call().answer(410, "");
    let hook = await_hook(&place, |hook| hook["disabled_at"].is_string());
    assert_eq!((&hook["pending"], &hook["given_up"]), (&json!(0), &json!(1)));
    place.run(["run", "--", "true"]).expect(0);
    let other = Receiver::start();
    add(&place, &other, "completed");
    place.run(["run", "--", "true"]).expect(0);
    // By the time the other is told, all would have been.
    other.take();
    assert!(receiver.is_idle());
    assert!(place.run(["hook", "ls"]).expect(0).stdout().contains("gone for good (410)"));
}

#[test]
fn a_receiver_that_hangs_holds_nobody_up() {
    const SESSIONS: usize = 20;
    let place = Place::new();
    let (hanging, well) = (Receiver::start(), Receiver::start());
    add(&place, &hanging, "all");
    add(&place, &well, "completed");
    let ids: Vec<String> = (0..SESSIONS).map(|_| place.launch(["true"])).collect();
    let mut told = BTreeMap::new();
    for _ in &ids {
        let told_one = well.take();
        told.insert(told_one["session"]["id"].as_str().unwrap().to_owned(), ());
    }
    assert!(ids.iter().all(|id| told.contains_key(id)));
    // Eight of them hang, and the others wait for these.
    let held: Vec<_> = (0..8).map(|_| hanging.call()).collect();
    assert!(hanging.is_idle());
    assert_eq!(held.len(), 8);
}

#[test]
fn what_is_removed_at_once_was_told_before() {
    let place = Place::new();
    let receiver = Receiver::start();
    add(&place, &receiver, "completed,removed");
    for _ in 0..10 {
        place.run(["run", "--title", "brief", "--", "true"]).expect(0);
        let id = place.titled("brief");
        place.run(["rm", &id]).expect(0);
        let told = receiver.take();
        assert_eq!(
            (&told["type"], &told["event"]["session"]),
            (&json!("session.completed"), &json!(id))
        );
        let told = receiver.take();
        assert_eq!(
            (&told["type"], &told["event"]["session"]),
            (&json!("session.removed"), &json!(id))
        );
        assert_eq!(told["session"], Value::Null);
    }
}

#[test]
fn a_hook_can_be_for_one_session_and_for_outcomes() {
    let place = Place::new();
    let receiver = Receiver::start();
    let go = place.fifo("go");
    let wanted = place.launch(agent(words!["--await", &go, "--exit", "0"]));
    let other = place.launch(["sleep", "600"]);
    let (url, id) = (receiver.url(), wanted.as_str());
    let words = ["hook", "add", &url, "--session", id, "--on", "succeeded", "--allow-local"];
    place.run(words).expect(0);
    place.run(["interrupt", &other]).expect(0);
    place.run(["wait", &other]).expect(130);
    std::fs::write(go, "go\n").unwrap();
    let told = receiver.take();
    assert_eq!(
        (&told["event"]["session"], &told["event"]["outcome"]),
        (&json!(id), &json!("succeeded"))
    );
    await_hook(&place, |hook| hook["delivered"] == 1 && hook["pending"] == 0);
}
