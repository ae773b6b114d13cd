//! What agents ask their users, and a model of features that are to come: drafts, and the continuation
//! of a session.
//!
//! It holds what the real ones must keep. A draft is started once, whoever asks how often. A
//! session that lives is continued by one other: its row comes first, then the parent is asked to
//! end, and its end starts the child. A session that has ended is continued at once.

use std::sync::Arc;

use candor_core::agent::Decision;
use candor_core::event::Cause;
use candor_core::happening::Happening;
use candor_core::ports::{Environment, ProcessSpawner as _};
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::{Actor, StopKind};
use candor_core::supervisor::{Birth, Start};
use candor_core::time::Timestamp;

use super::daemon::{Daemon, USER, spec};
use super::effects::Effect;
use super::task::{Asked, SessionTask};
use super::{Refusal, World};
use crate::ghost::{Record, Reply, Request, Standing, Ticket, Writer};
use crate::mutant::Mutant;
use crate::timeline::choice::{LaunchOptions, Word};
use crate::timeline::names::{ApprovalName, ClientName, ProcessName, SessionName};

impl World {
    pub(super) fn continue_session(&mut self, session: SessionName, parent: SessionName) -> Effect {
        self.require_next_session(session)?;
        self.require_up()?;
        if self.stage.lock().status(parent.id()).is_none() {
            return Refusal::because(format!("there is no {parent} in the store"));
        }
        let ticket = self.next_ticket();
        if let Some(daemon) = &mut self.daemon {
            daemon.continue_session(parent.id(), ticket);
        }
        Ok(())
    }

    pub(super) fn draft(&mut self, session: SessionName) -> Effect {
        self.require_next_session(session)?;
        self.require_up()?;
        let id = self.daemon.as_ref().map(|daemon| daemon.ports.ids.session_id());
        self.drafts.extend(id);
        Ok(())
    }

    pub(super) fn start_draft(&mut self, session: SessionName) -> Effect {
        self.require_up()?;
        if !self.drafts.contains(&session.id()) {
            return Refusal::because(format!("{session} is no draft"));
        }
        let ticket = self.next_ticket();
        if let Some(daemon) = &mut self.daemon {
            daemon.start_draft(session.id(), ticket);
        }
        Ok(())
    }

    pub(super) fn require_next_session(&self, session: SessionName) -> Effect {
        let next = self.next_session();
        if session == next {
            return Ok(());
        }
        Refusal::because(format!("the next session is {next}"))
    }

    /// Asks the parents of continuations to end, once the continuation is in the store. Returns
    /// whether there was one.
    pub(super) fn supersede(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else { return false };
        let superseded = std::mem::take(&mut daemon.superseded);
        let is_stored = |child: SessionId| self.stage.lock().store.row(child).is_some();
        let (due, waiting): (Vec<_>, Vec<_>) =
            superseded.into_iter().partition(|(_, child)| is_stored(*child));
        daemon.superseded = waiting;
        for (parent, child) in &due {
            let by = Actor::Session(*child);
            self.stop(SessionName::of(*parent), StopKind::Superseded, by);
        }
        !due.is_empty()
    }

    pub(super) fn ask_approval(&mut self, process: ProcessName, name: ApprovalName) -> Effect {
        self.require_heard(process)?;
        let session = self.owner(process)?;
        let must_ask = {
            let mut state = self.stage.lock();
            if state.names_requests(process) == Some(false) {
                return Refusal::because(format!("what {process} asks has no names"));
            }
            let next = state.next_approval();
            if name != next {
                return Refusal::because(format!("the next approval is {next}"));
            }
            state.note_names(process, true);
            let is_linked = state.take_link(process);
            let must_ask = state.ask_approval(session, is_linked);
            if state.mutants.has(Mutant::M51) && state.status(session) == Some(Status::Completing) {
                let writer = Writer::Daemon(state.life);
                let cause = Cause::RequestOpened;
                state.force(session, Status::WaitingInput, cause, writer);
            }
            must_ask
        };
        if must_ask {
            let happening = self.request_opened(Some(name));
            self.post(process, happening);
        }
        Ok(())
    }

    pub(super) fn approve(&mut self, name: ApprovalName) -> Effect {
        self.require_up()?;
        let Some(session) = self.stage.lock().session_of(name) else {
            return Refusal::because(format!("nobody has asked for {name}"));
        };
        let ticket = self.next_ticket();
        let request = Request::Approve(name);
        self.stage.lock().log.push(Record::Asked { ticket, session, request });
        if self.stage.lock().mutants.has(Mutant::M54) {
            self.clients.presume_running(&self.stage, session);
        }
        if self.set_running_as_mutant(session, ticket) {
            return Ok(());
        }
        let is_open = self.stage.lock().standing_of(name) == Some(Standing::Open);
        if is_open && self.answer_and_run_as_mutant(name, session) {
            return Ok(());
        }
        let row = self.stage.lock().store.row(session).map(|row| row.session.clone());
        let requests = row.iter().flat_map(|row| &row.requests);
        let number = requests
            .filter(|request| request.asked.agent_id == name.to_string())
            .map(|request| request.number)
            .next();
        // What no row has yet is shown to nobody who could answer it.
        let Some(number) = number else {
            self.stage.lock().log.push(Record::Replied { ticket, reply: Reply::TooLate });
            return Ok(());
        };
        let decision = Box::new(Decision { approved: true, message: None, by: USER });
        let answered = Happening::Answered { number, decision };
        self.command(session, answered, Asked { ticket, request });
        Ok(())
    }

