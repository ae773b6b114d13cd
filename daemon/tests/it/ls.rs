//! `candor ls`: which there are, which are live, and how each ended.

use std::fs;

use serde_json::Value;

use crate::support::wire::ask;
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
    fs::read_to_string(ready).unwrap();
    place.run(["interrupt", &id]).expect(0);
    let said = place.run(["ls"]).expect(0);
    let line: Vec<&str> = said.stdout().lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(line[1..3], ["completing", "interrupt"]);
    place.run(["kill", &id]).expect(0);
}

#[test]
fn sessions_are_found_by_what_was_launched() {
    let place = Place::new();
    fs::create_dir(place.path("Über uns")).unwrap();
    let here = place.launch_with(["--title", "50% \"done\"\nand_more"], ["sh", "-c", "exit 3"]);
    let there = place.launch_with(["--cwd", "Über uns"], ["sleep", "0.001"]);
    place.run(["wait", &here, &there]).expect(3);
    let list = |options: &[&str]| {
        let words = ["ls", "--json"].iter().chain(options).copied();
        let listed = place.run(words).expect(0).json();
        ids(&listed).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (both, neither) = (vec![there.clone(), here.clone()], Vec::<String>::new());
    let (here, there) = (vec![here], vec![there]);
    for (search, found) in [
        ("50% \"DONE\"", &here),
        ("\nand_m", &here),
        ("and%more", &neither),
        ("andxmore", &neither),
        ("sh -c exit", &here),
        ("übEr U", &there),
        ("r u", &there),
        ("SL", &there),
        ("e", &both),
        (&here[0][5..], &here),
        ("\"", &here),
        ("' OR 1 --", &neither),
        ("NOT zzz", &neither),
    ] {
        assert_eq!(&list(&["--search", search]), found, "{search}");
    }
    assert_eq!(list(&["--folder", "."]), here);
    assert_eq!(list(&["--folder", "Über uns/"]), there);
    assert_eq!(list(&["--folder", "/"]), neither);
    assert_eq!(list(&["--agent", "claude"]), neither);
    assert_eq!(list(&["--outcome", "exit_code", "--outcome", "signal"]), here);
    assert_eq!(
        list(&["--outcome", "succeeded", "--search", "sleep", "--folder", "Über uns"]),
        there
    );
    assert_eq!(list(&["--outcome", "succeeded", "--search", "exit 3"]), neither);
    assert_eq!(list(&["--status", "failed", "--folder", "."]), here);
    assert_eq!(list(&["--status", "completed", "--search", "exit 3"]), neither);
    place
        .run(["ls", "--outcome", "nonsense"])
        .expect(125)
        .because(&["no such outcome", "succeeded"]);
    place.run(["rm", &here[0]]).expect(0);
    assert_eq!(list(&["--search", "exit 3"]), neither);
    assert_eq!(list(&["--folder", "."]), neither);
}

#[test]
fn a_list_goes_on_where_its_page_ends() {
    let place = Place::new();
    let mut launched: Vec<String> = (0..5).map(|_| place.launch(["true"])).collect();
    launched.reverse();
    place
        .run(["wait", &launched[0], &launched[1], &launched[2], &launched[3], &launched[4]])
        .expect(0);
    let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
    for query in ["", "&q=TRUE", "&status=completed", "&outcome=succeeded&status=completed,failed"]
    {
        let mut next = Some(format!("/v1/sessions?limit=2{query}"));
        let mut listed = Vec::new();
        while let Some(path) = next {
            let reply = ask(&place.home(), "GET", &path, b"");
            assert_eq!(reply.status, 200, "{reply:?}");
            listed.extend(reply.json().as_array().unwrap().iter().map(id));
            let link = reply.head.lines().find_map(|line| line.strip_prefix("link: <"));
            next = link.map(|link| {
                let (path, rest) = link.split_once('>').unwrap();
                assert_eq!(rest, "; rel=\"next\"");
                path.to_owned()
            });
        }
        assert_eq!(listed, launched, "{query}");
    }
    // The session of a cursor may be gone meanwhile.
    place.run(["rm", &launched[1]]).expect(0);
    let path = format!("/v1/sessions?q=true&before={}", launched[1]);
    let listed = ask(&place.home(), "GET", &path, b"").json();
    assert_eq!(ids(&listed), launched[2..]);
    for bad in
        ["before=1", "q=true&before=01a202b9-50d9-76df-8948-48de60014c35", "q=%00", "limit=-1"]
    {
        let reply = ask(&place.home(), "GET", &format!("/v1/sessions?{bad}"), b"");
        reply.assert_problem(400, "bad_request");
    }
    let long = format!("/v1/sessions?q={}", "x".repeat(257));
    ask(&place.home(), "GET", &long, b"").assert_problem(400, "bad_request");
}
