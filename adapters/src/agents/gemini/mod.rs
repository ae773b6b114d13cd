//! Gemini CLI without a terminal: one turn for each start, told in lines of JSON.
//!
//! Source: measured with 0.61.0, and its `docs/cli/headless.md`.

mod reader;

use std::path::Path;

use candor_core::agent::AgentSpec;
use candor_core::bytes::ByteString;
use candor_core::session::SessionId;
use sha2::{Digest as _, Sha256};

use super::{Agent, Order, Plan, PlanError, Reader, check, order};
use reader::GeminiReader;

/// Gemini CLI.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

/// How it can be told to ask. Without a terminal it asks nobody, and denies what it would ask for.
const APPROVAL_MODES: [&str; 4] = ["default", "auto_edit", "yolo", "plan"];

/// Keeps it from starting itself once more as its own child, which signals to the parent do not reach.
const WITHOUT_RELAUNCH: (&str, &str) = ("GEMINI_CLI_NO_RELAUNCH", "1");

impl Agent for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn program(&self) -> &'static str {
        "gemini"
    }

    fn installation(&self) -> &'static str {
        "install Gemini CLI with `npm install -g @google/gemini-cli`"
    }

    fn plan(&self, order: &Order, program: &Path) -> Result<Plan, PlanError> {
        check::prompt(&order.prompt)?;
        order::without_turns_and_talk(order, "Gemini CLI")?;
        let mut command = order::Command::new(program)?;
        // What the caller adds comes first, so that an option of many values takes none of the others.
        command.extend(&order.arguments);
        command.push("--output-format=stream-json")?;
        // Who starts it in a folder trusts the folder; nobody could be asked.
        command.push("--skip-trust")?;
        command.push_model(order.model.as_deref())?;
        if let Some(mode) = &order.permission_mode {
            let mode = order::mode(mode, &APPROVAL_MODES)?;
            command.push(&format!("--approval-mode={mode}"))?;
        }
        let agent_session = match &order.resume {
            Some(resume) if resume.forks => {
                return Err(order::refuse(
                    "Gemini CLI cannot copy a session of its own: leave out --fork",
                ));
            }
            // It takes a number for a place in its list, and `latest` for the last one.
            Some(resume) => {
                let id = order::uuid(&resume.agent_session)?;
                command.push(&format!("--resume={id}"))?;
                id
            }
            None => {
                let id = session_id(order.session);
                command.push(&format!("--session-id={id}"))?;
                id
            }
        };
        let (name, value) = WITHOUT_RELAUNCH;
        let environment = vec![(check::argument(name)?, check::argument(value)?)];
        // Once it reads, more than a second after its start, it waits half a second for the first of its
        // prompt, and gives up without it.
        Ok(Plan { environment, ..command.into_plan(Some(agent_session)) })
    }

    fn reader(&self, spec: &AgentSpec, _cwd: &ByteString) -> Box<dyn Reader> {
        Box::new(GeminiReader::new(spec))
    }
}

/// Returns the name of Gemini's session for one of ours: always the same one.
///
/// Ours will not do. Gemini calls the file of a session by the minute and the first eight digits of its
/// name, which of ours are the time: two of the same minute would be written into one file.
///
/// Source: measured with 0.61.0.
fn session_id(session: SessionId) -> String {
    let digest: [u8; 32] = Sha256::digest(session.as_uuid().as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Version 8 of RFC 9562, which leaves it to the application.
    uuid::Builder::from_custom_bytes(bytes).into_uuid().hyphenated().to_string()
}
