//! Copies of the database: one at a start when none is a day old, told of, and good to go back to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::support::{Place, Running, assert_time};

fn copies(place: &Place) -> Vec<String> {
    place.names_in("backups")
}

/// Starts the daemon in front, and waits until it has made a copy.
fn started_with_a_copy(place: &Place) -> Running {
    let mut daemon = place.start(["daemon", "run"]);
    while !daemon.error_line().contains("a copy of the database was made") {}
    daemon
}

#[test]
fn a_start_makes_a_copy_when_the_newest_is_older_than_a_day_and_status_tells() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    assert_eq!(copies(&place), [""; 0], "an empty database was worth none");
    let said = place.run(["daemon", "status"]).expect(0);
    assert!(said.stdout().lines().last().unwrap().ends_with("none yet"), "{said:?}");
    place.run(["daemon", "stop"]).expect(0);
    let old = "candor-20200101-000000.db";
    fs::write(place.home().join("backups").join(old), "of another day").unwrap();
    let daemon = started_with_a_copy(&place);
    let names = copies(&place);
    assert_eq!((names.len(), &names[0][..]), (2, old));
    let status = place.run(["daemon", "status", "--json"]).expect(0).json();
    let backup = &status["last_backup"];
    assert_time(&backup["at"]);
    let path = place.home().join("backups").join(&names[1]);
    assert_eq!(backup["path"], path.to_str().unwrap());
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(backup["bytes"], metadata.len());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let folder = fs::metadata(place.home().join("backups")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o7777, 0o700);
    let said = place.run(["daemon", "status"]).expect(0);
    assert!(said.stdout().lines().last().unwrap().ends_with(path.to_str().unwrap()), "{said:?}");
    place.run(["daemon", "stop"]).expect(0);
    daemon.finish().expect(0);
}

/// As the README tells it.
#[test]
fn a_copy_is_restored_by_putting_it_in_the_place_of_the_database() {
    let place = Place::new();
    let kept = place.launch(["echo", "kept"]);
    place.run(["wait", &kept]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    let daemon = started_with_a_copy(&place);
    let before = (place.sessions(), place.events([""; 0]));
    let later = place.launch(["echo", "later"]);
    place.run(["wait", &later]).expect(0);
    place.run(["rm", &kept]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    daemon.finish().expect(0);
    let copy: PathBuf = place.home().join("backups").join(&copies(&place)[0]);
    for name in ["candor.db-wal", "candor.db-shm"] {
        let _not_there = fs::remove_file(place.home().join(name));
    }
    fs::copy(copy, place.home().join("candor.db")).unwrap();
    assert_eq!((place.sessions(), place.events([""; 0])), before);
    // What the copy does not know is not swept: it may be all that is left of it.
    let output = place.home().join("sessions").join(&later).join("stdout");
    assert_eq!(fs::read_to_string(output).unwrap(), "later\n");
    // The output of what was removed meanwhile is not in a copy of the database.
    assert_eq!(place.run(["logs", &kept]).expect(0).stdout(), "");
    // A reader that was further than the copy is told so, and does not wait for ever.
    let ahead = place.events(["--after", "7"]);
    assert_eq!((&ahead[0]["type"], &ahead[0]["seq"]), (&"reset".into(), &3.into()));
    place.run(["run", "--", "true"]).expect(0);
}
