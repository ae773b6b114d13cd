//! Daemons that come and go while others want one.

use std::collections::BTreeSet;
use std::fs;
#[cfg(target_os = "linux")]
use std::fs::File;

#[cfg(target_os = "linux")]
use rustix::fs::{FlockOperation, flock};

#[cfg(target_os = "linux")]
use crate::support::kernel;
use crate::support::{Place, agent, words};

#[test]
fn twenty_that_start_it_at_once_get_one_daemon_and_all_succeed() {
    let place = Place::new();
    for _ in 0..3 {
        let runs: Vec<_> = (0..20).map(|_| place.start(["daemon", "start"])).collect();
        let told: BTreeSet<String> =
            runs.into_iter().map(|run| run.finish().expect(0).stdout().to_owned()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        place.kill_daemon();
    }
    let log = fs::read_to_string(place.home().join("daemon.log")).unwrap();
    assert_eq!(log.matches("INFO serving").count(), 3, "{log}");
}

#[test]
fn twenty_that_run_something_at_once_on_a_new_home_all_succeed() {
    let place = Place::new();
    let runs: Vec<_> = (0..20).map(|_| place.start(["run", "--", "echo", "ran"])).collect();
    for run in runs {
        assert_eq!(run.finish().expect(0).stdout(), "ran\n");
    }
    let log = fs::read_to_string(place.home().join("daemon.log")).unwrap();
    assert_eq!(log.matches("INFO serving").count(), 1, "{log}");
    assert_eq!(place.sessions().len(), 20);
}

#[test]
fn a_hundred_that_wait_at_once_after_a_crash_all_hear_of_the_end() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let words = || words!["run", "-d", "--"].into_iter().chain(agent(["--hang"]));
    let launches: Vec<_> = (0..100).map(|_| place.start(words())).collect();
    let ids = launches.into_iter().map(|run| run.finish().expect(0).stdout().trim().to_owned());
    let ids: Vec<String> = ids.collect();
    place.kill_daemon();
    let waits: Vec<_> = ids.iter().map(|id| (id, place.start(["wait", id]))).collect();
    for id in &ids {
        place.run(["kill", id]).expect(0);
    }
    for (id, wait) in waits {
        let said = wait.finish().expect(130);
        assert_eq!(said.stdout(), format!("{id} completed interrupted\n"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_comes_while_a_daemon_leaves_gets_the_next_one() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    // As it is in the moment in which a daemon's socket is gone and its lock is not.
    let lock = File::options().write(true).open(place.home().join("daemon.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let start = place.start(["daemon", "start"]);
    // Its own daemon comes, finds the home taken, and goes.
    while kernel::children(start.pid()).is_empty() {}
    while !kernel::children(start.pid()).is_empty() {}
    drop(lock);
    start.finish().expect(0);
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn a_stop_in_the_middle_of_everything_loses_nothing() {
    let place = Place::new();
    for _ in 0..5 {
        place.run(["daemon", "start"]).expect(0);
        let stop = place.start(["daemon", "stop"]);
        let runs: Vec<_> = (0..8).map(|_| place.start(["run", "--", "true"])).collect();
        stop.finish().expect(0);
        place.run(["daemon", "start"]).expect(0);
        for run in runs {
            let said = run.finish();
            match said.status.code() {
                Some(0) => {}
                // It was refused, or the daemon left under it.
                Some(125) => said.because(&["daemon", "`candor daemon st"]),
                other => panic!("{other:?}: {said:?}"),
            }
        }
    }
    for session in place.sessions() {
        assert_eq!(session["outcome"], "succeeded", "{session}");
    }
}
