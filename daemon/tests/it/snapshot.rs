//! `GET /v1/snapshot`, and what a client knows who goes on from there.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::{Place, Sse, agent, wire};

/// What is compared of a session: its revision and its status.
type Known = HashMap<String, (u64, String)>;

fn snapshot(place: &Place, query: &str) -> Value {
    wire::ask(&place.home(), "GET", &format!("/v1/snapshot{query}"), b"").json()
}

fn known(snapshot: &Value) -> Known {
    let sessions = snapshot["sessions"].as_array().unwrap().iter();
    sessions.map(|session| (text(&session["id"]), standing(session, "status"))).collect()
}

fn standing(value: &Value, status: &str) -> (u64, String) {
    (value["revision"].as_u64().unwrap(), text(&value[status]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn counts(known: &Known) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (_, status) in known.values() {
        *counts.entry(status.clone()).or_default() += 1;
    }
    counts
}

/// Applies an event to what is known, and checks that it is the one that had to come.
#[track_caller]
fn apply(known: &mut Known, event: &Value) {
    let id = text(&event["session"]);
    let before = known.get(&id).map(|(revision, status)| (*revision, status.clone()));
    let (revision, from) = before.map_or((0, None), |(revision, from)| (revision, Some(from)));
    assert_eq!(event["from"].as_str(), from.as_deref(), "{event}");
    assert_eq!(event["revision"].as_u64(), Some(revision + 1), "{event}");
    known.insert(id, standing(event, "to"));
}

/// Begins anew at a random moment, follows for as many events, and again, until the storm is over.
/// Returns the snapshots that it saw.
fn watch(place: &Place, is_over: &AtomicBool, seed: u64) -> Vec<Value> {
    let mut snapshots = Vec::new();
    let mut random = seed;
    loop {
        let was_over = is_over.load(Ordering::SeqCst);
        let taken = snapshot(place, "?limit=10000");
        let (mut known, mut seq) = (known(&taken), taken["seq"].as_u64().unwrap());
        assert!(taken["next"].is_null());
        snapshots.push(taken);
        if was_over {
            return snapshots;
        }
        let path = format!("/v1/events?after={seq}&view=session");
        let mut stream = Sse::open(&place.home(), &path, None);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
        for _ in 0..random >> 60 {
            if is_over.load(Ordering::SeqCst) {
                break;
            }
            let frame = stream.next();
            // Nothing is removed here, so that places have no gap.
            seq += 1;
            assert_eq!(frame.id, Some(seq));
            let mut event = frame.data;
            let view = event["view"].take();
            assert!(view["revision"].as_u64() >= event["revision"].as_u64(), "{event}");
            assert_eq!(view["id"], event["session"]);
            apply(&mut known, &event);
        }
    }
}

#[test]
fn a_snapshot_is_what_the_events_up_to_its_place_make_at_any_moment() {
    const ROUNDS: usize = 6;
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let is_over = AtomicBool::new(false);
    let snapshots = thread::scope(|scope| {
        let watchers: Vec<_> = (1..=3)
            .map(|seed| {
                let (place, is_over) = (&place, &is_over);
                scope.spawn(move || watch(place, is_over, seed))
            })
            .collect();
        for _ in 0..ROUNDS {
            let short: Vec<_> = ["true", "false", "no-such-program"]
                .map(|program| place.start(["run", "--", program]))
                .into();
            let stopped: Vec<_> = (0..3).map(|_| place.launch(agent(["--hang"]))).collect();
            for id in &stopped {
                place.run(["interrupt", id]).expect(0);
            }
            for run in short {
                run.finish();
            }
            for id in &stopped {
                place.run(["wait", id]);
            }
        }
        is_over.store(true, Ordering::SeqCst);
        // A watcher may wait for an event that would not come any more.
        for _ in 0..2 {
            place.run(["run", "--", "true"]).expect(0);
        }
        watchers.into_iter().flat_map(|watcher| watcher.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(snapshots.len() > 3 * 3, "{}", snapshots.len());
    let log = place.events([""; 0]);
    for snapshot in snapshots {
        let seq = snapshot["seq"].as_u64().unwrap();
        let mut folded = Known::new();
        for event in log.iter().take_while(|event| event["seq"].as_u64() <= Some(seq)) {
            apply(&mut folded, event);
        }
        assert_eq!(known(&snapshot), folded, "at {seq}");
        let told = snapshot["counts"].as_object().unwrap().iter();
        let told: BTreeMap<_, _> = told
            .map(|(status, count)| (status.clone(), count.as_u64().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(told, counts(&folded), "at {seq}");
    }
}

#[test]
fn a_snapshot_has_all_that_live_and_the_newest_that_have_ended() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let ended: Vec<_> = (0..5)
        .map(|_| {
            let id = place.launch(["true"]);
            place.run(["wait", &id]).expect(0);
            id
        })
        .collect();
    let ids = |snapshot: &Value| -> Vec<String> {
        let sessions = snapshot["sessions"].as_array().unwrap().iter();
        sessions.map(|session| text(&session["id"])).collect()
    };
    let all = snapshot(&place, "");
    assert_eq!(all["sessions"], Value::from(place.sessions()));
    assert_eq!((&all["next"], &all["seq"]), (&Value::Null, &17.into()));
    assert_eq!((&all["counts"]["running"], &all["counts"]["completed"]), (&1.into(), &5.into()));
    // What is left out is listed on from where it says.
    let some = snapshot(&place, "?limit=2");
    assert_eq!(ids(&some), [&ended[4], &ended[3], &live].map(String::clone));
    assert_eq!(some["counts"], all["counts"]);
    assert_eq!(some["next"], ended[3].as_str());
    let path = format!("/v1/sessions?before={}&limit=2", ended[3]);
    let rest = wire::ask(&place.home(), "GET", &path, b"").json();
    assert_eq!([&rest[0]["id"], &rest[1]["id"]], [ended[2].as_str(), ended[1].as_str()]);
    let none = snapshot(&place, "?limit=0");
    assert_eq!((ids(&none), &none["next"]), (vec![live], &Value::Null));
}

#[test]
fn a_snapshot_that_cannot_be_is_refused_with_a_sentence() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let ask = |query: &str| wire::ask(&place.home(), "GET", &format!("/v1/snapshot{query}"), b"");
    let said = ask("?limit=10001").assert_problem(400, "bad_request");
    assert!(said.contains("10000"), "{said}");
    ask("?limit=-1").assert_problem(400, "bad_request");
    ask("?newest=1").assert_problem(400, "bad_request");
}
