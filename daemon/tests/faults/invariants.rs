//! What must hold after every fault, whatever it was: G1 to G7.
//!
//! | | holds |
//! |---|---|
//! | G1 | every session has one terminal status, and nothing follows it |
//! | G2 | a stored exit is what its program was told to do, or there is a reason why nobody knows |
//! | G3 | no process of a session is left once it has ended |
//! | G4 | the output is what the program wrote, byte for byte |
//! | G5 | a process that no session started got no signal |
//! | G6 | the daemon answers at once, and keeps no more descriptors and memory than a new one |
//! | G7 | to stop and to start changes nothing of what is told |

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use candor_adapters::process::await_end_of;
use rustix::process::Pid;
use serde_json::Value;
use tokio::time::timeout;

use super::suite::Fault;
use super::support::{Place, Running, agent, assert_chain, wire};
use super::tools::memory_bytes;

/// How long the daemon may take to say that it is there.
const HEALTH_MAX: Duration = Duration::from_millis(250);

/// How often it is asked: on a busy machine one answer may wait for the processor.
const HEALTH_TRIES: usize = 3;

/// Descriptors that a daemon may have more than one that has just been started: readers of the
/// database, each with two files, are opened when they are first needed.
const DESCRIPTORS_MORE_MAX: usize = 4 * 2;

/// Outputs that are read, of as many sessions as there may be.
const OUTPUTS_MAX: usize = 25;

/// How often it is looked at what it uses.
const LOOKS: usize = 30;

/// Memory that it may have more, in bytes: what the allocator keeps of what was freed.
const MEMORY_MORE_MAX: u64 = 16 * 1024 * 1024;

/// How long what was ended may take to be gone. It is only meant to tell a hang from a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the daemon is stopped and started.
const RESTARTS: usize = 2;

/// A process that no session started, and that would not survive a signal.
pub(crate) struct Canary(Running);

impl Canary {
    pub(crate) fn new() -> Self {
        let mut words = agent(["--ready", "-", "--hang"]).into_iter();
        let mut command = std::process::Command::new(words.next().unwrap());
        command.args(words);
        let mut canary = Running::start(command);
        assert_eq!(canary.line(), "ready");
        Self(canary)
    }

    /// G5.
    fn assert_untouched(&self) {
        let state = state(self.0.pid());
        assert_eq!(state, "S", "G5: a process that is nobody's was signalled");
    }
}

/// Ends what still lives, and checks all of it.
#[track_caller]
pub(crate) fn hold(fault: &Fault) {
    let place: &Place = fault;
    place.run(["daemon", "start"]).expect(0);
    assert_healthy(place);
    end_all(place);
    let sessions = place.sessions();
    let events = place.events([""; 0]);
    for session in &sessions {
        let of_it = events.iter().filter(|event| event["session"] == session["id"]);
        assert_settled(session, &of_it.cloned().collect::<Vec<_>>());
        assert_true(fault, session);
    }
    let each = sessions.len().div_ceil(OUTPUTS_MAX).max(1);
    sessions.iter().step_by(each).for_each(|session| assert_output(place, session));
    assert_emptied(place.folder());
    let used = Usage::at_rest(place);
    let before = told(place, &sessions);
    for _ in 0..RESTARTS {
        place.run(["daemon", "stop"]).expect(0);
        place.run(["daemon", "start"]).expect(0);
        assert!(told(place, &sessions) == before, "G7: a restart has changed what is told");
    }
    used.assert_like(&Usage::at_rest(place));
    assert_healthy(place);
    fault.canary().assert_untouched();
}

/// G6.
#[track_caller]
fn assert_healthy(place: &Place) {
    let tries = (0..HEALTH_TRIES).map(|_| {
        let start = Instant::now();
        assert_eq!(wire::ask(&place.home(), "GET", "/v1/health", b"").status, 200, "G6");
        start.elapsed()
    });
    let quickest = tries.min().unwrap();
    assert!(quickest <= HEALTH_MAX, "G6: the daemon takes {quickest:?} to answer");
}

/// What a daemon needs of the machine.
struct Usage {
    descriptors: usize,
    memory_bytes: u64,
}

impl Usage {
    /// Returns the least of several looks: connections that were just closed may not be so yet, and
    /// copies of the database come and go.
    fn at_rest(place: &Place) -> Self {
        let daemon = place.daemon();
        let looks = (0..LOOKS).map(|_| {
            wire::ask(&place.home(), "GET", "/v1/health", b"");
            Self::of(daemon)
        });
        looks.min_by_key(|usage| usage.descriptors).unwrap()
    }

    fn of(daemon: Pid) -> Self {
        let folder = format!("/proc/{}", daemon.as_raw_nonzero());
        // Only root may look, and nobody else compares.
        let descriptors = fs::read_dir(format!("{folder}/fd")).map_or(0, Iterator::count);
        Self { descriptors, memory_bytes: memory_bytes(daemon) }
    }

    /// G6.
    #[track_caller]
    fn assert_like(&self, new: &Self) {
        let (open, open_of_new) = (self.descriptors, new.descriptors);
        let is_fine = open <= open_of_new + DESCRIPTORS_MORE_MAX;
        assert!(is_fine, "G6: {open} descriptors are open, and {open_of_new} in a new daemon");
        let more = self.memory_bytes.saturating_sub(new.memory_bytes);
        assert!(more <= MEMORY_MORE_MAX, "G6: {more} bytes more than a new daemon needs");
    }
}

