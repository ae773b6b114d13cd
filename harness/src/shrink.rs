//! Makes a failing schedule short: it leaves out choices for as long as the same thing happens.

use crate::random::Schedule;
use crate::relabel::Names;
use crate::replay::Run;
use crate::timeline::Choice;

/// Replays that one shrinking may cost, at most.
const REPLAYS_MAX: usize = 20_000;

/// Returns a schedule that breaks the same invariant, and from which no single choice can be left
/// out. A schedule that breaks none comes back as it is.
#[must_use]
pub fn shrink(schedule: Schedule) -> Schedule {
    let Some(key) = schedule.violations.first().map(|violation| violation.id) else {
        return schedule;
    };
    shrink_while(schedule, |candidate| {
        candidate.violations.first().is_some_and(|violation| violation.id == key)
    })
}

/// Returns a schedule of which `holds` is true as it is of this one, and of none that leaves out a
/// single choice more.
#[must_use]
pub fn shrink_while(schedule: Schedule, holds: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut best = schedule;
    let mut size = best.steps.len().div_ceil(2);
    let mut replays = 0;
    while size > 0 && replays < REPLAYS_MAX {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < best.steps.len() && replays < REPLAYS_MAX {
            let mut steps = best.steps.clone();
            steps.drain(at..steps.len().min(at + size));
            replays += 1;
            let candidate = replay(best.seed, &steps, best.ends_fair);
            if candidate.steps.len() < best.steps.len() && holds(&candidate) {
                best = candidate;
                has_shrunk = true;
            } else {
                at += size;
            }
        }
        if !has_shrunk {
            size /= 2;
        }
    }
    best
}

/// Runs what is enabled of these choices, under the names that things have then.
fn replay(seed: u64, steps: &[(u64, Choice)], ends_fair: bool) -> Schedule {
    let mut run = Run::default();
    let mut made = Vec::new();
    let mut names = Names::default();
    for (at_ms, choice) in steps {
        let fitting = names.fit(run.world(), choice);
        if let Some(choice) = fitting.filter(|choice| run.choose(*at_ms, choice).is_ok()) {
            made.push((*at_ms, choice));
        }
        if !run.violations().is_empty() {
            break;
        }
    }
    let ends_fair = ends_fair && run.violations().is_empty();
    if ends_fair {
        run.finish_fair();
    }
    Schedule::of(seed, made, ends_fair, &run)
}
