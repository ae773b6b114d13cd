//! The agent itself: it runs as the user, and has the socket at hand.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::shown::Attack;
use crate::site::Site;
use crate::support::kernel::shim_of;
use crate::support::{Place, agent};

/// The name of a message.
const MESSAGE: &str = "00000000-0000-0000-0000-000000000001";

/// How long the daemon may take to notice that a shim is gone before a test takes it for hung.
const NOTICED_MAX: Duration = Duration::from_secs(60);

/// What candor says, and with which exit code, to whoever is inside.
const INSIDE: &str = "77";

/// A fifo that somebody inside a session tells its findings by.
struct Ear(PathBuf);

impl Ear {
    fn new(place: &Place, name: &str) -> Self {
        let path = place.path(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        Self(path)
    }

    /// Waits for all that is told.
    fn hear(&self) -> String {
        let mut text = String::new();
        File::open(&self.0).unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

/// Launches a script in which `$candor` is the program and `$ear` the fifo. It lives until it is ended.
fn launch(place: &Place, ear: &Ear, script: &str) -> String {
    let script = format!(
        "candor={}; ear={}; {script}\nexec sleep 1000",
        env!("CARGO_BIN_EXE_candor"),
        ear.0.display()
    );
    place.launch(["sh", "-c", &script])
}

/// Requests by hand: `ask METHOD PATH [BODY]` prints the status and the type of what is answered.
fn by_hand(place: &Place) -> String {
    let agent = candor_harness::programs::fake_agent().display();
    let socket = place.home().join("candor.sock");
    format!(
        r#"ask() {{
            printf '%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' \
                "$1" "$2" "${{#3}}" "$3" | {agent} --ask {socket} |
                sed -n -e 's/^HTTP.1.1 \([0-9]*\).*/\1/p' -e 's/.*candor:problem:\([a-z_]*\).*/\1/p' | tr '\n' ' '
            printf ' '
        }};"#,
        socket = socket.display()
    )
}

/// Every control that there is, each followed by its exit code. `$1` is a sibling.
const CONTROLS: &str = r#"
    controls() {
        for words in "kill $1" "interrupt $1" "rm $1" "finish $1" "send $1 text" "bypass $1 1m" \
            "open --print" "token add mine" "token rm mine" "logout" "daemon stop" "daemon stop --sessions"
        do
            $candor $words > /dev/null 2>&1
            echo "$? $words"
        done
        $candor run -d -- true > /dev/null 2>&1; echo "$? run"
    }
"#;

/// Checks what came of [`CONTROLS`].
#[track_caller]
fn assert_all_refused(heard: &str) {
    let lines: Vec<&str> = heard.lines().collect();
    assert_eq!(lines.len(), 13, "{heard}");
    for line in lines {
        // Both have exit codes of their own for whatever is refused.
        let has_own = line.ends_with(" run") || line.contains(" rm ") && !line.contains("token");
        let expected = if has_own { "125" } else { INSIDE };
        assert_eq!(line.split(' ').next(), Some(expected), "{heard}");
    }
}

/// Checks that nothing of it was done.
#[track_caller]
fn assert_untouched(place: &Place, sibling: &str, count: usize) {
    assert_eq!(place.session(sibling)["status"], "running");
    assert_eq!(place.sessions().len(), count);
    place.run(["token", "ls"]).expect(0);
}

#[test]
fn t27_no_control_comes_from_inside_a_session() {
    let _attack = Attack::named("t27_no_control_comes_from_inside_a_session");
    let place = Place::new();
    let sibling = place.launch(agent(["--hang"]));
    let ear = Ear::new(&place, "ear");
    let id = launch(&place, &ear, &format!("{CONTROLS} controls {sibling} > $ear"));
    assert_all_refused(&ear.hear());
    assert_untouched(&place, &sibling, 2);
    // It is told, and only so often.
    let session = place.session(&id);
    let notes: Vec<&Value> = session["evidence"]["notes"].as_array().unwrap().iter().collect();
    let refused = |note: &&&Value| note["text"].as_str().unwrap().contains("refused to process");
    let count = notes.iter().filter(refused).count();
    assert!((1..=8).contains(&count), "{notes:?}");
    let log = fs::read_to_string(place.home().join("daemon.log")).unwrap();
    assert!(log.matches("refused: inside a session").count() >= 12, "{log}");
    place.run(["kill", &id]).expect(0);
    assert_eq!(place.end_of(&id)["evidence"]["notes"].as_array().unwrap().len(), notes.len());
}

#[test]
fn t27_neither_forks_nor_sessions_nor_a_clean_environment_lead_out() {
    let _attack = Attack::named("t27_neither_forks_nor_sessions_nor_a_clean_environment_lead_out");
    let place = Place::new();
    let sibling = place.launch(agent(["--hang"]));
    let escapes = [
        // Another program, without the mark.
        "env -i HOME=/ CANDOR_HOME=$CANDOR_HOME sh -c \"$body\" a > $ear",
        // A second fork, whose parent ends at once.
        "( ( env -i CANDOR_HOME=$CANDOR_HOME sh -c \"$body\" a > $ear & ) & )",
        // The same, more often, and in a session of its own each time.
        "setsid -f setsid -f setsid -f env -i CANDOR_HOME=$CANDOR_HOME sh -c \"$body\" a > $ear",
    ];
    for (number, escape) in escapes.iter().enumerate() {
        let ear = Ear::new(&place, &format!("ear{number}"));
        let body =
            format!("candor={}; {CONTROLS} controls {sibling}", env!("CARGO_BIN_EXE_candor"));
        let body = body.replace('\'', "'\\''");
        let script = format!("body='{body}'; {escape}");
        launch(&place, &ear, &script);
        assert_all_refused(&ear.hear());
        assert_untouched(&place, &sibling, 2 + number);
    }
}

#[test]
fn t27_no_spelling_of_a_sibling_is_taken_for_the_session_itself() {
    let _attack = Attack::named("t27_no_spelling_of_a_sibling_is_taken_for_the_session_itself");
    let place = Place::new();
    // Both are found by what their ids begin with, so that it is ambiguous.
    let siblings = [place.launch(agent(["--hang"])), place.launch(agent(["--hang"]))];
    let sibling = &siblings[0];
    let first = sibling.as_bytes()[0];
    let spellings = [
        sibling.clone(),
        format!("%{first:02x}{}", &sibling[1..]),
        format!("{}%{:02x}", &sibling[..35], sibling.as_bytes()[35]),
        // Nobody has it, until somebody has.
        "fffffff".to_owned(),
        // Everybody has it.
        sibling[..4].to_owned(),
    ];
    let ear = Ear::new(&place, "ear");
    let words: Vec<String> = spellings.iter().map(|spelling| format!("'{spelling}'")).collect();
    let script = format!(
        "{} for id in {}; do for verb in interrupt kill finish 'input?message={MESSAGE}' \
         'messages?message={MESSAGE}' continue bypass requests/1; do \
         ask POST /v1/sessions/$id/$verb; echo $id $verb; done; done > $ear",
        by_hand(&place),
        words.join(" ")
    );
    launch(&place, &ear, &script);
    let heard = ear.hear();
    assert_eq!(heard.lines().count(), spellings.len() * 8, "{heard}");
    for line in heard.lines() {
        assert!(line.starts_with("403 inside_a_session "), "{line} of {heard}");
    }
    for sibling in &siblings {
        assert_untouched(&place, sibling, 3);
    }
}

#[test]
fn t27_refusals_fill_neither_the_log_nor_a_session() {
    let _attack = Attack::named("t27_refusals_fill_neither_the_log_nor_a_session");
    let place = Place::new();
    let ear = Ear::new(&place, "ear");
    let script = format!(
        "{} n=0; while [ $n -lt 100 ]; do ask POST /v1/{}; n=$((n + 1)); done > $ear",
        by_hand(&place),
        "x".repeat(8_000)
    );
    let id = launch(&place, &ear, &script);
    assert_eq!(ear.hear(), "403 inside_a_session ".repeat(100));
    let log = fs::read_to_string(place.home().join("daemon.log")).unwrap();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("refused: inside a session")).collect();
    // All of them may have come in one minute, or in two.
    assert!((60..=100).contains(&lines.len()), "{}", lines.len());
    assert!(lines.iter().all(|line| line.len() < 1_000 && !line.contains(&"x".repeat(200))));
    let session = place.session(&id);
    let notes = session["evidence"]["notes"].as_array().unwrap();
    assert!((1..=8).contains(&notes.len()), "{notes:?}");
    assert!(notes.iter().all(|note| note["text"].as_str().unwrap().len() < 500), "{notes:?}");
}

