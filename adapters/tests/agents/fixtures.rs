//! Every captured stream, and what is to be known of it.

use std::fs;
use std::path::{Path, PathBuf};

use candor_adapters::agents::{Agent, Codex, Gemini, OpenCode};
use expect_test::expect_file;

use super::facts;

/// Streams of each agent, at least: a folder that was not found has none.
const STREAMS_MIN: usize = 30;

fn streams(agent: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures").join(agent);
    let entries = fs::read_dir(&folder).unwrap();
    let mut streams: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    streams.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    streams.sort();
    streams
}

/// Compares what is read of each stream with what stands beside it.
fn check(agent: &dyn Agent) {
    let streams = streams(agent.name());
    assert!(streams.len() >= STREAMS_MIN, "{} streams", streams.len());
    for stream in streams {
        let stdout = fs::read(&stream).unwrap();
        let spec = facts::spec(agent.name());
        let facts = facts::read(agent, &spec, &stdout, "");
        expect_file![stream.with_extension("facts")].assert_eq(&facts);
    }
}

#[test]
fn codex_is_understood() {
    check(&Codex);
}

#[test]
fn gemini_is_understood() {
    check(&Gemini);
}

#[test]
fn opencode_is_understood() {
    check(&OpenCode);
}
