//! What an end means, judged from the facts that the log holds.

use candor_core::agent::Request;
use candor_core::event::Cause;
use candor_core::ports::Change;
use candor_core::session::Session;
use candor_core::status::Status;
use candor_core::stop::{Intent, StopKind};
use candor_core::verdict::{Completion, End, Exit, Failure, LostReason, Verdict};

use super::history::SessionHistory;
use super::status::{durable, name};
use super::{Finding, History};
use crate::ghost::{Entry, Record, Told, Writer};
use crate::plan;
use crate::timeline::names::ApprovalName;

/// INV-02.
pub(super) fn facts(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let Record::Durable { writer: Writer::Daemon(_), .. } = entry.record else {
        return None;
    };
    let known = history.sessions.get(&change.session.id)?;
    let machine = &change.session.machine;
    if machine.status() == Status::Running
        && let Some(approval) = history.open_approval(change.session.id)
        && !is_closed_by(change, approval)
    {
        return Some(format!("{} runs, and {approval} is open", name(change)));
    }
    if change.event.cause == Cause::Reported {
        let decides = |intent: Intent| plan::decides(intent.kind);
        let came_first = !before.and_then(|before| before.intent).is_some_and(decides);
        let says_first = machine.report().is_some_and(|mark| mark.before_intent);
        if came_first != says_first {
            let order = if came_first { "before" } else { "after" };
            return Some(format!("{} has a report that came {order} the intent", name(change)));
        }
    }
    if let Some(mark) = machine.report()
        && !known.reports.contains(&mark.success)
    {
        return Some(format!("{} has a report that the agent did not give", name(change)));
    }
    let (end, verdict) = machine.end().zip(machine.verdict())?;
    if !is_known(history, known, end) {
        return Some(format!("{} ends by {end:?}, which nobody has said", name(change)));
    }
    let expected = plan::verdict(&machine.evidence()?);
    (verdict != expected).then(|| format!("{} is {verdict}, should be {expected}", name(change)))
}

/// Says whether a change is the one in which something that was asked is answered or withdrawn.
fn is_closed_by(change: &Change, approval: ApprovalName) -> bool {
    let named = |request: &&Request| request.asked.agent_id == approval.to_string();
    change.session.requests.iter().find(named).is_some_and(|request| !request.is_open())
}

/// Whether somebody who could know it has told the daemon of this end, and it is the truth.
fn is_known(history: &History, known: &SessionHistory, end: End) -> bool {
    let was_told = |wanted: Told| known.told.contains(&wanted);
    let mut processes = known
        .processes
        .iter()
        .filter_map(|process| history.processes.get(process).map(|state| (*process, state)));
    match end {
        End::Refused { stage, errno } => was_told(Told::LaunchRefused(stage, errno)),
        End::NeverRan => was_told(Told::AttachNeverRan) || known.launches == 0,
        End::Exited { exit, oom_killed } => processes.any(|(process, state)| {
            let was_seen = matches!(state.seen, Some((_, None)));
            state.died == Some((exit, oom_killed))
                && (was_seen || was_told(Told::AttachEnded(process)))
        }),
        End::Unknown(reason) => {
            let record_is_wrong = reason == LostReason::BadRecord && was_told(Told::AttachNeverRan);
            was_told(Told::AttachLost(reason))
                || record_is_wrong
                || processes
                    .any(|(_, state)| matches!(state.seen, Some((_, Some(seen))) if seen == reason))
        }
    }
}

/// INV-24.
pub(super) fn output_is_read(history: &History, entry: &Entry) -> Finding {
    let (_, change) = durable(history, entry)?;
    let was_seen = matches!(change.session.machine.end(), Some(End::Exited { .. }));
    let has_unread = history.sessions.get(&change.session.id)?.has_unread;
    (was_seen && has_unread).then(|| format!("{} ends before its report is read", name(change)))
}

/// INV-03.
pub(super) fn is_a_function(history: &History, entry: &Entry) -> Finding {
    let (_, change) = durable(history, entry)?;
    let (evidence, verdict) = change.session.evidence().zip(change.session.verdict())?;
    let mut earlier = history.verdicts.iter().filter(|(known, _)| *known == evidence);
    let (_, other) = earlier.find(|(_, known)| *known != verdict)?;
    Some(format!("{} is {verdict}, and the same evidence was {other} before", name(change)))
}

