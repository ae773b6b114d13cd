//! `candor ls`: the sessions, newest first.

use std::io::Write as _;
use std::path::PathBuf;

use candor_core::status::Status;
use candor_core::time::Timestamp;

use super::arguments::Ls;
use super::reach::Reach;
use super::terminal::{clean_line, style_of};
use super::{CliError, encoded};
use crate::api::SessionView;
use crate::duration::text_of_seconds;
use crate::exit_code;

/// Characters of a title or command that are shown.
const TITLE_WIDTH: usize = 60;

pub(super) async fn main(arguments: Ls) -> Result<u8, CliError> {
    let reach = Reach::open().await?;
    let sessions: Vec<SessionView> = reach.get(&path(&arguments)?).await?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&sessions)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(std::io::stdout(), "{}", super::terminal::json(&text))?;
        return Ok(exit_code::SUCCESS);
    }
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{:8}  {:13}  {:13}  {:>9}  {:>8}  COMMAND",
        "ID", "STATUS", "OUTCOME", "STARTED", "LASTED"
    )?;
    let now = Timestamp::now();
    for session in &sessions {
        let style = style_of(session.status);
        let outcome = outcome(session);
        writeln!(
            out,
            "{:8}  {style}{:13}{style:#}  {:13}  {:>9}  {:>8}  {}",
            short(&session.id),
            session.status,
            outcome,
            ago(&session.created_at, now),
            lasted(session, now),
            clean_line(&name(session), TITLE_WIDTH),
        )?;
    }
    Ok(exit_code::SUCCESS)
}

fn path(arguments: &Ls) -> Result<String, CliError> {
    let statuses: Vec<&str> = arguments.status.iter().map(|status| status.as_str()).collect();
    let folder = arguments.folder.as_ref().map(std::path::absolute).transpose()?;
    // Without a slash at its end, as sessions have it.
    let folder = folder.map(|folder| folder.components().collect::<PathBuf>());
    let folder = folder.map(|folder| folder.to_string_lossy().into_owned());
    let mut path = format!("/v1/sessions?limit={}", arguments.limit);
    for (name, value) in [
        ("status", Some(statuses.join(","))),
        ("outcome", Some(arguments.outcome.join(","))),
        ("agent", arguments.agent.clone()),
        ("folder", folder),
        ("q", arguments.search.clone()),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            path += &["&", name, "=", &encoded(&value)].concat();
        }
    }
    Ok(path)
}

/// Returns the short form of an id: its last 8 digits.
pub(super) fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

/// Returns how it ended, with the number that matters; or what it is being stopped for.
pub(super) fn outcome(session: &SessionView) -> String {
    let Some(outcome) = &session.outcome else {
        let stopping = session.intent.as_ref().filter(|_| session.status == Status::Completing);
        return stopping.map_or_else(String::new, |intent| intent.kind.clone());
    };
    match (&session.exit, outcome.as_str()) {
        (Some(crate::api::ExitView::Code { code }), "exit_code") => format!("exit {code}"),
        (Some(crate::api::ExitView::Signal { signal, .. }), "signal" | "core_dump") => {
            signal.clone()
        }
        _ => outcome.clone(),
    }
}

/// Returns what it is called: its title, or what it runs.
pub(super) fn name(session: &SessionView) -> String {
    let by_default = || match &session.agent {
        Some(agent) => format!("{}: {}", agent.kind, agent.prompt),
        None => super::show::command_line(&session.command),
    };
    session.title.clone().unwrap_or_else(by_default)
}

/// Returns how long ago a time was.
pub(super) fn ago(at: &str, now: Timestamp) -> String {
    at.parse::<Timestamp>()
        .map_or_else(|_| String::new(), |at| text_of_seconds(now.as_second() - at.as_second()))
}

/// Returns how long the process ran, or has run until now.
pub(super) fn lasted(session: &SessionView, now: Timestamp) -> String {
    let parse =
        |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
    let Some(started) = parse(&session.started_at) else {
        return String::new();
    };
    let ended = parse(&session.ended_at).unwrap_or(now);
    text_of_seconds(ended.as_second() - started.as_second())
}
