//! Stops, the ladder, and every deadline at its exact point of the monotonic clock.

use core::num::NonZeroU64;

use candor_core::event::Cause;
use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::status::Status;
use candor_core::step::{Act, Answer, Transition};
use candor_core::stop::{Graces, Rung, Signal, StopKind};
use candor_core::time::Monotonic;
use candor_core::verdict::{Completion, Failure, Verdict};

use crate::support::{GRACES, STOPS, TIMEOUT_MS, at, code, follow, policy, running, signal};

const INTERRUPT: Input = Input::Stop(StopKind::Interrupt);
const KILL: Input = Input::Stop(StopKind::Kill);
const TIMEOUT: Input = Input::Due(Deadline::Timeout);
const LINGER: Input = Input::Due(Deadline::Linger);
const INTERRUPT_OVER: Input = Input::Due(Deadline::RungOver(Rung::Interrupt));
const TERMINATE_OVER: Input = Input::Due(Deadline::RungOver(Rung::Terminate));
const KILL_OVER: Input = Input::Due(Deadline::RungOver(Rung::Kill));

/// What happened, each with its time in milliseconds.
type Story<'a> = &'a [(u64, Input)];

/// The last step of a session that came up at 1 s and then saw `inputs`.
fn after(inputs: &[(u64, Input)]) -> Transition {
    let up = [(1_000, Input::Spawned)];
    follow(Machine::launch(policy()), &[&up, inputs].concat())
}

fn rung_over(rung: Rung, ms: u64) -> Option<(Deadline, Monotonic)> {
    Some((Deadline::RungOver(rung), Monotonic::from_ms(ms)))
}

/// Nothing to store, nothing to do, nothing to wait for.
fn assert_does_nothing(before: &Machine, transition: &Transition) {
    let Transition { next, cause, act, deadline, idle_at, .. } = *transition;
    assert_eq!((next, cause, act, deadline), (*before, None, Act::Nothing, None));
    assert_eq!(idle_at, None);
}

#[test]
fn a_stop_is_decided_before_its_signal_and_is_part_of_the_same_change() {
    for kind in STOPS {
        let stopped = after(&[(5_000, Input::Stop(kind))]);
        assert_eq!(stopped.next.status(), Status::Completing);
        assert_eq!(stopped.next.intent(), Some(kind));
        assert_eq!(stopped.next.rung(), Some(GRACES.first(kind)));
        assert_eq!(stopped.cause, Some(Cause::Stop(kind)));
        assert_eq!(stopped.act, Act::Signal(GRACES.first(kind)));
        assert_eq!(stopped.answer, Answer::Accepted);
    }
}

#[test]
fn kill_alone_starts_the_ladder_at_the_top() {
    assert_eq!(GRACES.first(StopKind::Kill), Rung::Kill);
    for kind in STOPS.into_iter().filter(|kind| *kind != StopKind::Kill) {
        assert_eq!(GRACES.first(kind), Rung::Interrupt, "{kind}");
    }
}

#[test]
fn the_ladder_is_int_then_term_then_kill() {
    let rungs = [Rung::Interrupt, Rung::Terminate, Rung::Kill];
    let signals = [Signal::Interrupt, Signal::Terminate, Signal::Kill];
    assert_eq!(rungs.map(Rung::signal), signals.map(Some));
    let above = rungs.map(|rung| GRACES.above(rung));
    assert_eq!(above, [Some(Rung::Terminate), Some(Rung::Kill), None]);
    assert!(rungs.is_sorted());
}

#[test]
fn a_second_interrupt_is_one_stop() {
    let first = after(&[(5_000, INTERRUPT)]).next;
    let second = first.step(INTERRUPT, at(6_000)).unwrap();
    assert_does_nothing(&first, &second);
    assert_eq!(second.answer, Answer::AlreadyStopping(StopKind::Interrupt));
}

#[test]
fn another_polite_stop_adds_nothing_to_the_first() {
    let polite = [StopKind::Interrupt, StopKind::Shutdown, StopKind::Superseded];
    for first in polite {
        for second in polite {
            let stopping = after(&[(5_000, Input::Stop(first))]).next;
            let again = stopping.step(Input::Stop(second), at(6_000)).unwrap();
            assert_does_nothing(&stopping, &again);
            assert_eq!(again.answer, Answer::AlreadyStopping(first));
        }
    }
}

