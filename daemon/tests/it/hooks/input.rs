//! What is refused, and what is said then.

use std::fs;

use serde_json::json;

use super::receiver::Receiver;
use super::{add, list};
use crate::support::Place;
use crate::support::wire::ask;

#[test]
fn what_is_no_hook_is_a_sentence_and_changes_nothing() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let home = place.home();
    for (body, word) in [
        (json!({}), "url"),
        (json!({"url": 7}), "url"),
        (json!({"url": "https://example.com", "secret": "x"}), "secret"),
        (json!({"url": "https://example.com", "on": ["done"]}), "done"),
        (json!({"url": "https://example.com", "on": "all"}), "on"),
        (json!({"url": "https://me:pw@example.com"}), "credentials"),
        (json!({"url": "ftp://example.com"}), "https://"),
        (json!({"url": "http://127.0.0.1:80"}), "--allow-local"),
        (json!({"url": "http://[::ffff:10.0.0.1]/"}), "--allow-local"),
        (json!({"url": "http://2130706433/"}), "four numbers"),
        (json!({"url": "http://169.254.169.254/", "allow_local": true}), "nothing is ever"),
        (json!({"url": format!("https://example.com/{}", "x".repeat(3_000))}), "too long"),
    ] {
        let reply = ask(&home, "POST", "/v1/hooks", body.to_string().as_bytes());
        let detail = reply.assert_problem(400, "bad_request");
        assert!(detail.contains(word), "{word} in {detail}");
    }
    let unknown = json!({"url": "https://example.com", "session": "ffffffff"}).to_string();
    ask(&home, "POST", "/v1/hooks", unknown.as_bytes()).assert_problem(404, "not_found");
    ask(&home, "POST", "/v1/hooks", b"{").assert_problem(400, "bad_request");
    ask(&home, "DELETE", "/v1/hooks/ffff", b"").assert_problem(404, "not_found");
    ask(&home, "POST", "/v1/hooks/ffff/test", b"").assert_problem(404, "not_found");
    ask(&home, "GET", "/v1/hooks/x/deliveries", b"").assert_problem(404, "not_found");
    ask(&home, "PUT", "/v1/hooks", b"").assert_problem(405, "method_not_allowed");
    assert_eq!(list(&place), [json!(null); 0]);
    assert!(!home.join("hooks.db").exists());
}

#[test]
fn a_name_that_leads_inside_is_connected_to_only_where_that_is_allowed() {
    let place = Place::new();
    let receiver = Receiver::start();
    let url = format!("http://localhost:{}/hook", receiver.address.port());
    let hook = place.run(["hook", "add", &url, "--json"]).expect(0).json();
    let id = hook["id"].as_str().unwrap();
    let said = place.run(["hook", "test", id]).expect(125);
    assert!(said.stdout().contains("--allow-local"), "{}", said.stdout());
    assert!(receiver.is_idle());
    place.run(["hook", "rm", id]).expect(0);
    let hook = place.run(["hook", "add", &url, "--allow-local", "--json"]).expect(0).json();
    let test = place.start(["hook", "test", hook["id"].as_str().unwrap()]);
    let call = receiver.call();
    call.assert_signed(hook["secret"].as_str().unwrap());
    assert_eq!(call.accept()["type"], "hook.test");
    test.finish().expect(0);
}

#[test]
fn a_removed_hook_is_told_nothing_more() {
    let place = Place::new();
    let receiver = Receiver::start();
    let hook = add(&place, &receiver, "all");
    place.run(["run", "--", "true"]).expect(0);
    let _held = receiver.call();
    let said = place.run(["hook", "rm", hook["id"].as_str().unwrap()]).expect(0);
    assert!(said.stdout().contains("3 of its deliveries were not made"), "{}", said.stdout());
    assert_eq!(list(&place), [json!(null); 0]);
    place.run(["run", "--", "true"]).expect(0);
    assert!(receiver.is_idle());
}

#[test]
fn a_database_of_no_use_stops_hooks_and_nothing_else() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    let path = place.home().join("hooks.db");
    let junk = b"no database at all, and long enough to be looked at as one";
    fs::write(&path, junk).unwrap();
    place.run(["run", "--", "true"]).expect(0);
    let reply = ask(&place.home(), "GET", "/v1/hooks", b"");
    let detail = reply.assert_problem(503, "hooks_unavailable");
    assert!(detail.contains("move it away"), "{detail}");
    place.run(["rm", place.sessions()[0]["id"].as_str().unwrap()]).expect(0);
    let doctor = place.run(["doctor"]);
    assert!(doctor.stdout().contains("hooks.db"), "{}", doctor.stdout());
    assert_eq!(fs::read(&path).unwrap(), junk);
}
