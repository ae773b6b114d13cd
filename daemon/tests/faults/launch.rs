//! Section 1: launch.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::suite::{Fault, Need, Tier, fault};
use crate::support::{Said, agent, end, wire};
use crate::tools::{Cgroup, ask_to_launch, launch_request, the_only};

/// Checks that the only session was refused at this stage with this error, and never ran.
#[track_caller]
fn assert_refused(place: &Fault, stage: &str, errno: i32) {
    let session = the_only(place);
    assert_eq!((&session["status"], &session["outcome"]), (&"failed".into(), &"spawn".into()));
    assert_eq!(session["evidence"]["spawn"], json!({"stage": stage, "errno": errno}));
    assert_eq!(session["exit"], Value::Null);
    let id = session["id"].as_str().unwrap();
    assert!(place.story(id).iter().all(|event| event["to"] != "running"), "it was shown to run");
    assert!(
        place
            .names_in("sessions")
            .iter()
            .all(|name| !name.starts_with(id) || name.ends_with(".recording")),
        "something is left: {:?}",
        place.names_in("sessions")
    );
}

#[test]
fn l1_a_missing_program_is_a_refused_spawn() {
    fault(&[], |place| {
        place.run(["run", "--", "/no/such/program"]).expect(127);
        assert_refused(place, "exec", 2);
    });
}

#[test]
fn l2_what_may_not_be_executed_is_a_refused_spawn() {
    fault(&[], |place| {
        fs::write(place.path("script"), "#!/bin/sh\n").unwrap();
        place.run(["run", "--", "./script"]).expect(126);
        assert_refused(place, "exec", 13);
    });
}

#[test]
fn l2_a_folder_is_no_program() {
    fault(&[], |place| {
        fs::create_dir(place.path("folder")).unwrap();
        place.run(["run", "--", "./folder"]).expect(126);
        assert_refused(place, "exec", 13);
    });
}

