//! `candor run` in front: the output as it comes, and the exit code that tells the verdict.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Place, Running, agent, words};

#[test]
fn stdout_and_stderr_come_apart_and_byte_for_byte() {
    let place = Place::new();
    let script = r"printf 'one\n\000\377\033[31mtwo'; printf 'three\n\200\r\n four' >&2";
    let said = place.run(["run", "--", "sh", "-c", script]).expect(0);
    assert_eq!(said.output, b"one\n\0\xff\x1b[31mtwo");
    assert_eq!(said.errors, b"three\n\x80\r\n four");
}

#[test]
fn a_flood_comes_whole_and_in_order() {
    let place = Place::new();
    let flood = 8 << 20;
    let script = agent(["--flood", &flood.to_string(), "--print", "", "--lines", "50000"]);
    let said = place.run(words!["run"].into_iter().chain(script)).expect(0);
    let (block, lines) = said.output.split_at(flood);
    assert!(block.iter().all(|&byte| byte == b'x'));
    let expected: String = (1..=50_000).map(|number| format!("line {number}\n")).collect();
    assert!(lines == format!("\n{expected}").as_bytes(), "{} bytes", lines.len());
}

#[test]
fn output_is_shown_while_the_session_runs() {
    let place = Place::new();
    let go = place.fifo("go");
    let script = agent(words!["--print", "first", "--await", &go, "--print", "second"]);
    let mut run = place.start(words!["run", "--"].into_iter().chain(script));
    assert_eq!(run.line(), "first");
    fs::write(go, "go\n").unwrap();
    assert_eq!(run.line(), "second");
    assert!(run.finish().expect(0).output.is_empty());
}

#[test]
fn a_grandchild_that_keeps_the_output_open_does_not_hold_back_the_end() {
    let place = Place::new();
    let script = words!["run", "--", "sh", "-c", "\"$@\" & echo $!; exit 3", "sh"];
    let said = place.run(script.into_iter().chain(agent(["--hang"]))).expect(3);
    let grandchild = Pid::from_raw(said.stdout().trim().parse().unwrap()).unwrap();
    kill_process(grandchild, Signal::KILL).expect("it still runs");
}

#[test]
fn the_exit_code_is_the_commands_own() {
    let place = Place::new();
    for code in [0, 1, 2, 3, 77, 119, 120, 124, 125, 126, 127, 128, 130, 137, 143, 254, 255] {
        let exit = format!("exit {code}");
        let said = place.run(["run", "--title", &exit, "--", "sh", "-c", &exit]).expect(code);
        assert_eq!(said.stderr(), "", "the command's own code says it all");
        let session = place.session(&place.titled(&exit));
        let status = if code == 0 { "completed" } else { "failed" };
        let outcome = if code == 0 { "succeeded" } else { "exit_code" };
        assert_eq!((&session["status"], &session["outcome"]), (&status.into(), &outcome.into()));
        assert_eq!(session["exit"]["code"], code, "{session}");
        assert_eq!(session["intent"], Value::Null);
    }
}

#[test]
fn the_exit_code_is_128_and_the_signal() {
    let place = Place::new();
    for (name, number) in [("HUP", 1), ("INT", 2), ("KILL", 9), ("USR1", 10), ("TERM", 15)] {
        // These numbers are those of Linux; elsewhere the one of USR1 differs.
        let number = if cfg!(target_os = "macos") && name == "USR1" { 30 } else { number };
        let script = agent(["--die", name]);
        let title = words!["run", "--title", name, "--"];
        let said = place.run(title.into_iter().chain(script)).expect(128 + number);
        said.because(&["failed", &format!("SIG{name}")]);
        let session = place.session(&place.titled(name));
        assert_eq!((&session["status"], &session["outcome"]), (&"failed".into(), &"signal".into()));
        let exit = json!({"signal": format!("SIG{name}"), "core_dumped": false});
        assert_eq!(session["exit"], exit);
    }
}

#[test]
fn a_core_dump_is_told_if_and_only_if_there_was_one() {
    let place = Place::new();
    let script = agent(["--core", "--die", "ABRT"]);
    place.run(words!["run", "--"].into_iter().chain(script)).expect(134);
    let session = &place.sessions()[0];
    assert_eq!(session["exit"]["signal"], "SIGABRT");
    // Whether the system writes one is for its owner to say.
    let dumped = session["exit"]["core_dumped"].as_bool().unwrap();
    assert_eq!(session["outcome"], if dumped { "core_dump" } else { "signal" });
}

#[test]
fn the_exit_code_is_1_where_a_failures_own_would_be_0() {
    let place = Place::new();
    place.run(["run", "--success-codes", "3", "--", "true"]).expect(1);
    let session = &place.sessions()[0];
    assert_eq!((&session["status"], &session["outcome"]), (&"failed".into(), &"exit_code".into()));
    assert_eq!(session["exit"]["code"], 0);
}

#[test]
fn the_exit_code_is_124_when_the_time_limit_is_over() {
    let place = Place::new();
    let script = agent(["--hang"]);
    let words = words!["run", "--timeout", "20ms", "--"].into_iter().chain(script);
    place.run(words).expect(124).because(&["failed", "time limit"]);
    let session = &place.sessions()[0];
    assert_eq!((&session["status"], &session["outcome"]), (&"failed".into(), &"timed_out".into()));
    assert_eq!(session["intent"]["kind"], "timeout");
    assert_eq!(session["intent"]["by"], "daemon");
    assert_eq!(session["exit"]["signal"], "SIGINT");
}

#[cfg(target_os = "linux")]
#[test]
fn the_exit_code_is_120_when_nobody_saw_the_end() {
    let place = Place::new();
    let id = place.launch_and_lose();
    let said = place.run(["wait", &id]).expect(120);
    assert_eq!(said.stdout(), format!("{id} lost bad_record\n"));
    let session = place.session(&id);
    assert_eq!(session["exit"], Value::Null);
    let shown = place.run(["show", &id]).expect(0);
    assert!(shown.stdout().contains("lost: what was recorded of it is damaged"), "{shown:?}");
}

#[test]
fn a_reader_that_leaves_ends_neither_the_session_nor_the_news_of_its_end() {
    let place = Place::new();
    let go = place.fifo("go");
    let more = ["--lines", "100000", "--exit", "7"];
    let script = words!["--print", "first", "--await", &go].into_iter().chain(more.map(Into::into));
    let mut run = place.start(words!["run", "--"].into_iter().chain(agent(script)));
    assert_eq!(run.line(), "first");
    run.close_stdout();
    fs::write(go, "go\n").unwrap();
    run.finish().expect(7);
}

#[test]
fn standard_input_is_empty_whatever_the_caller_has() {
    let place = Place::new();
    let mut command = place.candor(["run", "--", "cat"]);
    // A pipe that nobody writes to or closes would hold a reader for ever.
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(held);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), [].as_slice()));
}

#[test]
fn closed_standard_descriptors_of_the_caller_do_no_harm() {
    let place = Place::new();
    let script = "\"$CANDOR\" run --title closed -- sh -c 'echo out; echo err >&2; exit 5' \
                  <&- >&- 2>&-";
    let mut command = place.shell(script);
    command.process_group(0);
    Running::start(command).finish().expect(5);
    let id = place.titled("closed");
    let said = place.run(["logs", &id]).expect(0);
    assert_eq!((said.stdout(), said.stderr().as_str()), ("out\n", "err\n"));
}
