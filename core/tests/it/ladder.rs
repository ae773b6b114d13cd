//! The ladder with the rungs that only some agents have, and what it is to finish a session.

use core::num::NonZeroU32;

use candor_core::event::Cause;
use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::status::Status;
use candor_core::step::{Act, Answer, Transition};
use candor_core::stop::{Graces, Rung, Signal, StopKind};
use candor_core::time::Monotonic;
use candor_core::verdict::{Completion, Failure, Verdict};

use crate::support::{ALL_GRACES, GRACES, RUNGS, STOPS, at, code, follow, policy, signal, talking};

const INTERRUPT: Input = Input::Stop(StopKind::Interrupt);
const FINISH: Input = Input::Stop(StopKind::Finish);
const SUCCEEDED: Option<Verdict> = Some(Verdict::Completed(Completion::Succeeded));

const fn over(rung: Rung) -> Input {
    Input::Due(Deadline::RungOver(rung))
}

const fn interrupted(kind: StopKind) -> Option<Verdict> {
    Some(Verdict::Completed(Completion::Interrupted(kind)))
}

/// The last step of a session with all rungs that came up at 1 s and then saw `inputs`.
fn after(inputs: &[(u64, Input)]) -> Transition {
    let up = [(1_000, Input::Spawned)];
    follow(Machine::launch(talking()), &[&up, inputs].concat())
}

fn due(rung: Rung, ms: u64) -> Option<(Deadline, Monotonic)> {
    Some((Deadline::RungOver(rung), Monotonic::from_ms(ms)))
}

fn some_ladder(ask: bool, again: bool) -> Graces {
    let ask_ms = ALL_GRACES.ask_ms.filter(|_| ask);
    let interrupt_again_ms = ALL_GRACES.interrupt_again_ms.filter(|_| again);
    Graces { ask_ms, interrupt_again_ms, ..GRACES }
}

#[test]
fn each_of_the_four_ladders_has_its_rungs_in_their_order() {
    for ask in [false, true] {
        for again in [false, true] {
            let graces = some_ladder(ask, again);
            let expected: Vec<_> = RUNGS
                .into_iter()
                .filter(|rung| match rung {
                    Rung::Ask => ask,
                    Rung::InterruptAgain => again,
                    Rung::Interrupt | Rung::Terminate | Rung::Kill => true,
                })
                .collect();
            let first = graces.first(StopKind::Interrupt);
            let climbed = std::iter::successors(Some(first), |rung| graces.above(*rung));
            assert_eq!(climbed.collect::<Vec<_>>(), expected);
            assert!(expected.is_sorted());
            for kind in STOPS {
                let at_the_top = kind == StopKind::Kill;
                assert_eq!(graces.first(kind), if at_the_top { Rung::Kill } else { first });
            }
        }
    }
}

#[test]
fn a_rung_sends_one_signal_or_asks() {
    let signals = [
        None,
        Some(Signal::Interrupt),
        Some(Signal::Interrupt),
        Some(Signal::Terminate),
        Some(Signal::Kill),
    ];
    assert_eq!(RUNGS.map(Rung::signal), signals);
}

#[test]
fn each_grace_is_its_own_and_to_finish_gives_a_turn_its_time() {
    let graces = |kind| RUNGS.map(|rung| ALL_GRACES.after(rung, kind));
    let usual = [Some(2_000), Some(7_000), Some(4_000), Some(3_000), None];
    assert_eq!(graces(None), usual);
    for kind in STOPS.into_iter().filter(|kind| *kind != StopKind::Finish) {
        assert_eq!(graces(Some(kind)), usual, "{kind}");
    }
    let finish = [Some(20_000), Some(7_000), Some(4_000), Some(3_000), None];
    assert_eq!(graces(Some(StopKind::Finish)), finish);
    let missing = GRACES.after(Rung::Ask, None).zip(GRACES.after(Rung::InterruptAgain, None));
    assert_eq!(missing, Some((0, 0)), "a stored rung that the ladder lacks waits for nothing");
}

