//! One task a session: it turns every source of events into one order of happenings.
//!
//! It decides nothing. What follows from a happening is the supervisor's; when a happening may be
//! handed in is the only rule kept here.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::failpoint;
use candor_core::happening::Happening;
use candor_core::input::Deadline;
use candor_core::ports::{Attach, Clock, Environment, Fact, Launch, Process, ProcessSpawner};
use candor_core::session::{Session, SessionId};
use candor_core::step::Answer;
use candor_core::supervisor::{HandleError, Orders, Supervisor, Task};
use candor_core::time::Monotonic;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agents::Desk;
use crate::api::Supervision;

/// The first and the longest pause before a change that waits for the store is tried again, in
/// milliseconds.
const RETRY_MS: (u64, u64) = (20, 1_000);

/// The first and the longest pause before another attempt to attach, in milliseconds.
const ATTACH_MS: (u64, u64) = (100, 5_000);

/// Commands that may wait in one session's mailbox; beyond that a sender waits.
pub(crate) const MAILBOX_COMMANDS_MAX: usize = 64;

/// What an agent has said is handed in one thing at a time, so many at most before something else
/// gets its turn.
const SETTLE_MAX: usize = 256;

/// What somebody asks of a session.
pub(crate) struct Command {
    /// What is to happen.
    pub(crate) happening: Happening,
    /// Whether a stop, or else whatever is asked, has been taken.
    pub(crate) reply: oneshot::Sender<Result<Answer, HandleError>>,
}

/// What the task shows of its session. It is never ahead of the store.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) session: Session,
    /// What is known of the process, if it is not up.
    supervision: Supervision,
    process: Option<Arc<dyn Process>>,
}

impl Snapshot {
    pub(crate) const fn new(session: Session, supervision: Supervision) -> Self {
        Self { session, supervision, process: None }
    }

    /// Returns the process, while it is known to be up.
    pub(crate) const fn process(&self) -> Option<&Arc<dyn Process>> {
        self.process.as_ref()
    }

    /// Returns how well the process is looked after now.
    pub(crate) fn supervision(&self) -> Supervision {
        match (self.supervision, &self.process) {
            (Supervision::Ok, Some(process)) => process.supervision().into(),
            (supervision, _) => supervision,
        }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The session is over, or goes on without this daemon.
    Over,
    /// Somebody else writes to this store.
    Usurped,
}

/// What connects a task with the rest of the daemon.
pub(crate) struct Doors {
    pub(crate) mailbox: mpsc::Receiver<Command>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    /// Cancelled when the daemon leaves and the session is to go on.
    pub(crate) leaving: CancellationToken,
}

/// Everything that one session's task is made of.
pub(crate) struct SessionTask {
    supervisor: Supervisor,
    spawner: Arc<dyn ProcessSpawner>,
    clock: Arc<dyn Clock>,
    doors: Doors,
    environment: Environment,
    /// At most one of each kind; a new one takes the place of the old.
    deadlines: BTreeMap<Deadline, Monotonic>,
    work: Option<Work>,
    /// Commands wait until the first attach after a restart has answered.
    is_settled_in: bool,
    retry_at: Option<Instant>,
    retry_pause_ms: u64,
    attach_pause_ms: u64,
    /// Reads what an agent prints, if one runs.
    desk: Option<Desk>,
    /// How the process ended, until all that it had said was handed in.
    ending: Option<Happening>,
}

/// What the task was woken by.
enum Wake {
    Command(Command),
    Happening(Happening),
    /// The agent may have printed something, or may have room for what it is owed.
    Stirred,
    RetryDue,
    /// The daemon leaves.
    Leaves,
}

/// Work in the background, of which there is one piece at most.
struct Work {
    handle: JoinHandle<Happening>,
    /// Whether it must come to its end before the task may leave: a launch that is broken off would
    /// be told as one that failed.
    is_launch: bool,
}

impl SessionTask {
    pub(crate) fn new(
        supervisor: Supervisor,
        spawner: Arc<dyn ProcessSpawner>,
        clock: Arc<dyn Clock>,
        environment: Environment,
        doors: Doors,
        desk: Option<Desk>,
    ) -> Self {
        Self {
            supervisor,
            spawner,
            clock,
            doors,
            environment,
            deadlines: BTreeMap::new(),
            work: None,
            is_settled_in: true,
            retry_at: None,
            retry_pause_ms: RETRY_MS.0,
            attach_pause_ms: ATTACH_MS.0,
            desk,
            ending: None,
        }
    }

