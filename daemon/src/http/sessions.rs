//! Sessions: launch, list, look, stop, wait.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use candor_adapters::sqlite::{Removal, Resolution};
use candor_core::bytes::ByteString;
use candor_core::machine::Policy;
use candor_core::ports::Environment;
use candor_core::session::{Session, SessionId, Spec};
use candor_core::status::Status;
use candor_core::step::Answer;
use candor_core::stop::StopKind;
use candor_core::supervisor::{Birth, Start};
use candor_core::verdict::SuccessCodes;
use serde::Deserialize;
use tokio::sync::watch;
use utoipa::IntoParams;

use super::asked::{JsonBody, Named, Parameters};
use super::idempotency::{self, Key, KeyHeader};
use super::inside::Stopped;
use super::openapi::OfSession;
use super::problem::{ApiError, BODY, CHANGE, Problems, READ, SESSION, Set, Word, set};
use super::{Peer, agents};
use crate::api::{LaunchRequest, RemovalView, SessionView, StopAnswer, StopReply};
use crate::serve::{
    self, App, Refusal, Snapshot, Wish, absent, own_variables, plan, remove, would_remove,
};

/// How long a launch waits to hear whether the process came up, in milliseconds, before it answers
/// with a session that is still `starting`.
const LAUNCH_ANSWER_MS: u64 = 2_000;

/// Ids that an ambiguous prefix is answered with, at most.
const CANDIDATES_MAX: usize = 5;

/// What a request to stop can be refused with besides.
pub(super) const STOP: Set = set(&[Word::NotDriven]);

/// What a request for a new session can be refused with besides.
pub(super) const NEW: Set =
    set(&[Word::TooManySessions, Word::Removed, Word::IdempotencyKeyReused]);

/// Launch a session
///
/// The answer comes when it is known whether its process came up, or after 2 s. A process that could not
/// be started is a session as well, of status `failed`, that says why.
#[utoipa::path(
    post,
    path = "/v1/sessions",
    operation_id = "launch_session",
    tag = "sessions",
    params(KeyHeader),
    request_body = LaunchRequest,
    responses(
        (
            status = 200, body = SessionView,
            description = "The session that a request with the same key has made before.",
            headers(("idempotent-replayed" = String, description = "`true`"))
        ),
        (status = 201, description = "The session, which is stored.", body = SessionView),
        Problems<{ READ | CHANGE | BODY | NEW }>
    ),
)]
pub(super) async fn launch(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    key: Key,
    JsonBody(request): JsonBody<LaunchRequest>,
) -> Result<Response, ApiError> {
    let key = key.of("/v1/sessions", &request)?;
    let id = app.ids.session_id();
    let bypass_ms = request.agent.as_ref().and_then(|agent| agent.bypass_ms);
    let (mut spec, environment) = accept(id, request)?;
    let launcher = Arc::clone(&app);
    let launch = async move |key| {
        spec.request = key;
        let (spec, by, start) = (Arc::new(spec), peer.actor(), Start::AtOnce);
        let birth = Birth { id, parent: None, spec, by, start };
        let shown = Arc::clone(&launcher.registry).launch(birth, environment).await?;
        if let Some(bypass_ms) = bypass_ms {
            // One that has ended already asks for nothing any more.
            let _ended = agents::set_bypass(&launcher, peer, id, Some(bypass_ms)).await;
        }
        Ok(shown)
    };
    idempotency::once(app, key, launch).await
}

/// Returns a new session when it is known whether its process came up, or its time is over.
pub(super) async fn settled(mut shown: watch::Receiver<Snapshot>) -> SessionView {
    let known = shown.wait_for(|shown| shown.session.status() != Status::Starting);
    // Too late or gone, what is shown then is the answer.
    let patience = Duration::from_millis(LAUNCH_ANSWER_MS);
    let _known = tokio::time::timeout(patience, known).await.map(drop);
    let shown = shown.borrow().clone();
    SessionView::new(&shown.session, Some(shown.supervision()))
}

