//! How fast an agent's lines are understood, beside `jq -c .` on the same file. It runs
//! `adapters/examples/lines`, in the form that is published.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xshell::Shell;

use super::sample::Sample;
use super::{Figure, Verdict};
use crate::dist;

/// Bytes of the file, at least.
const FILE_BYTES: u64 = 128 << 20;

/// How often it is read.
const ROUNDS: usize = 5;

/// What must be understood in a second.
const BYTES_PER_SECOND_MIN: f64 = 300e6;

/// Calls of tools in one turn.
const CALLS: usize = 4;

/// Pieces in which an answer is printed before it is printed as a whole.
const PARTIALS: usize = 40;

/// Bytes of what a tool answers: more, and the agent puts it into a file.
const RESULT_BYTES: usize = 30_000;

/// Bytes of what the model says at once.
const SAID_BYTES: usize = 3_000;

/// A file that is gone when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

pub(super) fn measure(shell: &Shell) -> Result<Vec<Figure>> {
    let built = dist::build(shell, &["--package", "candor-adapters", "--example", "lines"])?;
    let name = format!("candor-bench-agents-{}.jsonl", std::process::id());
    let file = Scratch(std::env::temp_dir().join(name));
    let turns = write_file(&file.0)?;
    let bytes = fs::metadata(&file.0)?.len();
    let mut figures = vec![understood(&built.join("examples/lines"), &file.0, bytes, turns)?];
    match jq(&file.0) {
        Ok(took) => figures.push(Figure {
            what: "  jq -c . on the same file".to_owned(),
            target: String::new(),
            measured: rate(bytes, took),
            verdict: Verdict::ForInformation,
        }),
        Err(error) => println!("not compared with jq: {error:#}"),
    }
    Ok(figures)
}

fn understood(example: &Path, file: &Path, bytes: u64, turns: u64) -> Result<Figure> {
    let mut command = Command::new(example);
    let output = command.arg("claude").arg(file).arg(ROUNDS.to_string()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the example ended with {}: {errors}", output.status);
    let figures: Value = serde_json::from_slice(&output.stdout)?;
    let mut sample = Sample::new();
    for ns in figures["read_ns"].as_array().context("there is no read_ns")? {
        sample.add(Duration::from_nanos(ns.as_u64().context("no number")?));
    }
    let took = sample.median();
    let is_right = figures["unknown"] == 0 && figures["turns"] == turns;
    let is_fast = bytes as f64 / took.as_secs_f64() >= BYTES_PER_SECOND_MIN;
    Ok(Figure {
        what: format!("{} MB of an agent's lines, median of {ROUNDS}", bytes / 1_000_000),
        target: format!(">= {:.0} MB/s", BYTES_PER_SECOND_MIN / 1e6),
        measured: rate(bytes, took),
        verdict: if is_right { Verdict::of(is_fast) } else { Verdict::Wrong },
    })
}

fn jq(file: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let status = Command::new("jq").args(["-c", "."]).arg(file).stdout(Stdio::null()).status();
    let status = status.context("jq cannot be run")?;
    ensure!(status.success(), "jq ended with {status}");
    Ok(begin.elapsed())
}

fn rate(bytes: u64, took: Duration) -> String {
    format!("{:.0} MB/s", bytes as f64 / took.as_secs_f64() / 1e6)
}

/// Writes turns as Claude Code prints them, and returns how many.
fn write_file(path: &Path) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut bytes, mut turns) = (0, 0);
    while bytes < FILE_BYTES {
        for (kind, members) in turn(turns) {
            // What kind of line it is stands first.
            let members = members.to_string();
            let line = format!("{{\"type\":\"{kind}\",{}", members.trim_start_matches('{'));
            writeln!(file, "{line}")?;
            bytes += line.len() as u64 + 1;
        }
        turns += 1;
    }
    file.flush()?;
    Ok(turns)
}

/// Makes the lines of one turn: what kind each is, and what else is in it.
fn turn(number: u64) -> Vec<(&'static str, Value)> {
    let session = "0198f2a4-7c1e-4b53-9b1e-2f6c7d8e9fa0";
    let with = |kind: &'static str, mut line: Value| {
        line["session_id"] = json!(session);
        line["uuid"] = json!("74d0307f-6f42-4946-ae4e-33ec0ca44d84");
        line["parent_tool_use_id"] = Value::Null;
        (kind, line)
    };
    let says = |content: Value| {
        with(
            "assistant",
            json!({"request_id": "req_011CVq5Y", "message": {
                "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant",
                "model": "claude-opus-4-8", "content": [content], "stop_reason": null,
                "usage": {"input_tokens": 1200, "cache_read_input_tokens": 0, "output_tokens": 1},
            }}),
        )
    };
    let mut lines = vec![with(
        "system",
        json!({"subtype": "init", "model": "claude-opus-4-8[1m]",
        "cwd": "/srv/demo", "tools": ["Bash", "Edit", "Read"], "claude_code_version": "2.1.197"}),
    )];
    for call in 0..CALLS {
        for piece in 0..PARTIALS {
            lines.push(with(
                "stream_event",
                json!({"event": {"type": "content_block_delta",
                "index": piece, "delta": {"type": "text_delta", "text": "and then the parser "}}}),
            ));
        }
        lines.push(says(json!({"type": "text", "text": prose(SAID_BYTES)})));
        let id = format!("toolu_{number}_{call}");
        lines.push(says(json!({"type": "tool_use", "id": id, "name": "Bash",
            "input": {"command": "rg -n 'fn main' --type rust", "description": "Find it"}})));
        let printed = source(RESULT_BYTES);
        lines.push(with(
            "user",
            json!({"timestamp": "2026-11-22T07:00:26.719Z",
            "message": {"role": "user", "content": [
                {"tool_use_id": id, "type": "tool_result", "content": printed, "is_error": false}]},
            "tool_use_result": {"stdout": printed, "stderr": "", "interrupted": false}}),
        ));
    }
    lines.push(with(
        "result",
        json!({"subtype": "success", "is_error": false, "num_turns": 5,
        "result": prose(SAID_BYTES), "total_cost_usd": 0.25, "terminal_reason": "completed",
        "usage": {"input_tokens": 1200, "output_tokens": 60},
        "modelUsage": {"claude-opus-4-8[1m]": {"inputTokens": 1200, "outputTokens": 60}}}),
    ));
    lines
}

/// What a model says: paragraphs, with something quoted and something that is not ASCII.
fn prose(bytes: usize) -> String {
    "The parser reads each line once, and keeps what it has seen. It calls `take` with a \"slice\" — \
     no copy is made — and returns to the loop as soon as the buffer is empty.\n\n"
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

/// What a tool prints: lines of a program.
fn source(bytes: usize) -> String {
    "src/main.rs:42:    let path = folder.join(\"settings.toml\");\n\
     src/main.rs:43:    if !path.exists() {\n\
     src/main.rs:44:        return Err(Error::new(\"there are no settings\"));\n\
     src/main.rs:45:    }\n"
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}
