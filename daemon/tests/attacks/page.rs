//! What the page sends by right, to the byte as browsers send it, is done.

use serde_json::{Value, json};

use crate::shown::Attack;
use crate::site::{Login, Site};
use crate::support::agent;

/// The ways in which a client says that there is no body.
const NO_BODY: [&str; 2] = ["", "Content-Length: 0\r\n"];

#[test]
fn t2_what_needs_no_body_is_asked_for_without_one() {
    let _attack = Attack::named("t2_what_needs_no_body_is_asked_for_without_one");
    let site = Site::new();
    let lines = site.log_in().lines();
    for no_body in NO_BODY {
        let ask = |method: &str, path: &str| {
            let reply = site.ask_without_body(method, path, &format!("{lines}{no_body}"));
            assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
            reply
        };
        for verb in ["interrupt", "kill"] {
            let id = site.place.launch(agent(["--hang"]));
            assert_eq!(
                ask("POST", &format!("/v1/sessions/{id}/{verb}")).json()["session"]["id"],
                id
            );
            let ended = site.place.end_of(&id);
            assert_eq!(ended["outcome"], "interrupted", "{ended}");
            assert_eq!(ended["intent"]["kind"], verb, "{ended}");
            ask("DELETE", &format!("/v1/sessions/{id}"));
            assert!(site.place.sessions().iter().all(|session| session["id"] != id));
        }
        let hook = json!({ "url": "http://127.0.0.1:9/", "on": ["all"], "allow_local": true });
        let typed = format!("{lines}Content-Type: application/json\r\n");
        let hook = site.ask("POST", "/v1/hooks", &typed, hook.to_string().as_bytes());
        assert_eq!(hook.status, 201, "{hook:?}");
        let id = hook.json()["id"].as_str().unwrap().to_owned();
        ask("POST", &format!("/v1/hooks/{id}/test"));
        ask("DELETE", &format!("/v1/hooks/{id}"));
        assert_eq!(ask("GET", "/v1/hooks").json(), Value::Array(Vec::new()));
    }
    let reply = site.ask_without_body("POST", "/v1/daemon/stop", &lines);
    assert_eq!((reply.status, &reply.body[..]), (200, &b"stopping\n"[..]));
}

#[test]
fn t31_a_logout_says_how_many_logins_have_ended() {
    let _attack = Attack::named("t31_a_logout_says_how_many_logins_have_ended");
    let site = Site::new();
    for no_body in NO_BODY {
        let logins = [site.log_in(), site.log_in()];
        let lines = format!("{}{no_body}", logins[0].lines());
        let reply = site.ask_without_body("POST", "/v1/web/logout", &lines);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json(), json!({ "ended": 2 }));
    }
}

#[test]
fn t8_a_second_tab_prolongs_the_login_in_the_browser_too() {
    let _attack = Attack::named("t8_a_second_tab_prolongs_the_login_in_the_browser_too");
    let site = Site::new();
    let first = site.log_in();
    let body = json!({ "code": site.code() }).to_string();
    let lines = format!("Content-Type: application/json\r\nCookie: {}\r\n", first.cookie);
    let reply = site.ask("POST", "/v1/web/login", &lines, body.as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    let set: Vec<&str> =
        reply.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
    let expected = format!("{}; path=/; httponly; samesite=strict; max-age=2592000", first.cookie);
    assert_eq!(set, [expected]);
    let page = reply.json()["page_token"].as_str().unwrap().to_owned();
    let second = Login { page, cookie: first.cookie.clone() };
    for login in [first, second] {
        assert_eq!(site.ask("GET", "/v1/health", &login.lines(), b"").status, 200);
    }
}