#[test]
fn t23_sessions_do_not_take_the_connections_of_those_outside() {
    let _attack = Attack::named("t23_sessions_do_not_take_the_connections_of_those_outside");
    let place = Place::new();
    let ear = Ear::new(&place, "ear");
    // Requests that nobody answers as long as the session lives, and some more than it has connections.
    let script = format!(
        "{} n=0; exec 9> $ear; while [ $n -lt 70 ]; do \
         {{ answer=$(ask GET /v1/sessions/$CANDOR_SESSION/wait); echo \"$answer\" >&9; }} & \
         n=$((n + 1)); done",
        by_hand(&place)
    );
    let id = launch(&place, &ear, &script);
    let mut heard = BufReader::new(File::open(&ear.0).unwrap()).lines();
    for _ in 0..70 - 64 {
        assert_eq!(heard.next().unwrap().unwrap(), "429 too_many_streams ");
    }
    place.run(["ls"]).expect(0);
    place.run(["kill", &id]).expect(0);
    place.end_of(&id);
    // Their places are free again.
    let (again, script) = (Ear::new(&place, "again"), "$candor show $CANDOR_SESSION > $ear");
    launch(&place, &again, script);
    assert!(again.hear().contains("running"));
}

#[test]
fn t27_a_session_writes_nothing_to_itself() {
    let _attack = Attack::named("t27_a_session_writes_nothing_to_itself");
    let place = Place::new();
    let ear = Ear::new(&place, "ear");
    let script = format!(
        "candor={}; {} for verb in input messages; do ask POST \
         /v1/sessions/$CANDOR_SESSION/$verb?message={MESSAGE} text; \
         echo; done > {}; cat",
        env!("CARGO_BIN_EXE_candor"),
        by_hand(&place),
        ear.0.display()
    );
    let id = place.launch_with(["--stdin"], ["sh", "-c", &script]);
    assert_eq!(ear.hear(), "403 inside_a_session \n403 inside_a_session \n");
    place.run(["send", "--end", &id]).expect(0);
    assert_eq!(place.end_of(&id)["outcome"], "succeeded");
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "");
}

