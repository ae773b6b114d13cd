//! What callers are told.

use candor_core::event::Cause;
use candor_core::status::Status;
use candor_core::stop::{Actor, Rung, StopKind};

use super::history::{SessionHistory, TicketHistory};
use super::status::{durable, name};
use super::{Finding, History};
use crate::ghost::{Entry, Record, Reply, Request, Standing, Ticket, Writer};
use crate::plan;
use crate::timeline::names::SessionName;

/// Returns the request that an entry answers, and the answer.
fn answered<'a>(history: &'a History, entry: &Entry) -> Option<(Ticket, &'a TicketHistory, Reply)> {
    let Record::Replied { ticket, reply } = &entry.record else {
        return None;
    };
    Some((*ticket, history.tickets.get(ticket)?, *reply))
}

/// Says in words who is told what.
fn told(asked: &TicketHistory, reply: Reply) -> String {
    format!("`{} {}` is told `{reply}`", asked.request, SessionName::of(asked.session))
}

/// INV-25.
pub(super) fn accepted_is_durable(history: &History, entry: &Entry) -> Finding {
    let (_, asked, reply) = answered(history, entry)?;
    if let (Request::Stop(_), Reply::NotNow) = (asked.request, reply) {
        return Some(told(asked, reply));
    }
    let (Request::Stop(kind), Reply::Accepted | Reply::AlreadyStopping(_)) = (asked.request, reply)
    else {
        return None;
    };
    let row = history.row(asked.session);
    let is_honoured = row.is_some_and(|row| {
        let has_rung = row.machine.rung() >= Some(first_rung(kind));
        (row.intent.is_some() && has_rung) || row.status().is_terminal()
    });
    (!is_honoured).then(|| format!("{}, and no intent with its rung is stored", told(asked, reply)))
}

/// Returns the rung at which a stop of this kind starts.
const fn first_rung(kind: StopKind) -> Rung {
    match kind {
        StopKind::Kill => Rung::Kill,
        StopKind::Interrupt
        | StopKind::Timeout
        | StopKind::Shutdown
        | StopKind::Superseded
        | StopKind::Finish => Rung::Ask,
    }
}

/// INV-26.
pub(super) fn idempotent(history: &History, entry: &Entry) -> Finding {
    if let Some((_, asked, reply)) = answered(history, entry) {
        let (Request::Stop(_), Reply::Accepted) = (asked.request, reply) else {
            return None;
        };
        let known = history.sessions.get(&asked.session)?;
        let was_stopping = known.versions[..asked.versions_before]
            .iter()
            .filter_map(|version| version.change.session.intent)
            .any(|intent| {
                plan::decides(intent.kind) || asked.request == Request::Stop(intent.kind)
            });
        return was_stopping.then(|| format!("{}, and it was stopping", told(asked, reply)));
    }
    let (before, change) = durable(history, entry)?;
    if let (None, Some(parent)) = (before, change.session.parent) {
        let mut rows = history.sessions.values().filter_map(SessionHistory::row);
        let other = rows.find(|row| row.parent == Some(parent) && !row.status().is_terminal());
        return other.map(|row| {
            format!("{} continues what {} continues", name(change), SessionName::of(row.id))
        });
    }
    let (Cause::Stop(kind), Some(before)) = (change.event.cause, before) else {
        return None;
    };
    let is_first =
        before.intent.is_none_or(|intent| !plan::decides(intent.kind) && plan::decides(kind));
    let has_it_all = !is_first && before.machine.rung() >= Some(first_rung(kind));
    has_it_all.then(|| format!("{} changes a session that was stopping", name(change)))
}

