//! `candor timeline`: the flight recording of a real session replays, in another process and without
//! any of what was there, to the same.

use std::ffi::OsString;
use std::fs;

use candor_harness::import::{Imported, Recording, import};

use crate::support::{Place, agent, words};

/// Feeds a session's recording to the race harness. Where the tests are told a folder to keep
/// recordings in, it is kept there.
#[track_caller]
fn replay_of(place: &Place, id: &str, name: &str) -> Imported {
    let said = place.run(["timeline", id]).expect(0);
    if let Some(folder) = std::env::var_os("CANDOR_KEEP_RECORDINGS") {
        fs::write(std::path::Path::new(&folder).join(name), &said.output).unwrap();
    }
    let recording = Recording::read(name, &said.output).unwrap_or_else(|error| panic!("{error}"));
    let imported = import(&[recording]).unwrap_or_else(|error| panic!("{error}\n{said:?}"));
    imported.judge().unwrap_or_else(|error| panic!("{error}\n{}", imported.timeline));
    let entries = said.stdout().lines().filter(|line| line.starts_with("{\"at\":")).count();
    assert_eq!(imported.entries, entries, "every entry is compared");
    // Nothing of this machine shows in it.
    let text = imported.timeline.to_string();
    assert!(!text.contains(id) && !text.contains(place.folder().to_str().unwrap()), "{text}");
    imported
}

/// Returns what a session recorded.
#[track_caller]
fn recording_of(place: &Place, id: &str) -> Recording {
    let said = place.run(["timeline", id]).expect(0);
    Recording::read(id, &said.output).unwrap_or_else(|error| panic!("{error}"))
}

/// Launches an agent that does this until it is made to end, and waits until it is there.
fn launch_ready(place: &Place, options: &[&str], script: &[&str]) -> String {
    let ready = place.path("ready");
    if !ready.exists() {
        place.fifo("ready");
    }
    let script = script.iter().map(Into::into).chain(words!["--ready", &ready, "--hang"]);
    let id = place.launch_with(options, agent(script.collect::<Vec<OsString>>()));
    fs::read(ready).unwrap();
    id
}

/// Returns the statuses that the replay of an import came to.
fn statuses(imported: &Imported) -> &str {
    imported.outcome.golden.lines().next().unwrap_or_default()
}

#[test]
fn the_recording_of_an_interrupted_session_replays_alike() {
    let place = Place::new();
    let id = launch_ready(&place, &[], &["--on", "INT=exit:1"]);
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]);
    let imported = replay_of(&place, &id, "interrupted_session.recording");
    assert_eq!(
        statuses(&imported),
        "s1   starting  > running  > completing(interrupt)!  > completed(interrupted)"
    );
    assert!(imported.timeline.to_string().contains("signal p1 INT exits 1"));
}

#[test]
fn the_recording_of_a_session_that_climbs_the_ladder_replays_alike() {
    let place = Place::new();
    let deaf = ["--ignore", "INT", "--ignore", "TERM"];
    let id = launch_ready(&place, &["--grace", "5ms,5ms"], &deaf);
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]);
    let imported = replay_of(&place, &id, "stubborn_session.recording");
    let text = imported.timeline.to_string();
    assert!(
        text.contains("signal p1 TERM ignored") && text.contains("signal p1 KILL kills"),
        "{text}"
    );
    assert_eq!(
        statuses(&imported),
        "s1   starting  > running  > completing(interrupt)!  +TERM  +KILL  > completed(interrupted)"
    );
}

#[test]
fn the_recording_of_a_session_that_outlives_its_daemon_replays_alike() {
    let place = Place::new();
    let id = launch_ready(&place, &["--grace", "1h,1h"], &["--ignore", "INT"]);
    place.run(["interrupt", &id]).expect(0);
    place.kill_daemon();
    place.run(["kill", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
    let imported = replay_of(&place, &id, "session_after_a_crash.recording");
    let text = imported.timeline.to_string();
    assert!(text.contains("crash") && text.contains("attach s1 up"), "{text}");
    assert_eq!(
        statuses(&imported),
        "s1   starting  > running  > completing(interrupt)!  +KILL  > completed(interrupted)"
    );
}

#[test]
fn the_recording_of_a_launch_that_is_refused_replays_alike() {
    let place = Place::new();
    let _said = place.run(["run", "--title", "missing", "--", "/no/such/program"]);
    let imported = replay_of(&place, &place.titled("missing"), "refused_launch.recording");
    assert_eq!(statuses(&imported), "s1   starting  > failed(spawn)");
}

#[test]
fn a_recording_that_began_with_a_later_daemon_replays_alike() {
    let place = Place::new();
    let id = place.launch_and_lose();
    fs::remove_file(place.home().join("sessions").join(format!("{id}.recording"))).unwrap();
    place.run(["wait", &id]).expect(120);
    let imported = replay_of(&place, &id, "session_of_a_later_daemon.recording");
    assert!(imported.timeline.to_string().contains("# made up"), "{}", imported.timeline);
    assert_eq!(statuses(&imported), "s1   starting  > running  > lost(bad_record)");
}

#[test]
fn the_recordings_of_two_sessions_that_lose_their_daemon_replay_alike_together() {
    let place = Place::new();
    let deaf = launch_ready(&place, &["--grace", "1h,1h"], &["--ignore", "INT"]);
    let other = launch_ready(&place, &[], &[]);
    place.run(["interrupt", &deaf]).expect(0);
    place.kill_daemon();
    place.run(["kill", &deaf]).expect(0);
    place.run(["interrupt", &other]).expect(0);
    place.run(["wait", &deaf, &other]).expect(130);
    let recordings = [recording_of(&place, &other), recording_of(&place, &deaf)];
    let imported = import(&recordings).unwrap_or_else(|error| panic!("{error}"));
    imported.judge().unwrap_or_else(|error| panic!("{error}\n{}", imported.timeline));
    let ends = "recorded sessions are completed(interrupted), completed(interrupted)";
    assert_eq!(imported.timeline.title(), ends);
}