/// INV-05.
pub(super) fn interrupted(history: &History, entry: &Entry) -> Finding {
    let (_, change) = durable(history, entry)?;
    let verdict = change.session.verdict()?;
    let known = history.sessions.get(&change.session.id)?;
    let rows = || known.versions.iter().map(|version| &version.change.session);
    let asked = rows()
        .filter_map(|row| row.intent)
        .find(|intent| plan::decides(intent.kind))
        .or(change.session.intent);
    let reported = rows().any(|row| row.machine.report().is_some());
    // The last word before somebody wanted another end.
    let first_said_success = rows()
        .take_while(|row| !row.intent.is_some_and(|intent| plan::decides(intent.kind)))
        .last()
        .is_some_and(|row| row.machine.report().is_some_and(|report| report.success));
    match asked.map(|intent| intent.kind) {
        // Rule 1: the work was done before anybody asked.
        Some(_) if first_said_success => None,
        // Nothing was asked of how it ends.
        Some(StopKind::Timeout | StopKind::Finish) => None,
        Some(kind) if verdict == Verdict::Completed(Completion::Interrupted(kind)) => None,
        Some(kind) => Some(format!("{} is {verdict}, and {kind} was asked", name(change))),
        None if known.signals.is_empty() || reported => None,
        None => Some(format!("{} is {verdict}, and we had signalled it", name(change))),
    }
}

/// INV-06.
pub(super) fn carries_reason(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let (session, at) = (&change.session, change.event.at);
    let is_terminal = session.status().is_terminal();
    let was_up = before.is_some_and(|before| before.machine.is_up());
    let came_up = !was_up && session.machine.is_up();
    let wrong = [
        ("no verdict in a terminal status", is_terminal != session.verdict().is_some()),
        ("a verdict of another status", shows_another(session)),
        ("no evidence for its verdict", is_terminal != session.evidence().is_some()),
        ("no reason that bears out its verdict", !is_borne_out(session)),
        (
            "a report that is not kept",
            session.machine.report().is_some() != session.report.is_some(),
        ),
        ("an exit without its witness", session.exit().is_some() != has_witness(session)),
        ("an end at another time", session.ended_at != is_terminal.then_some(at)),
        ("a start without a process", session.started_at.is_some() != session.machine.is_up()),
        ("a start at another time", came_up && session.started_at != Some(at)),
        ("an intent of another kind", kind_of(session) != session.machine.intent()),
        (
            "an intent at another time",
            before.is_none_or(|before| before.intent != session.intent)
                && session.intent.is_some_and(|intent| intent.at != at),
        ),
    ];
    let (what, _) = wrong.into_iter().find(|(_, is_so)| *is_so)?;
    Some(format!("{} has {what}", name(change)))
}

const fn has_witness(session: &Session) -> bool {
    session.sighting.witness.is_some()
}

fn kind_of(session: &Session) -> Option<StopKind> {
    session.intent.map(|intent| intent.kind)
}

fn shows_another(session: &Session) -> bool {
    let status = session.verdict().map(|verdict| match verdict {
        Verdict::Completed(_) => Status::Completed,
        Verdict::Failed(_) => Status::Failed,
        Verdict::Lost(_) => Status::Lost,
    });
    status.is_some_and(|status| status != session.status())
}

/// Whether the row itself holds what a reader needs in order to believe the verdict.
fn is_borne_out(session: &Session) -> bool {
    let said = session.report.as_ref().map(|report| report.success);
    match session.verdict() {
        None => true,
        Some(Verdict::Completed(Completion::Succeeded)) => {
            let codes = session.machine.policy().success_codes;
            let is_clean = |exit| matches!(exit, Exit::Code(code) if codes.contains(code));
            let is_finished = kind_of(session) == Some(StopKind::Finish) && said.is_none();
            let is_ours = is_finished && session.exit().is_some();
            said == Some(true) || session.exit().is_some_and(is_clean) || is_ours
        }
        Some(Verdict::Completed(Completion::Interrupted(kind))) => kind_of(session) == Some(kind),
        Some(Verdict::Failed(Failure::TimedOut)) => kind_of(session) == Some(StopKind::Timeout),
        Some(Verdict::Failed(Failure::AgentError)) => said == Some(false),
        Some(Verdict::Failed(Failure::Spawn { .. } | Failure::NeverRan)) => {
            !session.machine.is_up() && session.exit().is_none()
        }
        Some(Verdict::Failed(
            Failure::NoReport
            | Failure::OomKill
            | Failure::Signal(_)
            | Failure::CoreDump(_)
            | Failure::ExitCode(_),
        )) => session.exit().is_some(),
        Some(Verdict::Lost(_)) => session.exit().is_none(),
    }
}
