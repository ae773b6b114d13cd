//! The API by hand: what every client may rely on, and what no client may break.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::wire::{answer, ask, connect};
use crate::support::{Place, agent, assert_time, user};

/// Bytes of the body of a launch, at most.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Bytes of any other body, at most.
const OTHER_BYTES_MAX: usize = 1 << 20;

/// Returns a place with a daemon in it, and its home.
fn served() -> (Place, PathBuf) {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let home = place.home();
    (place, home)
}

/// Returns a request to launch that is right.
fn launch(command: &[&str]) -> Value {
    json!({
        "title": null, "command": command, "cwd": "/", "environment": [["PATH", "/usr/bin:/bin"]],
        "umask": 0o22, "graces": {"interrupt_ms": 1, "terminate_ms": 1, "linger_ms": 1},
        "timeout_ms": null, "success_codes": [0],
    })
}

#[test]
fn a_session_is_launched_looked_at_and_waited_for() {
    let (place, home) = served();
    let body = launch(&["sh", "-c", "echo out; exit 3"]).to_string();
    let launched = ask(&home, "POST", "/v1/sessions", body.as_bytes());
    assert_eq!(launched.status, 201, "{launched:?}");
    let id = launched.json()["id"].as_str().unwrap().to_owned();
    let ended = ask(&home, "GET", &format!("/v1/sessions/{id}/wait"), b"").json();
    assert_eq!((&ended["outcome"], &ended["exit_code"]), (&"exit_code".into(), &3.into()));
    assert_eq!(ended, ask(&home, "GET", &format!("/v1/sessions/{id}"), b"").json());
    assert_eq!(ended, place.session(&id));
    assert_eq!(json!([ended]), ask(&home, "GET", "/v1/sessions", b"").json());
    let output = ask(&home, "GET", &format!("/v1/sessions/{id}/output/stdout"), b"");
    assert!(String::from_utf8_lossy(&output.body).contains("out\n"), "{output:?}");
    let stop = ask(&home, "POST", &format!("/v1/sessions/{id}/interrupt"), b"").json();
    assert_eq!(stop, json!({"answer": "already_ended", "already": null, "session": ended}));
    assert_eq!(place.story(&id)[0]["by"], user());
}

#[test]
fn a_launch_needs_to_say_no_more_than_a_command_and_a_folder() {
    let (place, home) = served();
    let script = "umask; env | grep -o '^CANDOR_[A-Z]*'; test -n \"$PATH\" && echo found";
    let body = json!({"command": ["sh", "-c", script], "cwd": "/"});
    let launched = ask(&home, "POST", "/v1/sessions", body.to_string().as_bytes());
    assert_eq!(launched.status, 201, "{launched:?}");
    let id = launched.json()["id"].as_str().unwrap().to_owned();
    let ended = place.end_of(&id);
    assert_eq!((&ended["outcome"], &ended["title"]), (&"succeeded".into(), &Value::Null));
    let said = place.run(["logs", &id]).expect(0);
    assert_eq!(said.stdout(), "0022\nCANDOR_SESSION\nfound\n");
    let body = json!({"command": ["true"], "cwd": "/", "environment": null}).to_string();
    assert_eq!(ask(&home, "POST", "/v1/sessions", body.as_bytes()).status, 201);
}

#[test]
fn the_daemon_tells_of_itself() {
    let (place, home) = served();
    assert_eq!(ask(&home, "GET", "/v1/health", b"").body, b"ok\n");
    let daemon = ask(&home, "GET", "/v1/daemon", b"").json();
    assert_eq!(daemon["pid"], place.daemon().as_raw_nonzero().get());
    assert_time(&daemon["started_at"]);
}

#[test]
fn what_is_not_there_is_404() {
    let (_place, home) = served();
    let id = "01a202b9-50d9-76df-8948-48de60014c35";
    for (method, path) in [
        ("GET", "/v2/sessions".to_owned()),
        ("GET", "/v1/sessions/".to_owned()),
        ("GET", format!("/v1/sessions/{id}")),
        ("POST", format!("/v1/sessions/{id}/interrupt")),
        ("POST", format!("/v1/sessions/{id}/kill")),
        ("GET", format!("/v1/sessions/{id}/wait")),
        ("GET", format!("/v1/sessions/{id}/output/stdout")),
        ("GET", format!("/v1/sessions/{id}/output/stdin")),
        ("GET", format!("/v1/sessions/{id}/nothing")),
        ("GET", format!("/v1/events?session={id}")),
        ("POST", format!("/v1/sessions/{id}/nothing")),
    ] {
        let reply = ask(&home, method, &path, b"");
        assert!(!reply.assert_problem(404, "not_found").is_empty(), "{path}");
    }
}

