//! What a session is sent to read.
//!
//! It goes past the session's mailbox: it changes no status, and the process itself says what it has
//! taken.

use std::time::Duration;

use candor_core::ports::{Message, Sent};
use candor_core::session::{Session, SessionId, StandardInput};
use tokio::time::timeout;

use super::{App, Refusal};

/// How long a message waits for a process that is being launched or looked for.
const PROCESS_PATIENCE: Duration = Duration::from_secs(2);

/// Sends a message, and returns when it is accepted.
///
/// Not cancel safe: dropped, it may or may not be.
///
/// # Errors
///
/// See [`Refusal`]; after [`Refusal::MessageInDoubt`] it may be accepted, after all others it is not.
pub(crate) async fn send(app: &App, id: SessionId, message: &Message) -> Result<(), Refusal> {
    let Some(mut shown) = app.registry.follow(id).await? else {
        return Err(refusal_of_end(app, id).await);
    };
    check(&shown.borrow().session)?;
    let is_known = |snapshot: &super::Snapshot| {
        snapshot.process().is_some() || snapshot.session.status().is_terminal()
    };
    let process = match timeout(PROCESS_PATIENCE, shown.wait_for(is_known)).await {
        Ok(Ok(snapshot)) if !snapshot.session.status().is_terminal() => snapshot.process().cloned(),
        // It has ended, or its task has.
        Ok(Ok(_) | Err(_)) => None,
        Err(_) => return Err(Refusal::MessageInDoubt(id)),
    };
    let Some(process) = process else {
        return Err(refusal_of_end(app, id).await);
    };
    match process.send(message).await {
        Sent::Accepted => Ok(()),
        Sent::Full => Err(Refusal::InputFull(id)),
        Sent::Unknown => Err(Refusal::MessageInDoubt(id)),
        Sent::AlreadyEnded => Err(Refusal::InputClosed(id)),
    }
}

/// Says why a session without a task is sent nothing.
async fn refusal_of_end(app: &App, id: SessionId) -> Refusal {
    // Without a task nobody waits: it has ended, or why it is not driven is known.
    match app.registry.wait(id).await {
        Ok(session) => check(&session).err().unwrap_or_else(|| ended(&session)),
        Err(refusal) => refusal,
    }
}

fn check(session: &Session) -> Result<(), Refusal> {
    match session.spec.input {
        StandardInput::Held => Ok(()),
        StandardInput::None => Err(Refusal::NoInput(session.id)),
    }
}

fn ended(session: &Session) -> Refusal {
    let outcome = session.verdict().map_or("unknown", |verdict| verdict.outcome());
    Refusal::Ended { session: session.id, status: session.status(), outcome: outcome.to_owned() }
}
