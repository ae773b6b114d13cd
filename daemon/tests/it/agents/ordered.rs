//! What is ordered of an agent, and what is refused with nothing started.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::agents::Stage;
use crate::support::{Said, words};

#[test]
fn an_order_that_cannot_be_carried_out_starts_nothing_and_says_what_to_change() {
    let stage = Stage::new();
    for (words, because) in [
        (&["claude", ""][..], &["the prompt is empty"][..]),
        (&["claude", "  \n"], &["the prompt is empty"]),
        (&["run", "--agent", "nobody", "x"], &["no agent \"nobody\"", "claude, codex, gemini"]),
        (&["claude", "--model", "a b", "x"], &["model"]),
        (&["claude", "--model=-x", "x"], &["model", "begins with a hyphen"]),
        (&["claude", "--permission-mode", "whatever", "x"], &["whatever"]),
        (&["claude", "--max-turns", "0", "x"], &["turn"]),
        (&["claude", "--deny", "Bash(rm", "x"], &["Bash(rm", "is no pattern"]),
        (&["claude", "--allow", "", "x"], &["is no pattern"]),
        (&["claude", "--interactive", "--idle", "0s", "x"], &["--idle"]),
        (&["claude", "--idle", "1s", "x"], &["--interactive"]),
        (&["run", "--model", "m", "--", "true"], &["--model is for agents"]),
        (&["run", "--allow", "Bash", "--", "true"], &["--allow is for agents"]),
    ] {
        let said = stage.run(words.iter().copied()).expect(125);
        said.because(because);
    }
    assert_eq!(stage.sessions().len(), 0);
}

#[test]
fn an_agent_that_is_not_there_is_told_with_how_to_get_it() {
    let stage = Stage::new();
    let mut candor = stage.candor(words!["codex", "hello"]);
    candor.env("PATH", "/nowhere");
    Said::by(candor).expect(125).because(&["codex", "npm install", "agents.codex"]);
    let no_program = stage.path("no-program");
    fs::write(&no_program, "text").unwrap();
    fs::set_permissions(&no_program, fs::Permissions::from_mode(0o644)).unwrap();
    stage.configure(&format!("[agents]\nclaude = {no_program:?}\n"));
    stage.run(["claude", "hello"]).expect(125).because(&["agents.claude", "no program"]);
    assert_eq!(stage.sessions().len(), 0);
}

#[test]
fn a_prompt_comes_as_it_is_from_the_command_line_and_from_standard_input() {
    let stage = Stage::new();
    let prompt = "-p --help \"quoted\" \u{1b}[31m ünï\nand more";
    let id = Said::by(stage.candor(words!["claude", "-d", "--", prompt])).expect(0);
    let id = id.stdout().trim().to_owned();
    stage.run(["wait", &id]).expect(0);
    let session = stage.session(&id);
    assert_eq!(session["agent"]["prompt"], prompt);
    let command = session["command"].to_string();
    assert!(!command.contains("quoted"), "others can read what stands there: {command}");

    let mut candor = stage.candor(words!["claude", "-d", "-"]);
    let mut candor = candor.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    candor.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    let said = candor.wait_with_output().unwrap();
    let id = String::from_utf8(said.stdout).unwrap().trim().to_owned();
    assert_eq!(stage.session(&id)["agent"]["prompt"], "from a pipe");
    stage.run(["wait", &id]).expect(0);
}

#[test]
fn options_may_stand_behind_the_prompt_and_what_is_the_agents_behind_two_dashes() {
    let stage = Stage::new();
    let words = ["claude", "hello", "-d", "--title", "named", "--", "--add-dir", "-d"];
    let id = stage.run(words).expect(0).stdout().trim().to_owned();
    stage.run(["wait", &id]).expect(0);
    let session = stage.session(&id);
    assert_eq!(session["title"], "named");
    assert_eq!(session["agent"]["prompt"], "hello");
    assert_eq!(session["agent"]["arguments"], serde_json::json!(["--add-dir", "-d"]));
}

#[test]
fn answers_beforehand_are_refused_where_nobody_asks() {
    let stage = Stage::new();
    let programs = stage.path("programs");
    std::os::unix::fs::symlink(programs.join("claude"), programs.join("codex")).unwrap();
    for option in [&["--deny", "Bash"][..], &["--allow", "Bash"], &["--bypass", "1m"]] {
        let mut candor = stage.candor([&["codex", "hello"], option].concat());
        candor.env("PATH", &programs);
        Said::by(candor).expect(125).because(&["asks nobody", "--permission-mode"]);
    }
    assert_eq!(stage.sessions().len(), 0);
    // Nor is there anything to ask it with: to finish it would be to break it off.
    let mut candor = stage.candor(["codex", "-d", "hello"]);
    candor.env("PATH", &programs);
    let id = Said::by(candor).expect(0).stdout().trim().to_owned();
    stage.run(["finish", &id]).expect(125).because(&["candor interrupt"]);
    stage.run(["kill", &id]).expect(0);
}

#[test]
fn a_prompt_that_is_too_long_or_no_text_is_refused() {
    let stage = Stage::new();
    for (prompt, because) in
        [(vec![b'a'; 10_000_000], "put it into a file"), (vec![0xff, 0xfe], "not UTF-8")]
    {
        let file = stage.path("prompt");
        fs::write(&file, prompt).unwrap();
        let mut candor = stage.candor(words!["claude", "-"]);
        candor.stdin(fs::File::open(&file).unwrap());
        Said::by(candor).expect(125).because(&[because]);
    }
    assert_eq!(stage.sessions().len(), 0);
}

#[test]
fn what_only_agents_can_is_refused_of_a_command() {
    let stage = Stage::new();
    let id = stage.launch(words!["true"].to_vec());
    stage.run(["wait", &id]).expect(0);
    stage.run(["continue", &id, "go on"]).expect(125).because(&["it runs a command"]);
    stage.run(["finish", &id]).expect(125).because(&["no input"]);
    stage.run(["bypass", &id, "1m"]).expect(125).because(&["no agent that asks"]);
    stage.run(["approve", &id]).expect(125).because(&["asks for nothing"]);
    stage.run(["approve", "ffffffff.1"]).expect(125).because(&["ffffffff"]);
    stage.run(["continue", "ffffffff", "go on"]).expect(125).because(&["ffffffff"]);
    assert_eq!(stage.sessions().len(), 1);
}
