//! The options of `candor run`, and what is the command's own.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Place, agent, assert_chain, words};

#[test]
fn detached_it_prints_the_id_alone_and_leaves_the_session_to_run() {
    let place = Place::new();
    let go = place.fifo("go");
    let said = {
        let script = agent(words!["--print", "out", "--await", &go, "--exit", "4"]);
        place.run(words!["run", "-d", "--"].into_iter().chain(script)).expect(0)
    };
    assert_eq!(said.stderr(), "");
    let id = said.stdout().strip_suffix('\n').unwrap();
    assert_eq!(id.len(), 36);
    place.await_running(id);
    assert_eq!(place.session(id)["status"], "running");
    fs::write(go, "go\n").unwrap();
    place.run(["wait", id]).expect(4);
    assert_chain(&place.story(id));
}

#[test]
fn detached_with_json_it_prints_the_session() {
    let place = Place::new();
    let words = words!["run", "--detach", "--json", "--title", "told", "--"];
    let session = place.run(words.into_iter().chain(agent(["--hang"]))).expect(0).json();
    assert_eq!((&session["title"], &session["outcome"]), (&"told".into(), &Value::Null));
    place.run(words!["interrupt", session["id"].as_str().unwrap()]).expect(0);
}

#[test]
fn in_front_with_json_it_prints_the_session_at_its_end() {
    let place = Place::new();
    let said = place.run(["run", "--json", "--", "sh", "-c", "echo out; exit 3"]).expect(3);
    let json = said.stdout().strip_prefix("out\n").unwrap();
    let session: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&session["status"], &session["exit"]), (&"failed".into(), &json!({"code": 3})));
    assert_eq!(session, place.session(session["id"].as_str().unwrap()));
}

#[test]
fn a_title_names_the_session() {
    let place = Place::new();
    let title = "fix “it”\u{202e}\n\x1b[31m now";
    place.run(["run", "--title", title, "--", "true"]).expect(0);
    assert_eq!(place.sessions()[0]["title"], title);
    for words in [["ls", "--limit", "9"], ["show", &place.titled(title), "--"]] {
        let shown = place.run(words.into_iter().filter(|word| *word != "--")).expect(0);
        let tricks = shown.stdout().chars().filter(|c| *c == '\x1b' || *c == '\u{202e}');
        assert_eq!(tricks.count(), 0, "{shown:?}");
        assert!(shown.stdout().contains("fix “it”"), "{shown:?}");
    }
}

#[test]
fn a_folder_may_be_given_absolute_or_from_here() {
    let place = Place::new();
    fs::create_dir_all(place.path("a/b")).unwrap();
    let absolute = place.path("a/b");
    for folder in [words![&absolute], words!["a/b"], words!["./a/../a/b/"]] {
        let words = words!["run", "--cwd", &folder[0], "--", "pwd", "-P"];
        let said = place.run(words).expect(0);
        assert_eq!(
            said.stdout().trim_end(),
            fs::canonicalize(&absolute).unwrap().to_str().unwrap()
        );
        assert!(place.sessions()[0]["cwd"].as_str().unwrap().starts_with('/'));
    }
}

