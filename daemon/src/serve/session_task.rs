//! One task a session: it turns every source of events into one order of happenings.
//!
//! It decides nothing. What follows from a happening is the supervisor's; when a happening may be
//! handed in is the only rule kept here.

mod agent;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::failpoint;
use candor_adapters::process::SESSION_MARK;
use candor_core::bytes::ByteString;
use candor_core::happening::Happening;
use candor_core::input::Deadline;
use candor_core::ports::{Attach, Clock, Environment, Fact, Launch, Process, ProcessSpawner};
use candor_core::session::{Session, SessionId};
use candor_core::status::Status;
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

/// Notes of what was refused to one session, at most: it can ask as often as it likes, and there are
/// others to be taken.
pub(crate) const REMARKS_MAX: usize = 8;

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
    /// Notes of what was refused to the session.
    pub(crate) remarks: mpsc::Receiver<String>,
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
    /// Whether its environment is kept for the daemon after this one, until its process is up.
    is_stashed: bool,
    /// Whether it is launched if it turns out that it never was: its launch is nobody's who could see
    /// that it failed, and ask again.
    relaunches: bool,
    /// Whether an agent was given a message that it has not begun on, as far as it was seen.
    has_message: bool,
    /// Notes that were taken of what was refused.
    remarks: usize,
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
    /// Something was refused to the session.
    Remark(String),
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
            is_stashed: false,
            relaunches: false,
            has_message: false,
            remarks: 0,
            ending: None,
        }
    }

    /// Drives a session that was just accepted, from the orders of its creation.
    pub(crate) async fn run_new(
        mut self,
        created: Result<Orders, HandleError>,
        is_stashed: bool,
    ) -> Outcome {
        self.is_stashed = is_stashed;
        match self.take(created) {
            Some(outcome) => outcome,
            None => self.run().await,
        }
    }

    /// Drives a session that an earlier daemon left behind.
    /// `kept` is the environment of one that had waited in the queue, and may not have been launched.
    pub(crate) async fn run_recovered(mut self, kept: Option<Environment>) -> Outcome {
        if let Some(environment) = kept {
            self.environment = environment;
            self.is_stashed = true;
            self.relaunches = self.supervisor.session().status() == Status::Starting;
        }
        if let Some(desk) = &mut self.desk {
            desk.begin_anew();
        }
        self.is_settled_in = false;
        self.start_attach(0);
        self.run().await
    }

    /// Drives a session that an earlier daemon queued, and that still waits.
    pub(crate) async fn run_queued(mut self) -> Outcome {
        self.is_stashed = true;
        self.run().await
    }

    async fn run(mut self) -> Outcome {
        while !self.supervisor.is_over() {
            let result = match self.next().await {
                Wake::Command(Command { happening, reply }) => {
                    self.note_message(&happening);
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
                        desk.read_on().await;
                    }
                    Ok(Orders::NOTHING)
                }
                Wake::Remark(text) => {
                    if self.remarks < REMARKS_MAX {
                        self.remarks += 1;
                        self.supervisor.remark(text);
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
            self.forget_stash();
        }
        if let Some(desk) = &mut self.desk {
            desk.put_away(self.supervisor.session()).await;
        }
        Outcome::Over
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
                    let session = self.supervisor.session();
                    desk.ask(session.machine.intent(), self.has_message);
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
        let environment = marked(environment, id);
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
            Some(text) = self.doors.remarks.recv() => Wake::Remark(text),
            () = sleep_until(self.retry_at), if is_blocked => Wake::RetryDue,
            happening = finished(&mut self.work), if !is_blocked => {
                self.is_settled_in = true;
                Wake::Happening(happening)
            }
            fact = next_fact(self.supervisor.process()), if !is_blocked => {
                Wake::Happening(Happening::Fact(fact))
            }
            () = agent::stirred(&mut self.desk), if !is_blocked && is_up => Wake::Stirred,
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
            | Happening::TurnBegan { .. }
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
                || snapshot.session.learned != session.learned
                || snapshot.session.notes.len() != session.notes.len();
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

async fn next_fact(process: Option<&Arc<dyn Process>>) -> Fact {
    match process {
        Some(process) => process.next_fact().await,
        None => pending().await,
    }
}

/// Lets the session's processes know which session they are of.
fn marked(environment: Environment, id: SessionId) -> Environment {
    let is_other =
        |(name, _): &&(ByteString, ByteString)| name.as_bytes() != SESSION_MARK.as_bytes();
    let others = environment.variables().iter().filter(is_other).cloned();
    let mark =
        [SESSION_MARK.to_owned(), id.to_string()].map(String::into_bytes).map(ByteString::new);
    // Neither has a byte in it that it must not have.
    let mark = match mark {
        [Ok(name), Ok(value)] => Some((name, value)),
        _ => None,
    };
    Environment::new(others.chain(mark).collect())
}

async fn reached(clock: &dyn Clock, deadline: Option<(Deadline, Monotonic)>) -> Deadline {
    let Some((kind, at)) = deadline else {
        return pending().await;
    };
    let wait_ms = at.ms_since(clock.now().monotonic);
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    kind
}
