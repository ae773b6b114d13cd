//! The sessions that have a task, and the only door to them.

mod aside;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use candor_core::happening::Happening;
use candor_core::ports::{Environment, ProcessSpawner, ReadError};
use candor_core::recovery::Recovery;
use candor_core::session::{Session, SessionId};
use candor_core::step::Answer;
use candor_core::stop::{Actor, StopKind};
use candor_core::supervisor::{Birth, HandleError, Ports, Start, Supervisor};
use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::agents::Desks;
use super::session_task::{
    Command, Doors, MAILBOX_COMMANDS_MAX, Outcome, REMARKS_MAX, SessionTask, Snapshot,
};
use super::{Refusal, queue, stash};
use crate::api::Supervision;

/// Sessions that may live at the same time. A launch beyond that is refused.
pub(crate) const LIVE_SESSIONS_MAX: usize = 1_000;

/// How long a daemon that starts waits for what became of its sessions before it answers, in
/// milliseconds. What is known by then is shown right from the first answer on; the rest is shown as
/// being looked for.
const RECONCILED_MS: u64 = 60;

/// How often a session whose task panicked is taken up again.
const PANICS_MAX: u32 = 3;

/// Where a session is to be found.
enum Found {
    /// It lives, and this is its task.
    Driven(Handle),
    /// No task has it: this is its row.
    Stored(Box<Session>),
}

/// How to reach a session's task.
#[derive(Clone)]
struct Handle {
    mailbox: mpsc::Sender<Command>,
    remarks: mpsc::Sender<String>,
    snapshot: watch::Receiver<Snapshot>,
}

/// The live sessions.
pub(crate) struct Registry {
    ports: Ports,
    spawner: Arc<dyn ProcessSpawner>,
    desks: Option<Desks>,
    /// Held while a session is continued, so that of two who want it one is first.
    pub(super) continuing: tokio::sync::Mutex<()>,
    handles: Mutex<HashMap<SessionId, Handle>>,
    /// One for each session that may live. Those that are taken over get one where one is left.
    places: Arc<Semaphore>,
    /// Launches hold it for reading, so that a shutdown that writes it misses none of them.
    accepts: RwLock<bool>,
    pub(super) tasks: TaskTracker,
    usurped: CancellationToken,
    /// Cancelled when the daemon leaves its sessions to go on without it.
    pub(super) leaving: CancellationToken,
}