/// Kills every session that lives, and waits for all ends.
fn end_all(place: &Place) {
    for session in place.sessions() {
        let id = session["id"].as_str().unwrap();
        if session["outcome"].is_null() {
            place.run(["kill", id]);
            place.run(["wait", id]);
        }
    }
}

/// G1.
#[track_caller]
fn assert_settled(session: &Value, story: &[Value]) {
    assert_chain(story);
    let last = story.last().unwrap();
    assert!(last["outcome"].is_string(), "G1: it does not end: {session}");
    assert_eq!(
        (&last["to"], &last["outcome"]),
        (&session["status"], &session["outcome"]),
        "G1: the row and its last event differ: {session}"
    );
    assert_eq!(last["revision"], session["revision"], "G1: {session}");
}

/// G2.
#[track_caller]
fn assert_true(fault: &Fault, session: &Value) {
    let outcome = session["outcome"].as_str().unwrap();
    if session["status"] == "lost" {
        assert!(fault.is_cause_of(outcome), "G2: nobody caused {outcome}: {session}");
        return;
    }
    let is_asked = session["intent"].is_object();
    assert_eq!(outcome == "interrupted", is_asked, "G2: {session}");
    let Some(told) = Script::of(session).map(|script| script.end) else { return };
    let exit = &session["exit"];
    let is_true = match &told {
        // Its end was not its own.
        _ if is_asked || outcome == "spawn" => true,
        End::Code(code) => exit["code"] == *code,
        End::Signal(signal) => exit["signal"] == *signal,
    };
    assert!(is_true, "G2: it was told {told:?}: {session}");
}

/// G4.
#[track_caller]
fn assert_output(place: &Place, session: &Value) {
    let id = session["id"].as_str().unwrap();
    let stored = place.home().join("sessions").join(id).join("stdout");
    let Ok(stored) = fs::read(stored) else { return };
    let told = place.run(["logs", id]).expect(0).output;
    assert!(told == stored, "G4: {} bytes of {} are told: {session}", told.len(), stored.len());
    if session["outcome"] == "interrupted" || session["outcome"] == "spawn" {
        return;
    }
    let Some(written) = Script::of(session).and_then(|script| script.output) else { return };
    assert!(stored == written, "G4: {} bytes of {}: {session}", stored.len(), written.len());
}

/// What the scripted agent was told to do, as far as it can be read from its command line.
struct Script {
    end: End,
    /// What it writes, where nothing else writes there.
    output: Option<Vec<u8>>,
}

#[derive(Debug)]
enum End {
    Code(u8),
    Signal(String),
}

impl Script {
    /// Returns `None` where it is no scripted agent, or one that is killed from outside.
    fn of(session: &Value) -> Option<Self> {
        let words: Option<Vec<&str>> =
            session["command"].as_array()?.iter().map(Value::as_str).collect();
        let words = words?;
        // Something may stand before it that becomes it.
        let program = agent([""; 0]);
        let at = words.iter().position(|word| *program[0] == **word)?;
        let words = &words[at + 1..];
        let mut script = Self { end: End::Code(0), output: Some(Vec::new()) };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--hang" => return None,
                "--core" => {}
                "--exit" => script.end = End::Code(words.next()?.parse().ok()?),
                "--die" => {
                    let signal = words.next()?;
                    // A number may be that of a signal that does not kill.
                    if signal.parse::<u8>().is_ok() {
                        return None;
                    }
                    script.end = End::Signal(format!("SIG{signal}"));
                }
                word => script.write(word, words.next()?),
            }
        }
        Some(script)
    }

    /// Writes what a step writes.
    fn write(&mut self, step: &str, value: &str) {
        let Some(output) = &mut self.output else { return };
        match step {
            "--print" => output.extend(format!("{value}\n").bytes()),
            "--lines" => {
                let count: u64 = value.parse().unwrap();
                output
                    .extend((1..=count).flat_map(|number| format!("line {number}\n").into_bytes()));
            }
            "--flood" => output.extend(std::iter::repeat_n(b'x', value.parse().unwrap())),
            "--print-error" | "--hold" | "--await" | "--dump" => {}
            "--ready" if value != "-" => {}
            "--ready" => output.extend(b"ready\n"),
            // Somebody else may write, or nothing is known of it.
            _ => self.output = None,
        }
    }
}

/// G3: waits until no process stands in the place, where its sessions ran, or below it, where their
/// shims did.
#[track_caller]
pub(crate) fn assert_emptied(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        // First get hold of it, then look whether it is one of them.
        let _within = runtime.enter();
        let ended = await_end_of(pid);
        if fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)) {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let gone = runtime.block_on(async { timeout(PATIENCE, ended).await });
            assert!(gone.is_ok(), "G3: a process is left: {pid} {line}");
        }
    }
}

/// Returns all that the daemon tells.
fn told(place: &Place, sessions: &[Value]) -> Vec<Vec<u8>> {
    let lists = [&["ls", "--json", "--limit", "100000"][..], &["events", "--json"]];
    let mut told: Vec<Vec<u8>> =
        lists.iter().map(|words| place.run(*words).expect(0).output).collect();
    for session in sessions {
        let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
        told.push(wire::ask(&place.home(), "GET", &path, b"").body);
    }
    told
}

/// Returns the letter of a process's state.
pub(crate) fn state(pid: Pid) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    stat.rsplit_once(") ").unwrap().1[..1].to_owned()
}
