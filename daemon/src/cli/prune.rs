//! `candor prune`: removes all sessions that ended long enough ago.

use std::io::Write as _;
use std::time::Duration;

use candor_core::time::Timestamp;

use super::arguments::Prune;
use super::rm::{Removals, bytes_text, look};
use super::show::command_line;
use super::terminal::clean_line;
use super::{CliError, client, path_of};
use crate::api::{SessionView, time_text};
use crate::client::Client;

/// Sessions that are asked for at one time.
const PAGE_SESSIONS: usize = 500;

/// Characters of a title or command that are shown.
const TITLE_WIDTH: usize = 60;

pub(super) async fn main(arguments: Prune) -> Result<u8, CliError> {
    let Prune { older, status, dry_run, json } = arguments;
    let client = client().await?;
    let age = Duration::from_millis(older);
    // Longer ago than there is time to count: nothing is that old.
    let ended_by = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
    let words: Vec<&str> = status.iter().map(|status| status.as_str()).collect();
    let query = format!(
        "/v1/sessions?limit={PAGE_SESSIONS}&ended_by={}&status={}",
        time_text(ended_by),
        words.join(",")
    );
    let mut removals = Removals::new(dry_run);
    let mut page: Vec<SessionView> = client.get(&query).await?;
    while let Some(last) = page.last() {
        let next = format!("{query}&before={}", last.id);
        for session in &page {
            let removed = remove(&client, session, &mut removals).await?;
            if removed && dry_run && !json {
                print(session)?;
            }
        }
        page = client.get(&next).await?;
    }
    if json {
        return removals.print_json();
    }
    let count = removals.view.count;
    let noun = if count == 1 { "session" } else { "sessions" };
    let bytes = bytes_text(removals.view.bytes);
    if dry_run {
        writeln!(std::io::stdout(), "would remove {count} {noun} and free {bytes}")?;
    } else {
        writeln!(std::io::stdout(), "removed {count} {noun} and freed {bytes}")?;
    }
    Ok(removals.exit_code())
}

/// Removes one session, or only looks what that would come to. Says whether it was removed.
async fn remove(
    client: &Client,
    session: &SessionView,
    removals: &mut Removals,
) -> Result<bool, CliError> {
    let answer = match removals.view.dry_run {
        true => look(client, &session.id).await,
        false => client.delete(&path_of(&session.id)).await,
    };
    match answer {
        Ok(removal) => {
            removals.add(removal);
            Ok(true)
        }
        // Somebody else was quicker, and it is gone as it should be.
        Err(error) if error.is_about_removal() => Ok(false),
        Err(error) => removals.refuse(&session.id, error).map(|()| false),
    }
}

fn print(session: &SessionView) -> Result<(), CliError> {
    let name = session.title.clone().unwrap_or_else(|| command_line(&session.command));
    writeln!(
        std::io::stdout(),
        "{}  {:9}  {}  {}",
        super::ls::short(&session.id),
        session.status,
        session.ended_at.as_deref().unwrap_or_default(),
        clean_line(&name, TITLE_WIDTH)
    )?;
    Ok(())
}
