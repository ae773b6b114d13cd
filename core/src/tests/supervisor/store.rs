//! How a commit can end, and what each end means for a command and for a fact.

use alloc::string::ToString as _;

use crate::happening::Happening;
use crate::input::{Deadline, Input};
use crate::ports::CommitError;
use crate::session::Session;
use crate::status::Status;
use crate::step::Answer;
use crate::stop::{Rung, Signal, StopKind};
use crate::supervisor::{HandleError, Orders, Supervisor, Task};
use crate::time::Monotonic;

use super::super::after;
use super::world::{Call, Row, START_MS, World, exited, id, not_stored, now, rung, stop, unknown};

const STORED: Call = Call::Commit(Ok(7));
const TOLD: Call = Call::Publish(7);

/// Both answers after which only a read can tell.
fn doubts() -> [CommitError; 2] {
    [unknown(), CommitError::Conflict]
}

fn assert_unchanged(supervisor: &Supervisor, before: &Session) {
    assert_eq!(supervisor.session(), before);
}

fn is_unavailable(result: &Result<Orders, HandleError>) -> bool {
    matches!(result, Err(HandleError::StoreUnavailable { .. }))
}

fn is_in_doubt(result: &Result<Orders, HandleError>) -> bool {
    matches!(result, Err(HandleError::InDoubt { .. }))
}

fn is_blocked(result: &Result<Orders, HandleError>) -> bool {
    matches!(result, Err(HandleError::Blocked { .. }))
}

#[test]
fn a_command_that_is_not_stored_changes_nothing_and_can_be_asked_again() {
    let [int, cont] = rung(Signal::Interrupt);
    let world = World::of(&[Call::Commit(Err(not_stored())), STORED, TOLD, int, cont]);
    let mut supervisor = world.running();
    let before = supervisor.session().clone();
    let result = now(supervisor.handle(stop(StopKind::Interrupt)));
    assert!(is_unavailable(&result), "{result:?}");
    assert!(result.unwrap_err().to_string().contains("the disk is full"), "says why");
    assert_unchanged(&supervisor, &before);
    assert!(!supervisor.is_blocked());

    let again = now(supervisor.handle(stop(StopKind::Interrupt)));
    assert!(again.is_ok_and(|orders| orders.answer == Answer::Accepted));
}

#[test]
fn an_exit_after_an_interrupt_that_was_not_stored_is_judged_without_it() {
    let world = World::of(&[Call::Commit(Err(not_stored())), STORED, TOLD]);
    let mut supervisor = world.running();
    assert!(is_unavailable(&now(supervisor.handle(stop(StopKind::Interrupt)))));
    assert!(now(supervisor.handle(exited(1))).is_ok());
    assert_eq!(supervisor.session().status(), Status::Failed);
}

#[test]
fn a_fact_that_is_not_stored_blocks_all_that_comes_after_it() {
    let world = World::of(&[Call::Commit(Err(not_stored()))]);
    let mut supervisor = world.running();
    let before = supervisor.session().clone();
    assert!(is_blocked(&now(supervisor.handle(exited(1)))));
    assert!(supervisor.is_blocked() && !supervisor.is_over());
    // Were the interrupt stepped now, the failure would be shown as an interruption.
    for later in [stop(StopKind::Interrupt), exited(0), Happening::Due(Deadline::Timeout)] {
        let result = now(supervisor.handle(later));
        assert!(is_blocked(&result), "{result:?}");
        assert!(result.unwrap_err().to_string().contains("the disk is full"), "says why");
    }
    assert_unchanged(&supervisor, &before);
}

#[test]
fn a_fact_is_retried_as_the_very_change_that_it_was() {
    let full = Call::Commit(Err(not_stored()));
    let world = World::of(&[full.clone(), full.clone(), full, STORED, TOLD]);
    let mut supervisor = world.running();
    assert!(is_blocked(&now(supervisor.handle(exited(1)))));
    for later_ms in [60_000, 120_000] {
        world.set_clock(later_ms);
        assert!(is_blocked(&now(supervisor.retry())));
    }
    world.set_clock(180_000);
    assert!(now(supervisor.retry()).is_ok());
    let commits = world.commits();
    assert_eq!(commits.len(), 4);
    for change in &commits {
        assert_eq!(change, &commits[0], "the same row, event id and time");
    }
    assert_eq!(supervisor.session(), &commits[0].session);
    assert!(!supervisor.is_blocked() && supervisor.is_over());
}

