//! The daemon is killed at any moment: on the next start every session has a true status.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Place, agent, assert_chain, end, kernel, wire, words};

/// Homes in which the daemon is killed.
const HOMES: u64 = 5;

/// Times that it is killed in each.
const ROUNDS: u64 = 5;

/// Clients that launch and interrupt meanwhile.
const LANES: u64 = 6;

/// Events that a daemon lives for, at most, before it is killed.
const EVENTS_MAX: u64 = 48;

/// The variable by which the test finds its sessions' processes.
const MARK: &str = "CANDOR_TEST_MARK";

/// What the clients were told before the daemon died.
#[derive(Default)]
struct Told {
    launched: BTreeSet<String>,
    stopping: BTreeSet<String>,
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// Returns a number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Launches and interrupts until the daemon is gone.
fn live(home: &Path, mark: &str, mut dice: Dice, told: &Mutex<Told>) {
    loop {
        let script: &[&str] = match dice.roll(5) {
            0 => &["--exit", "0"],
            1 => &["--exit", "3"],
            2 => &["--hang"],
            3 => &["--on", "INT=exit:1", "--hang"],
            _ => &["--ignore", "INT", "--hang"],
        };
        let command: Vec<_> =
            agent(script).iter().map(|word| word.to_str().unwrap().to_owned()).collect();
        let body = json!({
            "title": script.join(" "), "command": command, "cwd": "/", "environment": [[MARK, mark]],
            "umask": 0o22, "timeout_ms": null, "success_codes": [0],
            "graces": {"interrupt_ms": 5, "terminate_ms": 5, "linger_ms": 5},
        });
        let body = body.to_string();
        let Some(reply) = wire::try_ask(home, "POST", "/v1/sessions", body.as_bytes()) else {
            return;
        };
        let Ok(session) = serde_json::from_slice::<Value>(&reply.body) else { return };
        let id = session["id"].as_str().unwrap().to_owned();
        told.lock().unwrap().launched.insert(id.clone());
        let verb = match dice.roll(4) {
            0 | 1 => "interrupt",
            2 => "kill",
            _ => continue,
        };
        let path = format!("/v1/sessions/{id}/{verb}");
        let Some(reply) = wire::try_ask(home, "POST", &path, b"") else { return };
        let Ok(reply) = serde_json::from_slice::<Value>(&reply.body) else { return };
        if reply["answer"] != "already_ended" {
            told.lock().unwrap().stopping.insert(id);
        }
    }
}

/// Checks that what is shown of a session can be the truth.
#[track_caller]
fn assert_true(session: &Value, story: &[Value], told: &Told) {
    assert_chain(story);
    let (status, outcome) =
        (session["status"].as_str().unwrap(), session["outcome"].as_str().unwrap_or("none"));
    let last = story.last().unwrap();
    assert_eq!((&last["to"], &last["outcome"]), (&session["status"], &session["outcome"]));
    let is_asked = session["intent"].is_object();
    if told.stopping.contains(session["id"].as_str().unwrap()) {
        assert!(is_asked, "an answered stop is forgotten: {session}");
    }
    let has_run = story.iter().any(|event| event["to"] == "running");
    let title = session["title"].as_str().unwrap();
    match (status, outcome) {
        ("completed", "interrupted") => assert!(is_asked, "{session}"),
        ("completed", "succeeded") => {
            assert!(!is_asked && title == "--exit 0", "{session}");
            assert_eq!(session["exit"], json!({"code": 0}));
        }
        ("failed", "exit_code") => {
            assert!(!is_asked && title == "--exit 3", "{session}");
            assert_eq!(session["exit"], json!({"code": 3}));
        }
        // It never ran, and nothing says that it did.
        ("failed", "spawn") => {
            assert!(!is_asked && !has_run, "{session}\n{story:?}");
            assert!(session["evidence"]["spawn"].is_null() && session["exit"].is_null());
        }
        other => panic!("{other:?}: {session}"),
    }
}

/// Lets a daemon live for some events after `last_seq`, and kills it. Returns what its clients were
/// told.
fn kill_in_the_middle(place: &Place, mark: &str, round: u64, last_seq: &str) -> Told {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (round + 1));
    let daemon = place.daemon();
    let mut events = place.start(["events", "--json", "--follow", "--after", last_seq]);
    let told = Mutex::new(Told::default());
    thread::scope(|scope| {
        for lane in 0..LANES {
            let dice = Dice(dice.roll(u64::MAX) + lane + 1);
            let (home, told) = (place.home(), &told);
            scope.spawn(move || live(&home, mark, dice, told));
        }
        for _ in 0..=dice.roll(EVENTS_MAX) {
            events.line();
        }
        end(daemon, Signal::KILL);
    });
    told.into_inner().unwrap()
}

