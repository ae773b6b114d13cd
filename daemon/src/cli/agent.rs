//! `candor claude` and the like: an agent on a prompt.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::num::NonZeroU32;

use candor_core::agent::Permissions;

use super::CliError;
use super::arguments::{AgentOptions, AgentRun, LaunchOptions};
use super::run::{Launching, base, bytes, run};
use crate::api::LaunchRequest;
use crate::config::Config;
use crate::serve::AgentRequest;

/// The word that stands for standard input.
const STDIN: &str = "-";

/// A prompt that is read from standard input is read no further than this, in bytes: it is far above
/// what is taken.
const STDIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) async fn main(kind: &str, arguments: AgentRun) -> Result<u8, CliError> {
    let AgentRun { launch, options, prompt, arguments } = arguments;
    let (detach, json) = (launch.new.detach, launch.new.json);
    let words = prompt.into_iter().chain(arguments).collect();
    let request = request(kind, launch, options, words)?;
    run(&Launching { path: "/v1/sessions".to_owned(), request, detach, json }).await
}

/// Returns the request to launch an agent. The first of `words` is the prompt.
pub(super) fn request(
    kind: &str,
    launch: LaunchOptions,
    options: AgentOptions,
    words: Vec<OsString>,
) -> Result<LaunchRequest, CliError> {
    let config = Config::read()?;
    let mut words = words.into_iter();
    let prompt = prompt(words.next().unwrap_or_default())?;
    let arguments = words.skip_while(|word| word == "--").map(|word| bytes("an argument", word));
    let mut request = base(launch, &config, arguments.collect::<Result<_, _>>()?)?;
    let program = config.agents.get(kind).cloned();
    let program = program.map(|path| bytes("the agent's program", path.into_os_string()));
    let idle = options.idle.map(|ms| u32::try_from(ms).ok().and_then(NonZeroU32::new));
    if idle == Some(None) {
        return Err(CliError::Own("--idle: give more than 0 and less than 49 days".to_owned()));
    }
    request.agent = Some(AgentRequest {
        kind: kind.to_owned(),
        prompt,
        program: program.transpose()?,
        model: options.model.model,
        permission_mode: options.model.permission_mode,
        max_turns: options.model.max_turns,
        interactive: options.model.interactive,
        idle_ms: idle.flatten(),
        bypass_ms: options.bypass,
        permissions: Permissions {
            deny: options.deny,
            allow: options.allow,
            edits_in_folder: options.allow_edits,
        },
    });
    Ok(request)
}

/// Returns the first option that is of no use without an agent.
pub(super) fn only_for_agents(options: &AgentOptions) -> Option<&'static str> {
    [
        (options.model.model.is_some(), "--model"),
        (options.model.permission_mode.is_some(), "--permission-mode"),
        (options.model.max_turns.is_some(), "--max-turns"),
        (options.model.interactive, "--interactive"),
        (!options.allow.is_empty(), "--allow"),
        (!options.deny.is_empty(), "--deny"),
        (options.allow_edits, "--allow-edits"),
        (options.bypass.is_some(), "--bypass"),
    ]
    .into_iter()
    .find_map(|(is_given, option)| is_given.then_some(option))
}

/// Returns a prompt as it was given, or as standard input has it.
pub(super) fn prompt(word: OsString) -> Result<String, CliError> {
    let word = if word == OsStr::new(STDIN) {
        let mut text = Vec::new();
        std::io::stdin()
            .take(STDIN_BYTES_MAX)
            .read_to_end(&mut text)
            .map_err(|error| CliError::Own(format!("cannot read the prompt: {error}")))?;
        String::from_utf8(text).map_err(drop)
    } else {
        word.into_string().map_err(drop)
    };
    word.map_err(|()| CliError::Own("the prompt is not UTF-8: agents read text".to_owned()))
}
