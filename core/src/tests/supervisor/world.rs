//! The script of a test: which calls the supervisor makes on its ports, in which order, and what
//! each is answered. A call that the script does not have fails the test, and so does one that
//! never comes.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Mutex;

use mockall::Sequence;
use mockall::predicate::eq;
use uuid::Uuid;

use crate::agent::{Asked, Decision};
use crate::bytes::ByteString;
use crate::event::Seq;
use crate::happening::Happening;
use crate::input::Input;
use crate::machine::Machine;
use crate::ports::{
    Attach, Change, CommitError, Delivery, Ending, Fact, Launch, MockClock, MockEventBus,
    MockIdSource, MockProcess, MockRepository, Process, ReadError, StoredSession, Target,
};
use crate::session::{EventId, OutputSizes, Session, SessionId, Spec, StandardInput};
use crate::stop::{Actor, Intent, Signal, StopKind};
use crate::supervisor::{Birth, Ports, Start, Supervisor};
use crate::verdict::{Exit, Witness};

use super::super::{after, at, policy};

/// Who asks in these tests.
pub(super) const USER: Actor = Actor::User(1000);

/// The revisions before this test began are as old as this.
pub(super) const LONG_AGO_MS: u64 = 1_000;

/// What the clock shows when a test begins.
pub(super) const START_MS: u64 = 5_000;

/// One call that the supervisor is to make, with the answer that it gets.
#[derive(Clone)]
pub(super) enum Call {
    Commit(Result<u64, CommitError>),
    Load(Row),
    Publish(u64),
    /// To the whole group.
    Signal(Signal, Delivery),
}

/// What a read finds, seen from the change that was committed last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Row {
    /// The row as that change left it, at this place.
    Ours(u64),
    /// The row as it was before that change.
    Before,
    /// A row that somebody else moved to the same revision.
    Others,
    /// A row with that change and then somebody else's.
    Beyond,
    /// No row.
    Gone,
    /// The store does not answer.
    Unavailable,
    /// The row is there, and is not what was written.
    Damaged,
}

pub(super) fn not_stored() -> CommitError {
    CommitError::NotStored { reason: String::from("the disk is full") }
}

pub(super) fn unknown() -> CommitError {
    CommitError::Unknown { reason: String::from("no answer within 2 s") }
}

/// All ports of one supervisor.
pub(super) struct World {
    pub(super) ports: Ports,
    pub(super) process: Arc<dyn Process>,
    clock_ms: Arc<AtomicU64>,
    commits: Arc<Mutex<Vec<Change>>>,
}

impl World {
    /// Returns a world in which exactly these calls are made, in this order.
    pub(super) fn of(script: &[Call]) -> Self {
        let (mut repository, mut bus) = (MockRepository::new(), MockEventBus::new());
        let (mut process, mut sequence) = (MockProcess::new(), Sequence::new());
        let commits = Arc::new(Mutex::new(Vec::<Change>::new()));
        for call in script.iter().cloned() {
            let log = Arc::clone(&commits);
            match call {
                Call::Commit(answer) => {
                    let expectation = repository.expect_commit().times(1);
                    expectation.in_sequence(&mut sequence).returning(move |change| {
                        log.lock().unwrap().push(change.clone());
                        answer.clone().map(Seq::from_number)
                    });
                }
                Call::Load(row) => {
                    let expectation = repository.expect_load().with(eq(id())).times(1);
                    expectation
                        .in_sequence(&mut sequence)
                        .returning(move |_| row.read(log.lock().unwrap().last().unwrap()));
                }
                Call::Publish(seq) => {
                    let expectation = bus.expect_publish().with(eq(Seq::from_number(seq)));
                    expectation.times(1).in_sequence(&mut sequence).return_const(());
                }
                Call::Signal(signal, delivery) => {
                    let expectation = process.expect_signal().with(eq(Target::Group), eq(signal));
                    expectation.times(1).in_sequence(&mut sequence).return_const(delivery);
                }
            }
        }
        let clock_ms = Arc::new(AtomicU64::new(START_MS));
        let ports = Ports {
            recorder: Arc::new(crate::ports::NoRecorder),
            repository: Arc::new(repository),
            bus: Arc::new(bus),
            clock: clock(Arc::clone(&clock_ms)),
            ids: ids(),
        };
        Self { ports, process: Arc::new(process), clock_ms, commits }
    }

    /// Returns a world that takes whatever is stored, and delivers every signal.
    pub(super) fn of_any_commits() -> Self {
        let (mut repository, mut bus) = (MockRepository::new(), MockEventBus::new());
        let mut process = MockProcess::new();
        repository
            .expect_commit()
            .returning(|change| Ok(Seq::from_number(change.event.revision.number())));
        bus.expect_publish().return_const(());
        process.expect_signal().return_const(Delivery::Delivered);
        let ports =
            Ports { repository: Arc::new(repository), bus: Arc::new(bus), ..Self::of(&[]).ports };
        Self { ports, process: Arc::new(process), ..Self::of(&[]) }
    }

    pub(super) fn set_clock(&self, ms: u64) {
        self.clock_ms.store(ms, Ordering::Relaxed);
    }

    /// Returns every change that was handed to the repository, stored or not.
    pub(super) fn commits(&self) -> Vec<Change> {
        self.commits.lock().unwrap().clone()
    }