#[test]
fn a_wrong_method_is_405() {
    let (_place, home) = served();
    for (method, path) in [
        ("DELETE", "/v1/sessions"),
        ("POST", "/v1/health"),
        ("GET", "/v1/daemon/stop"),
        ("PUT", "/v1/events"),
        ("GET", "/v1/sessions/abc/interrupt"),
    ] {
        let reply = ask(&home, method, path, b"");
        reply.assert_problem(405, "method_not_allowed");
        assert!(reply.head.contains("\r\nallow: "), "{reply:?}");
    }
    for method in ["OPTIONS", "TRACE", "PATCH", "BREW"] {
        let reply = ask(&home, method, "/v1/sessions", b"");
        reply.assert_problem(405, "method_not_allowed");
        assert!(reply.head.contains("\r\nallow: get,head,post\r\n"), "{reply:?}");
    }
    let head = ask(&home, "HEAD", "/v1/sessions", b"");
    assert_eq!((head.status, head.body.len()), (200, 0), "{head:?}");
}

#[test]
fn the_document_is_served_as_it_is_kept() {
    let (_place, home) = served();
    let reply = ask(&home, "GET", "/v1/openapi.json", b"");
    assert!(reply.head.contains("\r\ncontent-type: application/json\r\n"), "{reply:?}");
    assert_eq!(String::from_utf8_lossy(&reply.body), include_str!("../../../docs/openapi.json"));
}

#[test]
fn a_body_of_another_type_is_415() {
    let (place, home) = served();
    let body = launch(&["true"]).to_string();
    for kind in ["", "content-type: text/plain\r\n", "content-type: application/octet-stream\r\n"] {
        let mut stream = connect(&home);
        let request = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{kind}\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let detail = answer(stream).assert_problem(415, "unsupported_media_type");
        assert!(detail.contains("application/json"), "{detail}");
    }
    assert_eq!(place.sessions().len(), 0);
}

