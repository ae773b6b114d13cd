//! What each choice does to users, processes and the daemon. Every function looks first whether the
//! choice is enabled, and changes nothing before that is sure.

use candor_core::happening::Happening;
use candor_core::session::Report;
use candor_core::stop::{Actor, StopKind};
use candor_core::verdict::Exit;

use super::daemon::{Daemon, USER};
use super::task::OLDEST;
use super::{Refusal, World};
use crate::ghost::Record;
use crate::timeline::Choice;
use crate::timeline::choice::{Ask, Boot, DueKind, InFlight, LaunchOptions};
use crate::timeline::names::{ClientName, ProcessName, SessionName};

pub(super) type Effect = Result<(), Refusal>;

impl World {
    pub(super) fn take_effect(&mut self, choice: &Choice) -> Effect {
        match choice {
            Choice::Launch { session, options } => self.launch(*session, None, options),
            Choice::Queue { session, parent } => {
                self.launch(*session, Some(*parent), &LaunchOptions::default())
            }
            Choice::Stop { session, ask } => self.ask_stop(*session, *ask),
            Choice::Shutdown => self.shutdown(),
            Choice::Fork { session, process } => self.fork(*session, *process),
            Choice::Spawn { session, outcome } => self.spawn(*session, *outcome),
            Choice::Write { call, outcome } => self.write(*call, *outcome),
            Choice::Read { call, ok } => self.read(*call, *ok),
            Choice::Signal { process, signal, effect } => self.signal(*process, *signal, *effect),
            Choice::Exit { process, exit, oom_killed } => self.exit(*process, *exit, *oom_killed),
            Choice::Reap { process, lost } => {
                self.require_heard(*process)?;
                if self.stage.lock().is_alive(*process) {
                    return Refusal::because(format!("{process} is alive"));
                }
                self.read_report(*process);
                self.stage.lock().see(*process, *lost);
                Ok(())
            }
            Choice::Report { process, success } => {
                self.require_heard(*process)?;
                self.report(*process, *success);
                Ok(())
            }
            Choice::Request { process, opened } => {
                self.require_heard(*process)?;
                if self.stage.lock().names_requests(*process) == Some(true) {
                    return Refusal::because(format!("what {process} asks has names"));
                }
                self.stage.lock().note_names(*process, false);
                let happening = if *opened {
                    self.request_opened(None)
                } else {
                    Happening::RequestWithdrawn { number: OLDEST }
                };
                self.post(*process, happening);
                Ok(())
            }
            Choice::Turn { process, began } => {
                self.require_heard(*process)?;
                let began = began.then_some(Happening::TurnBegan { turns_ended: u32::MAX });
                self.post(*process, began.unwrap_or(Happening::TurnEnded));
                Ok(())
            }
            Choice::Due { session, kind } => self.due(*session, *kind),
            Choice::Crash { in_flight } => self.crash(in_flight.as_ref()),
            Choice::Boot { boot } => self.boot(*boot),
            Choice::Attach { session, answer } => self.attach(*session, *answer),
            Choice::Connect { client } => self.connect(*client),
            Choice::Drop { client } => self.disconnect(*client),
            Choice::Stall { client, stops } => self.stall(*client, *stops),
            Choice::Fetch { client } => self.fetch(*client),
            Choice::Show { client } => self.show(*client),
            Choice::Say { process, word } => self.say(*process, *word),
            Choice::SecondDaemon => self.second_daemon(),
            Choice::Continue { session, parent } => self.continue_session(*session, *parent),
            Choice::Draft { session } => self.draft(*session),
            Choice::Start { session } => self.start_draft(*session),
            Choice::AskApproval { process, approval } => self.ask_approval(*process, *approval),
            Choice::Approve { approval } => self.approve(*approval),
            Choice::Bypass { session, ms } => self.bypass(*session, *ms),
        }
    }

    fn launch(
        &mut self,
        session: SessionName,
        parent: Option<SessionName>,
        options: &LaunchOptions,
    ) -> Effect {
        self.require_next_session(session)?;
        if let Some(parent) = parent
            && !self.stage.lock().is_live(parent.id())
        {
            return Refusal::because(format!("{parent} is not live"));
        }
        self.require_up()?;
        let ticket = self.next_ticket();
        if let Some(daemon) = &mut self.daemon {
            daemon.create(parent.map(SessionName::id), options, ticket);
        }
        Ok(())
    }

