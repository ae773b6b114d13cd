//! The one way a change happens: step, commit, and only then everything else.
//!
//! A [`Supervisor`] owns one session. It takes what happened one at a time, asks the machine what
//! follows, makes that durable, and then publishes, signals and answers. This file is the only
//! writer of statuses.
//!
//! Mailbox, timers and the waiting for processes belong to whoever drives it: the daemon, or the
//! harness's executor. What it wants from its driver it returns as [`Orders`].

mod aside;

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;

use crate::agent::RequestState;
use crate::event::{Event, Seq};
use crate::happening::{Happening, withdraw_all};
use crate::input::{Deadline, IllegalInput};
use crate::machine::Machine;
use crate::ports::{
    Attach, Change, Clock, CommitError, Delivery, EventBus, IdSource, Process, Recorder,
    Repository, Target,
};
use crate::protocol::{CommitAnswer, Next, Origin, Protocol, RowSeen, TakeError};
use crate::recording::{Call, Entry, fingerprint};
use crate::session::{Revision, Session, SessionId, Spec};
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
    /// Who keeps the flight recordings.
    pub recorder: Arc<dyn Recorder>,
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
    /// The same for [`Deadline::Idle`].
    pub idle_at: Option<Monotonic>,
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
    /// Ask the process to end, in its own words, on its standard input.
    Ask,
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
    /// The store may or may not have taken the command's change. Call
    /// [`retry`](Supervisor::retry) until it is known which; whoever asked can look again.
    #[error("the store does not answer, and may have taken the change: {reason}")]
    InDoubt {
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
    /// There is no such request, or it was closed before. Nothing has changed.
    #[error("the request is not open")]
    RequestNotOpen {
        /// Where it stands, if it is known.
        state: Option<RequestState>,
    },
    /// A bug. The session is as it was.
    #[error(transparent)]
    Illegal(#[from] IllegalInput),
}

/// Takes everything that happens to one session, one at a time.
pub struct Supervisor {
    ports: Ports,
    protocol: Protocol,
    session: Session,
    process: Option<Arc<dyn Process>>,
    offer: Option<Offer>,
    /// What the store said when it last failed.
    reason: String,
}

/// What goes with the change that the protocol has under way.
struct Offer {
    change: Box<Change>,
    process: Option<Arc<dyn Process>>,
    /// The place of its event, once the store has told it.
    seq: Option<Seq>,
}

impl Orders {
    /// There is nothing to do.
    pub const NOTHING: Self =
        Self { task: Task::Nothing, deadline: None, idle_at: None, answer: Answer::Accepted };
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
        let machine = Machine::unborn(birth.spec.policy, transition.next.status());
        let session = Session::unborn(birth.id, birth.parent, birth.spec, machine, now.wall);
        let protocol = Protocol::create(transition);
        let mut supervisor = Self::with(ports, protocol, session);
        supervisor.offer(transition, None, birth.by, now.wall);
        let policy = supervisor.session.spec.policy;
        let queued = birth.start == Start::AfterParent;
        supervisor.record(now, Call::Create { policy, queued }, &Ok(Next::Commit));
        let result = supervisor.follow(Next::Commit).await;
        (supervisor, result)
    }

    /// Takes over a session that an earlier daemon stored. See
    /// [`Recovery`](crate::recovery::Recovery) for what to do first.
    #[must_use]
    pub fn resume(ports: Ports, session: Session) -> Self {
        let machine = session.machine;
        let supervisor = Self::with(ports, Protocol::resume(machine), session);
        let now = supervisor.ports.clock.now();
        supervisor.record(now, Call::Resume { machine }, &Ok(Next::Refuse));
        supervisor
    }

    const fn with(ports: Ports, protocol: Protocol, session: Session) -> Self {
        Self { ports, protocol, session, process: None, offer: None, reason: String::new() }
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
        self.protocol.is_blocked()
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
        if let Some(void) = self.is_void(&happening) {
            return void;
        }
        let next = self.take(happening)?;
        self.follow(next).await
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
        let now = self.ports.clock.now();
        let next = self.protocol.retry(now);
        self.record(now, Call::Retry, &Ok(next));
        match self.follow(next).await {
            // Nothing is pending, or it was a command, and whoever asked knows already.
            Err(HandleError::StoreUnavailable { .. }) => Ok(Orders::NOTHING),
            Err(HandleError::InDoubt { reason }) => Err(HandleError::Blocked { reason }),
            result => result,
        }
    }

    /// Returns the answer to what would close a request that is not open, if it is that. Nobody waits
    /// for one where the agent needs none any more. Once the session has ended the machine tells how.
    fn is_void(&self, happening: &Happening) -> Option<Result<Orders, HandleError>> {
        // Who hands a message over says so afterwards, and the agent may have been quicker.
        if matches!(happening, Happening::TurnBegan { turns_ended } if self.session.turns_ended > *turns_ended)
            && !self.is_blocked()
            && !self.is_over()
        {
            return Some(Ok(Orders::NOTHING));
        }
        let state = self.session.request(happening.closes()?).map(|request| request.state);
        if self.is_blocked() || self.is_over() || state == Some(RequestState::Open) {
            return None;
        }
        let is_asked = happening.is_command();
        Some(if is_asked {
            Err(HandleError::RequestNotOpen { state })
        } else {
            Ok(Orders::NOTHING)
        })
    }

    fn take(&mut self, happening: Happening) -> Result<Next, HandleError> {
        let now = self.ports.clock.now();
        let origin = if happening.is_command() { Origin::Command } else { Origin::Fact };
        let input = happening.input();
        let next = self.protocol.take(input, origin, now);
        self.record(now, Call::Take { input, origin }, &next);
        let next = next.map_err(|error| {
            let reason = self.reason.clone();
            match error {
                TakeError::Blocked => HandleError::Blocked { reason },
                TakeError::Usurped => HandleError::Usurped { id: self.session.id },
                TakeError::Illegal(error) => HandleError::Illegal(error),
            }
        })?;
        if let Some(&transition) = self.protocol.offered() {
            let by = happening.by();
            self.offer(transition, Some(happening), by, now.wall);
        } else {
            self.take_process(happening.process().cloned());
        }
        Ok(next)
    }

    /// Does what the protocol says until it has nothing more to say.
    async fn follow(&mut self, mut next: Next) -> Result<Orders, HandleError> {
        loop {
            next = match next {
                Next::Commit => {
                    let answer = self.commit().await;
                    let next = self.protocol.answered(answer);
                    self.record(self.ports.clock.now(), Call::Answered(answer), &Ok(next));
                    next
                }
                Next::Load => {
                    let seen = self.look().await;
                    let next = self.protocol.looked(seen);
                    self.record(self.ports.clock.now(), Call::Looked(seen), &Ok(next));
                    next
                }
                Next::Act(transition) => {
                    self.keep_and_publish();
                    return Ok(self.act(transition).await);
                }
                Next::Abandon(_) => {
                    self.keep_and_publish();
                    self.take(Happening::Attached(Attach::NeverRan))?
                }
                Next::Refuse => {
                    self.offer = None;
                    return Err(HandleError::StoreUnavailable { reason: self.reason.clone() });
                }
                Next::Doubt => return Err(HandleError::InDoubt { reason: self.reason.clone() }),
                Next::Hold => return Err(HandleError::Blocked { reason: self.reason.clone() }),
                Next::Leave => return Err(HandleError::Usurped { id: self.session.id }),
            };
        }
    }

    fn record(&self, now: Now, call: Call, next: &Result<Next, TakeError>) {
        let fingerprint = fingerprint(&self.protocol, next);
        let entry = Entry { at: now.monotonic, call, fingerprint };
        self.ports.recorder.record(self.session.id, &entry);
    }

    /// Makes the change of a transition ready to be stored.
    fn offer(
        &mut self,
        transition: Transition,
        happening: Option<Happening>,
        by: Actor,
        at: Timestamp,
    ) {
        let Some(cause) = transition.cause else { return };
        let before = &self.session;
        let is_first = before.revision() == Revision::NONE;
        let process = happening.as_ref().and_then(Happening::process).cloned();
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
            happening.keep(&mut session, at);
        }
        if transition.next.requests_open() == 0 {
            withdraw_all(&mut session, at);
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
        let change = Box::new(Change { expected: before.revision(), session, event });
        self.offer = Some(Offer { change, process, seq: None });
    }

    async fn commit(&mut self) -> CommitAnswer {
        let Some(offer) = &mut self.offer else { return CommitAnswer::NotStored };
        match self.ports.repository.commit(&offer.change).await {
            Ok(seq) => {
                offer.seq = Some(seq);
                CommitAnswer::Stored
            }
            Err(error) => {
                self.reason = error.to_string();
                match error {
                    CommitError::NotStored { .. } => CommitAnswer::NotStored,
                    CommitError::Unknown { .. } | CommitError::Conflict => CommitAnswer::InDoubt,
                }
            }
        }
    }

    /// Reads the row to find out whether the change is in it.
    async fn look(&mut self) -> RowSeen {
        let Some(offer) = &mut self.offer else { return RowSeen::Before };
        match self.ports.repository.load(self.session.id).await {
            Ok(Some(row)) if row.last_event == offer.change.event.id => {
                offer.seq = Some(row.last_seq);
                RowSeen::Ours
            }
            Ok(row) => {
                let revision = row.map_or(Revision::NONE, |row| row.session.revision());
                let is_before = revision == offer.change.expected;
                if is_before { RowSeen::Before } else { RowSeen::Others }
            }
            Err(error) => {
                self.reason = error.to_string();
                RowSeen::NoAnswer
            }
        }
    }

    /// Takes over what has become durable, and tells of it.
    fn keep_and_publish(&mut self) {
        let Some(Offer { change, process, seq }) = self.offer.take() else { return };
        self.session = change.session;
        self.take_process(process);
        if let Some(seq) = seq {
            self.ports.bus.publish(seq);
        }
    }

    fn take_process(&mut self, process: Option<Arc<dyn Process>>) {
        if process.is_some() {
            self.process = process;
        }
    }

    async fn act(&mut self, transition: Transition) -> Orders {
        // The grace of a rung runs from its signal, however long the store took before.
        let Transition { act, deadline, idle_at, answer, .. } =
            transition.held_up_until(self.ports.clock.now());
        // Nothing is waited for that nobody could be sent. When the process is found, all is set anew.
        let deadline = deadline.filter(|_| self.process.is_some());
        let idle_at = idle_at.filter(|_| self.process.is_some());
        let orders = Orders { task: Task::Nothing, deadline, idle_at, answer };
        match act {
            Act::Nothing => orders,
            Act::Launch => Orders { task: Task::Launch, ..orders },
            Act::Attach => Orders { task: Task::Attach, ..orders },
            Act::Signal(rung) => match self.process.clone() {
                Some(process) => match rung.signal() {
                    Some(signal) => {
                        self.signal(&*process, rung, signal).await;
                        orders
                    }
                    None => {
                        // A stopped process does not read what it is asked.
                        process.signal(Target::Group, Signal::Continue).await;
                        Orders { task: Task::Ask, ..orders }
                    }
                },
                // It cannot be reached now. The rung is stored; when the process is adopted it is
                // sent, and its grace begins.
                None => orders,
            },
        }
    }

    /// Sends the rung's signal, and then `SIGCONT`: a stopped process takes no other signal but
    /// KILL before it is continued.
    async fn signal(&mut self, process: &dyn Process, rung: Rung, signal: Signal) {
        let delivery = process.signal(Target::Group, signal).await;
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
