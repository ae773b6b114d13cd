//! How Claude Code is started.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use candor_core::session::StandardInput;
use candor_core::stop::Graces;

use crate::agents::{Order, Plan, PlanError, check};

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

/// Turns of a session, at most, that can be ordered.
const TURNS_MAX: u32 = 1_000_000;

/// Checks the order and makes the command. Every value stands behind an equals sign, so that none can
/// be taken for a flag.
pub(super) fn plan(order: &Order, program: &Path) -> Result<Plan, PlanError> {
    check::prompt(&order.prompt)?;
    let mut arguments = Vec::new();
    let mut push = |argument: String| arguments.push(argument);
    for flag in ["-p", "--output-format=stream-json", "--verbose", "--input-format=stream-json"] {
        push(flag.to_owned());
    }
    if order.asks {
        push("--permission-prompt-tool=stdio".to_owned());
    }
    let agent_session = match &order.resume {
        None => order.session.to_string(),
        Some(resume) => {
            check::word("the agent's session", &resume.agent_session)?;
            push(format!("--resume={}", resume.agent_session));
            if resume.forks { order.session.to_string() } else { resume.agent_session.clone() }
        }
    };
    match &order.resume {
        Some(resume) if !resume.forks => {}
        Some(_) => {
            push("--fork-session".to_owned());
            push(format!("--session-id={agent_session}"));
        }
        None => push(format!("--session-id={agent_session}")),
    }
    if let Some(model) = &order.model {
        check::word("the model", model)?;
        push(format!("--model={model}"));
    }
    if let Some(mode) = &order.permission_mode {
        if !PERMISSION_MODES.contains(&mode.as_str()) {
            return Err(unknown_mode(mode));
        }
        push(format!("--permission-mode={mode}"));
    }
    if let Some(turns) = order.max_turns {
        check::turns(turns, TURNS_MAX)?;
        push(format!("--max-turns={turns}"));
    }
    let mut command = vec![check::argument(program.as_os_str().as_bytes())?];
    for argument in arguments {
        command.push(check::argument(argument)?);
    }
    command.extend(order.arguments.iter().cloned());
    let without = WITHOUT.into_iter().map(check::argument).collect::<Result<_, _>>()?;
    Ok(Plan {
        command,
        environment: Vec::new(),
        without,
        input: StandardInput::Held,
        graces: GRACES,
        always_reports: true,
        agent_session: Some(agent_session),
    })
}

fn unknown_mode(mode: &str) -> PlanError {
    if mode == "bypassPermissions" {
        return PlanError(Cow::Borrowed(
            "the mode `bypassPermissions` cannot be ordered: if nothing is to be asked, pass \
             `--dangerously-skip-permissions` on to the agent after `--`",
        ));
    }
    let mode = check::shown(mode);
    let modes = PERMISSION_MODES.join(", ");
    PlanError(Cow::Owned(format!("no permission mode is called `{mode}`: the modes are {modes}")))
}
