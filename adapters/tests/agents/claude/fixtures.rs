//! Every captured stream, and what is to be known of it: what changed at which line, what stands at
//! the end, and the verdict that follows with the exit that was seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use candor_adapters::agents::{Agent as _, Claude, Listener};
use candor_core::agent::{AgentSpec, View};
use candor_core::stop::StopKind;
use candor_core::verdict::{End, Evidence, Exit, LostReason, ReportMark, SuccessCodes, judge};
use expect_test::expect_file;
use serde::Deserialize;

use crate::facts;

/// How a captured run ended.
#[derive(Deserialize)]
struct Run {
    exit: Option<Wait>,
    #[serde(default)]
    interactive: bool,
    #[serde(default)]
    stderr: String,
    /// What it was sent, in order.
    #[serde(default)]
    signals: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wait {
    Code(u8),
    Signal(String),
}

impl Wait {
    fn exit(&self) -> Exit {
        match self {
            Self::Code(code) => Exit::Code(*code),
            Self::Signal(name) => {
                let number = match name.as_str() {
                    "SIGKILL" => 9,
                    "SIGQUIT" => 3,
                    _ => panic!("{name} is no signal that was seen"),
                };
                Exit::Signal { number, core_dumped: false }
            }
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures/claude")
}

fn runs() -> BTreeMap<String, Run> {
    serde_json::from_slice(&fs::read(folder().join("index.json")).unwrap()).unwrap()
}

#[test]
fn claude_is_understood() {
    let runs = runs();
    assert!(runs.len() > 100, "{} streams", runs.len());
    for (name, run) in &runs {
        let stdout = fs::read(folder().join(name).with_extension("jsonl")).unwrap_or_else(|_| {
            // A name may have a dot in it.
            fs::read(folder().join(format!("{name}.jsonl"))).unwrap()
        });
        let facts = read(run, &stdout);
        expect_file![folder().join(format!("{name}.facts"))].assert_eq(&facts);
    }
}

/// Hands a stream in, line by line, and writes down what came of it.
fn read(run: &Run, stdout: &[u8]) -> String {
    let spec = AgentSpec { is_interactive: run.interactive, ..facts::spec("claude") };
    let mut listener = Listener::new(Claude.reader(&spec, &facts::folder()));
    let mut items = Vec::new();
    let mut steps = String::new();
    let mut last = state(&listener);
    let _ = writeln!(steps, "at first: {last}");
    for (number, line) in (1..).zip(stdout.split_inclusive(|&byte| byte == b'\n')) {
        listener.take(line, &mut items);
        let now = state(&listener);
        if now != last {
            let _ = writeln!(steps, "line {number}: {now}");
        }
        last = now;
    }
    listener.end(&run.stderr, &mut items);
    let mut text = steps;
    text.push_str(&facts::facts(listener.view()));
    text.push_str(&verdicts(run, listener.view()));
    for item in &items {
        let _ = writeln!(text, "{}", facts::line(item));
    }
    text
}

/// Says what is shown of a session while it runs.
fn state(listener: &Listener) -> String {
    let view = listener.view();
    let mut state = format!("{:?}", view.turn);
    if let Some(report) = &view.report {
        let finality = if view.report_is_final { "final" } else { "not final" };
        let _ = write!(state, ", reports {} ({finality})", report.kind.as_deref().unwrap_or("-"));
    }
    for asked in &view.asks {
        let _ = write!(state, ", asks {}", asked.tool);
    }
    if let Some(trouble) = &view.learned.trouble {
        let _ = write!(state, ", {:?} {}", trouble.kind, facts::short(&trouble.message));
    }
    for owed in listener.owed() {
        let what = if owed.is_last { "the end of its input" } else { "a message" };
        let _ = write!(state, ", is owed {what}");
    }
    state
}

fn verdicts(run: &Run, view: &View) -> String {
    let end = match &run.exit {
        Some(wait) => End::Exited { exit: wait.exit(), oom_killed: false },
        // It still ran when the recording ended.
        None => End::Unknown(LostReason::DaemonKilled),
    };
    let verdict = |intent| {
        let report = view.report.as_ref();
        judge(&Evidence {
            intent,
            report: report
                .map(|report| ReportMark { success: report.success, before_intent: false }),
            rung: None,
            end,
            always_reports: true,
            success_codes: SuccessCodes::ZERO,
        })
    };
    let mut text = format!("end: {end:?}");
    if !run.signals.is_empty() {
        let _ = write!(text, " after {}", run.signals.join(", "));
    }
    let _ = writeln!(text, "\nverdict: {}", verdict(None));
    let _ = writeln!(text, "verdict if it was interrupted: {}", verdict(Some(StopKind::Interrupt)));
    text
}
