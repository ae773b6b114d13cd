//! Who may read, write and connect: nobody but the user, whatever the masks are.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use crate::support::skip;
use crate::support::{Place, Said, agent};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Returns everything below a folder, and the folder.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let mut at = 0;
    while let Some(path) = all.get(at).cloned() {
        at += 1;
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            all.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all
}

#[test]
fn everything_is_for_the_user_alone_whatever_the_umask() {
    for umask in ["000", "022", "077", "027"] {
        let place = Place::new();
        let script =
            format!("umask {umask}; exec \"$CANDOR\" run -- sh -c 'echo out; echo err >&2'");
        Said::by(place.shell(&script)).expect(0);
        let live = place.launch(agent(["--hang"]));
        let all = everything(&place.home());
        for name in
            ["candor.sock", "candor.db", "candor.db-wal", "daemon.lock", "daemon.log", "stdout"]
        {
            assert!(all.iter().any(|path| path.ends_with(name)), "{name} is not in {all:?}");
        }
        for path in all {
            let allowed = if fs::symlink_metadata(&path).unwrap().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), allowed, "{} with umask {umask}", path.display());
        }
        place.run(["kill", &live]).expect(0);
    }
}

#[test]
fn folders_above_the_home_are_made_for_the_user_alone() {
    let place = Place::new();
    let mut command = place.shell("umask 000; exec \"$CANDOR\" daemon start");
    command.env_remove("CANDOR_HOME");
    Said::by(command).expect(0);
    for folder in ["state", "state/candor"] {
        assert_eq!(mode(&place.path(folder)), 0o700, "{folder}");
    }
}

#[test]
fn a_home_that_others_can_look_into_is_closed() {
    let place = Place::new();
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    place.run(["run", "--", "true"]).expect(0);
    assert_eq!(mode(&place.home()), 0o700);
}

#[test]
fn a_home_that_is_a_link_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path("elsewhere"), place.home()).unwrap();
    place.run(["daemon", "run"]).expect(78).because(&["is not a folder", "CANDOR_HOME"]);
    place.run(["run", "--", "true"]).expect(125).because(&["is not a folder"]);
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0, "nothing was followed");
}

#[test]
fn files_that_are_links_are_not_followed() {
    for name in ["daemon.lock", "daemon.log", "candor.db"] {
        let place = Place::new();
        fs::create_dir(place.home()).unwrap();
        fs::set_permissions(place.home(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(place.path("precious"), "precious").unwrap();
        std::os::unix::fs::symlink(place.path("precious"), place.home().join(name)).unwrap();
        place.run(["daemon", "start"]).expect(125);
        assert_eq!(fs::read(place.path("precious")).unwrap(), b"precious", "{name}");
    }
}

/// The user that owns nothing, as whom to try what should not work.
#[cfg(target_os = "linux")]
const NOBODY: u32 = 65534;

/// Returns `candor` as another user, who can reach the folder of the place, or says that there is
/// no such way.
#[cfg(target_os = "linux")]
fn as_nobody(place: &Place, words: &[&str]) -> Option<std::process::Command> {
    let can = std::process::Command::new("setpriv").arg("--version").output();
    if !rustix::process::geteuid().is_root() || can.is_err() {
        skip("only root with setpriv can be somebody else");
        return None;
    }
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o711)).unwrap();
    // The program may lie where only its builder can go.
    let program = place.path("program");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_candor"), &program).unwrap();
    }
    let mut command = std::process::Command::new("setpriv");
    let user = NOBODY.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(program).args(words);
    place.settle(&mut command);
    Some(command)
}

#[cfg(target_os = "linux")]
#[test]
fn another_user_cannot_connect() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    for words in [&["ls"][..], &["run", "--", "true"], &["daemon", "status"], &["daemon", "stop"]] {
        let Some(command) = as_nobody(&place, words) else { return };
        let said = Said::by(command).expect(125);
        said.because(&["cannot reach the daemon", "Permission denied"]);
    }
    assert_eq!(place.sessions().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn another_user_who_gets_to_the_socket_is_refused_all_the_same() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    // Somebody has opened what was closed.
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = place.home().join("candor.sock");
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
    for words in [&["ls"][..], &["run", "--", "true"], &["daemon", "status"], &["daemon", "stop"]] {
        let Some(command) = as_nobody(&place, words) else { return };
        let said = Said::by(command).expect(125);
        assert_eq!(said.stdout(), "");
        said.because(&["daemon"]);
    }
    assert_eq!(place.sessions().len(), 1);
    let log = fs::read_to_string(place.home().join("daemon.log")).unwrap();
    assert!(log.contains("another user's connection was refused"), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_home_of_another_user_or_without_the_right_to_write_is_refused() {
    let place = Place::new();
    let Some(command) = as_nobody(&place, &["daemon", "run"]) else { return };
    // The folder above is not writable.
    Said::by(command).expect(78).because(&["cannot write to", "CANDOR_HOME"]);
    let command = as_nobody(&place, &["ls"]).unwrap();
    Said::by(command).expect(125).because(&["cannot write to", "CANDOR_HOME"]);
    assert!(!place.home().exists());
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let command = as_nobody(&place, &["daemon", "run"]).unwrap();
    Said::by(command).expect(78).because(&["belongs to user 0", "CANDOR_HOME"]);
    // Theirs, but read-only.
    std::os::unix::fs::chown(place.home(), Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o500)).unwrap();
    let command = as_nobody(&place, &["daemon", "run"]).unwrap();
    Said::by(command).expect(78).because(&["cannot write to", "CANDOR_HOME"]);
    assert_eq!(fs::read_dir(place.home()).unwrap().count(), 0);
    // And root is told that it is not root's.
    place.run(["daemon", "run"]).expect(78).because(&["belongs to user 65534"]);
}
