//! Ctrl-C on `candor run`, and everything else that may happen to it, which stops no session.

use std::fs;
use std::os::unix::process::CommandExt as _;

use rustix::process::{Signal, kill_process_group};
use serde_json::json;

use crate::support::{Place, Running, agent, assert_chain, user, words};

/// Starts a session in front, waits until it is ready, and returns it with its id.
fn run(place: &Place, options: &[&str], script: &[&str]) -> (Running, String) {
    let script = agent(["--ready", "-"].iter().chain(script));
    let words = words!["run", "--title", "mine"].into_iter();
    let options = options.iter().chain(&["--"]).map(Into::into);
    let mut run = place.start(words.chain(options).chain(script));
    assert_eq!(run.line(), "ready");
    (run, place.titled("mine"))
}

#[test]
fn ctrl_c_interrupts_the_session_whatever_it_answers() {
    for (answer, exit) in [
        ("INT=die", json!({"signal": "SIGINT", "core_dumped": false})),
        ("INT=exit:0", json!({"code": 0})),
        ("INT=exit:1", json!({"code": 1})),
        ("INT=error:1", json!({"code": 1})),
    ] {
        let place = Place::new();
        let (run, id) = run(&place, &[], &["--on", answer, "--hang"]);
        run.signal(Signal::INT);
        let said = run.finish().expect(130);
        said.because(&["Ctrl-C again kills", &format!("interrupted (interrupt by {})", user())]);
        let session = place.session(&id);
        assert_eq!(session["status"], "completed", "{answer}: {session}");
        assert_eq!(session["outcome"], "interrupted");
        assert_eq!(session["exit"], exit);
        assert_eq!(session["intent"]["kind"], "interrupt");
        assert_eq!(session["intent"]["by"], user());
        assert_chain(&place.story(&id));
    }
}

#[test]
fn a_second_ctrl_c_kills() {
    let place = Place::new();
    let (run, id) = run(&place, &["--grace", "1h,1h"], &["--ignore", "INT", "--hang"]);
    let mut events = place.follow_events();
    run.signal(Signal::INT);
    events.value(|event| event["to"] == "completing");
    run.signal(Signal::INT);
    run.finish().expect(130);
    let session = place.session(&id);
    assert_eq!(
        (&session["status"], &session["outcome"]),
        (&"completed".into(), &"interrupted".into())
    );
    assert_eq!(session["intent"]["kind"], "interrupt", "the first intent is the intent");
    assert_eq!(session["exit"]["signal"], "SIGKILL");
    assert_eq!(session["evidence"]["rung"], "kill");
    assert_chain(&place.story(&id));
}

#[test]
fn a_terminal_that_goes_away_leaves_the_session_running() {
    only_ctrl_c_interrupts(Signal::HUP);
}

#[test]
fn a_run_that_is_terminated_leaves_the_session_running() {
    only_ctrl_c_interrupts(Signal::TERM);
}

#[test]
fn a_run_that_is_killed_leaves_the_session_running() {
    only_ctrl_c_interrupts(Signal::KILL);
}

#[track_caller]
fn only_ctrl_c_interrupts(signal: Signal) {
    let place = Place::new();
    let go = place.fifo("go");
    let (run, id) = run(&place, &[], &["--await", go.to_str().unwrap(), "--exit", "7"]);
    run.signal(signal);
    run.dies_of(signal);
    place.await_running(&id);
    assert_eq!(place.session(&id)["status"], "running");
    fs::write(go, "go\n").unwrap();
    assert_eq!(place.run(["wait", &id]).expect(7).stdout(), format!("{id} failed exit_code\n"));
    assert_eq!(place.session(&id)["intent"], json!(null));
}

#[test]
fn what_a_terminal_sends_to_its_whole_job_reaches_the_run_alone() {
    let place = Place::new();
    let go = place.fifo("go");
    let script = agent(words!["--ready", "-", "--await", &go, "--exit", "7"]);
    // This one starts the daemon, too, which must be no part of the job.
    let mut command = place.candor(words!["run", "--"].into_iter().chain(script));
    command.process_group(0);
    let mut run = Running::start(command);
    assert_eq!(run.line(), "ready");
    let daemon = place.daemon();
    kill_process_group(run.pid(), Signal::HUP).unwrap();
    run.dies_of(Signal::HUP);
    fs::write(go, "go\n").unwrap();
    let id = place.sessions()[0]["id"].as_str().unwrap().to_owned();
    place.run(["wait", &id]).expect(7);
    assert_eq!(place.daemon(), daemon);
}

#[test]
fn ctrl_c_works_while_nobody_reads_the_output() {
    let place = Place::new();
    let script = ["--flood", "4000000", "--hang"];
    let (run, id) = run(&place, &[], &script);
    let mut events = place.follow_events();
    // The pipe to us is full, and stays so.
    run.signal(Signal::INT);
    let end = events.value(|event| event["session"] == id.as_str() && event["outcome"].is_string());
    assert_eq!(end["outcome"], "interrupted");
    let said = run.finish().expect(130);
    assert!(said.output.iter().all(|&byte| byte == b'x'));
}

#[test]
fn ctrl_c_leaves_when_the_session_has_ended_and_nobody_reads_the_output() {
    let place = Place::new();
    let (mut run, id) = run(&place, &[], &["--flood", "4000000", "--exit", "3"]);
    place.run(["wait", &id]).expect(3);
    run.signal(Signal::INT);
    assert!(run.error_line().contains("already ended"));
    run.signal(Signal::INT);
    run.finish_unread().expect(3);
}

#[test]
fn a_daemon_that_is_stopped_with_its_sessions_interrupts_the_one_in_front() {
    let place = Place::new();
    let (run, id) = run(&place, &[], &["--hang"]);
    place.run(["daemon", "stop", "--sessions"]).expect(0);
    run.finish().expect(130).because(&[&format!("interrupted (shutdown by {})", user())]);
    assert_eq!(place.session(&id)["intent"]["kind"], "shutdown");
}
