//! The words for agents.

use std::ffi::OsString;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::{LaunchOptions, NewOptions};
use crate::duration;

/// How an agent works, also one that goes on.
#[derive(Args, Debug)]
pub(in crate::cli) struct ModelOptions {
    /// The model to use, in the agent's own word
    #[arg(long, value_name = "MODEL")]
    pub(in crate::cli) model: Option<String>,
    /// How it asks for permission, in the agent's own word
    #[arg(long, value_name = "MODE")]
    pub(in crate::cli) permission_mode: Option<String>,
    /// Stops it after so many turns
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_turns: Option<u32>,
    /// Keeps it for further messages, by `candor send` or typed in front; `candor finish` ends it
    #[arg(long)]
    pub(in crate::cli) interactive: bool,
}

/// What agents can be given.
#[derive(Args, Debug)]
pub(in crate::cli) struct AgentOptions {
    #[command(flatten)]
    pub(in crate::cli) model: ModelOptions,
    /// Finishes an interactive one that has waited for a message for so long
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_ms, requires = "interactive")]
    pub(in crate::cli) idle: Option<u64>,
    /// Allows a tool without asking: Tool, Tool(exactly this), or Tool(what begins so*); can be given
    /// many times
    #[arg(long, value_name = "PATTERN")]
    pub(in crate::cli) allow: Vec<String>,
    /// Denies a tool without asking, before anything allows it; can be given many times
    #[arg(long, value_name = "PATTERN")]
    pub(in crate::cli) deny: Vec<String>,
    /// Allows changes of files in the session's folder without asking
    #[arg(long)]
    pub(in crate::cli) allow_edits: bool,
    /// Allows everything without asking for so long
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_ms)]
    pub(in crate::cli) bypass: Option<u64>,
}

/// Runs an agent on a prompt
#[derive(Args, Debug)]
pub(in crate::cli) struct AgentRun {
    #[command(flatten)]
    pub(in crate::cli) launch: LaunchOptions,
    #[command(flatten)]
    pub(in crate::cli) options: AgentOptions,
    /// The prompt, or `-` for standard input. One that begins with a dash stands behind `--`
    #[arg(required_unless_present = "arguments")]
    pub(in crate::cli) prompt: Option<OsString>,
    /// Further arguments for the agent
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(in crate::cli) arguments: Vec<OsString>,
}

/// Goes on with an agent's session in a new one, on a further prompt
///
/// A live one is stopped first, as superseded, unless --fork goes on with a copy of it. The new one
/// runs in the same folder, and what is left out here is as it was there.
#[derive(Args, Debug)]
pub(in crate::cli) struct Continue {
    /// The session: its id, or a unique beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) id: String,
    /// The prompt, or `-` for standard input
    pub(in crate::cli) prompt: OsString,
    /// Goes on with a copy, and leaves the session as it is
    #[arg(long)]
    pub(in crate::cli) fork: bool,
    #[command(flatten)]
    pub(in crate::cli) new: NewOptions,
    #[command(flatten)]
    pub(in crate::cli) model: ModelOptions,
}

/// Lists what agents ask for, and how to answer
#[derive(Args, Debug)]
pub(in crate::cli) struct Approvals {
    /// Prints a list as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// An answer.
#[derive(Args, Debug)]
pub(in crate::cli) struct Decide {
    /// The request, as `candor approvals` shows it; or a session that has one open
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) id: String,
    /// What the agent is told
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) message: Option<String>,
}

/// Lets an agent do everything without asking, for a while
#[derive(Args, Debug)]
pub(in crate::cli) struct Bypass {
    /// The session: its id, or a unique beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) id: String,
    /// For how long, such as 30m; or `off`
    #[arg(value_name = "DURATION", value_parser = parse_bypass)]
    pub(in crate::cli) length: u64,
}

/// Reads how long everything passes: `off` is 0.
fn parse_bypass(text: &str) -> Result<u64, String> {
    if text == "off" { Ok(0) } else { duration::parse_ms(text).map_err(|error| error.to_string()) }
}
