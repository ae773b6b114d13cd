//! Edges, ranks, and what a change may touch.

use candor_core::event::Cause;
use candor_core::ports::Change;
use candor_core::session::Session;
use candor_core::status::Status;

use super::{Finding, History};
use crate::ghost::{Entry, Record, Told};
use crate::plan;
use crate::timeline::names::SessionName;
use crate::world::Rest;

/// Returns the change that an entry made durable, with the row before it.
pub(super) fn durable<'a>(
    history: &'a History,
    entry: &'a Entry,
) -> Option<(Option<&'a Session>, &'a Change)> {
    let Record::Durable { change, .. } = &entry.record else {
        return None;
    };
    Some((history.row(change.session.id), change))
}

/// Returns a change by the name that a reader of the timeline knows.
pub(super) fn name(change: &Change) -> String {
    let Change { session, .. } = change;
    format!("{}.{}", SessionName::of(session.id), session.revision())
}

/// INV-01.
pub(super) fn edges(history: &History, entry: &Entry) -> Finding {
    if let Record::Bug { message } = &entry.record {
        return Some(message.clone());
    }
    let (before, change) = durable(history, entry)?;
    let (from, to, cause) =
        (before.map(Session::status), change.session.status(), change.event.cause);
    if plan::is_edge(from, cause, to) {
        return None;
    }
    let from = from.map_or("nothing", Status::as_str);
    Some(format!("{} leads from {from} to {to} by {cause}", name(change)))
}

/// INV-04.
pub(super) fn absorbs(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let before = before.filter(|before| before.status().is_terminal())?;
    Some(format!("{} changes what had ended as {}", name(change), before.status()))
}

/// INV-07, on entry.
pub(super) fn running_needs_process(history: &History, entry: &Entry) -> Finding {
    let (_, change) = durable(history, entry)?;
    let shows_process = change.session.machine.is_up();
    let needs_process = matches!(change.session.status(), Status::Running | Status::WaitingInput);
    if needs_process && !shows_process {
        return Some(format!("{} has no process in its own row", name(change)));
    }
    let told = history.sessions.get(&change.session.id).map_or(&[][..], |known| &known.told);
    let came_up = told.iter().any(|told| matches!(told, Told::LaunchedUp(_) | Told::AttachedUp(_)));
    (shows_process && !came_up).then(|| format!("{} came up and nobody said so", name(change)))
}

/// INV-07, at rest.
pub(super) fn starting_does_not_last(_history: &History, rest: &Rest) -> Finding {
    let mut still =
        rest.sessions.iter().filter(|session| !session.is_blocked && !session.is_under_way);
    let stuck = still.find(|session| session.session.status() == Status::Starting)?;
    Some(format!("{} is starting, and nothing is under way", SessionName::of(stuck.id())))
}

/// INV-08. Within a session's life the order of these words is the order of time.
pub(super) fn rank(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let (from, to) = (before?.status(), change.session.status());
    (plan::rank(to) < plan::rank(from))
        .then(|| format!("{} falls from {from} to {to}", name(change)))
}

/// INV-16.
pub(super) fn touches_its_own(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let (before, after) = (before?, &change.session);
    let cause = change.event.cause;
    let stops = matches!(cause, Cause::Stop(_));
    let comes_up = matches!(cause, Cause::Spawned | Cause::Adopted | Cause::Reported);
    let climbs = stops || matches!(cause, Cause::Climbed(_));
    let (old, new) = (&before.machine, &after.machine);
    let reports = plan::may_report(old, cause);
    let may_stop = stops && !old.intent().is_some_and(plan::decides);
    let turns = matches!(cause, Cause::TurnEnded | Cause::TurnBegan);
    let touched = [
        ("the id", before.id != after.id, false),
        ("the parent", before.parent != after.parent, false),
        ("the spec", before.spec != after.spec, false),
        ("the policy", old.policy() != new.policy(), false),
        ("the time of creation", before.created_at != after.created_at, false),
        ("the intent", before.intent != after.intent, may_stop),
        ("the intent's kind", old.intent() != new.intent(), may_stop),
        ("the report", before.report != after.report, reports),
        ("the report's mark", old.report() != new.report(), reports),
        ("the start", before.started_at != after.started_at, comes_up),
        ("whether it is up", old.is_up() != new.is_up(), comes_up && new.is_up()),
        ("the rung", old.rung() != new.rung(), climbs && old.rung() < new.rung()),
        (
            "the open requests",
            old.requests_open() != new.requests_open(),
            matches!(cause, Cause::RequestOpened | Cause::RequestClosed)
                || new.requests_open() == 0,
        ),
        (
            "whether it waits for a message",
            old.awaits_message() != new.awaits_message(),
            turns || !new.awaits_message(),
        ),
        (
            "what passes without asking",
            before.bypass_until != after.bypass_until,
            cause == Cause::SettingsChanged,
        ),
    ];
    let (what, ..) = touched.into_iter().find(|(_, changed, may)| *changed && !*may)?;
    Some(format!("{} changes {what} by {cause}", name(change)))
}
