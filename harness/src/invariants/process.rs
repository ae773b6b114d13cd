//! Processes, signals and the ladder.

use std::num::{NonZeroU32, NonZeroU64};

use candor_core::event::Cause;
use candor_core::input::Deadline;
use candor_core::machine::Policy;
use candor_core::ports::Delivery;
use candor_core::status::Status;
use candor_core::stop::{Actor, Rung, StopKind};

use super::history::rung_of;
use super::status::{durable, name};
use super::{Finding, History};
use crate::ghost::{Entry, Record, word_of};
use crate::timeline::names::SessionName;
use crate::world::Rest;

/// INV-17.
pub(super) fn durable_before_signal(history: &History, entry: &Entry) -> Finding {
    let Record::SignalCalled { process, signal } = &entry.record else {
        return None;
    };
    let (_, known) = history.owner(*process)?;
    let row = known.row();
    let stored = row.and_then(|row| row.machine.rung());
    let rung = rung_of(*signal, stored)?;
    let has_reason = row.is_some_and(|row| row.intent.is_some() || row.report.is_some());
    let word = word_of(*signal);
    if !has_reason {
        return Some(format!("{word} goes to {process}, and no row says why"));
    }
    (stored != Some(rung)).then(|| {
        let stored = stored.map_or("none", Rung::as_str);
        format!("{word} goes to {process}, and the stored rung is {stored}")
    })
}

/// INV-18.
pub(super) fn signals_only_ours(history: &History, entry: &Entry) -> Finding {
    let (process, signal) = match &entry.record {
        Record::SignalCalled { process, signal } | Record::SignalTaken { process, signal, .. } => {
            (*process, *signal)
        }
        _ => return None,
    };
    let word = word_of(signal);
    let Some(state) = history.processes.get(&process) else {
        return Some(format!("{word} goes to {process}, which nobody made"));
    };
    if let Record::SignalTaken { delivery, .. } = &entry.record {
        let hits_the_dead = *delivery == Delivery::Delivered && state.was_dead_at_signal;
        return hits_the_dead.then(|| format!("{word} reached {process} after its end"));
    }
    if state.held_in != Some(history.life) {
        return Some(format!("{word} goes to {process}, of which this daemon knows nothing"));
    }
    let row = history.row(state.session)?;
    row.status().is_terminal().then(|| format!("{word} goes to {process}, whose session has ended"))
}

/// INV-19.
pub(super) fn one_process(history: &History, entry: &Entry) -> Finding {
    let (session, what) = match &entry.record {
        Record::LaunchCalled { session } => (session, "launch"),
        Record::Forked { session, .. } => (session, "process"),
        _ => return None,
    };
    let known = history.sessions.get(session)?;
    let is_second = if what == "launch" { known.launches > 0 } else { !known.processes.is_empty() };
    is_second.then(|| format!("{} has a second {what}", SessionName::of(*session)))
}

/// INV-20.
pub(super) fn seen_once(history: &History, entry: &Entry) -> Finding {
    let Record::Seen { process, .. } = &entry.record else {
        return None;
    };
    let state = history.processes.get(process)?;
    if state.died.is_none() {
        return Some(format!("the end of {process} is told while it lives"));
    }
    let is_again = state.seen.is_some_and(|(life, _)| life == history.life);
    is_again.then(|| format!("the end of {process} is told twice"))
}

/// INV-21, on entry: rungs rise, and none but the first is reached before the grace below is over.
pub(super) fn ladder(history: &History, entry: &Entry) -> Finding {
    if let Record::SignalCalled { process, signal } = &entry.record {
        let (_, known) = history.owner(*process)?;
        let rung = rung_of(*signal, known.row().and_then(|row| row.machine.rung()))?;
        let last = known.signals.last().filter(|last| last.rung >= rung)?;
        return Some(format!("{} follows {} for {process}", rung.as_str(), last.rung));
    }
    if let Some(finding) = time_limit(history, entry) {
        return Some(finding);
    }
    let (before, change) = durable(history, entry)?;
    let Cause::Climbed(rung) = change.event.cause else {
        return None;
    };
    let below = before?.machine.rung()?;
    let known = history.sessions.get(&change.session.id)?;
    let Some(sent) = known.signals.iter().rev().find(|sent| sent.rung == below) else {
        return Some(format!("{} climbs to {rung}, and {below} was never sent", name(change)));
    };
    let grace_ms = grace_ms(before?.machine.policy(), below, sent.intent);
    let waited_ms = entry.at_ms.saturating_sub(sent.at_ms);
    (waited_ms < grace_ms).then(|| {
        format!("{} climbs to {rung} {waited_ms} ms after {below}, not {grace_ms}", name(change))
    })
}

