//! The plan's tables, written down once more beside core: what both levels of the harness judge by.
//!
//! Nothing here may be taken from core, or core would be compared with itself.

use candor_core::event::Cause;
use candor_core::machine::{Machine, Policy};
use candor_core::status::Status;
use candor_core::stop::{Graces, Rung, StopKind};
use candor_core::verdict::{
    Completion, End, Evidence, Exit, Failure, LostReason, ReportMark, Verdict,
};

/// The table of the architecture's section 2.
pub(crate) fn is_edge(from: Option<Status>, cause: Cause, to: Status) -> bool {
    let Some(from) = from else {
        return matches!(
            (cause, to),
            (Cause::Launched, Status::Starting) | (Cause::Queued, Status::Queued)
        );
    };
    let is_up = matches!(from, Status::Running | Status::WaitingInput);
    let is_live = is_up || matches!(from, Status::Starting | Status::Completing);
    match cause {
        Cause::Launched | Cause::Queued => false,
        Cause::ParentEnded => (from, to) == (Status::Queued, Status::Starting),
        Cause::Spawned | Cause::Adopted => matches!(
            (from, to),
            (Status::Starting, Status::Running) | (Status::Completing, Status::Completing)
        ),
        Cause::RequestOpened => is_up && to == Status::WaitingInput,
        Cause::RequestClosed => {
            from == Status::WaitingInput && matches!(to, Status::WaitingInput | Status::Running)
        }
        // Whoever reports was up, whatever else is known of it.
        Cause::Reported => is_live && to == Status::Completing,
        Cause::TurnEnded => is_up && to == Status::WaitingInput,
        Cause::TurnBegan => {
            from == Status::WaitingInput && matches!(to, Status::WaitingInput | Status::Running)
        }
        Cause::SettingsChanged => {
            (is_up || matches!(from, Status::Queued | Status::Starting)) && from == to
        }
        Cause::Climbed(_) => (from, to) == (Status::Completing, Status::Completing),
        // The time limit counts from running, and means nothing once the end is decided.
        Cause::Stop(StopKind::Timeout) => is_up && to == Status::Completing,
        // What was never begun is called off, and not brought to its end.
        Cause::Stop(StopKind::Finish) if from == Status::Queued => false,
        Cause::Stop(_) if from == Status::Queued => to == Status::Completed,
        Cause::Stop(_) => is_live && to == Status::Completing,
        Cause::SpawnRefused => {
            matches!(from, Status::Starting | Status::Completing) && to.is_terminal()
        }
        // A creation that was refused in doubt, and turned out to be stored, never ran either.
        Cause::NeverRan if from == Status::Queued => to == Status::Failed,
        Cause::NeverRan => {
            matches!(from, Status::Starting | Status::Completing) && to.is_terminal()
        }
        Cause::Exited | Cause::Gone => is_live && to.is_terminal(),
    }
}

/// Says whether a stop of this kind is a reason to end, and not only a wish that the work should.
pub(crate) fn decides(kind: StopKind) -> bool {
    kind != StopKind::Finish
}

/// Says whether a change by `cause` may store a report: the last before the intent that decides
/// counts, or else the first after it.
pub(crate) fn may_report(before: &Machine, cause: Cause) -> bool {
    let is_decided = before.intent().is_some_and(decides);
    cause == Cause::Reported && (before.report().is_none() || !is_decided)
}

/// Says whether the grace of one rung leads to another: with what there is of ask, INT, INT again,
/// TERM and KILL, in this order. A process that lingers after its report is asked first.
pub(crate) fn climbs(policy: &Policy, below: Option<Rung>, above: Rung) -> bool {
    let Graces { ask_ms, interrupt_again_ms, .. } = policy.graces;
    let ladder = [
        ask_ms.map(|_| Rung::Ask),
        Some(Rung::Interrupt),
        interrupt_again_ms.map(|_| Rung::InterruptAgain),
        Some(Rung::Terminate),
        Some(Rung::Kill),
    ];
    let mut rungs = ladder.into_iter().flatten();
    match below {
        None => rungs.next() == Some(above),
        Some(below) => rungs.find(|rung| *rung == below).is_some() && rungs.next() == Some(above),
    }
}

