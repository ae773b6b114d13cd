//! `candor interrupt` and `candor kill`: one stop, however often it is asked for.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Place, agent, assert_chain, user, wire, words};

/// Launches an agent that ignores SIGINT, with graces that never end.
fn stubborn(place: &Place) -> String {
    let ready = place.fifo("ready");
    let script = agent(words!["--ignore", "INT", "--ready", &ready, "--hang"]);
    let id = place.launch_with(["--grace", "1h,1h"], script);
    fs::read_to_string(ready).unwrap();
    place.await_running(&id);
    id
}

fn causes(place: &Place, id: &str) -> Vec<String> {
    let story = place.story(id);
    assert_chain(&story);
    story.iter().map(|event| event["cause"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn to_interrupt_twice_is_one_stop() {
    let place = Place::new();
    let id = stubborn(&place);
    let first = place.run(["interrupt", &id]).expect(0);
    assert_eq!(first.stdout(), format!("{id} completing: interrupt by {}\n", user()));
    for _ in 0..2 {
        let again = place.run(["interrupt", &id]).expect(0);
        assert_eq!(again.stdout(), format!("{id} already stopping: interrupt\n"));
    }
    assert_eq!(causes(&place, &id), ["launched", "spawned", "interrupt"]);
    place.run(["kill", &id]).expect(0);
}

#[test]
fn to_kill_what_is_being_interrupted_climbs_to_the_last_rung() {
    let place = Place::new();
    let id = stubborn(&place);
    place.run(["interrupt", &id]).expect(0);
    let killed = place.run(["kill", &id]).expect(0);
    assert_eq!(killed.stdout(), format!("{id} already stopping: interrupt\n"));
    place.run(["wait", &id]).expect(130);
    let session = place.session(&id);
    assert_eq!(session["intent"]["kind"], "interrupt", "the first intent is the intent");
    assert_eq!(session["exit"]["signal"], "SIGKILL");
    let expected = ["launched", "spawned", "interrupt", "kill", "exited"];
    assert_eq!(causes(&place, &id), expected);
}

#[test]
fn to_kill_starts_the_ladder_at_its_end() {
    let place = Place::new();
    let id = stubborn(&place);
    let killed = place.run(["kill", &id]).expect(0);
    assert!(killed.stdout().contains(&format!("kill by {}", user())), "{killed:?}");
    assert_eq!(
        place.run(["wait", &id]).expect(130).stdout(),
        format!("{id} completed interrupted\n")
    );
    let session = place.session(&id);
    assert_eq!(session["intent"]["kind"], "kill");
    assert_eq!(session["exit"]["signal"], "SIGKILL");
    assert_eq!(causes(&place, &id), ["launched", "spawned", "kill", "exited"]);
}

#[test]
fn to_stop_an_ended_session_tells_how_it_ended_and_changes_nothing() {
    let place = Place::new();
    let good = place.launch(["true"]);
    let bad = place.launch(["sh", "-c", "exit 3"]);
    let ended = place.launch(agent(["--hang"]));
    place.run(["kill", &ended]).expect(0);
    for (id, code, how) in [
        (&good, 0, "completed: succeeded".to_owned()),
        (&bad, 3, "failed: exit_code, exit code 3".to_owned()),
        (&ended, 130, format!("completed: interrupted (kill by {})", user())),
    ] {
        place.run(["wait", id]).expect(code);
        let before = place.session(id);
        for verb in ["interrupt", "kill"] {
            let said = place.run([verb, id]).expect(0);
            assert_eq!(said.stdout(), format!("{id} already ended; {how}\n"));
        }
        assert_eq!(place.session(id), before);
        assert_chain(&place.story(id));
    }
}

#[test]
fn twenty_interrupts_at_once_are_one_stop() {
    let place = Place::new();
    let id = stubborn(&place);
    let asked: Vec<_> = (0..20).map(|_| place.start(["interrupt", &id])).collect();
    let answers = asked.into_iter().map(|asked| asked.finish().expect(0).stdout().to_owned());
    let (again, first): (Vec<_>, Vec<_>) =
        answers.partition(|answer| answer.contains("already stopping: interrupt"));
    assert_eq!((again.len(), first.len()), (19, 1), "{again:?} {first:?}");
    assert_eq!(causes(&place, &id), ["launched", "spawned", "interrupt"]);
    place.run(["kill", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
}

#[test]
fn the_whole_process_group_is_interrupted() {
    let place = Place::new();
    let held = place.fifo("held");
    let staying = format!("stay,hold={}", held.display());
    let id = place.launch(agent(["--fork", &staying, "--hang"]));
    let mut grandchild = BufReader::new(fs::File::open(held).unwrap());
    grandchild.read_line(&mut String::new()).unwrap();
    place.run(["interrupt", &id]).expect(0);
    // It holds its end open for as long as it lives.
    assert_eq!(grandchild.read(&mut [0]).unwrap(), 0);
    place.run(["wait", &id]).expect(130);
}

#[test]
fn a_shell_that_waits_for_its_child_is_interrupted() {
    let place = Place::new();
    let ready = place.fifo("ready");
    let words = words!["sh", "-c", "\"$@\"; true", "sh"].into_iter();
    let script = agent(words!["--ready", &ready, "--hang"]);
    let id = place.launch_with(["--grace", "1h,1h"], words.chain(script));
    fs::read_to_string(ready).unwrap();
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
}

#[test]
fn a_stopped_process_is_continued_so_that_it_sees_the_signal() {
    let place = Place::new();
    // Its number comes out, and from then on it is the agent.
    let words = words!["run", "--title", "stopped", "--grace", "1h,1h", "--"];
    let shell = words!["sh", "-c", "echo $$; exec \"$@\"", "sh"];
    let script = agent(["--on", "INT=exit:9", "--ready", "-", "--hang"]);
    let mut run = place.start(words.into_iter().chain(shell).chain(script));
    let pid = Pid::from_raw(run.line().parse().unwrap()).unwrap();
    assert_eq!(run.line(), "ready");
    kill_process(pid, Signal::STOP).unwrap();
    let id = place.titled("stopped");
    place.run(["interrupt", &id]).expect(0);
    run.finish().expect(130);
    assert_eq!(place.session(&id)["exit"]["code"], 9);
}

#[test]
fn no_other_session_is_touched() {
    let place = Place::new();
    let go = place.fifo("go");
    let bystander = place.launch(agent(words!["--await", &go, "--exit", "6"]));
    let ids: Vec<_> = (0..5).map(|_| place.launch(agent(["--hang"]))).collect();
    for (at, id) in ids.iter().enumerate() {
        place.run([if at % 2 == 0 { "interrupt" } else { "kill" }, id]).expect(0);
    }
    place.run(["wait"].into_iter().chain(ids.iter().map(String::as_str))).expect(130);
    fs::write(go, "go\n").unwrap();
    place.run(["wait", &bystander]).expect(6);
}

/// Follows the event log over a connection of its own, line by line as it comes over the wire.
fn followed_events(home: &std::path::Path) -> impl Iterator<Item = String> {
    let mut events = wire::connect(home);
    events.write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    BufReader::new(events).lines().map(Result::unwrap)
}

#[test]
fn whoever_sees_the_launch_can_stop_the_session_at_once() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let home = place.home();
    let mut lines = followed_events(&home);
    for round in 0..50 {
        let run = place.start(words!["run", "--"].into_iter().chain(agent(["--hang"])));
        // By hand, since starting a program takes longer than starting a session.
        let launched = lines.find(|line| line.contains("\"from\":null")).unwrap();
        let launched: Value = serde_json::from_str(&launched).unwrap();
        let id = launched["session"].as_str().unwrap();
        let stop = if round % 2 == 0 { "interrupt" } else { "kill" };
        let reply = wire::ask(&home, "POST", &format!("/v1/sessions/{id}/{stop}"), b"");
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json()["answer"], "accepted");
        let ended = wire::ask(&home, "GET", &format!("/v1/sessions/{id}/wait"), b"").json();
        assert_eq!(
            (&ended["status"], &ended["outcome"]),
            (&"completed".into(), &"interrupted".into())
        );
        run.finish().expect(130);
        let story = place.story(id);
        assert_chain(&story);
        assert!(story.iter().all(|event| event["to"] != "failed"), "{story:?}");
    }
}

#[test]
fn whoever_sees_the_launch_can_wait_for_and_follow_the_session_at_once() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    let home = place.home();
    let mut lines = followed_events(&home);
    for _ in 0..50 {
        let run = place.start(["run", "--", "sh", "-c", "echo out; exit 3"]);
        let launched = lines.find(|line| line.contains("\"from\":null")).unwrap();
        let launched: Value = serde_json::from_str(&launched).unwrap();
        let path = format!("/v1/sessions/{}", launched["session"].as_str().unwrap());
        let output = wire::ask(&home, "GET", &format!("{path}/output/stdout?follow=true"), b"");
        assert!(String::from_utf8_lossy(&output.body).contains("out\n"), "{output:?}");
        let ended = wire::ask(&home, "GET", &format!("{path}/wait"), b"");
        assert_eq!(
            (ended.status, &ended.json()["outcome"]),
            (200, &"exit_code".into()),
            "{ended:?}"
        );
        run.finish().expect(3);
    }
}
