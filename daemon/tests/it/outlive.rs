//! A session goes on whatever becomes of the daemon, and its true end is known.

use std::fs;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Place, Running, agent, assert_chain, end, kernel, user, words};

/// How long a daemon may take to reap what has fallen to it.
const REAPED_WITHIN: Duration = Duration::from_secs(20);

/// How a daemon may go: as if it had crashed, when it is asked, and at its signals.
const WAYS: [fn(&Place); 4] = [
    Place::kill_daemon,
    |place| drop(place.run(["daemon", "stop"]).expect(0)),
    |place| place.end_daemon(Signal::TERM),
    |place| place.end_daemon(Signal::INT),
];

/// Launches an agent that waits to be told to go on, and then does this. Returns its id, and what
/// tells it.
fn launch_waiting(place: &Place, then: &[&str]) -> (String, std::path::PathBuf) {
    let (ready, go) = (place.fifo("ready"), place.fifo("go"));
    let script = words!["--ready", &ready, "--await", &go].into_iter();
    let id = place.launch(agent(script.chain(then.iter().map(Into::into))));
    fs::read(ready).unwrap();
    place.await_running(&id);
    (id, go)
}

#[test]
fn a_session_goes_on_without_the_daemon_and_is_interrupted_by_the_next() {
    for leave in WAYS {
        let place = Place::new();
        let ready = place.fifo("ready");
        let id = place.launch(agent(words!["--on", "INT=exit:0", "--ready", &ready, "--hang"]));
        fs::read(ready).unwrap();
        place.await_running(&id);
        leave(&place);
        place.run(["daemon", "start"]).expect(0);
        let session = place.session(&id);
        assert_eq!((&session["status"], &session["revision"]), (&"running".into(), &2.into()));

        place.run(["interrupt", &id]).expect(0);
        let ended = place.end_of(&id);
        assert_eq!(
            (&ended["status"], &ended["outcome"], &ended["exit"]),
            (&"completed".into(), &"interrupted".into(), &json!({"code": 0}))
        );
        assert_eq!(ended["intent"]["by"], user());
        assert_chain(&place.story(&id));
    }
}

#[test]
fn an_exit_while_no_daemon_runs_is_known_to_the_last_bit() {
    for (end, exit) in [
        (["--exit", "0"], json!({"code": 0})),
        (["--exit", "7"], json!({"code": 7})),
        (["--exit", "137"], json!({"code": 137})),
        (["--die", "9"], json!({"signal": "SIGKILL", "core_dumped": false})),
    ] {
        for leave in WAYS {
            let place = Place::new();
            let held = place.fifo("held");
            let then = ["--hold", held.to_str().unwrap(), "--print", "late", end[0], end[1]];
            let (id, go) = launch_waiting(&place, &then);
            leave(&place);
            fs::write(&go, "go\n").unwrap();
            // It holds its end open for as long as it lives.
            fs::read(held).unwrap();
            let ended = place.end_of(&id);
            assert_eq!(ended["exit"], exit, "{ended}");
            assert_eq!(ended["evidence"]["witness"], "parent");
            assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "late\n");
            assert_chain(&place.story(&id));
        }
    }
}

#[test]
fn only_sessions_that_are_to_be_stopped_are_stopped_with_the_daemon() {
    let place = Place::new();
    let id = place.launch(agent(["--hang"]));
    place.await_running(&id);
    let said = place.run(["daemon", "stop"]).expect(0);
    assert!(said.stdout().contains("1 session goes on"), "{said:?}");
    assert!(!place.home().join("candor.sock").exists());
    // Without a daemon there is nobody who could stop it, and so there will be one.
    let said = place.run(["daemon", "stop", "--sessions"]).expect(0);
    assert!(!said.stdout().contains("goes on"), "{said:?}");
    let session = place.session(&id);
    assert_eq!(
        (&session["outcome"], &session["intent"]["kind"]),
        (&"interrupted".into(), &"shutdown".into())
    );
}

#[test]
fn a_launch_that_is_under_way_when_the_daemon_leaves_comes_through() {
    for _ in 0..10 {
        let place = Place::new();
        place.run(["daemon", "start"]).expect(0);
        let words = || words!["run", "-d", "--"].into_iter().chain(agent(["--hang"]));
        let launches: Vec<_> = (0..8).map(|_| place.start(words())).collect();
        place.end_daemon(Signal::TERM);
        for launch in launches {
            // Those that came too late were told so, or have started the next one.
            let _said = launch.finish();
        }
        for session in place.sessions() {
            assert_eq!(session["status"], "running", "{session}");
        }
    }
}

/// Reads all that a program says from now on.
fn rest_of(running: Running, code: i32) -> String {
    running.finish().expect(code).stdout().to_owned()
}

#[test]
fn those_who_watch_see_each_byte_once_whatever_becomes_of_the_daemon() {
    for leave in WAYS {
        let place = Place::new();
        let go = place.fifo("go");
        let script = words!["--lines", "2000", "--await", &go, "--lines", "2000", "--exit", "3"];
        let mut run =
            place.start(words!["run", "--title", "it", "--"].into_iter().chain(agent(script)));
        assert_eq!(run.line(), "line 1");
        let id = place.titled("it");
        let mut logs = place.start(["logs", "-f", &id]);
        assert_eq!(logs.line(), "line 1");
        let wait = place.start(["wait", &id]);
        leave(&place);
        place.run(["daemon", "start"]).expect(0);
        leave(&place);
        fs::write(go, "go\n").unwrap();
        place.run(["daemon", "start"]).expect(0);
        let expected: String =
            (2..=2_000).chain(1..=2_000).map(|line| format!("line {line}\n")).collect();
        assert_eq!(rest_of(run, 3), expected);
        assert_eq!(rest_of(logs, 0), expected);
        assert_eq!(rest_of(wait, 3), format!("{id} failed exit_code\n"));
    }
}