#[test]
fn the_process_that_came_with_a_fact_is_kept_until_the_fact_is_stored() {
    let [int, cont] = rung(Signal::Interrupt);
    let world = World::of(&[Call::Commit(Err(not_stored())), STORED, TOLD, int, cont]);
    let stopping = after(&[Input::Stop(StopKind::Interrupt)]);
    let mut supervisor = world.resume(stopping);
    assert!(is_blocked(&now(supervisor.handle(world.spawned()))));
    assert!(supervisor.process().is_none(), "not before it is durable");
    assert!(now(supervisor.retry()).is_ok());
    assert!(supervisor.process().is_some());
}

#[test]
fn a_signal_that_the_store_held_up_gets_its_whole_grace() {
    // Otherwise a process would get TERM in the same moment as INT, once the disk has space again.
    let [term, cont] = rung(Signal::Terminate);
    let [int, int_cont] = rung(Signal::Interrupt);
    let held_up = [Call::Commit(Err(not_stored())), STORED, TOLD, term, cont];
    let world = World::of(&[&[int, int_cont][..], &held_up].concat());
    let mut supervisor = world.resume(after(&[Input::Spawned, Input::Stop(StopKind::Interrupt)]));
    assert!(now(supervisor.handle(world.adopted())).is_ok());
    let over = Happening::Due(Deadline::RungOver(Rung::Interrupt));
    assert!(is_blocked(&now(supervisor.handle(over))));
    world.set_clock(90_000);
    let orders = now(supervisor.retry()).unwrap();
    let due = Monotonic::from_ms(90_000 + 3_000);
    assert_eq!(orders.deadline, Some((Deadline::RungOver(Rung::Terminate), due)));
}

#[test]
fn the_time_limit_counts_from_running_even_where_the_store_held_it_up() {
    let world = World::of(&[Call::Commit(Err(not_stored())), STORED, TOLD]);
    let mut supervisor = world.resume(after(&[]));
    assert!(is_blocked(&now(supervisor.handle(world.spawned()))));
    world.set_clock(90_000);
    let orders = now(supervisor.retry()).unwrap();
    let due = Monotonic::from_ms(START_MS + 300_000);
    assert_eq!(orders.deadline, Some((Deadline::Timeout, due)));
}

#[test]
fn a_doubt_that_turns_out_stored_goes_on_as_stored() {
    for doubt in doubts() {
        let [int, cont] = rung(Signal::Interrupt);
        let doubtful = [Call::Commit(Err(doubt)), Call::Load(Row::Ours(7)), TOLD];
        let world = World::of(&[&doubtful[..], &[int, cont]].concat());
        let mut supervisor = world.running();
        assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
        assert_eq!(supervisor.session(), &world.commit().session);

        let world = World::of(&doubtful);
        let mut supervisor = world.running();
        assert!(now(supervisor.handle(exited(1))).is_ok());
        assert_eq!(supervisor.session(), &world.commit().session);
    }
}

#[test]
fn a_doubt_that_turns_out_not_stored_is_as_if_the_store_had_said_so() {
    for doubt in doubts() {
        let doubtful = [Call::Commit(Err(doubt)), Call::Load(Row::Before)];
        let world = World::of(&doubtful);
        let mut supervisor = world.running();
        let before = supervisor.session().clone();
        assert!(is_unavailable(&now(supervisor.handle(stop(StopKind::Interrupt)))));
        assert_unchanged(&supervisor, &before);
        assert!(!supervisor.is_blocked());

        let world = World::of(&[&doubtful[..], &[STORED, TOLD]].concat());
        let mut supervisor = world.running();
        assert!(is_blocked(&now(supervisor.handle(exited(1)))));
        assert!(now(supervisor.retry()).is_ok());
        let [first, second] = world.commits().try_into().unwrap();
        assert_eq!(first, second);
    }
}

#[test]
fn a_row_that_somebody_else_wrote_ends_this_writer() {
    for doubt in doubts() {
        for row in [Row::Others, Row::Beyond, Row::Gone] {
            for happening in [stop(StopKind::Interrupt), exited(1)] {
                let world = World::of(&[Call::Commit(Err(doubt.clone())), Call::Load(row)]);
                let mut supervisor = world.running();
                let before = supervisor.session().clone();
                let result = now(supervisor.handle(happening));
                assert_eq!(result, Err(HandleError::Usurped { id: id() }), "{row:?}");
                assert_unchanged(&supervisor, &before);
            }
        }
    }
}

