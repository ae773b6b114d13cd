//! Memory and store, and what a restart makes of them.

use candor_core::event::Cause;
use candor_core::input::Deadline;
use candor_core::session::{Revision, Session};
use candor_core::status::Status;

use super::history::SessionHistory;
use super::status::{durable, name};
use super::{Finding, History};
use crate::ghost::{Entry, Record, Writer};
use crate::timeline::names::SessionName;
use crate::world::Rest;

/// INV-29.
pub(super) fn memory_is_the_store(history: &History, rest: &Rest) -> Finding {
    rest.sessions.iter().find_map(|session| {
        let name = SessionName::of(session.id());
        let row = history.row(session.id());
        let stored = row.map_or(Revision::NONE, Session::revision);
        let known = session.session.revision();
        if known > stored {
            return Some(format!("{name} is at {known} in memory, at {stored} in the store"));
        }
        let differs = row.is_some_and(|row| row.machine != session.session.machine);
        (differs && !session.is_blocked)
            .then(|| format!("{name} is at {stored} in the store, not as in memory"))
    })
}

/// INV-30.
pub(super) fn live_is_driven(history: &History, rest: &Rest) -> Finding {
    let orphan = rest.sessions.iter().find(|session| {
        let is_with_process = match session.session.status() {
            Status::Starting | Status::Running | Status::WaitingInput | Status::Completing => true,
            Status::Queued | Status::Completed | Status::Failed | Status::Lost => false,
        };
        is_with_process && !session.is_blocked && !session.is_under_way && !session.has_process
    });
    if let Some(orphan) = orphan {
        let (name, status) = (SessionName::of(orphan.id()), orphan.session.status());
        return Some(format!("{name} is {status}, and the daemon holds no process of it"));
    }
    let unlimited = rest.sessions.iter().find(|session| {
        let works = matches!(session.session.status(), Status::Running | Status::WaitingInput);
        let has_limit = session.session.machine.policy().timeout_ms.is_some();
        let is_armed = session.deadlines.iter().any(|(kind, _)| *kind == Deadline::Timeout);
        works && has_limit && !is_armed && !session.is_blocked && !session.is_under_way
    });
    if let Some(unlimited) = unlimited {
        let name = SessionName::of(unlimited.id());
        return Some(format!("{name} has a time limit, and nobody waits for it"));
    }
    if !rest.is_up || !rest.is_quiescent {
        return None;
    }
    let mut live = history
        .sessions
        .iter()
        .filter(|(_, known)| known.row().is_some_and(|row| !row.status().is_terminal()));
    let (id, _) = live.find(|(id, _)| rest.sessions.iter().all(|driven| driven.id() != **id))?;
    Some(format!("{} is live, and nobody drives it", SessionName::of(*id)))
}

/// INV-31.
pub(super) fn is_idempotent(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let is_again = change.event.cause == Cause::Adopted && before?.machine.is_up();
    is_again.then(|| format!("{} takes over what was taken over", name(change)))
}

/// INV-30, on entry: who is asked to stop its sessions and leave, leaves none behind. Who leaves them
/// to their shims does what a crash between two happenings does.
pub(super) fn none_is_left_behind(history: &History, entry: &Entry) -> Finding {
    let Record::Left { usurped: false } = &entry.record else {
        return None;
    };
    let mut rows = history.sessions.values().filter_map(SessionHistory::row);
    let live = rows.find(|row| !row.status().is_terminal())?;
    Some(format!("the daemon leaves, and {} is {}", SessionName::of(live.id), live.status()))
}

/// INV-32.
pub(super) fn usurped_is_silent(history: &History, entry: &Entry) -> Finding {
    let Record::Durable { change, writer: Writer::Daemon(life), .. } = &entry.record else {
        return None;
    };
    let known = history.sessions.get(&change.session.id)?;
    let last = known.versions.last()?;
    // A daemon that was started after the second writer has left has the row to itself.
    let is_usurped = last.writer == Writer::Intruder && last.life + 1 == *life;
    is_usurped.then(|| format!("{} overwrites a second writer", name(change)))
}

/// INV-34: under a fair policy, what was to end has ended, and whoever asked has an answer.
pub(super) fn comes_to_an_end(history: &History, rest: &Rest) -> Finding {
    let unanswered = history
        .tickets
        .values()
        .find(|asked| asked.reply.is_none() && asked.life == history.life && rest.is_up);
    if let Some(asked) = unanswered {
        let name = SessionName::of(asked.session);
        return Some(format!("`{} {name}` is never answered", asked.request));
    }
    if !rest.is_quiescent {
        return Some("the world finds no rest".to_owned());
    }
    if rest.is_up
        && let Some(parent) = history.forgotten_parent()
    {
        let name = SessionName::of(parent);
        return Some(format!("{name} is continued, and nobody asks it to end"));
    }
    let mut rows = history.sessions.values().filter_map(SessionHistory::row);
    rows.find_map(|row| {
        let mut processes = history.processes.values();
        let process = processes.find(|process| process.session == row.id);
        let is_gone = process.is_some_and(|process| process.died.is_some());
        let resists = process.is_some_and(|process| process.resists);
        let name = SessionName::of(row.id);
        match row.status() {
            status if is_gone && !status.is_terminal() => {
                Some(format!("{name} is {status} for ever, and its process is gone"))
            }
            Status::Completing if !resists => Some(format!("{name} is completing for ever")),
            _ => None,
        }
    })
}
