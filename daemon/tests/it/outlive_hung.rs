//! What hangs holds nobody up: a daemon that does not answer, and a shim that does not, for which a
//! daemon that leaves waits a while.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, Running, agent, kernel, words};

/// Launches an agent that is interrupted while its shim does not answer, so that a daemon that leaves
/// has something to wait for, for two seconds. Returns its id, the shim, and who asks.
fn interrupt_in_vain(place: &Place) -> (String, Pid, Running) {
    let id = place.launch(agent(["--hang"]));
    place.await_running(&id);
    let shim = kernel::shim_of(&id);
    kill_process(shim, Signal::STOP).unwrap();
    let mut events = place.start(["events", "--follow", "--json", "--session", &id]);
    let interrupt = place.start(["interrupt", &id]);
    events.value(|event| event["to"] == "completing");
    (id, shim, interrupt)
}

#[test]
fn sessions_that_a_daemon_leaves_already_are_stopped_by_the_next() {
    let place = Place::new();
    let other = place.launch(agent(["--hang"]));
    place.await_running(&other);
    let (_, shim, _interrupt) = interrupt_in_vain(&place);
    let leave = place.start(["daemon", "stop"]);
    while place.run(["daemon", "status", "--json"]).expect(0).json()["stopping"] == false {}
    let stop = place.start(["daemon", "stop", "--sessions"]);
    let said = leave.finish().expect(0);
    assert!(said.stdout().contains("2 sessions go on"), "{said:?}");
    kill_process(shim, Signal::CONT).unwrap();
    stop.finish().expect(0);
    let session = place.session(&other);
    assert_eq!(
        (&session["outcome"], &session["intent"]["kind"]),
        (&"interrupted".into(), &"shutdown".into())
    );
}

#[test]
fn whoever_waits_has_patience_with_a_daemon_that_takes_long_to_leave() {
    let place = Place::new();
    let go = place.fifo("go");
    let other = place.launch(agent(words!["--await", &go, "--exit", "3"]));
    place.await_running(&other);
    let (_, shim, _interrupt) = interrupt_in_vain(&place);
    let mut wait = place.start(["wait", &other]);
    place.run(["daemon", "stop"]).expect(0);
    assert!(wait.error_line().contains("`candor daemon start`"));
    kill_process(shim, Signal::CONT).unwrap();
    place.run(["daemon", "start"]).expect(0);
    fs::write(go, "go\n").unwrap();
    wait.finish().expect(3);
}

#[test]
fn a_shim_that_answers_no_signal_is_unreachable_until_it_does() {
    let place = Place::new();
    let (id, shim, _interrupt) = interrupt_in_vain(&place);
    while place.session(&id)["supervision"] != "unreachable" {}
    kill_process(shim, Signal::CONT).unwrap();
    assert_eq!(place.end_of(&id)["outcome"], "interrupted");
}
