//! What lies in the folder of sessions: strays are set aside, a live session's are left alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::{STRAY, chmod, contents, doctor, stray, used};
use crate::support::{Place, agent};

/// Makes a file that nobody else can read.
pub(super) fn plant(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    chmod(path, 0o600);
}

/// Makes one of everything that belongs to a session which there is not.
fn strays(place: &Place) -> Vec<PathBuf> {
    let sessions = place.home().join("sessions");
    let folder = stray(place);
    plant(&folder.join("stdout"), b"somebody's output");
    let files = [".identity", ".recording", ".identity.unfinished"]
        .map(|ending| sessions.join(format!("{STRAY}{ending}")));
    files.iter().for_each(|file| plant(file, b"v1 nonsense"));
    [vec![folder], files.to_vec()].concat()
}

/// Returns the folder of what was set aside, of which there is one.
pub(super) fn set_aside(place: &Place) -> PathBuf {
    let days: Vec<_> = fs::read_dir(place.home().join("set-aside")).unwrap().collect();
    assert_eq!(days.len(), 1, "this test began yesterday");
    let day = days.into_iter().next().unwrap().unwrap().path();
    let name = day.file_name().unwrap().to_str().unwrap().to_owned();
    let is_day = name.len() == 10 && name.split('-').all(|part| part.parse::<u16>().is_ok());
    assert!(is_day, "{name}");
    day
}

/// Returns an identity as a daemon writes it.
#[cfg(target_os = "linux")]
pub(super) fn identity(session: &str, pid: u32, start_mark: &str, boot_id: &str) -> String {
    record(&format!(
        r#"{{"session":"{session}","pid":{pid},"start_mark":{start_mark},"boot_id":"{boot_id}"}}"#
    ))
}

/// Returns when a process started, in the kernel's unit, and the name of this boot.
#[cfg(target_os = "linux")]
pub(super) fn birth(pid: u32) -> (String, String) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The 22nd field, of which the name is the second.
    let start = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    (start.to_owned(), boot.trim_end().to_owned())
}

/// Returns a record as Candor writes it.
#[cfg(target_os = "linux")]
pub(super) fn record(json: &str) -> String {
    // CRC-32 as in ISO 3309, bit by bit.
    let crc32 = !json.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    format!("v1 {} {json} {crc32:08x}\n", json.len())
}

#[test]
fn what_belongs_to_no_session_is_set_aside_and_nothing_is_lost() {
    let (place, id) = used();
    let planted = strays(&place);
    let unfinished = place.home().join(format!("sessions/{id}.identity.unfinished"));
    plant(&unfinished, b"half");
    let names = ["identities", "folders", "recordings", "unfinished"];
    let report = doctor(&place, [], 4);
    report.only(names).says("folders", "warning", "1 folder belongs to no session");
    report.says("unfinished", "warning", "2 files were left half written");
    assert!(planted.iter().all(|path| path.exists()) && unfinished.exists(), "it only looked");
    let report = doctor(&place, ["--fix"], 0);
    assert_eq!((report.only([]).count("fixed"), report.count("not_fixed")), (5, 0));
    let aside = set_aside(&place);
    assert_eq!(fs::read(aside.join(STRAY).join("stdout")).unwrap(), b"somebody's output");
    assert_eq!(fs::read(aside.join(format!("{STRAY}.identity"))).unwrap(), b"v1 nonsense");
    assert_eq!(fs::read(aside.join(unfinished.file_name().unwrap())).unwrap(), b"half");
    let after = contents(&place.home());
    doctor(&place, ["--fix"], 0).only([]);
    assert_eq!(contents(&place.home()), after, "the second time changes nothing");
    // What is there already is not written over.
    strays(&place);
    assert_eq!(doctor(&place, ["--fix"], 0).count("fixed"), 4);
    assert!(aside.join(STRAY).exists() && aside.join(format!("{STRAY}.2/stdout")).exists());
    assert_eq!(place.end_of(&id)["status"], "completed", "the session is as it was");
}