/// Checks a request, and takes the environment's values out of what is stored.
fn accept(id: SessionId, request: LaunchRequest) -> Result<(Spec, Environment), ApiError> {
    if !request.cwd.as_bytes().starts_with(b"/") {
        return Err(ApiError::bad_request("the folder to run in must be an absolute path"));
    }
    check_environment(request.environment.as_deref().unwrap_or_default())?;
    let variables = request.environment.unwrap_or_else(own_variables);
    let success_codes =
        request.success_codes.iter().fold(SuccessCodes::none(), |set, code| set.with(*code));
    let timeout_ms = match request.timeout_ms {
        None => None,
        Some(timeout_ms) => Some(NonZeroU64::new(timeout_ms).ok_or_else(|| {
            ApiError::bad_request("a time limit of 0 leaves no time: leave it out for none")
        })?),
    };
    let graces = request.graces.unwrap_or_default();
    let policy = Policy { graces, timeout_ms, idle_ms: None, always_reports: false, success_codes };
    if let Some(agent) = request.agent {
        let policy = Policy { idle_ms: agent.idle_ms, ..policy };
        let arguments = request.command;
        let planned = plan(agent, id, &request.cwd, arguments, &variables, None)
            .map_err(ApiError::bad_request)?;
        let wish = Wish {
            title: request.title,
            cwd: request.cwd,
            umask: request.umask,
            environment: variables,
            policy,
            graces: request.graces,
        };
        return Ok(serve::accept(planned, wish));
    }
    if request.command.is_empty() {
        return Err(ApiError::bad_request("the command is empty: name a program to run"));
    }
    if request.command[0].as_bytes().is_empty() {
        return Err(ApiError::bad_request("the program's name is empty: name a program to run"));
    }
    let environment = Environment::new(variables);
    let spec = Spec {
        title: request.title,
        command: request.command,
        cwd: request.cwd,
        environment_names: environment.names(),
        umask: request.umask & 0o777,
        input: request.input,
        agent: None,
        request: None,
        policy,
    };
    Ok((spec, environment))
}

/// Checks the names of an environment's variables.
pub(super) fn check_environment(environment: &[(ByteString, ByteString)]) -> Result<(), ApiError> {
    for (name, _value) in environment {
        if name.as_bytes().is_empty() || name.as_bytes().contains(&b'=') {
            let name = name.to_text();
            return Err(ApiError::bad_request(format!(
                "{name:?} cannot be the name of an environment variable: use a name without `=`"
            )));
        }
    }
    Ok(())
}

/// Look at a session
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}",
    operation_id = "get_session",
    tag = "sessions",
    params(OfSession),
    responses(
        (status = 200, description = "The session.", body = SessionView),
        Problems<SESSION>
    ),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Json<SessionView>, ApiError> {
    let id = resolve(&app, &id).await?;
    let session = load(&app, id).await?;
    Ok(Json(view(&app, &session)))
}

/// What `DELETE /v1/sessions/{id}` can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteParameters {
    /// Only tell what would be removed.
    #[serde(default)]
    dry_run: bool,
}

/// Remove a session that has ended, with all that is kept of it
#[utoipa::path(
    delete,
    path = "/v1/sessions/{id}",
    operation_id = "remove_session",
    tag = "sessions",
    params(OfSession, DeleteParameters),
    responses(
        (status = 200, description = "What was removed, or would be.", body = RemovalView),
        Problems<{ SESSION | CHANGE | set(&[Word::Live, Word::Awaited, Word::FilesLeft]) }>
    ),
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Named(id): Named<String>,
    Parameters(parameters): Parameters<DeleteParameters>,
) -> Result<Json<RemovalView>, ApiError> {
    let DeleteParameters { dry_run } = parameters;
    let id = resolve(&app, &id).await?;
    let bytes = if dry_run {
        would_remove(&app, id).await?
    } else {
        // On a task of its own: a client that leaves now must not leave half a removal.
        let removing = tokio::spawn(remove(Arc::clone(&app), id, peer.actor())).await;
        removing.map_err(|_| ApiError::internal("the removal broke off: a bug"))??
    };
    Ok(Json(RemovalView { session: id.to_string(), bytes, dry_run }))
}

/// Ask a session to end
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/interrupt",
    operation_id = "interrupt_session",
    tag = "stopping",
    params(OfSession),
    responses(
        (status = 200, description = "How the request was taken, and the session after it.", body = StopReply),
        Problems<{ SESSION | CHANGE | STOP }>
    ),
)]
pub(super) async fn interrupt(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Stopped(id): Stopped,
) -> Result<Json<StopReply>, ApiError> {
    stop(&app, peer, id, StopKind::Interrupt).await
}

