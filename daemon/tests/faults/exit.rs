//! Section 2: exits, and what a process leaves behind.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use rustix::process::Pid;
use serde_json::{Value, json};

use crate::invariants::assert_emptied;
use crate::invariants::state;
use crate::suite::{Fault, Need, Tier, fault};
use crate::support::{Running, agent};
use crate::tools::{Cgroup, FrozenDisk, Gate, Launched, agent_of, launch};

/// Signals of which a process stops and does not die: `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`.
const STOPPING: [u8; 4] = [19, 20, 21, 22];

/// Real-time signals that the C library keeps to itself.
const RESERVED: [u8; 2] = [32, 33];

/// Of how many exit codes the quick selection plays one: 255 is among them.
const QUICK_EACH: usize = 5;

/// When the daemon is there, with regard to the exits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Daemon {
    Up,
    /// Killed before, and the next one comes after.
    Down,
}

/// Runs agents with these arguments, each once, which end at the same moment, and returns them as
/// they are told afterwards.
fn end_together(place: &Fault, scripts: &[Vec<String>], daemon: Daemon) -> Vec<Value> {
    place.run(["daemon", "start"]).expect(0);
    let gate = Gate::new(place);
    // Each in a folder of its own, where its core dump is not in another's way.
    let launched: Vec<Launched> = (0..)
        .zip(scripts)
        .map(|(number, script)| {
            let folder = place.path(&format!("run-{number}"));
            fs::create_dir(&folder).unwrap();
            launch(place, &folder, &gate.holds(agent(script)))
        })
        .collect();
    gate.await_held(launched.len());
    if daemon == Daemon::Down {
        place.kill_daemon();
    }
    gate.open();
    if daemon == Daemon::Down {
        assert_emptied(place.folder());
    }
    let ids = launched.iter().map(|launched| launched.id.as_str());
    place.run(["wait"].into_iter().chain(ids));
    launched.iter().map(|launched| launched.now(place)).collect()
}

fn all_codes(place: &Fault, daemon: Daemon) {
    let codes = || (0..=u8::MAX).step_by(Tier::of_this_run().of(QUICK_EACH, 1));
    let scripts: Vec<Vec<String>> =
        codes().map(|code| vec!["--exit".to_owned(), code.to_string()]).collect();
    let sessions = end_together(place, &scripts, daemon);
    for (code, session) in codes().zip(&sessions) {
        assert_eq!(session["exit"], json!({"code": code}), "{session}");
    }
    place.tell(format!("{} codes", sessions.len()));
}

/// What the kernel says to a parent of the test's own is what the daemon must say.
fn all_signals(place: &Fault, daemon: Daemon, core: bool) {
    let numbers =
        (1..=64).filter(|number| !STOPPING.contains(number) && !RESERVED.contains(number));
    let script = |number: u8| {
        let core = if core { &["--core"][..] } else { &[] };
        let words = core.iter().copied().map(str::to_owned);
        words.chain(["--die".to_owned(), number.to_string()]).collect::<Vec<_>>()
    };
    let scripts: Vec<_> = numbers.map(script).collect();
    let sessions = end_together(place, &scripts, daemon);
    let (mut signals, mut cores) = (0, 0);
    for (script, session) in scripts.iter().zip(&sessions) {
        let words = agent(script);
        let mut command = Command::new(&words[0]);
        let folder = place.path("oracle");
        fs::create_dir(&folder).unwrap();
        command.args(&words[1..]).current_dir(&folder);
        let expected = exit(command.output().unwrap().status);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(session["exit"], expected, "{script:?}: {session}");
        signals += usize::from(expected["signal"].is_string());
        cores += usize::from(expected["core_dumped"] == true);
    }
    assert!(signals > 50, "only {signals} signals kill");
    place.tell(format!("{signals} signals, {cores} core dumps"));
}

/// Returns an exit as it is told.
fn exit(status: ExitStatus) -> Value {
    match (status.code(), status.signal()) {
        (Some(code), _) => json!({"code": code}),
        (None, Some(signal)) => {
            json!({"signal": name(signal), "core_dumped": status.core_dumped()})
        }
        (None, None) => panic!("{status:?}"),
    }
}

/// Returns how people call a signal, as the shell knows it.
fn name(signal: i32) -> String {
    match signal {
        34 => return "SIGRTMIN".to_owned(),
        35.. => return format!("SIGRTMIN+{}", signal - 34),
        _ => {}
    }
    let said = Command::new("bash").args(["-c", &format!("kill -l {signal}")]).output().unwrap();
    format!("SIG{}", String::from_utf8(said.stdout).unwrap().trim())
}

#[test]
fn p1_every_exit_code_comes_back() {
    fault(&[Need::Flock], |place| all_codes(place, Daemon::Up));
}

