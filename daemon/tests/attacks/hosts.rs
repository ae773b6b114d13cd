//! Web pages of strangers, in the user's own browser.

use std::fs;

use crate::shown::Attack;
use crate::site::{Site, launch};
use crate::support::Place;

/// One address of each kind.
const ADDRESSES: [(&str, &str); 9] = [
    ("GET", "/"),
    ("GET", "/assets/page.js"),
    ("GET", "/v1/health"),
    ("GET", "/v1/events?follow=true"),
    ("GET", "/v1/openapi.json"),
    ("POST", "/v1/sessions"),
    ("POST", "/v1/web/login"),
    ("OPTIONS", "/v1/sessions"),
    ("GET", "/no/such/address"),
];

#[test]
fn t1_a_name_that_a_stranger_owns_is_421_on_every_address() {
    let _attack = Attack::named("t1_a_name_that_a_stranger_owns_is_421_on_every_address");
    let site = Site::new();
    let login = site.log_in();
    let port = site.at.port();
    let wrong_port = if port == 80 { 81 } else { port - 1 };
    let hosts = [
        "attacker.example".to_owned(),
        format!("attacker.example:{port}"),
        format!("localhost.attacker.example:{port}"),
        format!("localhost:{port}@evil"),
        "localhost:80@evil".to_owned(),
        format!("127.0.0.1:{wrong_port}"),
        format!("127.0.0.1.nip.io:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("127.1:{port}"),
        format!("localhost.:{port}"),
        String::new(),
    ];
    let body = launch();
    for (method, path) in ADDRESSES {
        for host in &hosts {
            // Whoever comes by another name has nothing to say, not even with a credential.
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{}\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                login.lines(),
                body.len()
            );
            let reply = site.raw(request.as_bytes());
            reply.assert_problem(421, "misdirected");
        }
    }
    assert!(site.sessions().is_empty());
}

#[test]
fn t1_no_host_or_two_or_a_whole_address_is_421() {
    let _attack = Attack::named("t1_no_host_or_two_or_a_whole_address_is_421");
    let site = Site::new();
    let (own, lines) = (site.host(), site.log_in().lines());
    let close = "Connection: close\r\n";
    for head in [
        format!("GET /v1/health HTTP/1.1\r\n{close}{lines}\r\n"),
        format!("GET /v1/health HTTP/1.0\r\n{lines}\r\n"),
        format!("GET /v1/health HTTP/1.1\r\nHost: {own}\r\nHost: {own}\r\n{close}{lines}\r\n"),
        format!("GET /v1/health HTTP/1.1\r\nHost: {own}\r\nHost: evil\r\n{close}{lines}\r\n"),
        format!("GET http://evil.example/v1/health HTTP/1.1\r\nHost: {own}\r\n{close}{lines}\r\n"),
        format!("GET http://{own}/v1/health HTTP/1.1\r\nHost: {own}\r\n{close}{lines}\r\n"),
        format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n{close}{lines}\r\n"),
    ] {
        let reply = site.raw(head.as_bytes());
        assert_eq!(reply.status, 421, "{head}{reply:?}");
    }
    for host in [own, format!("localhost:{}", site.at.port()), "127.0.0.1".to_owned()] {
        let head = format!("GET /v1/health HTTP/1.1\r\nHost: {host}\r\n{close}{lines}\r\n");
        assert_eq!(site.raw(head.as_bytes()).status, 200, "{host}");
    }
}

#[test]
fn t2_what_a_form_can_send_changes_nothing() {
    let _attack = Attack::named("t2_what_a_form_can_send_changes_nothing");
    let site = Site::new();
    let login = site.log_in();
    let body = launch();
    let cookie = format!("Cookie: {}\r\n", login.cookie);
    let own = format!("Origin: http://{}\r\n", site.host());
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"]
    {
        let kind = format!("Content-Type: {kind}\r\n");
        // As a page elsewhere sends it: the browser adds the cookie, and says where it comes from.
        let foreign =
            format!("{cookie}{kind}Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n");
        site.ask("POST", "/v1/sessions", &foreign, body.as_bytes())
            .assert_problem(403, "foreign_origin");
        site.ask("POST", "/v1/sessions", &format!("{cookie}{kind}"), body.as_bytes())
            .assert_problem(401, "not_authorized");
        // Not even the own page could.
        site.ask("POST", "/v1/sessions", &format!("{}{own}{kind}", login.lines()), body.as_bytes())
            .assert_problem(415, "unsupported_media_type");
    }
    site.ask("POST", "/v1/sessions", &login.lines(), body.as_bytes())
        .assert_problem(415, "unsupported_media_type");
    for site_word in ["cross-site", "same-site"] {
        let lines = format!(
            "{}Content-Type: application/json\r\nSec-Fetch-Site: {site_word}\r\n",
            login.lines()
        );
        site.ask("POST", "/v1/sessions", &lines, body.as_bytes())
            .assert_problem(403, "foreign_origin");
    }
    assert!(site.sessions().is_empty());
    let lines = format!(
        "{}{own}Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n",
        login.lines()
    );
    assert_eq!(site.ask("POST", "/v1/sessions", &lines, body.as_bytes()).status, 201);
    assert_eq!(site.sessions().len(), 1, "the page itself can");
}