#[test]
fn a_body_that_is_wrong_is_refused_before_anything_is_stored() {
    let (place, home) = served();
    let changed = |key: &str, value: Value| {
        let mut body = launch(&["true"]);
        body[key] = value;
        body.to_string()
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, because) in [
        (String::new(), "EOF"),
        ("nonsense".to_owned(), "expected"),
        ("{}".to_owned(), "missing field"),
        ("[]".to_owned(), "expected"),
        (deep, "64 levels"),
        (changed("surprise", json!(1)), "surprise"),
        (changed("command", json!([])), "name a program"),
        (changed("command", json!([""])), "name a program"),
        (changed("command", json!(["true", "a\0b"])), "NUL byte at position 1"),
        (changed("command", json!(["true", {"bytes": "YQBi"}])), "NUL byte at position 1"),
        (changed("command", json!(["true", {"bytes": "?"}])), "nvalid"),
        (changed("cwd", json!("relative")), "absolute"),
        (changed("cwd", json!("/a\0b")), "NUL"),
        (changed("environment", json!([["A=B", "c"]])), "A=B"),
        (changed("environment", json!([["", "c"]])), "variable"),
        (changed("environment", json!([["A", "c\0"]])), "NUL"),
        (changed("timeout_ms", json!(0)), "time limit of 0"),
        (changed("timeout_ms", json!(-1)), "-1"),
        (changed("success_codes", json!([256])), "256"),
        (changed("graces", json!({"interrupt_ms": 1, "surprise": 1})), "surprise"),
        (changed("agent", json!({"kind": "claude", "prompt": "x", "surprise": 1})), "surprise"),
        (launch(&["true"]).to_string() + "{}", "trailing"),
        ("\u{feff}{}".to_owned(), "expected"),
    ] {
        let reply = ask(&home, "POST", "/v1/sessions", body.as_bytes());
        let detail = reply.assert_problem(400, "bad_request");
        assert!(detail.contains(because), "{because:?} is not in {detail:?}");
    }
    for path in [
        "/v1/sessions?limit=many",
        "/v1/sessions?status=x",
        "/v1/sessions?x=1",
        "/v1/events?after=-1",
    ] {
        ask(&home, "GET", path, b"").assert_problem(400, "bad_request");
    }
    assert_eq!(place.sessions().len(), 0);
    assert_eq!(place.events([""; 0]).len(), 0);
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let (place, home) = served();
    let reply = ask(&home, "POST", "/v1/sessions", &vec![b' '; BODY_BYTES_MAX + 1]);
    reply.assert_problem(413, "too_large");
    // One that does not say how long it is is counted as it comes.
    let mut stream = connect(&home);
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    // It is refused before all of it is there.
    for _ in 0..=BODY_BYTES_MAX >> 20 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    answer(stream).assert_problem(413, "too_large");
    // Nothing but a launch has so much to say.
    let id = place.launch(agent(["--print", "x"]));
    let path = format!("/v1/sessions/{id}/bypass");
    let reply = ask(&home, "POST", &path, &vec![b' '; OTHER_BYTES_MAX + 1]);
    reply.assert_problem(413, "too_large");
    ask(&home, "POST", &path, &vec![b' '; OTHER_BYTES_MAX]).assert_problem(400, "bad_request");
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn one_who_sends_half_a_request_holds_nobody_else_up() {
    let (place, home) = served();
    let halves = [
        "",
        "G",
        "GET /v1/health HTTP/1.1\r\n",
        "POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
    ];
    let mut held: Vec<UnixStream> = Vec::new();
    for half in halves.iter().cycle().take(100) {
        let mut stream = connect(&home);
        stream.write_all(half.as_bytes()).unwrap();
        held.push(stream);
    }
    place.run(["run", "--", "true"]).expect(0);
    assert_eq!(ask(&home, "GET", "/v1/health", b"").status, 200);
    // Nor does one who asks and does not listen to the answer.
    let mut deaf = connect(&home);
    deaf.write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    for _ in 0..5 {
        place.run(["run", "--", "true"]).expect(0);
    }
    place.run(["daemon", "stop"]).expect(0);
    drop((held, deaf));
}

#[test]
fn nonsense_on_the_wire_is_refused_and_harms_nobody() {
    let (place, home) = served();
    for nonsense in [
        &b"\0\xff\x80 nonsense\r\n\r\n"[..],
        b"GET /v1/health HTTP/9.9\r\n\r\n",
        b"GET /v1/health\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
    ] {
        let mut stream = connect(&home);
        stream.write_all(nonsense).unwrap();
        let mut reply = Vec::new();
        let _cut = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply);
        assert!(!reply.starts_with("HTTP/1.1 2"), "{reply}");
    }
    let odd = ask(&home, "GET", "/v1/sessions/%ff%fe", b"");
    odd.assert_problem(400, "bad_request");
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_launch_leaves_no_half_session() {
    let (place, home) = served();
    let body = launch(&["sh", "-c", "exit 4"]).to_string();
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..30 {
        let mut stream = connect(&home);
        stream.write_all(head.as_bytes()).unwrap();
        drop(stream);
    }
    // A session for each of them or none: but each that there is comes to its true end.
    place.run(["daemon", "start"]).expect(0);
    for session in place.sessions() {
        let ended = place.end_of(session["id"].as_str().unwrap());
        assert_eq!((&ended["status"], &ended["exit"]["code"]), (&"failed".into(), &4.into()));
    }
}

#[test]
fn an_output_is_read_from_any_place() {
    let (place, home) = served();
    let id = place.launch(agent(["--print", "0123456789"]));
    place.run(["wait", &id]).expect(0);
    for (offset, expected) in [(0, "0123456789\n"), (4, "456789\n"), (10, "\n"), (11, ""), (99, "")]
    {
        let path = format!("/v1/sessions/{id}/output/stdout?offset={offset}");
        let mut stream = connect(&home);
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        // HTTP/1.0 has no chunks, so that the body is the output itself.
        stream.write_all(request.as_bytes()).unwrap();
        let reply = answer(stream);
        assert_eq!((reply.status, reply.body.as_slice()), (200, expected.as_bytes()));
    }
}

#[test]
fn many_requests_may_follow_on_one_connection() {
    let (_place, home) = served();
    let mut stream = connect(&home);
    let request = "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n".repeat(9)
        + "GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    assert_eq!(replies.matches("\r\n\r\nok\n").count(), 10, "{replies}");
}
