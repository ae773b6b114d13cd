//! A session that is being created: it exists when it is stored, and one whose caller was told
//! that it failed never starts.

use crate::happening::Happening;
use crate::ports::CommitError;
use crate::session::Revision;
use crate::status::Status;
use crate::supervisor::{HandleError, Orders, Start, Supervisor, Task};
use crate::verdict::{Failure, Verdict};

use super::world::{Call, Row, World, birth, id, not_stored, now, unknown};

const BOTH: [Start; 2] = [Start::AtOnce, Start::AfterParent];

type Created = (Supervisor, Result<Orders, HandleError>);

fn create(world: &World, start: Start) -> Created {
    now(Supervisor::create(world.ports.clone(), birth(start)))
}

fn assert_never_was(created: &Created) {
    let (supervisor, result) = created;
    assert!(matches!(result, Err(HandleError::StoreUnavailable { .. })), "{result:?}");
    assert!(supervisor.is_over() && !supervisor.is_blocked());
    assert_eq!(supervisor.session().revision(), Revision::NONE);
}

#[test]
fn a_session_that_is_not_stored_never_was() {
    for start in BOTH {
        let world = World::of(&[Call::Commit(Err(not_stored()))]);
        assert_never_was(&create(&world, start));
        for doubt in [unknown(), CommitError::Conflict] {
            let world = World::of(&[Call::Commit(Err(doubt)), Call::Load(Row::Gone)]);
            assert_never_was(&create(&world, start));
        }
    }
}

#[test]
fn a_session_that_turns_out_stored_at_once_is_launched_like_any_other() {
    let found = [Call::Commit(Err(unknown())), Call::Load(Row::Ours(7)), Call::Publish(7)];
    let world = World::of(&found);
    let (supervisor, result) = create(&world, Start::AtOnce);
    assert!(result.is_ok_and(|orders| orders.task == Task::Launch));
    assert!(!supervisor.is_over());
}

#[test]
fn an_id_that_somebody_else_has_taken_ends_this_writer() {
    for row in [Row::Others, Row::Beyond] {
        let world = World::of(&[Call::Commit(Err(CommitError::Conflict)), Call::Load(row)]);
        let (_, result) = create(&world, Start::AtOnce);
        assert_eq!(result, Err(HandleError::Usurped { id: id() }));
    }
}

/// The calls of a creation whose fate cannot be read, and then `after`.
fn unconfirmed(after: &[Call]) -> World {
    let doubtful = [Call::Commit(Err(unknown())), Call::Load(Row::Unavailable)];
    World::of(&[&doubtful[..], after].concat())
}

#[test]
fn a_session_in_doubt_is_refused_and_must_be_retried() {
    for start in BOTH {
        let world = unconfirmed(&[Call::Load(Row::Unavailable)]);
        let (mut supervisor, result) = create(&world, start);
        assert!(matches!(result, Err(HandleError::InDoubt { .. })), "{result:?}");
        assert!(supervisor.is_blocked() && !supervisor.is_over());
        let again = now(supervisor.retry());
        assert!(matches!(again, Err(HandleError::Blocked { .. })), "{again:?}");
        assert!(supervisor.is_blocked() && !supervisor.is_over());
    }
}

#[test]
fn a_session_in_doubt_that_was_not_stored_never_was() {
    for start in BOTH {
        let world = unconfirmed(&[Call::Load(Row::Gone)]);
        let (mut supervisor, _) = create(&world, start);
        assert!(now(supervisor.retry()).is_ok_and(|orders| orders.task == Task::Nothing));
        assert!(supervisor.is_over());
    }
}

#[test]
fn a_session_in_doubt_that_was_stored_is_settled_and_never_launched() {
    for start in BOTH {
        let settled = [Call::Commit(Ok(8)), Call::Publish(8)];
        let found = [Call::Load(Row::Ours(7)), Call::Publish(7)];
        let world = unconfirmed(&[found, settled].concat());
        let (mut supervisor, _) = create(&world, start);
        let orders = now(supervisor.retry()).unwrap();
        assert_eq!((orders.task, orders.deadline), (Task::Nothing, None), "no launch");
        assert_eq!(supervisor.session().verdict(), Some(Verdict::Failed(Failure::NeverRan)));
        assert_eq!(supervisor.session().revision().number(), 2, "both changes are in the log");
        assert!(supervisor.is_over());
        let late = now(supervisor.handle(Happening::ParentEnded)).unwrap();
        assert_eq!(late.task, Task::Nothing, "nor when its parent ends");
    }
}

#[test]
fn a_session_in_doubt_is_settled_by_a_fact_that_is_retried_like_any_other() {
    let found = [Call::Load(Row::Ours(7)), Call::Publish(7)];
    let full = [Call::Commit(Err(not_stored()))];
    let settled = [Call::Commit(Ok(8)), Call::Publish(8)];
    let world = unconfirmed(&[&found[..], &full, &settled].concat());
    let (mut supervisor, _) = create(&world, Start::AtOnce);
    let blocked = now(supervisor.retry());
    assert!(matches!(blocked, Err(HandleError::Blocked { .. })), "{blocked:?}");
    assert_eq!(supervisor.session().status(), Status::Starting, "as it is stored");
    assert!(now(supervisor.retry()).is_ok_and(|orders| orders.task == Task::Nothing));
    assert_eq!(supervisor.session().status(), Status::Failed);
}

#[test]
fn a_session_in_doubt_that_is_somebody_elses_ends_this_writer() {
    let world = unconfirmed(&[Call::Load(Row::Others)]);
    let (mut supervisor, _) = create(&world, Start::AtOnce);
    assert_eq!(now(supervisor.retry()), Err(HandleError::Usurped { id: id() }));
}
