//! The values of an order, which are the user's: each is checked before it becomes an argument.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use candor_core::bytes::ByteString;

use super::{Order, PlanError};

/// Bytes of a word in an order, at most.
const WORD_BYTES_MAX: usize = 256;

/// Makes an error of a sentence.
pub(super) fn refuse(sentence: impl Into<Cow<'static, str>>) -> PlanError {
    PlanError(sentence.into())
}

/// Checks that a value is one word that no program takes for an option or for more than one value.
///
/// # Errors
///
/// A sentence that names `what` it is.
pub(super) fn word<'a>(what: &str, value: &'a str) -> Result<&'a str, PlanError> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "._-:/@+[]~".contains(character);
    if value.is_empty() || value.len() > WORD_BYTES_MAX {
        return Err(refuse(format!("the {what} must have 1 to {WORD_BYTES_MAX} characters")));
    }
    if value.starts_with('-') {
        return Err(refuse(format!("the {what} must not begin with a dash: {value}")));
    }
    if !value.chars().all(is_plain) {
        return Err(refuse(format!(
            "the {what} holds a character that none has: {}",
            value.escape_debug()
        )));
    }
    Ok(value)
}

/// Checks that a value is one of those that the program knows.
///
/// # Errors
///
/// A sentence that names them.
pub(super) fn one_of<'a>(what: &str, value: &'a str, known: &[&str]) -> Result<&'a str, PlanError> {
    if known.contains(&value) {
        return Ok(value);
    }
    let known = known.join(", ");
    Err(refuse(format!("there is no {what} {}: it is one of {known}", value.escape_debug())))
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
        .map_err(|_| refuse(format!("the agent has no such session: {}", value.escape_debug())))?;
    Ok(uuid.hyphenated().to_string())
}

/// Refuses what only some agents can do.
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
        let program = ByteString::new(program.as_os_str().as_bytes().to_vec());
        Ok(Self(vec![program.map_err(|_| has_nul())?]))
    }

    /// Appends an argument.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when it holds a NUL.
    pub(super) fn push(&mut self, argument: &str) -> Result<(), PlanError> {
        self.0.push(bytes(argument)?);
        Ok(())
    }

    /// Appends arguments as they are.
    pub(super) fn extend(&mut self, arguments: &[ByteString]) {
        self.0.extend_from_slice(arguments);
    }

    /// Returns the program and its arguments.
    pub(super) fn into_arguments(self) -> Vec<ByteString> {
        self.0
    }
}

fn has_nul() -> PlanError {
    refuse("an argument holds a NUL, which no argument can")
}

/// Returns a text as it is handed to a program.
///
/// # Errors
///
/// [`PlanError`] when it holds a NUL.
pub(super) fn bytes(text: &str) -> Result<ByteString, PlanError> {
    ByteString::try_from(text).map_err(|_| has_nul())
}