    /// Hands a command to the task of its session, or answers it with how that ended.
    fn command(&mut self, session: SessionId, happening: Happening, asked: Asked) {
        let tasks = self.daemon.as_mut().map(|daemon| &mut daemon.tasks);
        if let Some(task) = tasks.and_then(|tasks| tasks.get_mut(&session)) {
            task.command(happening, asked);
            return;
        }
        let mut state = self.stage.lock();
        let verdict = state.store.row(session).and_then(|row| row.session.verdict());
        let reply = verdict.map_or(Reply::NoSession, Reply::AlreadyEnded);
        state.log.push(Record::Replied { ticket: asked.ticket, reply });
    }

    /// Returns what an agent asks for, as it was read: each request is a line of its own.
    pub(super) fn request_opened(&mut self, name: Option<ApprovalName>) -> Happening {
        let offset = self.lines_read;
        self.lines_read += 1;
        let agent_id = name.map_or_else(|| format!("line {offset}"), |name| name.to_string());
        let digest = format!("{offset:064x}");
        Happening::RequestOpened(Box::new(candor_core::agent::Asked {
            agent_id,
            tool: "Bash".to_owned(),
            summary: "true".to_owned(),
            command: Some("true".to_owned()),
            paths: Vec::new(),
            digest,
            offset,
            length: 1,
        }))
    }

    /// M42: whatever is answered, the session runs.
    fn set_running_as_mutant(&self, session: SessionId, ticket: Ticket) -> bool {
        let mut state = self.stage.lock();
        if !state.mutants.has(Mutant::M42) {
            return false;
        }
        let writer = Writer::Daemon(state.life);
        state.force(session, Status::Running, Cause::RequestClosed, writer);
        state.log.push(Record::Replied { ticket, reply: Reply::Accepted });
        true
    }

    /// M49: the answer is taken, and the session runs, whoever else waits for one.
    fn answer_and_run_as_mutant(&self, name: ApprovalName, session: SessionId) -> bool {
        let mut state = self.stage.lock();
        if !state.mutants.has(Mutant::M49) {
            return false;
        }
        state.stand(name, Standing::Answered);
        let writer = Writer::Daemon(state.life);
        state.force(session, Status::Running, Cause::RequestClosed, writer);
        true
    }

    pub(super) fn bypass(&mut self, session: SessionName, ms: u64) -> Effect {
        self.require_up()?;
        let id = session.id();
        if self.stage.lock().status(id).is_none() {
            return Refusal::because(format!("there is no {session} in the store"));
        }
        let ticket = self.next_ticket();
        let request = Request::Bypass;
        self.stage.lock().log.push(Record::Asked { ticket, session: id, request });
        if self.bypass_as_mutant(id) {
            return Ok(());
        }
        let now = self.stage.lock().now().wall;
        let until_ms = now.as_millisecond().saturating_add_unsigned(ms);
        let until = Timestamp::from_millisecond(until_ms).ok();
        let bypass = Happening::Bypass { until, by: USER };
        self.command(id, bypass, Asked { ticket, request });
        Ok(())
    }

    /// M42: lets what was ever asked pass, and the session run.
    fn bypass_as_mutant(&mut self, id: SessionId) -> bool {
        let asked = {
            let state = self.stage.lock();
            if !state.mutants.has(Mutant::M42) {
                return false;
            }
            let mut asked = state.approvals_asked();
            asked.retain(|name| state.session_of(*name) == Some(id));
            asked
        };
        asked.into_iter().try_for_each(|name| self.approve(name)).is_ok()
    }

    pub(super) fn say(&mut self, process: ProcessName, word: Word) -> Effect {
        self.require_heard(process)?;
        let mut state = self.stage.lock();
        if !state.is_alive(process) {
            return Refusal::because(format!("{process} is not alive"));
        }
        if matches!(word, Word::Unread { .. }) && !state.may_report(process) {
            return Refusal::because(format!("{process} has nothing to report now"));
        }
        state.say(process, word);
        Ok(())
    }

    fn owner(&self, process: ProcessName) -> Result<SessionId, Refusal> {
        let owner = self.stage.lock().processes.get(&process).map(|state| state.session);
        owner.ok_or_else(|| Refusal(format!("there is no {process}")))
    }