#[test]
fn t27_an_agent_does_not_answer_what_it_asks() {
    let _attack = Attack::named("t27_an_agent_does_not_answer_what_it_asks");
    let place = Place::new();
    let claude = place.path("claude");
    std::os::unix::fs::symlink(candor_harness::programs::fake_agent(), &claude).unwrap();
    place.configure(&format!("[agents]\nclaude = {claude:?}\n"));
    let (go, ear) = (Ear::new(&place, "go"), Ear::new(&place, "ear"));
    // What a tool of it reads in the session's output, and answers as its user would.
    let script = format!(
        r#"{by_hand}
        cat {go} > /dev/null
        exec > {ear}
        it=$({candor} logs --raw $CANDOR_SESSION | sed -n '/can_use_tool/s/.*"request_id":"\([^"]*\)".*/\1/p')
        response='{{"subtype":"success","request_id":"'$it'","response":{{"behavior":"allow","updatedInput":{{}}}}}}'
        for verb in input messages; do
            ask POST "/v1/sessions/$CANDOR_SESSION/$verb?message={MESSAGE}" \
                '{{"type":"control_response","response":'"$response"'}}'
        done
        echo "$it" | wc -w"#,
        by_hand = by_hand(&place),
        go = go.0.display(),
        ear = ear.0.display(),
        candor = env!("CARGO_BIN_EXE_candor"),
    );
    let tool = place.path("tool");
    fs::write(&tool, script).unwrap();
    let canary = place.path("canary");
    let steps = format!("steps:\nbackground sh {}\nask touch {}", tool.display(), canary.display());
    let id = place.run(["claude", "-d", "--", &steps]).expect(0).stdout().trim().to_owned();
    let mut events = place.follow_events();
    events.value(|event| event["session"] == *id && event["cause"] == "request_opened");
    drop(File::create(&go.0).unwrap());
    assert_eq!(ear.hear(), "403 inside_a_session 403 inside_a_session 1\n");
    let session = place.session(&id);
    assert_eq!(session["requests"][0]["state"], "open", "{session}");
    assert!(!canary.exists());
    place.run(["kill", &id]).expect(0);
}