#[test]
fn after_a_kill_at_any_moment_every_session_has_a_true_status() {
    let mut outcomes = BTreeSet::new();
    for home in 0..HOMES {
        let place = Place::new();
        place.run(["daemon", "start"]).expect(0);
        for round in 0..ROUNDS {
            outcomes.extend(survive(&place, home * ROUNDS + round));
        }
    }
    for outcome in ["interrupted", "succeeded", "exit_code"] {
        assert!(outcomes.contains(outcome), "{outcome} was never seen: {outcomes:?}");
    }
}

/// Kills the daemon of a place and checks what the next one shows. Returns how sessions ended.
fn survive(place: &Place, round: u64) -> BTreeSet<String> {
    let mark = place.folder().to_str().unwrap();
    let status = place.run(["daemon", "status", "--json"]).expect(0).json();
    let last_seq = status["last_seq"].to_string();
    let old = place.sessions().len();
    let told = kill_in_the_middle(place, mark, round, &last_seq);
    let ids: Vec<String> = {
        let sessions = place.sessions();
        let new = &sessions[..sessions.len() - old];
        new.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(told.launched.iter().all(|id| ids.contains(id)), "an answered launch is forgotten");
    for id in &ids {
        // What hangs goes on as if nothing had happened, and so it has to be asked.
        let session = place.session(id);
        if session["title"].as_str().unwrap().contains("--hang") && session["intent"].is_null() {
            place.run(["kill", id]).expect(0);
        }
    }
    place.run(words!["wait"].into_iter().chain(ids.iter().map(Into::into)));
    let events = place.events(["--after", &last_seq]);
    let mut outcomes = BTreeSet::new();
    for (session, id) in place.sessions().iter().zip(&ids) {
        assert_eq!(session["id"], id.as_str());
        let of_it = events.iter().filter(|event| event["session"] == session["id"]);
        assert_true(session, &of_it.cloned().collect::<Vec<_>>(), &told);
        outcomes.insert(session["outcome"].as_str().unwrap().to_owned());
    }
    let left = kernel::with_in_environment(&format!("{MARK}={mark}"));
    assert_eq!(left, [0; 0], "processes outlive their sessions in round {round}");
    // To look twice is to see the same, whoever looks.
    let before = place.run(["ls", "--json"]).expect(0).output;
    place.kill_daemon();
    let after = place.run(["ls", "--json"]).expect(0).output;
    assert!(before == after, "a restart has changed something in round {round}");
    outcomes
}

#[test]
fn a_session_that_was_being_interrupted_is_interrupted_after_a_crash() {
    let place = Place::new();
    let ready = place.fifo("ready");
    let script = words!["--ignore", "INT", "--ready", &ready, "--hang"];
    let id = place.launch_with(["--grace", "1h,1h"], agent(script));
    fs::read(ready).unwrap();
    place.run(["interrupt", &id]).expect(0);
    place.kill_daemon();
    assert_eq!(place.session(&id)["status"], "completing");
    place.run(["kill", &id]).expect(0);
    let said = place.run(["wait", &id]).expect(130);
    assert_eq!(said.stdout(), format!("{id} completed interrupted\n"));
    let session = place.session(&id);
    assert_eq!(session["intent"]["kind"], "interrupt");
    assert_eq!(session["exit"]["signal"], "SIGKILL");
    assert!(place.story(&id).iter().all(|event| event["to"] != "failed"));
}

#[test]
fn a_daemon_that_was_killed_is_not_taken_for_one_that_runs() {
    let place = Place::new();
    place.run(["daemon", "start"]).expect(0);
    place.kill_daemon();
    // Its socket and its number are still there.
    assert!(place.home().join("candor.sock").exists());
    place.run(["daemon", "status"]).expect(125).because(&["no daemon runs"]);
    assert_eq!(place.run(["daemon", "stop"]).expect(0).stdout(), "no daemon runs\n");
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn a_record_that_is_damaged_or_gone_makes_no_guess() {
    let place = Place::new();
    let mut processes = Vec::new();
    for damage in ["cut", "gone"] {
        let shell = words!["sh", "-c", "echo $$; exec \"$@\"", "sh"];
        let script = agent(["--ready", "-", "--hang"]);
        let words = words!["run", "--title", damage, "--"].into_iter().chain(shell).chain(script);
        let mut run = place.start(words);
        processes.push(Pid::from_raw(run.line().parse().unwrap()).unwrap());
        assert_eq!(run.line(), "ready");
        run.signal(Signal::KILL);
    }
    let ids = ["cut", "gone"].map(|title| place.titled(title));
    place.kill_daemon();
    let records = |id: &str| place.home().join("sessions").join(format!("{id}.shim"));
    for id in &ids {
        end(kernel::shim_of(id), Signal::KILL);
    }
    let cut = records(&ids[0]).join("started");
    fs::File::options().write(true).open(cut).unwrap().set_len(20).unwrap();
    fs::remove_dir_all(records(&ids[1])).unwrap();
    for id in &ids {
        let said = place.run(["wait", id]).expect(120);
        assert_eq!(said.stdout(), format!("{id} lost bad_record\n"));
        assert_chain(&place.story(id));
    }
    // Nobody can tell any more that these are its processes, so no signal is sent.
    for process in processes {
        kill_process(process, Signal::KILL).expect("it is left alone");
    }
}

#[test]
fn a_session_has_not_ended_as_long_as_its_shim_lives_whatever_was_removed() {
    let place = Place::new();
    let (held, go) = (place.fifo("held"), place.fifo("go"));
    let id = place.launch(agent(words!["--hold", &held, "--await", &go, "--exit", "5"]));
    let process = fs::File::open(held).unwrap();
    place.await_running(&id);
    fs::remove_dir_all(place.home().join("sessions").join(format!("{id}.shim"))).unwrap();
    place.kill_daemon();
    place.run(["daemon", "start"]).expect(0);
    let session = place.settled(&id);
    assert_eq!(
        (&session["status"], &session["supervision"]),
        (&"running".into(), &"unreachable".into()),
        "{session}"
    );
    fs::write(go, "go\n").unwrap();
    drop(process);
    let said = place.run(["wait", &id]).expect(120);
    assert_eq!(said.stdout(), format!("{id} lost bad_record\n"));
}

#[test]
fn a_folder_that_is_removed_under_a_session_costs_the_output_and_not_the_truth() {
    let place = Place::new();
    let (ready, go) = (place.fifo("ready"), place.fifo("go"));
    let script = words!["--ready", &ready, "--await", &go, "--print", "x", "--exit", "5"];
    let id = place.launch(agent(script));
    fs::read(ready).unwrap();
    fs::remove_dir_all(place.home().join("sessions").join(&id)).unwrap();
    fs::write(go, "go\n").unwrap();
    place.run(["wait", &id]).expect(5);
    assert_eq!(place.session(&id)["exit"]["code"], 5);
    place.run(["logs", "-f", &id]).expect(0);
}
