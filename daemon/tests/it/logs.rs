//! `candor logs`: what a session has written, from the beginning, and to the end if followed.

use std::fs;

use crate::support::{Place, agent, words};

#[test]
fn the_output_of_an_ended_session_is_there_byte_for_byte() {
    let place = Place::new();
    let script = r"printf 'one\n\000\377\033[31mtwo'; printf 'three\n\200' >&2";
    let id = place.launch(["sh", "-c", script]);
    place.run(["wait", &id]).expect(0);
    for options in [&["logs", &id][..], &["logs", "-f", &id], &["logs", "--follow", &id]] {
        let said = place.run(options).expect(0);
        assert_eq!(said.output, b"one\n\0\xff\x1b[31mtwo");
        assert_eq!(said.errors, b"three\n\x80");
    }
}

#[test]
fn the_output_so_far_of_a_live_session_is_shown_and_not_waited_for() {
    let place = Place::new();
    let (ready, go) = (place.fifo("ready"), place.fifo("go"));
    let script = words!["--print", "past", "--ready", &ready, "--await", &go, "--print", "future"];
    let id = place.launch(agent(script));
    fs::read_to_string(ready).unwrap();
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "past\n");
    fs::write(go, "go\n").unwrap();
    place.run(["wait", &id]).expect(0);
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "past\nfuture\n");
}

#[test]
fn the_output_is_followed_to_the_end_of_the_session() {
    let place = Place::new();
    let go = place.fifo("go");
    let script = words![
        "--print",
        "past",
        "--print-error",
        "error",
        "--await",
        &go,
        "--print",
        "now",
        "--lines",
        "20000",
        "--exit",
        "5",
    ];
    let id = place.launch(agent(script));
    let mut logs = place.start(["logs", "-f", &id]);
    assert_eq!(logs.line(), "past");
    assert_eq!(logs.error_line(), "error\n");
    fs::write(go, "go\n").unwrap();
    assert_eq!(logs.line(), "now");
    let said = logs.finish().expect(0);
    assert_eq!(said.stdout().lines().count(), 20_000);
    assert!(said.stdout().ends_with("line 20000\n"));
    place.run(["wait", &id]).expect(5);
}

#[test]
fn many_may_follow_at_the_same_time() {
    let place = Place::new();
    let go = place.fifo("go");
    let id = place.launch(agent(words!["--print", "past", "--await", &go, "--lines", "1000"]));
    let followers: Vec<_> = (0..10)
        .map(|_| {
            let mut logs = place.start(["logs", "-f", &id]);
            assert_eq!(logs.line(), "past");
            logs
        })
        .collect();
    fs::write(go, "go\n").unwrap();
    for logs in followers {
        let said = logs.finish().expect(0);
        assert!(said.stdout().starts_with("line 1\n") && said.stdout().ends_with("line 1000\n"));
    }
}

#[test]
fn a_session_that_never_ran_has_no_output() {
    let place = Place::new();
    place.run(["run", "--title", "missing", "--", "no-such-program"]).expect(127);
    let id = place.titled("missing");
    for options in [&["logs", &id][..], &["logs", "-f", &id]] {
        let said = place.run(options).expect(0);
        assert!(said.output.is_empty() && said.errors.is_empty(), "{said:?}");
    }
}

#[test]
fn a_folder_that_was_removed_by_hand_is_no_output() {
    let place = Place::new();
    let id = place.launch(["echo", "gone"]);
    place.run(["wait", &id]).expect(0);
    fs::remove_dir_all(place.home().join("sessions").join(&id)).unwrap();
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "");
    assert_eq!(place.session(&id)["outcome"], "succeeded");
}

#[test]
fn a_reader_that_leaves_ends_the_follower() {
    let place = Place::new();
    let go = place.fifo("go");
    let id =
        place.launch(agent(words!["--print", "past", "--await", &go, "--lines", "9", "--hang"]));
    let mut logs = place.start(["logs", "-f", &id]);
    assert_eq!(logs.line(), "past");
    logs.close_stdout();
    fs::write(go, "go\n").unwrap();
    logs.finish();
    place.run(["kill", &id]).expect(0);
}
