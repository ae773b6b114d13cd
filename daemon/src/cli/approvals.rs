//! `candor approvals`, `approve`, `deny` and `bypass`: what agents ask for.

use std::io::Write as _;

use candor_core::agent::RequestState;

use super::arguments::{Approvals, Bypass, Decide};
use super::ls::short;
use super::reach::Reach;
use super::terminal::{clean, json};
use super::{CliError, path_of};
use crate::api::{AnswerRequest, ApprovalView, BypassRequest, RequestView, SessionView};
use crate::exit_code;

pub(super) async fn main(arguments: Approvals) -> Result<u8, CliError> {
    let reach = Reach::open().await?;
    let open: Vec<ApprovalView> = reach.get("/v1/approvals").await?;
    let mut out = anstream::stdout().lock();
    if arguments.json {
        let text = serde_json::to_string_pretty(&open)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(out, "{}", json(&text))?;
        return Ok(exit_code::SUCCESS);
    }
    if open.is_empty() {
        writeln!(out, "nobody asks for anything")?;
    }
    for ApprovalView { agent, request, title, .. } in &open {
        let title = title.as_ref().map_or_else(String::new, |title| format!(" ({})", clean(title)));
        writeln!(out, "{}  {agent}{title} asks for {}", request.id, clean(&request.tool))?;
        // A command is shown whole: what is approved is all of it.
        for line in request.command.as_ref().unwrap_or(&request.summary).lines() {
            writeln!(out, "    {}", clean(line))?;
        }
        writeln!(out, "    candor approve {0}   or   candor deny {0} --message \"…\"", request.id)?;
    }
    Ok(exit_code::SUCCESS)
}

/// Answers a request.
pub(super) async fn decide(arguments: Decide, approved: bool) -> Result<u8, CliError> {
    let Decide { id, message } = arguments;
    let reach = Reach::open().await?;
    let (session, request) = find(&reach, &id).await?;
    answer(&reach, &session.id, &request, approved, message).await?;
    let how = if approved { "approved" } else { "denied" };
    let what = request.summary.lines().next().unwrap_or_default();
    writeln!(std::io::stdout(), "{} {how}: {} {}", request.id, clean(&request.tool), clean(what))?;
    Ok(exit_code::SUCCESS)
}

/// Answers a request as it was shown. Where the daemon goes away meanwhile it is found out whether the
/// answer was taken.
pub(super) async fn answer(
    reach: &Reach,
    session: &str,
    request: &RequestView,
    approved: bool,
    message: Option<String>,
) -> Result<(), CliError> {
    let answer = AnswerRequest { approved, digest: request.digest.clone(), message };
    let path = format!("{}/requests/{}", path_of(session), request.number);
    let wanted = if approved { RequestState::Approved } else { RequestState::Denied };
    let mut is_repeated = false;
    reach
        .ask(async |client, _| {
            let answered = client.post_json::<SessionView>(&path, &answer).await;
            let Err(error) = answered else { return Ok(()) };
            if is_repeated && error.is_about("request_not_open") {
                let session: SessionView = client.get(&path_of(session)).await?;
                let is_it = |it: &&RequestView| it.number == request.number && it.state == wanted;
                if session.requests.iter().any(|it| is_it(&it)) {
                    return Ok(());
                }
            }
            is_repeated = true;
            Err(error.into())
        })
        .await
}

/// Finds the request that a person means: by a session and a number, or by a session alone that has
/// just one open.
async fn find(reach: &Reach, id: &str) -> Result<(SessionView, RequestView), CliError> {
    let (session, number) = match id.split_once('.') {
        Some((session, number)) => {
            let number = number.parse::<u32>().map_err(|_| {
                CliError::Own(format!(
                    "{id:?} is no request: `candor approvals` shows them, such as 1f2e3d4c.1"
                ))
            })?;
            (session, Some(number))
        }
        None => (id, None),
    };
    let session: SessionView = reach.get(&path_of(session)).await?;
    let name = short(&session.id).to_owned();
    let mut open =
        session.requests.iter().filter(|request| request.state == RequestState::Open).cloned();
    let found = match number {
        Some(number) => session.requests.iter().find(|request| request.number == number).cloned(),
        None => match (open.next(), open.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) => {
                return Err(CliError::Own(format!(
                    "session {name} asks for several things: name one, such as {name}.1; \
                     `candor approvals` lists them"
                )));
            }
            (None, _) => {
                return Err(CliError::Own(format!("session {name} asks for nothing")));
            }
        },
    };
    let request = found.ok_or_else(|| {
        CliError::Own(format!(
            "there is no request {id}, or it was closed long ago: `candor approvals` lists what is \
             open"
        ))
    })?;
    Ok((session, request))
}

/// Lets everything pass for a while, or no more.
pub(super) async fn bypass(arguments: Bypass) -> Result<u8, CliError> {
    let Bypass { id, length } = arguments;
    let reach = Reach::open().await?;
    let request = BypassRequest { for_ms: Some(length).filter(|length| *length > 0) };
    let path = format!("{}/bypass", path_of(&id));
    let asking = reach.ask(async |client, _| Ok(client.post_json(&path, &request).await?));
    let session: SessionView = asking.await?;
    let until = match &session.bypass_until {
        Some(until) => format!("everything passes until {until}"),
        None => "it asks again".to_owned(),
    };
    writeln!(std::io::stdout(), "{} {until}", session.id)?;
    Ok(exit_code::SUCCESS)
}
