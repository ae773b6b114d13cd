//! The shapes of what agents have beside other sessions.

use candor_core::agent::{Request, RequestState, TroubleKind, Usage};
use candor_core::bytes::ByteString;
use candor_core::session::Session;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{schema, time_text};

/// The agent of a session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct AgentView {
    pub(crate) kind: String,
    pub(crate) version: Option<String>,
    pub(crate) model: Option<String>,
    /// The model that was asked for, if one was.
    pub(crate) model_ordered: Option<String>,
    /// The agent's own name for its session.
    pub(crate) agent_session: Option<String>,
    /// The session of its own that it was to go on with.
    pub(crate) resumes: Option<String>,
    pub(crate) forks: bool,
    pub(crate) interactive: bool,
    pub(crate) prompt: String,
    pub(crate) permission_mode: Option<String>,
    pub(crate) max_turns: Option<u32>,
    /// Further arguments, as they were given.
    #[schema(value_type = Vec<schema::ByteString>)]
    pub(crate) arguments: Vec<ByteString>,
    /// How many turns it has ended.
    pub(crate) turns: u32,
    #[schema(value_type = schema::Usage)]
    pub(crate) usage: Usage,
    pub(crate) cost_usd: Option<f64>,
    /// How many tasks of its own keep it although its turn has ended.
    pub(crate) in_background: u32,
    /// What hinders it now.
    pub(crate) trouble: Option<TroubleView>,
    /// Whether it has ended a turn and waits for the next message.
    pub(crate) awaits_message: bool,
    /// The end of what it last said to its user.
    pub(crate) last_said: Option<String>,
    /// When it last printed anything.
    #[schema(format = DateTime)]
    pub(crate) printed_at: Option<String>,
    /// Lines of its output that nobody could make sense of.
    pub(crate) lines_unknown: u64,
}

/// What hinders an agent.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct TroubleView {
    #[schema(value_type = schema::TroubleKind)]
    pub(crate) kind: TroubleKind,
    pub(crate) message: String,
    #[schema(format = DateTime)]
    pub(crate) until: Option<String>,
}

/// Something that an agent asks its user.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct RequestView {
    /// The session's short form, a dot, and the number.
    pub(crate) id: String,
    pub(crate) number: u32,
    #[schema(value_type = schema::RequestState)]
    pub(crate) state: RequestState,
    pub(crate) tool: String,
    pub(crate) summary: String,
    pub(crate) command: Option<String>,
    pub(crate) paths: Vec<String>,
    /// The SHA-256 of all that is asked. An answer names it.
    pub(crate) digest: String,
    #[schema(format = DateTime)]
    pub(crate) opened_at: String,
    #[schema(format = DateTime)]
    pub(crate) closed_at: Option<String>,
    pub(crate) by: Option<String>,
    pub(crate) message: Option<String>,
}

/// An open request, in a list of those of all sessions.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ApprovalView {
    #[schema(format = Uuid)]
    pub(crate) session: String,
    pub(crate) title: Option<String>,
    pub(crate) agent: String,
    pub(crate) request: RequestView,
}

/// An answer to a request.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerRequest {
    pub(crate) approved: bool,
    /// The digest of what is answered, as it was shown.
    pub(crate) digest: String,
    /// What the agent is told.
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// For how long everything passes without asking, in milliseconds; null ends it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BypassRequest {
    pub(crate) for_ms: Option<u64>,
}

/// Turns millionths of a dollar into dollars.
#[expect(clippy::cast_precision_loss, reason = "nobody pays so much that it matters")]
pub(crate) fn dollars(microusd: u64) -> f64 {
    microusd as f64 / 1e6
}

impl AgentView {
    pub(super) fn new(session: &Session) -> Option<Self> {
        let spec = session.spec.agent.as_ref()?;
        let learned = &session.learned;
        Some(Self {
            kind: spec.kind.clone(),
            version: learned.version.clone(),
            model: learned.model.clone().or_else(|| spec.model.clone()),
            model_ordered: spec.model.clone(),
            agent_session: learned.agent_session.clone().or_else(|| spec.agent_session.clone()),
            resumes: spec.resumes.clone(),
            forks: spec.forks,
            interactive: spec.is_interactive,
            prompt: spec.prompt.clone(),
            permission_mode: spec.permission_mode.clone(),
            max_turns: spec.max_turns,
            arguments: spec.arguments.clone(),
            turns: learned.turns,
            usage: learned.usage,
            cost_usd: learned.cost_microusd.map(dollars),
            in_background: learned.in_background,
            trouble: learned.trouble.as_ref().filter(|_| !session.status().is_terminal()).map(
                |trouble| TroubleView {
                    kind: trouble.kind,
                    message: trouble.message.clone(),
                    until: trouble.until.map(time_text),
                },
            ),
            awaits_message: session.machine.awaits_message(),
            last_said: learned.last_said.clone(),
            printed_at: learned.printed_at.map(time_text),
            lines_unknown: learned.lines_unknown,
        })
    }
}

impl RequestView {
    pub(crate) fn new(session: &Session, request: &Request) -> Self {
        let asked = &request.asked;
        Self {
            id: format!("{}.{}", session.id.short(), request.number),
            number: request.number,
            state: request.state,
            tool: asked.tool.clone(),
            summary: asked.summary.clone(),
            command: asked.command.clone(),
            paths: asked.paths.clone(),
            digest: asked.digest.clone(),
            opened_at: time_text(request.opened_at),
            closed_at: request.closed_at.map(time_text),
            by: request.by.map(|by| by.to_string()),
            message: request.message.clone(),
        }
    }
}
