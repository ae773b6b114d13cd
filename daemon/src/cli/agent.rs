//! `candor claude` and the like: an agent on a prompt.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::num::NonZeroU32;

use candor_core::agent::{Permissions, RequestState};
use tokio::io::AsyncBufReadExt as _;

use super::arguments::{AgentOptions, AgentRun, LaunchOptions};
use super::reach::Reach;
use super::run::{Launching, base, bytes, run};
use super::terminal::clean;
use super::{CliError, complain, path_of, send};
use crate::api::{EventView, LaunchRequest, LogLine, SessionView, StopReply};
use crate::client::Lines;
use crate::config::Config;
use crate::serve::AgentRequest;

/// The word that stands for standard input.
const STDIN: &str = "-";

/// A prompt that is read from standard input is read no further than this, in bytes: it is far above
/// what is taken.
const STDIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) async fn main(kind: &str, arguments: AgentRun) -> Result<u8, CliError> {
    let AgentRun { launch, options, prompt } = arguments;
    let (detach, json) = (launch.detach, launch.json);
    let request = request(kind, launch, options, prompt)?;
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
        model: options.model,
        permission_mode: options.permission_mode,
        max_turns: options.max_turns,
        interactive: options.interactive,
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
        (options.model.is_some(), "--model"),
        (options.permission_mode.is_some(), "--permission-mode"),
        (options.max_turns.is_some(), "--max-turns"),
        (options.interactive, "--interactive"),
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

/// Says what the agent asks for as it asks, and how to answer, and goes on for ever.
pub(super) async fn tell_of_requests(
    reach: &Reach,
    launched: &SessionView,
) -> std::convert::Infallible {
    if launched.agent.is_some()
        && let Err(error) = watch_requests(reach, &launched.id).await
    {
        // The session itself goes on being shown, and says what became of it.
        tracing::debug!(%error, "requests are not told");
    }
    std::future::pending().await
}

async fn watch_requests(reach: &Reach, id: &str) -> Result<(), CliError> {
    let mut told = 0;
    let mut after = 0;
    reach
        .ask(async |client, progress| {
            let path = format!("/v1/events?follow=true&session={id}&after={after}");
            let mut lines = Lines::new(client.open(&path).await?);
            while let Some(line) = lines.next().await? {
                progress.made();
                let Ok(LogLine::Event(event)) = serde_json::from_slice::<LogLine>(&line) else {
                    continue;
                };
                let EventView { seq, cause, .. } = event;
                after = seq;
                if cause == "request_opened" {
                    let session: SessionView = client.get(&path_of(id)).await?;
                    told = tell(&session, told);
                }
            }
            Ok(())
        })
        .await
}

/// Says what is asked beyond request number `told`, and returns the highest that was told.
fn tell(session: &SessionView, told: u32) -> u32 {
    let open = session.requests.iter().filter(|request| request.state == RequestState::Open);
    let new = open.filter(|request| request.number > told);
    let mut highest = told;
    for request in new {
        highest = highest.max(request.number);
        complain(
            &format!(
                "it asks for {}: {}\n        candor approve {1}   or   candor deny {1}",
                clean(&request.tool),
                clean(&request.summary),
            )
            .replace("{1}", &request.id),
        );
    }
    highest
}

/// Gives the agent each line of standard input as a message, and finishes it at the end.
pub(super) async fn pass_messages_on(reach: &Reach, id: &str) {
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    loop {
        let said = match lines.next_line().await {
            Ok(Some(line)) if line.trim().is_empty() => continue,
            Ok(Some(line)) => send::message(reach, id, line).await,
            Ok(None) => {
                let path = format!("/v1/sessions/{id}/finish");
                reach
                    .ask(async |client, _| Ok(client.post::<StopReply>(&path).await?))
                    .await
                    .map(drop)
            }
            Err(error) => Err(CliError::Own(format!("cannot read standard input: {error}"))),
        };
        match said {
            Ok(()) => {}
            Err(error) => {
                complain(&error);
                return;
            }
        }
    }
}
