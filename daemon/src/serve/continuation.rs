//! Going on with an agent's session in a new session of ours.

use std::sync::Arc;

use candor_adapters::agents::Resume;
use candor_core::bytes::ByteString;
use candor_core::ports::Environment;
use candor_core::session::{RequestKey, Session, SessionId, Spec};
use candor_core::status::Status;
use candor_core::stop::{Actor, Graces};
use candor_core::supervisor::{Birth, Start};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::agents::{AgentRequest, Wish, accept, plan};
use super::queue::own_variables;
use super::{App, Refusal, Snapshot};
use crate::api::{schema, umask};

/// What is wanted of a session that goes on with another. What is left out is as it was there.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContinueRequest {
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// What the agent is to do next.
    pub(crate) prompt: String,
    /// Whether to go on with a copy, and leave the session itself as it is.
    #[serde(default)]
    pub(crate) fork: bool,
    /// Names and values. They are handed to the process, and never stored. Left out or null, they are
    /// the daemon's own.
    #[serde(default)]
    #[schema(value_type = Option<Vec<schema::Variable>>)]
    pub(crate) environment: Option<Vec<(ByteString, ByteString)>>,
    /// The file mode creation mask: the lowest nine bits of it are taken.
    #[serde(default = "umask")]
    #[schema(default = umask)]
    pub(crate) umask: u32,
    #[serde(default, deserialize_with = "schema::graces")]
    #[schema(value_type = Option<schema::Graces>)]
    pub(crate) graces: Option<Graces>,
    #[serde(default)]
    #[schema(value_type = Option<schema::ByteString>)]
    pub(crate) program: Option<ByteString>,
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) permission_mode: Option<String>,
    #[serde(default)]
    pub(crate) max_turns: Option<u32>,
    #[serde(default)]
    pub(crate) interactive: Option<bool>,
}

/// Continues a session, and returns what is shown of the new one.
///
/// A live one is stopped first: the row of the new one is there before, so that nothing is lost
/// whatever happens in between.
///
/// # Errors
///
/// See [`Refusal`]. Nothing was started, and nothing stopped.
///
/// Not cancel safe: spawn it.
pub(crate) async fn continue_session(
    app: Arc<App>,
    parent: SessionId,
    request: ContinueRequest,
    key: Option<RequestKey>,
    by: Actor,
) -> Result<watch::Receiver<Snapshot>, Refusal> {
    let _first = app.registry.continuing.lock().await;
    let session = app.registry.look(parent).await?;
    let forks = request.fork;
    let (id, mut spec, environment) = order(&app, &session, request)?;
    spec.request = key;
    let waits = !session.status().is_terminal() && !forks;
    if !forks && let Some(child) = continued_by(&app, &session) {
        return Err(Refusal::AlreadyContinued { session: parent, child });
    }
    let start = if waits { Start::AfterParent } else { Start::AtOnce };
    let birth = Birth { id, parent: Some(parent), spec: Arc::new(spec), by, start };
    let launched = Arc::clone(&app.registry).launch(birth, environment).await;
    // One in doubt may turn out to be stored.
    if waits && matches!(launched, Ok(_) | Err(Refusal::InDoubt(_))) {
        app.registry.escort(id, parent);
    }
    launched
}

/// Returns the session that goes on with the same session of the agent, or with this one of ours, if
/// one lives.
fn continued_by(app: &App, parent: &Session) -> Option<SessionId> {
    let agent_session = agent_session(parent)?;
    let goes_on = |other: &&Session| {
        let Some(spec) = &other.spec.agent else { return false };
        let is_child = other.parent == Some(parent.id) && !spec.forks;
        let resumes = !spec.forks && spec.resumes.as_deref() == Some(agent_session);
        is_child || resumes || spec.agent_session.as_deref() == Some(agent_session)
    };
    let live = app.registry.live();
    let mut others =
        live.iter().filter(|other| other.id != parent.id && !other.status().is_terminal());
    others.find(goes_on).map(|other| other.id)
}

/// Returns the agent's own name for its session, if it is known.
fn agent_session(session: &Session) -> Option<&str> {
    let spec = session.spec.agent.as_ref()?;
    let chosen = || spec.agent_session.as_deref();
    let resumed = || spec.resumes.as_deref().filter(|_| !spec.forks);
    session.learned.agent_session.as_deref().or_else(chosen).or_else(resumed)
}

fn order(
    app: &App,
    parent: &Session,
    request: ContinueRequest,
) -> Result<(SessionId, Spec, Environment), Refusal> {
    let refused = |reason: String| Refusal::NotContinued { session: parent.id, reason };
    let Some(before) = &parent.spec.agent else {
        return Err(refused(
            "it runs a command, and only agents can go on; `candor show` says how to run it again"
                .to_owned(),
        ));
    };
    let Some(agent_session) = agent_session(parent) else {
        return Err(refused(match parent.status() {
            Status::Queued => "it has not started: continue the one that it waits for".to_owned(),
            _ => format!(
                "{} has not named its own session, so there is nothing to go on with: run it anew",
                before.kind
            ),
        }));
    };
    if parent.status() == Status::Queued {
        return Err(refused("it has not started: wait until it has".to_owned()));
    }
    // Before an agent has said a word of its own it has kept nothing that it could go on with; but what
    // it was to go on with is still there.
    let resume = match (parent.learned.printed_at, &before.resumes) {
        (Some(_), _) => {
            Some(Resume { agent_session: agent_session.to_owned(), forks: request.fork })
        }
        (None, Some(resumed)) => {
            Some(Resume { agent_session: resumed.clone(), forks: request.fork || before.forks })
        }
        (None, None) => None,
    };
    let wanted = AgentRequest {
        kind: before.kind.clone(),
        prompt: request.prompt,
        program: request.program,
        model: request.model.or_else(|| before.model.clone()),
        permission_mode: request.permission_mode.or_else(|| before.permission_mode.clone()),
        max_turns: request.max_turns.or(before.max_turns),
        interactive: request.interactive.unwrap_or(before.is_interactive),
        idle_ms: parent.spec.policy.idle_ms,
        bypass_ms: None,
        permissions: before.permissions.clone(),
    };
    let id = app.ids.session_id();
    let (cwd, arguments) = (parent.spec.cwd.clone(), before.arguments.clone());
    let environment = request.environment.unwrap_or_else(own_variables);
    let planned =
        plan(wanted, id, &cwd, arguments, &environment, resume).map_err(Refusal::BadOrder)?;
    let wish = Wish {
        title: request.title.or_else(|| parent.spec.title.clone()),
        cwd,
        umask: request.umask,
        environment,
        policy: parent.spec.policy,
        graces: request.graces,
    };
    let (spec, environment) = accept(planned, wish);
    Ok((id, spec, environment))
}
