//! Codex, by `codex exec --json`: one turn for each start, told in lines of JSON.
//!
//! Source: measured with 0.169.0, and its `exec_events.rs`.

mod reader;

use std::path::{Path, PathBuf};

use candor_core::agent::AgentSpec;
use candor_core::bytes::ByteString;

use super::{Agent, Order, Plan, PlanError, Reader, check, order};
use reader::CodexReader;

/// Codex.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codex;

/// The sandboxes that it can be told to run commands in, which is all that its permissions are:
/// `exec` asks nobody.
const SANDBOXES: [&str; 3] = ["read-only", "workspace-write", "danger-full-access"];

impl Agent for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn program(&self) -> &'static str {
        "codex"
    }

    fn installation(&self) -> &'static str {
        "install Codex with `npm install -g @openai/codex`"
    }

    /// The launcher that npm installs is a program of Node that starts the real one as its child: a
    /// signal to it alone would not reach the child, which holds standard output.
    fn instead_of(&self, found: &Path) -> PathBuf {
        launched_by(found).unwrap_or_else(|| found.to_owned())
    }

    fn plan(&self, order: &Order, program: &Path) -> Result<Plan, PlanError> {
        check::prompt(&order.prompt)?;
        order::without_turns_and_talk(order, "Codex")?;
        let mut command = order::Command::new(program)?;
        command.push("exec")?;
        // What the caller adds comes first, so that an option of many values ends before the prompt.
        command.extend(&order.arguments);
        command.push("--json")?;
        command.push("--skip-git-repo-check")?;
        command.push_model(order.model.as_deref())?;
        if let Some(mode) = &order.permission_mode {
            let mode = order::mode(mode, &SANDBOXES)?;
            command.push(&format!("--sandbox={mode}"))?;
        }
        let mut agent_session = None;
        if let Some(resume) = &order.resume {
            // It begins anew, and says nothing of it, when it has no session of a name that is no UUID.
            let id = order::uuid(&resume.agent_session)?;
            command.push(if resume.forks { "fork" } else { "resume" })?;
            command.push(&id)?;
            agent_session = (!resume.forks).then_some(id);
        }
        // The prompt is read from standard input, to its end.
        command.push("-")?;
        Ok(command.into_plan(agent_session))
    }

    fn reader(&self, spec: &AgentSpec, _cwd: &ByteString) -> Box<dyn Reader> {
        Box::new(CodexReader::new(spec))
    }
}

/// Returns the program that the launcher of npm at `found` would start, if it is one.
///
/// Source: `bin/codex.js` of 0.169.0: the package for the platform lies beside the launcher's, or
/// within it, or what older versions had is in the launcher's own `vendor`.
fn launched_by(found: &Path) -> Option<PathBuf> {
    let launcher = found.canonicalize().ok()?;
    if launcher.file_name()? != "codex.js" {
        return None;
    }
    let package = launcher.parent()?.parent()?;
    let (platform, target) = match std::env::consts::ARCH {
        "x86_64" => ("codex-linux-x64", "x86_64-unknown-linux-musl"),
        "aarch64" => ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
        _ => return None,
    };
    let roots = [
        package.parent()?.join(platform),
        package.join("node_modules/@openai").join(platform),
        package.to_owned(),
    ];
    let program = |root: &PathBuf| root.join("vendor").join(target).join("bin/codex");
    roots.iter().map(program).find(|program| program.is_file())
}
