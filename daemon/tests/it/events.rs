//! `candor events`: every change, in order, once, and live after that.

use serde_json::Value;

use crate::support::{Place, agent, assert_chain, assert_time, user, words};

/// The keys of an event, in order. `by` is ours, beside what is promised.
const KEYS: [&str; 10] =
    ["seq", "session", "revision", "at", "type", "from", "to", "cause", "by", "outcome"];

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn an_event_has_this_shape() {
    let place = Place::new();
    let id = place.launch(["sh", "-c", "exit 3"]);
    place.run(["wait", &id]).expect(3);
    let said = place.run(["events", "--json"]).expect(0);
    for line in said.stdout().lines() {
        let positions: Vec<_> = KEYS.iter().map(|key| line.find(&format!("\"{key}\":"))).collect();
        assert!(positions.is_sorted() && positions[0].is_some(), "{line}");
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event.as_object().unwrap().len(), KEYS.len(), "{event}");
        assert_time(&event["at"]);
    }
    let told: Vec<Value> = said
        .json_lines()
        .into_iter()
        .map(|mut event| {
            event.as_object_mut().unwrap().remove("at");
            event
        })
        .collect();
    let event = |seq: u64, from: Option<&str>, to: &str, cause: &str, by: &str, outcome| {
        serde_json::json!({
            "seq": seq, "session": id, "revision": seq, "type": "status_changed", "from": from,
            "to": to, "cause": cause, "by": by, "outcome": outcome,
        })
    };
    let expected = [
        event(1, None, "starting", "launched", &user(), Value::Null),
        event(2, Some("starting"), "running", "spawned", "daemon", Value::Null),
        event(3, Some("running"), "failed", "exited", "daemon", "exit_code".into()),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_change_that_keeps_the_status_is_an_event_too() {
    let place = Place::new();
    let script = agent(["--ignore", "INT", "--ready", "-", "--hang"]);
    let words = words!["run", "--grace", "1ms,1h", "--"].into_iter().chain(script);
    let mut run = place.start(words);
    assert_eq!(run.line(), "ready");
    let id = place.sessions()[0]["id"].as_str().unwrap().to_owned();
    place.run(["interrupt", &id]).expect(0);
    run.finish().expect(130);
    let story = place.story(&id);
    assert_chain(&story);
    let rung = story.iter().find(|event| event["cause"] == "rung_terminate").unwrap();
    assert_eq!(rung["type"], "session_changed");
    assert_eq!((&rung["from"], &rung["to"]), (&"completing".into(), &"completing".into()));
}

#[test]
fn events_are_read_from_a_place_and_of_a_session() {
    let place = Place::new();
    let one = place.launch(["true"]);
    let two = place.launch(["false"]);
    place.run(["wait", &one, &two]).expect(1);
    let all = place.events([""; 0]);
    assert_eq!(seqs(&all), [1, 2, 3, 4, 5, 6]);
    assert_eq!(place.events(["--after", "4"]), all[4..]);
    assert_eq!(place.events(["--after", "6"]), all[6..]);
    // Beyond the end, which no cursor of this log ever is, one is told where the end is.
    let ahead = place.events(["--after", "18446744073709551615"]);
    assert_eq!(ahead, [serde_json::json!({"seq": 6, "type": "reset", "reason": "cursor_ahead"})]);
    let of_two: Vec<Value> =
        all.iter().filter(|event| event["session"] == two.as_str()).cloned().collect();
    assert_eq!(place.events(["--session", &two]), of_two);
    assert_eq!(place.events(["--session", &two[28..]]), of_two);
    let after = of_two[0]["seq"].to_string();
    assert_eq!(place.events(["--session", &two, "--after", &after]), of_two[1..]);
}

#[test]
fn whoever_follows_misses_nothing_and_sees_nothing_twice() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let mut followers: Vec<_> = (0..4).map(|_| place.follow_events()).collect();
    for follower in &mut followers {
        // What was there before they came is told first.
        follower.value(|event| event["outcome"] == "succeeded");
    }
    let launched: Vec<_> = (0..30).map(|_| place.start(["run", "--", "false"])).collect();
    for run in launched {
        run.finish().expect(1);
    }
    // They go on at the next daemon, whichever way this one goes.
    place.run(["daemon", "stop"]).expect(0);
    place.run(["run", "--", "true"]).expect(0);
    place.kill_daemon();
    place.run(["run", "--", "true"]).expect(0);
    let all = place.events(["--after", "3"]);
    assert_eq!(all.len(), 96);
    for mut follower in followers {
        for event in &all {
            assert_eq!(&serde_json::from_str::<Value>(&follower.line()).unwrap(), event);
        }
    }
}

#[test]
fn the_events_of_one_session_are_followed() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    let mut follower = place.start(["events", "--json", "-f", "--session", &live]);
    follower.value(|event| event["to"] == "running");
    place.run(["run", "--", "true"]).expect(0);
    place.run(["interrupt", &live]).expect(0);
    let next: Value = serde_json::from_str(&follower.line()).unwrap();
    assert_eq!((&next["session"], &next["to"]), (&live.as_str().into(), &"completing".into()));
}

#[test]
fn every_sessions_events_are_a_chain_from_nothing_to_the_verdict() {
    let place = Place::new();
    let runs: Vec<_> = (0..20)
        .map(|number| match number % 4 {
            0 => place.start(["run", "--", "true"]),
            1 => place.start(["run", "--", "sh", "-c", "exit 7"]),
            2 => place.start(["run", "--", "no-such-program"]),
            _ => {
                let words = words!["run", "--timeout", "5ms", "--grace", "1ms,1ms", "--"];
                place.start(words.into_iter().chain(agent(["--ignore", "INT", "--hang"])))
            }
        })
        .collect();
    let codes: Vec<_> = runs.into_iter().map(|run| run.finish().status.code()).collect();
    for (number, code) in codes.into_iter().enumerate() {
        assert_eq!(code, Some([0, 7, 127, 124][number % 4]));
    }
    let all = place.events([""; 0]);
    assert_eq!(seqs(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    for session in place.sessions() {
        let story = place.story(session["id"].as_str().unwrap());
        assert_chain(&story);
        let last = story.last().unwrap();
        assert_eq!((&last["to"], &last["outcome"]), (&session["status"], &session["outcome"]));
        assert_eq!(last["revision"], session["revision"]);
        assert_eq!(last["at"], session["ended_at"]);
    }
}

#[test]
fn a_person_reads_one_line_an_event() {
    let place = Place::new();
    place.run(["run", "--", "sh", "-c", "exit 3"]).expect(3);
    let said = place.run(["events"]).expect(0);
    let lines: Vec<_> = said.stdout().lines().collect();
    assert_eq!(lines.len(), 3);
    for (line, words) in lines.iter().zip([
        ["1", "-", "starting", "launched", &user()],
        ["2", "starting", "running", "spawned", "daemon"],
        ["3", "running", "failed", "exited", "exit_code"],
    ]) {
        let has = |word: &&str| line.split_whitespace().any(|other| other == *word);
        assert!(words.iter().all(has), "{words:?} in {line:?}");
    }
}
