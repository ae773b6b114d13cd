//! The stage on which all fakes of one replay stand: the state that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candor_core::event::Seq;
use candor_core::ports::{Change, CommitError};
use candor_core::recording::Entry;
use candor_core::session::{Session, SessionId};

use super::approvals::Approvals;
use super::bus::Bus;
use super::calls::{Answer, Call};
use super::process::ProcessState;
use super::store::Store;
use super::words::Words;
use super::{FakeBus, FakeClock, FakeIds, FakePrograms, FakeRecorder, FakeRepository, FakeSpawner};
use crate::contract::spawner::Behaviour;
use crate::ghost::{Log, Record, Writer};
use crate::mutant::Mutants;
use crate::timeline::names::{CallName, ProcessName, SessionName};

/// The state that the fakes share.
#[derive(Clone)]
pub struct Stage {
    state: Arc<Mutex<State>>,
}

/// Everything behind the fakes.
pub(crate) struct State {
    pub(crate) mode: Mode,
    /// The mistakes that this world makes.
    pub(crate) mutants: Mutants,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) processes: BTreeMap<ProcessName, ProcessState>,
    /// What the processes of sessions do, on a stage that answers at once.
    pub(crate) scripts: BTreeMap<SessionId, Behaviour>,
    /// Sessions whose standard input is held.
    pub(crate) holding: BTreeSet<SessionId>,
    /// Sessions of which it was told that they never ran: no process may come up for them.
    pub(crate) barred: BTreeSet<SessionId>,
    /// Calls that wait for their answers, in the order in which they were issued.
    pub(crate) calls: Vec<Call>,
    store_calls: BTreeMap<SessionId, u32>,
    /// The daemon's life, counted from 1.
    pub(crate) life: u32,
    /// How often the machine was started, and when it was last.
    pub(crate) boot: u32,
    pub(crate) booted_at_ms: u64,
    pub(crate) sessions_named: u16,
    pub(crate) events_named: u128,
    /// What was handed to the protocols of all sessions.
    pub(crate) recording: Vec<(SessionId, Entry)>,
    /// Sessions that continue another one. Their rows will say so.
    pub(crate) continuations: BTreeSet<SessionId>,
    pub(crate) approvals: Approvals,
    pub(crate) words: Words,
    /// M28: a row that was read and is to be told of.
    pub(crate) stale: Option<Box<Session>>,
}

/// Whether calls are answered at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    AtOnce,
    Held,
}

impl Stage {
    /// Makes a stage on which every call is answered at once.
    #[must_use]
    pub fn at_once() -> Self {
        Self::new(Mode::AtOnce, Mutants::NONE)
    }

    /// Makes a stage that holds every call until it is told what comes of it.
    pub(crate) fn held(mutants: Mutants) -> Self {
        Self::new(Mode::Held, mutants)
    }

    fn new(mode: Mode, mutants: Mutants) -> Self {
        let state = State {
            mode,
            mutants,
            log: Log::default(),
            store: Store::default(),
            bus: Bus::default(),
            processes: BTreeMap::new(),
            scripts: BTreeMap::new(),
            holding: BTreeSet::new(),
            barred: BTreeSet::new(),
            calls: Vec::new(),
            store_calls: BTreeMap::new(),
            life: 1,
            boot: 1,
            booted_at_ms: 0,
            sessions_named: 0,
            events_named: 0,
            recording: Vec::new(),
            continuations: BTreeSet::new(),
            approvals: Approvals::default(),
            words: Words::default(),
            stale: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns its repository.
    #[must_use]
    pub fn repository(&self) -> FakeRepository {
        FakeRepository::new(self.clone())
    }

    /// Returns its spawner.
    #[must_use]
    pub fn spawner(&self) -> FakeSpawner {
        FakeSpawner::new(self.clone())
    }

    /// Returns what makes the processes of its spawner behave.
    #[must_use]
    pub fn programs(&self) -> FakePrograms {
        FakePrograms::new(self.clone())
    }

    /// Returns its bus.
    #[must_use]
    pub fn bus(&self) -> FakeBus {
        FakeBus::new(self.clone())
    }

    /// Returns its clock.
    #[must_use]
    pub fn clock(&self) -> FakeClock {
        FakeClock::new(self.clone())
    }

    /// Returns its source of ids.
    #[must_use]
    pub fn ids(&self) -> FakeIds {
        FakeIds::new(self.clone())
    }

    /// Returns its flight recorder.
    #[must_use]
    pub fn recorder(&self) -> FakeRecorder {
        FakeRecorder::new(self.clone())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Issues a call, or answers it at once.
    pub(crate) fn call<T>(
        &mut self,
        at_once: impl FnOnce(&mut Self) -> T,
        held: impl FnOnce(Answer<T>) -> Call,
    ) -> Answer<T> {
        match self.mode {
            Mode::AtOnce => Answer::given(at_once(self)),
            Mode::Held => {
                let answer = Answer::open();
                self.calls.push(held(answer.clone()));
                answer
            }
        }
    }

    /// Names the next call on the store for this session, and logs it.
    pub(crate) fn name_store_call(&mut self, session: SessionId, is_commit: bool) -> CallName {
        let number = self.store_calls.entry(session).or_default();
        *number += 1;
        let call = CallName { session: SessionName::of(session), number: *number };
        self.log.push(Record::StoreCalled { call, is_commit });
        call
    }

    /// Makes a change durable, if the row is where the change expects it.
    pub(crate) fn commit(&mut self, change: &Change, writer: Writer) -> Result<Seq, CommitError> {
        let seq = if self.mutants.write_blind() {
            self.store.overwrite(change)
        } else {
            self.store.apply(change)?
        };
        self.log.push(Record::Durable { seq, change: Box::new(change.clone()), writer });
        self.note_approvals(change);
        Ok(seq)
    }
}
