//! Every machine that can be reached, with every input: what must hold of each step.
//!
//! Two machines count as one when only their revisions differ, and no more requests are opened
//! than [`REQUESTS_MAX`]: without that there would be no end of them.

use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroU64};
use std::collections::HashSet;
use std::sync::LazyLock;

use expect_test::expect;

use crate::event::Cause;
use crate::input::{Deadline, Input};
use crate::machine::{Machine, Policy};
use crate::session::Revision;
use crate::status::Status;
use crate::step::{Act, Answer, Transition};
use crate::stop::{Graces, Rung, StopKind};
use crate::verdict::{
    Completion, End, Exit, LostReason, ReportMark, SpawnStage, SuccessCodes, Verdict,
};

use super::{at, policy};

const REQUESTS_MAX: u16 = 3;

/// Steps are taken at this time, which decides nothing: deadlines are tested elsewhere.
const NOW_MS: u64 = 1_000;

const RUNGS: [Rung; 5] =
    [Rung::Ask, Rung::Interrupt, Rung::InterruptAgain, Rung::Terminate, Rung::Kill];

const STOPS: [StopKind; 6] = [
    StopKind::Interrupt,
    StopKind::Kill,
    StopKind::Timeout,
    StopKind::Shutdown,
    StopKind::Superseded,
    StopKind::Finish,
];

fn inputs() -> Vec<Input> {
    let mut inputs = Vec::from(STOPS.map(Input::Stop));
    inputs.extend([
        Input::Spawned,
        Input::Unreachable,
        Input::Adopted,
        Input::RequestOpened,
        Input::RequestClosed,
        Input::FinalReport { success: true },
        Input::FinalReport { success: false },
        Input::Due(Deadline::Timeout),
        Input::Due(Deadline::Linger),
        Input::Due(Deadline::Idle),
        Input::TurnEnded,
        Input::TurnBegan,
        Input::SettingsChanged,
        Input::ParentEnded,
    ]);
    inputs.extend(RUNGS.map(|rung| Input::Due(Deadline::RungOver(rung))));
    inputs.extend(ends().map(Input::Gone));
    inputs
}

/// One of each kind: that all ends are judged by the rules is tested elsewhere.
fn ends() -> [End; 12] {
    let signal = |number, core_dumped| Exit::Signal { number, core_dumped };
    let exited = |exit, oom_killed| End::Exited { exit, oom_killed };
    [
        End::NeverRan,
        End::Refused { stage: SpawnStage::Exec, errno: 2 },
        End::Unknown(LostReason::DaemonKilled),
        End::Unknown(LostReason::BadRecord),
        exited(Exit::Code(0), false),
        exited(Exit::Code(1), false),
        exited(Exit::Code(3), false),
        exited(Exit::Code(130), false),
        exited(signal(9, false), false),
        exited(signal(9, false), true),
        exited(signal(15, false), false),
        exited(signal(11, true), false),
    ]
}

fn policies() -> [Policy; 4] {
    let whole = Graces {
        ask_ms: NonZeroU32::new(1),
        interrupt_again_ms: NonZeroU32::new(1),
        ..policy().graces
    };
    let at_once = Graces { interrupt_ms: 0, terminate_ms: 0, linger_ms: 0, ..whole };
    [
        policy(),
        Policy::default(),
        Policy { graces: whole, idle_ms: NonZeroU32::new(1), always_reports: true, ..policy() },
        Policy {
            graces: at_once,
            timeout_ms: NonZeroU64::new(1),
            idle_ms: None,
            always_reports: true,
            success_codes: SuccessCodes::none().with(3),
        },
    ]
}

/// Returns every machine that can be reached from both beginnings of a session, breadth first.
fn reachable(policy: Policy) -> Vec<Machine> {
    let inputs = inputs();
    let mut machines = Vec::from([Machine::launch(policy).next, Machine::queue(policy).next]);
    let mut known: HashSet<_> = machines.iter().copied().collect();
    let mut walked = 0;
    while let Some(&machine) = machines.get(walked) {
        walked += 1;
        for &input in &inputs {
            let Ok(Transition { next, cause: Some(_), .. }) = machine.step(input, at(NOW_MS))
            else {
                continue;
            };
            let next = Machine { revision: Revision::NONE.next(), ..next };
            if next.requests_open <= REQUESTS_MAX && known.insert(next) {
                machines.push(next);
            }
        }
    }
    machines
}

