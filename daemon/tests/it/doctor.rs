//! `candor doctor` on homes with real damage: what it says, what it mends, what it leaves alone.

mod database;
mod home;
mod records;
#[cfg(target_os = "linux")]
mod shims;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::support::{Place, agent};

/// A session that there never was.
const STRAY: &str = "0192d3a0-0000-7000-8000-000000000001";

/// What `doctor --json` says.
struct Findings(Value);

/// Runs `doctor --json` with more words, checks its exit code, and that the code is what it says.
#[track_caller]
fn doctor<const N: usize>(place: &Place, words: [&str; N], code: i32) -> Findings {
    let words = ["doctor", "--json"].into_iter().chain(words);
    let said = place.run(words).expect(code);
    let report = said.json();
    let verdict = match code {
        0 => "ok",
        4 => "warning",
        _ => "problem",
    };
    assert_eq!(report["verdict"], verdict, "{report}");
    Findings(report)
}

impl Findings {
    /// Returns one check.
    #[track_caller]
    fn of(&self, id: &str) -> &Value {
        let checks = self.0["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == id);
        check.unwrap_or_else(|| panic!("no check {id} in {}", self.0))
    }

    /// Checks that these checks alone found something.
    #[track_caller]
    fn only<const N: usize>(&self, ids: [&str; N]) -> &Self {
        let checks = self.0["checks"].as_array().unwrap().iter();
        let found: Vec<_> = checks.filter(|check| check["verdict"] != "ok").collect();
        let names: Vec<_> = found.iter().map(|check| check["id"].as_str().unwrap()).collect();
        assert_eq!(names, ids, "{found:#?}");
        assert!(found.iter().all(|check| check["would"].is_string()), "{found:#?}");
        self
    }

    /// Checks what one check found, and returns what it would do.
    #[track_caller]
    fn says(&self, id: &str, verdict: &str, words: &str) -> String {
        let check = self.of(id);
        assert_eq!(check["verdict"], verdict, "{check}");
        assert!(check["found"].as_str().unwrap().contains(words), "{words:?} is not in {check}");
        check["would"].as_str().unwrap_or_default().to_owned()
    }

    fn has(&self, id: &str) -> bool {
        self.0["checks"].as_array().unwrap().iter().any(|check| check["id"] == id)
    }

    fn count(&self, list: &str) -> usize {
        self.0[list].as_array().unwrap().len()
    }
}

/// Returns everything below a folder: its mode, and what is in it. What SQLite and the lock keep
/// for themselves is left out.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        // To look at a database leaves an empty log and its index beside it.
        let beside = ["-shm", "-wal"].map(|end| {
            ["candor.db", "conversations.db", "hooks.db"]
                .map(|name| path.ends_with(format!("{name}{end}")))
        });
        if path.ends_with("daemon.lock") || beside.concat().contains(&true) {
            continue;
        }
        let content = match metadata.is_file() {
            true => fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        all.insert(path.clone(), (metadata.mode(), content));
        if metadata.is_dir() {
            all.extend(contents(&path));
        }
    }
    all
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a folder of a session that there never was, if it is not there.
fn stray(place: &Place) -> PathBuf {
    let path = place.home().join("sessions").join(STRAY);
    fs::create_dir_all(&path).unwrap();
    chmod(&path, 0o700);
    path
}

/// Returns a home in which one session has ended, and no daemon runs, with that session's id.
fn used() -> (Place, String) {
    let place = Place::new();
    let id = place.launch(["true"]);
    place.run(["wait", &id]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    (place, id)
}

#[test]
fn nothing_is_wrong_with_a_home_that_is_used_as_it_should_be() {
    let place = Place::new();
    assert_eq!(place.run(["doctor"]).expect(0).stdout(), "all 2 checks passed\n");
    assert_eq!(place.run(["doctor", "--fix"]).expect(0).stdout(), "all 2 checks passed\n");
    assert!(!place.home().exists(), "to look makes nothing");
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    place.run(["run", "--", "no-such-program"]).expect(127);
    place.run(["run", "--", "true"]).expect(0);
    // Beside the daemon, after it was killed, and after it has left.
    assert_eq!(place.run(["doctor"]).expect(0).stdout(), "all 23 checks passed\n");
    place.kill_daemon();
    assert_eq!(place.run(["doctor"]).expect(0).stdout(), "all 23 checks passed\n");
    let before = contents(&place.home());
    assert_eq!(place.run(["doctor", "--fix"]).expect(0).stdout(), "all 23 checks passed\n");
    assert_eq!(contents(&place.home()), before);
    place.run(["daemon", "status"]).expect(125).because(&["no daemon runs"]);
    place.run(["run", "--", "true"]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    let said = place.run(["doctor", "--verbose"]).expect(0);
    assert_eq!(said.stdout().lines().filter(|line| line.starts_with("ok ")).count(), 23);
    assert!(said.stdout().ends_with("\nall 23 checks passed\n"), "{said:?}");
    place.run(["daemon", "status"]).expect(125).because(&["no daemon runs"]);
}

#[test]
fn beside_a_daemon_it_only_reads() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    chmod(&stray(&place), 0o755);
    let before = contents(&place.home());
    for words in [&["doctor"][..], &["doctor", "--fix"]] {
        let said = place.run(words).expect(4);
        assert!(said.stdout().contains("once the daemon is stopped"), "{said:?}");
        assert!(said.stdout().ends_with("\n21 of 23 checks passed\n"), "{said:?}");
        assert_eq!(said.stderr().contains("not fixed: folders: the daemon runs"), words.len() > 1);
    }
    assert_eq!(contents(&place.home()), before);
    assert_eq!(doctor(&place, ["--fix"], 4).only(["access", "folders"]).count("not_fixed"), 2);
    place.run(["daemon", "stop"]).expect(0);
    assert_eq!(doctor(&place, ["--fix"], 0).only([]).count("fixed"), 2);
}

#[test]
fn a_daemon_that_stands_still_is_told_and_nothing_is_done() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let stray = stray(&place);
    let daemon = place.daemon();
    kill_process(daemon, Signal::STOP).unwrap();
    let number = daemon.as_raw_nonzero();
    let report = doctor(&place, ["--fix"], 5);
    kill_process(daemon, Signal::CONT).unwrap();
    let found = format!("process {number} has the home and does not answer within 2 s");
    let would = report.says("lock", "problem", &found);
    assert!(would.contains(&format!("kill -CONT {number}")), "{would}");
    report.only(["lock", "folders"]);
    assert!(stray.exists() && report.count("fixed") == 0);
    place.run(["daemon", "status"]).expect(0);
}

#[test]
fn a_home_that_somebody_else_has_is_not_mended() {
    let (place, _id) = used();
    let stray = stray(&place);
    let lock = fs::File::options().write(true).open(place.home().join("daemon.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let report = doctor(&place, ["--fix"], 5);
    report.only(["lock", "folders"]);
    assert!(stray.exists() && report.count("not_fixed") == 1);
    drop(lock);
    // It has the home for as long as it mends.
    let mending = place.start(["doctor", "--fix"]);
    let pid = mending.pid().as_raw_nonzero().to_string();
    mending.finish().expect(0);
    assert!(!stray.exists());
    assert_eq!(fs::read_to_string(place.home().join("daemon.lock")).unwrap(), pid);
}

#[test]
fn help_has_the_exit_codes() {
    let place = Place::new();
    let said = place.run(["help", "doctor"]).expect(0);
    let text = said.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("0 when all is well, 4 for warnings, 5 for problems"), "{text}");
}
