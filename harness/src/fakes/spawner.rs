//! The spawner, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use candor_core::ports::{Attach, Environment, Launch, Process, ProcessSpawner};
use candor_core::session::{SessionId, Spec, StandardInput};
use candor_core::verdict::{Exit, SpawnStage};

use super::calls::Call;
use super::process::FakeProcess;
use super::stage::{Stage, State};
use crate::contract::spawner::{Behaviour, digest};
use crate::ghost::{Record, Told};
use crate::timeline::names::ProcessName;

/// The error number for "operation not permitted", with which a launch is refused after it was told
/// that the session never ran.
const EPERM: i32 = 1;

/// The error number for "no such file or directory".
const ENOENT: i32 = 2;

/// A spawner that makes no real process.
#[derive(Clone)]
pub struct FakeSpawner {
    stage: Stage,
}

impl FakeSpawner {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl Stage {
    /// Returns a new handle to a process.
    pub(crate) fn handle(&self, process: ProcessName) -> Arc<dyn Process> {
        Arc::new(FakeProcess::new(self.clone(), process))
    }
}

impl State {
    /// Returns the step at which a launch fails, by the session's script.
    fn script_refuses(&self, session: SessionId) -> Option<SpawnStage> {
        match self.scripts.get(&session)? {
            Behaviour::IsMissing => Some(SpawnStage::Exec),
            Behaviour::HasNoFolder => Some(SpawnStage::Folder),
            Behaviour::Exits(_) | Behaviour::DiesOf(_) | Behaviour::Hangs | Behaviour::Digests => {
                None
            }
        }
    }

    /// Lets a process do what the session's script says; without one it hangs.
    fn play(&mut self, session: SessionId, process: ProcessName) {
        let exit = match self.scripts.get(&session) {
            Some(Behaviour::Exits(code)) => Exit::Code(*code),
            Some(Behaviour::DiesOf(number)) => Exit::Signal { number: *number, core_dumped: false },
            // Its input is at its end already.
            Some(Behaviour::Digests) if !self.holding.contains(&session) => Exit::Code(digest(&[])),
            Some(
                Behaviour::Digests
                | Behaviour::Hangs
                | Behaviour::IsMissing
                | Behaviour::HasNoFolder,
            )
            | None => return,
        };
        self.die(process, exit, false);
    }

    /// Answers a launch, and logs the answer.
    pub(crate) fn launched(
        &mut self,
        session: SessionId,
        launch: Launch,
        process: Option<ProcessName>,
    ) -> Launch {
        let told = Told::of_launch(&launch, process);
        self.log.push(Record::Told { session, told });
        launch
    }

    /// Answers an attach, and logs the answer.
    pub(crate) fn attached(
        &mut self,
        session: SessionId,
        attach: Attach,
        process: Option<ProcessName>,
    ) -> Attach {
        if matches!(attach, Attach::NeverRan) {
            self.barred.insert(session);
        }
        let told = Told::of_attach(&attach, process);
        self.log.push(Record::Told { session, told });
        attach
    }
}

#[async_trait]
impl ProcessSpawner for FakeSpawner {
    async fn launch(&self, session: SessionId, spec: &Spec, _environment: &Environment) -> Launch {
        let answer = {
            let mut state = self.stage.lock();
            state.log.push(Record::LaunchCalled { session });
            if spec.input == StandardInput::Held {
                state.holding.insert(session);
            }
            state.call(
                |state| {
                    if state.barred.contains(&session) {
                        let refused = Launch::Refused { stage: SpawnStage::Prepare, errno: EPERM };
                        return state.launched(session, refused, None);
                    }
                    if let Some(stage) = state.script_refuses(session) {
                        let refused = Launch::Refused { stage, errno: ENOENT };
                        return state.launched(session, refused, None);
                    }
                    let made = state.process_of(session);
                    let process = made.unwrap_or_else(|| state.fork(session));
                    state.play(session, process);
                    let up = Launch::Up(self.stage.handle(process));
                    state.launched(session, up, Some(process))
                },
                |answer| Call::Launch { session, made: None, answer },
            )
        };
        answer.await
    }

    async fn attach(&self, session: SessionId) -> Attach {
        let answer = {
            let mut state = self.stage.lock();
            state.log.push(Record::AttachCalled { session });
            state.call(
                |state| {
                    let process = state.process_of(session);
                    let attach = match (process, process.and_then(|name| state.ending(name))) {
                        (None, _) => Attach::NeverRan,
                        (Some(name), None) => Attach::Up(self.stage.handle(name)),
                        (Some(_), Some(ending)) => Attach::Ended(ending),
                    };
                    state.attached(session, attach, process)
                },
                |answer| Call::Attach { session, answer },
            )
        };
        answer.await
    }
}
