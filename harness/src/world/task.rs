//! One session's task: what the daemon's task does, without a runtime.
//!
//! It turns every source of events into one order of happenings, and decides nothing. While a
//! change waits for the store, only commands are taken, and refused. After a restart no command is
//! taken before the first attach has answered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::mem;
use std::sync::Arc;

use candor_core::happening::Happening;
use candor_core::input::Deadline;
use candor_core::ports::{Attach, Environment, Fact, Launch, Process, ProcessSpawner};
use candor_core::session::{Revision, Session, SessionId};
use candor_core::step::Answer;
use candor_core::stop::{Actor, StopKind};
use candor_core::supervisor::{HandleError, Orders, Supervisor, Task};
use candor_core::time::Monotonic;

use super::daemon::ports;
use crate::executor::{Running, poll_once};
use crate::fakes::{FakeSpawner, Stage};
use crate::ghost::{Record, Reply, Request, Ticket};
use crate::mutant::Mutant;
use crate::timeline::choice::DueKind;

/// Stands for the request that is the oldest of the open ones when it is taken: an agent counts none.
pub(super) const OLDEST: u32 = 0;

/// What the daemon's task of one session holds.
pub(crate) struct SessionTask {
    pub(super) id: SessionId,
    pub(super) stage: Stage,
    pub(super) spawner: Arc<FakeSpawner>,
    /// Away while it is at work.
    pub(super) supervisor: Option<Supervisor>,
    work: Option<Work>,
    pub(super) mailbox: VecDeque<Mail>,
    /// A launch or an attach that runs beside.
    beside: Option<Running<Happening>>,
    facts: Option<Running<Fact>>,
    deadlines: BTreeMap<Deadline, Monotonic>,
    is_settled_in: bool,
    is_retry_due: bool,
    /// M01: a signal that goes out before its reason is stored, and the stop that is handled after.
    pub(super) early: Option<(Running<()>, Mail)>,
    /// M02: what is handled beside what is handled.
    second: Option<Running<Handled>>,
    /// Requests whose answer its process has been sent by this daemon.
    pub(super) answered: BTreeSet<u32>,
    /// M27: a launch that is called once more.
    pub(super) again: Option<Running<Launch>>,
    /// M47: a slow client holds it up.
    pub(super) is_held_up: bool,
    /// The daemon leaves, and the store did not take that intent yet.
    owes_shutdown: bool,
}

type Handled = (Supervisor, Result<Orders, HandleError>);

/// A happening that is being handled.
struct Work {
    future: Running<Handled>,
    for_whom: Option<Asked>,
}

/// What the mailbox holds.
pub(super) struct Mail {
    pub(super) happening: Happening,
    pub(super) for_whom: Option<Asked>,
    /// M01: its signal is out.
    pub(super) is_signalled: bool,
}

impl Mail {
    pub(super) const fn new(happening: Happening, for_whom: Option<Asked>) -> Self {
        Self { happening, for_whom, is_signalled: false }
    }
}

/// Who waits for an answer.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) ticket: Ticket,
    pub(crate) request: Request,
}

/// What came of one turn.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Turn {
    /// There was nothing to do.
    Idle,
    /// Something was done; there may be more.
    Busy,
    /// Somebody else writes to the store: the daemon must leave.
    Usurped,
}

/// The parts of a task that its caller may look at.
pub(crate) struct TaskView<'a> {
    /// The session in memory, or `None` while it is at work.
    pub(crate) session: Option<&'a Session>,
    pub(crate) is_blocked: bool,
    pub(crate) has_process: bool,
    /// Whether nothing is being handled, and nothing waits to be.
    pub(crate) is_idle: bool,
    /// Whether a launch or an attach runs beside.
    pub(crate) is_under_way: bool,
    pub(crate) deadlines: &'a BTreeMap<Deadline, Monotonic>,
}

impl SessionTask {
    /// Starts a session: `creation` is the future of its birth.
    pub(crate) fn create(
        stage: Stage,
        id: SessionId,
        creation: Running<Handled>,
        for_whom: Asked,
    ) -> Self {
        let work = Work { future: creation, for_whom: Some(for_whom) };
        Self { work: Some(work), ..Self::new(stage, id) }
    }

