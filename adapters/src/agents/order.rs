//! What the orders of several agents have in common, beside the checks of single values.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use candor_core::bytes::ByteString;
use candor_core::session::StandardInput;
use candor_core::stop::Graces;

use super::{Order, Plan, PlanError, check};

/// How programs of one prompt are ended: opencode dies of the first signal, Gemini takes 0.8 s for it while
/// a tool runs, and Codex can lose an interrupt between `thread.started` and `turn.started`, the second
/// one too, so that only `SIGTERM` always ends it.
const GRACES: Graces = Graces {
    ask_ms: None,
    interrupt_ms: 3_000,
    interrupt_again_ms: NonZeroU32::new(2_000),
    terminate_ms: 3_000,
    linger_ms: 30_000,
};

/// Makes an error of a sentence.
pub(super) fn refuse(sentence: impl Into<Cow<'static, str>>) -> PlanError {
    PlanError(sentence.into())
}

/// Checks that a permission mode is one of those that the program knows.
///
/// # Errors
///
/// A sentence that names them.
pub(super) fn mode<'a>(mode: &'a str, modes: &[&str]) -> Result<&'a str, PlanError> {
    if modes.contains(&mode) {
        return Ok(mode);
    }
    let (mode, modes) = (check::shown(mode), modes.join(", "));
    Err(refuse(format!("no permission mode is called `{mode}`: the modes are {modes}")))
}

/// Checks that the agent's own name for a session is a UUID, and returns it in the usual form.
///
/// Programs take other words for the place of a session in a list, for a title, or for the order to
/// begin anew.
///
/// # Errors
///
/// A sentence that quotes it.
pub(super) fn uuid(value: &str) -> Result<String, PlanError> {
    let uuid = uuid::Uuid::try_parse(value)
        .map_err(|_| refuse(format!("the agent has no such session: `{}`", check::shown(value))))?;
    Ok(uuid.hyphenated().to_string())
}

/// Refuses what only other agents can do.
///
/// # Errors
///
/// A sentence that says which part of the order to leave out.
pub(super) fn without_turns_and_talk(order: &Order, agent: &str) -> Result<(), PlanError> {
    if order.max_turns.is_some() {
        return Err(refuse(format!("{agent} has no limit of turns: leave out --max-turns")));
    }
    if order.is_interactive {
        return Err(refuse(format!(
            "{agent} takes no further messages while it runs: leave out --interactive, and use \
             `candor continue` when it is done"
        )));
    }
    Ok(())
}

/// A command line that grows.
pub(super) struct Command(Vec<ByteString>);

impl Command {
    /// Begins one with the program.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when its path holds a NUL, which no path does.
    pub(super) fn new(program: &Path) -> Result<Self, PlanError> {
        Ok(Self(vec![check::argument(program.as_os_str().as_bytes())?]))
    }

    /// Appends an argument.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when it holds a NUL.
    pub(super) fn push(&mut self, argument: &str) -> Result<(), PlanError> {
        self.0.push(check::argument(argument)?);
        Ok(())
    }

    /// Appends arguments as they are.
    pub(super) fn extend(&mut self, arguments: &[ByteString]) {
        self.0.extend_from_slice(arguments);
    }

    /// Appends the model, if one is ordered, behind an equals sign, so that it cannot be taken for a
    /// flag.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when it is no name of one.
    pub(super) fn push_model(&mut self, model: Option<&str>) -> Result<(), PlanError> {
        let Some(model) = model else { return Ok(()) };
        check::word("the model", model)?;
        self.push(&format!("--model={model}"))
    }

    /// Returns the plan of a program of one prompt, which it reads to the end of its input. It knows the
    /// session under this name, if that is known beforehand.
    pub(super) fn into_plan(self, agent_session: Option<String>) -> Plan {
        Plan {
            command: self.into_arguments(),
            environment: Vec::new(),
            without: Vec::new(),
            input: StandardInput::Held,
            graces: GRACES,
            always_reports: true,
            agent_session,
        }
    }

    /// Returns the program and its arguments.
    pub(super) fn into_arguments(self) -> Vec<ByteString> {
        self.0
    }
}
