//! From what somebody wants of an agent to what is run.

use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use candor_adapters::agents::{self, Agent, Order, Plan, Resume};
use candor_core::agent::{AgentSpec, Permissions};
use candor_core::bytes::ByteString;
use candor_core::machine::Policy;
use candor_core::ports::{Environment, MESSAGE_BYTES_MAX};
use candor_core::session::{SessionId, Spec};
use candor_core::stop::Graces;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::schema;

/// What is wanted of an agent.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentRequest {
    /// The word for it, such as `claude`.
    pub(crate) kind: String,
    /// What it is to do first.
    pub(crate) prompt: String,
    /// The program to run, instead of the one in the `PATH` of the environment.
    #[schema(value_type = Option<schema::ByteString>)]
    pub(crate) program: Option<ByteString>,
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) permission_mode: Option<String>,
    #[serde(default)]
    pub(crate) max_turns: Option<u32>,
    #[serde(default)]
    pub(crate) interactive: bool,
    /// How long it waits for a message before it is finished, in milliseconds.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub(crate) idle_ms: Option<NonZeroU32>,
    /// For how long everything passes without asking, in milliseconds from the launch.
    #[serde(default)]
    pub(crate) bypass_ms: Option<u64>,
    #[serde(default, deserialize_with = "schema::permissions")]
    #[schema(value_type = schema::Permissions)]
    pub(crate) permissions: Permissions,
}

/// An agent that is ready to be launched.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) spec: AgentSpec,
}

/// Plans an agent. `arguments` are passed on to it as they are, `resume` is the session of its own
/// that it goes on with.
///
/// # Errors
///
/// A sentence that says what to change. Nothing was started.
pub(crate) fn plan(
    request: AgentRequest,
    session: SessionId,
    cwd: &ByteString,
    arguments: Vec<ByteString>,
    environment: &[(ByteString, ByteString)],
    resume: Option<Resume>,
) -> Result<Planned, String> {
    let agent = agents::by_name(&request.kind).ok_or_else(|| {
        let known: Vec<&str> = agents::all().iter().map(|agent| agent.name()).collect();
        format!("there is no agent {:?}: use one of {}", request.kind, known.join(", "))
    })?;
    agents::check_prompt(&request.prompt).map_err(|error| error.to_string())?;
    let orders_answers =
        request.permissions != Permissions::default() || request.bypass_ms.is_some();
    if orders_answers && !agent.asks() {
        return Err(format!(
            "{} asks nobody when it runs like this, so --allow, --deny, --allow-edits and --bypass \
             would mean nothing: say with --permission-mode what it may do",
            request.kind
        ));
    }
    if let Some(pattern) = request.permissions.malformed() {
        return Err(format!(
            "{pattern:?} is no pattern: write Tool, Tool(exactly this), or Tool(what begins so*)"
        ));
    }
    let order = Order {
        session,
        prompt: request.prompt.clone(),
        cwd: cwd.clone(),
        model: request.model.clone(),
        permission_mode: request.permission_mode.clone(),
        max_turns: request.max_turns,
        is_interactive: request.interactive,
        resume: resume.clone(),
        arguments: arguments.clone(),
    };
    let program = find(agent, &request, &order, environment)?;
    let plan = agent.plan(&order, &program).map_err(|error| error.to_string())?;
    let spec = AgentSpec {
        kind: request.kind,
        prompt: request.prompt,
        is_interactive: request.interactive,
        forks: resume.as_ref().is_some_and(|resume| resume.forks),
        resumes: resume.map(|resume| resume.agent_session),
        agent_session: plan.agent_session.clone(),
        model: request.model,
        permission_mode: request.permission_mode,
        max_turns: request.max_turns,
        arguments,
        permissions: request.permissions,
    };
    let owed = agent.reader(&spec, cwd).owed();
    if owed.iter().any(|owed| owed.bytes.len() > MESSAGE_BYTES_MAX) {
        return Err(
            "the prompt is too long once its odd characters are written out: put it into a file, and \
             tell the agent to read that"
                .to_owned(),
        );
    }
    Ok(Planned { plan, spec })
}

/// What is wanted of a session beside its agent.
pub(crate) struct Wish {
    pub(crate) title: Option<String>,
    pub(crate) cwd: ByteString,
    pub(crate) umask: u32,
    pub(crate) environment: Vec<(ByteString, ByteString)>,
    /// The limits are taken of it; the rest is the plan's.
    pub(crate) policy: Policy,
    /// What its user has said of the ladder.
    pub(crate) graces: Option<Graces>,
}

/// Puts together what is stored and what is only handed to the process.
pub(crate) fn accept(planned: Planned, wish: Wish) -> (Spec, Environment) {
    let Planned { plan, spec: agent } = planned;
    let Wish { title, cwd, umask, mut environment, policy, graces } = wish;
    environment.retain(|(name, _)| {
        !plan.without.contains(name) && !plan.environment.iter().any(|(set, _)| set == name)
    });
    environment.extend(plan.environment);
    let environment = Environment::new(environment);
    // How an agent is asked, and how long it may linger, its user cannot know.
    let graces = graces.map_or(plan.graces, |user| Graces {
        interrupt_ms: user.interrupt_ms,
        terminate_ms: user.terminate_ms,
        ..plan.graces
    });
    let spec = Spec {
        title,
        command: plan.command,
        cwd,
        environment_names: environment.names(),
        umask: umask & 0o777,
        input: plan.input,
        agent: Some(agent),
        request: None,
        policy: Policy { graces, always_reports: plan.always_reports, ..policy },
    };
    (spec, environment)
}

fn find(
    agent: &dyn Agent,
    request: &AgentRequest,
    order: &Order,
    environment: &[(ByteString, ByteString)],
) -> Result<PathBuf, String> {
    let path = environment.iter().find(|(name, _)| name.as_bytes() == b"PATH");
    let path = path.map(|(_, value)| OsStr::from_bytes(value.as_bytes()));
    let setting =
        request.program.as_ref().map(|path| Path::new(OsStr::from_bytes(path.as_bytes())));
    let program = agent.program_of(order).map_err(|error| error.to_string())?;
    let program = OsStr::from_bytes(program.as_bytes());
    let found = agents::find(agent, program, path.unwrap_or_default(), setting)
        .map_err(|error| error.to_string())?;
    Ok(agent.instead_of(&found))
}