#[test]
fn what_belongs_to_a_live_session_is_left_alone() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    place.kill_daemon();
    let sessions = place.home().join("sessions");
    chmod(&sessions.join(&live), 0o755);
    chmod(&sessions.join(format!("{live}/stdout")), 0o644);
    plant(&sessions.join(format!("{live}.identity.unfinished")), b"half");
    let before = contents(&place.home());
    let report = doctor(&place, ["--fix"], 4);
    let would = report.only(["access"]).says("access", "warning", "2 files and folders let");
    assert!(would.starts_with("nothing: a live session's are left alone"), "{would}");
    assert_eq!(contents(&place.home()), before);
    // The next daemon can still find its process, and then it is over.
    place.run(["kill", &live]);
    assert!(place.end_of(&live)["outcome"].is_string());
    place.run(["daemon", "stop"]).expect(0);
    assert_eq!(doctor(&place, ["--fix"], 0).only([]).count("fixed"), 3);
}

#[test]
fn a_damaged_identity_is_set_aside_only_when_its_session_has_ended() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    let ended = place.launch(["true"]);
    place.await_running(&live);
    place.run(["wait", &ended]).expect(0);
    let path = |id: &str| place.home().join(format!("sessions/{id}.identity"));
    // There is none where there is a shim, but an earlier daemon may have left one.
    let good = fs::read(path(&live));
    place.kill_daemon();
    for id in [&live, &ended] {
        plant(&path(id), b"v1 nonsense");
    }
    let report = doctor(&place, ["--fix"], 4);
    assert_eq!(report.only(["identities"]).count("fixed"), 1);
    assert!(path(&live).exists() && !path(&ended).exists());
    match good {
        Ok(good) => fs::write(path(&live), good).unwrap(),
        Err(_) => fs::remove_file(path(&live)).unwrap(),
    }
    place.run(["kill", &live]);
    assert!(place.end_of(&live)["outcome"].is_string());
}

#[test]
fn output_that_is_gone_and_a_recording_that_is_damaged_are_told() {
    let (place, id) = used();
    let sessions = place.home().join("sessions");
    let recording = sessions.join(format!("{id}.recording"));
    let whole = fs::read_to_string(&recording).unwrap();
    fs::write(&recording, whole.replacen("fingerprint", "fingerpaint", 1)).unwrap();
    fs::remove_file(sessions.join(&id).join("stderr")).unwrap();
    let before = contents(&place.home());
    let report = doctor(&place, ["--fix"], 4);
    report.only(["outputs", "recordings"]).says("outputs", "warning", "1 session has lost");
    report.says("recordings", "warning", "1 recording is damaged");
    assert_eq!(report.of("outputs")["items"][0], id.as_str());
    assert_eq!(report.count("fixed"), 0);
    assert_eq!(contents(&place.home()), before);
    // One of no session is set aside, and the damaged one stays.
    plant(&sessions.join(format!("{STRAY}.recording")), b"");
    let report = doctor(&place, [], 4);
    report.says("recordings", "warning", "2 recordings are damaged or of no session");
    assert_eq!(doctor(&place, ["--fix"], 4).only(["outputs", "recordings"]).count("fixed"), 1);
    assert!(recording.exists() && set_aside(&place).join(format!("{STRAY}.recording")).exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_outlived_its_session_is_told_and_not_ended() {
    use std::process::{Command, Stdio};

    let (place, id) = used();
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let (start, boot) = birth(pid);
    let sessions = place.home().join("sessions");
    for session in [id.as_str(), STRAY] {
        let line = identity(session, pid, &start, &boot);
        plant(&sessions.join(format!("{session}.identity")), line.as_bytes());
    }
    let before = contents(&place.home());
    let report = doctor(&place, ["--fix"], 4);
    let words = "2 processes have outlived the session";
    report.only(["identities", "processes"]).says("processes", "warning", words);
    let items = report.of("processes")["items"].to_string();
    assert!(items.contains(&format!("{pid} of session {id}, which has ended")), "{items}");
    assert_eq!(contents(&place.home()), before, "it is the only way to find the process");
    assert!(child.try_wait().unwrap().is_none(), "it lives");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(doctor(&place, ["--fix"], 0).only([]).count("fixed"), 1);
}