#[test]
fn l2_what_no_loader_knows_is_a_refused_spawn() {
    fault(&[], |place| {
        fs::write(place.path("data"), "no program\n").unwrap();
        fs::set_permissions(place.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
        place.run(["run", "--", "./data"]).expect(126);
        assert_refused(place, "exec", 8);
    });
}

#[test]
fn l3_a_missing_folder_is_told_apart_from_a_missing_program() {
    fault(&[], |place| {
        place.run(["run", "--cwd", "/no/such/folder", "--", "true"]).expect(125);
        assert_refused(place, "folder", 2);
    });
}

#[test]
fn l4_a_session_whose_folder_is_removed_runs_on() {
    fault(&[], |place| {
        fs::create_dir(place.path("folder")).unwrap();
        let (ready, go) = (place.fifo("ready"), place.fifo("go"));
        let script = agent([
            "--ready".as_ref(),
            ready.as_os_str(),
            "--await".as_ref(),
            go.as_os_str(),
            "--exit".as_ref(),
            "6".as_ref(),
        ]);
        let id = place.launch_with(["--cwd", "folder"], script);
        fs::read(ready).unwrap();
        fs::remove_dir(place.path("folder")).unwrap();
        fs::write(go, "go\n").unwrap();
        place.run(["wait", &id]).expect(6);
    });
}

#[test]
fn l6_a_nul_is_refused_before_anything_is_stored() {
    fault(&[], |place| {
        place.run(["daemon", "start"]).expect(0);
        let whole = launch_request(&["true"]);
        let nul = "a\0b";
        for (field, value) in [
            ("command", json!([nul])),
            ("command", json!(["true", nul])),
            ("cwd", json!("/\0")),
            ("environment", json!([[nul, "x"]])),
            ("environment", json!([["X", nul]])),
        ] {
            let mut request = whole.clone();
            request[field] = value;
            let reply =
                wire::ask(&place.home(), "POST", "/v1/sessions", request.to_string().as_bytes());
            assert!((400..500).contains(&reply.status), "{field}: {reply:?}");
        }
        assert_eq!(place.sessions(), [] as [Value; 0]);
        assert_eq!(place.events([""; 0]), [] as [Value; 0]);
    });
}

/// Texts that a careless program would take for an option, an escape or the end of something.
const TEXTS: [&str; 16] = [
    "-v",
    "--help",
    "--",
    "-",
    "--settings={}",
    "--- Reply",
    "- [ ] todo",
    "",
    " ",
    "\n",
    "'\"`$(id)",
    "\\",
    "%s%n",
    "\u{202e}",
    "*",
    "~",
];

#[test]
fn l8_an_argument_is_delivered_verbatim_whatever_it_looks_like() {
    fault(&[], |place| {
        let script = "for text; do printf '%s\\0' \"$text\"; done";
        let words = ["run", "--", "sh", "-c", script, "sh"];
        let said = place.run(words.into_iter().chain(TEXTS)).expect(0);
        let expected: String = TEXTS.iter().map(|text| format!("{text}\0")).collect();
        assert_eq!(said.stdout(), expected);
        // As the command's own first words, too.
        for text in ["--help", "-v"] {
            place.run(["run", "--", text]).expect(127);
        }
    });
}

#[test]
fn l10_a_daemon_without_free_descriptors_refuses_and_serves_on() {
    fault(&[], |place| {
        Said::by(place.shell("ulimit -n 40; \"$CANDOR\" daemon start")).expect(0);
        let daemon = place.daemon();
        let mut refused = 0;
        for _ in 0..Tier::of_this_run().of(24, 100) {
            if !hang(place) {
                refused += 1;
            }
            place.run(["ls"]).expect(0);
        }
        assert!(refused > 0, "there was room for all");
        place.tell(format!("{refused} launches refused"));
        assert_eq!(daemon, place.daemon(), "it has not survived");
        for session in place.sessions() {
            place.run(["kill", session["id"].as_str().unwrap()]);
            place.run(["wait", session["id"].as_str().unwrap()]);
        }
        place.run(["run", "--", "true"]).expect(0);
    });
}

/// Launches a session that stays, and says whether there was room for it.
fn hang(place: &Fault) -> bool {
    let words = ["run", "-d", "--"].map(Into::into).into_iter().chain(agent(["--hang"]));
    let said = place.run(words);
    let code = said.status.code();
    assert!(code == Some(0) || code == Some(125), "{said:?}");
    code == Some(0)
}

/// Processes and threads of the daemon and its sessions.
const PROCESSES_MAX: usize = 32;

#[test]
fn l11_a_launch_beyond_the_limit_of_processes_is_refused() {
    fault(&[Need::Root, Need::Cgroup("pids")], |place| {
        place.run(["daemon", "start"]).expect(0);
        let cgroup = Cgroup::new("pids", "pids.max", &PROCESSES_MAX.to_string());
        cgroup.take(place.daemon());
        let launched = (0..PROCESSES_MAX).take_while(|_| hang(place)).count();
        assert!((1..PROCESSES_MAX).contains(&launched), "{launched} of {PROCESSES_MAX} came up");
        for session in place.sessions() {
            if session["outcome"] == "spawn" {
                // No process can be had, or no thread, by whoever asked for one.
                assert_eq!(session["evidence"]["spawn"]["errno"], 11, "{session}");
            }
        }
        for session in place.sessions() {
            place.run(["kill", session["id"].as_str().unwrap()]);
        }
        cgroup.set("pids.max", "max");
        place.run(["run", "--", "true"]).expect(0);
    });
}

#[test]
fn l14_a_client_that_is_gone_in_the_midst_of_a_launch_leaves_a_whole_session_or_none() {
    fault(&[], |place| {
        place.run(["daemon", "start"]).expect(0);
        let count = Tier::of_this_run().of(10, 100);
        for _ in 0..count {
            let mut request = wire::connect(&place.home());
            ask_to_launch(
                &mut request,
                &launch_request(&[agent(["--exit", "3"])[0].to_str().unwrap(), "--exit", "3"]),
            );
            drop(request);
        }
        // One that stays sees the others: they came first.
        place.run(["run", "--", "true"]).expect(0);
        for session in place.sessions() {
            place.run(["wait", session["id"].as_str().unwrap()]);
        }
        assert!(place.sessions().len() <= count + 1);
    });
}

/// A wrapper that makes itself a daemon has ended, as far as anybody can tell.
#[test]
fn l20_a_program_that_leaves_another_behind_has_ended_with_its_own_exit() {
    fault(&[], |place| {
        let number = place.fifo("number");
        let script = "setsid sh -c 'echo $$ > number; exec sleep 1000' & exit 4";
        let id = place.launch(["sh", "-c", script]);
        let left: i32 = fs::read_to_string(number).unwrap().trim().parse().unwrap();
        place.run(["wait", &id]).expect(4);
        // It is this test's to end where the daemon leaves it: by a handle on what was just named.
        let left = rustix::process::Pid::from_raw(left).unwrap();
        if Command::new("kill")
            .args(["-0", &left.as_raw_nonzero().to_string()])
            .status()
            .unwrap()
            .success()
        {
            end(left, rustix::process::Signal::KILL);
        }
    });
}