#[test]
fn whoever_watches_starts_the_daemon_that_was_killed_and_waits_for_the_one_that_was_stopped() {
    let place = Place::new();
    let (id, go) = launch_waiting(&place, &["--exit", "3"]);
    let wait = place.start(["wait", &id]);
    let mut run = place.start(
        words!["run", "--title", "other", "--"]
            .into_iter()
            .chain(agent(["--ready", "-", "--hang"])),
    );
    assert_eq!(run.line(), "ready");
    let killed = place.daemon();
    place.kill_daemon();
    fs::write(&go, "go\n").unwrap();
    wait.finish().expect(3);
    assert_ne!(place.daemon(), killed);
    place.run(["daemon", "stop"]).expect(0);
    assert!(run.error_line().contains("`candor daemon start`"));
    place.run(["daemon", "status"]).expect(125).because(&["no daemon runs"]);
    // Ctrl-C means the session, so there has to be one that can stop it.
    run.signal(Signal::INT);
    run.finish().expect(130);
    assert_eq!(place.session(&place.titled("other"))["outcome"], "interrupted");
}

#[test]
fn a_session_whose_shim_and_daemon_are_killed_runs_on_and_its_end_is_seen_by_a_handle() {
    let place = Place::new();
    let held = place.fifo("held");
    let (id, go) = launch_waiting(&place, &["--hold", held.to_str().unwrap(), "--exit", "3"]);
    place.kill_daemon();
    end(kernel::shim_of(&id), Signal::KILL);
    place.run(["daemon", "start"]).expect(0);
    let session = place.settled(&id);
    assert_eq!(
        (&session["status"], &session["supervision"]),
        (&"running".into(), &"unsupervised".into())
    );
    fs::write(go, "go\n").unwrap();
    fs::read(held).unwrap();
    let ended = place.end_of(&id);
    match ended["evidence"]["witness"].as_str() {
        Some("handle") => assert_eq!(ended["exit"], json!({"code": 3}), "{ended}"),
        // Before Linux 6.15 a handle does not tell.
        _ => assert_eq!(
            (&ended["status"], &ended["exit"]),
            (&"lost".into(), &Value::Null),
            "{ended}"
        ),
    }
    assert_chain(&place.story(&id));
}

#[test]
fn the_exit_of_a_session_whose_shim_is_killed_is_known_by_its_daemon() {
    for (end_of, exit) in [
        (["--exit", "42"], json!({"code": 42})),
        (["--die", "15"], json!({"signal": "SIGTERM", "core_dumped": false})),
    ] {
        let place = Place::new();
        let (id, go) = launch_waiting(&place, &end_of);
        end(kernel::shim_of(&id), Signal::KILL);
        fs::write(go, "go\n").unwrap();
        let ended = place.end_of(&id);
        assert_eq!(ended["exit"], exit, "{ended}");
        assert_eq!(ended["evidence"]["witness"], "adopter", "{ended}");
        assert_chain(&place.story(&id));
    }
}

#[test]
fn a_shim_that_hangs_holds_up_neither_the_daemon_nor_the_truth() {
    let place = Place::new();
    let (id, go) = launch_waiting(&place, &["--exit", "3"]);
    place.kill_daemon();
    let shim = kernel::shim_of(&id);
    kill_process(shim, Signal::STOP).unwrap();
    place.run(["daemon", "start"]).expect(0);
    let mut status = place.session(&id);
    while status["supervision"] == "reconciling" {
        status = place.session(&id);
    }
    assert_eq!(
        (&status["status"], &status["supervision"]),
        (&"running".into(), &"unreachable".into())
    );
    fs::write(go, "go\n").unwrap();
    kill_process(shim, Signal::CONT).unwrap();
    assert_eq!(place.end_of(&id)["exit"], json!({"code": 3}));
}

#[test]
fn what_a_session_leaves_behind_becomes_no_zombie_of_the_daemon() {
    let place = Place::new();
    let go = place.fifo("go");
    // Those that escape fall to the shim, and then to the daemon.
    let script = "for i in 1 2 3 4 5; do setsid sh -c 'read -r _ < \"$1\"; exit 9' x \"$1\" & done; echo up; exit 0";
    let id = place.launch(words!["sh", "-c", script, "sh", &go]);
    place.run(["wait", &id]).expect(0);
    let daemon = place.daemon();
    let mut left = fs::OpenOptions::new().write(true).open(&go).unwrap();
    std::io::Write::write_all(&mut left, b"go\ngo\ngo\ngo\ngo\n").unwrap();
    drop(left);
    // It is told of each end, and nobody else is told when it has looked.
    // Nobody is told of that. The runner would end this after a minute, and until then it would take a
    // core from the others.
    let begun = Instant::now();
    while !kernel::children(daemon).is_empty() {
        assert!(begun.elapsed() < REAPED_WITHIN, "zombies: {}", kernel::children(daemon));
        yield_now();
    }
}