    /// Reads the final report of a process that was not read yet.
    pub(super) fn read_report(&mut self, process: ProcessName) {
        let unread = self.stage.lock().read_report(process);
        if let Some(success) = unread {
            self.report(process, success);
        }
    }

    pub(super) fn second_daemon(&self) -> Effect {
        self.require_up()?;
        let mut state = self.stage.lock();
        let is_refused = !state.mutants.has(Mutant::M35);
        state.log.push(Record::SecondDaemon { is_refused });
        if !is_refused {
            for id in state.store.live() {
                state.fail(id, Writer::Intruder);
            }
        }
        Ok(())
    }

    pub(super) fn stall(&mut self, client: ClientName, stops: bool) -> Effect {
        if !self.clients.is_connected(client) || self.clients.is_stalled(client) == stops {
            return Refusal::because(format!("{client} cannot do that now"));
        }
        self.clients.stall(&self.stage, client, stops);
        Ok(())
    }

    pub(super) fn fetch(&mut self, client: ClientName) -> Effect {
        self.require_up()?;
        let next = self.clients.next_name();
        if client > next {
            return Refusal::because(format!("the next client is {next}"));
        }
        if self.clients.awaits_list(client) {
            return Refusal::because(format!("{client} waits for a list already"));
        }
        self.clients.fetch(&self.stage, client);
        Ok(())
    }

    pub(super) fn show(&mut self, client: ClientName) -> Effect {
        if !self.clients.awaits_list(client) {
            return Refusal::because(format!("{client} waits for no list"));
        }
        self.clients.show(&self.stage, client);
        Ok(())
    }
}

impl Daemon {
    fn continue_session(&mut self, parent: SessionId, ticket: Ticket) {
        let id = self.ports.ids.session_id();
        let request = Request::Continue { parent };
        self.log(Record::Asked { ticket, session: id, request });
        let is_live = self.tasks.contains_key(&parent);
        if self.is_continued(parent) {
            self.log(Record::Replied { ticket, reply: Reply::AlreadyContinued });
            return;
        }
        if is_live && self.has(Mutant::M60) {
            self.stop_before_continuing(parent, ticket);
            return;
        }
        let start = if is_live { Start::AfterParent } else { Start::AtOnce };
        let spec = Arc::new(spec(&LaunchOptions::default()));
        let birth = Birth { id, parent: Some(parent), spec, by: USER, start };
        self.stage.lock().continuations.insert(id);
        self.bear(birth, Asked { ticket, request });
        if is_live && self.tasks.contains_key(&id) {
            self.superseded.push((parent, id));
        }
    }

    /// Takes up what an earlier daemon has accepted: who waits for a parent that does not know of it
    /// asks that parent to end.
    pub(super) fn supersede_again(&mut self) {
        let state = self.stage.lock();
        let waits = |id: &SessionId| {
            let row = &state.store.row(*id)?.session;
            let parent = row.parent.filter(|_| row.status() == Status::Queued)?;
            let is_asked = state.store.row(parent)?.session.intent.is_some();
            (!is_asked && state.is_live(parent)).then_some((parent, *id))
        };
        self.superseded = state.continuations.iter().filter_map(waits).collect();
    }

    /// Says whether somebody continues a session and has not ended.
    pub(super) fn is_continued(&self, parent: SessionId) -> bool {
        let is_child = |id: &SessionId| {
            let asked = self.children.contains(&(parent, *id));
            let row = self.stage.lock().store.row(*id).and_then(|row| row.session.parent);
            asked || row == Some(parent)
        };
        !self.has(Mutant::M27) && self.tasks.keys().any(is_child)
    }

    fn start_draft(&mut self, id: SessionId, ticket: Ticket) {
        let request = Request::Start;
        self.log(Record::Asked { ticket, session: id, request });
        let is_known = self.tasks.contains_key(&id) || self.stage.lock().store.row(id).is_some();
        if is_known {
            if self.has(Mutant::M27)
                && let Some(task) = self.tasks.get_mut(&id)
            {
                task.launch_again();
            }
            self.log(Record::Replied { ticket, reply: Reply::AlreadyStarted });
            return;
        }
        let spec = Arc::new(spec(&LaunchOptions::default()));
        let birth = Birth { id, parent: None, spec, by: USER, start: Start::AtOnce };
        self.bear(birth, Asked { ticket, request });
    }
}

impl SessionTask {
    /// M27: calls the launch once more, and does not care for the answer.
    fn launch_again(&mut self) {
        let spawner = Arc::clone(&self.spawner);
        let spec = Arc::new(spec(&LaunchOptions::default()));
        let id = self.id;
        self.again =
            Some(Box::pin(async move { spawner.launch(id, &spec, &Environment::default()).await }));
    }
}
