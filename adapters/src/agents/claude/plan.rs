//! How Claude Code is started.

use std::num::NonZeroU32;
use std::path::Path;

use candor_core::session::StandardInput;
use candor_core::stop::Graces;

use crate::agents::order::Command;
use crate::agents::{Order, Plan, PlanError, check, order};

/// The ladder. A request to break off is followed within 0.2 s; one signal in the first second of the
/// process gets lost, hence two; `SIGTERM` ends it at once, and leaves its tools.
const GRACES: Graces = Graces {
    ask_ms: NonZeroU32::new(3_000),
    interrupt_ms: 3_000,
    interrupt_again_ms: NonZeroU32::new(2_000),
    terminate_ms: 3_000,
    // At the end of its input it waits 5 s for its background tasks.
    linger_ms: 30_000,
};

/// The permission modes that can be ordered. The one that asks for nothing is left out: whoever wants
/// it says so in the program's own words.
const PERMISSION_MODES: [&str; 5] = ["default", "acceptEdits", "plan", "dontAsk", "auto"];

/// Variables by which a program knows that it runs within Claude Code: a session is started by nobody
/// but Candor, and must not report to the surroundings in which `candor` was called.
const WITHOUT: [&str; 8] = [
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SESSION_KIND",
    "CLAUDE_CODE_SESSION_NAME",
    "CLAUDE_CODE_SSE_PORT",
];

/// Turns that can be ordered, at most.
const TURNS_MAX: u32 = 1_000_000;

/// Checks the order and makes the command. Every value stands behind an equals sign, so that none can
/// be taken for a flag.
pub(super) fn plan(order: &Order, program: &Path) -> Result<Plan, PlanError> {
    check::prompt(&order.prompt)?;
    let mut command = Command::new(program)?;
    for flag in ["-p", "--output-format=stream-json", "--verbose", "--input-format=stream-json"] {
        command.push(flag)?;
    }
    if order.is_interactive {
        // So that what its user says has its place in the conversation.
        command.push("--replay-user-messages")?;
    }
    command.push("--permission-prompt-tool=stdio")?;
    let agent_session = push_session(&mut command, order)?;
    command.push_model(order.model.as_deref())?;
    if let Some(mode) = &order.permission_mode {
        command.push(&format!("--permission-mode={}", permission_mode(mode)?))?;
    }
    if let Some(turns) = order.max_turns {
        check::turns(turns, TURNS_MAX)?;
        command.push(&format!("--max-turns={turns}"))?;
    }
    command.extend(&order.arguments);
    Ok(Plan {
        command: command.into_arguments(),
        environment: Vec::new(),
        without: WITHOUT.into_iter().map(check::argument).collect::<Result<_, _>>()?,
        input: StandardInput::Held,
        graces: GRACES,
        always_reports: true,
        agent_session: Some(agent_session),
    })
}

/// Says which of its sessions it goes on with, or which name a new one gets, and returns the name of
/// the session that it will be in.
fn push_session(command: &mut Command, order: &Order) -> Result<String, PlanError> {
    let new = order.session.to_string();
    let Some(resume) = &order.resume else {
        command.push(&format!("--session-id={new}"))?;
        return Ok(new);
    };
    let resumed = order::uuid(&resume.agent_session)?;
    command.push(&format!("--resume={resumed}"))?;
    if !resume.forks {
        return Ok(resumed);
    }
    command.push("--fork-session")?;
    command.push(&format!("--session-id={new}"))?;
    Ok(new)
}

fn permission_mode(mode: &str) -> Result<&str, PlanError> {
    if mode == "bypassPermissions" {
        return Err(order::refuse(
            "the permission mode `bypassPermissions` cannot be ordered: if nothing is to be asked, \
             hand `--dangerously-skip-permissions` to the agent itself",
        ));
    }
    order::mode(mode, &PERMISSION_MODES)
}