#[test]
fn a_kill_after_an_interrupt_climbs_and_the_interrupt_stays_the_intent() {
    let before = after(&[(5_000, INTERRUPT)]).next;
    let killed = before.step(KILL, at(6_000)).unwrap();
    assert_eq!(killed.next.status(), Status::Completing);
    assert_eq!(killed.next.intent(), Some(StopKind::Interrupt));
    assert_eq!(killed.next.rung(), Some(Rung::Kill));
    assert_eq!(killed.next.revision(), before.revision().next());
    assert_eq!(killed.cause, Some(Cause::Stop(StopKind::Kill)));
    assert_eq!(killed.act, Act::Signal(Rung::Kill));
    assert_eq!(killed.answer, Answer::AlreadyStopping(StopKind::Interrupt));
    assert_eq!(killed.deadline, None, "there is nothing above KILL to wait for");
}

#[test]
fn an_interrupt_after_a_kill_never_comes_down_the_ladder() {
    let killed = after(&[(5_000, KILL)]).next;
    for kind in STOPS {
        let again = killed.step(Input::Stop(kind), at(6_000)).unwrap();
        assert_does_nothing(&killed, &again);
    }
}

#[test]
fn a_kill_after_a_timeout_climbs_and_it_stays_timed_out() {
    let killed = after(&[(5_000, TIMEOUT), (6_000, KILL)]);
    assert_eq!(killed.act, Act::Signal(Rung::Kill));
    assert_eq!(killed.answer, Answer::AlreadyStopping(StopKind::Timeout));
    let gone = follow(killed, &[(7_000, Input::Gone(signal(9)))]);
    assert_eq!(gone.next.verdict(), Some(Verdict::Failed(Failure::TimedOut)));
}

#[test]
fn the_time_limit_stops_what_works_or_waits_for_an_answer() {
    for before in [&[][..], &[(2_000, Input::RequestOpened)]] {
        let timed_out = after(&[before, &[(301_000, TIMEOUT)]].concat());
        assert_eq!(timed_out.next.status(), Status::Completing);
        assert_eq!(timed_out.next.intent(), Some(StopKind::Timeout));
        assert_eq!(timed_out.act, Act::Signal(Rung::Interrupt));
        assert_eq!(timed_out.deadline, rung_over(Rung::Interrupt, 301_000 + 7_000));
    }
}

#[test]
fn the_time_limit_does_nothing_once_anything_is_decided() {
    let decided: [Story<'_>; 6] = [
        &[(5_000, INTERRUPT)],
        &[(5_000, KILL)],
        &[(5_000, TIMEOUT)],
        &[(5_000, Input::FinalReport { success: true })],
        &[(5_000, Input::FinalReport { success: false }), (6_000, LINGER)],
        &[(5_000, Input::Gone(code(0)))],
    ];
    for inputs in decided {
        let before = after(inputs).next;
        for input in [TIMEOUT, Input::Stop(StopKind::Timeout)] {
            assert_does_nothing(&before, &before.step(input, at(9_000)).unwrap());
        }
    }
}

