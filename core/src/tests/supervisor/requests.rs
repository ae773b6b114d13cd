//! What an agent asks its user: each request is answered once, or withdrawn, and the row and the
//! machine never disagree about how many are open.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::agent::{Decision, REQUESTS_CLOSED_MAX, RequestState};
use crate::event::Cause;
use crate::happening::Happening;
use crate::input::Input;
use crate::session::{Report, Session};
use crate::status::Status;
use crate::step::Answer;
use crate::stop::{Actor, Signal, StopKind};
use crate::supervisor::{HandleError, Orders, Supervisor};
use crate::time::Timestamp;

use super::super::{after, at};
use super::world::{
    Call, START_MS, USER, World, exited, not_stored, now, opened, rung, stop, unknown,
};

const STORED: [Call; 2] = [Call::Commit(Ok(7)), Call::Publish(7)];

fn stored(times: usize) -> Vec<Call> {
    core::iter::repeat_n(STORED, times).flatten().collect()
}

fn decision(approved: bool, message: Option<&str>) -> Box<Decision> {
    Box::new(Decision { approved, message: message.map(String::from), by: USER })
}

fn answered(number: u32, approved: bool) -> Happening {
    Happening::Answered { number, decision: decision(approved, None) }
}

fn take(supervisor: &mut Supervisor, happening: Happening) -> Answer {
    let result = now(supervisor.handle(happening));
    let session = supervisor.session();
    let open = session.requests.iter().filter(|request| request.is_open()).count();
    assert_eq!(open, usize::from(session.machine.requests_open()), "row and machine agree");
    result.unwrap_or_else(|error| panic!("{error}")).answer
}

/// Number, state, and whether somebody answered.
fn requests(session: &Session) -> Vec<(u32, RequestState, Option<Actor>)> {
    let requests = session.requests.iter();
    requests.map(|request| (request.number, request.state, request.by)).collect()
}

fn assert_not_open(supervisor: &mut Supervisor, number: u32, expected: Option<RequestState>) {
    let before = supervisor.session().clone();
    let result = now(supervisor.handle(answered(number, true)));
    assert_eq!(result, Err(HandleError::RequestNotOpen { state: expected }));
    assert_eq!(supervisor.session(), &before);
}

#[test]
fn of_two_that_are_open_one_is_answered_and_the_other_withdrawn_by_the_stop() {
    let world = World::of(&[stored(4), Vec::from(rung(Signal::Interrupt))].concat());
    let mut supervisor = world.running();
    take(&mut supervisor, opened(10));
    take(&mut supervisor, opened(20));
    assert_eq!(supervisor.session().machine.requests_open(), 2);

    let decision = decision(false, Some("not on a Friday"));
    take(&mut supervisor, Happening::Answered { number: 1, decision });
    assert_eq!(supervisor.session().status(), Status::WaitingInput, "the other is open");
    let request = supervisor.session().request(1).unwrap();
    assert_eq!(request.message.as_deref(), Some("not on a Friday"));
    assert_eq!(request.closed_at, Some(at(START_MS).wall));

    take(&mut supervisor, stop(StopKind::Interrupt));
    let expected = [(1, RequestState::Denied, Some(USER)), (2, RequestState::Withdrawn, None)];
    assert_eq!(requests(supervisor.session()), expected);

    let commits = world.commits();
    let last = commits.last().unwrap();
    assert_eq!(last.event.cause, Cause::Stop(StopKind::Interrupt), "in the commit of the stop");
    assert_eq!(requests(&last.session), expected);
    let answer = &commits[2].event;
    assert_eq!((answer.cause, answer.by), (Cause::RequestClosed, USER));
}

