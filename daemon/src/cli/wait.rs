//! `candor wait`: returns when sessions have ended.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::arguments::Wait;
use super::reach::Reach;
use super::{CliError, complain, path_of};
use crate::api::SessionView;
use crate::exit_code;

/// How long a daemon may take to tell what has become of a session by now, in milliseconds, when the
/// time is over that somebody was ready to wait.
const LAST_LOOK_MS: u64 = 1_000;

pub(super) async fn main(arguments: Wait) -> Result<u8, CliError> {
    let deadline = arguments.timeout.map(|ms| Instant::now() + Duration::from_millis(ms));
    // One that has to be started has a limit of its own.
    let reach = Reach::open().await?;
    let (mut live, mut unanswered) = (Vec::new(), Vec::new());
    // An unknown id is told at once, not when the ones before it have ended.
    let mut ids = Vec::new();
    let looking = deadline.map(|deadline| deadline.max(last_look()));
    for id in arguments.ids {
        match within(looking, reach.get::<SessionView>(&path_of(&id))).await {
            Some(session) => ids.push(session?.id),
            None => unanswered.push(id),
        }
    }
    let mut verdict = exit_code::SUCCESS;
    for id in ids {
        // Who has not answered once is not asked about each of the others.
        let is_deaf = !unanswered.is_empty();
        match look(&reach, &id, deadline, is_deaf).await? {
            Look::Ended(session) => {
                print(&session)?;
                if verdict == exit_code::SUCCESS {
                    verdict = session.exit_code.unwrap_or(exit_code::OWN_ERROR);
                }
            }
            Look::Live => live.push(id),
            Look::Unanswered => unanswered.push(id),
        }
    }
    if live.is_empty() && unanswered.is_empty() {
        return Ok(verdict);
    }
    for (what, ids) in [("still live", live), ("no daemon answers for", unanswered)] {
        if !ids.is_empty() {
            complain(&format!("the time is over, and {what}: {}", ids.join(" ")));
        }
    }
    Ok(exit_code::TIMED_OUT)
}

/// What is known of a session when it has ended, or the time is over.
enum Look {
    Ended(Box<SessionView>),
    Live,
    /// The time is over, and nobody is there who could say.
    Unanswered,
}

/// Returns when the session has ended, or the time is over.
async fn look(
    reach: &Reach,
    id: &str,
    deadline: Option<Instant>,
    is_deaf: bool,
) -> Result<Look, CliError> {
    let path = path_of(id);
    if let Some(session) = within(deadline, reach.get(&format!("{path}/wait"))).await {
        return Ok(Look::Ended(session?));
    }
    if is_deaf {
        return Ok(Look::Unanswered);
    }
    // It may have ended while another one was waited for.
    match timeout_at(last_look(), reach.client().get::<Box<SessionView>>(&path)).await {
        Ok(Ok(session)) if session.outcome.is_some() => Ok(Look::Ended(session)),
        Ok(Ok(_)) => Ok(Look::Live),
        Ok(Err(error)) if !error.is_absence() => Err(error.into()),
        Ok(Err(_)) | Err(_) => Ok(Look::Unanswered),
    }
}

/// Returns when an answer to a last look must be there.
fn last_look() -> Instant {
    Instant::now() + Duration::from_millis(LAST_LOOK_MS)
}

/// Returns the answer, or `None` when the time is over first.
async fn within<T>(deadline: Option<Instant>, asking: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, asking).await.ok(),
        None => Some(asking.await),
    }
}

fn print(session: &SessionView) -> Result<(), CliError> {
    let outcome = session.outcome.as_deref().unwrap_or_default();
    super::print_if_read(&format!("{} {} {outcome}", session.id, session.status))
}
