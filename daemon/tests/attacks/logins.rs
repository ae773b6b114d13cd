//! Credentials: got at, guessed, taken along, kept too long.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shown::Attack;
use crate::site::{Login, Site, launch, read};
use crate::support::{Place, Said, kernel};

/// Checks that none of the secrets is in a file below `folder`. Returns how many were looked at.
#[track_caller]
fn search(folder: &Path, secrets: &[&str]) -> usize {
    let mut searched = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            searched += search(&path, secrets);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            for secret in secrets {
                assert!(!kernel::contains(&bytes, secret.as_bytes()), "in {}", path.display());
            }
            searched += 1;
        }
    }
    searched
}

#[test]
fn t8_no_secret_that_lasts_is_in_a_log_a_file_or_a_command_line() {
    let _attack = Attack::named("t8_no_secret_that_lasts_is_in_a_log_a_file_or_a_command_line");
    let place = Place::new();
    place.configure("log = \"trace\"");
    let site = Site::of(place);
    let code = site.code();
    let login = site.log_in_with(&code, "").unwrap();
    let said = site.place.run(["token", "add", "script"]).expect(0);
    let token = said.stdout().trim().to_owned();
    let cookie = login.cookie.split_once('=').unwrap().1;
    // As a browser is started; the code is in its command line, and is worth nothing to those who see
    // it there: another user is not let in (t11), and neither is a session (t27).
    let started = site.place.path("started");
    let shown = site.place.path("xdg-open");
    fs::write(&shown, format!("#!/bin/sh\ncat /proc/$$/cmdline > {}\n", started.display()))
        .unwrap();
    fs::set_permissions(&shown, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut candor = site.place.candor(["open"]);
    let path = format!("{}:/usr/bin:/bin", site.place.folder().display());
    candor.env("PATH", path).env("DISPLAY", ":0").env_remove("WAYLAND_DISPLAY");
    Said::by(candor).expect(0);
    let line = fs::read_to_string(&started).unwrap();
    let (_, seen) = line.trim_end_matches('\0').split_once("#code=").unwrap();
    let opened = site.log_in_with(seen, "").unwrap();
    // In every place of a request, right or wrong.
    for path in ["/v1/sessions".to_owned(), format!("/v1/sessions?q={}", login.page)] {
        site.ask("GET", &path, &login.lines(), b"");
    }
    site.ask("GET", &format!("/v1/sessions?token={token}&code={code}"), "", b"");
    site.ask("GET", "/v1/sessions", &format!("Authorization: Bearer {token}\r\n"), b"");
    let body = launch();
    let lines = format!("{}Content-Type: application/json\r\n", login.lines());
    assert_eq!(site.ask("POST", "/v1/sessions", &lines, body.as_bytes()).status, 201);
    let secrets =
        [&code[..], seen, &login.page, cookie, &opened.page, &token, &token["candor_".len()..]];
    for pid in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let line = fs::read(pid.path().join("cmdline")).unwrap_or_default();
        for secret in secrets {
            assert!(!kernel::contains(&line, secret.as_bytes()), "{}", pid.path().display());
        }
    }
    assert!(search(&site.place.home(), &secrets) > 5);
    let listed = site.place.run(["token", "ls", "--json"]).expect(0);
    assert!(secrets.iter().all(|secret| !listed.stdout().contains(secret)));
    site.place.run(["daemon", "stop"]).expect(0);
    assert!(search(&site.place.home(), &secrets) > 5);
}

#[test]
fn t8_a_code_that_is_used_twice_lets_nobody_in() {
    let _attack = Attack::named("t8_a_code_that_is_used_twice_lets_nobody_in");
    let site = Site::new();
    let other = site.log_in();
    let code = site.code();
    // Whoever of the two was first: it is not known which of them is the user.
    let login = site.log_in_with(&code, "").unwrap();
    assert_eq!(site.ask("GET", "/v1/health", &login.lines(), b"").status, 200);
    assert!(site.log_in_with(&code, "").is_none());
    site.ask("GET", "/v1/health", &login.lines(), b"").assert_problem(401, "not_authorized");
    assert_eq!(site.ask("GET", "/v1/health", &other.lines(), b"").status, 200);
    for wrong in ["", "0", &"0".repeat(64), &login.page] {
        assert!(site.log_in_with(wrong, "").is_none());
    }
}

