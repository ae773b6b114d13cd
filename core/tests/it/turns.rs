//! Turns: an agent that waits for a message, and for how long.

use candor_core::event::Cause;
use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::status::Status;
use candor_core::step::{Act, Answer, Transition};
use candor_core::stop::{Rung, StopKind};
use candor_core::time::Monotonic;

use crate::support::{IDLE_MS, at, follow, talking};

const IDLE: Input = Input::Due(Deadline::Idle);

fn after(inputs: &[(u64, Input)]) -> Transition {
    let up = [(1_000, Input::Spawned)];
    follow(Machine::launch(talking()), &[&up, inputs].concat())
}

fn idle_from(ms: u64) -> Option<Monotonic> {
    Some(Monotonic::from_ms(ms + u64::from(IDLE_MS)))
}

fn assert_waits(step: &Transition, requests: u16) {
    assert_eq!(step.next.status(), Status::WaitingInput);
    assert_eq!((step.next.awaits_message(), step.next.requests_open()), (true, requests));
}

fn assert_unchanged(before: &Machine, input: Input) {
    let Ok(step) = before.step(input, at(9_000)) else { panic!("{input:?} is illegal") };
    assert_eq!((step.next, step.cause, step.act), (*before, None, Act::Nothing), "{input:?}");
    assert_eq!((step.deadline, step.idle_at), (None, None), "{input:?}");
}

#[test]
fn it_waits_between_turns_and_runs_in_them() {
    let ended = after(&[(5_000, Input::TurnEnded)]);
    assert_waits(&ended, 0);
    assert_eq!((ended.cause, ended.idle_at), (Some(Cause::TurnEnded), idle_from(5_000)));
    let began = follow(ended, &[(6_000, Input::TurnBegan)]);
    assert_eq!((began.next.status(), began.next.awaits_message()), (Status::Running, false));
    assert_eq!((began.cause, began.idle_at), (Some(Cause::TurnBegan), None));
    assert_unchanged(&began.next, Input::TurnBegan);
}

#[test]
fn who_waits_too_long_is_finished() {
    let ended = after(&[(5_000, Input::TurnEnded)]);
    let finished = follow(ended, &[(65_000, IDLE)]);
    assert_eq!(finished.next.status(), Status::Completing);
    assert_eq!(finished.next.intent(), Some(StopKind::Finish));
    assert_eq!(finished.cause, Some(Cause::Stop(StopKind::Finish)));
    assert_eq!(finished.act, Act::Signal(Rung::Ask));
    assert!(!finished.next.awaits_message());
}

#[test]
fn an_idle_deadline_means_nothing_to_who_works_or_asks_or_ends() {
    let opened = (4_000, Input::RequestOpened);
    let ended = (5_000, Input::TurnEnded);
    let stories = [
        &[][..],
        &[opened],
        &[ended, (6_000, Input::TurnBegan)],
        &[ended, (6_000, Input::RequestOpened)],
        &[ended, (6_000, Input::Stop(StopKind::Interrupt))],
        &[ended, (6_000, Input::FinalReport { success: true })],
    ];
    for story in stories {
        assert_unchanged(&after(story).next, IDLE);
    }
    assert_unchanged(&Machine::launch(talking()).next, IDLE);
    assert_unchanged(&Machine::queue(talking()).next, IDLE);
}

#[test]
fn a_request_holds_the_idle_deadline_up_and_its_answer_sets_it_anew() {
    let story = [(5_000, Input::TurnEnded), (6_000, Input::RequestOpened)];
    let two =
        follow(after(&story), &[(7_000, Input::RequestOpened), (8_000, Input::RequestClosed)]);
    assert_waits(&two, 1);
    assert_eq!(two.idle_at, None, "one is open still");
    let free = follow(two, &[(65_000, IDLE), (70_000, Input::RequestClosed)]);
    assert_waits(&free, 0);
    assert_eq!(free.idle_at, idle_from(70_000), "or it would wait for ever");
}

#[test]
fn a_turn_that_ends_while_a_request_is_open_and_one_that_begins_keep_it_waiting() {
    let story = [(4_000, Input::RequestOpened), (5_000, Input::TurnEnded)];
    let both = after(&story);
    assert_waits(&both, 1);
    let began = follow(both, &[(6_000, Input::TurnBegan)]);
    assert_eq!(began.next.status(), Status::WaitingInput);
    assert!(!began.next.awaits_message());
    let closed = follow(began, &[(7_000, Input::RequestClosed)]);
    assert_eq!(closed.next.status(), Status::Running);
}

#[test]
fn every_end_of_a_turn_begins_the_waiting_anew() {
    let again = after(&[(5_000, Input::TurnEnded), (50_000, Input::TurnEnded)]);
    assert_eq!((again.cause, again.idle_at), (Some(Cause::TurnEnded), idle_from(50_000)));
    assert_waits(&again, 0);
}

#[test]
fn whoever_takes_over_gives_it_the_whole_time_again() {
    let waiting = after(&[(5_000, Input::TurnEnded)]).next;
    let found = waiting.step(Input::Adopted, at(40_000)).unwrap();
    assert_eq!((found.cause, found.idle_at), (None, idle_from(40_000)));
    let working = after(&[]).next.step(Input::Adopted, at(40_000)).unwrap();
    assert_eq!(working.idle_at, None);
}

#[test]
fn without_a_limit_it_waits_as_long_as_it_takes() {
    let patient = Policy { idle_ms: None, ..talking() };
    let up = Machine::launch(patient);
    let ended = follow(up, &[(1_000, Input::Spawned), (5_000, Input::TurnEnded)]);
    assert_eq!(ended.idle_at, None);
}

#[test]
fn settings_change_while_nothing_is_decided_and_keep_the_status() {
    let up = [(1_000, Input::Spawned)];
    let launched = Machine::launch(talking());
    for before in [
        Machine::queue(talking()),
        launched,
        follow(launched, &up),
        after(&[(5_000, Input::TurnEnded)]),
        after(&[(5_000, Input::RequestOpened)]),
    ] {
        let changed = follow(before, &[(6_000, Input::SettingsChanged)]);
        assert_eq!(changed.next.status(), before.next.status());
        assert_eq!(changed.cause, Some(Cause::SettingsChanged));
        assert_eq!(changed.next.revision(), before.next.revision().next());
        assert_eq!((changed.act, changed.answer), (Act::Nothing, Answer::Accepted));
    }
    for decided in [Input::Stop(StopKind::Finish), Input::FinalReport { success: true }] {
        assert_unchanged(&after(&[(5_000, decided)]).next, Input::SettingsChanged);
    }
}

#[test]
fn a_turn_in_what_ends_changes_nothing() {
    let stopped = after(&[(5_000, Input::Stop(StopKind::Finish))]).next;
    assert_unchanged(&stopped, Input::TurnEnded);
    assert_unchanged(&stopped, Input::TurnBegan);
}
