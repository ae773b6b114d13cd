//! From the row to the eyes of a client: revisions, events, wake-ups.

use candor_core::session::{Revision, Session};
use candor_core::status::Status;

use super::status::{durable, name};
use super::{Finding, History};
use crate::ghost::{Entry, Record, Standing, Writer};
use crate::timeline::names::SessionName;
use crate::world::{ClientRest, Rest};

/// INV-09.
pub(super) fn revisions(history: &History, entry: &Entry) -> Finding {
    if let Record::Bypass { session, revision, replaces, .. } = &entry.record {
        let last = history.bypasses.get(session).map_or(0, |bypass| bypass.revision);
        let follows = (*replaces, *revision) == (last, last + 1);
        return (!follows).then(|| format!("bypass {revision} was set over {last}, blind"));
    }
    let (before, change) = durable(history, entry)?;
    let Record::Durable { seq, .. } = &entry.record else {
        return None;
    };
    let last = before.map_or(Revision::NONE, Session::revision);
    if change.expected != last {
        return Some(format!("{} was written over revision {last}, blind", name(change)));
    }
    if change.session.revision() != last.next() {
        return Some(format!("{} follows revision {last}", name(change)));
    }
    let last = history.last_seq();
    (*seq <= last).then(|| format!("{} has the place {seq}, after {last}", name(change)))
}

/// INV-10.
pub(super) fn events(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let (session, event) = (&change.session, &change.event);
    let known = history.sessions.get(&session.id);
    let is_repeated = known.is_some_and(|known| {
        known.versions.iter().any(|version| version.change.event.id == event.id)
    });
    let wrong = [
        ("of another session", event.session != session.id),
        ("of another revision", event.revision != session.revision()),
        ("from another status", event.from != before.map(Session::status)),
        ("to another status", event.to != session.status()),
        ("with another verdict", event.verdict != session.verdict()),
        ("that was told before", is_repeated),
    ];
    let (what, _) = wrong.into_iter().find(|(_, is_so)| *is_so)?;
    Some(format!("{} has an event {what}", name(change)))
}

/// INV-11.
pub(super) fn published_is_durable(history: &History, entry: &Entry) -> Finding {
    let Record::Published { seq } = &entry.record else {
        return None;
    };
    let last = history.last_seq();
    (*seq > last).then(|| format!("{seq} was published, and only {last} is durable"))
}

/// INV-12.
pub(super) fn delivered_in_order(history: &History, entry: &Entry) -> Finding {
    let (client, seq, is_event) = match &entry.record {
        Record::Delivered { client, seq } => (client, *seq, true),
        Record::Connected { client, cursor } => (client, *cursor, false),
        _ => return None,
    };
    let cursor = history.cursors.get(client).copied().unwrap_or_default();
    if !is_event {
        return (seq != cursor)
            .then(|| format!("{client} goes on after {seq}, and has read up to {cursor}"));
    }
    let next = history.durable.iter().map(|(seq, _)| *seq).find(|next| *next > cursor);
    (next != Some(seq)).then(|| {
        let next = next.map_or_else(|| "nothing".to_owned(), |next| next.to_string());
        format!("{client} was given {seq} where {next} came next")
    })
}

/// INV-13.
pub(super) fn all_is_published(history: &History, rest: &Rest) -> Finding {
    if !rest.is_up || !rest.is_quiescent {
        return None;
    }
    if history.bypasses.values().any(|bypass| bypass.told < bypass.revision) {
        return Some("a bypass was changed, and nobody was told".to_owned());
    }
    let present = Writer::Daemon(history.life + 1);
    let last = history.durable.iter().rev().find(|(_, writer)| *writer == present);
    let (seq, _) = last.filter(|(seq, _)| *seq > history.published)?;
    Some(format!("{seq} is durable, and {} was published last", history.published))
}

/// INV-14, on entry.
pub(super) fn views_do_not_go_back(history: &History, entry: &Entry) -> Finding {
    let Record::Shown { client, session, revision, status } = &entry.record else {
        return None;
    };
    let known = history.shown.get(&(*client, *session)).filter(|known| *known >= revision)?;
    let name = SessionName::of(*session);
    Some(format!("{client} shows {name} as {status} of {revision}, after {known}"))
}

/// INV-14, at rest.
pub(super) fn clients_are_up_to_date(history: &History, rest: &Rest) -> Finding {
    if !rest.is_quiescent {
        return None;
    }
    let last = history.last_seq();
    let mut reading = rest.clients.iter().filter(|client| !client.is_stalled);
    reading.find_map(|ClientRest { client, cursor, shown, .. }| {
        if *cursor != last {
            return Some(format!("{client} has read {cursor}, and {last} is durable"));
        }
        let mut rows = history.sessions.keys().filter(|id| history.row(**id).is_some());
        let missing = rows.find(|id| shown.iter().all(|(known, _)| known != *id));
        if let Some(id) = missing {
            return Some(format!("{client} does not show {}", SessionName::of(*id)));
        }
        let wrong = shown
            .iter()
            .find(|(id, status)| history.row(*id).is_some_and(|row| row.status() != *status));
        wrong.map(|(id, status)| format!("{client} shows {} as {status}", SessionName::of(*id)))
    })
}

/// INV-15.
pub(super) fn nobody_is_held_up(_history: &History, rest: &Rest) -> Finding {
    let session = rest.held_up.first()?;
    Some(format!("{} could go on, and waits", SessionName::of(*session)))
}

/// INV-28.
pub(super) fn lists_are_the_store(history: &History, rest: &Rest) -> Finding {
    let mut waiting = rest.sessions.iter().filter(|session| {
        let is_still = !session.is_blocked && !session.is_under_way;
        let machine = &session.session.machine;
        is_still && machine.status() == Status::WaitingInput && !machine.awaits_message()
    });
    let unasked = waiting.find(|session| {
        let mut own = history.approvals.values().filter(|(id, _)| *id == session.id()).peekable();
        own.peek().is_some() && own.all(|(_, standing)| *standing != Standing::Open)
    });
    if let Some(session) = unasked {
        let name = SessionName::of(session.id());
        return Some(format!("{name} waits for its user, who has nothing to answer"));
    }
    let mut asked = history.approvals.iter();
    let (approval, (session, standing)) = asked.find(|(name, (_, standing))| {
        (*standing == Standing::Open) != rest.approvals_listed.contains(name)
    })?;
    let name = SessionName::of(*session);
    Some(format!("{approval} of {name} is {standing}, and users are shown otherwise"))
}