#[test]
fn t8_a_browser_is_started_with_an_argument_and_no_shell() {
    let _attack = Attack::named("t8_a_browser_is_started_with_an_argument_and_no_shell");
    let place = Place::new();
    let opener = place.path("xdg-open");
    fs::write(&opener, "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$@\" > \"$0.called\"\n").unwrap();
    fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut candor = place.candor(["open"]);
    let path = format!("{}:/usr/bin:/bin", place.folder().display());
    candor.env("PATH", path).env("DISPLAY", ":0").env_remove("WAYLAND_DISPLAY");
    let said = Said::by(candor).expect(0);
    assert!(!said.stdout().contains("code="), "{}", said.stdout());
    let called = fs::read_to_string(place.path("xdg-open.called")).unwrap();
    let words: Vec<&str> = called.lines().collect();
    assert_eq!((words.len(), words[0]), (2, "1"), "{called}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.#=".contains(&byte);
    assert!(words[1].starts_with("http://127.0.0.1:") && words[1].bytes().all(plain), "{called}");
    // Where there is no screen, or nothing that opens anything, the address is printed.
    let mut candor = place.candor(["open"]);
    candor.env("PATH", "/nowhere").env("DISPLAY", ":0");
    assert!(Said::by(candor).expect(0).stdout().contains("#code="));
    let mut candor = place.candor(["open"]);
    candor.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    assert!(Said::by(candor).expect(0).stdout().contains("#code="));
}

#[test]
fn t9_who_guesses_is_told_to_wait_and_keeps_nobody_out() {
    let _attack = Attack::named("t9_who_guesses_is_told_to_wait_and_keeps_nobody_out");
    let site = Site::new();
    let login = site.log_in();
    let guess = format!(
        "GET /v1/health HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        site.host(),
        "0".repeat(64)
    );
    // All at once, so that a second is enough for more than ten wherever it begins.
    let mut stream = site.connect();
    stream.write_all(guess.repeat(100).as_bytes()).unwrap();
    stream
        .write_all(
            format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", site.host())
                .as_bytes(),
        )
        .unwrap();
    let answers = read(stream).unwrap();
    let text = format!(
        "{}\r\n\r\n{}",
        answers.head,
        String::from_utf8_lossy(&answers.body).to_lowercase()
    );
    let (refused, slowed) =
        (text.matches("http/1.1 401").count(), text.matches("http/1.1 429").count());
    assert_eq!(refused + slowed, 100);
    assert!(slowed > 0 && refused >= 10, "{refused} refused, {slowed} told to wait");
    assert_eq!(site.ask("GET", "/v1/health", &login.lines(), b"").status, 200);
    let token = site.place.run(["token", "add", "a"]).expect(0);
    let secret = token.stdout().trim().strip_prefix("candor_").unwrap();
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn t10_a_cookie_alone_opens_nothing_and_neither_does_a_token_without_it() {
    let _attack =
        Attack::named("t10_a_cookie_alone_opens_nothing_and_neither_does_a_token_without_it");
    let site = Site::new();
    let (one, other) = (site.log_in(), site.log_in());
    let body = launch();
    // Another port of this machine reads the cookie, and sets what it likes.
    for lines in [
        format!("Cookie: {}\r\n", one.cookie),
        format!("Cookie: {}\r\nAuthorization: Bearer x\r\n", one.cookie),
        format!("Authorization: Bearer {}\r\n", one.page),
        Login { page: one.page.clone(), cookie: other.cookie.clone() }.lines(),
        Login { page: one.page.clone(), cookie: one.cookie.replace("candor_", "other_") }.lines(),
    ] {
        let lines = format!("{lines}Content-Type: application/json\r\n");
        for (method, body) in [("GET", ""), ("POST", &body[..])] {
            let reply = site.ask(method, "/v1/sessions", &lines, body.as_bytes());
            assert!([401, 429].contains(&reply.status), "{reply:?}");
        }
    }
    assert!(site.sessions().is_empty());
    let both =
        Login { page: one.page, cookie: format!("candor_{}=x; {}", site.at.port(), one.cookie) };
    assert_eq!(site.ask("GET", "/v1/sessions", &both.lines(), b"").status, 200);
    let set = site.ask("GET", "/", "", b"");
    assert!(!set.head.contains("set-cookie"), "{set:?}");
}

#[test]
fn t10_a_token_of_a_script_does_what_it_is_for() {
    let _attack = Attack::named("t10_a_token_of_a_script_does_what_it_is_for");
    let site = Site::new();
    let token = |words: &[&str]| {
        let said = site.place.run(["token", "add"].iter().chain(words)).expect(0);
        format!(
            "Authorization: Bearer {}\r\nContent-Type: application/json\r\n",
            said.stdout().trim()
        )
    };
    let (full, looks) = (token(&["full"]), token(&["looks", "--read-only"]));
    let body = launch();
    assert_eq!(site.ask("GET", "/v1/sessions", &looks, b"").status, 200);
    site.ask("POST", "/v1/sessions", &looks, body.as_bytes()).assert_problem(403, "read_only");
    assert!(site.sessions().is_empty());
    assert_eq!(site.ask("POST", "/v1/sessions", &full, body.as_bytes()).status, 201);
    // Nothing that comes over TCP makes further credentials.
    for (method, path) in [
        ("POST", "/v1/web/open"),
        ("GET", "/v1/web/tokens"),
        ("POST", "/v1/web/tokens"),
        ("DELETE", "/v1/web/tokens/full"),
    ] {
        site.ask(method, path, &full, b"{\"name\":\"more\"}").assert_problem(403, "socket_only");
    }
    site.place.run(["token", "add", "full"]).expect(125).because(&["token of the name full"]);
    site.place.run(["token", "rm", "nobody"]).expect(125).because(&["no token of the name nobody"]);
}

#[test]
fn t28_a_stranger_at_the_port_is_told_nothing_and_gains_nothing() {
    let _attack = Attack::named("t28_a_stranger_at_the_port_is_told_nothing_and_gains_nothing");
    let site = Site::new();
    let login = site.log_in();
    site.place.run(["daemon", "stop"]).expect(0);
    let squatter = TcpListener::bind(site.at).unwrap();
    squatter.set_nonblocking(true).unwrap();
    for words in [&["ls"][..], &["daemon", "status"], &["token", "ls"]] {
        site.place.run(words).expect(0);
    }
    let said = site.place.run(["open", "--print"]).expect(0);
    assert!(!said.stdout().contains(&site.host()), "another port: {}", said.stdout());
    assert!(squatter.accept().is_err(), "nobody has connected");
    drop(squatter);
    // Whoever was there may have been shown what open pages went on sending.
    let (_, rest) = said.stdout().trim().split_once("http://").unwrap();
    let at = rest.split_once('/').unwrap().0.parse().unwrap();
    let moved = Site { place: site.place, at };
    let name = login.cookie.split_once('=').unwrap().0;
    let cookie = login.cookie.replace(name, &format!("candor_{}", at.port()));
    let login = Login { cookie, ..login };
    moved.ask("GET", "/v1/health", &login.lines(), b"").assert_problem(401, "not_authorized");
}

/// Reads until the end, and says how long that took, or `None` when nothing came to it.
fn time_to_end(mut stream: TcpStream, since: Instant) -> Duration {
    let mut bytes = [0; 4096];
    while !matches!(stream.read(&mut bytes), Ok(0) | Err(_)) {}
    since.elapsed()
}

#[test]
fn t31_what_is_taken_back_ends_within_a_second() {
    let _attack = Attack::named("t31_what_is_taken_back_ends_within_a_second");
    let site = Site::new();
    let logins: Vec<Login> = (0..3).map(|_| site.log_in()).collect();
    let streams: Vec<(TcpStream, String)> =
        logins.iter().flat_map(|login| (0..4).map(|_| site.follow(&login.lines()))).collect();
    assert!(streams.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")));
    let token = site.place.run(["token", "add", "script"]).expect(0);
    let token = format!("Authorization: Bearer {}\r\n", token.stdout().trim());
    let (by_token, _) = site.follow(&token);
    let begun = Instant::now();
    site.place.run(["logout"]).expect(0);
    for (stream, _) in streams {
        let ended = time_to_end(stream, begun);
        assert!(ended < Duration::from_secs(1), "{ended:?}");
    }
    for login in &logins {
        site.ask("GET", "/v1/health", &login.lines(), b"").assert_problem(401, "not_authorized");
    }
    assert_eq!(site.ask("GET", "/v1/health", &token, b"").status, 200, "the script's is another");
    let begun = Instant::now();
    site.place.run(["token", "rm", "script"]).expect(0);
    assert!(time_to_end(by_token, begun) < Duration::from_secs(1));
    site.ask("GET", "/v1/health", &token, b"").assert_problem(401, "not_authorized");
}

#[test]
fn t31_a_logout_by_the_page_itself_is_answered() {
    let _attack = Attack::named("t31_a_logout_by_the_page_itself_is_answered");
    let site = Site::new();
    let (login, other) = (site.log_in(), site.log_in());
    let (stream, _) = site.follow(&other.lines());
    let begun = Instant::now();
    // As browsers send it: without a body, and without its length or type.
    let reply = site.ask_without_body("POST", "/v1/web/logout", &login.lines());
    assert_eq!((reply.status, reply.json()["ended"].as_u64()), (200, Some(2)), "{reply:?}");
    assert!(time_to_end(stream, begun) < Duration::from_secs(1));
    for login in [login, other] {
        site.ask("GET", "/v1/health", &login.lines(), b"").assert_problem(401, "not_authorized");
    }
}

#[test]
fn t31_what_has_not_come_whole_when_its_credential_is_taken_back_is_not_done() {
    let _attack =
        Attack::named("t31_what_has_not_come_whole_when_its_credential_is_taken_back_is_not_done");
    let site = Site::new();
    let (login, body) = (site.log_in(), launch());
    let (begun, rest) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\
         Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        site.host(),
        login.lines(),
        body.len()
    );
    let mut stream = site.connect();
    stream.write_all(head.as_bytes()).unwrap();
    // It is being read by now.
    let mut line = [0; 25];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(begun.as_bytes()).unwrap();
    site.place.run(["logout"]).expect(0);
    let _refused = stream.write_all(rest.as_bytes());
    assert!(read(stream).is_none_or(|reply| reply.status == 400));
    assert!(site.sessions().is_empty());
}

#[test]
fn t31_a_stream_ends_when_its_login_has_had_its_time() {
    let _attack = Attack::named("t31_a_stream_ends_when_its_login_has_had_its_time");
    const LEFT: Duration = Duration::from_secs(6);

    let site = Site::new();
    let login = site.log_in();
    site.place.run(["daemon", "stop"]).expect(0);
    // As if it were from a month ago, but for a few seconds.
    let file = site.place.home().join("logins.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let expires_at = jiff::Timestamp::now() + LEFT;
    kept["logins"][0]["expires_at"] = json!(expires_at);
    fs::write(&file, kept.to_string()).unwrap();
    site.place.run(["daemon", "start"]).expect(0);
    site.code();
    let (stream, head) = site.follow(&login.lines());
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    time_to_end(stream, Instant::now());
    let ended_at = jiff::Timestamp::now();
    assert!(ended_at >= expires_at, "it ended before its time");
    assert!(ended_at.duration_since(expires_at) < jiff::SignedDuration::from_secs(10));
    site.ask("GET", "/v1/health", &login.lines(), b"").assert_problem(401, "not_authorized");
}

#[test]
fn t31_a_page_goes_on_with_the_next_daemon_and_not_after_a_logout() {
    let _attack = Attack::named("t31_a_page_goes_on_with_the_next_daemon_and_not_after_a_logout");
    let site = Site::new();
    let login = site.log_in();
    let works = || site.ask("GET", "/v1/health", &login.lines(), b"").status == 200;
    for is_killed in [false, true] {
        if is_killed {
            site.place.kill_daemon();
        } else {
            site.place.run(["daemon", "stop"]).expect(0);
        }
        site.place.run(["daemon", "start"]).expect(0);
        // By the time that it is asked for again it listens, and at the same port.
        site.code();
        assert!(works(), "killed: {is_killed}");
    }
    site.place.run(["logout"]).expect(0);
    site.place.run(["daemon", "stop"]).expect(0);
    site.place.run(["daemon", "start"]).expect(0);
    site.code();
    assert!(!works());
}
