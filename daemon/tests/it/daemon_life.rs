//! `candor daemon`: run, start, status, stop, and what each means for the sessions.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Place, Running, agent, assert_chain, assert_time, user, words};

/// Launches an agent that says when it is interrupted and ends only when it is told to. Returns
/// its id, and the fifos by which it says so and is told.
fn reluctant(place: &Place) -> (String, std::path::PathBuf, std::path::PathBuf) {
    let (ready, asked, go) = (place.fifo("ready"), place.fifo("asked"), place.fifo("go"));
    place.fifo("never");
    // A shell hears a signal at once only while it waits for what runs beside it.
    let script = "trap 'kill $!; echo > asked; read -r _ < go; exit 8' INT; echo > ready; \
                  cat never & wait; exit 9";
    let id = place.launch_with(["--grace", "1h,1h"], ["sh", "-c", script]);
    fs::read(ready).unwrap();
    (id, asked, go)
}

/// Starts a daemon in front and waits until it serves.
fn run_in_front(place: &Place) -> Running {
    let mut daemon = place.start(["daemon", "run"]);
    while !daemon.error_line().contains("the daemon serves") {}
    daemon
}

#[test]
fn status_stop_and_completions_never_start_one() {
    let place = Place::new();
    place.run(["daemon", "status"]).expect(125).because(&["no daemon runs", "candor daemon start"]);
    place.run(["daemon", "status", "--json"]).expect(125);
    assert_eq!(place.run(["daemon", "stop"]).expect(0).stdout(), "no daemon runs\n");
    place.run(["completions", "bash"]).expect(0);
    place.run(["--help"]).expect(0);
    place.run(["--version"]).expect(0);
    assert!(!place.home().exists(), "nothing was made");
}

#[test]
fn it_is_started_in_the_background_once() {
    let place = Place::new();
    let first = place.run(["daemon", "start"]).expect(0);
    let pid = place.daemon().as_raw_nonzero();
    let home = place.home().display().to_string();
    assert_eq!(first.stdout(), format!("the daemon runs (pid {pid}) in {home}\n"));
    assert_eq!(place.run(["daemon", "start"]).expect(0).stdout(), first.stdout());
    assert_eq!(place.daemon().as_raw_nonzero(), pid);
}

#[test]
fn status_tells_pid_version_and_counts() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    place.run(["run", "--", "true"]).expect(0);
    place.run(["run", "--", "false"]).expect(1);
    place.await_running(&live);
    let said = place.run(["daemon", "status"]).expect(0);
    let pid = place.daemon().as_raw_nonzero().get();
    let version = env!("CARGO_PKG_VERSION");
    assert!(said.stdout().starts_with(&format!("candor {version} (pid {pid}) in ")), "{said:?}");
    let mut status = place.run(["daemon", "status", "--json"]).expect(0).json();
    assert_time(&status.as_object_mut().unwrap().remove("started_at").unwrap());
    let expected = json!({
        "pid": pid, "version": version, "home": place.home().to_str(), "stopping": false,
        "reconciling": 0, "last_seq": 8, "last_backup": null, "sessions": {
            "queued": 0, "starting": 0, "running": 1, "waiting_input": 0, "completing": 0,
            "completed": 1, "failed": 1, "lost": 0,
        },
    });
    assert_eq!(status, expected);
    place.run(["kill", &live]).expect(0);
}

