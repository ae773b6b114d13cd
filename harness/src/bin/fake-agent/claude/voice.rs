//! The lines that Claude Code prints, cut down to what anybody looks at.
//!
//! The fields and their order are those of version 2.1.197, as it was recorded.

use std::env;
use std::io::{self, Write as _};
use std::process;

use serde_json::{Value, json};

/// The version that this program says it is.
pub(crate) const VERSION: &str = "2.1.197";

const MODEL: &str = "claude-opus-4-8";

/// What each turn costs and uses.
const TURN_USD: f64 = 0.0075;
const INPUT_TOKENS: u64 = 1_200;
const OUTPUT_TOKENS: u64 = 40;

/// Prints lines of one session.
#[derive(Debug)]
pub(crate) struct Voice {
    session: String,
    /// Names given so far.
    names: u64,
    /// Turns ended so far.
    turns: u32,
    /// What the model last said.
    said: String,
    denials: Vec<Value>,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) command: String,
}

/// A report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) subtype: &'a str,
    pub(crate) is_error: bool,
    pub(crate) terminal_reason: &'a str,
    pub(crate) api_status: Option<u16>,
}

impl Voice {
    pub(crate) const fn new(session: String) -> Self {
        Self { session, names: 0, turns: 0, said: String::new(), denials: Vec::new() }
    }

    /// Returns a name that nothing else has.
    pub(crate) fn name(&mut self) -> String {
        self.names += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", process::id(), self.names)
    }

    pub(crate) fn init(&mut self) {
        let cwd = env::current_dir().unwrap_or_default();
        self.print(
            r#""type":"system","subtype":"init""#,
            json!({
                "cwd": cwd, "tools": ["Task", "Bash", "Edit", "Read", "Write"], "mcp_servers": [],
                "model": format!("{MODEL}[1m]"), "permissionMode": "default",
                "apiKeySource": "ANTHROPIC_API_KEY", "claude_code_version": VERSION,
                "output_style": "default",
            }),
        );
    }

    pub(crate) fn say(&mut self, text: &str) {
        text.clone_into(&mut self.said);
        self.assistant(&json!({"type": "text", "text": text}), &Value::Null);
    }

    fn assistant(&mut self, content: &Value, parent: &Value) {
        let id = self.name();
        self.print(
            r#""type":"assistant""#,
            json!({
                "message": {
                    "id": format!("msg_{id}"), "type": "message", "role": "assistant",
                    "model": MODEL, "content": [content], "stop_reason": null,
                    "stop_sequence": null, "usage": usage(1), "context_management": null,
                },
                "parent_tool_use_id": parent,
            }),
        );
    }

    pub(crate) fn call(&mut self, command: &str) -> Call {
        let id = format!("toolu_{}", self.name());
        let content = json!({
            "type": "tool_use", "id": id, "name": "Bash", "input": input(command),
        });
        self.assistant(&content, &Value::Null);
        Call { id, command: command.to_owned() }
    }

    pub(crate) fn tool_result(&mut self, call: &Call, text: &str, is_error: bool) {
        let content = json!({
            "tool_use_id": call.id, "type": "tool_result", "content": text, "is_error": is_error,
        });
        self.user(&content, &Value::Null);
    }

    pub(crate) fn denied(&mut self, call: &Call, text: &str) {
        self.denials.push(json!({
            "tool_name": "Bash", "tool_use_id": call.id, "tool_input": input(&call.command),
        }));
        self.tool_result(call, text, true);
    }

    /// Says in the user's name that something was broken off.
    pub(crate) fn interrupted(&mut self, in_tool: bool) {
        let suffix = if in_tool { " for tool use" } else { "" };
        let text = format!("[Request interrupted by user{suffix}]");
        self.user(&json!({"type": "text", "text": text}), &Value::Null);
    }

    fn user(&mut self, content: &Value, parent: &Value) {
        let message = json!({"role": "user", "content": [content]});
        self.print(
            r#""type":"user""#,
            json!({
                "message": message, "parent_tool_use_id": parent,
                "timestamp": "2026-11-22T07:00:26.719Z",
            }),
        );
    }

    /// Asks for permission, and returns the name of the request.
    pub(crate) fn ask(&mut self, call: &Call) -> String {
        let id = self.name();
        let request = json!({
            "subtype": "can_use_tool", "tool_name": "Bash", "display_name": "Bash",
            "input": input(&call.command), "description": "a step",
            "permission_suggestions": [], "tool_use_id": call.id,
        });
        print_line(&format!(
            r#"{{"type":"control_request","request_id":"{id}","request":{request}}}"#
        ));
        id
    }

