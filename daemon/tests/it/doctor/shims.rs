//! Folders of shims: one that lives is never touched, one that is dead is a record like another.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::records::{birth, identity, plant, record, set_aside};
use super::{STRAY, chmod, contents, doctor, used};
use crate::support::kernel::shim_of;
use crate::support::{Place, agent, end};

const NONCE: &str = "018bcfe5-6800-7000-9e37-79b97f4a7c15";

/// The folder of a shim, as one leaves it behind, and its process.
struct Shim {
    folder: PathBuf,
    process: Child,
}

/// What a shim holds for as long as it lives.
type Life = (File, UnixListener);

impl Shim {
    /// One that has launched a process and was killed.
    fn of(place: &Place, session: &str) -> Self {
        let folder = place.home().join(format!("sessions/{session}.shim"));
        if folder.exists() {
            // Of the session's own, which has left.
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir(&folder).unwrap();
        chmod(&folder, 0o700);
        let mut cat = Command::new("cat");
        let process = cat.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (start, boot) = birth(process.id());
        let line = identity(session, process.id(), &start, &boot);
        let (_, json) = line.split_once('{').unwrap();
        let (json, _) = json.rsplit_once('}').unwrap();
        let json = format!(r#"{{"nonce":"{NONCE}","identity":{{{json}}}}}"#);
        plant(&folder.join("started"), record(&json).as_bytes());
        let intent = record(&format!(r#"{{"session":"{session}","nonce":"{NONCE}"}}"#));
        plant(&folder.join("intent"), intent.as_bytes());
        plant(&folder.join("lock"), b"");
        Self { folder, process }
    }

    /// Does what one does that lives.
    fn live(&self) -> Life {
        let lock = File::open(self.folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let control = self.folder.join("control");
        let listener = UnixListener::bind(&control).unwrap();
        chmod(&control, 0o600);
        (lock, listener)
    }

    fn end_process(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn damage(&self, name: &str) {
        let path = self.folder.join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_shim_of_no_session_is_left_alone_while_it_or_its_process_lives() {
    let (place, _id) = used();
    let mut shim = Shim::of(&place, STRAY);
    let life = shim.live();
    let look = |words: &str| {
        let before = contents(&place.home());
        let report = doctor(&place, ["--fix"], 4);
        let items = report.of("shims")["items"].to_string();
        assert!(items.contains(&format!("sessions/{STRAY}.shim (of no session, {words})")));
        let would = report.says("shims", "warning", "1 folder of a shim is");
        assert_eq!(would, "nothing: it may belong to something that lives");
        let outlived = report.of("processes")["items"].to_string();
        assert!(outlived.contains(&format!("{} of session {STRAY}", shim.process.id())));
        assert_eq!(contents(&place.home()), before);
        report
    };
    look("its shim lives").only(["processes", "shims"]);
    drop(life);
    fs::remove_file(shim.folder.join("control")).unwrap();
    let report = look("its process runs without a shim");
    report.only(["processes", "shims", "unsupervised"]);
    report.says("unsupervised", "warning", "1 process runs without a shim");
    shim.end_process();
    let report = doctor(&place, ["--fix"], 0);
    assert_eq!(report.only([]).count("fixed"), 1);
    let aside = set_aside(&place).join(format!("{STRAY}.shim"));
    let mut names: Vec<_> =
        fs::read_dir(aside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["intent.withdrawn", "lock", "started"]);
}

/// Beside a daemon it only looks, and tells all the same.
#[test]
fn a_damaged_record_is_named_and_set_aside_once_nobody_needs_it() {
    let (place, id) = used();
    let mut shim = Shim::of(&place, &id);
    let life = shim.live();
    shim.damage("intent");
    place.run(["ls"]).expect(0);
    for daemon_runs in [true, false] {
        if !daemon_runs {
            place.run(["daemon", "stop"]).expect(0);
        }
        let report = doctor(&place, ["--fix"], 4);
        assert_eq!(report.count("fixed"), 0, "its shim lives");
        let items = report.only(["processes", "shims"]).of("shims")["items"].to_string();
        assert!(items.contains("its record \\\"intent\\\" is damaged"), "{items}");
    }
    drop(life);
    fs::remove_file(shim.folder.join("control")).unwrap();
    shim.damage("started");
    shim.end_process();
    place.run(["ls"]).expect(0);
    let report = doctor(&place, ["--fix"], 4);
    assert_eq!((report.only(["shims"]).count("fixed"), report.count("not_fixed")), (0, 1));
    assert!(shim.folder.exists(), "a daemon runs");
    place.run(["daemon", "stop"]).expect(0);
    assert_eq!(doctor(&place, ["--fix"], 0).only([]).count("fixed"), 1);
    assert!(set_aside(&place).join(format!("{id}.shim/started")).exists());
    assert!(!shim.folder.exists());
    assert_eq!(place.session(&id)["status"], "completed");
}

#[test]
fn what_others_may_use_and_what_is_missing_is_told() {
    let (place, id) = used();
    let shim = Shim::of(&place, &id);
    let _life = shim.live();
    chmod(&shim.folder, 0o755);
    chmod(&shim.folder.join("lock"), 0o644);
    let report = doctor(&place, [], 4);
    let items = report.of("access")["items"].to_string();
    assert!(items.contains(&format!("sessions/{id}.shim (mode 755)")), "{items}");
    assert!(items.contains(&format!("sessions/{id}.shim/lock (mode 644)")), "{items}");
    assert!(!report.of("access")["fixable"].as_bool().unwrap(), "the shim lives");
    chmod(&shim.folder, 0o700);
    chmod(&shim.folder.join("lock"), 0o600);
    fs::remove_file(shim.folder.join("control")).unwrap();
    let report = doctor(&place, [], 4);
    let items = report.only(["processes", "shims"]).of("shims")["items"].to_string();
    assert!(items.contains("the socket is gone, and nobody reaches the shim"), "{items}");
}

#[test]
fn a_session_that_lives_without_any_record_of_its_process_is_named() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let sessions = place.home().join("sessions");
    let record = sessions.join(place.record_of(&live));
    let away = place.path("away");
    fs::rename(&record, &away).unwrap();
    let report = doctor(&place, [], 4);
    report.only(["shims"]).says("shims", "warning", "1 folder of a shim is");
    let items = report.of("shims")["items"].to_string();
    assert!(items.contains(&format!("{live}.shim (it is gone, and the session lives")), "{items}");
    fs::rename(&away, &record).unwrap();
    assert_eq!(doctor(&place, [], 0).only([]).of("shims")["verdict"], "ok");
}

/// The real ones: beside a daemon, without one, and without themselves.
#[test]
fn it_is_said_of_each_session_whether_its_shim_lives() {
    let place = Place::new();
    let (live, orphan) = (place.launch(agent(["--hang"])), place.launch(agent(["--hang"])));
    let ended = place.launch(["true"]);
    place.run(["wait", &ended]).expect(0);
    place.await_running(&live);
    place.await_running(&orphan);
    let tells = |id: &str, words: &str| {
        let items = doctor(&place, [], 0).of("shims")["items"].to_string();
        assert!(items.contains(&format!("sessions/{id}.shim ({words})")), "{items}");
    };
    for is_alone in [false, true] {
        if is_alone {
            place.kill_daemon();
        }
        tells(&live, "its shim lives");
        tells(&orphan, "its shim lives");
        tells(&ended, "its process is over");
    }
    end(shim_of(&orphan), Signal::KILL);
    let report = doctor(&place, ["--fix"], 4);
    assert_eq!(report.only(["unsupervised"]).count("fixed"), 0);
    let items = report.of("unsupervised")["items"].to_string();
    assert!(items.contains(&format!(" of session {orphan}")), "{items}");
    place.run(["kill", &live]).expect(0);
    place.run(["kill", &orphan]).expect(0);
    place.run(["wait", &live, &orphan]);
    tells(&live, "its process is over");
    place.run(["rm", &live, &orphan, &ended]).expect(0);
    assert_eq!(place.names_in("sessions"), [""; 0]);
}