#[test]
fn the_whole_ladder_takes_as_long_as_its_rungs() {
    assert_eq!(ALL_GRACES.total_ms(), 2_000 + 7_000 + 4_000 + 3_000);
    assert_eq!(GRACES.total_ms(), 7_000 + 3_000);
    let longest = Graces {
        ask_ms: NonZeroU32::new(u32::MAX),
        interrupt_ms: u32::MAX,
        interrupt_again_ms: NonZeroU32::new(u32::MAX),
        terminate_ms: u32::MAX,
        linger_ms: 0,
    };
    assert_eq!(longest.total_ms(), 4 * u64::from(u32::MAX), "it does not wrap");
}

#[test]
fn an_interrupt_asks_first_and_climbs_every_rung() {
    let mut step = after(&[(5_000, INTERRUPT)]);
    assert_eq!(step.act, Act::Signal(Rung::Ask));
    assert_eq!(step.deadline, due(Rung::Ask, 7_000));
    let climbs = [
        (7_000, Rung::Interrupt, Some(14_000)),
        (14_000, Rung::InterruptAgain, Some(18_000)),
        (18_000, Rung::Terminate, Some(21_000)),
        (21_000, Rung::Kill, None),
    ];
    for (ms, rung, next_ms) in climbs {
        let below = step.next.rung().unwrap_or(Rung::Kill);
        step = follow(step, &[(ms, over(below))]);
        assert_eq!(step.cause, Some(Cause::Climbed(rung)));
        assert_eq!(step.act, Act::Signal(rung));
        assert_eq!(step.deadline, next_ms.and_then(|ms| due(rung, ms)));
    }
    assert_eq!(step.next.revision().number(), 7, "launch, up, and one for each rung");
}

#[test]
fn a_process_that_lingers_after_its_report_is_asked_first() {
    let reported = [(5_000, Input::FinalReport { success: true })];
    let lingers = follow(after(&reported), &[(25_000, Input::Due(Deadline::Linger))]);
    assert_eq!(lingers.act, Act::Signal(Rung::Ask));
    assert_eq!(lingers.cause, Some(Cause::Climbed(Rung::Ask)));
    assert_eq!(lingers.deadline, due(Rung::Ask, 27_000));
}

#[test]
fn the_stored_rung_is_asked_again_of_a_process_that_is_found() {
    let asked = after(&[(5_000, INTERRUPT)]).next;
    let found = asked.step(Input::Adopted, at(50_000)).unwrap();
    assert_eq!((found.act, found.cause), (Act::Signal(Rung::Ask), None));
    assert_eq!(found.deadline, due(Rung::Ask, 52_000));
}

#[test]
fn to_finish_gives_a_turn_its_time_and_then_climbs() {
    let finish = after(&[(5_000, FINISH)]);
    assert_eq!(
        (finish.next.status(), finish.next.intent()),
        (Status::Completing, Some(StopKind::Finish))
    );
    assert_eq!(finish.act, Act::Signal(Rung::Ask));
    assert_eq!(finish.deadline, due(Rung::Ask, 25_000), "as long as it may linger");
    let climbed = follow(finish, &[(25_000, over(Rung::Ask))]);
    assert_eq!(climbed.act, Act::Signal(Rung::Interrupt));
    let again = climbed.next.step(FINISH, at(26_000)).unwrap();
    assert_eq!((again.cause, again.answer), (None, Answer::AlreadyStopping(StopKind::Finish)));
}

#[test]
fn an_interrupt_does_not_wait_for_what_is_being_finished_and_decides() {
    let finish = after(&[(5_000, FINISH)]);
    for kind in [StopKind::Interrupt, StopKind::Shutdown, StopKind::Superseded] {
        let stopped = follow(finish, &[(6_000, Input::Stop(kind))]);
        assert_eq!(stopped.next.intent(), Some(kind));
        assert_eq!(stopped.cause, Some(Cause::Stop(kind)));
        assert_eq!(stopped.act, Act::Signal(Rung::Interrupt));
        assert_eq!(stopped.answer, Answer::Accepted, "it is the first that decides");
        assert_eq!(stopped.deadline, due(Rung::Interrupt, 13_000));
        for end in [code(0), code(1), signal(2)] {
            let gone = follow(stopped, &[(7_000, Input::Gone(end))]);
            assert_eq!(gone.next.verdict(), interrupted(kind), "never a failure");
        }
    }
    let killed = follow(finish, &[(6_000, Input::Stop(StopKind::Kill))]);
    assert_eq!((killed.act, killed.next.intent()), (Act::Signal(Rung::Kill), Some(StopKind::Kill)));
}

