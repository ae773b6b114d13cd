//! The Agent Client Protocol: captured conversations, and what no program that was at hand does.

mod asks;
mod orders;
mod robust;
mod streams;
mod turns;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use candor_adapters::agents::{Acp, Item, Listener, OWED_KEYS_MAX, Owed};
use candor_core::agent::{AgentSpec, View};
use serde_json::{Value, json};

use super::facts;

fn spec() -> AgentSpec {
    facts::spec("acp")
}

/// Writes down what is owed that was not before.
fn note(owed: &[Owed], known: &mut BTreeMap<u64, Vec<u8>>, place: u64, facts: &mut String) {
    for owed in owed {
        assert!(owed.key < OWED_KEYS_MAX);
        match known.get(&owed.key) {
            // Sent again by the same key it is not written again, so that it must not have changed.
            Some(bytes) => assert_eq!(bytes, &owed.bytes, "key {}", owed.key),
            None => {
                let text = String::from_utf8_lossy(&owed.bytes);
                let last = if owed.is_last { ", the last" } else { "" };
                let _ = writeln!(facts, "at {place} owes {}{last}: {}", owed.key, text.trim());
                known.insert(owed.key, owed.bytes.clone());
            }
        }
    }
}

/// Somebody who talks with an agent.
struct Talk {
    listener: Listener,
    items: Vec<Item>,
}

impl Talk {
    fn new(spec: &AgentSpec) -> Self {
        Self { listener: facts::listener(&Acp, spec), items: Vec::new() }
    }

    fn hear(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.listener.take(line.as_bytes(), &mut self.items);
    }

    fn hears(&mut self, messages: &[Value]) -> &View {
        for message in messages {
            self.hear(message);
        }
        self.listener.view()
    }

    /// Returns what is owed, as JSON; the end of the input is null.
    fn owed(&self) -> Vec<Value> {
        let parse = |owed: &Owed| serde_json::from_slice(&owed.bytes).unwrap_or(Value::Null);
        self.listener.owed().iter().map(parse).collect()
    }
}

fn greeted(capabilities: &Value) -> Value {
    json!({"id": "initialize", "result": {
        "protocolVersion": 1, "agentCapabilities": capabilities,
    }})
}

fn opened() -> Value {
    json!({"id": "session", "result": {"sessionId": "s"}})
}

fn update(update: &Value) -> Value {
    json!({"method": "session/update", "params": {"sessionId": "s", "update": update}})
}

fn says(text: &str) -> Value {
    update(&json!({
        "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text},
    }))
}

fn ended(id: &str, reason: &str) -> Value {
    json!({"id": id, "result": {"stopReason": reason}})
}

/// Returns a talk that has come to its first prompt.
fn prompting(spec: &AgentSpec) -> Talk {
    let mut talk = Talk::new(spec);
    talk.hears(&[greeted(&json!({})), opened()]);
    talk
}

fn ask(id: &Value, call: &Value, kinds: &[&str]) -> Value {
    let options: Vec<Value> =
        kinds.iter().map(|kind| json!({"optionId": format!("o-{kind}"), "kind": kind})).collect();
    json!({"id": id, "method": "session/request_permission", "params": {
        "sessionId": "s", "toolCall": call, "options": options,
    }})
}

const KINDS: [&str; 3] = ["allow_always", "allow_once", "reject_once"];