#[test]
fn a_relative_program_is_sought_in_the_sessions_folder() {
    let place = Place::new();
    fs::create_dir(place.path("tools")).unwrap();
    fs::write(place.path("tools/tell"), "#!/bin/sh\necho told\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(place.path("tools/tell"), mode).unwrap();
    assert_eq!(place.run(["run", "--cwd", "tools", "--", "./tell"]).expect(0).stdout(), "told\n");
    place.run(["run", "--", "./tell"]).expect(127).because(&["./tell", "command not found"]);
    let path = format!("PATH={}", place.path("tools").display());
    assert_eq!(place.run(["run", "--env", &path, "--", "tell"]).expect(0).stdout(), "told\n");
}

#[test]
fn variables_are_set_and_override_the_callers() {
    let place = Place::new();
    let words = ["--env", "NEW=1", "--env", "OLD=b=c", "--env", "NONE=", "--env", "NEW=2"];
    let script = "echo \"$NEW|$OLD|${NONE-unset}|$KEPT\"";
    let words = ["run"].into_iter().chain(words).chain(["--", "sh", "-c", script]);
    let mut command = place.candor(words);
    command.env("OLD", "a").env("KEPT", "kept").env("NONE", "some");
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2|b=c||kept\n");
}

#[test]
fn a_variable_without_a_name_or_value_is_refused() {
    let place = Place::new();
    for wrong in ["NAME", "=value", ""] {
        let said = place.run(["run", "--env", wrong, "--", "true"]).expect(125);
        said.because(&["--env", "NAME=VALUE"]);
    }
    assert!(!place.home().exists(), "nothing was begun");
}

#[test]
fn a_time_limit_does_nothing_to_a_session_that_ends_in_time() {
    let place = Place::new();
    place.run(["run", "--timeout", "1h", "--", "true"]).expect(0);
    let session = &place.sessions()[0];
    assert_eq!((&session["outcome"], &session["intent"]), (&"succeeded".into(), &Value::Null));
}

#[test]
fn graces_say_how_long_each_signal_is_given() {
    let place = Place::new();
    let script = agent(["--ignore", "INT", "--ignore", "TERM", "--ready", "-", "--hang"]);
    let words = words!["run", "--title", "stubborn", "--grace", "1ms,1ms", "--"];
    let mut run = place.start(words.into_iter().chain(script));
    assert_eq!(run.line(), "ready");
    let id = place.titled("stubborn");
    place.await_running(&id);
    place.run(["interrupt", &id]).expect(0);
    run.finish().expect(130);
    let story = place.story(&id);
    assert_chain(&story);
    let causes: Vec<_> = story.iter().map(|event| event["cause"].as_str().unwrap()).collect();
    let expected = ["launched", "spawned", "interrupt", "rung_terminate", "rung_kill", "exited"];
    assert_eq!(causes, expected);
    assert_eq!(place.session(&id)["exit"]["signal"], "SIGKILL");
}

#[test]
fn success_codes_say_what_counts_as_success() {
    let place = Place::new();
    for (codes, exit, expected) in
        [("0,3", "3", 0), ("0,3", "0", 0), ("0,3", "4", 4), ("255", "255", 0), ("130", "130", 0)]
    {
        let script = format!("exit {exit}");
        let words = ["run", "--success-codes", codes, "--", "sh", "-c", &script];
        place.run(words).expect(expected);
        let outcome = if expected == 0 { "succeeded" } else { "exit_code" };
        assert_eq!(place.sessions()[0]["outcome"], outcome, "{codes} and {exit}");
        assert_eq!(place.sessions()[0]["exit"]["code"].to_string(), exit);
    }
}

#[test]
fn what_follows_the_command_is_the_commands() {
    let place = Place::new();
    let own = ["-d", "--title", "x", "--json", "--", "-", "--env", "A=1", "-x", "", "--help"];
    for begin in [&["run", "printf", "%s\n"][..], &["run", "--", "printf", "%s\n"]] {
        let said = place.run(begin.iter().chain(&own)).expect(0);
        let expected: String = own.iter().map(|word| format!("{word}\n")).collect();
        assert_eq!(said.stdout(), expected);
    }
    let session = &place.sessions()[0];
    assert_eq!(session["title"], Value::Null);
    let command: Vec<_> = ["printf", "%s\n"].into_iter().chain(own).collect();
    assert_eq!(session["command"], json!(command));
}

#[test]
fn a_command_that_begins_with_a_hyphen_follows_two_hyphens() {
    let place = Place::new();
    fs::write(place.path("-tool"), "#!/bin/sh\necho mine\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(place.path("-tool"), mode).unwrap();
    let path = format!("PATH={}", place.folder().display());
    let said = place.run(["run", "--env", &path, "--", "-tool"]).expect(0);
    assert_eq!(said.stdout(), "mine\n");
    place.run(["run", "-tool"]).expect(125);
}

#[test]
fn settings_hold_where_no_option_says_otherwise() {
    let place = Place::new();
    place.configure("timeout = \"20ms\"\ngrace = \"1h,1h\"\n");
    place.run(words!["run", "--"].into_iter().chain(agent(["--hang"]))).expect(124);
    let go = place.fifo("go");
    let script = agent(words!["--ready", "-", "--await", &go]);
    let words = words!["run", "--timeout", "1h", "--"];
    let mut run = place.start(words.into_iter().chain(script));
    assert_eq!(run.line(), "ready");
    fs::write(go, "go\n").unwrap();
    run.finish().expect(0);
}
