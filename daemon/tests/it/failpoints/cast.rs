//! The processes of a timeline, played by an agent that is told everything in advance but the
//! moment.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use candor_core::verdict::Exit;
use candor_harness::timeline::choice::{Choice, DueKind, SignalEffect, SpawnOutcome};
use candor_harness::timeline::names::{ProcessName, SessionName};
use candor_harness::timeline::{Timeline, choice::signal_word};
use serde_json::{Value, json};

use crate::support::{Place, agent, words};

/// Longer than any test, in milliseconds.
const NEVER_MS: u32 = 3_600_000;

/// How long something lasts that a timeline says is over, in milliseconds.
const SHORT_MS: u32 = 20;

/// Writes a line when it is started, and becomes the program.
const ANNOUNCED: &str = "echo started >> \"$0\"; exec \"$@\"";

/// A session and the process that it is to have.
pub(crate) struct Role {
    place_of_starts: PathBuf,
    held: PathBuf,
    go: PathBuf,
    /// Its output end is open for as long as the process lives.
    life: Option<BufReader<File>>,
    command: Vec<OsString>,
    limits: Value,
    /// How the process ends, as the API says it.
    exit: Value,
}

impl Role {
    /// Makes what the session needs to be launched.
    pub(crate) fn new(place: &Place, timeline: &Timeline, session: SessionName) -> Self {
        let process = process_of(timeline, session);
        let [held, go] = ["held", "go"].map(|name| place.fifo(&format!("{name}-{session}")));
        let place_of_starts = place.path(&format!("starts-{session}"));
        let (script, exit) = script(timeline, process, &go);
        let hold = words!["--hold", &held];
        let mut command = words!["sh", "-c", ANNOUNCED, &place_of_starts].to_vec();
        command.extend(agent(hold.into_iter().chain(script)));
        if is_refused(timeline, session) {
            command = words!["/no-such-program"].to_vec();
        }
        let limits = limits(timeline, session);
        Self { place_of_starts, held, go, life: None, command, limits, exit }
    }

    /// Returns the request to launch it.
    pub(crate) fn request(&self) -> String {
        let command: Vec<_> = self.command.iter().map(|word| word.to_str().unwrap()).collect();
        let path = std::env::var("PATH").unwrap();
        let mut request = json!({
            "title": null, "command": command, "cwd": "/", "environment": [["PATH", path]],
            "umask": 0o22, "success_codes": [0],
        });
        let limits = self.limits.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(limits);
        request.to_string()
    }

    /// Waits until the process does what it was told.
    pub(crate) fn await_start(&mut self) {
        let mut life = BufReader::new(File::open(&self.held).unwrap());
        life.read_line(&mut String::new()).unwrap();
        self.life = Some(life);
    }

    /// Tells the process to end, and waits until it has.
    pub(crate) fn end(&mut self) {
        fs::write(&self.go, "go\n").unwrap();
        self.await_end();
    }

    /// Waits until there is no process, whoever ends it.
    pub(crate) fn await_end(&mut self) {
        if let Some(mut life) = self.life.take() {
            assert_eq!(life.read(&mut [0]).unwrap(), 0);
        }
    }

    /// Returns the exit that an eyewitness has seen.
    pub(crate) const fn exit(&self) -> &Value {
        &self.exit
    }

    /// Returns how many processes there ever were.
    pub(crate) fn starts(&self) -> usize {
        fs::read_to_string(&self.place_of_starts).map_or(0, |starts| starts.lines().count())
    }
}

/// Returns the process that a session gets, if it gets one.
pub(crate) fn process_of(timeline: &Timeline, wanted: SessionName) -> Option<ProcessName> {
    timeline.steps().find_map(|step| match &step.choice {
        Choice::Fork { session, process }
        | Choice::Spawn { session, outcome: SpawnOutcome::Up(process) }
            if *session == wanted =>
        {
            Some(*process)
        }
        _ => None,
    })
}

fn is_refused(timeline: &Timeline, wanted: SessionName) -> bool {
    timeline.steps().any(|step| {
        matches!(&step.choice, Choice::Spawn { session, outcome: SpawnOutcome::Refused { .. } }
            if *session == wanted)
    })
}

/// Returns what the agent is to do, and how it ends.
fn script(
    timeline: &Timeline,
    wanted: Option<ProcessName>,
    go: &std::path::Path,
) -> (Vec<OsString>, Value) {
    let mut reactions = Vec::new();
    let mut end = words!["--hang"].to_vec();
    let mut last = Value::Null;
    for step in timeline.steps() {
        match &step.choice {
            Choice::Signal { process, signal, effect } if Some(*process) == wanted => {
                let name = signal_word(*signal);
                match effect {
                    SignalEffect::Kills => last = signalled(&format!("SIG{name}")),
                    SignalEffect::Exits { report: None, code } => {
                        reactions.extend(words!["--on", format!("{name}=exit:{code}")]);
                        last = json!({"code": code});
                    }
                    SignalEffect::Ignored => reactions.extend(words!["--ignore", name]),
                    SignalEffect::Gone => {}
                    other => panic!("no agent can show that it {other}"),
                }
            }
            Choice::Exit { process, exit, oom_killed: false } if Some(*process) == wanted => {
                let ends_by = match exit {
                    Exit::Code(code) => words!["--exit", code.to_string()],
                    Exit::Signal { number, .. } => words!["--die", number.to_string()],
                };
                end = words!["--await", go].into_iter().chain(ends_by).collect();
                last = match exit {
                    Exit::Code(code) => json!({"code": code}),
                    Exit::Signal { number: 2, .. } => signalled("SIGINT"),
                    Exit::Signal { number, .. } => panic!("signal {number} has no name here"),
                };
            }
            _ => {}
        }
    }
    (reactions.into_iter().chain(end).collect(), last)
}

fn signalled(name: &str) -> Value {
    json!({"signal": name, "core_dumped": false})
}

/// Returns the limits with which a session is launched: what the timeline says runs out is short,
/// and everything else is never over.
fn limits(timeline: &Timeline, wanted: SessionName) -> Value {
    let is_due = |kind: DueKind| {
        timeline.steps().filter(move |step| step.choice == Choice::Due { session: wanted, kind })
    };
    let rungs = is_due(DueKind::Rung).count();
    // How many rungs of such a ladder are below.
    let grace_ms = |below: usize| if rungs > below { SHORT_MS } else { NEVER_MS };
    let timeout_ms = is_due(DueKind::Timeout).next().map(|_| SHORT_MS);
    json!({
        "timeout_ms": timeout_ms,
        "graces": {
            "interrupt_ms": grace_ms(0),
            "terminate_ms": grace_ms(1),
            "linger_ms": NEVER_MS,
        },
    })
}
