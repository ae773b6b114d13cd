//! `candor events`: the event log, and live after it.

use std::io::Write as _;

use super::arguments::Events;
use super::reach::Reach;
use super::terminal::style_of;
use super::{CliError, encoded};
use crate::api::{EventView, LogLine, ResetReason, ResetView};
use crate::client::Lines;
use crate::exit_code;

pub(super) async fn main(arguments: Events) -> Result<u8, CliError> {
    let reach = Reach::open().await?;
    let session =
        arguments.session.map_or_else(String::new, |id| format!("&session={}", encoded(&id)));
    let statuses: Vec<_> = arguments.status.iter().map(|status| status.as_str()).collect();
    let kinds: Vec<_> = arguments.kind.iter().map(|kind| kind.as_str()).collect();
    let picked = format!("{session}&status={}&type={}", statuses.join(","), kinds.join(","));
    let (follow, is_raw) = (arguments.follow, arguments.json);
    let mut after = arguments.after;
    let printing = reach.ask(async |client, progress| {
        let path = format!("/v1/events?after={after}&follow={follow}{picked}");
        let mut lines = Lines::new(client.open(&path).await?);
        while let Some(line) = lines.next().await? {
            progress.made();
            after = print_line(&line, is_raw)?;
        }
        Ok(())
    });
    printing.await?;
    Ok(exit_code::SUCCESS)
}

/// Prints a line, and returns where one goes on after it.
fn print_line(line: &[u8], is_raw: bool) -> Result<u64, CliError> {
    let parsed: LogLine = serde_json::from_slice(line)
        .map_err(|error| CliError::Own(format!("an event cannot be read: {error}")))?;
    if is_raw {
        let mut out = std::io::stdout().lock();
        out.write_all(line)?;
        out.write_all(b"\n")?;
    }
    match parsed {
        LogLine::Event(event) => {
            if !is_raw {
                print(&event)?;
            }
            Ok(event.seq)
        }
        LogLine::Reset(reset) => {
            if !is_raw {
                print_reset(&reset)?;
            }
            Ok(reset.seq)
        }
    }
}

fn print(event: &EventView) -> Result<(), CliError> {
    let to = event.to.map_or("-", |to| to.as_str());
    let style = event.to.map(style_of).unwrap_or_default();
    let from = event.from.map_or("-", |from| from.as_str());
    let outcome = event.outcome.as_deref().unwrap_or_default();
    writeln!(
        anstream::stdout(),
        "{:>6}  {}  {}  {from:13} → {style}{to:13}{style:#}  {:14}  {:12}  {outcome}",
        event.seq,
        event.at,
        super::ls::short(&event.session),
        event.cause,
        event.by,
    )?;
    Ok(())
}

fn print_reset(reset: &ResetView) -> Result<(), CliError> {
    let seq = reset.seq;
    let sentence = match reset.reason {
        ResetReason::EventsRemoved => {
            format!("some events after {seq} are gone, with the sessions that they were of")
        }
        ResetReason::CursorAhead => format!("the last event is {seq}, and you asked beyond it"),
    };
    writeln!(anstream::stdout(), "{:>6}  {sentence}", "-")?;
    Ok(())
}
