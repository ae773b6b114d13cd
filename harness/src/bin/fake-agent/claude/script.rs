//! The steps that a message asks for.

use std::path::PathBuf;

use crate::script::{parse, signal};

/// The line with which a message begins that is a list of steps.
const HEAD: &str = "steps:";

/// One thing to do in a turn.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Init,
    Swallow,
    Deaf,
    Ready(PathBuf),
    Await(PathBuf),
    Hang,
    Say(String),
    Line(usize),
    Recall,
    Tool(String),
    Ask(String),
    Open(String),
    Answers,
    Background(String),
    Subagent,
    Retry(u16),
    Failure(u16),
    Print(String),
    Garbage,
    Torn,
    Result(String),
    Silent,
    Linger,
    Exit(u8),
    Die(i32),
}

/// Returns the steps that a message asks for.
///
/// # Errors
///
/// A sentence for the author of the test.
pub(crate) fn steps(message: &str) -> Result<Vec<Step>, String> {
    let mut lines = message.lines();
    if lines.next() != Some(HEAD) {
        return Ok(vec![Step::Say("Hello from the replayed model.".to_owned())]);
    }
    lines.map(str::trim).filter(|line| !line.is_empty()).map(step).collect()
}

fn step(line: &str) -> Result<Step, String> {
    let (word, value) = line.split_once(' ').unwrap_or((line, ""));
    let text = || value.to_owned();
    Ok(match word {
        "init" => Step::Init,
        "swallow" => Step::Swallow,
        "deaf" => Step::Deaf,
        "ready" => Step::Ready(value.into()),
        "await" => Step::Await(value.into()),
        "hang" => Step::Hang,
        "say" => Step::Say(text()),
        "line" => Step::Line(parse(value)?),
        "recall" => Step::Recall,
        "tool" => Step::Tool(text()),
        "ask" => Step::Ask(text()),
        "open" => Step::Open(text()),
        "answers" => Step::Answers,
        "background" => Step::Background(text()),
        "subagent" => Step::Subagent,
        "retry" => Step::Retry(parse(value)?),
        "failure" => Step::Failure(parse(value)?),
        "print" => Step::Print(text()),
        "garbage" => Step::Garbage,
        "torn" => Step::Torn,
        "result" => Step::Result(text()),
        "silent" => Step::Silent,
        "linger" => Step::Linger,
        "exit" => Step::Exit(parse(value)?),
        "die" => Step::Die(signal(value)?),
        _ => return Err(format!("no agent can `{line}`: see --help")),
    })
}