    /// Takes over a session that an earlier daemon left behind; `attaches` where there may be a
    /// process.
    pub(crate) fn resume(stage: Stage, supervisor: Supervisor, attaches: bool) -> Self {
        let mut task = Self::new(stage, supervisor.session().id);
        task.supervisor = Some(supervisor);
        if attaches {
            task.is_settled_in = false;
            task.attach();
        }
        task
    }

    fn new(stage: Stage, id: SessionId) -> Self {
        Self {
            id,
            spawner: Arc::new(stage.spawner()),
            stage,
            supervisor: None,
            work: None,
            mailbox: VecDeque::new(),
            beside: None,
            facts: None,
            deadlines: BTreeMap::new(),
            early: None,
            second: None,
            answered: BTreeSet::new(),
            again: None,
            is_held_up: false,
            is_settled_in: true,
            is_retry_due: false,
            owes_shutdown: false,
        }
    }

    /// Says whether this world makes a mistake.
    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.stage.lock().mutants.has(mutant)
    }

    pub(crate) fn post(&mut self, happening: Happening) {
        self.mailbox.push_back(Mail::new(happening, None));
    }

    pub(crate) fn ask(&mut self, kind: StopKind, by: Actor, for_whom: Asked) {
        let happening = Happening::Stop { kind, by };
        self.mailbox.push_back(Mail::new(happening, Some(for_whom)));
    }

    /// Takes what somebody asks for beside an end.
    pub(crate) fn command(&mut self, happening: Happening, for_whom: Asked) {
        self.mailbox.push_back(Mail::new(happening, Some(for_whom)));
    }

    /// Returns when something of this kind is due at the earliest.
    pub(crate) fn due_at(&self, kind: DueKind) -> Option<Monotonic> {
        match kind {
            DueKind::Retry if self.has(Mutant::M53) => None,
            DueKind::Retry => self.waits_for_retry().then_some(Monotonic::default()),
            DueKind::Timeout | DueKind::Linger | DueKind::Idle | DueKind::Rung => {
                self.deadline(kind).map(|(_, at)| at)
            }
        }
    }

    /// Lets something be due. Returns what the daemon must ask for once more.
    pub(crate) fn make_due(&mut self, kind: DueKind) -> Option<StopKind> {
        if let Some((deadline, _)) = self.deadline(kind) {
            self.deadlines.remove(&deadline);
            let happening = self.due_as_mutant(deadline).unwrap_or(Happening::Due(deadline));
            self.post(happening);
        } else if self.view().is_blocked {
            self.is_retry_due = true;
        } else if mem::take(&mut self.owes_shutdown) {
            return Some(StopKind::Shutdown);
        }
        None
    }

    fn deadline(&self, kind: DueKind) -> Option<(Deadline, Monotonic)> {
        let mut deadlines = self.deadlines.iter().map(|(deadline, at)| (*deadline, *at));
        deadlines.find(|(deadline, _)| due_kind(*deadline) == kind)
    }

    fn waits_for_retry(&self) -> bool {
        let view = self.view();
        !self.is_retry_due && (view.is_blocked || (self.owes_shutdown && view.is_idle))
    }

    /// Says whether there is nothing left to drive.
    pub(crate) fn is_over(&self) -> bool {
        self.mailbox.is_empty() && self.supervisor.as_ref().is_some_and(Supervisor::is_over)
    }

    pub(crate) fn view(&self) -> TaskView<'_> {
        let supervisor = self.supervisor.as_ref();
        let is_blocked = supervisor.is_some_and(Supervisor::is_blocked);
        TaskView {
            session: supervisor.map(Supervisor::session),
            is_blocked,
            has_process: supervisor.is_some_and(|supervisor| supervisor.process().is_some()),
            is_idle: self.work.is_none() && self.mailbox.is_empty(),
            is_under_way: self.beside.is_some(),
            deadlines: &self.deadlines,
        }
    }

    /// Does one thing, if there is one to do.
    pub(crate) fn turn(&mut self) -> Turn {
        if let Some(work) = &mut self.work {
            if let Some((supervisor, result)) = poll_once(&mut work.future) {
                let for_whom = self.work.take().and_then(|work| work.for_whom);
                self.supervisor = Some(supervisor);
                return self.finish(result, for_whom);
            }
        } else if self.begin_next() {
            return Turn::Busy;
        }
        if self.turn_second() {
            return Turn::Busy;
        }
        if self.again.as_mut().is_some_and(|again| poll_once(again).is_some()) {
            self.again = None;
            return Turn::Busy;
        }
        if let Some(mail) = self.take_early() {
            self.mailbox.push_front(mail);
            return Turn::Busy;
        }
        if let Some(happening) = self.beside.as_mut().and_then(poll_once) {
            self.beside = None;
            let is_refusal = matches!(happening, Happening::Launched(Launch::Refused { .. }));
            if !(is_refusal && self.has(Mutant::M46)) {
                self.post(happening);
            }
            return Turn::Busy;
        }
        if let Some(fact) = self.facts.as_mut().and_then(poll_once) {
            // It was the last one.
            self.facts = if self.has(Mutant::M15) { None } else { Some(Box::pin(pending())) };
            self.listen();
            self.post(Happening::Fact(fact));
            return Turn::Busy;
        }
        Turn::Idle
    }

    /// Begins the next thing that may be taken now.
    fn begin_next(&mut self) -> bool {
        if self.is_held_up {
            return false;
        }
        let Some(supervisor) = self.supervisor.take() else {
            return false;
        };
        let is_blocked = supervisor.is_blocked();
        if is_blocked && mem::take(&mut self.is_retry_due) {
            self.begin_retry(supervisor);
            return true;
        }
        let mail = self.next_mail(is_blocked).and_then(|at| self.mailbox.remove(at));
        let Some(mail) = mail.or_else(|| self.passing(&supervisor)) else {
            self.supervisor = Some(supervisor);
            return false;
        };
        if supervisor.is_over() && supervisor.session().revision() == Revision::NONE {
            self.supervisor = Some(supervisor);
            self.reply(mail.for_whom, Reply::NoSession);
            return true;
        }
        self.is_settled_in |= matches!(mail.happening, Happening::Attached(_));
        let Some(mail) = self.signal_early(&supervisor, mail) else {
            self.supervisor = Some(supervisor);
            return true;
        };
        self.begin(supervisor, mail);
        true
    }

    /// Returns the place of the mail that may be taken now.
    fn next_mail(&self, is_blocked: bool) -> Option<usize> {
        self.mailbox.iter().position(|mail| {
            let is_command = mail.for_whom.is_some();
            if is_blocked { is_command } else { self.is_settled_in || !is_command }
        })
    }

    /// Says whether there is something that it could do now.
    pub(super) fn could_go_on(&self) -> bool {
        let view = self.view();
        view.session.is_some() && self.next_mail(view.is_blocked).is_some()
    }

    fn begin(&mut self, mut supervisor: Supervisor, mail: Mail) {
        let Mail { happening, for_whom, is_signalled: _ } = mail;
        let happening = numbered(happening, supervisor.session());
        let future = Box::pin(async move {
            let result = supervisor.handle(happening).await;
            (supervisor, result)
        });
        self.work = Some(Work { future, for_whom });
    }

    fn begin_retry(&mut self, mut supervisor: Supervisor) {
        let future = Box::pin(async move {
            let result = supervisor.retry().await;
            (supervisor, result)
        });
        self.work = Some(Work { future, for_whom: None });
    }

    fn finish(&mut self, result: Result<Orders, HandleError>, for_whom: Option<Asked>) -> Turn {
        match result {
            Ok(orders) => {
                self.reply(for_whom, reply_to(orders.answer));
                self.follow(orders);
            }
            Err(HandleError::StoreUnavailable { .. } | HandleError::Blocked { .. }) => {
                self.reply(for_whom, Reply::Unavailable);
            }
            Err(HandleError::RequestNotOpen { .. }) => self.reply(for_whom, Reply::TooLate),
            Err(HandleError::InDoubt { .. }) => self.reply(for_whom, Reply::Unclear),
            Err(HandleError::Illegal(error)) => {
                self.stage.lock().log.push(Record::Bug { message: error.to_string() });
            }
            Err(HandleError::Usurped { .. }) => return Turn::Usurped,
        }
        self.listen();
        self.pay();
        Turn::Busy
    }

    fn reply(&mut self, for_whom: Option<Asked>, reply: Reply) {
        let Some(Asked { ticket, request }) = for_whom else {
            return;
        };
        self.stage.lock().log.push(Record::Replied { ticket, reply });
        let was_refused = matches!(reply, Reply::Unavailable | Reply::Unclear);
        if was_refused && request == Request::Stop(StopKind::Shutdown) {
            self.owes_shutdown = true;
        }
    }

    fn follow(&mut self, orders: Orders) {
        let is_climb = matches!(orders.deadline, Some((Deadline::RungOver(_), _)));
        if let Some((deadline, at)) = self.hurried_as_mutant(orders.deadline)
            && !(is_climb && self.has(Mutant::M20))
        {
            self.deadlines.insert(deadline, at);
        }
        match orders.task {
            Task::Nothing => {}
            Task::Launch => self.launch(),
            Task::Attach => self.attach(),
            Task::Ask => self.ask_process(),
        }
        if let Some(at) = orders.idle_at {
            self.deadlines.insert(Deadline::Idle, at);
        }
    }

    fn launch(&mut self) {
        let (spawner, id) = (Arc::clone(&self.spawner), self.id);
        let Some(spec) = self.view().session.map(|session| Arc::clone(&session.spec)) else {
            return;
        };
        self.beside = Some(Box::pin(async move {
            let launch: Launch = spawner.launch(id, &spec, &Environment::default()).await;
            Happening::Launched(launch)
        }));
    }

    fn attach(&mut self) {
        let (spawner, id) = (Arc::clone(&self.spawner), self.id);
        self.beside = Some(Box::pin(async move {
            let attach: Attach = spawner.attach(id).await;
            Happening::Attached(attach)
        }));
    }

    /// M02: handles a fact or an answer beside what is being handled, from the row as it is stored
    /// now.
    fn turn_second(&mut self) -> bool {
        if let Some((supervisor, result)) = self.second.as_mut().and_then(poll_once) {
            self.second = None;
            self.listen_to(supervisor.process());
            if let Ok(orders) = result {
                self.follow(orders);
            }
            return true;
        }
        let is_free = self.work.is_some() && self.second.is_none();
        let is_fact = self.mailbox.front().is_some_and(|mail| mail.for_whom.is_none());
        if !self.has(Mutant::M02) || !is_free || !is_fact {
            return false;
        }
        let row = self.stage.lock().store.row(self.id).map(|row| row.session.clone());
        let (Some(row), Some(mail)) = (row, self.mailbox.pop_front()) else {
            return false;
        };
        let mut supervisor = Supervisor::resume(ports(&self.stage), row);
        self.second = Some(Box::pin(async move {
            let result = supervisor.handle(mail.happening).await;
            (supervisor, result)
        }));
        true
    }

    /// Listens to the process, once it is known.
    fn listen(&mut self) {
        let process = self.supervisor.as_ref().and_then(Supervisor::process).map(Arc::clone);
        self.listen_to(process.as_ref());
    }

    fn listen_to(&mut self, process: Option<&Arc<dyn Process>>) {
        if let (Some(process), None) = (process, &self.facts) {
            let process = Arc::clone(process);
            self.facts = Some(Box::pin(async move { process.next_fact().await }));
        }
    }
}

/// Names the request that is the oldest now, where one of that name is meant.
fn numbered(happening: Happening, session: &Session) -> Happening {
    match happening {
        Happening::RequestWithdrawn { number: OLDEST } => {
            let oldest = session.requests.iter().find(|request| request.is_open());
            Happening::RequestWithdrawn { number: oldest.map_or(OLDEST, |request| request.number) }
        }
        happening => happening,
    }
}

const fn due_kind(deadline: Deadline) -> DueKind {
    match deadline {
        Deadline::Timeout => DueKind::Timeout,
        Deadline::Linger => DueKind::Linger,
        Deadline::Idle => DueKind::Idle,
        Deadline::RungOver(_) => DueKind::Rung,
    }
}

const fn reply_to(answer: Answer) -> Reply {
    match answer {
        Answer::Accepted => Reply::Accepted,
        Answer::AlreadyStopping(kind) => Reply::AlreadyStopping(kind),
        Answer::AlreadyEnded(verdict) => Reply::AlreadyEnded(verdict),
    }
}