#[test]
fn p1_every_exit_code_comes_back_when_no_daemon_runs_at_the_exit() {
    fault(&[Need::Flock], |place| all_codes(place, Daemon::Down));
}

#[test]
fn p2_every_signal_comes_back() {
    fault(&[Need::Flock], |place| all_signals(place, Daemon::Up, false));
}

#[test]
fn p2_every_signal_comes_back_when_no_daemon_runs_at_the_exit() {
    fault(&[Need::Flock], |place| all_signals(place, Daemon::Down, false));
}

#[test]
fn p2_exit_code_137_is_not_signal_9() {
    fault(&[], |place| {
        place.run(["run", "--", "sh", "-c", "exit 137"]).expect(137);
        place.run(["run", "--", "sh", "-c", "kill -9 $$"]).expect(137);
        let exits: Vec<Value> =
            place.sessions().into_iter().map(|session| session["exit"].clone()).collect();
        assert_eq!(
            exits,
            [json!({"signal": "SIGKILL", "core_dumped": false}), json!({"code": 137})]
        );
    });
}

#[test]
fn p3_a_core_dump_is_told_where_there_was_one() {
    fault(&[Need::Flock], |place| all_signals(place, Daemon::Up, true));
}

#[test]
fn p3_a_core_dump_is_told_when_no_daemon_runs_at_the_exit() {
    fault(&[Need::Flock], |place| all_signals(place, Daemon::Down, true));
}

/// More than what the control group of a test allows, in a program that only ever takes.
const HOG: &str = "tail /dev/zero";

#[test]
fn p4_a_program_that_is_killed_for_want_of_memory_is_killed_and_nothing_more() {
    fault(&[Need::Root, Need::Cgroup("memory")], |place| {
        let cgroup = Cgroup::new("memory", "memory.limit_in_bytes", "33554432");
        let script = format!("echo $$ > {}; exec {HOG}", cgroup.door().display());
        place.run(["run", "--", "sh", "-c", &script]).expect(137);
        let session = &place.sessions()[0];
        assert_eq!(session["exit"], json!({"signal": "SIGKILL", "core_dumped": false}));
        // Whether it was for want of memory nobody can tell of a group that is not the session's.
        assert!(session["outcome"] == "signal" || session["outcome"] == "oom_kill", "{session}");
        assert!(cgroup.read("memory.oom_control").contains("oom_kill 1"), "it was another kill");
    });
}

#[test]
fn p5_a_child_that_is_killed_for_want_of_memory_is_the_programs_own_business() {
    fault(&[Need::Root, Need::Cgroup("memory")], |place| {
        let cgroup = Cgroup::new("memory", "memory.limit_in_bytes", "33554432");
        let script =
            format!("(echo $BASHPID > {}; exec {HOG}); echo $?; exit 3", cgroup.door().display());
        let said = place.run(["run", "--", "bash", "-c", &script]).expect(3);
        assert_eq!(said.stdout(), "137\n");
    });
}

/// Leaves two processes in sessions of their own, one of which does not listen, and tells when both
/// are there.
fn escaping(place: &Fault, end: &[&str]) -> (String, std::path::PathBuf) {
    let ready = place.fifo("ready");
    let mut script = agent(["--fork", "stay,setsid", "--fork", "stay,setsid,stubborn", "--ready"]);
    script.push(ready.clone().into());
    script.extend(end.iter().map(Into::into));
    (place.launch(script), ready)
}

#[test]
fn p7_a_kill_ends_what_has_left_the_group() {
    fault(&[], |place| {
        let (id, ready) = escaping(place, &["--hang"]);
        fs::read(ready).unwrap();
        place.run(["kill", &id]).expect(0);
        place.run(["wait", &id]).expect(130);
        assert_emptied(place.folder());
        assert_eq!(place.session(&id)["evidence"]["left_behind"], 0);
    });
}

#[test]
fn p7_an_interrupt_ends_what_has_left_the_group() {
    fault(&[], |place| {
        let (id, ready) = escaping(place, &["--hang"]);
        fs::read(ready).unwrap();
        place.run(["interrupt", &id]).expect(0);
        place.run(["wait", &id]).expect(130);
        assert_emptied(place.folder());
        assert_eq!(place.session(&id)["exit"]["signal"], "SIGINT");
    });
}

/// The program that was launched is in no group of ours any more.
#[test]
fn p15_a_program_in_a_session_of_its_own_is_interrupted() {
    fault(&[], |place| {
        let ready = place.fifo("ready");
        let mut command: Vec<_> = ["setsid", "--wait", "--fork"].map(Into::into).into();
        command.extend(agent(["--on", "INT=exit:7", "--ready"]));
        command.extend([ready.clone().into(), "--hang".into()]);
        let id = place.launch(command);
        fs::read(ready).unwrap();
        place.run(["interrupt", &id]).expect(0);
        place.run(["wait", &id]).expect(130);
        assert_emptied(place.folder());
    });
}

