//! What hangs holds nobody up: a daemon that does not answer, and a shim that does not, for which a
//! daemon that leaves waits a while.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, Running, Said, agent, kernel, words};

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

/// Waits until a program catches Ctrl-C.
fn await_catching(program: &Running) {
    let mask_of = |status: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    };
    let bit = 1 << (Signal::INT.as_raw() - 1);
    // Nobody is told of that. The runner ends this if it never does. Between the kernel's knowing and the
    // program's listening there is a moment in which a signal is heard by nobody: it does not wait then.
    let is_ready = |status: &str| mask_of(status) & bit != 0 && status.contains("State:\tS");
    while !is_ready(str::from_utf8(&kernel::read(program.pid(), "status")).unwrap()) {}
}

/// Starts a daemon that does not answer.
fn hung_daemon(place: &Place) -> Pid {
    place.run(["daemon", "start"]).expect(0);
    let daemon = place.daemon();
    kill_process(daemon, Signal::STOP).unwrap();
    daemon
}

#[test]
fn sessions_that_a_daemon_leaves_already_are_stopped_by_the_next() {
    let place = Place::new();
    let other = place.launch(agent(["--hang"]));
    place.await_running(&other);
    let (_, shim, _interrupt) = interrupt_in_vain(&place);
    let leave = place.start(["daemon", "stop"]);
    // Until it leaves, or has left, where the machine is slow.
    let leaves = |said: &Said| said.status.code() != Some(0) || said.json()["stopping"] == true;
    while !leaves(&place.run(["daemon", "status", "--json"])) {}
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
    let other = agent(words!["--ready", "-", "--await", &go, "--exit", "3"]);
    let mut run = place.start(words!["run", "--"].into_iter().chain(other));
    // So it is one that waits by now, and does not come when there is no daemon any more.
    assert_eq!(run.line(), "ready");
    let (_, shim, _interrupt) = interrupt_in_vain(&place);
    place.run(["daemon", "stop"]).expect(0);
    assert!(run.error_line().contains("`candor daemon start`"));
    kill_process(shim, Signal::CONT).unwrap();
    place.run(["daemon", "start"]).expect(0);
    fs::write(go, "go\n").unwrap();
    run.finish().expect(3);
}

#[test]
fn a_shim_that_answers_no_signal_is_unreachable_until_it_does() {
    let place = Place::new();
    let (id, shim, _interrupt) = interrupt_in_vain(&place);
    while place.session(&id)["supervision"] != "unreachable" {}
    kill_process(shim, Signal::CONT).unwrap();
    assert_eq!(place.end_of(&id)["outcome"], "interrupted");
}

#[test]
fn ctrl_c_leaves_a_launch_that_is_not_answered() {
    let place = Place::new();
    let daemon = hung_daemon(&place);
    for presses in [1, 2] {
        let run = place.start(["run", "--", "true"]);
        await_catching(&run);
        for _ in 0..presses {
            run.signal(Signal::INT);
        }
        run.finish().expect(125).because(&["does not answer", "not known", "candor ls"]);
    }
    kill_process(daemon, Signal::CONT).unwrap();
}

#[test]
fn ctrl_c_during_a_launch_means_the_session() {
    let place = Place::new();
    let daemon = hung_daemon(&place);
    let run = place.start(words!["run", "--"].into_iter().chain(agent(["--hang"])));
    await_catching(&run);
    run.signal(Signal::INT);
    kill_process(daemon, Signal::CONT).unwrap();
    run.finish().expect(130);
    assert_eq!(place.sessions()[0]["outcome"], "interrupted");
}

#[test]
fn ctrl_c_again_leaves_a_daemon_that_does_not_answer() {
    let place = Place::new();
    let script = agent(["--ready", "-", "--hang"]);
    let mut run = place.start(words!["run", "--"].into_iter().chain(script));
    assert_eq!(run.line(), "ready");
    let daemon = hung_daemon(&place);
    run.signal(Signal::INT);
    assert!(run.error_line().contains("the daemon does not answer"));
    run.signal(Signal::INT);
    run.finish().expect(125);
    kill_process(daemon, Signal::CONT).unwrap();
}

#[test]
fn the_time_of_a_wait_is_over_though_no_daemon_answers() {
    let place = Place::new();
    let ended = place.launch(["true"]);
    place.run(["wait", &ended]).expect(0);
    let daemon = hung_daemon(&place);
    for time in ["0s", "20ms", "2s"] {
        let said = place.run(["wait", "--timeout", time, &ended, "another"]).expect(124);
        said.because(&["the time is over", "no daemon answers for", &ended, "another"]);
    }
    kill_process(daemon, Signal::CONT).unwrap();
    place.run(["wait", "--timeout", "0s", &ended]).expect(0);
}
