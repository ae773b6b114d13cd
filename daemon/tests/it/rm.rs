//! `candor rm`: what has ended goes without a trace but one event; what lives is left alone.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::wire::ask;
use crate::support::{Place, Running, agent, assert_chain, assert_time, end, user, words};

/// Returns the names of what sessions have left in the home.
fn remains(place: &Place) -> Vec<String> {
    place.names_in("sessions")
}

/// What tells who a session's process was: a file, or the folder of its shim.
const RECORD: &str = if cfg!(target_os = "linux") { "shim" } else { "identity" };

/// Returns the names of what one session leaves.
fn names_of(id: &str) -> [String; 3] {
    let mut names = [id.to_owned(), format!("{id}.{RECORD}"), format!("{id}.recording")];
    names.sort();
    names
}

/// Launches a session that prints, and waits for its end.
fn ended(place: &Place) -> String {
    let id = place.launch(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    place.run(["wait", &id]).expect(3);
    id
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Returns how many bytes a file has, or all files in a folder.
fn size_bytes(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.len();
    }
    fs::read_dir(path).unwrap().map(|entry| size_bytes(&entry.unwrap().path())).sum()
}

#[test]
fn a_session_goes_with_its_files_and_rows_and_its_removal_is_an_event() {
    let place = Place::new();
    let id = ended(&place);
    let other = ended(&place);
    let story = place.story(&id);
    let said = place.run(["rm", &id]).expect(0);
    assert!(said.stdout().starts_with(&format!("{id} removed, ")), "{said:?}");
    assert_eq!(remains(&place), names_of(&other));
    let sessions = place.sessions();
    assert_eq!((sessions.len(), &sessions[0]["id"]), (1, &other.as_str().into()));
    let mut events = place.events([""; 0]);
    let mut removed = events.pop().unwrap();
    assert_time(&removed.as_object_mut().unwrap().remove("at").unwrap());
    let last = story.last().unwrap();
    let expected = json!({
        "seq": 7, "session": id, "revision": last["revision"].as_u64().unwrap() + 1,
        "type": "session_removed", "from": "failed", "to": null, "cause": "removed", "by": user(),
        "outcome": null,
    });
    assert_eq!(removed, expected);
    assert_eq!(events, place.story(&other), "nothing else of it is told any more");
    assert_chain(&events);
    // A place is never given twice.
    let next = ended(&place);
    assert_eq!(place.story(&next)[0]["seq"], 8);
}

#[test]
fn every_verb_says_of_a_removed_session_that_it_was_removed() {
    let place = Place::new();
    let id = ended(&place);
    ended(&place);
    place.run(["rm", &id[28..]]).expect(0);
    for name in [&id[..], &id[28..], &id.to_uppercase()] {
        for words in [
            &["show", name][..],
            &["show", "--json", name],
            &["wait", name],
            &["logs", name],
            &["logs", "-f", name],
            &["events", "--session", name],
            &["timeline", name],
            &["interrupt", name],
            &["kill", name],
            &["rm", name],
        ] {
            let said = place.run(words).expect(125);
            said.because(&[&id, "was removed by", &user()]);
            assert_eq!(said.stdout(), "", "{words:?}");
        }
    }
    let reply = ask(&place.home(), "GET", &format!("/v1/sessions/{id}"), b"");
    reply.assert_problem(410, "removed");
    place.run(["daemon", "stop"]).expect(0);
    place.run(["show", &id]).expect(125).because(&["was removed by"]);
}

#[test]
fn what_lives_is_not_removed_and_neither_is_the_rest_of_the_list() {
    let place = Place::new();
    let done = ended(&place);
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let before = (remains(&place), place.sessions(), place.events([""; 0]));
    let said = place.run(["rm", &done, &live, "zz"]).expect(125);
    assert_eq!(said.stdout(), "");
    said.because(&[&live, "is running", "candor interrupt", "\"zz\""]);
    assert_eq!((remains(&place), place.sessions(), place.events([""; 0])), before);
    let reply = ask(&place.home(), "DELETE", &format!("/v1/sessions/{live}"), b"");
    reply.assert_problem(409, "live");
    place.run(["kill", &live]).expect(0);
    place.run(["wait", &live]).expect(130);
    place.run(["rm", &done, &live, &live]).expect(0);
    assert_eq!(remains(&place), [""; 0]);
    assert!(place.sessions().is_empty());
}

#[test]
fn json_tells_what_was_removed_and_what_was_not() {
    let place = Place::new();
    let (one, two) = (ended(&place), ended(&place));
    let bytes = |id: &str| -> u64 {
        let folder = place.home().join("sessions");
        names_of(id).iter().map(|name| size_bytes(&folder.join(name))).sum()
    };
    let (of_one, of_two) = (bytes(&one), bytes(&two));
    let said = place.run(["rm", "--json", &one, &two]).expect(0).json();
    let removed = |id: &str, bytes| json!({"session": id, "bytes": bytes, "dry_run": false});
    let expected = json!({
        "dry_run": false, "count": 2, "bytes": of_one + of_two, "refused": [],
        "removed": [removed(&one, of_one), removed(&two, of_two)],
    });
    assert_eq!(said, expected);
    let said = place.run(["rm", "--json", &one]).expect(125).json();
    assert_eq!((&said["count"], &said["removed"]), (&0.into(), &json!([])));
    assert_eq!(said["refused"][0]["session"], one);
    assert!(said["refused"][0]["reason"].as_str().unwrap().contains("was removed"));
}

#[test]
fn of_many_removals_at_once_one_counts() {
    let place = Place::new();
    let id = ended(&place);
    let home = place.home();
    let path = format!("/v1/sessions/{id}");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..8).map(|_| scope.spawn(|| ask(&home, "DELETE", &path, b"").status)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 410).count(), 7, "{statuses:?}");
    let removals = place.events([""; 0]);
    assert_eq!((removals.len(), &removals[0]["type"]), (1, &"session_removed".into()));
}

