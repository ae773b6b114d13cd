//! Everything passes for a while, when the user says so.

use candor_core::agent::Decision;
use candor_core::happening::Happening;
use candor_core::session::Session;
use candor_core::stop::Actor;
use candor_core::time::Timestamp;

use super::permission::QUESTION;

/// Says whether everything passes now. Its end is told with its beginning, so nothing has to happen
/// when it comes.
pub(super) fn is_on(session: &Session, now: Timestamp) -> bool {
    session.bypass_until.is_some_and(|until| now < until)
}

/// Returns the answer to a request that was open when everything began to pass, if there is one.
pub(super) fn answer_of(session: &Session, now: Timestamp) -> Option<Happening> {
    if !is_on(session, now) {
        return None;
    }
    let mut open = session.requests.iter().filter(|request| request.is_open());
    let open = open.find(|request| request.asked.tool != QUESTION)?;
    let decision = Decision { approved: true, message: None, by: Actor::Daemon };
    Some(Happening::Answered { number: open.number, decision: Box::new(decision) })
}
