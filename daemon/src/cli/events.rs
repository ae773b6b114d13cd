//! `candor events`: the event log, and live after it.

use std::io::Write as _;

use super::arguments::Events;
use super::terminal::style_of;
use super::{CliError, client, encoded};
use crate::api::EventView;
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
            let event: EventView = serde_json::from_slice(&line)
                .map_err(|error| CliError::Own(format!("an event cannot be read: {error}")))?;
            print(&event)?;
        }
    }
    Ok(exit_code::SUCCESS)
}

fn print(event: &EventView) -> Result<(), CliError> {
    let (to, style) = (event.to, style_of(event.to));
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
