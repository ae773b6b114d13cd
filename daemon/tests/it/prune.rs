//! `candor prune`: what ended long enough ago goes, and it is said how much that was.

use serde_json::Value;

use crate::support::{Place, agent};

/// Returns a place with one completed, one failed and one live session, newest last.
fn three() -> (Place, [String; 3]) {
    let place = Place::new();
    let good = place.launch_with(["--title", "the good one"], ["true"]);
    let bad = place.launch(["sh", "-c", "echo out; exit 3"]);
    place.run(["wait", &good, &bad]).expect(3);
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    (place, [good, bad, live])
}

fn ids(place: &Place) -> Vec<String> {
    let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
    place.sessions().iter().map(id).collect()
}

#[test]
fn all_that_has_ended_goes_and_what_lives_stays() {
    let (place, [good, bad, live]) = three();
    let said = place.run(["prune", "--older", "0s", "--json"]).expect(0).json();
    assert_eq!((&said["count"], &said["dry_run"]), (&2.into(), &false.into()));
    let removed = said["removed"].as_array().unwrap();
    assert_eq!((&removed[0]["session"], &removed[1]["session"]), (&bad.into(), &good.into()));
    let bytes: u64 = removed.iter().map(|removal| removal["bytes"].as_u64().unwrap()).sum();
    assert!(bytes > 4 && said["bytes"] == bytes, "{said}");
    assert_eq!(ids(&place), [live.as_str()]);
    let said = place.run(["prune", "--older", "0s"]).expect(0);
    assert_eq!(said.stdout(), "removed 0 sessions and freed 0 B\n");
    place.run(["kill", &live]).expect(0);
}

#[test]
fn what_ended_later_than_that_stays() {
    let (place, [good, bad, live]) = three();
    for age in ["1h", "30d", "2w", "7000000d"] {
        let said = place.run(["prune", "--older", age]).expect(0);
        assert_eq!(said.stdout(), "removed 0 sessions and freed 0 B\n", "{age}");
    }
    assert_eq!(ids(&place), [live.as_str(), &bad, &good]);
    place.run(["kill", &live]).expect(0);
}

#[test]
fn a_dry_run_lists_what_would_go_and_removes_nothing() {
    let (place, [good, bad, live]) = three();
    let events = place.events([""; 0]);
    let said = place.run(["prune", "--older", "0s", "--dry-run"]).expect(0);
    let lines: Vec<&str> = said.stdout().lines().collect();
    assert!(lines[0].starts_with(&bad[28..]) && lines[0].contains("failed"), "{said:?}");
    assert!(lines[1].starts_with(&good[28..]) && lines[1].ends_with("the good one"), "{said:?}");
    assert!(lines[2].starts_with("would remove 2 sessions and free "), "{said:?}");
    let would = place.run(["prune", "--older", "0s", "--dry-run", "--json"]).expect(0).json();
    assert_eq!(would["dry_run"], true);
    assert_eq!(ids(&place), [live.as_str(), &bad, &good]);
    assert_eq!(place.events([""; 0]), events);
    // What it said it would free is what it frees.
    let did = place.run(["prune", "--older", "0s", "--json"]).expect(0).json();
    assert_eq!((&did["count"], &did["bytes"]), (&would["count"], &would["bytes"]));
    place.run(["kill", &live]).expect(0);
}

#[test]
fn only_what_ended_like_this_goes() {
    let (place, [good, bad, live]) = three();
    place.run(["prune", "--older", "0s", "--status", "lost"]).expect(0);
    assert_eq!(ids(&place), [live.as_str(), &bad, &good]);
    let said = place.run(["prune", "--older", "0s", "--status", "failed"]).expect(0);
    assert!(said.stdout().starts_with("removed 1 session and freed "), "{said:?}");
    assert_eq!(ids(&place), [live.as_str(), &good]);
    place.run(["prune", "--older", "0s", "--status", "failed", "--status", "completed"]).expect(0);
    assert_eq!(ids(&place), [live.as_str()]);
    place.run(["kill", &live]).expect(0);
}

#[test]
fn wrong_words_are_told_and_remove_nothing() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    for words in [
        &["prune"][..],
        &["prune", "--older", "soon"],
        &["prune", "--older", "-1d"],
        &["prune", "--older", "0s", "--status", "running"],
        &["rm"],
    ] {
        place.run(words).expect(2);
    }
    assert_eq!(place.sessions().len(), 1);
}
