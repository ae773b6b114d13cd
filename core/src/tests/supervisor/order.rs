//! Durable first, then published, then signalled, then answered; and what does not change is not
//! stored.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use async_trait::async_trait;

use crate::event::{Seq, StoredEvent};
use crate::happening::Happening;
use crate::input::{Deadline, Input};
use crate::ports::{
    Attach, Change, CommitError, Launch, MockEventBus, ReadError, Repository, StoredSession,
};
use crate::session::SessionId;
use crate::status::Status;
use crate::step::Answer;
use crate::stop::{Rung, Signal, StopKind};
use crate::supervisor::{Orders, Ports, Start, Supervisor, Task};
use crate::time::Monotonic;
use crate::verdict::{Completion, LostReason, SpawnStage, Verdict};

use super::super::after;
use super::world::{Call, START_MS, World, birth, exited, now, rung, session, stop};

const STORED: Call = Call::Commit(Ok(7));
const TOLD: Call = Call::Publish(7);
const INTERRUPT: Input = Input::Stop(StopKind::Interrupt);

fn orders(task: Task, deadline: Option<(Deadline, u64)>, answer: Answer) -> Orders {
    let deadline = deadline.map(|(deadline, ms)| (deadline, Monotonic::from_ms(ms)));
    Orders { task, deadline, idle_at: None, answer }
}

fn waiting(deadline: Deadline, ms: u64) -> Orders {
    orders(Task::Nothing, Some((deadline, ms)), Answer::Accepted)
}

const NOTHING: Orders = Orders::NOTHING;

#[test]
fn a_launch_is_stored_then_published_then_ordered() {
    let world = World::of(&[STORED, TOLD]);
    let (supervisor, result) = now(Supervisor::create(world.ports.clone(), birth(Start::AtOnce)));
    assert_eq!(result, Ok(orders(Task::Launch, None, Answer::Accepted)));
    assert_eq!(supervisor.session(), &world.commit().session);
}

#[test]
fn a_session_that_waits_for_its_parent_is_launched_when_that_has_ended() {
    let world = World::of(&[STORED, TOLD, Call::Commit(Ok(8)), Call::Publish(8)]);
    let (mut supervisor, result) =
        now(Supervisor::create(world.ports.clone(), birth(Start::AfterParent)));
    assert_eq!(result, Ok(NOTHING));
    assert_eq!(supervisor.session().status(), Status::Queued);
    let started = now(supervisor.handle(Happening::ParentEnded));
    assert_eq!(started, Ok(orders(Task::Launch, None, Answer::Accepted)));
}

#[test]
fn an_interrupt_is_stored_then_published_then_signalled_then_answered() {
    let [int, cont] = rung(Signal::Interrupt);
    let world = World::of(&[STORED, TOLD, int, cont]);
    let result = now(world.running().handle(stop(StopKind::Interrupt)));
    let over = Deadline::RungOver(Rung::Interrupt);
    assert_eq!(result, Ok(waiting(over, START_MS + 7_000)));
}

#[test]
fn every_rung_is_stored_before_its_signal_and_continued_after_it() {
    let [int, int_cont] = rung(Signal::Interrupt);
    let [term, term_cont] = rung(Signal::Terminate);
    let [kill, kill_cont] = rung(Signal::Kill);
    let commit = |seq| [Call::Commit(Ok(seq)), Call::Publish(seq)];
    let ([a, b], [c, d], [e, f]) = (commit(1), commit(2), commit(3));
    let script = [a, b, int, int_cont, c, d, term, term_cont, e, f, kill, kill_cont];
    let world = World::of(&script);
    let mut supervisor = world.running();
    for happening in [
        stop(StopKind::Interrupt),
        Happening::Due(Deadline::RungOver(Rung::Interrupt)),
        Happening::Due(Deadline::RungOver(Rung::Terminate)),
    ] {
        assert!(now(supervisor.handle(happening)).is_ok());
    }
    let rungs: Vec<_> =
        world.commits().iter().map(|change| change.session.machine.rung()).collect();
    assert_eq!(rungs, [Rung::Interrupt, Rung::Terminate, Rung::Kill].map(Some));
}

/// A store that takes a change and then takes its time.
struct Slow {
    is_durable: Arc<AtomicBool>,
}

#[async_trait]
impl Repository for Slow {
    async fn commit(&self, _change: &Change) -> Result<Seq, CommitError> {
        poll_fn(|_| {
            let is_durable = self.is_durable.load(Ordering::Relaxed);
            if is_durable { Poll::Ready(Ok(Seq::from_number(7))) } else { Poll::Pending }
        })
        .await
    }

    async fn load(&self, _id: SessionId) -> Result<Option<StoredSession>, ReadError> {
        Ok(None)
    }

    async fn live(&self) -> Result<Vec<SessionId>, ReadError> {
        Ok(Vec::new())
    }

    async fn events_after(&self, _: Seq, _: u32) -> Result<Vec<StoredEvent>, ReadError> {
        Ok(Vec::new())
    }
}

#[test]
fn nobody_is_told_anything_while_the_commit_is_under_way() {
    // The script is for the time after the commit, and the bus is still deaf before it.
    let [int, cont] = rung(Signal::Interrupt);
    let world = World::of(&[int, cont]);
    let is_durable = Arc::new(AtomicBool::new(false));
    let mut bus = MockEventBus::new();
    let told_too_early = Arc::clone(&is_durable);
    bus.expect_publish().times(1).returning(move |_| {
        assert!(told_too_early.load(Ordering::Relaxed), "published before it is durable");
    });
    let repository = Arc::new(Slow { is_durable: Arc::clone(&is_durable) });
    let ports = Ports { repository, bus: Arc::new(bus), ..world.ports.clone() };
    let mut supervisor = Supervisor::resume(ports, session(after(&[Input::Spawned])));
    assert!(now(supervisor.handle(world.adopted())).is_ok());

    let mut handling: core::pin::Pin<Box<_>> =
        Box::pin(supervisor.handle(stop(StopKind::Interrupt)));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(handling.as_mut().poll(&mut context).is_pending(), "answered too early");
    }
    is_durable.store(true, Ordering::Relaxed);
    assert!(pin!(handling).poll(&mut context).is_ready());
}