#[test]
fn t3_no_answer_lets_another_origin_read_it() {
    let _attack = Attack::named("t3_no_answer_lets_another_origin_read_it");
    let site = Site::new();
    let lines = site.log_in().lines();
    let preflight = "Access-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: authorization, content-type\r\n\
                     Access-Control-Request-Private-Network: true\r\n";
    for (method, path) in ADDRESSES.into_iter().filter(|(_, path)| !path.contains("follow")) {
        for origin in ["", "Origin: https://evil.example\r\n", "Origin: null\r\n"] {
            for extra in ["", preflight] {
                let lines = format!("{lines}{origin}{extra}Content-Type: application/json\r\n");
                let reply = site.ask(method, path, &lines, b"");
                assert!(!reply.head.contains("access-control"), "{reply:?}");
                assert!(origin.is_empty() || reply.status == 403, "{reply:?}");
                for header in [
                    "content-security-policy: default-src 'none'; script-src 'self';",
                    "frame-ancestors 'none'",
                    "require-trusted-types-for 'script'",
                    "cross-origin-opener-policy: same-origin",
                    "cross-origin-resource-policy: same-origin",
                    "referrer-policy: no-referrer",
                    "x-content-type-options: nosniff",
                ] {
                    assert!(reply.head.contains(header), "{header}: {method} {path} {reply:?}");
                }
                if path.starts_with("/v1") {
                    assert!(reply.head.contains("cache-control: no-store"), "{reply:?}");
                }
            }
        }
    }
}

#[test]
fn t4_no_origin_is_no_credential() {
    let _attack = Attack::named("t4_no_origin_is_no_credential");
    let site = Site::new();
    let own = format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", site.host());
    // Fewer than are told to wait.
    for (method, path) in [("GET", "/v1/health"), ("GET", "/v1/sessions"), ("POST", "/v1/sessions")]
    {
        for lines in ["", &own] {
            let lines = format!("{lines}Content-Type: application/json\r\n");
            site.ask(method, path, &lines, b"{}").assert_problem(401, "not_authorized");
        }
    }
    assert!(site.sessions().is_empty());
}

#[test]
fn t5_streams_and_upgrades_are_asked_the_same() {
    let _attack = Attack::named("t5_streams_and_upgrades_are_asked_the_same");
    let site = Site::new();
    let lines = site.log_in().lines();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let evil = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";
    for path in ["/v1/events?follow=true", "/v1/events", "/v1/sessions/a/output/stdout?follow=true"]
    {
        for accept in ["text/event-stream", "application/x-ndjson"] {
            let accept = format!("Accept: {accept}\r\n");
            site.ask("GET", path, &format!("{accept}{lines}{evil}"), b"")
                .assert_problem(403, "foreign_origin");
            site.ask("GET", path, &accept, b"").assert_problem(401, "not_authorized");
        }
        site.ask("GET", path, &format!("{lines}{evil}{upgrade}"), b"")
            .assert_problem(403, "foreign_origin");
    }
}

#[test]
fn t6_the_address_of_all_is_none_of_ours() {
    let _attack = Attack::named("t6_the_address_of_all_is_none_of_ours");
    let site = Site::new();
    let port = site.at.port();
    for host in
        [format!("0.0.0.0:{port}"), "0.0.0.0".to_owned(), format!("[::]:{port}"), "0".to_owned()]
    {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        site.raw(head.as_bytes()).assert_problem(421, "misdirected");
    }
    // Source: `proc_net_tcp(5)`: the address in the byte order of the machine, and 0A for who listens.
    let ending = format!(":{port:04X}");
    let mut listens = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[1].ends_with(&ending) && words[3] == "0A" {
                assert_eq!(words[1], format!("0100007F{ending}"), "{line}");
                listens += 1;
            }
        }
    }
    assert_eq!(listens, 1);
}

#[test]
fn t7_an_address_that_others_reach_is_refused_with_78() {
    let _attack = Attack::named("t7_an_address_that_others_reach_is_refused_with_78");
    for address in [
        "0.0.0.0:7077",
        "[::]:7077",
        "192.168.1.2:7077",
        "127.0.0.2:7077",
        "localhost:7077",
        ":7077",
        "",
    ] {
        let place = Place::new();
        place.configure(&format!("[web]\nlisten = \"{address}\""));
        let said = place.run(["daemon", "run"]).expect(78);
        said.because(&["127.0.0.1 or [::1]", "ssh -L"]);
    }
    let place = Place::new();
    place.configure("[web]\nlisten = \"127.0.0.1:0\"");
    place.run(["daemon", "start"]).expect(0);
    let site = Site::of(place);
    assert!(site.at.ip().is_loopback());
}
