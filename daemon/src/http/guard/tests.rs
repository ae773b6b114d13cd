//! Which requests pass, by their heads alone.

use axum::http::Request;
use axum::http::request::Parts;

use super::{bearer, check_address, check_origin, check_type, cookies, needs_credential};

const PORT: u16 = 7077;

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri(uri);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

#[test]
fn only_own_names_with_the_own_port_or_none_pass() {
    for own in [
        "127.0.0.1",
        "127.0.0.1:7077",
        "localhost",
        "localhost:7077",
        "LocalHost:7077",
        "[::1]",
        "[::1]:7077",
    ] {
        assert!(check_address(&head("GET", "/", &[("host", own)]), PORT).is_ok(), "{own}");
    }
    for foreign in [
        "",
        ":7077",
        "attacker.example",
        "attacker.example:7077",
        "localhost.attacker.example",
        "localhost:80@evil",
        "localhost:7077@evil",
        "evil@localhost",
        "localhost:",
        "localhost:8080",
        "localhost:07077",
        "localhost:7077 ",
        "localhost.",
        "0.0.0.0",
        "0.0.0.0:7077",
        "127.1",
        "127.0.0.2",
        "127.0.0.1.nip.io",
        "2130706433",
        "0x7f000001",
        "::1",
        "::1:7077",
        "[::ffff:127.0.0.1]",
        "[::ffff:127.0.0.1]:7077",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
    ] {
        let parts = head("GET", "/", &[("host", foreign)]);
        assert!(check_address(&parts, PORT).is_err(), "{foreign:?}");
    }
    for parts in [
        head("GET", "/", &[]),
        head("GET", "/", &[("host", "localhost"), ("host", "localhost")]),
        head("GET", "http://localhost:7077/", &[("host", "localhost:7077")]),
        head("GET", "http://attacker.example/", &[("host", "localhost:7077")]),
    ] {
        assert!(check_address(&parts, PORT).is_err(), "{parts:?}");
    }
}

#[test]
fn only_the_own_origin_passes_and_none_is_no_reason_to_refuse() {
    let check = |headers: &[(&str, &str)]| {
        let mut all = vec![("host", "127.0.0.1:7077")];
        all.extend(headers);
        check_origin(&head("POST", "/v1/sessions", &all).headers, PORT).is_ok()
    };
    assert!(check(&[]));
    assert!(check(&[("origin", "http://127.0.0.1:7077"), ("sec-fetch-site", "same-origin")]));
    assert!(check(&[("sec-fetch-site", "none")]));
    for origin in [
        "null",
        "",
        "*",
        "https://evil.example",
        "http://evil.example:7077",
        "https://127.0.0.1:7077",
        "http://127.0.0.1",
        "http://127.0.0.1:7078",
        "http://localhost:7077",
        "http://127.0.0.1:7077/",
        "http://127.0.0.1:7077@evil",
        "http://127.0.0.1:7077.evil",
        "HTTP://127.0.0.1:7077",
    ] {
        assert!(!check(&[("origin", origin)]), "{origin}");
    }
    for site in ["cross-site", "same-site", "", "nonsense", "Same-Origin"] {
        assert!(!check(&[("sec-fetch-site", site)]), "{site}");
    }
    let own = ("origin", "http://127.0.0.1:7077");
    assert!(!check(&[own, ("origin", "https://evil.example")]), "two of them");
    assert!(!check(&[own, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]));
}

#[test]
fn everything_but_the_page_and_the_login_needs_a_credential() {
    for (method, path, needed) in [
        ("GET", "/", false),
        ("HEAD", "/", false),
        ("GET", "/assets/page.js", false),
        ("POST", "/v1/web/login", false),
        ("GET", "/v1/web/login", true),
        ("POST", "/", true),
        ("POST", "/assets/page.js", true),
        ("GET", "/assets", true),
        ("GET", "/v1/health", true),
        ("GET", "/v1/sessions", true),
        ("GET", "/metrics", true),
        ("GET", "/nowhere", true),
        ("OPTIONS", "/", true),
        ("POST", "/v1/web/login/", true),
        ("POST", "/v1/web//login", true),
    ] {
        assert_eq!(needs_credential(&head(method, path, &[])), needed, "{method} {path}");
    }
}

#[test]
fn a_body_that_a_form_can_send_is_refused() {
    let check = |path: &str, types: &[&str], length: &str| {
        let types = types.iter().map(|kind| ("content-type", *kind));
        let headers: Vec<_> = types.chain([("content-length", length)]).collect();
        check_type(&head("POST", path, &headers)).is_ok()
    };
    let sessions = "/v1/sessions";
    assert!(check(sessions, &["application/json"], "2"));
    assert!(check(sessions, &[], "0"));
    assert!(!check(sessions, &[], "2"), "no type");
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/json; charset=utf-8",
        "text/plain; application/json",
        "application/octet-stream",
        "APPLICATION/JSON",
        "",
    ] {
        assert!(!check(sessions, &[kind], "2"), "{kind}");
        assert!(!check(sessions, &[kind], "0"), "{kind}");
    }
    assert!(!check(sessions, &["application/json", "text/plain"], "2"));
    // Who announces nothing sends nothing, and who announces pieces sends some.
    assert!(check_type(&head("POST", sessions, &[])).is_ok());
    assert!(check_type(&head("POST", sessions, &[("transfer-encoding", "chunked")])).is_err());
    let input = "/v1/sessions/a/input";
    assert!(check(input, &["application/octet-stream"], "1"));
    assert!(!check(input, &["text/plain"], "1"));
}

#[test]
fn secrets_are_found_where_they_belong_alone() {
    let parts = head("GET", "/", &[("authorization", "Bearer abc")]);
    assert_eq!(bearer(&parts.headers), Some("abc"));
    for headers in [
        &[][..],
        &[("authorization", "Basic abc")],
        &[("authorization", "abc")],
        &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
    ] {
        assert_eq!(bearer(&head("GET", "/?token=abc", headers).headers), None, "{headers:?}");
    }
    let line = "a=1; candor_7077=one;candor_7078=other; xcandor_7077=x";
    let parts = head("GET", "/", &[("cookie", line), ("cookie", "candor_7077=two")]);
    assert_eq!(cookies(&parts.headers, PORT), ["one", "two"]);
    let many = "candor_7077=x;".repeat(100);
    assert_eq!(cookies(&head("GET", "/", &[("cookie", &many)]).headers, PORT).len(), 8);
}
