//! Deliveries of daemons that are killed.

use super::receiver::Receiver;
use super::{add, await_hook, deliveries};
use crate::support::Place;

#[test]
fn what_was_under_way_is_sent_again_under_the_same_id() {
    let place = Place::new();
    let receiver = Receiver::start();
    let hook = add(&place, &receiver, "all");
    let session = place.launch(["true"]);
    let held = receiver.call();
    place.run(["wait", &session]).expect(0);
    place.kill_daemon();
    let id = held.id().to_owned();
    held.answer(204, "");
    place.run(["daemon", "start"]).expect(0);
    let again = receiver.call();
    assert_eq!(again.id(), id);
    let mut story = vec![again.accept()["event"].clone()];
    story.extend((0..2).map(|_| receiver.take()["event"].clone()));
    assert_eq!(story, place.story(&session));
    await_hook(&place, |hook| hook["delivered"] == 3);
    // The attempt that nobody put down does not count.
    assert!(deliveries(&place, &hook).iter().all(|it| it["attempts"] == 1));
}

#[test]
fn a_daemon_that_leaves_tells_the_rest_when_it_is_back() {
    let place = Place::new();
    let receiver = Receiver::start();
    add(&place, &receiver, "completed");
    place.run(["run", "--", "true"]).expect(0);
    let held = receiver.call();
    place.run(["daemon", "stop"]).expect(0);
    let id = held.id().to_owned();
    drop(held);
    place.run(["daemon", "start"]).expect(0);
    let again = receiver.call();
    assert_eq!(again.id(), id);
    again.accept();
    await_hook(&place, |hook| hook["delivered"] == 1);
}

/// The daemon is killed at whatever moment it is in when the end of a session is told: before its
/// delivery is stored, after that, while it is sent, or when it was taken.
#[cfg(target_os = "linux")]
#[test]
fn no_end_is_missed_however_often_the_daemon_is_killed() {
    use std::collections::{BTreeMap, BTreeSet};

    const ROUNDS: usize = 30;

    let place = Place::new();
    let receiver = Receiver::start();
    let hook = add(&place, &receiver, "completed");
    let told = std::thread::spawn(move || {
        let (mut told, mut ids) = (BTreeSet::new(), BTreeMap::new());
        while told.len() < ROUNDS {
            let call = receiver.call();
            let id = call.id().to_owned();
            let json = call.accept();
            let session = json["event"]["session"].as_str().unwrap().to_owned();
            assert_eq!(json["session"]["status"], "completed");
            // All attempts at one have one id, and no two have the same.
            assert_eq!(ids.entry(id).or_insert_with(|| session.clone()), &session);
            told.insert(session);
        }
        (told, ids.len())
    });
    let mut sessions = BTreeSet::new();
    for round in 0..ROUNDS {
        // The longer it takes, the later the moment.
        let lasts = format!("sleep 0.0{round:02}");
        let id = place.launch(["sh", "-c", &lasts]);
        if round % 2 == 0 {
            place.run(["wait", &id]).expect(0);
        }
        sessions.insert(id);
        place.kill_daemon();
    }
    place.run(["daemon", "start"]).expect(0);
    let (told, ids) = told.join().unwrap();
    assert_eq!(told, sessions);
    assert_eq!(ids, ROUNDS, "each was stored once");
    await_hook(&place, |hook| hook["delivered"] == ROUNDS);
    assert_eq!(deliveries(&place, &hook).len(), ROUNDS);
}