    /// Drives a session that was just accepted, from the orders of its creation.
    pub(crate) async fn run_new(mut self, created: Result<Orders, HandleError>) -> Outcome {
        match self.take(created) {
            Some(outcome) => outcome,
            None => self.run().await,
        }
    }

    /// Drives a session that an earlier daemon left behind.
    pub(crate) async fn run_recovered(mut self) -> Outcome {
        self.is_settled_in = false;
        self.start_attach(0);
        self.run().await
    }

    /// Drives a session that an earlier daemon queued, and that still waits.
    pub(crate) async fn run_queued(self) -> Outcome {
        self.run().await
    }

    async fn run(mut self) -> Outcome {
        while !self.supervisor.is_over() {
            let result = match self.next().await {
                Wake::Command(Command { happening, reply }) => {
                    let result = self.supervisor.handle(happening).await;
                    self.show();
                    let answer = result.as_ref().map(|orders| orders.answer).map_err(Clone::clone);
                    failpoint!(StopStored, self.id());
                    // Whoever asked may have left; what was asked counts all the same.
                    let _left = reply.send(answer);
                    result
                }
                Wake::Happening(happening) => {
                    self.note_supervision(&happening);
                    self.happened(happening).await
                }
                Wake::Stirred => {
                    if let Some(desk) = &mut self.desk {
                        desk.read_some().await;
                    }
                    Ok(Orders::NOTHING)
                }
                Wake::RetryDue => {
                    self.retry_at = None;
                    self.supervisor.retry().await
                }
                Wake::Leaves => return Outcome::Over,
            };
            let outcome = match self.take(result) {
                None => self.settle().await,
                outcome => outcome,
            };
            if outcome == Some(Outcome::Usurped) {
                return Outcome::Usurped;
            }
        }
        if let Some(desk) = &mut self.desk {
            desk.put_away(self.supervisor.session()).await;
        }
        Outcome::Over
    }

    /// Hands in what has happened. What an agent had printed before it ended comes first.
    async fn happened(&mut self, happening: Happening) -> Result<Orders, HandleError> {
        let Some(desk) = &mut self.desk else {
            return self.supervisor.handle(happening).await;
        };
        match &happening {
            Happening::Fact(Fact::Ended(ending)) | Happening::Attached(Attach::Ended(ending)) => {
                desk.end(Some(ending.output.stdout_bytes)).await;
                self.ending = Some(happening);
                Ok(Orders::NOTHING)
            }
            Happening::Fact(Fact::Lost(_)) | Happening::Attached(Attach::Lost(_)) => {
                desk.end(None).await;
                self.ending = Some(happening);
                Ok(Orders::NOTHING)
            }
            Happening::Attached(Attach::Up(_)) => {
                let result = self.supervisor.handle(happening).await;
                // Commands wait until it is known again what it has said.
                desk.read_to(None).await;
                result
            }
            Happening::Launched(_)
            | Happening::Attached(Attach::NeverRan | Attach::Unreachable)
            | Happening::Stop { .. }
            | Happening::Due(_)
            | Happening::RequestOpened(_)
            | Happening::RequestWithdrawn { .. }
            | Happening::Answered { .. }
            | Happening::TurnEnded
            | Happening::TurnBegan
            | Happening::Bypass { .. }
            | Happening::Reported(_)
            | Happening::ParentEnded => self.supervisor.handle(happening).await,
        }
    }

