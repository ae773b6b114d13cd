//! The one way a change happens: step, commit, and only then everything else.
//!
//! A [`Supervisor`] owns one session. It takes what happened one at a time, asks the machine what
//! follows, makes that durable, and then publishes, signals and answers. This file is the only
//! writer of statuses.
//!
//! Mailbox, timers and the waiting for processes belong to whoever drives it: the daemon, or the
//! harness's executor. What it wants from its driver it returns as [`Orders`].

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::event::{Event, Seq};
use crate::happening::Happening;
use crate::input::{Deadline, IllegalInput};
use crate::machine::Machine;
use crate::ports::{
    Attach, Change, Clock, CommitError, Delivery, EventBus, IdSource, Process, Repository, Target,
};
use crate::session::{Revision, Session, SessionId, Sighting, Spec};
use crate::status::Status;
use crate::step::{Act, Answer, Transition};
use crate::stop::{Actor, Intent, Rung, Signal};
use crate::time::{Monotonic, Now, Timestamp};

/// The world, as far as one supervisor needs it.
#[derive(Clone)]
pub struct Ports {
    /// Where sessions are kept.
    pub repository: Arc<dyn Repository>,
    /// Whom to tell.
    pub bus: Arc<dyn EventBus>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who mints ids.
    pub ids: Arc<dyn IdSource>,
}

/// What a new session is made of.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Its id.
    pub id: SessionId,
    /// The session that it continues.
    pub parent: Option<SessionId>,
    /// What to run.
    pub spec: Arc<Spec>,
    /// Who asked for it.
    pub by: Actor,
    /// When to start it.
    pub start: Start,
}

/// When a new session starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// Now.
    AtOnce,
    /// When its parent has ended.
    AfterParent,
}

/// What the driver is to do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Orders {
    /// What to start in the background. Its answer comes back as a [`Happening`].
    pub task: Task,
    /// What to be woken for; it takes the place of an earlier deadline of the same kind.
    pub deadline: Option<(Deadline, Monotonic)>,
    /// What to tell whoever asked.
    pub answer: Answer,
}

/// Work that takes its time, so that the driver does it beside taking further input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Task {
    /// None.
    Nothing,
    /// Launch the process.
    Launch,
    /// Attach to the process, waiting longer before each further attempt.
    Attach,
}

/// Why something that happened was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandleError {
    /// The store did not take the command's change, so nothing has changed. Try again later.
    #[error("the store is unavailable, and nothing was changed: {reason}")]
    StoreUnavailable {
        /// What the store said.
        reason: String,
    },
    /// Something that has happened is not stored yet. It is kept; call
    /// [`retry`](Supervisor::retry) after a while, and hand in nothing else before it succeeds.
    #[error("a change waits for the store: {reason}")]
    Blocked {
        /// What the store said.
        reason: String,
    },
    /// Somebody else has changed this session's row. Stop writing, at once and for good.
    #[error("another writer has changed session {id}")]
    Usurped {
        /// The session.
        id: SessionId,
    },
    /// A bug. The session is as it was.
    #[error(transparent)]
    Illegal(#[from] IllegalInput),
}

/// Takes everything that happens to one session, one at a time.
pub struct Supervisor {
    ports: Ports,
    session: Session,
    process: Option<Arc<dyn Process>>,
    pending: Option<Pending>,
}

/// A change whose fate is open.
struct Pending {
    change: Box<Change>,
    transition: Transition,
    process: Option<Arc<dyn Process>>,
    kind: PendingKind,
    reason: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum PendingKind {
    /// It has happened, so it is stored sooner or later.
    Fact,
    /// Its caller was told that it failed, so it counts only if the store has it already.
    Command,
    /// The same, and if the store has it, the session must not start any more.
    Creation,
}

/// What became of one attempt to store a change.
enum Stored {
    Yes(Seq),
    No { reason: String },
    Unconfirmed { reason: String },
    Usurped,
}

impl Orders {
    const NOTHING: Self = Self { task: Task::Nothing, deadline: None, answer: Answer::Accepted };
}

impl Supervisor {
    /// Accepts a new session.
    ///
    /// The supervisor is returned even where the result is an error: if it
    /// [is not over](Self::is_over), the store may or may not have the session, and its driver must
    /// go on with [`retry`](Self::retry) until that is known.
    ///
    /// Not cancel safe: dropped, the session may be stored without anybody who drives it.
    pub async fn create(ports: Ports, birth: Birth) -> (Self, Result<Orders, HandleError>) {
        let now = ports.clock.now();
        let transition = match birth.start {
            Start::AtOnce => Machine::launch(birth.spec.policy),
            Start::AfterParent => Machine::queue(birth.spec.policy),
        };
        let session = Session {
            id: birth.id,
            parent: birth.parent,
            machine: Machine::unborn(birth.spec.policy, transition.next.status()),
            spec: birth.spec,
            created_at: now.wall,
            started_at: None,
            ended_at: None,
            intent: None,
            report: None,
            sighting: Sighting::default(),
            notes: Vec::new(),
        };
        let mut supervisor = Self { ports, session, process: None, pending: None };
        let change = supervisor.change(transition, None, birth.by, now.wall);
        let result = match change {
            Some(change) => {
                supervisor.attempt(change, transition, None, PendingKind::Creation).await
            }
            None => Ok(Orders::NOTHING),
        };
        (supervisor, result)
    }

