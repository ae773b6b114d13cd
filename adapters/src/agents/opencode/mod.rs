//! opencode, by `opencode run --format json`: one turn for each start, told in lines of JSON.
//!
//! Source: measured with 1.18.33, and its `cli/cmd/run.ts`.

mod reader;

use std::path::Path;

use candor_core::agent::AgentSpec;
use candor_core::bytes::ByteString;

use super::{Agent, Order, Plan, PlanError, Reader, check, order};
use reader::OpenCodeReader;

/// opencode.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenCode;

/// How it can be told to ask. `run` asks nobody: by default it denies what it would ask for.
const PERMISSION_MODES: [&str; 2] = ["default", "auto"];

impl Agent for OpenCode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn program(&self) -> &'static str {
        "opencode"
    }

    fn installation(&self) -> &'static str {
        "install opencode with `npm install -g opencode-ai`"
    }

    fn plan(&self, order: &Order, program: &Path) -> Result<Plan, PlanError> {
        check::prompt(&order.prompt)?;
        order::without_turns_and_talk(order, "opencode")?;
        let mut command = order::Command::new(program)?;
        command.push("run")?;
        // What the caller adds comes first, so that an option of many values takes none of the others.
        command.extend(&order.arguments);
        command.push("--format=json")?;
        command.push_model(order.model.as_deref())?;
        if let Some(mode) = &order.permission_mode {
            let mode = order::mode(mode, &PERMISSION_MODES)?;
            if mode == "auto" {
                command.push("--auto")?;
            }
        }
        let mut agent_session = None;
        if let Some(resume) = &order.resume {
            let id = session_id(&resume.agent_session)?;
            command.push(&format!("--session={id}"))?;
            if resume.forks {
                command.push("--fork")?;
            } else {
                agent_session = Some(id.to_owned());
            }
        }
        Ok(command.into_plan(agent_session))
    }

    fn reader(&self, spec: &AgentSpec, _cwd: &ByteString) -> Box<dyn Reader> {
        Box::new(OpenCodeReader::new(spec))
    }
}

/// Checks that it is the name of one of its sessions.
///
/// # Errors
///
/// A sentence that quotes it.
fn session_id(value: &str) -> Result<&str, PlanError> {
    let is_id = value.strip_prefix("ses_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if is_id {
        check::word("the agent's session", value)?;
        return Ok(value);
    }
    Err(order::refuse(format!("opencode has no such session: `{}`", check::shown(value))))
}
