//! Scripts that make fake processes behave as the contract of the spawner asks for.

use candor_core::bytes::ByteString;
use candor_core::machine::Policy;
use candor_core::ports::Environment;
use candor_core::session::{SessionId, Spec, StandardInput};

use super::stage::Stage;
use crate::contract::spawner::{Behaviour, Program, Programs};

/// Scripts for the processes of a stage.
#[derive(Clone)]
pub struct FakePrograms {
    stage: Stage,
}

impl FakePrograms {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl Programs for FakePrograms {
    fn program(&self, session: SessionId, behaviour: Behaviour) -> Program {
        self.stage.lock().scripts.insert(session, behaviour);
        let spec = Spec {
            title: None,
            command: ByteString::try_from("agent").into_iter().collect(),
            cwd: ByteString::try_from("/").unwrap_or_default(),
            environment_names: Vec::new(),
            umask: 0o022,
            input: StandardInput::None,
            agent: None,
            request: None,
            policy: Policy::default(),
        };
        Program { spec, environment: Environment::default() }
    }
}
