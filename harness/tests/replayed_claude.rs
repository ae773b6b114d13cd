//! The replayed Claude Code does what was measured of the real one: the order of its lines, and how it
//! ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use candor_harness::programs::fake_agent;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A replayed agent, and the two ends of it that a test holds.
struct Agent {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Agent {
    fn start() -> Self {
        Self::start_with(&[], None)
    }

    fn start_with(arguments: &[&str], sessions: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(fake_agent());
        command.arg0("claude").args(["-p", "--output-format", "stream-json"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(sessions) = sessions {
            command.env("FAKE_CLAUDE_SESSIONS", sessions);
        }
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output, folder }
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn send(&mut self, line: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Gives it a turn of these steps.
    fn turn(&mut self, steps: &str) {
        let text = format!("steps:\n{steps}");
        self.send(&json!({
            "type": "user",
            "message": {"role": "user", "content": [{"type": "text", "text": text}]},
        }));
    }

    fn interrupt(&mut self) {
        self.send(&json!({
            "type": "control_request", "request_id": "req-1", "request": {"subtype": "interrupt"},
        }));
    }

    fn answer(&mut self, request: &Value, response: &Value) {
        let id = &request["request_id"];
        self.send(&json!({
            "type": "control_response",
            "response": {"subtype": "success", "request_id": id, "response": response},
        }));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Returns the next line.
    #[track_caller]
    fn line(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "it has ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Checks the kinds of the next lines, and returns the last of them.
    #[track_caller]
    fn expect(&mut self, kinds: &[&str]) -> Value {
        let mut last = Value::Null;
        for kind in kinds {
            last = self.line();
            assert_eq!(kind_of(&last), *kind, "{last}");
        }
        last
    }

    /// Closes its input, checks the kinds of what it still says, and returns how it ends.
    #[track_caller]
    fn end(mut self, kinds: &[&str]) -> ExitStatus {
        drop(self.input.take());
        self.ends(kinds)
    }

    /// Checks the kinds of what it still says, and returns how it ends.
    #[track_caller]
    fn ends(mut self, kinds: &[&str]) -> ExitStatus {
        self.expect(kinds);
        let mut rest = String::new();
        self.output.read_line(&mut rest).unwrap();
        assert_eq!(rest, "", "it says more");
        self.child.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the type of a line, and its subtype.
fn kind_of(line: &Value) -> String {
    let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nested = [&line["subtype"], &line["request"]["subtype"], &line["response"]["subtype"]];
    match nested.into_iter().find(|subtype| subtype.is_string()) {
        Some(subtype) => format!("{}/{}", of(&line["type"]), of(subtype)),
        None => of(&line["type"]),
    }
}

#[test]
fn it_waits_for_a_message_and_leaves_when_there_is_none() {
    assert_eq!(Agent::start().end(&[]).code(), Some(0));
}

#[test]
fn each_turn_begins_with_its_session_and_ends_with_a_report() {
    let mut agent = Agent::start_with(&["--session-id=chosen"], None);
    agent.turn("say one");
    let init = agent.line();
    assert_eq!((&init["session_id"], kind_of(&init).as_str()), (&json!("chosen"), "system/init"));
    let result = agent.expect(&["assistant", "result/success"]);
    assert_eq!((&result["is_error"], &result["result"]), (&json!(false), &json!("one")));
    agent.turn("say two");
    let second = agent.expect(&["system/init", "assistant", "result/success"]);
    let cost = |result: &Value| result["total_cost_usd"].as_f64().unwrap();
    assert!(cost(&second) > cost(&result), "it counts from the beginning of the session");
    assert_eq!(agent.end(&[]).code(), Some(0));
}

#[test]
fn a_turn_is_finished_when_input_ends_in_it() {
    let mut agent = Agent::start();
    let go = agent.fifo("go");
    agent.turn(&format!("await {}\nsay done", go.display()));
    agent.expect(&["system/init"]);
    drop(agent.input.take());
    fs::write(go, "go\n").unwrap();
    assert_eq!(agent.ends(&["assistant", "result/success"]).code(), Some(0));
}

#[test]
fn an_interrupt_while_the_model_is_awaited_is_answered_before_the_report() {
    let mut agent = Agent::start();
    agent.turn("hang");
    agent.expect(&["system/init"]);
    agent.interrupt();
    let report =
        agent.expect(&["control_response/success", "user", "result/error_during_execution"]);
    assert_eq!(report["terminal_reason"], "aborted_streaming");
    agent.turn("say on");
    agent.expect(&["system/init", "assistant", "result/success"]);
    assert_eq!(agent.end(&[]).code(), Some(0), "the last report counts");
}

#[test]
fn an_interrupt_kills_the_tool_and_its_report_is_of_an_error() {
    let mut agent = Agent::start();
    let pid = agent.fifo("pid");
    agent.turn(&format!("tool echo $$ > {}; sleep 300", pid.display()));
    agent.expect(&["system/init", "assistant"]);
    let tool = read_pid(&pid);
    agent.interrupt();
    let report = agent.expect(&[
        "control_response/success",
        "user",
        "user",
        "result/error_during_execution",
    ]);
    assert_eq!(report["terminal_reason"], "aborted_tools");
    assert_eq!(agent.end(&[]).code(), Some(1), "the last report counts");
    assert!(test_kill_process(tool).is_err(), "the tool is still there");
}

#[test]
fn an_interrupt_of_an_idle_agent_changes_nothing() {
    let mut agent = Agent::start();
    agent.interrupt();
    agent.expect(&["control_response/success"]);
    agent.turn("say on");
    agent.expect(&["system/init", "assistant", "result/success"]);
    assert_eq!(agent.end(&[]).code(), Some(0));
}

#[test]
fn what_is_asked_waits_for_its_answer() {
    let mut agent = Agent::start();
    agent.turn("ask echo allowed\nask echo denied\nsay done");
    let request = agent.expect(&["system/init", "assistant", "control_request/can_use_tool"]);
    assert_eq!(request["request"]["input"]["command"], "echo allowed");
    agent.answer(&request, &json!({"behavior": "allow", "updatedInput": {}}));
    let result = agent.expect(&["user"]);
    assert_eq!(result["message"]["content"][0]["content"], "allowed");
    let request = agent.expect(&["assistant", "control_request/can_use_tool"]);
    agent.answer(&request, &json!({"behavior": "deny", "message": "no"}));
    let result = agent.expect(&["user"]);
    assert_eq!(result["message"]["content"][0]["content"], "no");
    let report = agent.expect(&["assistant", "result/success"]);
    assert_eq!(report["permission_denials"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_asked_is_withdrawn_by_an_interrupt() {
    let mut agent = Agent::start();
    agent.turn("open echo one\nopen echo two\nanswers");
    agent.expect(&["system/init", "assistant", "control_request/can_use_tool"]);
    agent.expect(&["assistant", "control_request/can_use_tool"]);
    agent.interrupt();
    agent.expect(&["control_cancel_request", "control_cancel_request", "control_response/success"]);
    agent.expect(&["user", "user", "user", "result/error_during_execution"]);
    assert_eq!(agent.end(&[]).code(), Some(1));
}

#[test]
fn what_is_asked_fails_when_input_ends() {
    let mut agent = Agent::start();
    agent.turn("ask echo one");
    agent.expect(&["system/init", "assistant", "control_request/can_use_tool"]);
    assert_eq!(agent.end(&["user", "result/success"]).code(), Some(0));
}

#[test]
fn signals_end_it_as_they_end_the_real_one() {
    // While the model is awaited: no report at all.
    for (signal, code) in [(Signal::INT, 0), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut agent = Agent::start();
        agent.turn("hang");
        agent.expect(&["system/init"]);
        agent.signal(signal);
        assert_eq!(agent.ends(&[]).code(), Some(code), "{signal:?}");
    }
    // During its start: it dies of them.
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut agent = Agent::start();
        let ready = agent.fifo("ready");
        agent.turn(&format!("ready {}\nhang\ninit", ready.display()));
        fs::read(ready).unwrap();
        agent.signal(signal);
        assert_eq!(agent.ends(&[]).signal(), Some(signal.as_raw()));
    }
}

#[test]
fn an_interrupting_signal_kills_the_tool_and_a_terminating_one_leaves_it() {
    for (signal, kinds, code) in [
        (Signal::INT, &["user", "user", "result/error_during_execution"][..], 0),
        (Signal::TERM, &[][..], 143),
    ] {
        let mut agent = Agent::start();
        let pid = agent.fifo("pid");
        agent.turn(&format!("tool echo $$ > {}; exec sleep 300", pid.display()));
        agent.expect(&["system/init", "assistant"]);
        let tool = read_pid(&pid);
        agent.signal(signal);
        assert_eq!(agent.ends(kinds).code(), Some(code), "{signal:?}");
        let is_left = signal == Signal::TERM;
        assert_eq!(test_kill_process(tool).is_ok(), is_left, "{signal:?}");
        if is_left {
            kill_process(tool, Signal::KILL).unwrap();
        }
    }
}

#[test]
fn a_swallowed_interrupt_is_lost_and_the_next_is_not() {
    let mut agent = Agent::start();
    let (ready, go) = (agent.fifo("ready"), agent.fifo("go"));
    agent.turn(&format!(
        "swallow\nready {}\nawait {}\ninit\nsay alive",
        ready.display(),
        go.display()
    ));
    fs::read(ready).unwrap();
    agent.signal(Signal::INT);
    fs::write(go, "go\n").unwrap();
    agent.expect(&["system/init", "assistant", "result/success"]);
    agent.signal(Signal::INT);
    assert_eq!(agent.ends(&[]).code(), Some(0));
}

#[test]
fn an_interrupt_during_the_start_is_read_after_it() {
    let mut agent = Agent::start();
    let (ready, go) = (agent.fifo("ready"), agent.fifo("go"));
    agent.turn(&format!("ready {}\nawait {}\ninit\nhang", ready.display(), go.display()));
    fs::read(ready).unwrap();
    agent.interrupt();
    fs::write(go, "go\n").unwrap();
    agent.expect(&["system/init", "control_response/success", "user"]);
    agent.expect(&["result/error_during_execution"]);
}

#[test]
fn a_task_in_the_background_wakes_the_model_or_is_killed() {
    let mut agent = Agent::start();
    let go = agent.fifo("go");
    agent.turn(&format!("background cat {}\nsay left", go.display()));
    let task = ["assistant", "system/task_started", "user", "assistant", "result/success"];
    agent.expect(&["system/init"]);
    agent.expect(&task);
    fs::write(go, "go\n").unwrap();
    agent.expect(&["system/task_updated", "system/task_notification"]);
    agent.expect(&["system/init", "assistant", "result/success"]);
    agent.turn("background sleep 300\nsay left");
    agent.expect(&["system/init"]);
    agent.expect(&task);
    let end = agent.end(&["system/task_updated", "system/task_notification"]);
    assert_eq!(end.code(), Some(0));
}

#[test]
fn what_is_said_wrongly_is_said_as_it_was_asked_for() {
    let mut agent = Agent::start();
    agent.turn("retry 429\nsubagent\nfailure 429");
    agent.expect(&["system/init", "system/api_retry", "assistant", "user", "assistant"]);
    let within = agent.expect(&["result/error_during_execution"]);
    assert!(within["parent_tool_use_id"].is_string(), "{within}");
    let report = agent.expect(&["user", "assistant", "result/success"]);
    assert_eq!((&report["is_error"], &report["api_error_status"]), (&json!(true), &json!(429)));
    agent.turn("print {\"type\":\"news\"}\nline 1000000\nresult error_max_turns");
    agent.expect(&["system/init", "news"]);
    let line = agent.expect(&["assistant"]);
    assert_eq!(line["message"]["content"][0]["text"].as_str().unwrap().len(), 1_000_000);
    agent.expect(&["result/error_max_turns"]);
    agent.turn("silent");
    agent.expect(&["system/init"]);
    assert_eq!(agent.end(&[]).code(), Some(1), "the last report counts");
}

#[test]
fn bytes_that_are_no_text_and_half_a_line_come_as_they_are() {
    let mut agent = Agent::start();
    agent.turn("garbage\ntorn");
    agent.expect(&["system/init"]);
    let mut line = Vec::new();
    agent.output.read_until(b'\n', &mut line).unwrap();
    assert!(str::from_utf8(&line).is_err(), "{line:?}");
    line.clear();
    agent.output.read_until(b'\n', &mut line).unwrap();
    assert!(line.starts_with(b"{\"type\":\"result\"") && !line.ends_with(b"\n"), "{line:?}");
    assert_eq!(agent.ends(&[]).code(), Some(0));
}

#[test]
fn a_lingering_agent_stays_until_it_is_told_to_go() {
    let mut agent = Agent::start();
    agent.turn("linger");
    agent.expect(&["system/init", "result/success"]);
    drop(agent.input.take());
    agent.signal(Signal::TERM);
    assert_eq!(agent.ends(&[]).code(), Some(143));
}

#[test]
fn a_session_is_resumed_with_its_prompts_or_refused() {
    let kept = tempfile::tempdir().unwrap();
    let play = |arguments: &[&str], kinds: &[&str]| {
        let mut agent = Agent::start_with(arguments, Some(kept.path()));
        agent.turn("recall");
        let last = agent.expect(kinds);
        (last, agent.end(&[]).code())
    };
    let turn = ["system/init", "assistant", "result/success"];
    let said = |(last, code): (Value, Option<i32>)| (last["result"].clone(), code);
    assert_eq!(said(play(&["--session-id=a"], &turn)), (json!("I was shown 1 prompts."), Some(0)));
    assert_eq!(said(play(&["--resume=a"], &turn)), (json!("I was shown 2 prompts."), Some(0)));
    let fork = ["--resume", "a", "--fork-session", "--session-id", "b"];
    assert_eq!(said(play(&fork, &turn)), (json!("I was shown 3 prompts."), Some(0)));
    assert_eq!(said(play(&["--resume=a"], &turn)), (json!("I was shown 3 prompts."), Some(0)));
    let again = Agent::start_with(&["--session-id=a"], Some(kept.path()));
    assert_eq!(again.end(&[]).code(), Some(1), "the name is in use");
    let missing = Agent::start_with(&["--resume=c"], Some(kept.path()));
    assert_eq!(missing.end(&["result/error_during_execution"]).code(), Some(1));
}

#[test]
fn it_tells_its_version() {
    let output = Command::new(fake_agent()).args(["--claude", "--version"]).output().unwrap();
    assert_eq!(str::from_utf8(&output.stdout).unwrap(), "2.1.197 (Claude Code)\n");
}

/// Reads the number of a process from a fifo.
fn read_pid(fifo: &Path) -> Pid {
    let text = fs::read_to_string(fifo).unwrap();
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}