#[test]
fn whatever_decides_the_end_withdraws_what_is_open_in_the_same_commit() {
    let reported = Happening::Reported(Report { success: true, ..Report::default() });
    for (happening, calls) in [
        (stop(StopKind::Kill), Vec::from(rung(Signal::Kill))),
        (stop(StopKind::Finish), Vec::from(rung(Signal::Interrupt))),
        (reported, Vec::new()),
        (exited(0), Vec::new()),
    ] {
        let world = World::of(&[stored(3), calls].concat());
        let mut supervisor = world.running();
        take(&mut supervisor, opened(10));
        take(&mut supervisor, opened(20));
        take(&mut supervisor, happening);
        let [.., last] = &world.commits()[..] else { panic!("nothing was stored") };
        let withdrawn = |number| (number, RequestState::Withdrawn, None);
        assert_eq!(requests(&last.session), [withdrawn(1), withdrawn(2)]);
        let moment = Some(at(START_MS).wall);
        assert!(last.session.requests.iter().all(|request| request.closed_at == moment));
    }
}

#[test]
fn a_second_answer_to_one_request_changes_nothing_and_is_told_so() {
    let world = World::of(&stored(2));
    let mut supervisor = world.running();
    take(&mut supervisor, opened(10));
    assert_eq!(take(&mut supervisor, answered(1, true)), Answer::Accepted);
    assert_eq!(supervisor.session().status(), Status::Running);
    assert_not_open(&mut supervisor, 1, Some(RequestState::Approved));
    assert_not_open(&mut supervisor, 2, None);
    assert_not_open(&mut supervisor, 0, None);
}

#[test]
fn an_answer_after_a_stop_is_refused_and_after_the_end_told_how_it_ended() {
    let calls = [stored(2), Vec::from(rung(Signal::Interrupt)), stored(1)].concat();
    let world = World::of(&calls);
    let mut supervisor = world.running();
    take(&mut supervisor, opened(10));
    take(&mut supervisor, stop(StopKind::Interrupt));
    assert_not_open(&mut supervisor, 1, Some(RequestState::Withdrawn));

    take(&mut supervisor, exited(0));
    let ended = supervisor.session().clone();
    let orders = now(supervisor.handle(answered(1, true)));
    let verdict = ended.verdict().unwrap();
    assert_eq!(orders.map(|orders| orders.answer), Ok(Answer::AlreadyEnded(verdict)));
    assert_eq!(supervisor.session(), &ended, "nobody comes back to life");
}

#[test]
fn a_request_that_the_agent_withdraws_twice_is_closed_once() {
    let world = World::of(&stored(3));
    let mut supervisor = world.running();
    take(&mut supervisor, opened(10));
    take(&mut supervisor, opened(20));
    take(&mut supervisor, Happening::RequestWithdrawn { number: 1 });
    let before = supervisor.session().clone();
    for number in [1, 0, 99] {
        let result = now(supervisor.handle(Happening::RequestWithdrawn { number }));
        assert_eq!(result, Ok(Orders::NOTHING));
        assert_eq!(supervisor.session(), &before);
    }
    assert_eq!(before.machine.requests_open(), 1);
}

#[test]
fn a_request_in_what_ends_is_stored_nowhere() {
    let calls = [stored(1), Vec::from(rung(Signal::Interrupt))].concat();
    let world = World::of(&calls);
    let mut supervisor = world.running();
    take(&mut supervisor, stop(StopKind::Interrupt));
    take(&mut supervisor, opened(10));
    assert_eq!(supervisor.session().requests, []);
    assert_eq!(supervisor.session().requests_count, 0);
}

#[test]
fn numbers_count_on_and_the_oldest_of_the_closed_go() {
    const ROUNDS: u32 = 30;
    let world = World::of(&stored(2 * ROUNDS as usize + 2));
    let mut supervisor = world.running();
    // The first one stays open all the time.
    take(&mut supervisor, opened(1));
    for round in 1..=ROUNDS {
        take(&mut supervisor, opened(u64::from(round) * 10));
        take(&mut supervisor, answered(round + 1, round % 2 == 0));
        assert!(supervisor.session().requests.len() <= REQUESTS_CLOSED_MAX + 2);
    }
    take(&mut supervisor, opened(10_000));
    let session = supervisor.session();
    let numbers: Vec<_> = session.requests.iter().map(|request| request.number).collect();
    let closed = REQUESTS_CLOSED_MAX as u32;
    let kept = (ROUNDS + 2 - closed)..=(ROUNDS + 2);
    assert_eq!(numbers, [1].into_iter().chain(kept).collect::<Vec<_>>());
    assert_eq!(session.requests_count, ROUNDS + 2);
    assert_eq!(session.requests_read_to, 10_001, "the last line that asked is known");
    assert_not_open(&mut supervisor, 3, None);
}