#[test]
fn a_command_whose_fate_cannot_be_read_is_refused_and_blocks_until_it_can() {
    for doubt in doubts() {
        for silence in [Row::Unavailable, Row::Damaged] {
            let doubtful = [Call::Commit(Err(doubt.clone())), Call::Load(silence)];
            let world = World::of(&[&doubtful[..], &[Call::Load(silence)]].concat());
            let mut supervisor = world.running();
            let before = supervisor.session().clone();
            assert!(is_in_doubt(&now(supervisor.handle(stop(StopKind::Interrupt)))));
            assert!(supervisor.is_blocked());
            assert!(is_blocked(&now(supervisor.handle(exited(1)))), "an exit waits for it");
            assert!(is_blocked(&now(supervisor.retry())));
            assert!(supervisor.is_blocked());
            assert_unchanged(&supervisor, &before);
        }
    }
}

#[test]
fn a_command_in_doubt_that_turns_out_stored_goes_on_with_its_signal() {
    let [int, cont] = rung(Signal::Interrupt);
    let found = [Call::Load(Row::Ours(7)), TOLD, int, cont];
    let doubtful = [Call::Commit(Err(unknown())), Call::Load(Row::Unavailable)];
    let world = World::of(&[&doubtful[..], &found].concat());
    let mut supervisor = world.running();
    assert!(is_in_doubt(&now(supervisor.handle(stop(StopKind::Interrupt)))));
    world.set_clock(30_000);
    let orders = now(supervisor.retry()).unwrap();
    let due = Monotonic::from_ms(30_000 + 7_000);
    assert_eq!(orders.deadline, Some((Deadline::RungOver(Rung::Interrupt), due)));
    assert_eq!(supervisor.session(), &world.commit().session, "the change of then");
    assert!(!supervisor.is_blocked());
}

#[test]
fn a_command_in_doubt_that_turns_out_not_stored_is_dropped() {
    let doubtful = [Call::Commit(Err(unknown())), Call::Load(Row::Unavailable)];
    let world = World::of(&[&doubtful[..], &[Call::Load(Row::Before), STORED, TOLD]].concat());
    let mut supervisor = world.running();
    let before = supervisor.session().clone();
    assert!(is_in_doubt(&now(supervisor.handle(stop(StopKind::Interrupt)))));
    let orders = now(supervisor.retry()).unwrap();
    assert_eq!((orders.task, orders.deadline), (Task::Nothing, None));
    assert_unchanged(&supervisor, &before);
    assert!(now(supervisor.handle(exited(0))).is_ok(), "and the session goes on");
}

#[test]
fn a_fact_in_doubt_is_looked_for_and_committed_again_only_if_it_is_not_there() {
    let doubtful = [Call::Commit(Err(unknown())), Call::Load(Row::Unavailable)];
    let found: &[Call] = &[Call::Load(Row::Ours(7)), TOLD];
    let missing: &[Call] = &[Call::Load(Row::Before), STORED, TOLD];
    for (again, commits) in [(found, 1), (missing, 2)] {
        let world = World::of(&[&doubtful[..], again].concat());
        let mut supervisor = world.running();
        assert!(is_blocked(&now(supervisor.handle(exited(1)))));
        assert!(now(supervisor.retry()).is_ok());
        assert_eq!(supervisor.session().status(), Status::Failed);
        let offered = world.commits();
        assert_eq!(offered.len(), commits);
        assert!(offered.iter().all(|change| change == &offered[0]), "the same change");
    }
}

#[test]
fn somebody_elses_change_is_found_while_retrying_too() {
    let doubtful = [Call::Commit(Err(unknown())), Call::Load(Row::Unavailable)];
    let usurped = Err(HandleError::Usurped { id: id() });

    let world = World::of(&[&doubtful[..], &[Call::Load(Row::Others)]].concat());
    let mut supervisor = world.running();
    assert!(is_in_doubt(&now(supervisor.handle(stop(StopKind::Kill)))));
    assert_eq!(now(supervisor.retry()), usurped);

    let world = World::of(&[&doubtful[..], &[Call::Load(Row::Beyond)]].concat());
    let mut supervisor = world.running();
    assert!(is_blocked(&now(supervisor.handle(exited(1)))));
    assert_eq!(now(supervisor.retry()), usurped);
}

#[test]
fn a_retry_without_anything_that_waits_does_nothing() {
    let world = World::of(&[]);
    let mut supervisor = world.running();
    let before = supervisor.session().clone();
    let orders = now(supervisor.retry()).unwrap();
    let nothing = (Task::Nothing, None, Answer::Accepted);
    assert_eq!((orders.task, orders.deadline, orders.answer), nothing);
    assert_unchanged(&supervisor, &before);
}
