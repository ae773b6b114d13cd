//! `candor wait`: returns when sessions have ended.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::arguments::Wait;
use super::reach::Reach;
use super::{CliError, complain, path_of};
use crate::api::SessionView;
use crate::exit_code;

pub(super) async fn main(arguments: Wait) -> Result<u8, CliError> {
    let reach = Reach::open().await?;
    // An unknown id is told at once, not when the ones before it have ended.
    let mut ids = Vec::new();
    for id in &arguments.ids {
        let session: SessionView = reach.get(&path_of(id)).await?;
        ids.push(session.id);
    }
    let deadline = arguments.timeout.map(|ms| Instant::now() + Duration::from_millis(ms));
    let mut verdict = exit_code::SUCCESS;
    let mut waiting = Vec::new();
    for id in ids {
        match ended(&reach, &id, deadline).await? {
            Some(session) => {
                print(&session)?;
                if verdict == exit_code::SUCCESS {
                    verdict = session.exit_code.unwrap_or(exit_code::OWN_ERROR);
                }
            }
            None => waiting.push(id),
        }
    }
    if waiting.is_empty() {
        return Ok(verdict);
    }
    complain(&format!("the time is over, and still live: {}", waiting.join(" ")));
    Ok(exit_code::TIMED_OUT)
}

/// Returns the session when it has ended, or `None` when the time is over first.
async fn ended(
    reach: &Reach,
    id: &str,
    deadline: Option<Instant>,
) -> Result<Option<SessionView>, CliError> {
    let path = format!("{}/wait", path_of(id));
    let ending = reach.get(&path);
    let Some(deadline) = deadline else {
        return Ok(Some(ending.await?));
    };
    if let Ok(session) = timeout_at(deadline, ending).await {
        return Ok(Some(session?));
    }
    // It may have ended while another one was waited for.
    match reach.client().get::<SessionView>(&path_of(id)).await {
        Ok(session) => Ok(session.outcome.is_some().then_some(session)),
        // The time is over, and nobody is there who could say.
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn print(session: &SessionView) -> Result<(), CliError> {
    let outcome = session.outcome.as_deref().unwrap_or_default();
    super::print_if_read(&format!("{} {} {outcome}", session.id, session.status))
}