    /// Returns the only change that was handed to it.
    pub(super) fn commit(&self) -> Change {
        let [change] = self.commits().try_into().unwrap();
        change
    }

    /// Takes over a stored session whose process was not found yet.
    pub(super) fn resume(&self, machine: Machine) -> Supervisor {
        Supervisor::resume(self.ports.clone(), session(machine))
    }

    /// Takes over a session that runs, and whose process can be reached.
    pub(super) fn running(&self) -> Supervisor {
        let mut supervisor = self.resume(after(&[Input::Spawned]));
        assert!(now(supervisor.handle(self.adopted())).is_ok());
        supervisor
    }

    pub(super) fn adopted(&self) -> Happening {
        Happening::Attached(Attach::Up(Arc::clone(&self.process)))
    }

    pub(super) fn spawned(&self) -> Happening {
        Happening::Launched(Launch::Up(Arc::clone(&self.process)))
    }
}

impl Row {
    /// Answers a read after `change` was tried.
    fn read(self, change: &Change) -> Result<Option<StoredSession>, ReadError> {
        let others = |revision| {
            let machine = Machine { revision, ..change.session.machine };
            let session = Session { machine, ..change.session.clone() };
            StoredSession { session, last_event: event_id(999), last_seq: Seq::from_number(999) }
        };
        match self {
            Self::Ours(seq) => Ok(Some(StoredSession {
                session: change.session.clone(),
                last_event: change.event.id,
                last_seq: Seq::from_number(seq),
            })),
            Self::Before => Ok(Some(others(change.expected))),
            Self::Others => Ok(Some(others(change.expected.next()))),
            Self::Beyond => Ok(Some(others(change.expected.next().next()))),
            Self::Gone => Ok(None),
            Self::Unavailable => {
                Err(ReadError::Unavailable { reason: String::from("the disk is gone") })
            }
            Self::Damaged => {
                Err(ReadError::Damaged { session: id(), reason: String::from("checksum") })
            }
        }
    }
}

fn clock(ms: Arc<AtomicU64>) -> Arc<MockClock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(move || at(ms.load(Ordering::Relaxed)));
    Arc::new(clock)
}

/// Event ids count from 1, so that a second attempt that minted a new one shows.
fn ids() -> Arc<MockIdSource> {
    let (mut ids, minted) = (MockIdSource::new(), AtomicU64::new(0));
    ids.expect_event_id().returning(move || event_id(minted.fetch_add(1, Ordering::Relaxed) + 1));
    Arc::new(ids)
}

/// Runs what waits for nobody: every port here answers at once.
pub(super) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits, though every port has answered"),
    }
}

pub(super) fn id() -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0x5e55))
}

pub(super) fn event_id(number: u64) -> EventId {
    EventId::from_uuid(Uuid::from_u128(number.into()))
}

pub(super) fn spec() -> Arc<Spec> {
    Arc::new(Spec {
        title: None,
        command: Vec::from([ByteString::try_from("agent").unwrap()]),
        cwd: ByteString::try_from("/srv/project").unwrap(),
        environment_names: Vec::new(),
        umask: 0o22,
        input: StandardInput::None,
        agent: None,
        request: None,
        policy: policy(),
    })
}

pub(super) fn birth(start: Start) -> Birth {
    Birth { id: id(), parent: None, spec: spec(), by: USER, start }
}

/// The row of `machine`, as a supervisor would have stored it long ago.
pub(super) fn session(machine: Machine) -> Session {
    let then = at(LONG_AGO_MS).wall;
    Session {
        started_at: machine.is_up().then_some(then),
        ended_at: machine.verdict().map(|_| then),
        intent: machine.intent().map(|kind| Intent { kind, by: USER, at: then }),
        ..Session::unborn(id(), None, spec(), machine, at(0).wall)
    }
}

/// What an agent asks for in the line at this offset.
pub(super) fn asked(offset: u64) -> Asked {
    Asked {
        agent_id: alloc::format!("request {offset}"),
        tool: String::from("Bash"),
        summary: String::from("make"),
        command: Some(String::from("make")),
        paths: Vec::new(),
        digest: alloc::format!("{offset:064x}"),
        offset,
        length: 1,
    }
}

pub(super) fn opened(offset: u64) -> Happening {
    Happening::RequestOpened(Box::new(asked(offset)))
}

pub(super) fn answered(number: u32) -> Happening {
    let decision = Decision { approved: true, message: None, by: USER };
    Happening::Answered { number, decision: Box::new(decision) }
}

pub(super) const fn stop(kind: StopKind) -> Happening {
    Happening::Stop { kind, by: USER }
}

pub(super) const OUTPUT: OutputSizes = OutputSizes { stdout_bytes: 11, stderr_bytes: 7 };

pub(super) const fn exited(code: u8) -> Happening {
    let exit = Exit::Code(code);
    let (witness, output) = (Witness::Parent, OUTPUT);
    let ending = Ending { exit, oom_killed: false, witness, output, left_behind: Some(3) };
    Happening::Fact(Fact::Ended(ending))
}

/// The calls of one rung: its signal, and `SIGCONT` after it.
pub(super) const fn rung(signal: Signal) -> [Call; 2] {
    [Call::Signal(signal, Delivery::Delivered), Call::Signal(Signal::Continue, Delivery::Delivered)]
}
