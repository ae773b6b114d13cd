//! How much anybody can take.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::shown::Attack;
use crate::site::Site;

/// Connections at one time over TCP.
const CONNECTIONS_MAX: usize = 512;

#[test]
fn t23_a_login_has_four_streams_and_others_have_theirs() {
    let _attack = Attack::named("t23_a_login_has_four_streams_and_others_have_theirs");
    let site = Site::new();
    let (one, other) = (site.log_in().lines(), site.log_in().lines());
    let mut open: Vec<(TcpStream, String)> = (0..4).map(|_| site.follow(&one)).collect();
    for _ in 0..40 {
        let (mut refused, head) = site.follow(&one);
        assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        let mut body = [0; 512];
        let count = refused.read(&mut body).unwrap();
        assert!(String::from_utf8_lossy(&body[..count]).contains("too_many_streams"));
    }
    assert!(site.follow(&other).1.starts_with("HTTP/1.1 200"));
    assert_eq!(site.ask("GET", "/v1/sessions", &one, b"").status, 200, "looks are no streams");
    open.pop();
    // The daemon notices that its client has gone when it is told, and no later.
    let begun = Instant::now();
    while !site.follow(&one).1.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(10), "its place is not given back");
    }
}

#[test]
fn t23_no_way_to_ask_for_a_stream_goes_without_a_place() {
    let _attack = Attack::named("t23_no_way_to_ask_for_a_stream_goes_without_a_place");
    let site = Site::new();
    let id = site.place.launch(["true"]);
    let lines = site.log_in().lines();
    let output = format!("/v1/sessions/{id}/output/stdout");
    let messages = format!("/v1/sessions/{id}/messages");
    let ways = [
        ("/v1/events".to_owned(), "Accept: Text/Event-Stream\r\n"),
        (
            "/v1/events".to_owned(),
            "Accept: application/json\r\nAccept: a/b,TEXT/EVENT-STREAM;q=1\r\n",
        ),
        ("/v1/events?%66ollow=true".to_owned(), ""),
        ("/v1/events?after=0&follo%77=tru%65".to_owned(), ""),
        (format!("{output}?%66ollow=true"), ""),
        (format!("{messages}?follow=%74rue"), ""),
    ];
    let mut open = Vec::new();
    for (path, accept) in &ways[..4] {
        let (stream, head) = site.begin(path, &format!("{lines}{accept}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        open.push(stream);
    }
    for (path, accept) in &ways {
        site.ask("GET", path, &format!("{lines}{accept}"), b"")
            .assert_problem(429, "too_many_streams");
    }
    // What does not go on needs no place.
    for path in ["/v1/events?follow=false", &output, &messages] {
        assert_eq!(site.ask("GET", path, &lines, b"").status, 200, "{path}");
    }
}

#[test]
fn t23_a_head_that_is_too_large_is_refused() {
    let _attack = Attack::named("t23_a_head_that_is_too_large_is_refused");
    let site = Site::new();
    let lines = site.log_in().lines();
    let fill = |bytes: usize| format!("{lines}X-Fill: {}\r\n", "x".repeat(bytes));
    assert_eq!(site.ask("GET", "/v1/health", &fill(15 << 10), b"").status, 200);
    site.ask("GET", "/v1/health", &fill(16 << 10), b"").assert_problem(431, "head_too_large");
    site.ask("GET", &format!("/v1/{}", "x".repeat(16 << 10)), &lines, b"")
        .assert_problem(431, "head_too_large");
    for lines in [fill(1 << 20), format!("{lines}{}", "X-Many: x\r\n".repeat(1_000))] {
        let head = format!("GET /v1/health HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", site.host());
        let mut stream = site.connect();
        let _refused = stream.write_all(head.as_bytes());
        let reply = crate::site::read(stream);
        assert!(reply.is_none_or(|reply| reply.status == 431));
    }
    assert_eq!(site.ask("GET", "/v1/health", &lines, b"").status, 200);
}

#[test]
fn t23_a_body_that_is_too_large_or_too_deep_changes_nothing() {
    let _attack = Attack::named("t23_a_body_that_is_too_large_or_too_deep_changes_nothing");
    let site = Site::new();
    let lines = format!("{}Content-Type: application/json\r\n", site.log_in().lines());
    let large = vec![b' '; (16 << 20) + 1];
    site.ask("POST", "/v1/sessions", &lines, &large).assert_problem(413, "too_large");
    let large = vec![b' '; (1 << 20) + 1];
    site.ask("POST", "/v1/sessions/a/bypass", &lines, &large).assert_problem(413, "too_large");
    for depth in [65, 650, 100_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        site.ask("POST", "/v1/sessions", &lines, deep.as_bytes())
            .assert_problem(400, "bad_request");
    }
    assert!(site.sessions().is_empty());
}

#[test]
fn t23_a_head_that_does_not_come_is_not_waited_for() {
    let _attack = Attack::named("t23_a_head_that_does_not_come_is_not_waited_for");
    let site = Site::new();
    let begun = Instant::now();
    let mut half: Vec<TcpStream> = ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: "]
        .into_iter()
        .map(|text| {
            let mut stream = site.connect();
            stream.write_all(text.as_bytes()).unwrap();
            stream
        })
        .collect();
    for stream in &mut half {
        let mut answer = Vec::new();
        // Closed, that is, or cut off: no reader has waited in vain.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    // It was waited for, though. How much longer than it should take is this machine's.
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(8), "{waited:?}");
}

#[test]
fn t23_who_has_no_credential_holds_no_connection_for_long() {
    let _attack = Attack::named("t23_who_has_no_credential_holds_no_connection_for_long");
    let site = Site::new();
    // It asks for more and more, and reads nothing.
    let mut deaf = site.connect();
    deaf.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    let requests = format!("GET /assets/main.js HTTP/1.1\r\nHost: {}\r\n\r\n", site.host());
    let requests = requests.repeat(1_000);
    let deaf = thread::spawn(move || {
        loop {
            if let Err(error) = deaf.write_all(requests.as_bytes()) {
                return error;
            }
        }
    });
    // Its login comes a byte at a time, each in time.
    let mut slow = site.connect();
    let head = format!(
        "POST /v1/web/login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n",
        site.host()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let begun = Instant::now();
    let is_pause = |error: &std::io::Error| {
        [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind())
    };
    while slow.read(&mut [0; 512]).is_err_and(|error| is_pause(&error)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is still listened to");
        let _cut = slow.write_all(b" ");
    }
    let error = deaf.join().unwrap();
    assert!(!is_pause(&error), "it is still waited for: {error}");
}

#[test]
fn t23_more_connections_than_may_be_wait_and_the_socket_answers() {
    let _attack = Attack::named("t23_more_connections_than_may_be_wait_and_the_socket_answers");
    let site = Site::new();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", site.host());
    let ask = |stream: &mut TcpStream| {
        stream.write_all(request.as_bytes()).unwrap();
        stream.read(&mut [0; 2048])
    };
    let mut held: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| site.connect()).collect();
    for stream in &mut held {
        assert!(ask(stream).unwrap() > 0);
    }
    let mut waits = site.connect();
    waits.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = ask(&mut waits).expect_err("it waits");
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()), "{error}");
    site.place.run(["ls"]).expect(0);
    drop(held.pop());
    waits.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(waits.read(&mut [0; 2048]).unwrap() > 0, "its turn has come");
}
