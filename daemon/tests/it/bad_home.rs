//! Homes and databases that cannot be used: a sentence that says what to do, and nothing changed.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::support::{Place, Said};

/// Where SQLite keeps the version of the tables, as 4 bytes, the highest first.
///
/// Source: <https://sqlite.org/fileformat2.html>, "The Database Header".
const USER_VERSION_AT: u64 = 60;

/// Checks that neither the daemon nor any verb that needs one starts, each for this reason.
#[track_caller]
fn assert_unusable(place: &Place, because: &[&str]) {
    place.run(["daemon", "run"]).expect(78).because(because);
    for words in [&["run", "--", "true"][..], &["ls"], &["daemon", "start"]] {
        let said = place.run(words).expect(125);
        said.because(because);
        assert_eq!(said.stdout(), "");
    }
}

fn assert_untouched(path: &Path, before: &[u8]) {
    assert!(fs::read(path).unwrap() == before, "{} was changed", path.display());
}

#[test]
fn a_home_that_is_a_file_is_refused() {
    let place = Place::new();
    fs::write(place.home(), "precious").unwrap();
    assert_unusable(&place, &["is not a folder", "CANDOR_HOME"]);
    place.run(["daemon", "status"]).expect(125).because(&["no daemon runs"]);
    place.run(["daemon", "stop"]).expect(0);
    assert_untouched(&place.home(), b"precious");
}

#[test]
fn a_home_that_is_too_long_for_a_socket_is_refused_with_the_limit() {
    let place = Place::new();
    let home = place.path(&"x".repeat(120));
    for (words, code) in [
        (&["daemon", "run"][..], 78),
        (&["daemon", "start"], 125),
        (&["daemon", "status"], 125),
        (&["daemon", "stop"], 125),
        (&["run", "--", "true"], 125),
        (&["ls"], 125),
    ] {
        let mut command = place.candor(words);
        command.env("CANDOR_HOME", &home);
        let said = Said::by(command).expect(code);
        said.because(&["too long for a socket", "at most", "CANDOR_HOME"]);
    }
    assert!(!home.exists());
}

#[test]
fn no_place_for_a_home_is_told() {
    let place = Place::new();
    let mut command = place.candor(["ls"]);
    command.env_remove("CANDOR_HOME").env_remove("XDG_STATE_HOME").env_remove("HOME");
    Said::by(command).expect(125).because(&["HOME", "CANDOR_HOME"]);
}

#[test]
fn without_candor_home_the_state_folder_is_the_home() {
    let place = Place::new();
    let state = place.path("state");
    for words in [&["run", "--", "true"][..], &["daemon", "stop"]] {
        let mut command = place.candor(words);
        command.env_remove("CANDOR_HOME");
        Said::by(command).expect(0);
    }
    assert!(state.join("candor/candor.db").exists() && !place.home().exists());
}

#[test]
fn a_home_that_others_may_write_to_is_refused() {
    let place = Place::new();
    fs::create_dir(place.home()).unwrap();
    set_mode(&place.home(), 0o777);
    assert_unusable(&place, &["other users can write to", "chmod go-w"]);
    assert_eq!(fs::read_dir(place.home()).unwrap().count(), 0);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    let path = place.home().join("candor.db");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&99_u32.to_be_bytes(), USER_VERSION_AT).unwrap();
    let before = fs::read(&path).unwrap();
    assert_unusable(&place, &["has format 99", "newer Candor"]);
    assert_untouched(&path, &before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    for content in
        [&b"a text of somebody, and rather a long one, of no use to anybody else"[..], b""]
    {
        let place = Place::new();
        fs::create_dir(place.home()).unwrap();
        set_mode(&place.home(), 0o700);
        let path = place.home().join("candor.db");
        fs::write(&path, content).unwrap();
        assert_unusable(&place, &["is damaged", "restore a copy", "move it away"]);
        assert_untouched(&path, content);
    }
}

#[test]
fn a_damaged_database_is_refused_with_what_to_do() {
    let place = Place::with_ended_sessions(20);
    let path = place.home().join("candor.db");
    let file = fs::File::options().write(true).open(&path).unwrap();
    // All pages but the first, which has the mark of a database of ours.
    let noise: Vec<u8> =
        (0..file.metadata().unwrap().len() - 4096).map(|at| (at * 7 % 251) as u8).collect();
    file.write_all_at(&noise, 4096).unwrap();
    assert_unusable(&place, &["damaged", "restore a copy", "move it away"]);
    // Moved away, there is an empty one in its place.
    for name in ["candor.db", "candor.db-wal", "candor.db-shm"] {
        // The other two are there or not.
        let _moved = fs::rename(place.home().join(name), place.path(name));
    }
    assert_eq!(place.sessions().len(), 0);
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn a_damaged_row_is_left_out_and_the_rest_is_served() {
    let place = Place::new();
    let before = place.launch_with(["--title", "before"], ["true"]);
    let damaged = place.launch_with(["--title", "c4n4ry-to-be-damaged"], ["true"]);
    let after = place.launch_with(["--title", "after"], ["true"]);
    place.run(["wait", &before, &damaged, &after]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    let path = place.home().join("candor.db");
    let mut bytes = fs::read(&path).unwrap();
    let title = b"c4n4ry-to-be-damaged";
    let places: Vec<usize> =
        (0..bytes.len() - title.len()).filter(|&at| bytes[at..].starts_with(title)).collect();
    assert!(!places.is_empty(), "the title is stored as text");
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let listed: Vec<_> = place.sessions().iter().map(|session| session["id"].clone()).collect();
    assert_eq!(listed, [after.as_str(), before.as_str()]);
    let said = place.run(["show", &damaged]).expect(125);
    said.because(&[&damaged, "is damaged"]);
    place.run(["run", "--", "true"]).expect(0);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}