/// All of them, for each policy; walked once for all tests.
static MACHINES: LazyLock<[Vec<Machine>; 4]> = LazyLock::new(|| policies().map(reachable));

/// Shows each pair of a machine and an input to `visit`, with its step if it is legal.
fn every_pair(mut visit: impl FnMut(&Machine, Input, Option<&Transition>)) {
    let inputs = inputs();
    for machine in MACHINES.iter().flatten() {
        for &input in &inputs {
            visit(machine, input, machine.step(input, at(NOW_MS)).as_ref().ok());
        }
    }
}

/// Shows each legal step to `visit`.
fn every_step(mut visit: impl FnMut(&Machine, Input, &Transition)) {
    every_pair(|machine, input, step| {
        if let Some(step) = step {
            visit(machine, input, step);
        }
    });
}

#[test]
fn this_many_machines_can_be_reached() {
    let mut counts = Vec::new();
    for machines in MACHINES.iter() {
        let live = machines.iter().filter(|machine| !machine.status.is_terminal()).count();
        counts.push((machines.len(), live));
    }
    let (mut legal, mut illegal) = (0, 0);
    every_pair(|_, _, step| *(if step.is_some() { &mut legal } else { &mut illegal }) += 1);
    let counts = std::format!("(all, live): {counts:?}\nsteps: {legal} legal, {illegal} illegal\n");
    expect![[r#"
        (all, live): [(976, 94), (976, 94), (1521, 143), (1521, 143)]
        steps: 183826 legal, 952 illegal
    "#]]
    .assert_eq(&counts);
}

#[test]
fn every_change_is_on_an_edge_and_counts_one_revision() {
    every_step(|before, input, step| {
        let Transition { next, cause, .. } = step;
        if cause.is_some() {
            assert!(Status::edge(Some(before.status), next.status), "{input:?} {before:?}");
            assert_eq!(next.revision, before.revision.next(), "{input:?} {before:?}");
        } else {
            assert_eq!(next, before, "{input:?} changes it without a cause");
        }
    });
}

#[test]
fn both_beginnings_are_edges_and_revision_1() {
    for policy in policies() {
        let (launch, queue) = (Machine::launch(policy), Machine::queue(policy));
        assert_eq!((launch.cause, launch.act), (Some(Cause::Launched), Act::Launch));
        assert_eq!((queue.cause, queue.act), (Some(Cause::Queued), Act::Nothing));
        for first in [launch, queue] {
            assert!(Status::edge(None, first.next.status));
            assert_eq!(first.next.revision.number(), 1);
            assert!(first.next.is_coherent());
            assert_eq!((first.deadline, first.answer), (None, Answer::Accepted));
        }
    }
}

#[test]
fn every_machine_is_coherent() {
    every_step(|before, input, step| {
        assert!(step.next.is_coherent(), "{input:?} makes {:?} of {before:?}", step.next);
    });
}

#[test]
fn every_status_and_every_cause_is_reached() {
    let (mut statuses, mut causes) = (HashSet::new(), HashSet::new());
    every_step(|before, _, step| {
        statuses.insert(before.status);
        causes.extend(step.cause);
    });
    causes.extend([Cause::Launched, Cause::Queued]);
    assert_eq!(statuses.len(), Status::ALL.len());
    assert_eq!(causes.len(), Cause::ALL.len());
}

#[test]
fn a_terminal_status_absorbs_whatever_comes_and_tells_how_it_ended() {
    every_step(|before, input, step| {
        if let Some(verdict) = before.verdict {
            let Transition { next, cause, act, deadline, idle_at, answer } = *step;
            let expected = (*before, None, Act::Nothing, None, Answer::AlreadyEnded(verdict));
            assert_eq!((next, cause, act, deadline, answer), expected, "{input:?}");
            assert_eq!(idle_at, None, "{input:?}");
        }
    });
}

#[test]
fn who_asked_for_the_end_is_never_shown_a_failure_or_a_loss() {
    every_step(|before, input, step| {
        let Some(verdict) = step.next.verdict else { return };
        let decides_nothing = [StopKind::Timeout, StopKind::Finish];
        let asked = step.next.intent.filter(|kind| !decides_nothing.contains(kind));
        if let Some(kind) = asked {
            let first = ReportMark { success: true, before_intent: true };
            let completion = if step.next.report == Some(first) {
                Completion::Succeeded
            } else {
                Completion::Interrupted(kind)
            };
            assert_eq!(verdict, Verdict::Completed(completion), "{input:?} {before:?}");
        }
    });
}

#[test]
fn the_first_intent_that_decides_stays_and_so_does_the_report_that_counts() {
    every_step(|before, input, step| {
        let next = &step.next;
        // To finish gives way to what decides, and nothing else does.
        let decided = before.intent.filter(|kind| *kind != StopKind::Finish);
        assert!(decided.is_none() || next.intent == decided, "{input:?} {before:?}");
        assert!(before.intent.is_none() || next.intent.is_some(), "{input:?} {before:?}");
        let counts = before.report.is_some() && decided.is_some();
        assert!(!counts || next.report == before.report, "{input:?} {before:?}");
        assert!(before.report.is_none() || next.report.is_some(), "{input:?} {before:?}");
        if before.report != next.report {
            let before_intent = decided.is_none();
            assert!(next.report.is_some_and(|report| report.before_intent == before_intent));
            assert_eq!(next.intent, before.intent, "one step never stores both");
        }
        if before.intent != next.intent {
            let asked = match input {
                // What was never begun is called off.
                Input::Stop(StopKind::Finish) if before.status == Status::Queued => {
                    Some(StopKind::Interrupt)
                }
                Input::Stop(kind) => Some(kind),
                Input::Due(Deadline::Timeout) => Some(StopKind::Timeout),
                Input::Due(Deadline::Idle) => Some(StopKind::Finish),
                Input::Spawned
                | Input::Unreachable
                | Input::Adopted
                | Input::RequestOpened
                | Input::RequestClosed
                | Input::TurnEnded
                | Input::TurnBegan
                | Input::SettingsChanged
                | Input::FinalReport { .. }
                | Input::Gone(_)
                | Input::Due(Deadline::Linger | Deadline::RungOver(_))
                | Input::ParentEnded => None,
            };
            assert_eq!(next.intent, asked, "{input:?} makes an intent of {before:?}");
        }
    });
}

#[test]
fn the_ladder_only_climbs() {
    every_step(|before, input, step| {
        assert!(step.next.rung >= before.rung, "{input:?} {before:?}");
        // So there are five rungs at most, each stored once.
        if step.next.rung != before.rung {
            let climbs = matches!(step.cause, Some(Cause::Climbed(_) | Cause::Stop(_)));
            assert!(climbs, "{input:?} {before:?}");
        }
    });
}

#[test]
fn a_rung_is_sent_when_it_is_stored_and_again_only_to_a_process_that_is_found() {
    every_step(|before, input, step| {
        let next = &step.next;
        let is_found = matches!(input, Input::Spawned | Input::Adopted) && next.verdict.is_none();
        let is_due = next.rung != before.rung || is_found;
        let expected = next.rung.filter(|_| is_due && next.is_up);
        let sent = if let Act::Signal(rung) = step.act { Some(rung) } else { None };
        assert_eq!(sent, expected, "{input:?} {before:?}");
    });
}

#[test]
fn nothing_is_signalled_before_it_is_up_nor_after_it_has_ended() {
    every_step(|before, input, step| {
        if let Act::Signal(_) = step.act {
            assert!(step.next.is_up, "{input:?} {before:?}");
            assert_eq!(step.next.status, Status::Completing, "{input:?} {before:?}");
        }
    });
}

#[test]
fn a_launch_is_ordered_once_and_an_attach_only_for_what_may_live() {
    every_step(|before, input, step| match step.act {
        Act::Launch => {
            assert_eq!((before.status, input), (Status::Queued, Input::ParentEnded));
            assert_eq!(step.next.status, Status::Starting);
        }
        Act::Attach => {
            assert_eq!(input, Input::Unreachable);
            assert!(!before.status.is_terminal() && before.status != Status::Queued);
        }
        Act::Nothing | Act::Signal(_) => {}
    });
}

#[test]
fn deadlines_are_set_for_live_sessions_with_a_process_and_only_where_they_mean_something() {
    every_step(|before, input, step| {
        let next = &step.next;
        if step.idle_at.is_some() {
            assert!(next.awaits_message && next.policy.idle_ms.is_some(), "{input:?} {before:?}");
        }
        let Some((deadline, _)) = step.deadline else { return };
        assert!(!next.status.is_terminal() && next.is_up, "{input:?} {before:?}");
        assert!(means_something(next, deadline), "{deadline:?} after {input:?} {before:?}");
    });
}

/// Says whether a deadline can still bring anything about.
fn means_something(machine: &Machine, deadline: Deadline) -> bool {
    let is_completing = machine.status == Status::Completing && machine.is_up;
    match deadline {
        Deadline::Timeout => [Status::Running, Status::WaitingInput].contains(&machine.status),
        Deadline::Idle => machine.awaits_message && machine.requests_open == 0,
        Deadline::Linger => is_completing && machine.rung.is_none(),
        Deadline::RungOver(rung) => {
            is_completing && machine.rung == Some(rung) && rung != Rung::Kill
        }
    }
}

#[test]
fn a_deadline_that_means_nothing_any_more_changes_nothing() {
    every_step(|before, input, step| {
        if let Input::Due(deadline) = input {
            let changes = step.cause.is_some();
            assert_eq!(changes, means_something(before, deadline), "{input:?} {before:?}");
            if !changes {
                assert_eq!((step.act, step.deadline), (Act::Nothing, None), "{input:?}");
            }
        }
    });
}

#[test]
fn a_live_process_that_is_to_end_always_has_a_deadline_until_kill() {
    // Otherwise a process could linger for ever: whatever begins or climbs the ladder sets one.
    every_step(|before, input, step| {
        let waits = step.next.rung.is_none_or(|rung| rung != Rung::Kill);
        let begins = before.status != Status::Completing && step.next.status == Status::Completing;
        let signals = matches!(step.act, Act::Signal(_));
        if step.next.is_up && waits && (begins || signals) {
            assert!(step.deadline.is_some(), "{input:?} {before:?}");
        }
    });
}

/// The pairs that only a bug can produce, by hand.
fn is_a_bug(machine: &Machine, input: Input) -> bool {
    let needs_a_process = match input {
        Input::Spawned | Input::Adopted | Input::Unreachable | Input::Gone(_) => {
            return match machine.status {
                // Nothing was launched yet, and all that can be known is that nothing ever will.
                Status::Queued => input != Input::Gone(End::NeverRan),
                // It is up already: it cannot come up again, nor have been refused.
                Status::Starting | Status::Running | Status::WaitingInput | Status::Completing => {
                    let is_refusal = matches!(input, Input::Gone(End::Refused { .. }));
                    machine.is_up && (input == Input::Spawned || is_refusal)
                }
                Status::Completed | Status::Failed | Status::Lost => false,
            };
        }
        // It proves that there was one, but of what was never launched.
        Input::FinalReport { .. } => return machine.status == Status::Queued,
        Input::RequestOpened | Input::RequestClosed | Input::TurnEnded | Input::TurnBegan => {
            machine.status != Status::Completing
        }
        Input::SettingsChanged | Input::Stop(_) | Input::Due(_) | Input::ParentEnded => false,
    };
    needs_a_process && !machine.is_up && !machine.status.is_terminal()
}

#[test]
fn a_pair_is_illegal_exactly_when_only_a_bug_can_produce_it() {
    every_pair(|machine, input, step| {
        assert_eq!(step.is_none(), is_a_bug(machine, input), "{input:?} {machine:?}");
    });
}

#[test]
fn an_illegal_pair_is_named_by_status_and_input() {
    let error = super::after(&[Input::Spawned]).step(Input::Spawned, at(0)).unwrap_err();
    assert_eq!((error.status, error.input), (Status::Running, Input::Spawned));
    expect!["Spawned cannot happen to a session that is running: this is a bug"]
        .assert_eq(&std::format!("{error}"));
}
