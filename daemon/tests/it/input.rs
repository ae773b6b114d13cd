//! What a session is given to read: all of it, once, in order, whatever becomes of the daemon.

use std::fs::{self, File};
use std::io::{self, PipeWriter, Write as _};
use std::process::Stdio;

use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::wire::{Reply, ask};
use crate::support::{Place, Running, Said, agent, kernel, words};

/// Bytes of the file that is passed through.
const FILE_BYTES: usize = 5_000_000;

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";

/// Returns bytes that are nowhere the same for long, line ends and NULs among them.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Launches a session whose standard input is held.
fn launch_holding(place: &Place, command: &[&str]) -> String {
    place.launch_with(["--stdin"], command)
}

/// Sends a message by hand.
fn send(place: &Place, id: &str, parameters: &str, body: &[u8]) -> Reply {
    ask(&place.home(), "POST", &format!("/v1/sessions/{id}/input?{parameters}"), body)
}

/// Starts `candor run --stdin` in front with a pipe to write to.
fn run_reading(place: &Place, command: &[&str]) -> (Running, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let words = words!["run", "--stdin", "--title", "it", "--"].into_iter();
    let command = place.candor(words.chain(command.iter().map(Into::into)));
    (Running::reading(command, reader), writer)
}

#[test]
fn a_file_goes_through_a_session_byte_for_byte() {
    let place = Place::new();
    let file = place.path("file");
    let bytes = noise(FILE_BYTES);
    fs::write(&file, &bytes).unwrap();
    let mut run = place.candor(["run", "--stdin", "--", "cat"]);
    run.stdin(File::open(&file).unwrap());
    let said = Said::by(run).expect(0);
    assert!(said.output == bytes, "{} bytes came out", said.output.len());
}

#[test]
fn a_file_goes_through_a_session_whose_daemon_is_killed_over_and_over() {
    let place = Place::new();
    let bytes = noise(FILE_BYTES);
    let (run, mut writer) = run_reading(&place, &["cat"]);
    let passed = std::thread::spawn(move || run.finish());
    let pieces = bytes.chunks(FILE_BYTES / 5);
    for (number, piece) in pieces.enumerate() {
        // It is in the midst of the piece before.
        if number > 0 {
            place.kill_daemon();
        }
        writer.write_all(piece).unwrap();
    }
    drop(writer);
    let said = passed.join().unwrap().expect(0);
    assert!(said.output == bytes, "{} bytes came out: {}", said.output.len(), said.stderr());
}

#[test]
fn a_daemon_that_goes_is_no_end_of_input() {
    let place = Place::new();
    let (mut run, mut writer) = run_reading(&place, &["cat"]);
    writer.write_all(b"one\n").unwrap();
    assert_eq!(run.line(), "one");
    place.kill_daemon();
    place.run(["daemon", "start"]).expect(0);
    let id = place.titled("it");
    assert_eq!(place.settled(&id)["status"], "running");
    writer.write_all(b"two\n").unwrap();
    assert_eq!(run.line(), "two");
    place.run(["daemon", "stop"]).expect(0);
    place.run(["daemon", "start"]).expect(0);
    // What others send has its place among it.
    place.run(["send", &id, "three"]).expect(0);
    assert_eq!(run.line(), "three");
    drop(writer);
    run.finish().expect(0);
}

#[test]
fn a_message_is_written_once_by_whichever_daemon() {
    let place = Place::new();
    let id = launch_holding(&place, &["cat"]);
    for round in 0..3 {
        for (name, body) in [(ONE, "one\n"), (TWO, "two\n")] {
            let reply = send(&place, &id, &format!("message={name}"), body.as_bytes());
            assert_eq!((reply.status, reply.json()), (200, json!({"answer": "accepted"})));
        }
        if round < 2 {
            place.kill_daemon();
            place.run(["daemon", "start"]).expect(0);
        }
    }
    place.run(["send", "--end", &id]).expect(0);
    assert_eq!(place.end_of(&id)["exit"], json!({"code": 0}));
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "one\ntwo\n");
}

#[test]
fn what_is_sent_is_a_line_or_standard_input_and_its_end_is_asked_for() {
    let place = Place::new();
    let id = launch_holding(&place, &["cat"]);
    let session = place.session(&id);
    assert_eq!(session["input"], "held");
    place.run(["send", &id, "a line"]).expect(0);
    place.run(["send", &id[28..], "--", "-n"]).expect(0);
    let mut piped = place.candor(["send", &id, "-"]);
    fs::write(place.path("text"), "no line").unwrap();
    piped.stdin(File::open(place.path("text")).unwrap());
    Said::by(piped).expect(0);
    place.run(["send", "--end", &id, "!"]).expect(0);
    assert_eq!(place.end_of(&id)["outcome"], "succeeded");
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "a line\n-n\nno line!\n");
    let shown = place.run(["show", &id]).expect(0);
    assert!(shown.stdout().contains("candor run --stdin "), "{shown:?}");
}