#[test]
fn t27_a_session_may_look_and_stop_itself() {
    let _attack = Attack::named("t27_a_session_may_look_and_stop_itself");
    let place = Place::new();
    let ear = Ear::new(&place, "ear");
    let looks = "for words in ls events \"show $CANDOR_SESSION\" 'daemon status' approvals; do \
                 $candor $words > /dev/null || echo $words; done > $ear; $candor interrupt $CANDOR_SESSION";
    let id = launch(&place, &ear, looks);
    assert_eq!(ear.hear(), "");
    assert_eq!(place.end_of(&id)["outcome"], "interrupted");
}

#[test]
fn t27_a_session_whose_shim_was_killed_is_still_one() {
    let _attack = Attack::named("t27_a_session_whose_shim_was_killed_is_still_one");
    let place = Place::new();
    let sibling = place.launch(agent(["--hang"]));
    let (go, ear) = (Ear::new(&place, "go"), Ear::new(&place, "ear"));
    let wait = format!("cat {} > /dev/null", go.0.display());
    let id = launch(&place, &ear, &format!("{CONTROLS} {wait}; controls {sibling} > $ear"));
    // One that has got away from the process itself, and so falls to the daemon.
    let (far_go, far) = (Ear::new(&place, "far-go"), Ear::new(&place, "far"));
    let body = format!(
        "candor={}; {CONTROLS} cat {} > /dev/null; controls {sibling} > {}",
        env!("CARGO_BIN_EXE_candor"),
        far_go.0.display(),
        far.0.display()
    );
    let body = body.replace('\'', "'\\''");
    let escape =
        format!("body='{body}'; setsid -f env -i CANDOR_HOME=$CANDOR_HOME sh -c \"$body\"");
    let other = launch(&place, &far, &escape);
    // Opening for writing waits until they listen: then both have begun.
    let (one, two) = (File::create(&go.0).unwrap(), File::create(&far_go.0).unwrap());
    for id in [&id, &other] {
        kill_process(shim_of(id), Signal::KILL).unwrap();
    }
    let begun = Instant::now();
    for id in [&id, &other] {
        while place.session(id)["supervision"] == "ok" {
            assert!(begun.elapsed() < NOTICED_MAX, "nobody notices that {id} has no shim");
        }
    }
    drop((one, two));
    assert_all_refused(&ear.hear());
    assert_all_refused(&far.hear());
    assert_untouched(&place, &sibling, 3);
}

#[test]
fn t27_the_next_daemon_knows_who_is_inside() {
    let _attack = Attack::named("t27_the_next_daemon_knows_who_is_inside");
    let place = Place::new();
    let sibling = place.launch(agent(["--hang"]));
    let (go, ear) = (Ear::new(&place, "go"), Ear::new(&place, "ear"));
    let wait = format!("cat {} > /dev/null", go.0.display());
    launch(&place, &ear, &format!("{CONTROLS} {wait}; controls {sibling} > $ear"));
    let begun = File::create(&go.0).unwrap();
    place.kill_daemon();
    place.run(["daemon", "start"]).expect(0);
    drop(begun);
    assert_all_refused(&ear.hear());
    assert_untouched(&place, &sibling, 2);
}

#[test]
fn t27_what_an_ended_session_has_left_is_inside_for_the_next_daemon() {
    let _attack = Attack::named("t27_what_an_ended_session_has_left_is_inside_for_the_next_daemon");
    let place = Place::new();
    let sibling = place.launch(agent(["--hang"]));
    let (go, ear) = (Ear::new(&place, "go"), Ear::new(&place, "ear"));
    let end = Ear::new(&place, "end");
    let body = format!(
        "candor={}; {CONTROLS} {} cat {} > /dev/null; {{ controls {sibling}; \
         ask POST /v1/sessions/$CANDOR_SESSION/kill; echo itself; \
         env -i {} --ask {} < {}; }} > {}",
        env!("CARGO_BIN_EXE_candor"),
        by_hand(&place),
        go.0.display(),
        candor_harness::programs::fake_agent().display(),
        place.home().join("candor.sock").display(),
        place.path("stop").display(),
        ear.0.display()
    );
    let far = place.path("far");
    fs::write(&far, body).unwrap();
    fs::write(
        place.path("stop"),
        "POST /v1/daemon/stop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .unwrap();
    let script = format!(
        "setsid -f sh {} < /dev/null > /dev/null 2>&1; cat {}",
        far.display(),
        end.0.display()
    );
    let id = place.launch(["sh", "-c", &script]);
    let begun = File::create(&go.0).unwrap();
    // Its shim is nobody's child then, and neither is what it leaves.
    place.run(["daemon", "stop"]).expect(0);
    place.run(["daemon", "start"]).expect(0);
    let shim = shim_of(&id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let number = u32::try_from(shim.as_raw_nonzero().get()).unwrap();
        let gone = candor_adapters::process::await_end_of(number);
        drop(File::create(&end.0).unwrap());
        gone.await.unwrap();
    });
    assert_eq!(place.end_of(&id)["outcome"], "succeeded");
    drop(begun);
    let heard = ear.hear();
    let (controls, rest) = heard.split_at(heard.find("403 inside_a_session itself").expect(&heard));
    assert_all_refused(controls);
    assert!(rest.contains("HTTP/1.1 403") && rest.contains("left behind"), "{heard}");
    assert_untouched(&place, &sibling, 2);
}