#[test]
fn the_time_limit_means_nothing_before_the_process_is_up() {
    let inputs: [Story<'_>; 2] = [&[], &[(5_000, INTERRUPT)]];
    for inputs in inputs {
        let before = follow(Machine::launch(policy()), inputs).next;
        assert_does_nothing(&before, &before.step(TIMEOUT, at(9_000)).unwrap());
    }
    let queued = Machine::queue(policy()).next;
    assert_does_nothing(&queued, &queued.step(TIMEOUT, at(9_000)).unwrap());
}

#[test]
fn each_grace_ends_at_its_exact_point_and_the_ladder_ends_at_kill() {
    let interrupted = after(&[(5_000, INTERRUPT)]);
    assert_eq!(interrupted.deadline, rung_over(Rung::Interrupt, 5_000 + 7_000));

    let terminated = follow(interrupted, &[(12_001, INTERRUPT_OVER)]);
    assert_eq!(terminated.act, Act::Signal(Rung::Terminate));
    assert_eq!(terminated.cause, Some(Cause::Climbed(Rung::Terminate)));
    assert_eq!(terminated.deadline, rung_over(Rung::Terminate, 12_001 + 3_000));

    let killed = follow(terminated, &[(15_500, TERMINATE_OVER)]);
    assert_eq!(killed.act, Act::Signal(Rung::Kill));
    assert_eq!(killed.cause, Some(Cause::Climbed(Rung::Kill)));
    assert_eq!(killed.deadline, None);
    assert_does_nothing(&killed.next, &killed.next.step(KILL_OVER, at(99_000)).unwrap());
    assert_eq!(killed.next.revision().number(), 5, "launch, up, and a revision for each rung");
}

#[test]
fn the_grace_of_a_rung_that_was_passed_over_does_nothing() {
    let killed = after(&[(5_000, INTERRUPT), (6_000, KILL)]).next;
    for stale in [INTERRUPT_OVER, TERMINATE_OVER, LINGER] {
        assert_does_nothing(&killed, &killed.step(stale, at(12_000)).unwrap());
    }
    let terminated = after(&[(5_000, INTERRUPT), (12_000, INTERRUPT_OVER)]).next;
    assert_does_nothing(&terminated, &terminated.step(INTERRUPT_OVER, at(12_001)).unwrap());
}

#[test]
fn a_stop_during_the_launch_waits_and_the_late_spawn_gets_the_stored_rung() {
    let asked = follow(Machine::launch(policy()), &[(5_000, INTERRUPT)]);
    assert_eq!((asked.act, asked.deadline), (Act::Nothing, None), "there is nobody to signal");
    assert_eq!(asked.next.rung(), Some(Rung::Interrupt), "and yet the rung is stored");

    let late = follow(asked, &[(60_000, Input::Spawned)]);
    assert_eq!(late.next.status(), Status::Completing);
    assert_eq!(late.act, Act::Signal(Rung::Interrupt));
    assert_eq!(late.deadline, rung_over(Rung::Interrupt, 60_000 + 7_000), "its grace begins now");

    let killed = follow(asked, &[(6_000, KILL), (60_000, Input::Spawned)]);
    assert_eq!(killed.act, Act::Signal(Rung::Kill), "the rung that was stored last");
}

#[test]
fn the_ladder_does_not_climb_while_there_is_no_process() {
    let asked = follow(Machine::launch(policy()), &[(5_000, INTERRUPT)]).next;
    assert_does_nothing(&asked, &asked.step(INTERRUPT_OVER, at(99_000)).unwrap());
}

#[test]
fn a_stop_before_the_launch_ends_it_at_once() {
    for kind in [StopKind::Interrupt, StopKind::Kill, StopKind::Shutdown, StopKind::Superseded] {
        let stopped = follow(Machine::queue(policy()), &[(5_000, Input::Stop(kind))]);
        let interrupted = Verdict::Completed(Completion::Interrupted(kind));
        assert_eq!(stopped.next.verdict(), Some(interrupted));
        assert_eq!((stopped.act, stopped.deadline), (Act::Nothing, None));
        assert_eq!(stopped.next.revision().number(), 2);
    }
}

#[test]
fn an_adopted_process_gets_the_stored_rung_again_with_a_fresh_grace() {
    let rungs: [(Story<'_>, Rung, Option<u64>); 3] = [
        (&[(5_000, INTERRUPT)], Rung::Interrupt, Some(7_000)),
        (&[(5_000, INTERRUPT), (12_000, INTERRUPT_OVER)], Rung::Terminate, Some(3_000)),
        (&[(5_000, KILL)], Rung::Kill, None),
    ];
    for (inputs, rung, grace_ms) in rungs {
        let stored = after(inputs).next;
        let adopted = stored.step(Input::Adopted, at(50_000)).unwrap();
        assert_eq!((adopted.next, adopted.cause), (stored, None), "nothing to store");
        assert_eq!(adopted.act, Act::Signal(rung));
        assert_eq!(adopted.deadline, grace_ms.and_then(|ms| rung_over(rung, 50_000 + ms)));
    }
}

#[test]
fn the_time_limit_counts_from_running_and_goes_on_after_adoption() {
    let due = Some((Deadline::Timeout, Monotonic::from_ms(1_000 + TIMEOUT_MS)));
    assert_eq!(after(&[]).deadline, due);
    for now_ms in [1_001, 200_000, 900_000] {
        let adopted = running().step(Input::Adopted, at(now_ms)).unwrap();
        assert_eq!(adopted.deadline, due, "adopted at {now_ms}");
    }
    let waiting = after(&[(2_000, Input::RequestOpened), (70_000, Input::Adopted)]);
    assert_eq!(waiting.deadline, due, "waiting for the user counts");
}

#[test]
fn without_a_time_limit_there_is_no_deadline_while_it_works() {
    let endless = Policy { timeout_ms: None, ..policy() };
    let up = follow(Machine::launch(endless), &[(1_000, Input::Spawned)]);
    assert_eq!(up.deadline, None);
    assert_eq!(up.next.step(Input::Adopted, at(2_000)).unwrap().deadline, None);
}

#[test]
fn a_deadline_beyond_the_end_of_time_is_the_end_of_time() {
    let endless = Policy { timeout_ms: NonZeroU64::new(u64::MAX), ..policy() };
    let up = follow(Machine::launch(endless), &[(1_000, Input::Spawned)]);
    assert_eq!(up.deadline, Some((Deadline::Timeout, Monotonic::from_ms(u64::MAX))));
}

#[test]
fn a_process_that_lingers_after_its_report_is_ended_by_the_whole_ladder() {
    let reported = after(&[(5_000, Input::FinalReport { success: true })]);
    assert_eq!((reported.next.status(), reported.act), (Status::Completing, Act::Nothing));
    let linger = Some((Deadline::Linger, Monotonic::from_ms(5_000 + 20_000)));
    assert_eq!(reported.deadline, linger);

    let lingering = follow(reported, &[(25_000, LINGER)]);
    assert_eq!(lingering.cause, Some(Cause::Climbed(Rung::Interrupt)));
    assert_eq!(lingering.act, Act::Signal(Rung::Interrupt));
    assert_eq!(lingering.deadline, rung_over(Rung::Interrupt, 32_000));
    assert_eq!(lingering.next.intent(), None, "nobody asked");
    assert_does_nothing(&lingering.next, &lingering.next.step(LINGER, at(26_000)).unwrap());

    let killed = follow(lingering, &[(32_000, INTERRUPT_OVER), (35_000, TERMINATE_OVER)]);
    let gone = follow(killed, &[(35_100, Input::Gone(signal(9)))]);
    assert_eq!(gone.next.verdict(), Some(Verdict::Completed(Completion::Succeeded)));
}

#[test]
fn a_stop_after_the_report_is_recorded_and_starts_the_ladder() {
    let reported = after(&[(5_000, Input::FinalReport { success: true })]);
    let stopped = follow(reported, &[(6_000, INTERRUPT)]);
    assert_eq!(stopped.next.intent(), Some(StopKind::Interrupt));
    assert_eq!(stopped.cause, Some(Cause::Stop(StopKind::Interrupt)));
    assert_eq!(stopped.act, Act::Signal(Rung::Interrupt));
    assert_eq!(stopped.answer, Answer::Accepted, "it is the first intent");
    assert_eq!(stopped.deadline, rung_over(Rung::Interrupt, 13_000));
}

#[test]
fn a_stop_while_it_lingers_is_recorded_and_sends_no_rung_twice() {
    let lingering = after(&[(5_000, Input::FinalReport { success: false }), (25_000, LINGER)]);
    let stopped = follow(lingering, &[(26_000, INTERRUPT)]);
    assert_eq!(stopped.next.intent(), Some(StopKind::Interrupt));
    assert_eq!(stopped.cause, Some(Cause::Stop(StopKind::Interrupt)), "a change to store");
    assert_eq!((stopped.act, stopped.deadline), (Act::Nothing, None));
    let gone = follow(stopped, &[(27_000, Input::Gone(code(1)))]);
    assert_eq!(gone.next.status(), Status::Completed, "rule 2: somebody asked");
}

#[test]
fn a_report_after_a_stop_leaves_the_ladder_alone() {
    let reported = after(&[(5_000, INTERRUPT), (6_000, Input::FinalReport { success: false })]);
    assert_eq!(reported.cause, Some(Cause::Reported));
    assert_eq!((reported.act, reported.deadline), (Act::Nothing, None));
    let climbed = follow(reported, &[(12_000, INTERRUPT_OVER)]);
    assert_eq!(climbed.act, Act::Signal(Rung::Terminate));
}

#[test]
fn an_adopted_process_that_had_reported_gets_a_fresh_grace_to_leave() {
    let stored = after(&[(5_000, Input::FinalReport { success: true })]).next;
    let adopted = stored.step(Input::Adopted, at(50_000)).unwrap();
    assert_eq!((adopted.next, adopted.cause, adopted.act), (stored, None, Act::Nothing));
    assert_eq!(adopted.deadline, Some((Deadline::Linger, Monotonic::from_ms(70_000))));
}

#[test]
fn the_last_report_before_somebody_asked_counts_or_else_the_first_after_it() {
    let report = |success| Input::FinalReport { success };
    let mark = |machine: &Machine| machine.report().map(|it| (it.success, it.before_intent));

    let first = after(&[(5_000, report(false))]);
    let second = follow(first, &[(6_000, report(true))]);
    assert_eq!(mark(&second.next), Some((true, true)), "the last before");
    assert_eq!((second.cause, second.act), (Some(Cause::Reported), Act::Nothing));
    assert_eq!(second.deadline, None, "its grace began with the first");

    let asked = follow(second, &[(7_000, INTERRUPT)]).next;
    assert_does_nothing(&asked, &asked.step(report(false), at(8_000)).unwrap());

    let first = after(&[(5_000, INTERRUPT), (6_000, report(false))]).next;
    assert_eq!(mark(&first), Some((false, false)), "the first after");
    assert_does_nothing(&first, &first.step(report(true), at(8_000)).unwrap());
}

#[test]
fn a_report_proves_that_it_was_up() {
    let early = follow(Machine::launch(policy()), &[(5_000, Input::FinalReport { success: true })]);
    assert_eq!(early.next.status(), Status::Completing);
    assert!(early.next.is_up());
    assert_eq!(early.next.running_since(), Some(Monotonic::from_ms(5_000)));
    let gone = follow(early, &[(6_000, Input::Gone(code(0)))]);
    assert_eq!(gone.next.verdict(), Some(Verdict::Completed(Completion::Succeeded)));

    let stopped = [(4_000, INTERRUPT), (5_000, Input::FinalReport { success: true })];
    let late = follow(Machine::launch(policy()), &stopped);
    assert!(late.next.is_up());
    assert_eq!(late.act, Act::Nothing, "its signal goes out when it is found");
    let found = follow(late, &[(9_000, Input::Adopted)]);
    assert_eq!(found.act, Act::Signal(Rung::Interrupt));
}

#[test]
fn open_requests_are_withdrawn_when_the_end_is_decided_or_there() {
    let waiting: [(u64, Input); 2] = [(2_000, Input::RequestOpened), (2_500, Input::RequestOpened)];
    assert_eq!(after(&waiting).next.requests_open(), 2);
    for input in [INTERRUPT, Input::FinalReport { success: true }, Input::Gone(code(0)), TIMEOUT] {
        let decided = after(&[&waiting[..], &[(3_000, input)]].concat());
        assert_eq!(decided.next.requests_open(), 0, "{input:?}");
        assert_eq!(decided.next.revision().number(), 5, "in one change: {input:?}");
    }
}

#[test]
fn a_session_runs_again_when_its_last_request_is_answered() {
    let opened = (2_000, Input::RequestOpened);
    let closed = (3_000, Input::RequestClosed);
    let one_left = after(&[opened, opened, closed]).next;
    assert_eq!((one_left.status(), one_left.requests_open()), (Status::WaitingInput, 1));
    let none_left = after(&[opened, opened, closed, closed]).next;
    assert_eq!((none_left.status(), none_left.requests_open()), (Status::Running, 0));
}

#[test]
fn a_request_or_an_answer_that_comes_too_late_changes_nothing() {
    for decided in [INTERRUPT, Input::FinalReport { success: true }] {
        let completing = after(&[(5_000, decided)]).next;
        for late in [Input::RequestOpened, Input::RequestClosed] {
            assert_does_nothing(&completing, &completing.step(late, at(6_000)).unwrap());
        }
    }
    assert_does_nothing(&running(), &running().step(Input::RequestClosed, at(6_000)).unwrap());
}

#[test]
fn the_default_graces_are_those_of_the_plan() {
    let Graces { ask_ms, interrupt_ms, interrupt_again_ms, terminate_ms, linger_ms } =
        Graces::default();
    assert_eq!((interrupt_ms, terminate_ms, linger_ms), (10_000, 5_000, 30_000));
    assert_eq!((ask_ms, interrupt_again_ms), (None, None));
}

#[test]
fn a_parent_that_ends_starts_the_child_that_waits_for_it_and_no_other() {
    let started = follow(Machine::queue(policy()), &[(5_000, Input::ParentEnded)]);
    assert_eq!((started.next.status(), started.act), (Status::Starting, Act::Launch));
    assert_eq!(started.cause, Some(Cause::ParentEnded));
    let again = started.next.step(Input::ParentEnded, at(6_000)).unwrap();
    assert_does_nothing(&started.next, &again);
}