/// INV-21, on entry: a time limit is not over before its time, and nobody is finished for waiting who
/// waits for no message or for an answer as well.
fn time_limit(history: &History, entry: &Entry) -> Finding {
    let (before, change) = durable(history, entry)?;
    let is_idle = change.event.cause == Cause::Stop(StopKind::Finish);
    if is_idle && change.event.by == Actor::Daemon {
        let machine = &before?.machine;
        let waits = machine.awaits_message() && machine.requests_open() == 0;
        return (!waits).then(|| format!("{} is finished, and waits for no message", name(change)));
    }
    let limit_ms = change.session.machine.policy().timeout_ms.map(NonZeroU64::get);
    if change.event.cause != Cause::Stop(StopKind::Timeout) {
        return None;
    }
    let (Some(started_at), Some(limit_ms)) = (before?.started_at, limit_ms) else {
        return Some(format!("{} is over a limit that it does not have", name(change)));
    };
    let ran_ms = change.event.at.as_millisecond().abs_diff(started_at.as_millisecond());
    (ran_ms < limit_ms)
        .then(|| format!("{} is over its limit after {ran_ms} ms, not {limit_ms}", name(change)))
}

/// INV-21, at rest: the next rung comes some day, and not before the grace of this one is over.
pub(super) fn ladder_is_armed(history: &History, rest: &Rest) -> Finding {
    rest.sessions.iter().filter(|session| !session.is_blocked).find_map(|session| {
        let machine = &session.session.machine;
        if machine.status() != Status::Completing {
            return None;
        }
        let name = SessionName::of(session.id());
        let mut processes = history.processes.values();
        if processes.any(|process| process.session == session.id() && process.owes_continue) {
            return Some(format!("{name}: a stopped process was not continued after its signal"));
        }
        let wanted = match machine.rung() {
            None => Deadline::Linger,
            Some(Rung::Kill) => return None,
            Some(rung) => Deadline::RungOver(rung),
        };
        let armed = session.deadlines.iter().find(|(deadline, _)| *deadline == wanted);
        match (armed, session.has_process) {
            (None, true) => Some(format!("{name}: nothing will climb to the next rung")),
            (Some(_), false) => Some(format!("{name}: a grace runs, and nobody has its process")),
            (None, false) => None,
            (Some((_, at_ms)), true) => {
                let known = history.sessions.get(&session.id())?;
                let sent = known.signals.last().filter(|sent| machine.rung() == Some(sent.rung))?;
                let waits_ms = at_ms.saturating_sub(sent.at_ms);
                let grace_ms = grace_ms(machine.policy(), sent.rung, sent.intent);
                (waits_ms < grace_ms)
                    .then(|| format!("{name}: {} gets {waits_ms} ms, not {grace_ms}", sent.rung))
            }
        }
    })
}

/// Returns how long a rung waits, or 0 for the last.
fn grace_ms(policy: &Policy, rung: Rung, intent: Option<StopKind>) -> u64 {
    let optional_ms = |grace_ms: Option<NonZeroU32>| grace_ms.map_or(0, NonZeroU32::get);
    u64::from(match rung {
        // A turn may come to its end.
        Rung::Ask if intent == Some(StopKind::Finish) => policy.graces.linger_ms,
        Rung::Ask => optional_ms(policy.graces.ask_ms),
        Rung::Interrupt => policy.graces.interrupt_ms,
        Rung::InterruptAgain => optional_ms(policy.graces.interrupt_again_ms),
        Rung::Terminate => policy.graces.terminate_ms,
        Rung::Kill => 0,
    })
}

/// INV-22.
pub(super) fn terminal_is_gone(history: &History, entry: &Entry) -> Finding {
    let (_, change) = durable(history, entry)?;
    let has_ended = change.session.status().is_terminal();
    (has_ended && history.has_live_process(change.session.id))
        .then(|| format!("{} has ended, and its process lives", name(change)))
}