#[test]
fn a_session_without_stdin_reads_nothing_and_that_is_said() {
    let place = Place::new();
    let mut run = place.candor(["run", "--", "cat"]);
    fs::write(place.path("text"), "not for it\n").unwrap();
    run.stdin(File::open(place.path("text")).unwrap());
    assert_eq!(Said::by(run).expect(0).stdout(), "");
    let id = place.launch(agent(["--hang"]));
    assert_eq!(place.session(&id)["input"], "none");
    send(&place, &id, &format!("message={ONE}"), b"x").assert_problem(409, "no_input");
    place.run(["send", &id, "x"]).expect(125).because(&["reads nothing", "--stdin"]);
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let place = Place::new();
    let id = launch_holding(&place, &["cat"]);
    let refused = |parameters: &str, body: &[u8], status, kind: &str| {
        send(&place, &id, parameters, body).assert_problem(status, kind)
    };
    for parameters in ["", "end=true", "message=1", &format!("message={ONE}&end=perhaps")] {
        refused(parameters, b"x", 400, "bad_request");
    }
    refused(&format!("message={ONE}&other=1"), b"x", 400, "bad_request");
    let name = format!("message={ONE}");
    let detail = refused(&name, &vec![b'x'; (1 << 20) + 1], 413, "too_large");
    assert!(detail.contains("1048576"), "{detail}");
    send(&place, "ffffffff", &name, b"x").assert_problem(404, "not_found");

    assert_eq!(send(&place, &id, &format!("{name}&end=true"), b"x").status, 200);
    let ended = place.end_of(&id);
    assert_eq!(ended["outcome"], "succeeded");
    let detail = refused(&format!("message={TWO}"), b"y", 409, "ended");
    assert!(detail.contains("completed (succeeded)"), "{detail}");
    place.run(["send", &id, "y"]).expect(125).because(&["has ended", "succeeded"]);
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "x");
    place.run(["send", &id]).expect(2).because(&["TEXT"]);
    place.run(["send", "", "x"]).expect(2);
}

#[test]
fn what_nobody_can_tell_of_is_in_doubt_and_sent_again_is_written_once() {
    let place = Place::new();
    let id = launch_holding(&place, &["cat"]);
    place.await_running(&id);
    let shim = kernel::shim_of(&id);
    let message = format!("message={ONE}");
    kill_process(shim, Signal::STOP).unwrap();
    let detail = send(&place, &id, &message, b"one\n").assert_problem(503, "in_doubt");
    assert!(detail.contains("same `message`"), "{detail}");
    kill_process(shim, Signal::CONT).unwrap();
    assert_eq!(send(&place, &id, &message, b"one\n").status, 200);
    place.run(["send", "--end", &id, "two"]).expect(0);
    place.end_of(&id);
    assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "one\ntwo\n");
}

#[test]
fn an_input_that_was_closed_takes_no_more_while_its_session_lives() {
    let place = Place::new();
    let (ready, go) = (place.fifo("ready"), place.fifo("go"));
    let script = "cat > /dev/null; echo ready > \"$1\"; read -r _ < \"$2\"; exit 3";
    let command = ["sh", "-c", script, "sh", ready.to_str().unwrap(), go.to_str().unwrap()];
    let (run, mut writer) = run_reading(&place, &command);
    let id = loop {
        let sessions = place.sessions();
        if let Some(session) = sessions.first() {
            break session["id"].as_str().unwrap().to_owned();
        }
    };
    place.await_running(&id);
    place.run(["send", "--end", &id]).expect(0);
    fs::read(ready).unwrap();
    send(&place, &id, &format!("message={ONE}"), b"x").assert_problem(409, "input_closed");
    place.run(["send", &id, "x"]).expect(125).because(&["closed"]);
    // Whoever passes on what nobody reads any more says nothing of it.
    writer.write_all(b"unread\n").unwrap();
    fs::write(go, "go\n").unwrap();
    let said = run.finish().expect(3);
    assert_eq!(said.stderr(), "");
}

#[test]
fn an_input_that_nobody_reads_gets_full_and_stops_nothing() {
    let place = Place::new();
    let id = place.launch_with(["--stdin"], agent(["--hang"]));
    place.await_running(&id);
    let piece = vec![b'x'; 1 << 20];
    let mut refused = None;
    for number in 0..4 {
        let message = format!("message=00000000-0000-0000-0000-00000000010{number}");
        let reply = send(&place, &id, &message, &piece);
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    refused.expect("a limit").assert_problem(429, "input_full");
    place.run(["kill", &id]).expect(0);
    assert_eq!(place.end_of(&id)["outcome"], "interrupted");
}

#[test]
fn a_session_that_ends_is_not_kept_by_who_types_nothing() {
    let place = Place::new();
    let (run, writer) = run_reading(&place, &["sh", "-c", "read -r line; exit 7"]);
    let mut writer = writer;
    writer.write_all(b"go\nmore\n").unwrap();
    // It stays open.
    run.finish().expect(7);
    drop(writer);
}

#[test]
fn a_standard_input_that_cannot_be_read_is_said_and_ends_the_sessions() {
    let place = Place::new();
    // A folder can be opened, and not be read.
    let mut run = place.candor(["run", "--stdin", "--", "cat"]);
    run.stdin(Stdio::from(File::open(place.folder()).unwrap()));
    Said::by(run).expect(0).because(&["cannot read standard input", "nothing more"]);
}

#[test]
fn what_is_sent_is_in_no_file_but_where_the_session_writes_it() {
    const CANARY: &str = "c4n4ry-19d0e2";

    let place = Place::new();
    place.configure("log = \"trace\"");
    let id = launch_holding(&place, &["sh", "-c", "cat > /dev/null"]);
    place.run(["send", "--end", &id, CANARY]).expect(0);
    place.end_of(&id);
    let mut folders = vec![place.home()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
                assert!(!found, "it is in {}", entry.path().display());
            }
        }
    }
}