    fn ask_stop(&mut self, session: SessionName, ask: Ask) -> Effect {
        self.require_up()?;
        if self.stage.lock().status(session.id()).is_none() {
            return Refusal::because(format!("there is no {session} in the store"));
        }
        let kind = match ask {
            Ask::Interrupt => StopKind::Interrupt,
            Ask::Kill => StopKind::Kill,
            Ask::Finish => StopKind::Finish,
        };
        self.stop(session, kind, USER);
        Ok(())
    }

    /// A daemon that leaves asks its sessions again and again, so that this may be chosen again.
    fn shutdown(&mut self) -> Effect {
        match &mut self.daemon {
            None => Refusal::because("the daemon is down"),
            Some(daemon) => {
                daemon.is_leaving = true;
                self.stop_all();
                Ok(())
            }
        }
    }

    fn exit(&self, process: ProcessName, exit: Exit, oom_killed: bool) -> Effect {
        let mut state = self.stage.lock();
        if !state.is_alive(process) {
            return Refusal::because(format!("{process} is not alive"));
        }
        state.die(process, exit, oom_killed);
        Ok(())
    }

    /// Hands something to the task of the session whose process it is.
    pub(super) fn post(&mut self, process: ProcessName, happening: Happening) {
        let session = self.stage.lock().processes.get(&process).map(|state| state.session);
        let tasks = self.daemon.as_mut().map(|daemon| &mut daemon.tasks);
        if let Some(task) = tasks.zip(session).and_then(|(tasks, id)| tasks.get_mut(&id)) {
            task.post(happening);
        }
    }

    pub(super) fn report(&mut self, process: ProcessName, success: bool) {
        self.stage.lock().log.push(Record::Reported { process, success });
        let report = Report { success, ..Report::default() };
        self.post(process, Happening::Reported(report));
    }

    fn due(&mut self, session: SessionName, kind: DueKind) -> Effect {
        self.require_up()?;
        let now = self.stage.lock().now().monotonic;
        let tasks = self.daemon.as_mut().map(|daemon| &mut daemon.tasks);
        let task = tasks.and_then(|tasks| tasks.get_mut(&session.id()));
        let at = task.as_ref().and_then(|task| task.due_at(kind));
        let (Some(task), Some(at)) = (task, at) else {
            return Refusal::because(format!("{session} does not wait for a {kind}"));
        };
        if at > now {
            let wait_ms = at.ms_since(now);
            return Refusal::because(format!("it is due {wait_ms} ms later"));
        }
        if let Some(again) = task.make_due(kind) {
            self.stop(session, again, Actor::Daemon);
        }
        Ok(())
    }

    fn crash(&mut self, in_flight: Option<&InFlight>) -> Effect {
        self.require_up()?;
        let commits = self.stage.lock().commits();
        let kept = match in_flight {
            None if commits.is_empty() => Vec::new(),
            None => return Refusal::because("a commit is on its way: say lose or keep"),
            Some(_) if commits.is_empty() => return Refusal::because("no commit is on its way"),
            Some(InFlight::Lose) => Vec::new(),
            Some(InFlight::Keep) => commits,
            Some(InFlight::KeepOnly(kept)) => {
                let is_part = kept.iter().all(|call| commits.contains(call));
                if !is_part || kept.len() == commits.len() || !kept.is_sorted_by(|a, b| a < b) {
                    return Refusal::because("name some of the commits that are on their way");
                }
                kept.clone()
            }
        };
        self.stage.lock().keep(&kept);
        self.end_daemon(Record::Crashed);
        Ok(())
    }

    fn boot(&mut self, boot: Boot) -> Effect {
        if self.is_up() {
            return Refusal::because("the daemon is up");
        }
        {
            let mut state = self.stage.lock();
            state.life += 1;
            if boot == Boot::Other {
                state.restart_machine();
            }
            state.log.push(Record::Booted { boot });
        }
        self.daemon = Some(Daemon::boot(self.stage.clone()));
        Ok(())
    }

    fn connect(&mut self, client: ClientName) -> Effect {
        self.require_up()?;
        let next = self.clients.next_name();
        if client > next {
            return Refusal::because(format!("the next client is {next}"));
        }
        if self.clients.is_connected(client) {
            return Refusal::because(format!("{client} is connected"));
        }
        self.clients.connect(&self.stage, client);
        Ok(())
    }

    fn disconnect(&mut self, client: ClientName) -> Effect {
        if !self.clients.is_connected(client) {
            return Refusal::because(format!("{client} is not connected"));
        }
        self.clients.disconnect(client);
        Ok(())
    }

    pub(super) fn require_heard(&self, process: ProcessName) -> Effect {
        if self.is_up() && self.stage.lock().is_heard(process) {
            return Ok(());
        }
        Refusal::because(format!("nobody listens to {process}"))
    }
}
