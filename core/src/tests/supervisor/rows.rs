//! What a change writes: the row and its event, field by field.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::{Cause, Event};
use crate::happening::Happening;
use crate::input::{Deadline, Input};
use crate::ports::{Attach, Change, Ending, Fact};
use crate::session::{Report, Revision, Session, SessionId, Sighting};
use crate::status::Status;
use crate::stop::{Actor, Intent, Rung, Signal, StopKind};
use crate::supervisor::{Birth, Start, Supervisor};
use crate::verdict::{Completion, Exit, LostReason, Verdict, Witness};

use super::super::{after, at, policy};
use super::world::{
    Call, LONG_AGO_MS, OUTPUT, START_MS, USER, World, birth, event_id, exited, id, now, opened,
    rung, spec, stop,
};

const STORED: [Call; 2] = [Call::Commit(Ok(7)), Call::Publish(7)];

/// The calls of a stop that is stored and sent.
fn stored_and_sent(signal: Signal) -> Vec<Call> {
    [STORED, rung(signal)].concat()
}

#[test]
fn the_first_change_is_the_whole_row_and_an_event_from_nothing() {
    for (start, cause, status) in [
        (Start::AtOnce, Cause::Launched, Status::Starting),
        (Start::AfterParent, Cause::Queued, Status::Queued),
    ] {
        let world = World::of(&STORED);
        let parent = Some(SessionId::from_uuid(uuid::Uuid::from_u128(1)));
        let birth = Birth { parent, ..birth(start) };
        let (supervisor, _) = now(Supervisor::create(world.ports.clone(), birth));
        let Change { expected, session, event } = world.commit();
        let (machine, started) = (session.machine, at(START_MS).wall);
        assert_eq!(expected, Revision::NONE);
        assert_eq!((session.revision().number(), session.status()), (1, status));
        let row = Session::unborn(id(), parent, spec(), machine, started);
        assert_eq!(session, row);
        assert_eq!(
            event,
            Event {
                id: event_id(1),
                session: id(),
                revision: Revision::from_number(1),
                at: started,
                from: None,
                to: status,
                cause,
                by: USER,
                verdict: None,
            }
        );
        assert_eq!(supervisor.session(), &row);
    }
}

#[test]
fn the_intent_is_in_the_row_of_the_same_commit_as_completing() {
    for kind in [StopKind::Interrupt, StopKind::Kill, StopKind::Shutdown, StopKind::Superseded] {
        let world = World::of(&stored_and_sent(signal_of(kind)));
        assert!(now(world.running().handle(stop(kind))).is_ok());
        let Change { expected, session, event } = world.commit();
        let moment = at(START_MS).wall;
        assert_eq!(session.status(), Status::Completing);
        assert_eq!(session.intent, Some(Intent { kind, by: USER, at: moment }));
        assert_eq!(session.machine.rung(), Some(policy().graces.first(kind)));
        assert_eq!(
            event,
            Event {
                id: event_id(1),
                session: id(),
                revision: expected.next(),
                at: moment,
                from: Some(Status::Running),
                to: Status::Completing,
                cause: Cause::Stop(kind),
                by: USER,
                verdict: None,
            }
        );
    }
}

#[test]
fn a_time_limit_is_an_intent_of_the_daemon() {
    let world = World::of(&stored_and_sent(Signal::Interrupt));
    assert!(now(world.running().handle(Happening::Due(Deadline::Timeout))).is_ok());
    let Change { session, event, .. } = world.commit();
    let (kind, by) = (StopKind::Timeout, Actor::Daemon);
    assert_eq!(session.intent, Some(Intent { kind, by, at: at(START_MS).wall }));
    assert_eq!((event.cause, event.by), (Cause::Stop(kind), by));
}

#[test]
fn a_second_stop_leaves_the_intent_and_names_its_own_asker_in_the_event() {
    let world = World::of(&[&rung(Signal::Interrupt)[..], &stored_and_sent(Signal::Kill)].concat());
    let stopping = after(&[Input::Spawned, Input::Stop(StopKind::Interrupt)]);
    let mut supervisor = world.resume(stopping);
    assert!(now(supervisor.handle(world.adopted())).is_ok());
    let first = supervisor.session().intent;

    let by = Actor::User(0);
    assert!(now(supervisor.handle(Happening::Stop { kind: StopKind::Kill, by })).is_ok());
    let Change { session, event, .. } = world.commit();
    assert!(first.is_some_and(|intent| intent.by == USER));
    assert_eq!(session.intent, first);
    assert_eq!((event.cause, event.by), (Cause::Stop(StopKind::Kill), by));
    assert_eq!((event.from, event.to), (Some(Status::Completing), Status::Completing));
}

#[test]
fn a_rung_that_is_due_is_a_change_of_the_daemon_that_keeps_the_status() {
    let [int, cont] = rung(Signal::Interrupt);
    let [term, term_cont] = rung(Signal::Terminate);
    let stopping = after(&[Input::Spawned, Input::Stop(StopKind::Interrupt)]);
    let world = World::of(&[&[int, cont][..], &STORED, &[term, term_cont]].concat());
    let mut supervisor = world.resume(stopping);
    assert!(now(supervisor.handle(world.adopted())).is_ok());
    let over = Happening::Due(Deadline::RungOver(Rung::Interrupt));
    assert!(now(supervisor.handle(over)).is_ok());
    let Event { from, to, cause, by, revision, verdict, .. } = world.commit().event;
    assert_eq!((from, to), (Some(Status::Completing), Status::Completing));
    assert_eq!((cause, by), (Cause::Climbed(Rung::Terminate), Actor::Daemon));
    assert_eq!((revision, verdict), (stopping.revision().next(), None));
}