#[test]
fn whoever_follows_is_told_and_the_log_of_the_one_ends() {
    let place = Place::new();
    let go = place.fifo("go");
    let id = place.launch(agent(words!["--await", &go, "--exit", "0"]));
    let mut all = place.follow_events();
    let mut one = place.start(["events", "--json", "-f", "--session", &id]);
    for follower in [&mut all, &mut one] {
        follower.value(|event| event["to"] == "running");
    }
    let waiting = place.start(["wait", &id]);
    fs::write(go, "go\n").unwrap();
    for follower in [&mut all, &mut one] {
        follower.value(|event| event["outcome"] == "succeeded");
    }
    place.run(["rm", &id]).expect(0);
    // Whoever waited is told how it ended, removed or not.
    waiting.finish().expect(0);
    let told = all.value(|_| true);
    assert_eq!((&told["type"], &told["session"]), (&"session_removed".into(), &id.as_str().into()));
    let said = one.finish().expect(0);
    assert_eq!(said.json_lines(), [told]);
}

/// An end is told a moment before its task has let go of the session.
#[test]
fn what_has_just_ended_can_be_removed_at_once_and_leaves_nothing() {
    let place = Place::new();
    let mut events = place.follow_events();
    for _ in 0..20 {
        let id = place.launch(["true"]);
        events.value(|event| event["session"] == id.as_str() && event["outcome"].is_string());
        let reply = ask(&place.home(), "DELETE", &format!("/v1/sessions/{id}"), b"");
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(remains(&place), [""; 0]);
}

#[test]
fn logs_that_are_being_read_are_read_to_their_end() {
    let place = Place::new();
    // More than pipes and sockets hold, so that most of it is still to be read.
    let script = "head -c 8000000 /dev/zero | tr '\\0' x; echo; echo end";
    let id = place.launch(["sh", "-c", script]);
    place.run(["wait", &id]).expect(0);
    let home = place.home();
    let mut stream = crate::support::wire::connect(&home);
    let path = format!("/v1/sessions/{id}/output/stdout?follow=true");
    std::io::Write::write_all(
        &mut stream,
        format!("GET {path} HTTP/1.1\r\nhost: candor\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .unwrap();
    // The answer has begun: from here on it is promised.
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut stream, &mut first).unwrap();
    place.run(["rm", &id]).expect(0);
    assert_eq!(remains(&place), [""; 0]);
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    let count = rest.iter().filter(|byte| **byte == b'x').count();
    assert!(count >= 8_000_000, "{count}");
    let text = String::from_utf8_lossy(&rest[rest.len() - 32..]).into_owned();
    assert!(text.contains("end\n") && text.ends_with("0\r\n\r\n"), "{text:?}");
}

/// Starts the daemon in front, and waits until it has swept what it found.
fn swept(place: &Place, count: usize) -> Running {
    let mut daemon = place.start(["daemon", "run"]);
    loop {
        let line = daemon.error_line();
        if line.contains("looked for what removals had left") {
            assert!(line.contains(&count.to_string()), "{line}");
            return daemon;
        }
    }
}

/// What a daemon leaves that dies after the rows are gone and before the files are.
#[test]
fn files_of_a_removed_session_are_swept_by_the_next_start_and_no_others() {
    let place = Place::new();
    let (gone, kept) = (ended(&place), ended(&place));
    let sessions = place.home().join("sessions");
    let aside = place.path("aside");
    fs::create_dir(&aside).unwrap();
    for name in names_of(&gone) {
        copy(&sessions.join(&name), &aside.join(&name));
    }
    place.run(["rm", &gone]).expect(0);
    place.kill_daemon();
    for name in names_of(&gone) {
        copy(&aside.join(&name), &sessions.join(&name));
    }
    // A session that no database knows: its row may be in one that was moved away.
    let unknown = "01a202b9-50d9-76df-8948-48de60014c35";
    fs::create_dir(sessions.join(unknown)).unwrap();
    let _daemon = swept(&place, 1);
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let mut expected = [names_of(&kept).to_vec(), names_of(&live).to_vec()].concat();
    expected.push(unknown.to_owned());
    expected.sort();
    assert_eq!(remains(&place), expected);
    place.run(["show", &gone]).expect(125).because(&["was removed"]);
    place.run(["kill", &live]).expect(0);
}

#[test]
fn a_daemon_that_is_killed_among_removals_leaves_each_session_whole_or_gone() {
    let place = Place::new();
    for round in 0..3 {
        let launched: Vec<String> = (0..20).map(|_| place.launch(["echo", "out"])).collect();
        place.run(["wait"].into_iter().chain(launched.iter().map(String::as_str))).expect(0);
        let (mut events, daemon) = (place.follow_events(), place.daemon());
        let prune = place.start(["prune", "--older", "0s"]);
        for _ in 0..=round * 3 {
            // One of this round: the log tells of those before as well.
            events.value(|event| {
                event["type"] == "session_removed"
                    && launched.iter().any(|id| event["session"] == id.as_str())
            });
        }
        end(daemon, Signal::KILL);
        // It may have been through by then.
        drop(prune.finish());
        let mut daemon = place.start(["daemon", "run"]);
        while !daemon.error_line().contains("looked for what removals had left") {}
        let mut expected = Vec::new();
        for session in place.sessions() {
            let id = session["id"].as_str().unwrap();
            assert_chain(&place.story(id));
            assert_eq!(place.run(["logs", id]).expect(0).stdout(), "out\n");
            expected.extend(names_of(id));
        }
        expected.sort();
        assert_eq!(remains(&place), expected);
        place.run(["prune", "--older", "0s"]).expect(0);
        assert_eq!(remains(&place), [""; 0]);
        place.run(["daemon", "stop"]).expect(0);
    }
}

/// The file system does not give a file away. The row is gone, and that is said.
#[test]
fn files_that_cannot_be_removed_are_told_of_and_swept_later() {
    let place = Place::new();
    let id = ended(&place);
    let folder = place.home().join("sessions").join(&id);
    let immutable = |flag: &str| {
        let mut chattr = std::process::Command::new("chattr");
        chattr.arg(flag).arg(&folder).output().is_ok_and(|output| output.status.success())
    };
    if !immutable("+i") {
        return crate::support::skip("no file can be made immutable here");
    }
    let said = place.run(["rm", &id]);
    assert!(immutable("-i"));
    said.expect(125).because(&["is removed", "next start of the daemon"]);
    place.run(["show", &id]).expect(125).because(&["was removed"]);
    place.run(["daemon", "stop"]).expect(0);
    let _daemon = swept(&place, 1);
    assert_eq!(remains(&place), [""; 0]);
}

/// Takes the lock of a session's shim, as one has it that is about to leave.
#[cfg(target_os = "linux")]
fn lock_of_shim(place: &Place, id: &str) -> fs::File {
    let folder = place.home().join(format!("sessions/{id}.shim"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("started"), "12345").unwrap();
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[cfg(target_os = "linux")]
#[test]
fn a_shim_that_is_about_to_leave_is_waited_for_and_one_that_stays_keeps_its_files() {
    let place = Place::new();
    let (leaves, stays, pruned) = (ended(&place), ended(&place), ended(&place));
    let lock = lock_of_shim(&place, &leaves);
    let (removal, _) = std::thread::scope(|scope| {
        let removal = scope.spawn(|| place.run(["rm", "--json", &leaves]));
        let mut events = place.follow_events();
        // The row is gone, and so the files are next.
        events.value(|event| event["type"] == "session_removed");
        drop(lock);
        (removal.join().unwrap(), events)
    });
    assert_eq!(removal.expect(0).json()["refused"], json!([]));
    let of = |id: &str| remains(&place).iter().filter(|name| name.starts_with(id)).count();
    assert_eq!(of(&leaves), 0);
    let lock = lock_of_shim(&place, &stays);
    let before = of(&stays);
    let said = place.run(["rm", &stays]).expect(125);
    said.because(&["is removed", "the shim of the session has not left yet", "next start"]);
    assert_eq!(of(&stays), before, "nothing is taken from under it");
    drop(lock_of_shim(&place, &pruned));
    let would = place.run(["prune", "--older", "0s", "--dry-run", "--json"]).expect(0).json();
    let did = place.run(["prune", "--older", "0s", "--json"]).expect(0).json();
    assert_eq!((&did["count"], &did["bytes"]), (&1.into(), &would["bytes"]));
    assert_eq!(of(&pruned), 0);
    place.run(["daemon", "stop"]).expect(0);
    drop(lock);
    let _daemon = swept(&place, 1);
    assert_eq!(remains(&place), [""; 0]);
}

fn reset(seq: u64) -> Value {
    json!({"seq": seq, "type": "reset", "reason": "events_removed"})
}

#[test]
fn a_cursor_before_something_that_is_gone_gets_a_reset_and_no_other_does() {
    let place = Place::new();
    let ids: Vec<String> = (0..3).map(|_| ended(&place)).collect();
    place.run(["rm", &ids[1]]).expect(0);
    // Places 4, 5 and 6 are gone, and 10 tells of it.
    let seqs = |after: &str| -> Vec<Value> {
        place.events(["--after", after]).iter().map(|line| line["seq"].clone()).collect()
    };
    let all = place.events([""; 0]);
    assert_eq!(
        seqs("0"),
        [1, 2, 3, 7, 8, 9, 10].map(Value::from),
        "nothing is known, nothing missed"
    );
    for after in [1, 3, 5] {
        let lines = place.events(["--after", &after.to_string()]);
        assert_eq!(lines[0], reset(after));
        let kept: Vec<Value> =
            all.iter().filter(|line| line["seq"].as_u64().unwrap() > after).cloned().collect();
        assert_eq!(lines[1..], kept);
    }
    assert_eq!(seqs("6"), [7, 8, 9, 10].map(Value::from), "it has seen all that is gone");
    assert_eq!(seqs("10"), [0; 0].map(Value::from));
    // Of a session that is there, all is there.
    let of_last = place.events(["--session", &ids[2], "--after", "1"]);
    assert_eq!(of_last.len(), 3);
    let said = place.run(["events", "--after", "3"]).expect(0);
    assert!(said.stdout().lines().next().unwrap().contains("some events after 3 are gone"));
}

#[test]
fn help_says_what_is_lost() {
    let place = Place::new();
    for verb in ["rm", "prune"] {
        let said = place.run(["help", verb].map(OsString::from)).expect(0);
        assert!(said.stdout().contains("cannot be brought back"), "{said:?}");
    }
}
