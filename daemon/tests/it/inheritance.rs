//! What a session's process has of its caller, and what it must not have of anybody.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::{Value, json};

use crate::support::{Place, Said, agent, words};

/// The mask of ignored signals in which only `SIGPIPE` is set, as the agent's own runtime does.
const ONLY_PIPE: &str = "0000000000001000";

/// Runs a script that runs `"$@"`, an agent that tells how it was started.
fn dump(place: &Place, script: &str) -> Value {
    let dump = place.path("dump");
    let mut command = place.shell(script);
    command.arg("sh").args(agent(words!["--dump", &dump]));
    Said::by(command).expect(0);
    serde_json::from_slice(&fs::read(dump).unwrap()).unwrap()
}

#[test]
fn a_session_runs_in_the_callers_folder_with_the_callers_umask() {
    let place = Place::new();
    fs::create_dir(place.path("work")).unwrap();
    // The daemon stands elsewhere, and has another mask.
    Said::by(place.shell("umask 077; cd / && \"$CANDOR\" daemon start")).expect(0);
    for umask in ["027", "002", "000"] {
        let script = format!("umask {umask}; cd work && \"$CANDOR\" run -- \"$@\"");
        let dump = dump(&place, &script);
        assert_eq!(dump["umask"], u32::from_str_radix(umask, 8).unwrap());
        let folder = fs::canonicalize(place.path("work")).unwrap();
        assert_eq!(dump["cwd"], folder.to_str().unwrap());
    }
}

#[test]
fn a_session_has_the_callers_environment_byte_for_byte_and_its_own_id() {
    let place = Place::new();
    place.candor(["daemon", "start"]).env("DAEMONS_OWN", "secret").output().unwrap();
    let bytes = OsString::from_vec(b"\xff\xfe = \n\x1b[31m".to_vec());
    let mut command = place.candor(["run", "--env", "ADDED=yes", "--", "/usr/bin/env", "-0"]);
    command.env_clear();
    place.settle(&mut command);
    command.env("PATH", "/usr/bin:/bin").env("EMPTY", "").env("BYTES", &bytes);
    let expected: Vec<Vec<u8>> = {
        let pairs = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let entry = |name: &[u8], value: &[u8]| [name, b"=", value].concat();
        let entries = pairs.map(|(n, v)| entry(n.as_encoded_bytes(), v.as_encoded_bytes()));
        entries.chain([b"ADDED=yes".to_vec()]).collect()
    };
    let said = Said::by(command).expect(0);
    let mut found: Vec<Vec<u8>> =
        said.output.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(found.pop(), Some(Vec::new()));
    found.sort();
    let id = place.sessions()[0]["id"].as_str().unwrap().to_owned();
    let mut expected = expected;
    expected.push(format!("CANDOR_SESSION={id}").into_bytes());
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_session_has_three_descriptors_whatever_the_caller_had_open() {
    let place = Place::new();
    let open = "exec 3<\"$0\" 7>\"$CANDOR_HOME.lock\" 9<&0";
    let dump =
        dump(&place, &format!("{open}; \"$CANDOR\" run -- \"$@\"").replace("$0", "/dev/null"));
    let descriptors = dump["descriptors"].as_object().unwrap();
    assert_eq!(descriptors.keys().collect::<Vec<_>>(), ["0", "1", "2"], "{dump}");
    if cfg!(target_os = "linux") {
        assert_eq!(descriptors["0"], "/dev/null");
        assert!(descriptors["1"].as_str().unwrap().ends_with("/stdout"), "{dump}");
        assert!(descriptors["2"].as_str().unwrap().ends_with("/stderr"), "{dump}");
    }
}

#[test]
fn a_session_leads_a_group_of_its_own_and_has_no_terminal() {
    let place = Place::new();
    let dump = dump(&place, "\"$CANDOR\" run -- \"$@\"");
    assert_eq!((&dump["leads_group"], &dump["leads_session"]), (&json!(true), &json!(true)));
    // A session's leader has no terminal until it opens one.
    let said = place.run(["run", "--", "sh", "-c", ": < /dev/tty"]);
    assert_ne!(said.status.code(), Some(0), "{said:?}");
}

#[test]
fn signals_have_their_default_meaning_whatever_the_caller_ignored() {
    let ignore = "trap '' HUP INT QUIT TERM USR1 USR2 CHLD TSTP";
    for script in [
        format!("{ignore}; \"$CANDOR\" daemon start && \"$CANDOR\" run -- \"$@\""),
        format!("({ignore}; exec \"$CANDOR\" daemon start) && \"$CANDOR\" run -- \"$@\""),
        format!("\"$CANDOR\" daemon start && {ignore} && \"$CANDOR\" run -- \"$@\""),
    ] {
        let place = Place::new();
        let dump = dump(&place, &script);
        if cfg!(target_os = "linux") {
            assert_eq!(dump["ignored"], ONLY_PIPE, "{script}");
            assert_eq!(dump["blocked"], "0000000000000000", "{script}");
        }
    }
}

#[test]
fn an_interrupt_reaches_a_session_whose_daemon_was_started_with_interrupts_ignored() {
    let place = Place::new();
    Said::by(place.shell("trap '' INT; \"$CANDOR\" daemon start")).expect(0);
    let id = place.launch_with(["--grace", "1h,1h"], agent(["--hang"]));
    place.await_running(&id);
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
    assert_eq!(place.session(&id)["exit"]["signal"], "SIGINT");
}

#[test]
fn the_daemon_holds_no_descriptor_of_whoever_started_it() {
    let place = Place::new();
    let lock = place.fifo("lock");
    let mut reader = {
        let mut options = fs::OpenOptions::new();
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        options.read(true).custom_flags(nonblocking).open(&lock).unwrap()
    };
    let mut command = place.shell("exec 9> lock; \"$CANDOR\" run -d -- \"$@\"");
    command.arg("sh").args(agent(["--hang"]));
    // That this returns shows that neither daemon nor session holds the pipes of the caller.
    let said = Said::by(command).expect(0);
    // Nothing to read and no writer is 0; nothing to read and a writer is an error.
    assert_eq!(reader.read(&mut [0]).expect("somebody holds descriptor 9"), 0);
    place.run(["interrupt", said.stdout().trim()]).expect(0);
}

#[test]
fn the_daemon_may_open_more_files_than_its_sessions() {
    let place = Place::new();
    Said::by(place.shell("ulimit -Sn 512; \"$CANDOR\" daemon start")).expect(0);
    let said = place.run(["run", "--", "sh", "-c", "ulimit -Sn; ulimit -Hn"]).expect(0);
    let mine = Said::by(place.shell("ulimit -Hn")).expect(0);
    assert_eq!(said.stdout(), format!("512\n{}", mine.stdout()));
    #[cfg(target_os = "linux")]
    {
        let pid = place.daemon().as_raw_nonzero();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert!(soft > 512, "{line}");
    }
}
