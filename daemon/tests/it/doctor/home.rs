//! The ground: the home itself, who may look into it, links, room.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};

use super::{STRAY, chmod, contents, doctor, stray, used};
#[cfg(target_os = "linux")]
use crate::support::skip;
use crate::support::{Place, Said};

fn mode(path: &std::path::Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_home_that_cannot_be_one_is_told_and_left() {
    let place = Place::new();
    fs::write(place.home(), "precious").unwrap();
    doctor(&place, ["--fix"], 5).only(["home"]).says("home", "problem", "is no folder");
    assert_eq!(fs::read(place.home()).unwrap(), b"precious");
    fs::remove_file(place.home()).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.home()).unwrap();
    doctor(&place, ["--fix"], 5).only(["home"]).says("home", "problem", "is a link");
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0, "nothing was followed");
    for (home, words) in [("x".repeat(120), "too long for a socket"), (String::new(), "no place")] {
        let mut command = place.candor(["doctor", "--fix"]);
        command.env_remove("XDG_STATE_HOME").env_remove("HOME");
        match home.as_str() {
            "" => command.env_remove("CANDOR_HOME"),
            home => command.env("CANDOR_HOME", place.path(home)),
        };
        let said = Said::by(command).expect(5);
        assert!(said.stdout().contains(words), "{said:?}");
        assert!(said.stdout().ends_with("\n0 of 1 checks passed\n"), "{said:?}");
    }
}

#[test]
fn a_home_that_others_can_look_into_is_closed() {
    let (place, _id) = used();
    for (open, code, verdict, words) in [
        (0o755, 4, "warning", "mode 755: others may look into it"),
        (0o777, 5, "problem", "mode 777: others may write to it"),
    ] {
        chmod(&place.home(), open);
        let would = doctor(&place, [], code).only(["home"]).says("home", verdict, words);
        assert_eq!((mode(&place.home()), would.as_str()), (open, "sets it to 700"));
        assert_eq!(doctor(&place, ["--fix"], 0).only([]).count("fixed"), 1);
        assert_eq!(mode(&place.home()), 0o700);
    }
    chmod(&place.home(), 0o500);
    doctor(&place, ["--fix"], 5).only(["home"]).says("home", "problem", "you cannot use it");
    chmod(&place.home(), 0o700);
}

#[test]
fn what_others_can_read_or_write_below_is_closed_once() {
    let (place, id) = used();
    for (name, mode) in [
        ("candor.db".to_owned(), 0o644),
        ("daemon.log".to_owned(), 0o666),
        ("sessions".to_owned(), 0o755),
        (format!("sessions/{id}"), 0o711),
        (format!("sessions/{id}/stdout"), 0o640),
        (format!("sessions/{id}.recording"), 0o604),
    ] {
        chmod(&place.home().join(name), mode);
    }
    let words = "6 files and folders let others read or write";
    doctor(&place, [], 4).only(["access"]).says("access", "warning", words);
    let report = doctor(&place, ["--fix"], 0);
    // The log and its index, which a look has made beside the database, had its mode.
    assert_eq!((report.only([]).count("fixed"), report.count("not_fixed")), (8, 0));
    let after = contents(&place.home());
    for (path, (mode, _)) in &after {
        let right = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o7777, right, "{}", path.display());
    }
    assert_eq!(doctor(&place, ["--fix"], 0).count("fixed"), 0);
    assert_eq!(contents(&place.home()), after);
}

#[test]
fn what_a_look_itself_has_made_is_closed_along() {
    let (place, _id) = used();
    chmod(&place.home().join("candor.db"), 0o644);
    // The database, and what SQLite makes beside it with the same mode.
    assert_eq!(doctor(&place, ["--fix"], 0).only([]).count("fixed"), 3);
}