    /// Hands in what follows from what an agent has said, until its session says the same; then what
    /// it is owed is sent.
    async fn settle(&mut self) -> Option<Outcome> {
        for _ in 0..SETTLE_MAX {
            let news = self.desk.as_ref()?.news(self.supervisor.session());
            if let Some(learned) = news {
                self.supervisor.learn(&learned);
                self.show();
            }
            if self.supervisor.is_blocked() || self.supervisor.is_over() {
                return None;
            }
            let desk = self.desk.as_mut()?;
            let session = self.supervisor.session();
            let happening = match &self.ending {
                Some(ending) => desk.before(ending, session).or_else(|| self.ending.take()),
                None => desk.next(session, self.clock.now().wall),
            };
            let Some(happening) = happening else { break };
            let result = self.supervisor.handle(happening).await;
            let is_refused = result.is_err();
            match self.take(result) {
                None if is_refused => return None,
                None => {}
                outcome => return outcome,
            }
        }
        if let (Some(desk), Some(process)) = (&mut self.desk, self.supervisor.process()) {
            desk.pay(&**process, self.supervisor.session()).await;
        }
        None
    }

    /// Acts on the answer of the supervisor, and shows what is stored now.
    fn take(&mut self, result: Result<Orders, HandleError>) -> Option<Outcome> {
        match result {
            Ok(orders) => self.follow(orders),
            Err(
                HandleError::Blocked { reason }
                | HandleError::StoreUnavailable { reason }
                | HandleError::InDoubt { reason },
            ) => {
                tracing::warn!(session = %self.id(), reason, "the store does not take a change");
            }
            Err(HandleError::Illegal(error)) => {
                tracing::error!(session = %self.id(), %error, "a bug; the session is as it was");
            }
            // Whoever asked is told.
            Err(HandleError::RequestNotOpen { .. }) => {}
            Err(error @ HandleError::Usurped { .. }) => {
                tracing::error!(session = %self.id(), %error, "this daemon must stop writing");
                return Some(Outcome::Usurped);
            }
        }
        self.show();
        if !self.supervisor.is_blocked() {
            self.retry_pause_ms = RETRY_MS.0;
        } else if self.retry_at.is_none() {
            self.retry_at = Some(Instant::now() + Duration::from_millis(self.retry_pause_ms));
            self.retry_pause_ms = (self.retry_pause_ms * 2).min(RETRY_MS.1);
        }
        None
    }

    fn follow(&mut self, orders: Orders) {
        if let Some((deadline, at)) = orders.deadline {
            self.deadlines.insert(deadline, at);
        }
        if let Some(at) = orders.idle_at {
            self.deadlines.insert(Deadline::Idle, at);
        }
        match orders.task {
            Task::Nothing => {}
            Task::Launch => self.start_launch(),
            Task::Ask => {
                if let Some(desk) = &mut self.desk {
                    desk.ask(self.supervisor.session().machine.intent());
                }
            }
            Task::Attach => {
                let pause_ms = self.attach_pause_ms;
                self.attach_pause_ms = (pause_ms * 2).min(ATTACH_MS.1);
                self.start_attach(pause_ms);
            }
        }
    }

    fn start_launch(&mut self) {
        let (spawner, id) = (Arc::clone(&self.spawner), self.id());
        let spec = Arc::clone(&self.supervisor.session().spec);
        let environment = std::mem::take(&mut self.environment);
        let environment = match &self.desk {
            Some(desk) => desk.environment(environment),
            None => environment,
        };
        let handle = tokio::spawn(async move {
            Happening::Launched(spawner.launch(id, &spec, &environment).await)
        });
        self.work = Some(Work { handle, is_launch: true });
    }

