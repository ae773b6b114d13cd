//! One life of the daemon: its tasks, and how it starts and leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use candor_core::bytes::ByteString;
use candor_core::happening::Happening;
use candor_core::machine::Policy;
use candor_core::recovery::Recovery;
use candor_core::session::{SessionId, Spec, StandardInput};
use candor_core::status::Status;
use candor_core::stop::{Actor, Graces, StopKind};
use candor_core::supervisor::{Birth, Ports, Start, Supervisor};
use candor_core::verdict::SuccessCodes;

use super::task::{Asked, SessionTask, Turn};
use crate::fakes::Stage;
use crate::ghost::{Record, Reply, Request, Ticket};
use crate::timeline::choice::LaunchOptions;

/// Who asks, in every replay.
pub(crate) const USER: Actor = Actor::User(1000);

/// One daemon, from its start to its end.
pub(crate) struct Daemon {
    pub(super) stage: Stage,
    pub(super) ports: Ports,
    pub(crate) tasks: BTreeMap<SessionId, SessionTask>,
    pub(crate) is_leaving: bool,
    pub(crate) is_usurped: bool,
    /// Parents that are to end because somebody continues them.
    pub(super) superseded: Vec<(SessionId, SessionId)>,
    /// M60: who waits for the answer to a stop, and the request that is refused unless it is taken.
    pub(super) unsure: Vec<(SessionId, Ticket)>,
    /// Who was continued in this life, and by whom.
    pub(super) children: Vec<(SessionId, SessionId)>,
}

impl Daemon {
    /// Starts, and takes over what it finds in the store.
    pub(crate) fn boot(stage: Stage) -> Self {
        let ports = ports(&stage);
        let tasks = BTreeMap::new();
        let mut daemon = Self {
            stage,
            ports,
            tasks,
            is_leaving: false,
            is_usurped: false,
            superseded: Vec::new(),
            unsure: Vec::new(),
            children: Vec::new(),
        };
        let live = daemon.stage.lock().store.live();
        for id in live {
            daemon.adopt_again(id);
            if !daemon.recovers_wrongly(id) {
                daemon.recover(id);
            }
        }
        daemon.supersede_again();
        daemon.tell_children();
        daemon
    }

    fn recover(&mut self, id: SessionId) {
        let row = self.stage.lock().store.row(id).cloned();
        let Some(row) = row else { return };
        let attaches = match Recovery::of(row.session.status()) {
            Recovery::Nothing => return,
            Recovery::AwaitParent => false,
            Recovery::Attach => true,
        };
        let supervisor = Supervisor::resume(self.ports.clone(), row.session);
        self.tasks.insert(id, SessionTask::resume(self.stage.clone(), supervisor, attaches));
    }

    /// Accepts a session, or refuses it while it leaves.
    pub(crate) fn create(
        &mut self,
        parent: Option<SessionId>,
        options: &LaunchOptions,
        ticket: Ticket,
    ) {
        let id = self.ports.ids.session_id();
        let (request, start) = match parent {
            Some(parent) => (Request::Queue { parent }, Start::AfterParent),
            None => (Request::Launch, Start::AtOnce),
        };
        let asked = Asked { ticket, request };
        self.log(Record::Asked { ticket, session: id, request });
        if parent.is_some_and(|parent| self.is_continued(parent)) {
            self.log(Record::Replied { ticket, reply: Reply::AlreadyContinued });
            return;
        }
        self.bear(Birth { id, parent, spec: Arc::new(spec(options)), by: USER, start }, asked);
    }

    /// Takes a new session on, unless it leaves.
    pub(super) fn bear(&mut self, birth: Birth, asked: Asked) {
        let (id, Asked { ticket, request }) = (birth.id, asked);
        if self.is_leaving {
            self.log(Record::Replied { ticket, reply: Reply::Leaving });
            return;
        }
        self.children.extend(birth.parent.map(|parent| (parent, id)));
        let creation = Box::pin(Supervisor::create(self.ports.clone(), birth));
        let task = SessionTask::create(self.stage.clone(), id, creation, Asked { ticket, request });
        self.tasks.insert(id, task);
    }