#[test]
fn a_lock_that_is_a_link_is_told_and_nothing_is_done() {
    let (place, _id) = used();
    let (lock, elsewhere) = (place.home().join("daemon.lock"), place.path("elsewhere"));
    fs::rename(&lock, &elsewhere).unwrap();
    symlink(&elsewhere, &lock).unwrap();
    let (stray, before) = (stray(&place), fs::read(&elsewhere).unwrap());
    let report = doctor(&place, ["--fix"], 5);
    report.only(["lock", "links", "folders"]).says("lock", "problem", "cannot be told");
    assert!(stray.exists() && report.count("fixed") == 0);
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_is_shown_as_text_whatever_it_is() {
    use std::os::unix::ffi::OsStrExt as _;

    let (place, _id) = used();
    let name = std::ffi::OsStr::from_bytes(b"evil\x1b]0;title\x07\xff\nall 23 checks passed");
    let path = place.home().join(name);
    fs::write(&path, "").unwrap();
    chmod(&path, 0o644);
    for (word, code) in [("-v", 4), ("--fix", 0)] {
        let said = place.run(["doctor", word]).expect(code);
        assert!(!said.output.contains(&0x1b), "{said:?}");
        let forged = said.stdout().lines().filter(|line| *line == "all 23 checks passed").count();
        assert_eq!(forged, usize::from(code == 0), "{said:?}");
    }
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn folders_that_are_too_deep_are_told() {
    let (place, _id) = used();
    let deep = place.home().join(["deep"; 20].join("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(deep).unwrap();
    let report = doctor(&place, ["--fix"], 5);
    report.only(["owners"]).says("owners", "problem", "1 name below the home cannot be looked at");
}

#[test]
fn links_are_told_and_never_followed() {
    let (place, _id) = used();
    let elsewhere = place.path("elsewhere");
    fs::create_dir_all(elsewhere.join("deeper")).unwrap();
    fs::write(elsewhere.join("precious"), "precious").unwrap();
    chmod(&elsewhere.join("precious"), 0o666);
    chmod(&elsewhere, 0o777);
    let sessions = place.home().join("sessions");
    symlink(&elsewhere, place.home().join("evil")).unwrap();
    symlink(&elsewhere, sessions.join(STRAY)).unwrap();
    symlink(elsewhere.join("precious"), sessions.join(format!("{STRAY}.identity"))).unwrap();
    symlink(elsewhere.join("precious"), sessions.join(format!("{STRAY}.recording"))).unwrap();
    let (outside, inside) = (contents(&elsewhere), contents(&place.home()));
    let report = doctor(&place, ["--fix"], 4);
    report.only(["links"]).says("links", "warning", "4 names are links");
    assert_eq!(report.count("fixed"), 0);
    assert_eq!((contents(&elsewhere), contents(&place.home())), (outside, inside));
}

#[test]
fn nothing_is_set_aside_through_a_link() {
    let (place, _id) = used();
    let elsewhere = place.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, place.home().join("set-aside")).unwrap();
    let stray = stray(&place);
    let report = doctor(&place, ["--fix"], 4);
    assert_eq!(report.only(["links", "folders"]).count("not_fixed"), 1);
    assert!(stray.exists() && fs::read_dir(&elsewhere).unwrap().count() == 0);
}

#[test]
fn a_folder_of_sessions_that_is_a_link_is_not_followed() {
    let (place, _id) = used();
    let elsewhere = place.path("elsewhere");
    fs::rename(place.home().join("sessions"), &elsewhere).unwrap();
    fs::create_dir(elsewhere.join(STRAY)).unwrap();
    chmod(&elsewhere, 0o755);
    symlink(&elsewhere, place.home().join("sessions")).unwrap();
    let before = contents(&elsewhere);
    let report = doctor(&place, ["--fix"], 4);
    report.says("links", "warning", "1 name is a link");
    assert_eq!(report.count("fixed"), 0);
    assert_eq!(contents(&elsewhere), before);
}

#[cfg(target_os = "linux")]
#[test]
fn what_belongs_to_another_user_is_told() {
    use std::os::unix::fs::chown;

    if !rustix::process::geteuid().is_root() {
        return skip("only root can give files away");
    }
    let (place, id) = used();
    chown(place.home().join(format!("sessions/{id}/stdout")), Some(65534), None).unwrap();
    let report = doctor(&place, ["--fix"], 5);
    report.only(["owners"]).says("owners", "problem", "1 name belongs to another user");
    assert_eq!(report.of("owners")["items"][0], format!("sessions/{id}/stdout (user 65534)"));
    chown(place.home(), Some(65534), None).unwrap();
    let before = contents(&place.home());
    doctor(&place, ["--fix"], 5).only(["home"]).says("home", "problem", "belongs to user 65534");
    assert_eq!(contents(&place.home()), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_nearly_full_is_told() {
    use std::process::Command;

    let place = Place::new();
    fs::create_dir(place.home()).unwrap();
    for (size, code, verdict) in [("8m", 5, "problem"), ("64m", 4, "warning")] {
        let script = format!(
            "mount -t tmpfs -o size={size},mode=700 candor-test \"$CANDOR_HOME\" || exit 77
             exec \"$CANDOR\" doctor --json"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).env("CANDOR", env!("CARGO_BIN_EXE_candor"));
        place.settle(&mut command);
        let probe = Command::new("unshare").args(["--mount", "true"]).output();
        if !rustix::process::geteuid().is_root() || !probe.is_ok_and(|probe| probe.status.success())
        {
            return skip("only root, with unshare, can have a small disk of its own");
        }
        let said = Said::by(command);
        let report = super::Findings(said.expect(code).json());
        report.only(["space"]).says("space", verdict, "MiB free");
    }
}
