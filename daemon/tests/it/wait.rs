//! `candor wait`: returns when all have ended, and misses no end.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::{Place, agent, words};

/// Sessions that end while somebody begins to wait for them.
const SHORT_SESSIONS: usize = 200;

#[test]
fn several_are_told_in_the_order_named_and_the_first_failure_is_the_exit_code() {
    let place = Place::new();
    let good = place.launch(["true"]);
    let three = place.launch(["sh", "-c", "exit 3"]);
    let four = place.launch(["sh", "-c", "exit 4"]);
    let stopped = place.launch(agent(["--hang"]));
    place.run(["interrupt", &stopped]).expect(0);
    let lines = [
        format!("{good} completed succeeded\n"),
        format!("{three} failed exit_code\n"),
        format!("{four} failed exit_code\n"),
        format!("{stopped} completed interrupted\n"),
    ];
    for (ids, order, code) in [
        (vec![&good], vec![0], 0),
        (vec![&good, &good], vec![0, 0], 0),
        (vec![&good, &three, &four], vec![0, 1, 2], 3),
        (vec![&four, &good, &three], vec![2, 0, 1], 4),
        (vec![&stopped, &four], vec![3, 2], 130),
        (vec![&good, &stopped, &four], vec![0, 3, 2], 130),
    ] {
        let words = ["wait"].into_iter().chain(ids.into_iter().map(String::as_str));
        let expected: String = order.into_iter().map(|at: usize| lines[at].as_str()).collect();
        assert_eq!(place.run(words).expect(code).stdout(), expected);
    }
}

#[test]
fn all_of_them_are_waited_for() {
    let place = Place::new();
    let (first, second) = (place.fifo("first"), place.fifo("second"));
    let one = place.launch(agent(words!["--await", &first, "--exit", "5"]));
    let two = place.launch(agent(words!["--await", &second, "--exit", "6"]));
    let mut wait = place.start(["wait", &two, &one]);
    fs::write(second, "go\n").unwrap();
    assert_eq!(wait.line(), format!("{two} failed exit_code"));
    fs::write(first, "go\n").unwrap();
    assert_eq!(wait.line(), format!("{one} failed exit_code"));
    wait.finish().expect(6);
}

#[test]
fn when_the_time_is_over_the_exit_code_is_124_and_the_session_lives_on() {
    let place = Place::new();
    let ended = place.launch(["sh", "-c", "exit 3"]);
    place.run(["wait", &ended]).expect(3);
    let live = place.launch(agent(["--hang"]));
    let said = place.run(["wait", "--timeout", "20ms", &live, &ended]).expect(124);
    assert_eq!(said.stdout(), format!("{ended} failed exit_code\n"));
    said.because(&["the time is over", &live]);
    place.run(["wait", "--timeout", "0s", &live]).expect(124);
    place.run(["wait", "--timeout", "0s", &ended]).expect(3);
    assert!(place.session(&live)["outcome"].is_null());
    place.run(["kill", &live]).expect(0);
    place.run(["wait", "--timeout", "1h", &live]).expect(130);
}

#[test]
fn an_unknown_id_is_told_at_once() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    // With an end of the live one to wait for, this would never return.
    let said = place.run(["wait", &live, "00000000"]).expect(125);
    said.because(&["00000000", "candor ls"]);
    place.run(["kill", &live]).expect(0);
}

#[test]
fn no_end_is_missed_however_short_the_session() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < SHORT_SESSIONS {
                    let id = place.launch(["true"]);
                    let said = place.run(["wait", &id]).expect(0);
                    assert_eq!(said.stdout(), format!("{id} completed succeeded\n"));
                }
            });
        }
    });
    assert_eq!(place.sessions().len(), SHORT_SESSIONS);
}

#[test]
fn many_waiters_hear_of_one_end() {
    let place = Place::new();
    let go = place.fifo("go");
    let id = place.launch(agent(words!["--await", &go, "--exit", "9"]));
    let waiting: Vec<_> = (0..20).map(|_| place.start(["wait", &id])).collect();
    fs::write(go, "go\n").unwrap();
    for wait in waiting {
        assert_eq!(wait.finish().expect(9).stdout(), format!("{id} failed exit_code\n"));
    }
}