#[test]
fn a_second_interrupt_is_answered_without_a_change_or_a_signal() {
    let [int, cont] = rung(Signal::Interrupt);
    let world = World::of(&[STORED, TOLD, int, cont]);
    let mut supervisor = world.running();
    assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
    let before = supervisor.session().clone();
    let answer = Answer::AlreadyStopping(StopKind::Interrupt);
    let again = now(supervisor.handle(stop(StopKind::Interrupt)));
    assert_eq!(again, Ok(orders(Task::Nothing, None, answer)));
    assert_eq!(supervisor.session(), &before);
}

#[test]
fn a_kill_after_an_interrupt_is_one_more_change_and_says_what_came_first() {
    let [int, int_cont] = rung(Signal::Interrupt);
    let [kill, kill_cont] = rung(Signal::Kill);
    let again = [Call::Commit(Ok(8)), Call::Publish(8), kill, kill_cont];
    let world = World::of(&[&[STORED, TOLD, int, int_cont][..], &again].concat());
    let mut supervisor = world.running();
    assert!(now(supervisor.handle(stop(StopKind::Interrupt))).is_ok());
    let answer = Answer::AlreadyStopping(StopKind::Interrupt);
    let killed = now(supervisor.handle(stop(StopKind::Kill)));
    assert_eq!(killed, Ok(orders(Task::Nothing, None, answer)));
}

#[test]
fn an_end_is_stored_and_published_and_then_nothing_changes_any_more() {
    let world = World::of(&[STORED, TOLD]);
    let mut supervisor = world.running();
    assert_eq!(now(supervisor.handle(exited(0))), Ok(NOTHING));
    assert!(supervisor.is_over());

    let before = supervisor.session().clone();
    let verdict = Verdict::Completed(Completion::Succeeded);
    for late in [stop(StopKind::Kill), exited(1), Happening::Due(Deadline::Timeout)] {
        let answer = Answer::AlreadyEnded(verdict);
        assert_eq!(now(supervisor.handle(late)), Ok(orders(Task::Nothing, None, answer)));
    }
    assert_eq!(supervisor.session(), &before);
}

#[test]
fn a_process_that_comes_up_late_is_signalled_at_once_and_is_the_one_that_came_up() {
    let [int, cont] = rung(Signal::Interrupt);
    let world = World::of(&[STORED, TOLD, int, cont]);
    let mut supervisor = world.resume(after(&[INTERRUPT]));
    let result = now(supervisor.handle(world.spawned()));
    let over = Deadline::RungOver(Rung::Interrupt);
    assert_eq!(result, Ok(waiting(over, START_MS + 7_000)));
    assert!(supervisor.process().is_some_and(|process| Arc::ptr_eq(process, &world.process)));
}

#[test]
fn a_process_that_is_found_running_is_kept_without_a_change() {
    let world = World::of(&[]);
    let mut supervisor = world.resume(after(&[Input::Spawned]));
    assert!(supervisor.process().is_none());
    let result = now(supervisor.handle(world.adopted()));
    assert_eq!(result, Ok(waiting(Deadline::Timeout, 1_000 + 300_000)));
    assert!(supervisor.process().is_some_and(|process| Arc::ptr_eq(process, &world.process)));
}

#[test]
fn a_process_that_is_found_stopping_gets_its_stored_rung_again_without_a_change() {
    let [kill, cont] = rung(Signal::Kill);
    let world = World::of(&[kill, cont]);
    let stopping = after(&[Input::Spawned, Input::Stop(StopKind::Kill)]);
    let mut supervisor = world.resume(stopping);
    assert_eq!(now(supervisor.handle(world.adopted())), Ok(NOTHING));
}

#[test]
fn what_cannot_be_reached_is_attached_to_again_and_nothing_is_stored() {
    let world = World::of(&[]);
    let attach = orders(Task::Attach, None, Answer::Accepted);
    for machine in [after(&[]), after(&[INTERRUPT]), after(&[Input::Spawned])] {
        let mut supervisor = world.resume(machine);
        let unreachable = Happening::Attached(Attach::Unreachable);
        assert_eq!(now(supervisor.handle(unreachable)), Ok(attach));
        assert_eq!(supervisor.session().machine, machine);
    }
    let mut supervisor = world.resume(after(&[]));
    assert_eq!(now(supervisor.handle(Happening::Launched(Launch::Unknown))), Ok(attach));
}

#[test]
fn a_refused_spawn_and_every_answer_of_attach_settle_the_session() {
    let (stage, errno) = (SpawnStage::Exec, 2);
    let answers = [
        (Happening::Launched(Launch::Refused { stage, errno }), "failed spawn"),
        (Happening::Attached(Attach::NeverRan), "failed spawn"),
        (Happening::Attached(Attach::Lost(LostReason::Reboot)), "lost reboot"),
        (exited(3), "failed exit_code"),
    ];
    for (happening, verdict) in answers {
        let world = World::of(&[STORED, TOLD]);
        let mut supervisor = world.resume(after(&[]));
        assert_eq!(now(supervisor.handle(happening)), Ok(NOTHING));
        let settled = supervisor.session().verdict().unwrap();
        assert_eq!(std::format!("{settled}"), verdict);
        assert!(supervisor.is_over());
    }
}
