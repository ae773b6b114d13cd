//! `candor ls`: which there are, which are live, and how each ended.

use serde_json::Value;

use crate::support::{Place, agent, words};

fn ids(sessions: &Value) -> Vec<&str> {
    sessions.as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap()).collect()
}

#[test]
fn sessions_are_listed_newest_first_and_no_more_than_asked_for() {
    let place = Place::new();
    let mut launched: Vec<String> = (0..5).map(|_| place.launch(["true"])).collect();
    launched.reverse();
    let all = place.run(["ls", "--json"]).expect(0).json();
    assert_eq!(ids(&all), launched);
    let some = place.run(["ls", "--json", "--limit", "2"]).expect(0).json();
    assert_eq!(ids(&some), launched[..2]);
    let none = place.run(["ls", "--json", "--limit", "0"]).expect(0).json();
    assert_eq!(none, Value::Array(Vec::new()));
}

#[test]
fn no_sessions_are_an_empty_list() {
    let place = Place::new();
    assert_eq!(place.run(["ls", "--json"]).expect(0).json(), Value::Array(Vec::new()));
    assert_eq!(place.run(["ls"]).expect(0).stdout().lines().count(), 1);
}

#[test]
fn sessions_are_listed_by_status() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let good = place.launch(["true"]);
    let bad = place.launch(["false"]);
    place.run(["wait", &good, &bad]).expect(1);
    let list = |statuses: &[&str]| {
        let options = statuses.iter().flat_map(|status| ["--status", status]);
        place.run(["ls", "--json"].into_iter().chain(options)).expect(0).json()
    };
    assert_eq!(ids(&list(&["running"])), [&live]);
    assert_eq!(ids(&list(&["completed"])), [&good]);
    assert_eq!(ids(&list(&["running", "failed"])), [&bad, &live]);
    assert_eq!(ids(&list(&["lost"])), [""; 0]);
    place.run(["kill", &live]).expect(0);
    place.run(["wait", &live]).expect(130);
    assert_eq!(ids(&list(&["running"])), [""; 0]);
    assert_eq!(ids(&list(&["completed"])), [&good, &live]);
}

#[test]
fn the_list_is_made_of_what_show_shows() {
    let place = Place::new();
    place.run(["run", "--title", "one", "--", "sh", "-c", "exit 3"]).expect(3);
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    for session in place.sessions() {
        assert_eq!(session, place.session(session["id"].as_str().unwrap()));
    }
    place.run(["kill", &live]).expect(0);
}

#[test]
fn a_person_sees_which_are_live_and_how_each_ended() {
    let place = Place::new();
    let live = place.launch_with(["--title", "the live one"], agent(["--hang"]));
    place.await_running(&live);
    place.run(["run", "--", "true"]).expect(0);
    place.run(["run", "--", "sh", "-c", "exit 3"]).expect(3);
    place.run(words!["run", "--"].into_iter().chain(agent(["--die", "TERM"]))).expect(143);
    place.run(["run", "--", "no-such-program"]).expect(127);
    let said = place.run(["ls"]).expect(0);
    let lines: Vec<Vec<&str>> =
        said.stdout().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "STATUS", "OUTCOME", "STARTED", "LASTED", "COMMAND"]);
    assert_eq!(lines[1][1..3], ["failed", "spawn"]);
    assert_eq!(lines[2][1..3], ["failed", "SIGTERM"]);
    assert_eq!(lines[3][1..4], ["failed", "exit", "3"]);
    assert_eq!(lines[4][1..3], ["completed", "succeeded"]);
    // Beside the short id: where it stands, when it was started, for how long it has run.
    assert_eq!(lines[5][0], &live[28..]);
    assert_eq!(lines[5][1], "running");
    assert!(lines[5][2].ends_with('s') && lines[5][3].ends_with('s'), "{said:?}");
    assert_eq!(lines[5][4..], ["the", "live", "one"]);
    place.run(["kill", lines[5][0]]).expect(0);
}

#[test]
fn a_session_that_is_being_stopped_is_shown_as_that() {
    let place = Place::new();
    let ready = place.fifo("ready");
    let script = words!["--ignore", "INT", "--ready", &ready, "--hang"];
    let id = place.launch_with(["--grace", "1h,1h"], agent(script));
    std::fs::read_to_string(ready).unwrap();
    place.run(["interrupt", &id]).expect(0);
    let said = place.run(["ls"]).expect(0);
    let line: Vec<&str> = said.stdout().lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(line[1..3], ["completing", "interrupt"]);
    place.run(["kill", &id]).expect(0);
}