#[test]
fn what_was_closed_at_once_is_kept_until_the_next_one_opens() {
    const OPEN: u32 = 20;
    let world = World::of(&stored(2 * OPEN as usize + 1));
    let mut supervisor = world.running();
    (1..=OPEN).for_each(|offset| {
        take(&mut supervisor, opened(offset.into()));
    });
    (1..=OPEN).for_each(|number| {
        take(&mut supervisor, answered(number, true));
    });
    // Their answers may not have been sent when the daemon dies now.
    assert_eq!(supervisor.session().requests.len(), OPEN as usize);
    take(&mut supervisor, opened(1_000));
    assert_eq!(supervisor.session().requests.len(), REQUESTS_CLOSED_MAX + 1);
}

#[test]
fn an_answer_that_the_store_does_not_take_was_not_given() {
    let calls = [stored(1), Vec::from([Call::Commit(Err(not_stored()))]), stored(1)].concat();
    let world = World::of(&calls);
    let mut supervisor = world.running();
    take(&mut supervisor, opened(10));
    let refused = now(supervisor.handle(answered(1, true)));
    assert!(matches!(refused, Err(HandleError::StoreUnavailable { .. })));
    assert_eq!(requests(supervisor.session()), [(1, RequestState::Open, None)]);
    take(&mut supervisor, answered(1, false));
    assert_eq!(requests(supervisor.session()), [(1, RequestState::Denied, Some(USER))]);
}

#[test]
fn while_an_answer_is_in_doubt_nobody_gives_another() {
    let doubt = Vec::from([
        Call::Commit(Err(unknown())),
        Call::Load(super::world::Row::Unavailable),
        Call::Load(super::world::Row::Ours(8)),
        Call::Publish(8),
    ]);
    let world = World::of(&[stored(1), doubt].concat());
    let mut supervisor = world.running();
    take(&mut supervisor, opened(10));
    let first = now(supervisor.handle(answered(1, true)));
    assert!(matches!(first, Err(HandleError::InDoubt { .. })));
    let second = now(supervisor.handle(answered(1, false)));
    assert!(matches!(
        second,
        Err(HandleError::StoreUnavailable { .. } | HandleError::Blocked { .. })
    ));
    assert!(now(supervisor.retry()).is_ok());
    assert_eq!(requests(supervisor.session()), [(1, RequestState::Approved, Some(USER))]);
    assert_not_open(&mut supervisor, 1, Some(RequestState::Approved));
}

#[test]
fn a_bypass_is_a_change_of_the_row_and_none_of_the_status() {
    let until = Timestamp::from_second(2_000_000_000).unwrap();
    let bypass = |until| Happening::Bypass { until, by: USER };
    for inputs in [&[][..], &[Input::Spawned], &[Input::Spawned, Input::TurnEnded]] {
        let world = World::of(&stored(2));
        let mut supervisor = world.resume(after(inputs));
        let status = supervisor.session().status();
        take(&mut supervisor, bypass(Some(until)));
        assert_eq!(supervisor.session().bypass_until, Some(until));
        take(&mut supervisor, bypass(None));
        assert_eq!(supervisor.session().bypass_until, None);
        for change in world.commits() {
            let event = change.event;
            assert_eq!((event.from, event.to), (Some(status), status));
            assert_eq!((event.cause, event.by), (Cause::SettingsChanged, USER));
        }
    }
}

#[test]
fn a_bypass_means_nothing_once_the_end_is_decided() {
    let until = Some(Timestamp::UNIX_EPOCH);
    for inputs in [
        &[Input::Spawned, Input::Stop(StopKind::Interrupt)][..],
        &[Input::Spawned, Input::FinalReport { success: true }],
        &[Input::Spawned, Input::FinalReport { success: true }, exited(0).input()],
    ] {
        let world = World::of(&[]);
        let mut supervisor = world.resume(after(inputs));
        take(&mut supervisor, Happening::Bypass { until, by: USER });
        assert_eq!(supervisor.session().bypass_until, None);
    }
}