/// INV-27.
pub(super) fn truthful(history: &History, entry: &Entry) -> Finding {
    if let Some((ticket, asked, reply)) = answered(history, entry) {
        let is_true = is_true(history, ticket, asked, reply);
        return (!is_true).then(|| format!("{}, which is not so", told(asked, reply)));
    }
    if let Record::LaunchCalled { session } = &entry.record {
        let mut births = history.tickets.values().filter(|asked| {
            let is_birth =
                !matches!(asked.request, Request::Stop(_) | Request::Approve(_) | Request::Bypass);
            asked.session == *session && is_birth
        });
        // Only the last who asked counts: a draft may be started again. A daemon that was started
        // since knows only the row.
        let asked = births
            .next_back()
            .filter(|asked| asked.reply == Some(Reply::Unclear) && asked.life == history.life)?;
        return Some(format!("{}, and starts", told(asked, Reply::Unclear)));
    }
    let (_, change) = durable(history, entry)?;
    let (Cause::Stop(kind), Record::Durable { writer: Writer::Daemon(_), .. }) =
        (change.event.cause, &entry.record)
    else {
        return None;
    };
    // The time limit is nobody's command, and who waits too long is finished by nobody's either.
    let is_idle = kind == StopKind::Finish && change.event.by == Actor::Daemon;
    if kind == StopKind::Timeout || is_idle {
        return None;
    }
    let mut open = history.tickets.values().filter(|asked| {
        let is_open = matches!(asked.reply, None | Some(Reply::Unclear));
        // What was to finish before it was begun is called off.
        let is_called_off = kind == StopKind::Interrupt
            && change.event.from == Some(Status::Queued)
            && asked.request == Request::Stop(StopKind::Finish);
        let is_it = asked.request == Request::Stop(kind) || is_called_off;
        asked.session == change.session.id && is_it && is_open
    });
    open.next().is_none().then(|| format!("{} does what was refused", name(change)))
}

fn is_true(history: &History, ticket: Ticket, asked: &TicketHistory, reply: Reply) -> bool {
    let row = history.row(asked.session);
    match reply {
        Reply::Accepted => match asked.request {
            Request::Launch | Request::Queue { .. } | Request::Start | Request::Continue { .. } => {
                row.is_some()
            }
            Request::Approve(approval) => history.standing(approval) == Some(Standing::Answered),
            // Where it is left as it is, the end is decided, and nothing is asked any more.
            Request::Bypass => row.is_some_and(|row| {
                row.bypass_until.is_some() || row.status() == Status::Completing
            }),
            Request::Stop(kind) => row.is_some_and(|row| {
                row.intent.is_some_and(|intent| intent.kind == kind) || row.status().is_terminal()
            }),
        },
        Reply::AlreadyStopping(kind) => {
            row.is_some_and(|row| row.intent.is_some_and(|intent| intent.kind == kind))
        }
        Reply::AlreadyEnded(verdict) => row.is_some_and(|row| row.verdict() == Some(verdict)),
        Reply::Unavailable => !was_done(history, ticket, asked),
        Reply::Unclear => true,
        Reply::Leaving | Reply::NoSession => row.is_none(),
        Reply::AlreadyStarted => history.is_started(ticket, asked.session),
        Reply::AlreadyContinued => history.is_continued(ticket, asked),
        Reply::TooLate => !is_open(history, asked.request),
        Reply::NotNow => false,
    }
}

/// Whether what was asked about is still open.
fn is_open(history: &History, request: Request) -> bool {
    match request {
        Request::Approve(approval) => history.standing(approval) == Some(Standing::Open),
        Request::Launch
        | Request::Queue { .. }
        | Request::Stop(_)
        | Request::Continue { .. }
        | Request::Bypass
        | Request::Start => true,
    }
}

/// Whether what was asked is durable since it was asked, and nobody else can have asked for it.
fn was_done(history: &History, ticket: Ticket, asked: &TicketHistory) -> bool {
    let Some(known) = history.sessions.get(&asked.session) else {
        return false;
    };
    let since = &known.versions[asked.versions_before..];
    let is_asked_by_others = history.tickets.iter().any(|(other, theirs)| {
        *other != ticket && theirs.session == asked.session && theirs.request == asked.request
    });
    match asked.request {
        Request::Launch | Request::Queue { .. } | Request::Start | Request::Continue { .. } => {
            !since.is_empty()
        }
        Request::Approve(approval) => history.standing(approval) == Some(Standing::Answered),
        Request::Bypass => {
            let sets = |cause| cause == Cause::SettingsChanged;
            !is_asked_by_others && since.iter().any(|version| sets(version.change.event.cause))
        }
        Request::Stop(kind) => {
            let is_stop = |cause| cause == Cause::Stop(kind);
            !is_asked_by_others
                && since.iter().any(|version| {
                    is_stop(version.change.event.cause)
                        && matches!(version.writer, Writer::Daemon(_))
                })
        }
    }
}

/// INV-35.
pub(super) fn answers_are_given_once(history: &History, entry: &Entry) -> Finding {
    let Record::AnswerGiven { process, approval } = &entry.record else {
        return None;
    };
    if history.answers_given.contains(approval) {
        return Some(format!("{process} gets the answer to {approval} once more"));
    }
    let is_stored = history.standing(*approval) == Some(Standing::Answered);
    (!is_stored).then(|| format!("{process} gets an answer to {approval} that is in no row"))
}