#[test]
fn the_start_is_noted_when_it_is_known_to_be_up_and_only_then() {
    let world = World::of(&STORED);
    let mut supervisor = world.resume(after(&[]));
    assert!(now(supervisor.handle(world.spawned())).is_ok());
    assert_eq!(world.commit().session.started_at, Some(at(START_MS).wall));

    let world = World::of(&STORED);
    let mut supervisor = world.resume(after(&[]));
    assert!(now(supervisor.handle(world.adopted())).is_ok());
    assert_eq!(world.commit().session.started_at, Some(at(START_MS).wall));

    let world = World::of(&STORED);
    let mut supervisor = world.running();
    assert!(now(supervisor.handle(opened(1))).is_ok());
    assert_eq!(world.commit().session.started_at, Some(at(LONG_AGO_MS).wall), "not moved");

    let world = World::of(&STORED);
    let mut supervisor = world.resume(after(&[]));
    assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
    assert_eq!(world.commit().session.started_at, None, "not up yet");
}

#[test]
fn the_end_is_in_the_row_and_in_the_event_with_what_was_seen_of_it() {
    let world = World::of(&STORED);
    assert!(now(world.running().handle(exited(0))).is_ok());
    let Change { session, event, .. } = world.commit();
    let verdict = Some(Verdict::Completed(Completion::Succeeded));
    assert_eq!((session.verdict(), event.verdict), (verdict, verdict));
    assert_eq!((session.ended_at, event.at), (Some(at(START_MS).wall), at(START_MS).wall));
    assert_eq!((event.cause, event.by), (Cause::Exited, Actor::Daemon));
    let (witness, output) = (Some(Witness::Parent), Some(OUTPUT));
    let seen = Sighting { witness, output, left_behind: Some(3) };
    assert_eq!(session.sighting, seen);
    assert_eq!(session.exit(), Some(Exit::Code(0)));
}

#[test]
fn an_end_that_attach_found_is_kept_with_its_witness_and_a_loss_has_none() {
    let exit = Exit::Signal { number: 15, core_dumped: false };
    let (witness, output) = (Witness::Parent, OUTPUT);
    let ending = Ending { exit, oom_killed: false, witness, output, left_behind: Some(3) };
    let (witness, output) = (Some(Witness::Parent), Some(OUTPUT));
    let seen = Sighting { witness, output, left_behind: Some(3) };
    let lost = LostReason::DaemonKilled;
    let cases = [
        (Happening::Attached(Attach::Ended(ending)), seen, Cause::Exited),
        (Happening::Attached(Attach::Lost(lost)), Sighting::default(), Cause::Gone),
        (Happening::Fact(Fact::Lost(lost)), Sighting::default(), Cause::Gone),
    ];
    for (happening, sighting, cause) in cases {
        let world = World::of(&STORED);
        assert!(now(world.resume(after(&[Input::Spawned])).handle(happening)).is_ok());
        let Change { session, event, .. } = world.commit();
        assert_eq!((session.sighting, event.cause), (sighting, cause));
    }
}

/// The signal of the first rung.
fn signal_of(kind: StopKind) -> Signal {
    policy().graces.first(kind).signal().unwrap()
}

fn report(success: bool, message: &str) -> Report {
    Report { success, message: Some(String::from(message)), ..Report::default() }
}

#[test]
fn the_last_report_is_kept_with_its_words_until_somebody_asks_for_the_end() {
    let int = rung(Signal::Interrupt);
    let world = World::of(&[&STORED, &STORED, &STORED, &int[..]].concat());
    let mut supervisor = world.running();
    let first = report(false, "out of turns");
    assert!(now(supervisor.handle(Happening::Reported(first.clone()))).is_ok());
    assert_eq!(supervisor.session().report, Some(Box::new(first)));
    let last = report(true, "done after all");
    assert!(now(supervisor.handle(Happening::Reported(last.clone()))).is_ok());
    assert_eq!(supervisor.session().report, Some(Box::new(last.clone())));

    assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
    let late = Happening::Reported(report(false, "interrupted"));
    assert!(now(supervisor.handle(late)).is_ok());
    assert_eq!(supervisor.session().report, Some(Box::new(last)));
    let causes = world.commits().into_iter().map(|change| change.event.cause);
    let reported = [Cause::Reported, Cause::Reported, Cause::Stop(StopKind::Interrupt)];
    assert!(causes.eq(reported), "each is a change, and the last of them is not");
}

#[test]
fn a_report_after_a_stop_is_kept_though_it_decides_nothing() {
    let stopping = after(&[Input::Spawned, Input::Stop(StopKind::Interrupt)]);
    let world = World::of(&STORED);
    let mut supervisor = world.resume(stopping);
    let late = report(false, "interrupted");
    assert!(now(supervisor.handle(Happening::Reported(late.clone()))).is_ok());
    let Change { session, event, .. } = world.commit();
    assert_eq!(session.report, Some(Box::new(late)));
    assert_eq!((event.from, event.to), (Some(Status::Completing), Status::Completing));
}

#[test]
fn every_change_expects_the_revision_that_it_follows_and_mints_a_new_event() {
    let commit = |seq| [Call::Commit(Ok(seq)), Call::Publish(seq)];
    let world = World::of(&(1..=4).flat_map(commit).collect::<Vec<_>>());
    let (mut supervisor, _) = now(Supervisor::create(world.ports.clone(), birth(Start::AtOnce)));
    for happening in [world.spawned(), opened(1), exited(0)] {
        assert!(now(supervisor.handle(happening)).is_ok());
    }
    for (revision, change) in (1..).zip(world.commits()) {
        assert_eq!(change.expected.number(), revision - 1);
        assert_eq!(change.session.revision().number(), revision);
        assert_eq!(change.event.revision.number(), revision);
        assert_eq!(change.event.id, event_id(revision));
    }
}
