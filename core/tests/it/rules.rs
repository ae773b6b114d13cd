//! Section 3 of the plan as data: twelve rules, each with what it asks and what it says.
//!
//! Written from the plan and not from core, so that the two can be compared. It must not call
//! `judge`.

use candor_core::stop::{Rung, StopKind};
use candor_core::verdict::{
    Completion, End, Evidence, Exit, Failure, LostReason, ReportMark, SpawnStage, Verdict,
};

pub(crate) struct Rule {
    pub(crate) number: u8,
    /// What the rule says of this evidence, or `None` where it does not fit.
    says: fn(&Evidence) -> Option<Verdict>,
}

/// In the order of the plan.
pub(crate) const RULES: [Rule; 12] = [
    Rule { number: 1, says: success_before_the_intent },
    Rule { number: 2, says: somebody_asked },
    Rule { number: 3, says: time_was_over },
    Rule { number: 4, says: never_a_process },
    Rule { number: 5, says: says_success },
    Rule { number: 6, says: says_error },
    Rule { number: 7, says: silent_though_it_always_reports },
    Rule { number: 8, says: out_of_memory },
    Rule { number: 9, says: ended_by_a_signal },
    Rule { number: 10, says: code_in_the_set },
    Rule { number: 11, says: any_other_code },
    Rule { number: 12, says: nobody_saw },
];

const SUCCEEDED: Verdict = Verdict::Completed(Completion::Succeeded);
const SIGKILL: u8 = 9;

/// Returns the number of the first rule that fits, and what it says.
pub(crate) fn first_that_fits(evidence: &Evidence) -> (u8, Verdict) {
    let mut fitting = RULES.iter().filter_map(|rule| Some((rule.number, (rule.says)(evidence)?)));
    fitting.next().unwrap_or_else(|| panic!("no rule fits {evidence:?}"))
}

fn success_before_the_intent(evidence: &Evidence) -> Option<Verdict> {
    let report = evidence.report?;
    (report.success && report.before_intent).then_some(SUCCEEDED)
}

fn somebody_asked(evidence: &Evidence) -> Option<Verdict> {
    let kind = evidence.intent?;
    let asked = [StopKind::Interrupt, StopKind::Kill, StopKind::Shutdown, StopKind::Superseded];
    asked.contains(&kind).then_some(Verdict::Completed(Completion::Interrupted(kind)))
}

fn time_was_over(evidence: &Evidence) -> Option<Verdict> {
    (evidence.intent == Some(StopKind::Timeout)).then_some(Verdict::Failed(Failure::TimedOut))
}

fn never_a_process(evidence: &Evidence) -> Option<Verdict> {
    if let Some((stage, errno)) = refused(evidence.end) {
        return Some(Verdict::Failed(Failure::Spawn { stage, errno }));
    }
    (evidence.end == End::NeverRan).then_some(Verdict::Failed(Failure::NeverRan))
}

fn says_success(evidence: &Evidence) -> Option<Verdict> {
    evidence.report.filter(|report| report.success).map(|_| SUCCEEDED)
}

fn says_error(evidence: &Evidence) -> Option<Verdict> {
    let says_error = |report: &ReportMark| !report.success;
    evidence.report.filter(says_error).map(|_| Verdict::Failed(Failure::AgentError))
}

fn silent_though_it_always_reports(evidence: &Evidence) -> Option<Verdict> {
    let in_the_set = exit_code(evidence.end).is_some_and(|it| evidence.success_codes.contains(it));
    let silent = evidence.always_reports && evidence.report.is_none();
    (silent && (in_the_set || is_of_our_own_making(evidence)))
        .then_some(Verdict::Failed(Failure::NoReport))
}

fn out_of_memory(evidence: &Evidence) -> Option<Verdict> {
    let (number, _) = exit_signal(evidence.end)?;
    let oom_seen = matches!(evidence.end, End::Exited { oom_killed: true, .. });
    (number == SIGKILL && oom_seen).then_some(Verdict::Failed(Failure::OomKill))
}

fn ended_by_a_signal(evidence: &Evidence) -> Option<Verdict> {
    if is_of_our_own_making(evidence) {
        return None;
    }
    let (number, core_dumped) = exit_signal(evidence.end)?;
    let failure = if core_dumped { Failure::CoreDump(number) } else { Failure::Signal(number) };
    Some(Verdict::Failed(failure))
}

fn code_in_the_set(evidence: &Evidence) -> Option<Verdict> {
    let is_in = exit_code(evidence.end).is_some_and(|it| evidence.success_codes.contains(it));
    (is_in || is_of_our_own_making(evidence)).then_some(SUCCEEDED)
}

fn any_other_code(evidence: &Evidence) -> Option<Verdict> {
    exit_code(evidence.end).map(|code| Verdict::Failed(Failure::ExitCode(code)))
}

fn nobody_saw(evidence: &Evidence) -> Option<Verdict> {
    lost(evidence.end).map(Verdict::Lost)
}

/// It was to finish, and ended of a signal that it was sent for that: of the signal itself, or with
/// 128 and its number. Such an end is no failure, and counts as a code of the success set. An
/// out-of-memory kill was sent by somebody else.
fn is_of_our_own_making(evidence: &Evidence) -> bool {
    let End::Exited { exit, oom_killed: false } = evidence.end else { return false };
    let sent: &[u8] = match evidence.rung {
        None | Some(Rung::Ask) => &[],
        Some(Rung::Interrupt | Rung::InterruptAgain) => &[2],
        Some(Rung::Terminate) => &[2, 15],
        Some(Rung::Kill) => &[2, 15, 9],
    };
    let is_ours = sent.iter().any(|number| match exit {
        Exit::Code(code) => code == 128 + number,
        Exit::Signal { number: of, .. } => of == *number,
    });
    evidence.intent == Some(StopKind::Finish) && is_ours
}

fn refused(end: End) -> Option<(SpawnStage, i32)> {
    if let End::Refused { stage, errno } = end { Some((stage, errno)) } else { None }
}

fn exit_code(end: End) -> Option<u8> {
    if let End::Exited { exit: Exit::Code(code), .. } = end { Some(code) } else { None }
}

fn exit_signal(end: End) -> Option<(u8, bool)> {
    if let End::Exited { exit: Exit::Signal { number, core_dumped }, .. } = end {
        Some((number, core_dumped))
    } else {
        None
    }
}

fn lost(end: End) -> Option<LostReason> {
    if let End::Unknown(reason) = end { Some(reason) } else { None }
}
