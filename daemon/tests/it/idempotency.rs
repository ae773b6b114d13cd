//! A request for a session that is sent again makes no second one.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::Place;
use crate::support::wire::{Reply, answer, ask, connect};

/// Returns a request to launch.
fn launch(command: &[&str]) -> String {
    json!({"command": command, "cwd": "/", "environment": [["PATH", "/usr/bin:/bin"]]}).to_string()
}

/// Sends a request under a name.
fn named(home: &Path, path: &str, key: &str, body: &str) -> Reply {
    let mut stream = connect(home);
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream)
}

/// Checks that this is the session that a request of the same name has made before.
#[track_caller]
fn assert_again(reply: &Reply, id: &Value) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.head.contains("\r\nidempotent-replayed: true\r\n"), "{reply:?}");
    assert_eq!(&reply.json()["id"], id);
}

fn served() -> Place {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    place
}

#[test]
fn the_same_request_again_gives_the_same_session() {
    let place = served();
    let body = launch(&["sh", "-c", "exit 3"]);
    let first = named(&place.home(), "/v1/sessions", "one", &body);
    assert_eq!(first.status, 201, "{first:?}");
    assert!(!first.head.contains("idempotent-replayed"), "{first:?}");
    let id = first.json()["id"].clone();
    assert_again(&named(&place.home(), "/v1/sessions", "one", &body), &id);
    // Spaces and the order of fields are no other request.
    let same = json!({"environment": [["PATH", "/usr/bin:/bin"]], "cwd": "/", "umask": 0o22,
        "title": null, "command": ["sh", "-c", "exit 3"]});
    assert_again(&named(&place.home(), "/v1/sessions", "one", &format!("{same:#}")), &id);
    assert_eq!(place.end_of(id.as_str().unwrap())["exit"], json!({"code": 3}));
    assert_again(&named(&place.home(), "/v1/sessions", "one", &body), &id);
    assert_eq!(place.sessions().len(), 1);
    assert_eq!(named(&place.home(), "/v1/sessions", "two", &body).status, 201);
    assert_eq!(place.sessions().len(), 2);
}

#[test]
fn the_next_daemon_knows_the_request_as_well() {
    let place = served();
    let body = launch(&["sleep", "1000"]);
    let id = named(&place.home(), "/v1/sessions", "one", &body).json()["id"].clone();
    for leave in [Place::kill_daemon, |place: &Place| drop(place.run(["daemon", "stop"]).expect(0))]
    {
        leave(&place);
        place.run(["daemon", "start"]).expect(0);
        assert_again(&named(&place.home(), "/v1/sessions", "one", &body), &id);
    }
    assert_eq!(place.sessions().len(), 1);
    place.run(["kill", id.as_str().unwrap()]).expect(0);
    place.end_of(id.as_str().unwrap());
    place.run(["rm", id.as_str().unwrap()]).expect(0);
    named(&place.home(), "/v1/sessions", "one", &body).assert_problem(410, "removed");
    assert_eq!(place.sessions().len(), 0);
}

#[test]
fn requests_at_the_same_moment_make_one_session() {
    let place = served();
    let (home, body) = (place.home(), launch(&["true"]));
    let replies: Vec<Reply> = thread::scope(|scope| {
        let ask = || named(&home, "/v1/sessions", "one", &body);
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let first: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert_eq!(first.len(), 1, "{replies:?}");
    let id = first[0].json()["id"].clone();
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        assert_again(reply, &id);
    }
    assert_eq!(place.sessions().len(), 1);
}

#[test]
fn another_request_under_the_same_name_is_refused() {
    let place = served();
    named(&place.home(), "/v1/sessions", "one", &launch(&["true"]));
    let detail = named(&place.home(), "/v1/sessions", "one", &launch(&["false"]))
        .assert_problem(422, "idempotency_key_reused");
    assert!(detail.contains("key of its own"), "{detail}");
    assert_eq!(place.sessions().len(), 1);
    // What was refused has not used up its name.
    named(&place.home(), "/v1/sessions", "two", &launch(&[])).assert_problem(400, "bad_request");
    assert_eq!(named(&place.home(), "/v1/sessions", "two", &launch(&["true"])).status, 201);
}

#[test]
fn a_name_that_is_none_is_refused() {
    let place = served();
    for key in ["", &"x".repeat(256), "\u{e9}", "a\tb", "a\r\nidempotency-key: b"] {
        let reply = named(&place.home(), "/v1/sessions", key, &launch(&["true"]));
        reply.assert_problem(400, "bad_request");
    }
    assert_eq!(place.sessions().len(), 0);
    let longest = "~".repeat(255);
    assert_eq!(named(&place.home(), "/v1/sessions", &longest, &launch(&["true"])).status, 201);
}

/// Whatever its client was told, a session for each name or none, and one for each afterwards.
#[test]
fn a_daemon_that_is_killed_meanwhile_leaves_one_session_a_request() {
    let place = served();
    let body = launch(&["true"]);
    let mut seen = Vec::new();
    for round in 0..8 {
        let key = format!("round {round}");
        let mut stream = connect(&place.home());
        let request = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        // What it had done until then differs from round to round.
        if round % 2 == 0 {
            ask(&place.home(), "GET", "/v1/health", b"");
        }
        place.kill_daemon();
        drop(stream);
        place.run(["daemon", "start"]).expect(0);
        let id = named(&place.home(), "/v1/sessions", &key, &body).json()["id"].clone();
        assert_again(&named(&place.home(), "/v1/sessions", &key, &body), &id);
        seen.push(id);
    }
    let listed: Vec<Value> = place.sessions().iter().rev().map(|it| it["id"].clone()).collect();
    assert_eq!(listed, seen);
}

/// Stands between the daemon and its clients until the first answer has begun, of which nobody gets
/// anything.
fn lose_one_answer(home: &Path) -> thread::JoinHandle<()> {
    let (socket, daemon) = (home.join("candor.sock"), home.join("daemon.sock"));
    fs::rename(&socket, &daemon).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, mut server) = (client.unwrap(), UnixStream::connect(&daemon).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let asking = thread::spawn(move || {
                io::copy(&mut from, &mut to).unwrap();
                to.shutdown(Shutdown::Write).unwrap();
            });
            // Who only looks whether a daemon serves asks nothing.
            if server.read(&mut [0]).unwrap() == 1 {
                fs::rename(&daemon, &socket).unwrap();
                client.shutdown(Shutdown::Both).unwrap();
                asking.join().unwrap();
                return;
            }
            asking.join().unwrap();
        }
    })
}

#[test]
fn a_launch_whose_answer_is_lost_is_asked_again() {
    let place = served();
    for words in [&["run", "--", "sh", "-c", "exit 3"][..], &["run", "-d", "--", "true"]] {
        let before = place.sessions().len();
        let losing = lose_one_answer(&place.home());
        let said = place.run(words.iter().copied());
        losing.join().unwrap();
        assert_eq!(said.status.code(), Some(if words[1] == "-d" { 0 } else { 3 }), "{said:?}");
        assert_eq!(place.sessions().len(), before + 1);
    }
}
