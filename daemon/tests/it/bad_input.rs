//! What is wrong with what was asked for: a sentence, the right exit code, and nothing half done.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Place, Said, agent, words};

/// Checks that a launch was refused: its only trace is the record that says why.
#[track_caller]
fn assert_never_ran(place: &Place, stage: &str, errno: i32) {
    let session = &place.sessions()[0];
    assert_eq!((&session["status"], &session["outcome"]), (&"failed".into(), &"spawn".into()));
    assert_eq!(session["evidence"]["spawn"], json!({"stage": stage, "errno": errno}));
    assert_eq!((&session["started_at"], &session["exit"]), (&Value::Null, &Value::Null));
    let id = session["id"].as_str().unwrap();
    let sessions = place.home().join("sessions");
    assert!(!sessions.join(id).exists() && !sessions.join(format!("{id}.identity")).exists());
    assert!(place.story(id).iter().all(|event| event["to"] != "running"));
}

#[test]
fn a_missing_program_is_127() {
    let place = Place::new();
    for program in ["no-such-program", "./no-such-program", "/no/such/program"] {
        let said = place.run(["run", "--", program]).expect(127);
        said.because(&[program, "command not found"]);
        assert_never_ran(&place, "exec", 2);
        // Detached it is told just the same, beside the id of the record.
        let said = place.run(["run", "-d", "--", program]).expect(127);
        assert_eq!(said.stdout().trim(), place.sessions()[0]["id"].as_str().unwrap());
        said.because(&[program, "command not found"]);
    }
}

#[test]
fn a_file_that_is_not_executable_is_126() {
    let place = Place::new();
    fs::write(place.path("plain"), "text").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    for program in ["./plain", "./folder"] {
        let said = place.run(["run", "--", program]).expect(126);
        said.because(&[program, "cannot be executed", "ermission denied"]);
        assert_never_ran(&place, "exec", 13);
    }
    fs::set_permissions(place.path("plain"), fs::Permissions::from_mode(0o700)).unwrap();
    place.run(["run", "--", "./plain"]).expect(126).because(&["./plain", "cannot be executed"]);
    assert_never_ran(&place, "exec", 8);
}

