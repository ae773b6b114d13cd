//! Captured conversations.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candor_adapters::agents::{Acp, Agent as _, Answer};
use candor_core::agent::{AgentSpec, Asked};
use expect_test::expect_file;
use serde_json::Value;

use super::{facts, note, spec};

/// Streams of both programs, at least.
const STREAMS_MIN: usize = 20;

/// The session that those streams go on with that go on with one.
const RESUMED: &str = "the-session-before";

/// Returns what was ordered when a stream was captured, which its name tells.
fn spec_of(name: &str) -> AgentSpec {
    let mut spec = spec();
    let (_, case) = name.split_once('-').unwrap();
    match case {
        "talk" => spec.is_interactive = true,
        "fork" => spec.forks = true,
        "badmode" => spec.permission_mode = Some("nosuch".to_owned()),
        "badmodel" => spec.model = Some("no/such".to_owned()),
        "yolo" => {
            spec.permission_mode = Some("yolo".to_owned());
            spec.model = Some("gemini-2.5-flash".to_owned());
        }
        "plan" => {
            spec.permission_mode = Some("plan".to_owned());
            spec.model = Some("mock/mock-model".to_owned());
        }
        _ => {}
    }
    if matches!(case, "resume" | "fork" | "bad") {
        spec.resumes = Some(RESUMED.to_owned());
    }
    spec
}

fn streams() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures/acp");
    let mut streams = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            streams.push((name, fs::read(&path).unwrap()));
        }
    }
    streams.sort();
    assert!(streams.len() >= STREAMS_MIN, "{} streams", streams.len());
    streams
}

#[test]
fn every_captured_conversation_is_understood() {
    for (name, stdout) in streams() {
        let spec = spec_of(&name);
        let mut listener = facts::listener(&Acp, &spec);
        let (mut owed, mut known) = (String::new(), BTreeMap::new());
        note(&listener.owed(), &mut known, 0, &mut owed);
        for line in stdout.split_inclusive(|byte| *byte == b'\n') {
            listener.take(line, &mut Vec::new());
            note(&listener.owed(), &mut known, listener.offset(), &mut owed);
            for asked in &listener.view().asks {
                let place = usize::try_from(asked.offset).unwrap();
                let bytes = &stdout[place..place + usize::try_from(asked.length).unwrap()];
                check_answers(asked, bytes);
            }
        }
        let facts = facts::read(&Acp, &spec, &stdout, "");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures/acp");
        expect_file![path.join(name).with_extension("facts")].assert_eq(&format!("{facts}{owed}"));
    }
}

/// Compares both answers to a request with what the program offers.
fn check_answers(asked: &Asked, bytes: &[u8]) {
    let line: Value = serde_json::from_slice(bytes).unwrap();
    for (approved, kind) in [(true, "allow_once"), (false, "reject_once")] {
        let answer = Answer { approved, message: Some("because".to_owned()) };
        let answer: Value =
            serde_json::from_slice(&Acp.answer(asked, bytes, &answer).unwrap()).unwrap();
        assert_eq!(answer["id"], line["id"]);
        assert_eq!(answer["result"]["outcome"]["outcome"], "selected");
        let chosen = &answer["result"]["outcome"]["optionId"];
        let options = line["params"]["options"].as_array().unwrap();
        let option = options.iter().find(|option| option["optionId"] == *chosen).unwrap();
        assert_eq!(option["kind"], kind);
    }
}
