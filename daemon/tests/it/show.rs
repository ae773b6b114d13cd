//! `candor show`: everything about one session, in a shape that others script against.

use serde_json::{Map, Value, json};

use crate::support::{Place, agent, assert_time, user, words};

/// The keys of a session, in order. `exit_code` is ours, beside what is promised.
const KEYS: [&str; 21] = [
    "id",
    "parent",
    "title",
    "command",
    "cwd",
    "input",
    "agent",
    "requests",
    "bypass_until",
    "status",
    "outcome",
    "intent",
    "exit",
    "report",
    "evidence",
    "revision",
    "created_at",
    "started_at",
    "ended_at",
    "supervision",
    "exit_code",
];

/// The keys of its evidence. `spawn` is ours, beside what is promised.
const EVIDENCE_KEYS: [&str; 7] =
    ["witness", "report_before_intent", "rung", "spawn", "left_behind", "output", "notes"];

/// Checks what is the same for each session, and returns it without that.
#[track_caller]
fn rest_of(place: &Place, id: &str) -> Value {
    let text = place.run(["show", "--json", id]).expect(0);
    let session: Map<String, Value> = serde_json::from_slice(&text.output).unwrap();
    let positions: Vec<_> = KEYS.map(|key| text.stdout().find(&format!("\n  \"{key}\": "))).into();
    assert!(positions.is_sorted() && positions[0].is_some(), "{}", text.stdout());
    assert_eq!(session.len(), KEYS.len(), "{session:?}");
    let mut session = Value::Object(session);
    let rest = session.as_object_mut().unwrap();
    assert_eq!(rest.remove("id"), Some(id.into()));
    assert_eq!(
        rest.remove("cwd"),
        Some(std::fs::canonicalize(place.folder()).unwrap().to_str().into())
    );
    assert_eq!(rest.remove("input"), Some("none".into()));
    // These are what agents have.
    assert_eq!(rest.remove("agent"), Some(Value::Null));
    assert_eq!(rest.remove("requests"), Some(json!([])));
    assert_eq!(rest.remove("bypass_until"), Some(Value::Null));
    assert_time(&rest.remove("created_at").unwrap());
    for (key, time) in
        [("started_at", rest["started_at"].take()), ("ended_at", rest["ended_at"].take())]
    {
        if !time.is_null() {
            assert_time(&time);
            rest[key] = "a time".into();
        }
    }
    let evidence = rest["evidence"].as_object_mut().unwrap();
    assert!(EVIDENCE_KEYS.iter().all(|key| evidence.contains_key(*key)), "{evidence:?}");
    assert_eq!(evidence.len(), EVIDENCE_KEYS.len(), "{evidence:?}");
    // None of these leaves anything behind, and not everybody counts.
    let left_behind = evidence.remove("left_behind").unwrap();
    assert!(left_behind.is_null() || left_behind == 0, "{left_behind}");
    let output = evidence.remove("output").unwrap();
    let nothing = json!({"stdout_bytes": 0, "stderr_bytes": 0});
    assert!(output.is_null() || output == nothing, "they print nothing: {output}");
    if let Some(intent) = rest["intent"].as_object_mut() {
        assert_time(&intent.remove("at").unwrap());
    }
    session
}

fn evidence(witness: Option<&str>, rung: Option<&str>, spawn: Value) -> Value {
    json!({
        "witness": witness, "report_before_intent": null, "rung": rung, "spawn": spawn, "notes": [],
    })
}

#[test]
fn a_live_session_has_this_shape() {
    let place = Place::new();
    let command = agent(["--hang"]);
    let id = place.launch_with(["--title", "a title"], &command);
    place.await_running(&id);
    let expected = json!({
        "parent": null, "title": "a title", "command": [command[0].to_str(), "--hang"],
        "status": "running", "outcome": null, "intent": null, "exit": null, "report": null,
        "evidence": evidence(None, None, Value::Null), "revision": 2,
        "started_at": "a time", "ended_at": null, "supervision": "ok", "exit_code": null,
    });
    assert_eq!(rest_of(&place, &id), expected);
    place.run(["kill", &id]).expect(0);
}

#[test]
fn a_session_that_succeeded_has_this_shape() {
    let place = Place::new();
    let id = place.launch(["true"]);
    place.run(["wait", &id]).expect(0);
    let expected = json!({
        "parent": null, "title": null, "command": ["true"], "status": "completed",
        "outcome": "succeeded", "intent": null, "exit": {"code": 0}, "report": null,
        "evidence": evidence(Some("parent"), None, Value::Null), "revision": 3,
        "started_at": "a time", "ended_at": "a time", "supervision": null, "exit_code": 0,
    });
    assert_eq!(rest_of(&place, &id), expected);
}

#[test]
fn an_interrupted_session_has_this_shape() {
    let place = Place::new();
    let command = agent(["--hang"]);
    let id = place.launch(&command);
    place.await_running(&id);
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
    let expected = json!({
        "parent": null, "title": null, "command": [command[0].to_str(), "--hang"],
        "status": "completed", "outcome": "interrupted",
        "intent": {"kind": "interrupt", "by": user()},
        "exit": {"signal": "SIGINT", "core_dumped": false}, "report": null,
        "evidence": evidence(Some("parent"), Some("interrupt"), Value::Null), "revision": 4,
        "started_at": "a time", "ended_at": "a time", "supervision": null, "exit_code": 130,
    });
    assert_eq!(rest_of(&place, &id), expected);
}