#[test]
fn a_missing_interpreter_is_told_apart_from_a_missing_program() {
    let place = Place::new();
    fs::write(place.path("script"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(place.path("script"), fs::Permissions::from_mode(0o700)).unwrap();
    place.run(["run", "--", "./script"]).expect(127).because(&[
        "./script",
        "interpreter",
        "missing",
    ]);
    assert_never_ran(&place, "exec", 2);
}

#[test]
fn a_missing_folder_is_125_and_names_the_folder() {
    let place = Place::new();
    fs::write(place.path("file"), "").unwrap();
    for (folder, errno, reason) in
        [("no-such-folder", 2, "No such file"), ("file", 20, "Not a directory")]
    {
        let said = place.run(["run", "--cwd", folder, "--", "true"]).expect(125);
        said.because(&["cannot run in", folder, reason]);
        assert_never_ran(&place, "folder", errno);
    }
}

#[test]
fn a_folder_that_is_gone_under_the_caller_is_told() {
    let place = Place::new();
    let script = "mkdir gone && cd gone && rmdir ../gone && \"$CANDOR\" run -- true";
    Said::by(place.shell(script)).expect(125).because(&["current folder", "--cwd"]);
    assert!(!place.home().exists());
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let place = Place::new();
    let odd = OsString::from_vec(b"\xff\xfe \n\x80".to_vec());
    let folder = place.folder().join(&odd);
    if fs::create_dir(&folder).is_err() {
        // Some file systems take text alone; then there is only the argument to keep.
        fs::create_dir(place.path("plain")).unwrap();
    }
    let folder = if folder.exists() { folder } else { place.path("plain") };
    let script = words!["printf '%s|' \"$1\"; pwd", "sh", &odd];
    let words = words!["run", "--cwd", &folder, "--", "sh", "-c"];
    let said = place.run(words.into_iter().chain(script)).expect(0);
    let folder = fs::canonicalize(folder).unwrap();
    assert_eq!(said.output, [odd.as_bytes(), b"|", folder.as_os_str().as_bytes(), b"\n"].concat());
    let session = &place.sessions()[0];
    assert_eq!(session["command"][4], json!({"bytes": "//4gCoA="}));
    assert_eq!(session["command"][3], "sh");
    if cfg!(target_os = "linux") {
        assert!(session["cwd"]["bytes"].is_string(), "{session}");
    }
    // A person gets text all the same, and nothing that a terminal would act on.
    for words in [&["ls"][..], &["show", session["id"].as_str().unwrap()]] {
        place.run(words).expect(0).stdout();
    }
}

/// Runs `"$@"` with 3 MB of environment, or leaves with 77 where that cannot be.
#[cfg(target_os = "linux")]
const WITH_3_MB: &str = "ulimit -s 65536 || exit 77
    big=$(head -c 120000 /dev/zero | tr '\\0' x); i=0
    while [ $i -lt 26 ]; do export BIG_$i=\"$big\"; i=$((i+1)); done
    exec \"$@\"";

#[cfg(target_os = "linux")]
fn with_3_mb(place: &Place, command: &[&str]) -> Option<Said> {
    let mut shell = place.shell(WITH_3_MB);
    let said = Said::by({
        shell.args(["sh", env!("CARGO_BIN_EXE_candor"), "run", "--"]).args(command);
        shell
    });
    if said.status.code() == Some(77) {
        crate::support::skip("the limit for stacks cannot be raised");
        return None;
    }
    Some(said)
}

#[cfg(target_os = "linux")]
#[test]
fn an_environment_that_is_too_large_is_told_before_anything_runs() {
    let place = Place::new();
    // The daemon's own limit is what counts, since it makes the process.
    Said::by(place.shell("ulimit -s 8192; \"$CANDOR\" daemon start")).expect(0);
    let Some(said) = with_3_mb(&place, &["true"]) else { return };
    said.expect(126).because(&["true", "too large", "arguments and environment"]);
    assert_never_ran(&place, "exec", 7);
    place.run(["run", "--", "true"]).expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn an_environment_that_is_as_large_and_not_too_large_comes_whole() {
    let place = Place::new();
    let whole = "test ${#BIG_0} = 120000 && test ${#BIG_25} = 120000 && echo whole";
    let Some(said) = with_3_mb(&place, &["sh", "-c", whole]) else { return };
    assert_eq!(said.expect(0).stdout(), "whole\n");
}

#[test]
fn a_launch_that_the_system_has_no_room_for_is_told_and_the_daemon_serves_on() {
    let place = Place::new();
    // However few there are, launches take what is left. A `run` that is waited for needs a dozen at once.
    Said::by(place.shell("ulimit -n 44; \"$CANDOR\" daemon start")).expect(0);
    let mut live = Vec::new();
    let refused = loop {
        let words = words!["run", "-d", "--"].into_iter().chain(agent(["--hang"]));
        let said = place.run(words);
        if said.status.code() != Some(0) {
            break said;
        }
        live.push(said.stdout().trim().to_owned());
        assert!(live.len() < 40, "the limit does not hold");
    };
    refused.expect(125).because(&["could not be started", "Too many open files"]);
    let session = &place.sessions()[0];
    assert_eq!((&session["status"], &session["outcome"]), (&"failed".into(), &"spawn".into()));
    let kills = live.iter().map(|id| place.run(["kill", id]).expect(0).status);
    assert!(kills.count() > 2, "some came up before");
    place.run(["wait"].into_iter().chain(live.iter().map(String::as_str))).expect(130);
    place.run(["run", "--", "true"]).expect(0);
}

#[test]
fn an_unknown_id_is_told_by_every_verb() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    for id in ["ffffffff", "not-an-id", "", "../..", "a b", "ü", "%"] {
        for verb in ["show", "logs", "interrupt", "kill", "wait", "timeline"] {
            let said = place.run([verb, id]);
            let code = if id.is_empty() { 2 } else { 125 };
            let told = said.expect(code);
            if !id.is_empty() {
                told.because(&["no session has an id that begins with", "candor ls"]);
            }
        }
        let code = if id.is_empty() { 2 } else { 125 };
        place.run(["events", "--session", id]).expect(code);
        place.run(["send", id, "a line"]).expect(code);
    }
}

#[test]
fn an_ambiguous_id_is_told_with_the_candidates() {
    let place = Place::new();
    let (one, two) = (place.launch(["true"]), place.launch(["true"]));
    let shared = &one[..one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count()];
    for verb in ["show", "logs", "interrupt", "kill", "wait", "timeline"] {
        let said = place.run([verb, shared]).expect(125);
        said.because(&[shared, &one, &two, "give more of the id"]);
    }
}

#[test]
fn wrong_words_are_2_and_for_run_125() {
    let place = Place::new();
    for (words, code, because) in [
        (&["ls", "--status", "sleeping"][..], 2, &["sleeping", "running", "completed"][..]),
        (&["ls", "--limit", "many"], 2, &["many", "--limit"]),
        (&["wait"], 2, &["<ID>"]),
        (&["wait", "--timeout", "soon", "x"], 2, &["soon", "30s"]),
        (&["events", "--after", "-1"], 2, &["-1"]),
        (&["show"], 2, &["<ID>"]),
        (&["daemon", "fly"], 2, &["fly"]),
        (&["fly"], 2, &["fly"]),
        (&["--fly"], 2, &["--fly"]),
        (&["run"], 125, &["<CMD>"]),
        (&["run", "--fly", "--", "true"], 125, &["--fly"]),
        (&["run", "--timeout", "10", "--", "true"], 125, &["\"10\" is not a duration", "30s"]),
        (&["run", "--timeout", "0s", "--", "true"], 125, &["0"]),
        (&["run", "--grace", "1s,2s,3s", "--", "true"], 125, &["10s,5s"]),
        (&["run", "--grace", "-1s", "--", "true"], 125, &["'-1'"]),
        (&["run", "--success-codes", "256", "--", "true"], 125, &["256"]),
        (&["run", "--success-codes", "", "--", "true"], 125, &["--success-codes"]),
        (&["run", "--", ""], 125, &["program", "empty"]),
        (&["run", "--cwd", "", "--", "true"], 125, &["--cwd"]),
    ] {
        let said = place.run(words).expect(code);
        assert_eq!(said.stdout(), "", "{words:?}");
        said.because(because);
    }
    assert_eq!(place.sessions().len(), 0, "nothing was launched");
}

#[test]
fn settings_with_an_unknown_key_are_refused_with_their_line() {
    let place = Place::new();
    place.configure("grace = \"1s\"\ntimout = \"2h\"\n");
    let because = ["config.toml", "line 2", "timout", "timeout"];
    place.run(["run", "--", "true"]).expect(125).because(&because);
    place.run(["daemon", "run"]).expect(78).because(&because);
    place.run(["daemon", "start"]).expect(125).because(&because);
    assert!(!place.home().exists(), "nothing was begun");
    place.configure("grace = \"1 parsec\"\n");
    place.run(["run", "--", "true"]).expect(125).because(&["line 1", "parsec", "30s"]);
    for (quota, because) in [("1 parsec", "512MiB"), ("1kB", "too little")] {
        place.configure(&format!("output_quota = \"{quota}\"\n"));
        place.run(["daemon", "run"]).expect(78).because(&["line 1", quota, because]);
    }
    place.configure("log = \"info\"\noutput_quota = \"none\"\n");
    place.run(["run", "--", "true"]).expect(0);
}
