//! A database that is damaged, newer, a link or gone: told, and left as it is to the byte.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use super::{Findings, contents, doctor, stray, used};
use crate::support::Place;

/// Where SQLite keeps the version of the tables, as 4 bytes, the highest first.
const USER_VERSION_AT: u64 = 60;

/// Runs `doctor --fix` on a home with more in it that could be mended, and checks that nothing was.
#[track_caller]
fn looks_and_leaves(place: &Place) -> Findings {
    stray(place);
    let before = contents(&place.home());
    let report = doctor(place, ["--fix"], 5);
    assert_eq!(contents(&place.home()), before);
    assert_eq!(report.count("fixed"), 0);
    assert!(!report.has("folders"), "nobody can tell whose a folder is");
    report
}

fn flip(path: &Path, text: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<_> =
        (0..bytes.len() - text.len()).filter(|&at| bytes[at..].starts_with(text)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_newer_database_is_told_with_both_versions() {
    let (place, _id) = used();
    let file = fs::File::options().write(true).open(place.home().join("candor.db")).unwrap();
    file.write_all_at(&99_u32.to_be_bytes(), USER_VERSION_AT).unwrap();
    let report = looks_and_leaves(&place);
    let would = report.only(["database"]).says("database", "problem", "has format 99");
    report.says("database", "problem", "reads up to ");
    assert_eq!(would, "nothing: the file is left as it is");
}

#[test]
fn a_damaged_row_is_named() {
    let place = Place::new();
    let damaged = place.launch_with(["--title", "c4n4ry-to-be-damaged"], ["true"]);
    place.run(["wait", &damaged]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    flip(&place.home().join("candor.db"), b"c4n4ry-to-be-damaged");
    let report = looks_and_leaves(&place);
    report.only(["rows"]).says("rows", "problem", "1 row or story is not as written");
    let item = report.of("rows")["items"][0].as_str().unwrap();
    assert!(item.contains(&damaged), "{item}");
}

#[test]
fn damaged_pages_are_told_with_how_to_go_on() {
    let place = Place::with_ended_sessions(20);
    let path = place.home().join("candor.db");
    let file = fs::File::options().write(true).open(&path).unwrap();
    // Within the pages of the rows.
    let length = file.metadata().unwrap().len();
    file.write_all_at(&[0xa5; 6000], length / 2).unwrap();
    let report = looks_and_leaves(&place);
    let would = report.says("pages", "problem", "wrong with the database");
    assert!(would.contains("to restore a copy or to begin anew, stop the daemon"), "{would}");
    // With a backup there is more to say.
    let backups = place.home().join("backups");
    let (good, _id) = used();
    for (name, from) in [("2026-01-01.db", &good.home()), ("2026-01-02.db", &good.home())] {
        fs::copy(from.join("candor.db"), backups.join(name)).unwrap();
    }
    fs::write(backups.join("2026-01-03.db"), "no database").unwrap();
    super::chmod(&backups.join("2026-01-03.db"), 0o600);
    let report = looks_and_leaves(&place);
    let would = report.says("pages", "problem", "wrong with the database");
    assert!(would.contains("/backups/2026-01-02.db to candor.db"), "{would}");
    report.says("backups", "warning", "1 backup is no database of this Candor");
    // What it says works.
    for name in ["candor.db", "candor.db-wal", "candor.db-shm"] {
        let _there_or_not = fs::rename(place.home().join(name), place.path(name));
    }
    fs::remove_file(backups.join("2026-01-03.db")).unwrap();
    fs::copy(backups.join("2026-01-02.db"), &path).unwrap();
    assert_eq!(place.sessions().len(), 1);
}

#[test]
fn what_is_no_database_is_told() {
    let (place, _id) = used();
    for content in [&b""[..], b"a text of somebody"] {
        fs::write(place.home().join("candor.db"), content).unwrap();
        let report = looks_and_leaves(&place);
        report.only(["database"]).says("database", "problem", "is damaged");
    }
    fs::remove_file(place.home().join("candor.db")).unwrap();
    let report = looks_and_leaves(&place);
    report.only(["database"]).says("database", "problem", "the database is gone");
    let (other, _id) = used();
    symlink(other.home().join("candor.db"), place.home().join("candor.db")).unwrap();
    let report = looks_and_leaves(&place);
    report.only(["links", "database"]).says("database", "problem", "the database is a link");
}

#[test]
fn a_database_that_a_killed_daemon_has_left_is_well() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    place.kill_daemon();
    doctor(&place, ["--fix"], 0).only([]).says("log", "ok", "the last daemon was killed");
    place.run(["run", "--", "true"]).expect(0);
    doctor(&place, [], 0).only([]).says("rows", "ok", "sessions 2, events 6");
}