    pub(crate) fn cancel(&self, request: &str) {
        print_line(&format!(r#"{{"type":"control_cancel_request","request_id":"{request}"}}"#));
    }

    pub(crate) fn respond(&self, request: &str, response: Option<Value>) {
        let mut answer = json!({"subtype": "success", "request_id": request});
        if let Some(response) = response {
            answer["response"] = response;
        }
        print_line(&format!(r#"{{"type":"control_response","response":{answer}}}"#));
    }

    pub(crate) fn refuse(&self, request: &str, subtype: &str) {
        let error = format!("Unsupported control request subtype: {subtype}");
        let answer = json!({"subtype": "error", "request_id": request, "error": error});
        print_line(&format!(r#"{{"type":"control_response","response":{answer}}}"#));
    }

    pub(crate) fn retry(&mut self, status: u16) {
        let error = if status == 429 { "rate_limit" } else { "server_error" };
        self.print(
            r#""type":"system","subtype":"api_retry""#,
            json!({
                "attempt": 1, "max_retries": 10, "retry_delay_ms": 2000, "error_status": status,
                "error": error,
            }),
        );
    }

    pub(crate) fn failure(&mut self, status: u16) {
        self.said = format!("API Error: Request rejected ({status})");
        let content = json!([{"type": "text", "text": self.said}]);
        self.print(
            r#""type":"assistant""#,
            json!({
                "message": {
                    "id": "synthetic", "model": "<synthetic>", "role": "assistant",
                    "stop_reason": "stop_sequence", "type": "message", "usage": usage(0),
                    "content": content,
                },
                "parent_tool_use_id": null,
                "error": if status == 429 { "rate_limit" } else { "server_error" },
            }),
        );
        self.result(Report {
            subtype: "success",
            is_error: true,
            terminal_reason: "completed",
            api_status: Some(status),
        });
    }

    pub(crate) fn task(&mut self, event: &str, task: &str, more: Value) {
        let mut rest = json!({"task_id": task});
        if let (Some(all), Value::Object(more)) = (rest.as_object_mut(), more) {
            all.extend(more);
        }
        self.print(&format!(r#""type":"system","subtype":"{event}""#), rest);
    }

    /// A sub-agent works, and gives a report that is not the session's.
    pub(crate) fn subagent(&mut self) {
        let parent = json!(format!("toolu_{}", self.name()));
        let content = json!({
            "type": "tool_use", "id": parent, "name": "Agent", "input": {"prompt": "say hi"},
        });
        self.assistant(&content, &Value::Null);
        self.user(&json!({"type": "text", "text": "say hi"}), &parent);
        self.assistant(&json!({"type": "text", "text": "hi"}), &parent);
        let report = Report {
            subtype: "error_during_execution",
            is_error: true,
            terminal_reason: "completed",
            api_status: None,
        };
        let mut rest = self.report(report);
        rest["parent_tool_use_id"] = parent.clone();
        self.print(&head_of(report), rest);
        let content = json!({
            "tool_use_id": parent, "type": "tool_result",
            "content": [{"type": "text", "text": "hi"}],
        });
        self.user(&content, &Value::Null);
    }

    /// Ends a turn with a report.
    pub(crate) fn result(&mut self, report: Report<'_>) {
        self.turns += 1;
        let rest = self.report(report);
        self.print(&head_of(report), rest);
    }

    fn report(&self, report: Report<'_>) -> Value {
        let mut rest = json!({
            "is_error": report.is_error, "duration_ms": 694, "duration_api_ms": 296,
            "num_turns": 1, "stop_reason": "end_turn",
            "total_cost_usd": TURN_USD * f64::from(self.turns), "usage": usage(OUTPUT_TOKENS),
            "modelUsage": {format!("{MODEL}[1m]"): self.model_usage()}, "permission_denials": self.denials,
            "terminal_reason": report.terminal_reason, "fast_mode_state": "off",
        });
        if report.subtype == "success" {
            rest["api_error_status"] = json!(report.api_status);
            rest["result"] = json!(self.said);
        } else {
            rest["errors"] = json!([format!("the replayed agent says {}", report.subtype)]);
        }
        rest
    }

    /// Returns what the model has used since the session began, unlike a turn's usage.
    fn model_usage(&self) -> Value {
        json!({
            "inputTokens": INPUT_TOKENS * u64::from(self.turns),
            "outputTokens": OUTPUT_TOKENS * u64::from(self.turns),
            "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0, "webSearchRequests": 0,
            "costUSD": TURN_USD * f64::from(self.turns), "contextWindow": 1_000_000,
        })
    }

    /// Prints a line of the session: what it begins with, and the rest.
    fn print(&mut self, head: &str, mut rest: Value) {
        rest["session_id"] = json!(self.session);
        rest["uuid"] = json!(self.name());
        let rest = rest.to_string();
        print_line(&format!("{{{head},{}", &rest[1..]));
    }
}

/// Says that there is no such session. No session has begun.
pub(crate) fn no_conversation(id: &str) {
    let rest = json!({
        "is_error": true, "num_turns": 0, "stop_reason": null, "session_id": id, "total_cost_usd": 0,
        "errors": [format!("No conversation found with session ID: {id}")],
    });
    let head = r#""type":"result","subtype":"error_during_execution""#;
    print_line(&format!("{{{head},{}", &rest.to_string()[1..]));
}

/// Prints a line, in one write. Nobody may be listening, and then there is nothing to do about it.
pub(crate) fn print_line(line: &str) {
    print_bytes(&[line.as_bytes(), b"\n"].concat());
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    drop(output.write_all(bytes).and_then(|()| output.flush()));
}

fn head_of(report: Report<'_>) -> String {
    format!(r#""type":"result","subtype":"{}""#, report.subtype)
}

fn input(command: &str) -> Value {
    json!({"command": command, "timeout": 600_000, "description": "a step"})
}

fn usage(output_tokens: u64) -> Value {
    json!({
        "input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "output_tokens": output_tokens, "service_tier": "standard",
    })
}