#[test]
fn stop_with_sessions_interrupts_them_and_waits_for_their_ends() {
    let place = Place::new();
    let (reluctant, asked, go) = reluctant(&place);
    let quick = place.launch(agent(["--hang"]));
    let mut stop = place.start(["daemon", "stop", "--sessions"]);
    fs::read(asked).unwrap();
    // It waits for the ladder, and meanwhile everything but a launch goes on.
    let status = place.run(["daemon", "status", "--json"]).expect(0).json();
    assert_eq!(status["stopping"], true);
    place.run(["run", "-d", "--", "true"]).expect(125).because(&["the daemon is stopping"]);
    place.run(["run", "--", "true"]).expect(125).because(&["the daemon is stopping"]);
    assert_eq!(place.session(&reluctant)["status"], "completing");
    fs::write(go, "go\n").unwrap();
    assert!(stop.line().starts_with("the daemon has left (pid "));
    stop.finish().expect(0);
    assert!(!place.home().join("candor.sock").exists());
    place.run(["daemon", "status"]).expect(125);
    // What was refused has left no trace.
    assert_eq!(place.sessions().len(), 2);
    for (id, exit) in [
        (reluctant, json!({"code": 8})),
        (quick, json!({"signal": "SIGINT", "core_dumped": false})),
    ] {
        let session = place.session(&id);
        assert_eq!(session["status"], "completed");
        assert_eq!((&session["outcome"], &session["exit"]), (&"interrupted".into(), &exit));
        assert_eq!(session["intent"]["kind"], "shutdown");
        assert_eq!(session["intent"]["by"], user());
        assert_chain(&place.story(&id));
    }
}

#[test]
fn a_signal_in_the_midst_of_that_kills_what_does_not_end() {
    let place = Place::new();
    let daemon = run_in_front(&place);
    let ready = place.fifo("ready");
    let stubborn = agent(words!["--ignore", "INT", "--ready", &ready, "--hang"]);
    let id = place.launch_with(["--grace", "1h,1h"], stubborn);
    fs::read(ready).unwrap();
    let mut events = place.follow_events();
    let stop = place.start(["daemon", "stop", "--sessions"]);
    events.value(|event| event["to"] == "completing");
    daemon.signal(Signal::INT);
    daemon.finish().expect(0);
    stop.finish().expect(0);
    let session = place.session(&id);
    assert_eq!(session["outcome"], "interrupted");
    assert_eq!(session["intent"]["kind"], "shutdown");
    assert_eq!(session["exit"]["signal"], "SIGKILL");
}

#[test]
fn a_terminal_that_goes_away_takes_no_daemon_along() {
    let place = Place::new();
    let daemon = run_in_front(&place);
    let go = place.fifo("go");
    let id = place.launch(agent(words!["--await", &go, "--exit", "5"]));
    daemon.signal(Signal::HUP);
    fs::write(go, "go\n").unwrap();
    place.run(["wait", &id]).expect(5);
    place.run(["daemon", "stop"]).expect(0);
    daemon.finish().expect(0);
}

#[test]
fn a_second_daemon_on_the_same_home_leaves_with_3_and_names_the_first() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let pid = place.daemon().as_raw_nonzero().to_string();
    let said = place.run(["daemon", "run"]).expect(3);
    said.because(&["another daemon", &pid, "candor daemon stop"]);
    assert_eq!(place.daemon().as_raw_nonzero().to_string(), pid, "the first is not disturbed");
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn a_stop_and_a_start_change_nothing_of_what_has_ended() {
    let place = Place::new();
    for command in [&["true"][..], &["false"], &["no-such-program"]] {
        place.run(["run", "--"].iter().chain(command));
    }
    let id = place.launch(["echo", "kept"]);
    place.run(["wait", &id]).expect(0);
    let look = |place: &Place| -> (Vec<Value>, Vec<Value>, Vec<u8>) {
        (place.sessions(), place.events([""; 0]), place.run(["logs", &id]).expect(0).output)
    };
    let before = look(&place);
    place.run(["daemon", "stop"]).expect(0);
    assert_eq!(look(&place), before);
    place.kill_daemon();
    assert_eq!(look(&place), before);
}

#[test]
fn every_verb_but_those_starts_one() {
    let place = Place::new();
    for (words, code) in [
        (&["ls"][..], 0),
        (&["events"], 0),
        (&["run", "--", "true"], 0),
        (&["show", "zz"], 125),
        (&["logs", "zz"], 125),
        (&["wait", "zz"], 125),
        (&["interrupt", "zz"], 125),
        (&["kill", "zz"], 125),
        (&["rm", "zz"], 125),
        (&["prune", "--older", "1d"], 0),
        (&["daemon", "start"], 0),
    ] {
        place.run(words).expect(code);
        place.end_daemon(Signal::TERM);
    }
}