    /// Asks for the end of a session.
    pub(crate) fn stop(&mut self, session: SessionId, kind: StopKind, by: Actor, ticket: Ticket) {
        let request = Request::Stop(kind);
        self.log(Record::Asked { ticket, session, request });
        if self.is_busy_asking(session) {
            self.log(Record::Replied { ticket, reply: Reply::NotNow });
            return;
        }
        if let Some(task) = self.tasks.get_mut(&session) {
            task.ask(kind, by, Asked { ticket, request });
            return;
        }
        // The mailbox has closed: the row says how it ended.
        self.signal_late(session);
        let verdict = self.stage.lock().store.row(session).and_then(|row| row.session.verdict());
        let reply = verdict.map_or(Reply::NoSession, Reply::AlreadyEnded);
        self.log(Record::Replied { ticket, reply });
    }

    /// Does one thing, if there is one to do.
    pub(crate) fn turn(&mut self) -> bool {
        let mut is_busy = false;
        for task in self.tasks.values_mut() {
            match task.turn() {
                Turn::Idle => {}
                Turn::Busy => is_busy = true,
                Turn::Usurped => {
                    self.is_usurped = true;
                    return true;
                }
            }
        }
        self.drop_as_mutant();
        self.refuse_the_unsure();
        let before = self.tasks.len();
        self.tasks.retain(|_, task| !task.is_over());
        self.tell_children() || is_busy || self.tasks.len() < before
    }

    /// Tells each queued session whose parent has ended. Returns whether there was one.
    fn tell_children(&mut self) -> bool {
        let waiting = self.tasks.iter().filter_map(|(id, task)| {
            let session = task.view().session?;
            let is_queued = session.status() == Status::Queued && task.view().is_idle;
            Some((*id, session.parent?)).filter(|_| is_queued && !task.view().is_blocked)
        });
        let heard: Vec<_> =
            waiting.filter(|(_, parent)| !self.tasks.contains_key(parent)).collect();
        for (id, _) in &heard {
            if let Some(task) = self.tasks.get_mut(id) {
                task.post(Happening::ParentEnded);
            }
        }
        !heard.is_empty()
    }

    pub(super) fn log(&self, record: Record) {
        self.stage.lock().log.push(record);
    }
}

/// Returns the ports of a supervisor on this stage.
pub(super) fn ports(stage: &Stage) -> Ports {
    Ports {
        recorder: Arc::new(stage.recorder()),
        repository: Arc::new(stage.repository()),
        bus: Arc::new(stage.bus()),
        clock: Arc::new(stage.clock()),
        ids: Arc::new(stage.ids()),
    }
}

pub(super) fn spec(options: &LaunchOptions) -> Spec {
    let mut graces = Graces::DEFAULT;
    if let Some((interrupt_ms, terminate_ms)) = options.grace_ms {
        graces = Graces { interrupt_ms, terminate_ms, ..graces };
    }
    graces.ask_ms = options.ask_ms;
    graces.interrupt_again_ms = options.again_ms;
    if let Some(linger_ms) = options.linger_ms {
        graces = Graces { linger_ms, ..graces };
    }
    let codes = options.codes.as_ref();
    let success_codes = codes.map_or(SuccessCodes::ZERO, |codes| {
        codes.iter().fold(SuccessCodes::none(), |set, code| set.with(*code))
    });
    let policy = Policy {
        graces,
        timeout_ms: options.timeout_ms,
        idle_ms: options.idle_ms,
        always_reports: options.always_reports,
        success_codes,
    };
    Spec {
        title: None,
        command: ByteString::try_from("agent").into_iter().collect(),
        cwd: ByteString::try_from("/").unwrap_or_default(),
        environment_names: Vec::new(),
        umask: 0o022,
        input: StandardInput::Held,
        agent: None,
        request: None,
        policy,
    }
}