#[test]
fn a_session_that_could_not_be_started_has_this_shape() {
    let place = Place::new();
    place.run(["run", "--title", "missing", "--", "no-such-program"]).expect(127);
    let expected = json!({
        "parent": null, "title": "missing", "command": ["no-such-program"], "status": "failed",
        "outcome": "spawn", "intent": null, "exit": null, "report": null,
        "evidence": evidence(None, None, json!({"stage": "exec", "errno": 2})), "revision": 2,
        "started_at": null, "ended_at": "a time", "supervision": null, "exit_code": 127,
    });
    assert_eq!(rest_of(&place, &place.titled("missing")), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_lost_session_has_this_shape() {
    let place = Place::new();
    let id = place.launch_and_lose();
    place.run(["wait", &id]).expect(120);
    let command = place.session(&id)["command"].clone();
    let expected = json!({
        "parent": null, "title": null, "command": command,
        "status": "lost", "outcome": "bad_record", "intent": null, "exit": null,
        "report": null, "evidence": evidence(None, None, Value::Null), "revision": 3,
        "started_at": "a time", "ended_at": "a time", "supervision": null, "exit_code": 120,
    });
    assert_eq!(rest_of(&place, &id), expected);
}

#[test]
fn an_id_may_be_shortened() {
    let place = Place::new();
    let id = place.launch(["true"]);
    place.run(["wait", &id]).expect(0);
    let whole = place.session(&id);
    for short in
        [&id[28..], &id[28..32], &id[..8], &id[..20], &id.replace('-', ""), &id.to_uppercase()]
    {
        assert_eq!(place.session(short), whole, "{short}");
    }
}

#[test]
fn a_person_is_told_the_story_of_the_status() {
    let place = Place::new();
    let ready = place.fifo("ready");
    let script = agent(words!["--on", "INT=exit:1", "--ready", &ready, "--hang"]);
    let id = place.launch_with(["--title", "the title"], script);
    std::fs::read_to_string(ready).unwrap();
    place.await_running(&id);
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
    let said = place.run(["show", &id]).expect(0);
    let text = said.stdout();
    let user = user();
    for fact in [
        format!("session    {id}\n"),
        "title      the title\n".to_owned(),
        format!("status     completed: interrupted (interrupt by {user})\n"),
        format!("asked      interrupt by {user} at 20"),
        "exit       exit code 1\n".to_owned(),
        "seen by    parent\n".to_owned(),
        "run again  candor run --cwd /".to_owned(),
    ] {
        assert!(text.contains(&fact), "{fact:?} is not in\n{text}");
    }
    let (_facts, story) = text.split_once("how it came to this\n").unwrap();
    let told: Vec<String> = story
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_time(&words[1].into());
            words[2..].join(" ")
        })
        .collect();
    let expected = [
        format!("starting: launched by {user}"),
        "starting → running: spawned by daemon".to_owned(),
        format!("running → completing: interrupt by {user}"),
        "completing → completed (interrupted): exited by daemon".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_command_to_run_again_runs_it_again() {
    let place = Place::new();
    let awkward = "it's \"so\" $HOME `x` \\ *";
    place.run(["run", "--title", "first", "--", "printf", "%s", awkward]).expect(0);
    let said = place.run(["show", &place.titled("first")]).expect(0);
    let again =
        said.stdout().lines().find_map(|line| line.strip_prefix("run again  candor ")).unwrap();
    let output = place.shell(&format!("\"$CANDOR\" {again}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), awkward);
}

/// What a session left behind is told in words, and is no reason for another verdict.
#[cfg(target_os = "linux")]
#[test]
fn what_was_left_behind_is_told() {
    let place = Place::new();
    let end = place.fifo("end");
    let wait = format!("setsid sh -c 'read line < {}' & ", end.display());
    let script = format!("{wait} {wait} exit 0");
    let id = place.launch(["sh", "-c", &script]);
    place.run(["wait", &id]).expect(0);
    let session = place.run(["show", "--json", &id]).expect(0).json();
    assert_eq!(
        (&session["outcome"], &session["evidence"]["left_behind"]),
        (&json!("succeeded"), &json!(2))
    );
    let shown = place.run(["show", &id]).expect(0);
    let sentence = "left       2 processes that it had started were still running when it ended\n";
    assert!(shown.stdout().contains(sentence), "{}", shown.stdout());
    // They live: otherwise nobody would read this.
    std::fs::write(&end, "go\ngo\n").unwrap();
}

/// A stop leaves nothing behind, in whichever session it is.
#[cfg(target_os = "linux")]
#[test]
fn what_is_stopped_leaves_nothing_behind() {
    let place = Place::new();
    let (end, here) = (place.fifo("end"), place.fifo("here"));
    let script = format!(
        "setsid sh -c 'exec 3<>{}; echo here > {}; read line <&3' & wait",
        end.display(),
        here.display()
    );
    let id = place.launch(["sh", "-c", &script]);
    assert_eq!(std::fs::read_to_string(&here).unwrap(), "here\n");
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
    let session = place.run(["show", "--json", &id]).expect(0).json();
    assert_eq!(session["evidence"]["left_behind"], 0);
    assert!(!place.run(["show", &id]).expect(0).stdout().contains("\nleft "));
}