/// Kill a session
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/kill",
    operation_id = "kill_session",
    tag = "stopping",
    params(OfSession),
    responses(
        (status = 200, description = "How the request was taken, and the session after it.", body = StopReply),
        Problems<{ SESSION | CHANGE | STOP }>
    ),
)]
pub(super) async fn kill(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Stopped(id): Stopped,
) -> Result<Json<StopReply>, ApiError> {
    stop(&app, peer, id, StopKind::Kill).await
}

pub(super) async fn stop(
    app: &App,
    peer: Peer,
    id: SessionId,
    kind: StopKind,
) -> Result<Json<StopReply>, ApiError> {
    let answer = match app.registry.stop(id, kind, peer.actor()).await {
        Ok(answer) => answer,
        Err(refusal) => return Err(absent(app, refusal).await.into()),
    };
    let (answer, already) = match answer {
        Answer::Accepted => (StopAnswer::Accepted, None),
        Answer::AlreadyStopping(kind) => (StopAnswer::AlreadyStopping, Some(kind.to_string())),
        Answer::AlreadyEnded(_) => (StopAnswer::AlreadyEnded, None),
    };
    let session = load(app, id).await.map_err(|error| match error.is_about_removal() {
        true => error,
        false => Refusal::InDoubt("the stop was taken; the row cannot be read".to_owned()).into(),
    })?;
    Ok(Json(StopReply { answer, already, session: view(app, &session) }))
}

/// Wait until a session has ended
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/wait",
    operation_id = "wait_for_session",
    tag = "sessions",
    params(OfSession),
    responses(
        (status = 200, description = "The session, which has ended.", body = SessionView),
        Problems<{ SESSION | CHANGE }>
    ),
)]
pub(super) async fn wait(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Json<SessionView>, ApiError> {
    let id = resolve(&app, &id).await?;
    match app.registry.wait(id).await {
        Ok(session) => Ok(Json(view(&app, &session))),
        Err(refusal) => Err(absent(&app, refusal).await.into()),
    }
}

/// Read the flight recording: everything that the session's protocol was handed
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/timeline",
    operation_id = "get_timeline",
    tag = "output",
    params(OfSession),
    responses(
        (
            status = 200, description = "Lines of JSON.",
            body = String, content_type = "application/x-ndjson",
        ),
        Problems<SESSION>
    ),
)]
pub(super) async fn timeline(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Response, ApiError> {
    let id = resolve(&app, &id).await?;
    let recorder = Arc::clone(&app.recorder);
    let read = tokio::task::spawn_blocking(move || recorder.read(id)).await;
    let recording = read.map_err(std::io::Error::other).flatten().map_err(|error| {
        ApiError::not_found(format!("there is no recording of session {id}: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], recording).into_response())
}

/// Finds the one session that `text` means: an id, or a unique beginning of one or of its short
/// form.
pub(super) async fn resolve(app: &App, text: &str) -> Result<SessionId, ApiError> {
    match app.store.resolve(text).await? {
        Resolution::One(id) => Ok(id),
        Resolution::Removed(Removal { session, by, at, .. }) => {
            Err(Refusal::Removed { session, by, at }.into())
        }
        Resolution::None => Err(ApiError::not_found(format!(
            "no session has an id that begins with {text:?}: `candor ls` lists them"
        ))),
        Resolution::Ambiguous(candidates) => {
            let shown: Vec<String> =
                candidates.iter().take(CANDIDATES_MAX).map(ToString::to_string).collect();
            let more = candidates.len().saturating_sub(CANDIDATES_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Err(ApiError::ambiguous(format!(
                "{text:?} could be {}{more}: give more of the id",
                shown.join(" or ")
            )))
        }
    }
}

pub(super) async fn load(app: &App, id: SessionId) -> Result<Session, ApiError> {
    use candor_core::ports::Repository as _;
    match app.store.load(id).await? {
        Some(stored) => Ok(stored.session),
        None => Err(absent(app, Refusal::Unknown(id)).await.into()),
    }
}

pub(super) fn view(app: &App, session: &Session) -> SessionView {
    app.view(session)
}
