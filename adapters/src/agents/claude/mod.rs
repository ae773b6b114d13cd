//! Claude Code: `claude -p` with JSON lines in both directions.
//!
//! It is always started so that it reads its messages and the answers to its requests from standard
//! input: it can then be asked to break off, asks for permission instead of denying by itself, and no
//! prompt is seen among the arguments. It ends when its input ends.
//!
//! Source: version 2.1.197 as it was measured, and the transports of its SDKs.

mod asks;
mod items;
mod plan;
mod reader;
mod report;
mod tasks;
mod wire;

use std::path::Path;

use candor_core::agent::{AgentSpec, Asked, View};
use candor_core::bytes::ByteString;
use serde::Serialize;
use serde_json::json;

use super::{Agent, Answer, Order, Plan, PlanError, Reader};

/// Claude Code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claude;

impl Agent for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn program(&self) -> &'static str {
        "claude"
    }

    fn installation(&self) -> &'static str {
        "install Claude Code with `npm install -g @anthropic-ai/claude-code`"
    }

    fn plan(&self, order: &Order, program: &Path) -> Result<Plan, PlanError> {
        plan::plan(order, program)
    }

    fn tells_version(&self) -> bool {
        true
    }

    fn asks(&self) -> bool {
        true
    }

    fn reader(&self, spec: &AgentSpec, _cwd: &ByteString) -> Box<dyn Reader> {
        Box::new(reader::ClaudeReader::new(spec))
    }

    fn message(&self, _view: &View, text: &str) -> Option<Vec<u8>> {
        Some(user_line(text))
    }

    /// Asks for the turn to be broken off, which ends a tool that runs as well. Where there is no turn
    /// the program agrees and does nothing; before its first it breaks that one off as it begins.
    fn interruption(&self, _view: &View) -> Option<Vec<u8>> {
        Some(json_line(&json!({
            "type": "control_request",
            "request_id": "candor-interrupt",
            "request": {"subtype": "interrupt"},
        })))
    }

    fn answer(&self, asked: &Asked, line: &[u8], answer: &Answer) -> Option<Vec<u8>> {
        asks::answer(asked, line, answer)
    }
}

/// Makes the line of a message of the user's.
fn user_line(text: &str) -> Vec<u8> {
    json_line(&json!({
        "type": "user",
        "message": {"role": "user", "content": [{"type": "text", "text": text}]},
    }))
}

/// Makes a line of a value that consists of texts, and so can be written.
fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
