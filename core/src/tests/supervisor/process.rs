//! The process at the other end: what it is sent, what is noted when that fails, and what happens
//! while nobody can reach it.

use alloc::string::ToString as _;
use alloc::sync::Arc;

use crate::happening::Happening;
use crate::input::{Deadline, Input};
use crate::machine::Machine;
use crate::ports::{Attach, Delivery, Launch};
use crate::session::NOTES_MAX;
use crate::status::Status;
use crate::step::Answer;
use crate::stop::{Rung, Signal, StopKind};
use crate::supervisor::HandleError;
use crate::verdict::SpawnStage;

use super::super::{after, at};
use super::world::{Call, START_MS, World, exited, now, rung, session, stop};

const STORED: [Call; 2] = [Call::Commit(Ok(7)), Call::Publish(7)];

fn interrupted(delivery: Delivery, after: &[Call]) -> World {
    let int = [Call::Signal(Signal::Interrupt, delivery)];
    World::of(&[&STORED, &int[..], after].concat())
}

#[test]
fn a_signal_that_is_not_permitted_leaves_a_note_that_is_stored_with_the_next_change() {
    let world = interrupted(Delivery::NotPermitted, &[Call::Commit(Ok(8)), Call::Publish(8)]);
    let mut supervisor = world.running();
    let result = now(supervisor.handle(stop(StopKind::Interrupt)));
    assert!(result.is_ok_and(|orders| orders.deadline.is_some()), "the ladder goes on");
    assert!(now(supervisor.handle(exited(0))).is_ok());

    let [first, second] = world.commits().try_into().unwrap();
    assert_eq!(first.session.notes, [], "a note is no change of its own");
    let [note] = second.session.notes.try_into().unwrap();
    assert_eq!(note.at, at(START_MS).wall);
    let text = "interrupt signal: the kernel does not permit signals to its processes";
    assert_eq!(note.text, text);
    assert_eq!(second.event.revision, first.event.revision.next());
}

#[test]
fn a_signal_that_nobody_can_tell_of_leaves_a_note_too() {
    let world = interrupted(Delivery::Unknown, &[]);
    let mut supervisor = world.running();
    assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
    let [note] = supervisor.session().notes.clone().try_into().unwrap();
    let text = "interrupt signal: it cannot be told whether the signal was delivered";
    assert_eq!(note.text, text);
}

#[test]
fn a_signal_to_what_has_ended_is_no_trouble_and_is_not_continued() {
    let world = interrupted(Delivery::AlreadyEnded, &[]);
    let mut supervisor = world.running();
    assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
    assert_eq!(supervisor.session().notes, []);
}

#[test]
fn notes_are_bounded_however_often_a_signal_fails() {
    let refused = Call::Signal(Signal::Kill, Delivery::NotPermitted);
    let times = NOTES_MAX + 3;
    let world = World::of(&alloc::vec![refused; times]);
    let stopping = after(&[Input::Spawned, Input::Stop(StopKind::Kill)]);
    let mut supervisor = world.resume(stopping);
    for _ in 0..times {
        assert!(now(supervisor.handle(world.adopted())).is_ok());
    }
    assert_eq!(supervisor.session().notes.len(), NOTES_MAX);
}

#[test]
fn a_stop_while_the_process_is_out_of_reach_is_stored_and_sent_when_it_is_found() {
    let world = World::of(&[&STORED[..], &rung(Signal::Interrupt)].concat());
    let mut supervisor = world.resume(after(&[Input::Spawned]));
    let result = now(supervisor.handle(stop(StopKind::Interrupt)));
    assert!(result.is_ok_and(|orders| orders.answer == Answer::Accepted));
    assert_eq!(supervisor.session().status(), Status::Completing);
    assert!(now(supervisor.handle(world.adopted())).is_ok());
}

#[test]
fn nothing_is_signalled_before_there_is_a_process() {
    let world = World::of(&STORED);
    let mut supervisor = world.resume(after(&[]));
    let orders = now(supervisor.handle(stop(StopKind::Kill))).unwrap();
    assert_eq!(orders.deadline, None, "and no grace runs");
}

#[test]
fn nothing_is_signalled_after_the_end() {
    let world = World::of(&STORED);
    let mut supervisor = world.running();
    assert!(now(supervisor.handle(exited(0))).is_ok());
    for late in [
        stop(StopKind::Interrupt),
        stop(StopKind::Kill),
        Happening::Due(Deadline::RungOver(Rung::Interrupt)),
        Happening::Due(Deadline::Linger),
        world.adopted(),
    ] {
        assert!(now(supervisor.handle(late)).is_ok());
    }
}

#[test]
fn what_cannot_happen_leaves_all_as_it_was() {
    let world = World::of(&[]);
    let other = World::of(&[]);
    let mut supervisor = world.running();
    let before = supervisor.session().clone();
    let (stage, errno) = (SpawnStage::Exec, 2);
    let refused = Launch::Refused { stage, errno };
    for impossible in [other.spawned(), Happening::Launched(refused)] {
        let input = impossible.input();
        let Err(HandleError::Illegal(error)) = now(supervisor.handle(impossible)) else {
            panic!("{input:?} was taken");
        };
        assert_eq!((error.status, error.input), (Status::Running, input));
        assert_eq!(supervisor.session(), &before);
        assert!(supervisor.process().is_some_and(|process| Arc::ptr_eq(process, &world.process)));
        assert!(!supervisor.is_blocked() && !supervisor.is_over());
    }
}

#[test]
fn a_change_that_would_contradict_itself_is_a_bug_and_is_not_stored() {
    // No step makes such a machine; a row that was damaged could.
    let world = World::of(&[]);
    let damaged = Machine { requests_open: 2, ..after(&[]) };
    let mut supervisor = world.resume(damaged);
    let result = now(supervisor.handle(world.spawned()));
    let Err(HandleError::Illegal(error)) = result else { panic!("{result:?}") };
    assert_eq!((error.status, error.input), (Status::Starting, Input::Spawned));
    assert!(error.to_string().ends_with("this is a bug"));
    assert_eq!(supervisor.session(), &session(damaged));
}

#[test]
fn a_session_is_over_when_it_has_ended_and_not_while_it_lives() {
    let world = World::of(&STORED);
    let mut supervisor = world.resume(after(&[]));
    assert!(!supervisor.is_over());
    let never_ran = Happening::Attached(Attach::NeverRan);
    assert!(now(supervisor.handle(never_ran)).is_ok());
    assert!(supervisor.is_over());
}