#[test]
fn an_interrupt_of_what_is_sent_signals_already_is_stored_and_sends_none_twice() {
    let climbed = after(&[(5_000, FINISH), (25_000, over(Rung::Ask))]);
    let stopped = follow(climbed, &[(26_000, INTERRUPT)]);
    assert_eq!(stopped.next.intent(), Some(StopKind::Interrupt));
    assert_eq!(
        (stopped.cause, stopped.act),
        (Some(Cause::Stop(StopKind::Interrupt)), Act::Nothing)
    );
    assert_eq!(stopped.next.rung(), Some(Rung::Interrupt));
    let gone = follow(stopped, &[(27_000, Input::Gone(signal(2)))]);
    assert_eq!(gone.next.verdict(), interrupted(StopKind::Interrupt));
}

#[test]
fn to_finish_what_is_interrupted_changes_nothing() {
    let stopped = after(&[(5_000, INTERRUPT)]).next;
    let finish = stopped.step(FINISH, at(6_000)).unwrap();
    assert_eq!((finish.next, finish.cause, finish.act), (stopped, None, Act::Nothing));
    assert_eq!(finish.answer, Answer::AlreadyStopping(StopKind::Interrupt));
}

#[test]
fn a_time_limit_that_is_over_while_it_is_finished_does_nothing() {
    let finish = after(&[(5_000, FINISH)]).next;
    let late = finish.step(Input::Due(Deadline::Timeout), at(301_000)).unwrap();
    assert_eq!((late.next, late.cause, late.act), (finish, None, Act::Nothing));
}

#[test]
fn what_the_agent_says_decides_over_what_it_was_to_finish() {
    for (report, verdict) in
        [(true, SUCCEEDED), (false, Some(Verdict::Failed(Failure::AgentError)))]
    {
        let report = Input::FinalReport { success: report };
        for inputs in [
            &[(5_000, FINISH), (6_000, report)][..],
            &[(5_000, report), (6_000, FINISH)],
            &[(5_000, FINISH), (25_000, over(Rung::Ask)), (26_000, report)],
        ] {
            for end in [code(0), code(1), signal(2), signal(9)] {
                let gone = follow(after(inputs), &[(30_000, Input::Gone(end))]);
                assert_eq!(gone.next.verdict(), verdict, "{inputs:?} {end:?}");
            }
        }
    }
}

#[test]
fn a_success_that_came_before_the_interrupt_stays_one_though_it_was_to_finish_by_then() {
    let report = Input::FinalReport { success: true };
    let inputs = [(5_000, FINISH), (6_000, report), (7_000, INTERRUPT)];
    let gone = follow(after(&inputs), &[(8_000, Input::Gone(signal(2)))]);
    assert_eq!(gone.next.verdict(), SUCCEEDED);
}

#[test]
fn a_deaf_process_that_is_ended_by_our_signals_did_not_fail() {
    let silent = Policy { always_reports: false, ..talking() };
    let reports = Policy { always_reports: true, ..talking() };
    let no_report = Some(Verdict::Failed(Failure::NoReport));
    for (policy, verdict) in [(silent, SUCCEEDED), (reports, no_report)] {
        let story = [
            (1_000, Input::Spawned),
            (5_000, FINISH),
            (25_000, over(Rung::Ask)),
            (32_000, over(Rung::Interrupt)),
            (36_000, over(Rung::InterruptAgain)),
            (39_000, over(Rung::Terminate)),
            (39_100, Input::Gone(signal(9))),
        ];
        let gone = follow(Machine::launch(policy), &story);
        assert_eq!(gone.next.verdict(), verdict);
    }
}

#[test]
fn what_was_never_begun_is_called_off() {
    let finish = follow(Machine::queue(policy()), &[(5_000, FINISH)]);
    assert_eq!(finish.next.verdict(), interrupted(StopKind::Interrupt));
    assert_eq!(finish.cause, Some(Cause::Stop(StopKind::Interrupt)));
}
