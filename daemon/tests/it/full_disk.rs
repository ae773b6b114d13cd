//! A full disk: nothing new is accepted, everything is still told, and no end is lost.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::support::{Place, Running, Said, agent, assert_chain, skip, words};

/// Runs a daemon whose home is a small file system that nobody else sees, and that goes with it.
const DAEMON: &str = "mount -t tmpfs -o size=2m,mode=700 candor-test \"$CANDOR_HOME\" || exit 77
    [ -z \"$1\" ] || head -c 2m /dev/zero > \"$CANDOR_HOME/filler\" 2> /dev/null
    exec \"$CANDOR\" daemon run";

/// A daemon on a small disk.
struct SmallDisk {
    place: Place,
    daemon: Running,
    /// The home, as seen from here.
    home: PathBuf,
}

/// Returns a shell that sees mounts of its own and dies with the test, or says why there is none.
fn apart(place: &Place, script: &str) -> Option<Command> {
    let mut probe = Command::new("setpriv");
    probe.args(["--pdeathsig", "KILL", "unshare", "--mount", "true"]).stderr(Stdio::null());
    if !geteuid().is_root() || !probe.status().is_ok_and(|status| status.success()) {
        skip("only root, with setpriv and unshare, can have a small disk of its own");
        return None;
    }
    fs::create_dir_all(place.home()).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", script, "sh"]);
    place.settle(&mut command);
    command.env("CANDOR", env!("CARGO_BIN_EXE_candor"));
    Some(command)
}

impl SmallDisk {
    fn new() -> Option<Self> {
        Self::of(Place::new())
    }

    fn of(place: Place) -> Option<Self> {
        let mut daemon = Running::start(apart(&place, DAEMON)?);
        while !daemon.error_line().contains("the daemon serves") {}
        let root = format!("/proc/{}/root", daemon.pid().as_raw_nonzero());
        let home = PathBuf::from(format!("{root}{}", place.home().display()));
        Some(Self { place, daemon, home })
    }

    fn candor<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = self.place.candor(words);
        command.env("CANDOR_HOME", &self.home);
        command
    }

    fn run<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Said {
        Said::by(self.candor(words))
    }

    fn launch(&self, command: Vec<OsString>) -> String {
        let said = self.run(words!["run", "-d", "--"].into_iter().chain(command)).expect(0);
        said.stdout().trim().to_owned()
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut filler = File::create(self.home.join("filler")).unwrap();
        let block = [0; 4096];
        loop {
            match filler.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn free(&self) {
        fs::remove_file(self.home.join("filler")).unwrap();
    }

    /// Waits until the daemon has said that the store did not take a change.
    fn await_refusal(&mut self) {
        while !self.daemon.error_line().contains("the store does not take a change") {}
    }
}

#[test]
fn launches_are_refused_with_a_sentence_and_reads_go_on() {
    let Some(disk) = SmallDisk::new() else { return };
    let ended = disk.launch(words!["echo", "kept"].to_vec());
    disk.run(["wait", &ended]).expect(0);
    let live = disk.launch(agent(["--hang"]));
    let reads = [
        &["ls", "--json"][..],
        &["show", "--json", &live],
        &["show", &ended],
        &["logs", &ended],
        &["events", "--json"],
        &["wait", &ended],
    ];
    let before: Vec<Vec<u8>> =
        reads.iter().map(|words| disk.run(*words).expect(0).output).collect();
    disk.fill();
    for words in [&["run", "-d", "--", "true"][..], &["run", "--", "true"]] {
        let said = disk.run(words).expect(125);
        assert_eq!(said.stdout(), "");
        said.because(&["the store is unavailable", "full", "nothing was changed", "try again"]);
    }
    disk.run(["interrupt", &live]).expect(125).because(&["full", "nothing was changed"]);
    // To remove needs room as well: rows first, and so nothing of the files either.
    disk.run(["rm", &ended]).expect(125).because(&["full", "nothing was changed"]);
    disk.run(["daemon", "status"]).expect(0);
    for (words, before) in reads.iter().zip(before) {
        assert_eq!(disk.run(*words).expect(0).output, before, "{words:?}");
    }
    disk.free();
    disk.run(["run", "--", "true"]).expect(0);
    disk.run(["interrupt", &live]).expect(0);
    disk.run(["wait", &live]).expect(130);
    let said = disk.run(["events", "--json", "--session", &live]).expect(0);
    assert_chain(&said.json_lines());
    // What was refused has left no trace: neither rows nor folders.
    assert_eq!(disk.run(["ls", "--json"]).expect(0).json().as_array().unwrap().len(), 3);
    let names = fs::read_dir(disk.home.join("sessions")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| !name.contains('.')).count(), 3);
}

#[test]
fn an_exit_while_the_disk_is_full_is_settled_truly_when_there_is_room() {
    let Some(disk) = SmallDisk::new() else { return };
    let (held, go) = (disk.place.fifo("held"), disk.place.fifo("go"));
    let id = disk.launch(agent(words!["--hold", &held, "--await", &go, "--exit", "7"]));
    let mut process = File::open(held).unwrap();
    let mut events = Running::start(disk.candor(["events", "--follow", "--json"]));
    events.value(|event| event["to"] == "running");
    let wait = Running::start(disk.candor(["wait", &id]));
    disk.fill();
    fs::write(go, "go\n").unwrap();
    // It holds its end open for as long as it lives.
    process.read_to_end(&mut Vec::new()).unwrap();
    // Until it is stored, it has not happened for anybody.
    let session = disk.run(["show", "--json", &id]).expect(0).json();
    assert_eq!(session["status"], "running");
    disk.run(["interrupt", &id]).expect(125).because(&["full"]);
    disk.free();
    assert_eq!(wait.finish().expect(7).stdout(), format!("{id} failed exit_code\n"));
    let session = disk.run(["show", "--json", &id]).expect(0).json();
    assert_eq!(
        (&session["exit"]["code"], &session["intent"]),
        (&7.into(), &serde_json::Value::Null)
    );
    let said = disk.run(["events", "--json", "--session", &id]).expect(0);
    assert_chain(&said.json_lines());
}

#[test]
fn an_end_that_was_asked_for_before_the_disk_was_full_is_an_interruption() {
    let Some(disk) = SmallDisk::new() else { return };
    let [ready, held, asked, go, _never] =
        ["ready", "held", "asked", "go", "never"].map(|name| disk.place.fifo(name));
    let script = "trap 'kill $!; echo > asked; read -r _ < go; exit 8' INT; echo > ready; \
                  cat never & exec 3> held; wait; exit 9";
    let options = words!["run", "-d", "--grace", "1h,1h", "--", "sh", "-c", script];
    let id = disk.run(options).expect(0).stdout().trim().to_owned();
    fs::read(ready).unwrap();
    let mut process = File::open(held).unwrap();
    disk.run(["interrupt", &id]).expect(0);
    fs::read(asked).unwrap();
    disk.fill();
    fs::write(go, "go\n").unwrap();
    process.read_to_end(&mut Vec::new()).unwrap();
    disk.free();
    disk.run(["wait", &id]).expect(130);
    let session = disk.run(["show", "--json", &id]).expect(0).json();
    assert_eq!((&session["outcome"], &session["exit"]["code"]), (&"interrupted".into(), &8.into()));
}

#[test]
fn a_stop_while_the_disk_is_full_waits_for_room_and_loses_nothing() {
    let Some(mut disk) = SmallDisk::new() else { return };
    disk.launch(agent(["--hang"]));
    let mut events = Running::start(disk.candor(["events", "--follow", "--json"]));
    events.value(|event| event["to"] == "running");
    disk.fill();
    let stop = Running::start(disk.candor(["daemon", "stop", "--sessions"]));
    disk.await_refusal();
    disk.free();
    assert_eq!(events.value(|event| event["to"] == "completing")["cause"], "shutdown");
    assert_eq!(events.value(|event| event["outcome"].is_string())["outcome"], "interrupted");
    stop.finish().expect(0);
    disk.daemon.finish().expect(0);
}

#[test]
fn a_daemon_does_not_start_on_a_full_disk_and_says_why() {
    let place = Place::new();
    let Some(mut command) = apart(&place, DAEMON) else { return };
    command.arg("full");
    let said = Said::by(command).expect(78);
    said.because(&["No space left", "CANDOR_HOME"]);
}

/// It gets the error of a full disk, as any program does. What it is over its quota is given back,
/// although nothing new can be written down, and so it can go on.
#[cfg(target_os = "linux")]
#[test]
fn a_session_that_fills_the_disk_gets_its_room_back_by_its_quota() {
    let place = Place::new();
    place.configure("output_quota = \"64KiB\"\n");
    let Some(disk) = SmallDisk::of(place) else { return };
    // Each piece is more than what is free after a few of them. That there is room again makes no
    // event, so it tries again.
    let script = "for piece in 1 2 3 4 5 6 7 8; do
        until head -c 600000 /dev/zero 2> /dev/null | tr '\\0' x 2> /dev/null; do sleep 0.1; done
    done; exit 9";
    let id = disk.launch(words!["sh", "-c", script].to_vec());
    disk.run(["wait", &id]).expect(9);
    let said = disk.run(["logs", &id]).expect(0);
    assert!(said.output.len() < 128 << 10 && !said.output.contains(&0), "{}", said.output.len());
    let shown = String::from_utf8_lossy(&said.output);
    assert!(shown.contains(" bytes were dropped here: the output passed its quota]"));
    disk.run(["rm", &id]).expect(0);
}
