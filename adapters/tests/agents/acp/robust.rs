//! Whatever is said: nothing panics, and reading again is reading the same.

use std::collections::BTreeMap;

use candor_adapters::agents::{Acp, Agent as _};
use candor_core::agent::{AgentSpec, REQUESTS_OPEN_MAX};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{KINDS, ask, ended, facts, greeted, note, opened, says, spec};

/// Something like a message: JSON of any form with the words that mean something, or anything at all.
fn message() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "id",
        "method",
        "params",
        "result",
        "error",
        "session/update",
        "session/request_permission",
        "update",
        "sessionUpdate",
        "agent_message_chunk",
        "tool_call",
        "tool_call_update",
        "content",
        "toolCall",
        "toolCallId",
        "options",
        "optionId",
        "kind",
        "status",
        "completed",
        "initialize",
        "session",
        "prompt",
        "sessionId",
        "stopReason",
        "end_turn",
        "text",
        "type",
        "plan",
        "entries",
        "protocolVersion",
        "code",
        "message",
        "requestId",
        "$/cancel_request",
        "modes",
        "rawInput",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop_oneof![
        3 => value.prop_map(|value| value.to_string()),
        1 => Just(greeted(&json!({})).to_string()),
        1 => Just(opened().to_string()),
        1 => Just(says("a").to_string()),
        1 => Just(ended("prompt", "end_turn").to_string()),
        1 => Just(ask(&json!(0), &json!({"toolCallId": "c"}), &KINDS).to_string()),
        1 => ".{0,20}",
    ]
}

proptest! {
    /// Nothing that is said panics, and what is owed by one key is always the same.
    #[test]
    fn whatever_is_said_is_read_twice_alike(
        messages in prop::collection::vec(message(), 0..16), is_interactive: bool,
    ) {
        let spec = AgentSpec { is_interactive, ..spec() };
        let mut read = Vec::new();
        for _ in 0..2 {
            let mut listener = facts::listener(&Acp, &spec);
            let (mut known, mut items) = (BTreeMap::new(), Vec::new());
            for message in &messages {
                listener.take(format!("{message}\n").as_bytes(), &mut items);
                note(&listener.owed(), &mut known, 0, &mut String::new());
                prop_assert!(listener.view().asks.len() <= REQUESTS_OPEN_MAX);
                let _ = Acp.interruption(listener.view());
            }
            listener.end("", &mut items);
            prop_assert!(listener.view().asks.is_empty());
            read.push((listener.view().clone(), items, known));
        }
        prop_assert_eq!(&read[0], &read[1]);
    }
}
