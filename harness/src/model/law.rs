//! What one change of a row must keep to, written down once more, without asking core.

use candor_core::event::Cause;
use candor_core::machine::Machine;
use candor_core::stop::StopKind;
use candor_core::verdict::{Completion, Verdict};

use crate::plan;

/// Returns the bit of an invariant's number.
pub(super) const fn bit(number: u8) -> u64 {
    1 << number
}

/// The bit for an input that only a bug can produce, or a panic of the model's own rules.
pub(super) const BUG: u64 = bit(0);

/// The bit that the canary sets: the last that is left.
pub(super) const CANARY: u64 = bit(63);

/// Returns the invariants that the change from `before` to `after` breaks by itself.
pub(super) fn judge_change(before: Option<&Machine>, after: &Machine, cause: Cause) -> u64 {
    let from = before.map(Machine::status);
    let mut broken = 0;
    let mut hold = |number: u8, holds: bool| {
        if !holds {
            broken |= bit(number);
        }
    };
    hold(1, plan::is_edge(from, cause, after.status()));
    hold(
        3,
        after.evidence().is_none_or(|evidence| after.verdict() == Some(plan::verdict(&evidence))),
    );
    hold(4, from.is_none_or(|from| !from.is_terminal()));
    hold(5, keeps_intent(after));
    hold(6, carries_reason(after));
    hold(8, from.is_none_or(|from| plan::rank(from) <= plan::rank(after.status())));
    let revision = before.map_or(0, |before| before.revision().number());
    hold(9, after.revision().number() == revision + 1);
    hold(16, before.is_none_or(|before| touches_its_own(before, after, cause)));
    hold(21, climbs_one_rung(before, after, cause));
    let first = before.and_then(Machine::intent).filter(|kind| plan::decides(*kind));
    hold(26, first.is_none_or(|kind| after.intent() == Some(kind)));
    let again = cause == Cause::Adopted && before.is_some_and(Machine::is_up);
    hold(31, !again);
    broken
}

/// What somebody asked to end is shown as that, unless the agent had reported success before.
fn keeps_intent(after: &Machine) -> bool {
    let is_shown = |kind: &StopKind| plan::decides(*kind) && *kind != StopKind::Timeout;
    let asked = after.intent().filter(is_shown);
    let (Some(kind), true) = (asked, after.status().is_terminal()) else {
        return true;
    };
    let had_won = after.report().is_some_and(|report| report.success && report.before_intent);
    had_won || after.verdict() == Some(Verdict::Completed(Completion::Interrupted(kind)))
}

fn carries_reason(after: &Machine) -> bool {
    let is_terminal = after.status().is_terminal();
    after.verdict().is_some() == is_terminal
        && after.end().is_some() == is_terminal
        && after.verdict().is_none_or(|verdict| verdict.status() == after.status())
}

fn touches_its_own(before: &Machine, after: &Machine, cause: Cause) -> bool {
    let stops = matches!(cause, Cause::Stop(_));
    let climbs = stops || matches!(cause, Cause::Climbed(_));
    let comes_up = matches!(cause, Cause::Spawned | Cause::Adopted | Cause::Reported);
    let asks = matches!(cause, Cause::RequestOpened | Cause::RequestClosed);
    let turns = matches!(cause, Cause::TurnEnded | Cause::TurnBegan);
    before.policy() == after.policy()
        && (stops || before.intent() == after.intent())
        && (plan::may_report(before, cause) || before.report() == after.report())
        && (turns || before.awaits_message() == after.awaits_message() || !after.awaits_message())
        && (climbs || before.rung() == after.rung())
        && (comes_up || before.is_up() == after.is_up())
        && (asks || before.requests_open() == after.requests_open() || after.requests_open() == 0)
}

/// A deadline climbs one rung, and only a stop may enter the ladder where it asks to.
fn climbs_one_rung(before: Option<&Machine>, after: &Machine, cause: Cause) -> bool {
    let below = before.and_then(Machine::rung);
    match cause {
        Cause::Climbed(rung) => plan::climbs(after.policy(), below, rung),
        Cause::Stop(_) => below <= after.rung(),
        _ => below == after.rung() || before.is_none(),
    }
}
