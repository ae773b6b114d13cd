//! Sessions of agents: what they print is read, what it means is handed in, what they are owed is
//! sent.

mod bypass;
mod desk;
mod launch;
mod permission;
mod temporary;
mod version;

pub(super) use desk::Desk;
pub(crate) use launch::{AgentRequest, Wish, accept, plan};
pub(super) use temporary::TemporaryFolders;
pub(super) use version::Versions;

use std::sync::Arc;

use candor_adapters::agents::{self, Agent};
use candor_adapters::process::Outputs;
use candor_core::agent::View;
use candor_core::session::Session;

use super::scribe::Scribe;

/// What all desks share.
#[derive(Clone)]
pub(crate) struct Desks {
    pub(super) outputs: Outputs,
    pub(super) folders: Arc<TemporaryFolders>,
    pub(super) versions: Versions,
    pub(super) scribe: Scribe,
}

impl Desks {
    /// Returns the desk for a session, if an agent runs in it that this version knows.
    pub(super) fn of(&self, session: &Session) -> Option<Desk> {
        let spec = session.spec.agent.as_ref()?;
        let Some(agent) = agents::by_name(&spec.kind) else {
            tracing::error!(session = %session.id, agent = spec.kind, "is unknown to this version");
            return None;
        };
        Some(Desk::new(self.clone(), session, spec, agent))
    }
}

/// Returns the bytes that give an agent's session a further message.
///
/// # Errors
///
/// A sentence that says why it takes none, or what to change.
pub(crate) fn message(session: &Session, text: &str) -> Result<Vec<u8>, String> {
    let Some(spec) = &session.spec.agent else {
        return Err(format!("session {} runs a command and no agent", session.id));
    };
    agents::check_prompt(text).map_err(|error| error.to_string())?;
    let takes = spec.is_interactive.then(|| agents::by_name(&spec.kind)).flatten();
    let view = View { learned: session.learned.clone(), ..View::default() };
    takes.and_then(|agent| agent.message(&view, text)).ok_or_else(|| {
        format!(
            "session {} takes no further message, since it was launched without `--interactive`: \
             `candor continue` goes on with it in a new session",
            session.id
        )
    })
}

/// Says whether a session's agent asks its user for anything.
pub(crate) fn asks(session: &Session) -> bool {
    let spec = session.spec.agent.as_ref();
    spec.and_then(|spec| agents::by_name(&spec.kind)).is_some_and(Agent::asks)
}
