//! A law: whatever happens, and whatever the store does with it, what is told, signalled and
//! answered is what is durable, no fact is lost, and the log has no gap.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use crate::event::{Seq, StoredEvent};
use crate::happening::Happening;
use crate::input::Deadline;
use crate::ports::{
    Attach, Change, CommitError, Delivery, EventBus, Fact, Launch, Message, Process, ReadError,
    Repository, Sent, StoredSession, Subscription, Target,
};
use crate::session::{Report, Revision, Session, SessionId};
use crate::status::Status;
use crate::stop::{Rung, Signal, StopKind};
use crate::supervisor::{HandleError, Ports, Start, Supervisor};
use crate::verdict::LostReason;

use super::world::{World, answered, birth, exited, now, opened, stop};

/// What the store does with one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Works,
    /// A commit is not stored, a read fails.
    Refuses,
    /// A commit is stored, and yet nobody is told so; a read fails.
    StoresAndForgets,
    /// A commit is not stored, and nobody is told so; a read works.
    Forgets,
}

/// One row with its events, in memory, and all that was done with them.
#[derive(Default)]
struct Store {
    row: Option<StoredSession>,
    events: Vec<StoredEvent>,
    moods: VecDeque<Mood>,
    published: Vec<Seq>,
    trouble: Vec<String>,
}

impl Store {
    fn mood(&mut self) -> Mood {
        self.moods.pop_front().unwrap_or(Mood::Works)
    }

    fn write(&mut self, change: &Change) -> Seq {
        let seq = Seq::from_number(self.events.len() as u64 + 1);
        self.events.push(StoredEvent { seq, event: change.event });
        self.row = Some(StoredSession {
            session: change.session.clone(),
            last_event: change.event.id,
            last_seq: seq,
        });
        seq
    }
}

/// Every port at once, so that each sees what is durable at its moment.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Store>>);

#[async_trait]
impl Repository for Shared {
    async fn commit(&self, change: &Change) -> Result<Seq, CommitError> {
        let mut store = self.0.lock().unwrap();
        let mood = store.mood();
        let reason = String::from("moody");
        let revision = store.row.as_ref().map_or(Revision::NONE, |row| row.session.revision());
        if mood == Mood::Refuses {
            return Err(CommitError::NotStored { reason });
        }
        if revision != change.expected {
            return Err(CommitError::Conflict);
        }
        match mood {
            Mood::Works => Ok(store.write(change)),
            Mood::StoresAndForgets => {
                store.write(change);
                Err(CommitError::Unknown { reason })
            }
            Mood::Refuses | Mood::Forgets => Err(CommitError::Unknown { reason }),
        }
    }

    async fn load(&self, _id: SessionId) -> Result<Option<StoredSession>, ReadError> {
        let mut store = self.0.lock().unwrap();
        match store.mood() {
            Mood::Works | Mood::Forgets => Ok(store.row.clone()),
            Mood::Refuses | Mood::StoresAndForgets => {
                Err(ReadError::Unavailable { reason: String::from("moody") })
            }
        }
    }

    async fn live(&self) -> Result<Vec<SessionId>, ReadError> {
        Ok(Vec::new())
    }

    async fn events_after(&self, _: Seq, _: u32) -> Result<Vec<StoredEvent>, ReadError> {
        Ok(Vec::new())
    }
}

impl EventBus for Shared {
    fn publish(&self, seq: Seq) {
        let mut store = self.0.lock().unwrap();
        if seq.number() > store.events.len() as u64 {
            store.trouble.push(std::format!("{seq} is published before it is durable"));
        }
        store.published.push(seq);
    }

    fn subscribe(&self) -> Box<dyn Subscription> {
        panic!("a supervisor listens to nobody");
    }
}

#[async_trait]
impl Process for Shared {
    async fn next_fact(&self) -> Fact {
        Fact::Lost(LostReason::BadRecord)
    }

    async fn signal(&self, _target: Target, signal: Signal) -> Delivery {
        let mut store = self.0.lock().unwrap();
        let row = store.row.as_ref().map(|row| row.session.machine);
        let is_stored = row.is_some_and(|machine| {
            let sent = machine.rung().and_then(Rung::signal);
            let fits = sent.is_some_and(|sent| signal == Signal::Continue || signal == sent);
            machine.status() == Status::Completing && machine.is_up() && fits
        });
        if !is_stored {
            store.trouble.push(std::format!("{signal:?} is sent without a stored rung"));
        }
        Delivery::Delivered
    }

