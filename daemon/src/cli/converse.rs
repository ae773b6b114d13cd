//! An agent in front: what it asks is told as it asks, and what is typed is an answer or a message.

use std::convert::Infallible;
use std::io::IsTerminal as _;

use candor_core::agent::RequestState;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::watch;

use super::approvals::answer;
use super::reach::Reach;
use super::terminal::clean;
use super::{CliError, complain, path_of, send};
use crate::api::{LogLine, RequestView, SessionView, StopReply};
use crate::client::Lines;

/// Lines of what is asked that are shown, at most. `candor approvals` shows all.
const SUMMARY_LINES_MAX: usize = 8;

/// Tells what the agent asks, and passes on what is typed; goes on for ever.
pub(super) async fn converse(reach: &Reach, launched: &SessionView) -> Infallible {
    let Some(agent) = &launched.agent else { return std::future::pending().await };
    let hears = agent.interactive || std::io::stdin().is_terminal();
    let (open, asked) = watch::channel(None);
    let listening = async {
        if hears {
            listen(reach, &launched.id, agent.interactive, &asked).await;
        }
    };
    let telling = async {
        if let Err(error) = tell_of_requests(reach, &launched.id, &open, hears).await {
            complain(&format!("what the agent asks is not told any more: {error}"));
        }
    };
    tokio::join!(listening, telling);
    std::future::pending().await
}

/// Says what the agent asks as it asks. `open` is the last request that waits.
async fn tell_of_requests(
    reach: &Reach,
    id: &str,
    open: &watch::Sender<Option<RequestView>>,
    hears: bool,
) -> Result<(), CliError> {
    let (mut told, mut after) = (0, 0);
    reach
        .ask(async |client, progress| {
            let path = format!("/v1/events?follow=true&session={id}&after={after}");
            let mut lines = Lines::new(client.open(&path).await?);
            while let Some(line) = lines.next().await? {
                progress.made();
                let Ok(LogLine::Event(event)) = serde_json::from_slice::<LogLine>(&line) else {
                    continue;
                };
                after = event.seq;
                if event.cause != "request_opened" && open.borrow().is_none() {
                    continue;
                }
                let session: SessionView = client.get(&path_of(id)).await?;
                let waits = |request: &&RequestView| request.state == RequestState::Open;
                let waiting: Vec<&RequestView> = session.requests.iter().filter(waits).collect();
                for request in waiting.iter().filter(|request| request.number > told) {
                    complain(&text_of(request, hears));
                }
                told = waiting.iter().map(|request| request.number).fold(told, u32::max);
                let first = waiting.first().map(|request| RequestView::clone(request));
                open.send_replace(first);
            }
            Ok(())
        })
        .await
}

fn text_of(request: &RequestView, hears: bool) -> String {
    let mut text = format!("it asks for {}:", clean(&request.tool));
    let lines = request.summary.lines().count();
    for line in request.summary.lines().take(SUMMARY_LINES_MAX) {
        text = format!("{text}\n    {}", clean(line));
    }
    if lines > SUMMARY_LINES_MAX {
        text = format!("{text}\n    … ({lines} lines; `candor approvals` shows all)");
    }
    let id = &request.id;
    let here = if hears { "y or n here, or " } else { "" };
    format!("{text}\n{here}`candor approve {id}` or `candor deny {id}`")
}

/// Passes on what is typed: an answer where one is waited for, or else the next message.
async fn listen(
    reach: &Reach,
    id: &str,
    is_interactive: bool,
    asked: &watch::Receiver<Option<RequestView>>,
) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let line = match lines.next_line().await {
            Ok(Some(line)) if line.trim().is_empty() => continue,
            Ok(Some(line)) => line,
            Ok(None) if is_interactive => return said(finish(reach, id).await),
            Ok(None) => {
                if let Some(request) = asked.borrow().as_ref() {
                    complain(&format!(
                        "nobody answers here any more: `candor approve {0}` or `candor deny {0}`",
                        request.id
                    ));
                }
                return;
            }
            Err(error) => return complain(&format!("cannot read standard input: {error}")),
        };
        let open = asked.borrow().clone();
        said(match (&open, decision(&line)) {
            (Some(request), Some(approved)) => answer(reach, id, request, approved, None).await,
            (Some(request), None) if !is_interactive => {
                complain(&format!("it waits for an answer to {}: y or n", request.id));
                Ok(())
            }
            (Some(_) | None, _) if is_interactive => send::message(reach, id, line).await,
            (Some(_) | None, _) => Ok(()),
        });
    }
}

fn decision(line: &str) -> Option<bool> {
    match line.trim() {
        "y" | "Y" | "yes" => Some(true),
        "n" | "N" | "no" => Some(false),
        _ => None,
    }
}

async fn finish(reach: &Reach, id: &str) -> Result<(), CliError> {
    let path = format!("/v1/sessions/{id}/finish");
    reach.ask(async |client, _| Ok(client.post::<StopReply>(&path).await?)).await.map(drop)
}

/// Says what went wrong; the session goes on.
fn said(result: Result<(), CliError>) {
    if let Err(error) = result {
        complain(&error);
    }
}