    fn start_attach(&mut self, pause_ms: u64) {
        let (spawner, id) = (Arc::clone(&self.spawner), self.id());
        let handle = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Happening::Attached(spawner.attach(id).await)
        });
        self.work = Some(Work { handle, is_launch: false });
    }

    /// Waits for the next thing that may be handed in now.
    ///
    /// While a change waits for the store, nothing that has happened is taken from its source, so
    /// that it keeps its place there; commands are taken, and refused by the supervisor.
    async fn next(&mut self) -> Wake {
        let is_blocked = self.supervisor.is_blocked();
        let deadline =
            self.deadlines.iter().min_by_key(|(_, at)| **at).map(|(kind, at)| (*kind, *at));
        let clock = &self.clock;
        let is_up = self.supervisor.process().is_some();
        let may_leave = !self.work.as_ref().is_some_and(|work| work.is_launch);
        tokio::select! {
            () = self.doors.leaving.cancelled(), if may_leave => Wake::Leaves,
            Some(command) = self.doors.mailbox.recv(), if self.is_settled_in => Wake::Command(command),
            () = sleep_until(self.retry_at), if is_blocked => Wake::RetryDue,
            happening = finished(&mut self.work), if !is_blocked => {
                self.is_settled_in = true;
                Wake::Happening(happening)
            }
            fact = next_fact(self.supervisor.process()), if !is_blocked => {
                Wake::Happening(Happening::Fact(fact))
            }
            () = stirred(&mut self.desk), if !is_blocked && is_up => Wake::Stirred,
            kind = reached(clock.as_ref(), deadline), if !is_blocked => {
                self.deadlines.remove(&kind);
                Wake::Happening(Happening::Due(kind))
            }
        }
    }

    fn note_supervision(&self, happening: &Happening) {
        let supervision = match happening {
            Happening::Launched(Launch::Unknown) | Happening::Attached(Attach::Unreachable) => {
                Supervision::Unreachable
            }
            Happening::Launched(_) | Happening::Attached(Attach::Up(_)) => Supervision::Ok,
            // It is over, which is shown as soon as it is stored.
            Happening::Attached(_)
            | Happening::Stop { .. }
            | Happening::Fact(_)
            | Happening::Due(_)
            | Happening::RequestOpened(_)
            | Happening::RequestWithdrawn { .. }
            | Happening::Answered { .. }
            | Happening::TurnEnded
            | Happening::TurnBegan
            | Happening::Bypass { .. }
            | Happening::Reported(_)
            | Happening::ParentEnded => return,
        };
        self.doors.snapshot.send_modify(|snapshot| snapshot.supervision = supervision);
    }

    fn show(&self) {
        let session = self.supervisor.session();
        self.doors.snapshot.send_if_modified(|snapshot| {
            let was_up = snapshot.process.is_some();
            snapshot.process = self.supervisor.process().cloned();
            let is_new = snapshot.session.revision() != session.revision()
                || snapshot.session.learned != session.learned;
            if is_new {
                snapshot.session = session.clone();
            }
            is_new || was_up != snapshot.process.is_some()
        });
    }

    fn id(&self) -> SessionId {
        self.supervisor.session().id
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}

/// Waits for the work in the background, for ever if there is none.
async fn finished(work: &mut Option<Work>) -> Happening {
    let Some(Work { handle, .. }) = work else {
        return pending().await;
    };
    let result = handle.await;
    *work = None;
    match result {
        Ok(happening) => happening,
        Err(error) => {
            // It panicked: whether there is a process is open, which is what attach is for.
            tracing::error!(%error, "a launch or attach broke off");
            Happening::Attached(Attach::Unreachable)
        }
    }
}

async fn stirred(desk: &mut Option<Desk>) {
    match desk {
        Some(desk) => desk.stirred().await,
        None => pending().await,
    }
}

async fn next_fact(process: Option<&Arc<dyn Process>>) -> Fact {
    match process {
        Some(process) => process.next_fact().await,
        None => pending().await,
    }
}

async fn reached(clock: &dyn Clock, deadline: Option<(Deadline, Monotonic)>) -> Deadline {
    let Some((kind, at)) = deadline else {
        return pending().await;
    };
    let wait_ms = at.ms_since(clock.now().monotonic);
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    kind
}