#[test]
fn p8_orphans_do_not_pile_up() {
    fault(&[], |place| {
        let count = Tier::of_this_run().of(200, 2_000);
        let (ready, go) = (place.fifo("ready"), place.fifo("go"));
        let script = format!(
            "i=0; while [ $i -lt {count} ]; do (true & ); i=$((i+1)); done; echo $$ > ready; read l < go; exit 5"
        );
        let id = place.launch(["sh", "-c", &script]);
        let number: i32 = fs::read_to_string(ready).unwrap().trim().parse().unwrap();
        let watcher = parent(Pid::from_raw(number).unwrap());
        // All have ended, or are about to. The last of them is reaped when nobody is left but the
        // program itself; each look at it takes a system call, and that is how this waits.
        while children(watcher).len() > 1 {
            std::thread::yield_now();
        }
        fs::write(go, "go\n").unwrap();
        place.run(["wait", &id]).expect(5);
        place.tell(format!("{count} orphans"));
    });
}

fn parent(pid: Pid) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

fn children(pid: i32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(str::to_owned).collect()
}

/// A writer to a file system that is frozen is in nobody's hands.
#[test]
fn p11_a_process_that_cannot_be_killed_is_not_said_to_have_ended() {
    fault(&[Need::Root, Need::Loop, Need::Fsfreeze], |place| {
        let disk = FrozenDisk::new(place);
        let script = format!("echo > ready; echo x > {}/file; exit 3", disk.path().display());
        let ready = place.fifo("ready");
        let id = place.launch(["sh", "-c", &script]);
        fs::read(ready).unwrap();
        let agent = agent_of(place, &id);
        // The kernel tells nobody that a process waits for a disk.
        while state(agent) != "D" {
            std::thread::yield_now();
        }
        place.run(["kill", &id]).expect(0);
        // The kill is on its way: the kernel has taken it, and the process has not.
        for _ in 0..3 {
            let session = place.session(&id);
            assert_eq!(
                (&session["status"], &session["outcome"]),
                (&json!("completing"), &Value::Null)
            );
            place.run(["run", "--", "true"]).expect(0);
        }
        drop(disk);
        place.run(["wait", &id]).expect(130);
        assert_eq!(place.session(&id)["exit"]["signal"], "SIGKILL");
    });
}

#[test]
fn p13_the_end_of_a_process_that_is_traced_is_seen_once() {
    fault(&[Need::Strace], |place| {
        let number = place.fifo("number");
        let words = agent(["--hang"]);
        let mut script: Vec<_> =
            ["sh", "-c", "echo $$ > number; exec \"$@\"", "sh"].map(Into::into).into();
        script.extend(words);
        let id = place.launch(script);
        let number = fs::read_to_string(number).unwrap().trim().to_owned();
        let mut strace = Command::new("strace");
        strace.args(["-p", &number, "-o", "/dev/null"]);
        let mut strace = Running::start(strace);
        assert!(strace.error_line().contains("attached"));
        place.run(["kill", &id]).expect(0);
        place.run(["wait", &id]).expect(130);
        assert_eq!(place.session(&id)["exit"]["signal"], "SIGKILL");
        drop(strace.finish());
    });
}

/// A loop of forks in a group that holds it: only the session feels it.
#[test]
fn p20_a_program_that_forks_without_bound_hurts_itself() {
    fault(&[Need::Root, Need::Cgroup("pids")], |place| {
        let cgroup = Cgroup::new("pids", "pids.max", "64");
        let door = cgroup.door();
        let script = format!("echo $$ > {}; while :; do sleep 1000 & done", door.display());
        let id = place.launch(["sh", "-c", &script]);
        // The shell gives up when it gets no process any more, and leaves the others behind.
        place.run(["wait", &id]).expect(2);
        assert_eq!(place.session(&id)["exit"], json!({"code": 2}));
        place.run(["run", "--", "true"]).expect(0);
        cgroup.kill();
    });
}

#[test]
fn p22_many_ends_at_once_are_all_recorded() {
    fault(&[Need::Flock], |place| {
        let count = Tier::of_this_run().of(50, 500);
        let scripts: Vec<Vec<String>> = (0..count)
            .map(|number| vec!["--exit".to_owned(), (number % 200).to_string()])
            .collect();
        let sessions = end_together(place, &scripts, Daemon::Up);
        for (number, session) in sessions.iter().enumerate() {
            assert_eq!(session["exit"], json!({"code": number % 200}), "{session}");
        }
        place.tell(format!("{count} ends"));
    });
}