#[test]
fn t27_nothing_in_a_session_is_a_credential_over_tcp() {
    let _attack = Attack::named("t27_nothing_in_a_session_is_a_credential_over_tcp");
    let site = Site::new();
    let login = site.log_in();
    let ear = Ear::new(&site.place, "ear");
    // All that it has and all that it can read below the home, tried as what it is not.
    let script = format!(
        "for word in $(env; cat $CANDOR_HOME/logins.json | tr -c 'a-z0-9' ' '); do \
         printf 'GET /v1/sessions HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\
         Authorization: Bearer %s\\r\\nCookie: candor_{port}=%s\\r\\n\\r\\n' \"$word\" \"$word\" \
         | {agent} --ask {host} | head -n 1; done > $ear",
        agent = candor_harness::programs::fake_agent().display(),
        host = site.host(),
        port = site.at.port()
    );
    launch(&site.place, &ear, &script);
    let heard = ear.hear();
    assert!(heard.lines().count() > 5, "{heard}");
    assert!(heard.lines().all(|line| line.contains(" 401 ") || line.contains(" 429 ")), "{heard}");
    assert_eq!(site.ask("GET", "/v1/sessions", &login.lines(), b"").status, 200);
}

#[test]
fn t27_a_daemon_that_was_started_inside_another_ones_session_serves_those_beside_it() {
    let _attack = Attack::named(
        "t27_a_daemon_that_was_started_inside_another_ones_session_serves_those_beside_it",
    );
    let (outer, inner) = (Place::new(), Place::new());
    let ear = Ear::new(&outer, "ear");
    let home = inner.home();
    let script = format!(
        "export CANDOR_HOME={}; {{ $candor run -d -- sleep 1000; $candor run -- true; echo $?; }} > $ear",
        home.display()
    );
    let id = launch(&outer, &ear, &script);
    let heard = ear.hear();
    let lines: Vec<&str> = heard.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "0"), "{heard}");
    assert_eq!(inner.session(lines[0])["status"], "running");
    inner.run(["kill", lines[0]]).expect(0);
    outer.run(["kill", &id]).expect(0);
}

#[test]
fn t27_no_code_that_was_seen_in_a_command_line_logs_a_session_in() {
    let _attack = Attack::named("t27_no_code_that_was_seen_in_a_command_line_logs_a_session_in");
    let site = Site::new();
    let (address, host) = (site.at, site.host());
    // What somebody inside has read of a browser's command line.
    let attempt = |escape: &str, number: usize| {
        let ear = Ear::new(&site.place, &format!("login{number}"));
        let body = format!("{{\"code\":\"{}\"}}", site.code());
        let script = format!(
            "{escape} bash -c 'exec 3<>/dev/tcp/{}/{}; printf \"%s\\r\\n\" \"POST /v1/web/login HTTP/1.1\" \
             \"Host: {host}\" \"Connection: close\" \"Content-Type: application/json\" \
             \"Content-Length: {}\" \"\" >&3; printf %s \"$1\" >&3; cat <&3' a '{body}' > $ear",
            address.ip(),
            address.port(),
            body.len()
        );
        launch(&site.place, &ear, &script);
        ear.hear()
    };
    for (number, escape) in ["", "env -i", "setsid -f setsid -f env -i"].iter().enumerate() {
        let heard = attempt(escape, number);
        assert!(heard.starts_with("HTTP/1.1 403"), "{escape}: {heard}");
        assert!(heard.contains("inside_a_session") && !heard.contains("set-cookie"), "{heard}");
    }
    // The same from outside is a login, and no attempt has used a code up.
    let code = site.code();
    assert!(site.log_in_with(&code, "").is_some());
}