    async fn send(&self, _message: &Message) -> Sent {
        panic!("a supervisor has nothing to say to a process")
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Spawned,
    Adopted,
    Unreachable,
    Stop(StopKind),
    Reported(bool),
    Request { opened: bool },
    Turn { began: bool },
    Answered(u32),
    Due(Deadline),
    ParentEnded,
    Exited(u8),
}

impl Step {
    fn happening(self, process: &Shared) -> Happening {
        match self {
            Self::Spawned => Happening::Launched(Launch::Up(Arc::new(process.clone()))),
            Self::Adopted => Happening::Attached(Attach::Up(Arc::new(process.clone()))),
            Self::Unreachable => Happening::Attached(Attach::Unreachable),
            Self::Stop(kind) => stop(kind),
            Self::Reported(success) => Happening::Reported(Report { success, ..Report::default() }),
            Self::Request { opened: true } => opened(1),
            Self::Request { opened: false } => Happening::RequestWithdrawn { number: 1 },
            Self::Turn { began: true } => Happening::TurnBegan { turns_ended: u32::MAX },
            Self::Turn { began: false } => Happening::TurnEnded,
            Self::Answered(number) => answered(number),
            Self::Due(deadline) => Happening::Due(deadline),
            Self::ParentEnded => Happening::ParentEnded,
            Self::Exited(code) => exited(code),
        }
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let deadlines = [Deadline::Timeout, Deadline::Linger, Deadline::Idle]
        .into_iter()
        .chain([Rung::Interrupt, Rung::Terminate, Rung::Kill].map(Deadline::RungOver));
    let deadlines: Vec<_> = deadlines.collect();
    let stops = [
        StopKind::Interrupt,
        StopKind::Kill,
        StopKind::Shutdown,
        StopKind::Superseded,
        StopKind::Finish,
    ];
    prop_oneof![
        4 => proptest::strategy::Just(Step::Spawned),
        2 => proptest::strategy::Just(Step::Adopted),
        1 => proptest::strategy::Just(Step::Unreachable),
        4 => proptest::sample::select(Vec::from(stops)).prop_map(Step::Stop),
        2 => proptest::bool::ANY.prop_map(Step::Reported),
        2 => proptest::bool::ANY.prop_map(|opened| Step::Request { opened }),
        2 => (proptest::bool::ANY, 0_u32..4).prop_map(|(began, number)| match number {
            0 => Step::Turn { began },
            _ => Step::Answered(number),
        }),
        3 => proptest::sample::select(deadlines).prop_map(Step::Due),
        1 => proptest::strategy::Just(Step::ParentEnded),
        1 => (0_u8..3).prop_map(Step::Exited),
    ]
}

fn moods() -> impl Strategy<Value = Mood> {
    prop_oneof![
        5 => proptest::strategy::Just(Mood::Works),
        1 => proptest::strategy::Just(Mood::Refuses),
        1 => proptest::strategy::Just(Mood::StoresAndForgets),
        1 => proptest::strategy::Just(Mood::Forgets),
    ]
}

/// Retries, as a driver does, until the store has worked long enough.
fn unblock(supervisor: &mut Supervisor, moods_max: usize) -> Result<(), TestCaseError> {
    for _ in 0..=moods_max {
        if !supervisor.is_blocked() {
            return Ok(());
        }
        let result = now(supervisor.retry());
        let is_usual = matches!(result, Ok(_) | Err(HandleError::Blocked { .. }));
        prop_assert!(is_usual, "{:?}", result);
    }
    prop_assert!(!supervisor.is_blocked(), "it blocks though the store works");
    Ok(())
}

/// What is shown is what is durable: all but notes, which are stored with the next change.
fn assert_shows_the_row(supervisor: &Supervisor, shared: &Shared) -> Result<(), TestCaseError> {
    let store = shared.0.lock().unwrap();
    match &store.row {
        Some(row) => {
            let shown =
                Session { notes: row.session.notes.clone(), ..supervisor.session().clone() };
            prop_assert_eq!(&shown, &row.session);
        }
        None => prop_assert!(supervisor.is_over(), "never stored, and yet driven"),
    }
    Ok(())
}

/// Event k is exactly the change from revision k-1 to k, and every event was published.
fn assert_log_has_no_gap(store: &Store) -> Result<(), TestCaseError> {
    let mut before = None;
    for (StoredEvent { seq, event }, revision) in store.events.iter().zip(1..) {
        prop_assert_eq!((seq.number(), event.revision.number()), (revision, revision));
        prop_assert_eq!(event.from, before);
        prop_assert!(Status::edge(event.from, event.to), "{:?}", event);
        prop_assert_eq!(event.verdict.is_some(), event.to.is_terminal());
        before = Some(event.to);
    }
    let all: Vec<_> = store.events.iter().map(|stored| stored.seq).collect();
    prop_assert_eq!(&store.published, &all, "each event is published once, in order");
    Ok(())
}

proptest! {
    #[test]
    fn whatever_the_store_does_what_is_told_is_durable_and_no_fact_is_lost(
        queued in proptest::bool::ANY,
        steps in vec(steps(), 0..24),
        moods in vec(moods(), 0..40),
    ) {
        let moods_max = moods.len();
        let shared = Shared::default();
        shared.0.lock().unwrap().moods.extend(moods);
        let ports = Ports {
            recorder: Arc::new(crate::ports::NoRecorder),
            repository: Arc::new(shared.clone()),
            bus: Arc::new(shared.clone()),
            ..World::of(&[]).ports
        };
        let start = if queued { Start::AfterParent } else { Start::AtOnce };
        let (mut supervisor, created) = now(Supervisor::create(ports, birth(start)));
        unblock(&mut supervisor, moods_max)?;
        assert_shows_the_row(&supervisor, &shared)?;
        if created.is_err() {
            prop_assert!(supervisor.is_over(), "its caller was told that it failed");
        }
        for step in steps {
            if supervisor.is_over() {
                break;
            }
            let before = supervisor.session().clone();
            let result = now(supervisor.handle(step.happening(&shared)));
            let unavailable = matches!(result, Err(HandleError::StoreUnavailable { .. }));
            if let Err(HandleError::Illegal(_)) = result {
                prop_assert_eq!(supervisor.session(), &before);
                continue;
            }
            let is_command = matches!(step, Step::Stop(_) | Step::Answered(_));
            prop_assert!(!unavailable || is_command, "a fact is never refused");
            let open = supervisor.session().requests.iter().filter(|it| it.is_open()).count();
            prop_assert_eq!(open, usize::from(supervisor.session().machine.requests_open()));
            unblock(&mut supervisor, moods_max)?;
            assert_shows_the_row(&supervisor, &shared)?;
            if let Step::Exited(_) = step {
                prop_assert!(supervisor.session().status().is_terminal(), "the exit was lost");
            }
        }
        let store = shared.0.lock().unwrap();
        prop_assert!(store.trouble.is_empty(), "{:?}", store.trouble);
        assert_log_has_no_gap(&store)?;
    }
}