    /// Takes over a session that an earlier daemon stored. See
    /// [`Recovery`](crate::recovery::Recovery) for what to do first.
    #[must_use]
    pub const fn resume(ports: Ports, session: Session) -> Self {
        Self { ports, session, process: None, pending: None }
    }

    /// Returns the session as it is stored.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the process to listen to, if there is one.
    #[must_use]
    pub const fn process(&self) -> Option<&Arc<dyn Process>> {
        self.process.as_ref()
    }

    /// Says whether a change waits for the store. Then only [`retry`](Self::retry) may be called.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.pending.is_some()
    }

    /// Says whether there is nothing left to drive: the session has ended, or was never stored.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.is_blocked()
            && (self.session.status().is_terminal() || self.session.revision() == Revision::NONE)
    }

    /// Takes one thing that happened, and returns when what follows is durable, published, and
    /// signalled.
    ///
    /// Not cancel safe: dropped after the commit, its effects are lost until a restart.
    ///
    /// # Errors
    ///
    /// See [`HandleError`]: each says what the driver must do.
    pub async fn handle(&mut self, happening: Happening) -> Result<Orders, HandleError> {
        if let Some(pending) = &self.pending {
            return Err(HandleError::Blocked { reason: pending.reason.clone() });
        }
        let now = self.ports.clock.now();
        let input = happening.input();
        let transition = self.session.machine.step(input, now)?;
        let kind = if happening.is_command() { PendingKind::Command } else { PendingKind::Fact };
        let by = happening.by();
        let process = happening.process().cloned();
        match self.change(transition, Some(happening), by, now.wall) {
            Some(change) if self.is_on_an_edge(&change) => {
                self.attempt(change, transition, process, kind).await
            }
            Some(_) => Err(IllegalInput { status: self.session.status(), input }.into()),
            None => {
                self.process = process.or_else(|| self.process.take());
                Ok(self.act(transition).await)
            }
        }
    }

    /// Tries once more to store the change that is pending, if one is.
    ///
    /// Not cancel safe, as [`handle`](Self::handle).
    ///
    /// # Errors
    ///
    /// [`HandleError::Blocked`] while the store does not answer: call again later.
    /// [`HandleError::Usurped`] as everywhere.
    pub async fn retry(&mut self) -> Result<Orders, HandleError> {
        let Some(Pending { change, transition, process, kind, .. }) = self.pending.take() else {
            return Ok(Orders::NOTHING);
        };
        let transition = transition.held_up_until(self.ports.clock.now());
        if kind == PendingKind::Fact {
            return self.attempt(change, transition, process, kind).await;
        }
        match self.confirm(&change).await {
            Stored::Yes(seq) => {
                let orders = self.proceed(*change, transition, process, seq).await;
                if kind == PendingKind::Creation {
                    return Box::pin(self.handle(Happening::Attached(Attach::NeverRan))).await;
                }
                Ok(orders)
            }
            Stored::No { .. } => Ok(Orders::NOTHING),
            Stored::Unconfirmed { reason } => {
                self.pending =
                    Some(Pending { change, transition, process, kind, reason: reason.clone() });
                Err(HandleError::Blocked { reason })
            }
            Stored::Usurped => Err(HandleError::Usurped { id: self.session.id }),
        }
    }

    /// Returns the change that a transition makes, or `None` when it makes none.
    fn change(
        &self,
        transition: Transition,
        happening: Option<Happening>,
        by: Actor,
        at: Timestamp,
    ) -> Option<Box<Change>> {
        let cause = transition.cause?;
        let before = &self.session;
        let is_first = before.revision() == Revision::NONE;
        let mut session = Session { machine: transition.next, ..before.clone() };
        if before.machine.intent() != transition.next.intent() {
            session.intent = transition.next.intent().map(|kind| Intent { kind, by, at });
        }
        if transition.next.is_up() && before.started_at.is_none() {
            session.started_at = Some(at);
        }
        if transition.next.verdict().is_some() {
            session.ended_at = Some(at);
        }
        if let Some(happening) = happening {
            happening.keep(&mut session);
        }
        let event = Event {
            id: self.ports.ids.event_id(),
            session: session.id,
            revision: session.revision(),
            at,
            from: (!is_first).then(|| before.status()),
            to: session.status(),
            cause,
            by,
            verdict: session.verdict(),
        };
        Some(Box::new(Change { expected: before.revision(), session, event }))
    }

    fn is_on_an_edge(&self, change: &Change) -> bool {
        Status::edge(change.event.from, change.event.to)
            && change.session.revision() == change.expected.next()
            && change.session.machine.is_coherent()
    }

    async fn attempt(
        &mut self,
        change: Box<Change>,
        transition: Transition,
        process: Option<Arc<dyn Process>>,
        kind: PendingKind,
    ) -> Result<Orders, HandleError> {
        match self.store(&change).await {
            Stored::Yes(seq) => Ok(self.proceed(*change, transition, process, seq).await),
            Stored::Usurped => Err(HandleError::Usurped { id: self.session.id }),
            Stored::No { reason } if kind != PendingKind::Fact => {
                Err(HandleError::StoreUnavailable { reason })
            }
            Stored::No { reason } | Stored::Unconfirmed { reason } => {
                self.pending =
                    Some(Pending { change, transition, process, kind, reason: reason.clone() });
                match kind {
                    PendingKind::Fact => Err(HandleError::Blocked { reason }),
                    PendingKind::Command | PendingKind::Creation => {
                        Err(HandleError::StoreUnavailable { reason })
                    }
                }
            }
        }
    }

    async fn store(&self, change: &Change) -> Stored {
        match self.ports.repository.commit(change).await {
            Ok(seq) => Stored::Yes(seq),
            Err(CommitError::NotStored { reason }) => Stored::No { reason },
            Err(CommitError::Unknown { .. } | CommitError::Conflict) => self.confirm(change).await,
        }
    }

    /// Reads the row to find out whether the change is in it.
    async fn confirm(&self, change: &Change) -> Stored {
        let stored = match self.ports.repository.load(change.session.id).await {
            Ok(stored) => stored,
            Err(error) => return Stored::Unconfirmed { reason: error.to_string() },
        };
        let revision = stored.as_ref().map_or(Revision::NONE, |row| row.session.revision());
        match stored {
            Some(row) if row.last_event == change.event.id => Stored::Yes(row.last_seq),
            Some(_) | None if revision == change.expected => {
                Stored::No { reason: "the change did not reach the store".to_string() }
            }
            Some(_) | None => Stored::Usurped,
        }
    }

    /// Goes on after a change has become durable.
    async fn proceed(
        &mut self,
        change: Change,
        transition: Transition,
        process: Option<Arc<dyn Process>>,
        seq: Seq,
    ) -> Orders {
        self.session = change.session;
        self.ports.bus.publish(seq);
        self.process = process.or_else(|| self.process.take());
        self.act(transition).await
    }

    async fn act(&mut self, transition: Transition) -> Orders {
        let task = match transition.act {
            Act::Nothing => Task::Nothing,
            Act::Launch => Task::Launch,
            Act::Attach => Task::Attach,
            Act::Signal(rung) => {
                self.signal(rung).await;
                Task::Nothing
            }
        };
        Orders { task, deadline: transition.deadline, answer: transition.answer }
    }

    /// Sends the rung's signal, and then `SIGCONT`: a stopped process takes no other signal but
    /// KILL before it is continued.
    async fn signal(&mut self, rung: Rung) {
        let Some(process) = self.process.clone() else {
            // It cannot be reached now. The rung is stored, and is sent when it is adopted.
            return;
        };
        let delivery = process.signal(Target::Group, rung.signal()).await;
        let trouble = match delivery {
            Delivery::Delivered => {
                process.signal(Target::Group, Signal::Continue).await;
                return;
            }
            Delivery::AlreadyEnded => return,
            Delivery::NotPermitted => "the kernel does not permit signals to its processes",
            Delivery::Unknown => "it cannot be told whether the signal was delivered",
        };
        let Now { wall, .. } = self.ports.clock.now();
        // Kept in memory, and stored with the next change: a note is no change of its own.
        self.session.note(wall, alloc::format!("{rung} signal: {trouble}"));
    }
}