impl Registry {
    pub(crate) fn new(
        ports: Ports,
        spawner: Arc<dyn ProcessSpawner>,
        desks: Option<Desks>,
        live_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            ports,
            spawner,
            desks,
            continuing: tokio::sync::Mutex::default(),
            handles: Mutex::default(),
            places: Arc::new(Semaphore::new(live_max)),
            accepts: RwLock::new(true),
            tasks: TaskTracker::new(),
            usurped: CancellationToken::new(),
            leaving: CancellationToken::new(),
        })
    }

    /// Is cancelled when another writer has changed the store: this daemon must leave.
    pub(crate) const fn usurped(&self) -> &CancellationToken {
        &self.usurped
    }

    /// Accepts a session and starts to drive it. The receiver shows what is stored of it.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    ///
    /// Not cancel safe: spawn it, so that a client that leaves does not leave half a launch.
    pub(crate) async fn launch(
        self: Arc<Self>,
        birth: Birth,
        environment: Environment,
    ) -> Result<watch::Receiver<Snapshot>, Refusal> {
        let accepts = self.accepts.read().await;
        if !*accepts || self.usurped.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let place = self.place().ok_or(Refusal::TooMany)?;
        let id = birth.id;
        let waits = birth.start == Start::AfterParent;
        // Before its row: whoever finds that finds this.
        if waits {
            stash::keep(id, &environment);
        }
        let (supervisor, created) = Supervisor::create(self.ports.clone(), birth).await;
        let refusal = created.as_ref().err().cloned().map(Refusal::from);
        if supervisor.is_over() {
            stash::forget(id);
            if matches!(created, Err(HandleError::Usurped { .. })) {
                self.usurped.cancel();
            }
            return Err(refusal.unwrap_or(Refusal::Stopping));
        }
        let (task, snapshot) = self.enrol(supervisor, environment, Supervision::Ok);
        self.drive(id, Some(place), task.run_new(created, waits));
        refusal.map_or(Ok(snapshot), Err)
    }

    /// Takes over every live session of the store. Commands to one of them wait until its process
    /// was looked for.
    ///
    /// # Errors
    ///
    /// [`Refusal::StoreUnavailable`] when the store does not even list them.
    pub(crate) async fn recover(self: &Arc<Self>) -> Result<usize, Refusal> {
        let live = self.ports.repository.live().await?;
        let count = live.len();
        for id in live {
            self.recover_one(id).await?;
        }
        Ok(count)
    }

    async fn recover_one(self: &Arc<Self>, id: SessionId) -> Result<(), Refusal> {
        let stored = match self.ports.repository.load(id).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(()),
            Err(error @ ReadError::Damaged { .. }) => {
                tracing::error!(session = %id, %error, "left as it is");
                return Ok(());
            }
            // Without its row nobody would drive the session: better not to start.
            Err(error @ ReadError::Unavailable { .. }) => return Err(error.into()),
        };
        match Recovery::of(stored.session.status()) {
            Recovery::Nothing => {}
            Recovery::AwaitParent => {
                let parent = stored.session.parent;
                let supervisor = Supervisor::resume(self.ports.clone(), stored.session);
                // Without what was kept of it, this daemon's own is the next best.
                let environment = stash::take(id).unwrap_or_else(queue::own_environment);
                let (task, _snapshot) = self.enrol(supervisor, environment, Supervision::Ok);
                self.drive(id, self.place(), task.run_queued());
                if let Some(parent) = parent {
                    self.escort(id, parent);
                }
            }
            Recovery::Attach => {
                let parent = stored.session.parent;
                let supervisor = Supervisor::resume(self.ports.clone(), stored.session);
                // Only who goes on with another can have waited for that with an environment kept.
                let kept = parent.and_then(|_| stash::take(id));
                let (task, _snapshot) = self.enrol_again(supervisor);
                self.drive(id, self.place(), task.run_recovered(kept));
            }
        }
        Ok(())
    }

    fn enrol(
        &self,
        supervisor: Supervisor,
        environment: Environment,
        supervision: Supervision,
    ) -> (SessionTask, watch::Receiver<Snapshot>) {
        let session = supervisor.session().clone();
        let id = session.id;
        let (mailbox, commands) = mpsc::channel(MAILBOX_COMMANDS_MAX);
        let (remarks, noted) = mpsc::channel(REMARKS_MAX);
        let (shown, snapshot) = watch::channel(Snapshot::new(session, supervision));
        let clock = Arc::clone(&self.ports.clock);
        let spawner = Arc::clone(&self.spawner);
        let leaving = self.leaving.clone();
        let doors = Doors { mailbox: commands, remarks: noted, snapshot: shown, leaving };
        let desk = self.desks.as_ref().and_then(|desks| desks.of(supervisor.session()));
        let task = SessionTask::new(supervisor, spawner, clock, environment, doors, desk);
        self.handles().insert(id, Handle { mailbox, remarks, snapshot: snapshot.clone() });
        (task, snapshot)
    }

    /// Enrols a session whose process has to be found again.
    fn enrol_again(&self, supervisor: Supervisor) -> (SessionTask, watch::Receiver<Snapshot>) {
        self.enrol(supervisor, Environment::default(), Supervision::Reconciling)
    }

    /// Waits until every session of an earlier daemon has been looked for, or it is not worth to wait
    /// any longer.
    pub(crate) async fn reconciled(&self) {
        let shown: Vec<_> = self.handles().values().map(|handle| handle.snapshot.clone()).collect();
        let all = shown.into_iter().map(|mut shown| async move {
            let found = shown.wait_for(|shown| {
                let status = shown.session.status();
                status.is_terminal() || shown.supervision() != Supervision::Reconciling
            });
            // One whose task has gone was looked for.
            let _gone = found.await.map(drop);
        });
        let patience = Duration::from_millis(RECONCILED_MS);
        let _late = tokio::time::timeout(patience, futures_util::future::join_all(all)).await;
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Runs a task to its end. `place` is kept for as long as that takes.
    fn drive(
        self: &Arc<Self>,
        id: SessionId,
        place: Option<OwnedSemaphorePermit>,
        task: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let registry = Arc::clone(self);
        self.tasks.spawn(async move {
            // Once another writer is found, no task of this daemon writes any more. Breaking one off
            // in the middle is what a crash would do, and the next daemon recovers from that.
            let usurped = registry.usurped.clone();
            let task = async move {
                tokio::select! {
                    outcome = task => outcome,
                    () = usurped.cancelled() => Outcome::Over,
                }
            };
            let mut outcome = AssertUnwindSafe(task).catch_unwind().await;
            for _ in 0..PANICS_MAX {
                if outcome.is_ok() {
                    break;
                }
                tracing::error!(session = %id, "its task panicked; taking the session up again");
                outcome = AssertUnwindSafe(registry.take_up_again(id)).catch_unwind().await;
            }
            registry.handles().remove(&id);
            drop(place);
            if matches!(outcome, Ok(Outcome::Usurped)) {
                registry.usurped.cancel();
            }
        });
    }

    async fn take_up_again(self: &Arc<Self>, id: SessionId) -> Outcome {
        match self.ports.repository.load(id).await {
            Ok(Some(stored)) if !stored.session.status().is_terminal() => {
                let supervisor = Supervisor::resume(self.ports.clone(), stored.session);
                let (task, _snapshot) = self.enrol_again(supervisor);
                task.run_recovered(stash::take(id)).await
            }
            Ok(_) => Outcome::Over,
            Err(error) => {
                tracing::error!(session = %id, %error, "left as it is");
                Outcome::Over
            }
        }
    }

    /// Asks a session to stop, and returns when the intent is durable.
    ///
    /// Cancel safe: once the command is in the mailbox it counts.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub(crate) async fn stop(
        &self,
        id: SessionId,
        kind: StopKind,
        by: Actor,
    ) -> Result<Answer, Refusal> {
        self.command(id, Happening::Stop { kind, by }).await
    }

    /// Asks something of a session, and returns when that is durable.
    ///
    /// Cancel safe: once the command is in the mailbox it counts.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub(crate) async fn command(
        &self,
        id: SessionId,
        happening: Happening,
    ) -> Result<Answer, Refusal> {
        let session = match self.find(id).await? {
            Found::Driven(handle) => {
                let (reply, answer) = oneshot::channel();
                if handle.mailbox.send(Command { happening, reply }).await.is_ok()
                    && let Ok(answer) = answer.await
                {
                    return Ok(answer?);
                }
                // The task has just ended, and the row tells how.
                self.load(id).await?
            }
            Found::Stored(session) => *session,
        };
        match session.verdict() {
            Some(verdict) => Ok(Answer::AlreadyEnded(verdict)),
            None => Err(self.why_not_driven(id).await),
        }
    }

    /// Returns what is shown of a live session from now on, or `None` when it has ended.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub(crate) async fn follow(
        &self,
        id: SessionId,
    ) -> Result<Option<watch::Receiver<Snapshot>>, Refusal> {
        Ok(match self.find(id).await? {
            Found::Driven(handle) => Some(handle.snapshot),
            Found::Stored(_) => None,
        })
    }

    /// Returns what is shown of a live session, or `None` when no task has it.
    pub(crate) fn snapshot(&self, id: SessionId) -> Option<watch::Receiver<Snapshot>> {
        self.handles().get(&id).map(|handle| handle.snapshot.clone())
    }

    /// Waits for the end of a session: it listens first, and looks then, so that no end is missed.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]; [`Refusal::Stopping`] when the daemon leaves before the session ends.
    ///
    /// Cancel safe.
    pub(crate) async fn wait(&self, id: SessionId) -> Result<Session, Refusal> {
        let session = match self.find(id).await? {
            Found::Driven(handle) => {
                if let Some(session) = end_of(handle.snapshot).await {
                    return Ok(session);
                }
                self.load(id).await?
            }
            Found::Stored(session) => *session,
        };
        if session.status().is_terminal() {
            return Ok(session);
        }
        Err(self.why_not_driven(id).await)
    }

    /// Says why a session is live and no task has it.
    async fn why_not_driven(&self, id: SessionId) -> Refusal {
        if *self.accepts.read().await { Refusal::NotDriven(id) } else { Refusal::Stopping }
    }

    /// Waits until no task has a session any more that has ended: until then its task may still
    /// write what is about to be removed.
    ///
    /// # Errors
    ///
    /// [`Refusal::Live`] when it has not ended; otherwise see [`Refusal`].
    ///
    /// Cancel safe.
    pub(crate) async fn let_go(&self, id: SessionId) -> Result<(), Refusal> {
        let session = match self.find(id).await? {
            Found::Stored(session) => *session,
            Found::Driven(handle) => {
                // The row and not what is shown: events tell of an end a moment before that.
                let session = self.load(id).await?;
                if session.status().is_terminal() {
                    handle.mailbox.closed().await;
                }
                session
            }
        };
        let status = session.status();
        if status.is_terminal() { Ok(()) } else { Err(Refusal::Live { session: id, status }) }
    }

    async fn find(&self, id: SessionId) -> Result<Found, Refusal> {
        let handle = || self.handles().get(&id).cloned();
        if let Some(handle) = handle() {
            return Ok(Found::Driven(handle));
        }
        let session = self.load(id).await?;
        if session.status().is_terminal() {
            return Ok(Found::Stored(Box::new(session)));
        }
        // A launch stores its row before it has a task, and somebody may be quick enough to ask in
        // between. This waits until the launches under way have come through.
        drop(self.accepts.write().await);
        if let Some(handle) = handle() {
            return Ok(Found::Driven(handle));
        }
        Ok(Found::Stored(Box::new(self.load(id).await?)))
    }

    /// Returns a session as it stands: with what is known of a live one beyond its row.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub(crate) async fn look(&self, id: SessionId) -> Result<Session, Refusal> {
        match self.find(id).await? {
            Found::Driven(handle) => Ok(handle.snapshot.borrow().session.clone()),
            Found::Stored(session) => Ok(*session),
        }
    }

    async fn load(&self, id: SessionId) -> Result<Session, Refusal> {
        let stored = self.ports.repository.load(id).await?;
        stored.map(|stored| stored.session).ok_or(Refusal::Unknown(id))
    }

    /// Refuses launches from now on, when those under way have come through.
    pub(crate) async fn close(&self) {
        *self.accepts.write().await = false;
        self.tasks.close();
    }

    /// Asks all live sessions to stop, at the same time.
    pub(crate) async fn stop_all(&self, kind: StopKind, by: Actor) {
        let ids: Vec<SessionId> = self.handles().keys().copied().collect();
        let stops = ids.into_iter().map(|id| async move {
            if let Err(error) = self.stop(id, kind, by).await {
                tracing::warn!(session = %id, %error, "could not be asked to stop");
            }
        });
        futures_util::future::join_all(stops).await;
    }

    /// Returns the longest time that any live session's ladder may take, in milliseconds.
    pub(crate) fn longest_ladder_ms(&self) -> u64 {
        let handles = self.handles();
        let ladders = handles.values().map(|handle| {
            let graces = handle.snapshot.borrow().session.spec.policy.graces;
            graces.total_ms()
        });
        ladders.max().unwrap_or(0)
    }

    /// Asks every session's task to put down what it is at, and leave. The processes go on.
    pub(crate) fn leave_sessions(&self) {
        self.leaving.cancel();
    }

    /// Waits until no session has a task any more. Only after [`close`](Self::close).
    pub(crate) async fn drained(&self) {
        self.tasks.wait().await;
    }

    fn handles(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Handle>> {
        // A panic while it was held cannot have left the map half changed.
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a session, or returns `None` when its task is gone without one.
async fn end_of(mut snapshot: watch::Receiver<Snapshot>) -> Option<Session> {
    let ended = snapshot.wait_for(|shown| shown.session.verdict().is_some()).await;
    ended.ok().map(|shown| shown.session.clone())
}

mod counts;

#[cfg(test)]
mod tests;
