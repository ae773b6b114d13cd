//! `candor events`: the event log, and live after it.

use std::io::Write as _;

use super::arguments::Events;
use super::terminal::style_of;
use super::{CliError, client, encoded};
use crate::api::{EventView, LogLine, ResetReason, ResetView};
use crate::client::Lines;
use crate::exit_code;

pub(super) async fn main(arguments: Events) -> Result<u8, CliError> {
    let client = client().await?;
    let session =
        arguments.session.map_or_else(String::new, |id| format!("&session={}", encoded(&id)));
    let path = format!("/v1/events?after={}&follow={}{session}", arguments.after, arguments.follow);
    let mut lines = Lines::new(client.open(&path).await?);
    while let Some(line) = lines.next().await? {
        if arguments.json {
            let mut out = std::io::stdout().lock();
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        } else {
            let line: LogLine = serde_json::from_slice(&line)
                .map_err(|error| CliError::Own(format!("an event cannot be read: {error}")))?;
            match line {
                LogLine::Event(event) => print(&event)?,
                LogLine::Reset(reset) => print_reset(&reset)?,
            }
        }
    }
    Ok(exit_code::SUCCESS)
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