/// The order of a session's life.
pub(crate) const fn rank(status: Status) -> u8 {
    match status {
        Status::Queued => 0,
        Status::Starting => 1,
        Status::Running | Status::WaitingInput => 2,
        Status::Completing => 3,
        Status::Completed | Status::Failed | Status::Lost => 4,
    }
}

/// The rules of the architecture's section 3: the first that fits.
pub(crate) fn verdict(evidence: &Evidence) -> Verdict {
    const SUCCEEDED: Verdict = Verdict::Completed(Completion::Succeeded);
    const SIGKILL: u8 = 9;

    let report = evidence.report.map(|report| report.success);
    let reported_first = matches!(evidence.report, Some(ReportMark { before_intent: true, .. }));
    let exit = match evidence.end {
        End::Exited { exit, .. } => Some(exit),
        End::Refused { .. } | End::NeverRan | End::Unknown(_) => None,
    };
    let oom_killed = matches!(evidence.end, End::Exited { oom_killed: true, .. });
    let rules = [
        (report == Some(true) && reported_first).then_some(SUCCEEDED),
        evidence
            .intent
            .filter(|kind| !matches!(kind, StopKind::Timeout | StopKind::Finish))
            .map(|kind| Verdict::Completed(Completion::Interrupted(kind))),
        (evidence.intent == Some(StopKind::Timeout)).then_some(Verdict::Failed(Failure::TimedOut)),
        match evidence.end {
            End::Refused { stage, errno } => Some(Verdict::Failed(Failure::Spawn { stage, errno })),
            End::NeverRan => Some(Verdict::Failed(Failure::NeverRan)),
            End::Exited { .. } | End::Unknown(_) => None,
        },
        (report == Some(true)).then_some(SUCCEEDED),
        (report == Some(false)).then_some(Verdict::Failed(Failure::AgentError)),
        exit.and_then(|exit| classify_exit(exit, oom_killed && is_signal(exit, SIGKILL), evidence)),
        match evidence.end {
            End::Unknown(reason) => Some(Verdict::Lost(reason)),
            End::Refused { .. } | End::NeverRan | End::Exited { .. } => None,
        },
    ];
    rules.into_iter().flatten().next().unwrap_or(Verdict::Lost(LostReason::BadRecord))
}

const fn is_signal(exit: Exit, wanted: u8) -> bool {
    matches!(exit, Exit::Signal { number, .. } if number == wanted)
}

/// Says whether an end is of our own making, and so no failure of the process: it was to finish, and
/// a signal of a rung that was reached ended it, or it left with what a shell makes of that signal.
fn is_our_doing(exit: Exit, evidence: &Evidence) -> bool {
    const SENT: [(Rung, u8); 3] = [(Rung::Interrupt, 2), (Rung::Terminate, 15), (Rung::Kill, 9)];

    evidence.intent == Some(StopKind::Finish)
        && SENT
            .iter()
            .filter(|(rung, _)| evidence.rung >= Some(*rung))
            .any(|(_, number)| is_signal(exit, *number) || exit == Exit::Code(128 + *number))
}

/// Rules 7 to 11.
fn classify_exit(exit: Exit, was_oom: bool, evidence: &Evidence) -> Option<Verdict> {
    Some(match exit {
        _ if is_our_doing(exit, evidence) && !was_oom => {
            if evidence.always_reports {
                Verdict::Failed(Failure::NoReport)
            } else {
                Verdict::Completed(Completion::Succeeded)
            }
        }
        Exit::Code(code) if !evidence.success_codes.contains(code) => {
            Verdict::Failed(Failure::ExitCode(code))
        }
        Exit::Code(_) if evidence.always_reports => Verdict::Failed(Failure::NoReport),
        Exit::Code(_) => Verdict::Completed(Completion::Succeeded),
        Exit::Signal { .. } if was_oom => Verdict::Failed(Failure::OomKill),
        Exit::Signal { number, core_dumped: true } => Verdict::Failed(Failure::CoreDump(number)),
        Exit::Signal { number, core_dumped: false } => Verdict::Failed(Failure::Signal(number)),
    })
}
