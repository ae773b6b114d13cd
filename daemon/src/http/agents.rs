//! What agents have beside other sessions: continuing, requests, messages, finishing.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::{Extension, Json};
use candor_adapters::agents::check_prompt;
use candor_core::agent::{Decision, RequestState};
use candor_core::happening::Happening;
use candor_core::ports::Message;
use candor_core::session::{MessageId, SessionId, StandardInput};
use candor_core::status::Status;
use candor_core::step::Answer;
use candor_core::stop::StopKind;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Peer;
use super::asked::{JsonBody, Named, Parameters};
use super::idempotency::{self, Key, KeyHeader};
use super::inside::Stopped;
use super::openapi::OfSession;
use super::problem::{ApiError, BODY, CHANGE, Problems, READ, SESSION, Set, Word, set};
use super::sessions::{NEW, STOP, check_environment, load, resolve, stop, view};
use crate::api::{
    AnswerRequest, ApprovalView, BypassRequest, InputAnswer, InputReply, RequestView, SessionView,
    StopReply,
};
use crate::serve::{self, App, ContinueRequest, Refusal, absent};

/// What a continuation can be refused with besides.
const CONTINUE: Set =
    NEW | set(&[Word::NotDriven, Word::NotContinued, Word::AlreadyContinued, Word::EndDecided]);

/// What a message can be refused with besides.
pub(super) const INPUT: Set = set(&[
    Word::NotDriven,
    Word::NoInput,
    Word::Ended,
    Word::EndDecided,
    Word::InputClosed,
    Word::InputFull,
]);

/// Go on with an agent's session in a new one
///
/// One that lives is stopped first, unless the new one is a fork.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/continue",
    operation_id = "continue_session",
    tag = "sessions",
    params(OfSession, KeyHeader),
    request_body = ContinueRequest,
    responses(
        (
            status = 200, body = SessionView,
            description = "The session that a request with the same key has made before.",
            headers(("idempotent-replayed" = String, description = "`true`"))
        ),
        (status = 201, description = "The new session, which is stored.", body = SessionView),
        Problems<{ SESSION | CHANGE | BODY | CONTINUE }>
    ),
)]
pub(super) async fn go_on(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Named(id): Named<String>,
    key: Key,
    JsonBody(request): JsonBody<ContinueRequest>,
) -> Result<Response, ApiError> {
    check_environment(request.environment.as_deref().unwrap_or_default())?;
    check_prompt(&request.prompt).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let id = resolve(&app, &id).await?;
    let key = key.of(&format!("/v1/sessions/{id}/continue"), &request)?;
    let goer = Arc::clone(&app);
    let go_on = async move |key| match serve::continue_session(
        Arc::clone(&goer),
        id,
        request,
        key,
        peer.actor(),
    )
    .await
    {
        Ok(shown) => Ok(shown),
        Err(refusal) => Err(absent(&goer, refusal).await.into()),
    };
    idempotency::once(app, key, go_on).await
}

/// Tell an interactive agent that no further message comes
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/finish",
    operation_id = "finish_session",
    tag = "stopping",
    params(OfSession),
    responses(
        (status = 200, description = "How the request was taken, and the session after it.", body = StopReply),
        Problems<{ SESSION | CHANGE | STOP | set(&[Word::NotToBeFinished]) }>
    ),
)]
pub(super) async fn finish(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Stopped(id): Stopped,
) -> Result<Json<StopReply>, ApiError> {
    let spec = load(&app, id).await?.spec;
    // One that runs on a single prompt has its input open until it is through with it: a background
    // task may keep it for as long as that takes.
    let can_be_asked = spec.policy.graces.ask_ms.is_some();
    if spec.agent.is_none() || spec.input == StandardInput::None || !can_be_asked {
        return Err(Refusal::NotToBeFinished(id).into());
    }
    stop(&app, peer, id, StopKind::Finish).await
}

/// What `POST /v1/sessions/{id}/messages` can be asked for. The body is the text.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageParameters {
    /// Names the message. Sent again with the same name, it is given once.
    #[param(value_type = String, format = Uuid)]
    message: MessageId,
}

/// Send an agent a message
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/messages",
    operation_id = "send_message",
    tag = "input",
    params(OfSession, MessageParameters),
    request_body(
        content((String = "text/plain"), (String = "application/octet-stream")),
        description = "The text, in UTF-8.",
    ),
    responses(
        (status = 200, description = "The message is kept, and reaches the session once.", body = InputReply),
        Problems<{ SESSION | CHANGE | BODY | INPUT }>
    ),
)]
pub(super) async fn send(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    Parameters(parameters): Parameters<MessageParameters>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<InputReply>, ApiError> {
    let MessageParameters { message } = parameters;
    let body = body?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| ApiError::bad_request("the message is not UTF-8: agents read text"))?;
    let id = resolve(&app, &id).await?;
    let session = match app.registry.look(id).await {
        Ok(session) => session,
        Err(refusal) => return Err(absent(&app, refusal).await.into()),
    };
    if session.status() == Status::Completing {
        return Err(Refusal::EndDecided(id).into());
    }
    let bytes = serve::message(&session, text).map_err(ApiError::bad_request)?;
    let message = Message { id: message, bytes, is_last: false };
    match serve::send(&app, id, &message).await {
        Ok(()) => {
            // It works on it from now on, whether or not it says so at once. Where this is not stored,
            // it is as soon as it has said something.
            let began = Happening::TurnBegan { turns_ended: session.turns_ended };
            let _seen_later = app.registry.command(id, began).await;
            Ok(Json(InputReply { answer: InputAnswer::Accepted }))
        }
        Err(refusal) => Err(absent(&app, refusal).await.into()),
    }
}

/// List what all agents ask, oldest session first
#[utoipa::path(
    get,
    path = "/v1/approvals",
    operation_id = "list_approvals",
    tag = "approvals",
    responses(
        (status = 200, description = "What is open.", body = Vec<ApprovalView>),
        Problems<READ>
    ),
)]
pub(super) async fn approvals(State(app): State<Arc<App>>) -> Json<Vec<ApprovalView>> {
    let mut open = Vec::new();
    for session in app.registry.live() {
        for request in session.requests.iter().filter(|request| request.is_open()) {
            open.push(ApprovalView {
                session: session.id.to_string(),
                title: session.spec.title.clone(),
                agent: session.spec.agent.as_ref().map_or_else(String::new, |it| it.kind.clone()),
                request: RequestView::new(&session, request),
            });
        }
    }
    Json(open)
}

/// Answer what an agent asks
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/requests/{number}",
    operation_id = "answer_request",
    tag = "approvals",
    params(
        OfSession,
        ("number" = u32, Path, description = "The number of the request in its session."),
    ),
    request_body = AnswerRequest,
    responses(
        (status = 200, description = "The session after it.", body = SessionView),
        Problems<{ SESSION | CHANGE | BODY | STOP | set(&[Word::RequestNotOpen]) }>
    ),
)]
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Named((id, number)): Named<(String, u32)>,
    JsonBody(request): JsonBody<AnswerRequest>,
) -> Result<Json<SessionView>, ApiError> {
    let AnswerRequest { approved, digest, message } = request;
    let id = resolve(&app, &id).await?;
    let session = load(&app, id).await?;
    let Some(request) = session.request(number) else {
        return Err(ApiError::not_found(format!(
            "session {id} has no request {number}: `candor approvals` lists what is open"
        )));
    };
    if request.asked.digest != digest {
        return Err(ApiError::bad_request(
            "the digest is not that of the request: look at what is asked, and answer that",
        ));
    }
    let decision = Box::new(Decision { approved, message, by: peer.actor() });
    match app.registry.command(id, Happening::Answered { number, decision }).await {
        Ok(Answer::Accepted) => {
            let session = load(&app, id).await?;
            // Somebody stopped it in the same moment: then it was withdrawn.
            match session.request(number).map(|request| request.state) {
                Some(RequestState::Approved | RequestState::Denied) => {
                    Ok(Json(view(&app, &session)))
                }
                state => Err(Refusal::RequestNotOpen { state }.into()),
            }
        }
        Ok(Answer::AlreadyStopping(_) | Answer::AlreadyEnded(_)) => {
            // It may have been answered before its session ended.
            let session = load(&app, id).await?;
            let state = session.request(number).map(|request| request.state);
            Err(Refusal::RequestNotOpen { state }.into())
        }
        Err(refusal) => Err(absent(&app, refusal).await.into()),
    }
}

/// Let an agent do everything without asking, for a time
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/bypass",
    operation_id = "set_bypass",
    tag = "approvals",
    params(OfSession),
    request_body = BypassRequest,
    responses(
        (status = 200, description = "The session after it.", body = SessionView),
        Problems<{ SESSION | CHANGE | BODY | STOP | set(&[Word::EndDecided]) }>
    ),
)]
pub(super) async fn bypass(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Named(id): Named<String>,
    JsonBody(request): JsonBody<BypassRequest>,
) -> Result<Json<SessionView>, ApiError> {
    let BypassRequest { for_ms } = request;
    let id = resolve(&app, &id).await?;
    if !serve::asks(&load(&app, id).await?) {
        return Err(ApiError::bad_request(
            "it runs no agent that asks for anything, so there is nothing to let pass",
        ));
    }
    set_bypass(&app, peer, id, for_ms).await?;
    Ok(Json(view(&app, &load(&app, id).await?)))
}

/// Lets everything pass for so many milliseconds, or no more.
pub(super) async fn set_bypass(
    app: &App,
    peer: Peer,
    id: SessionId,
    for_ms: Option<u64>,
) -> Result<(), ApiError> {
    let now = app.clock.now().wall;
    let until = match for_ms {
        None => None,
        Some(for_ms) => {
            let length = std::time::Duration::from_millis(for_ms);
            let until = now.checked_add(length);
            Some(until.map_err(|_| ApiError::bad_request("that is too long"))?)
        }
    };
    let by = peer.actor();
    match app.registry.command(id, Happening::Bypass { until, by }).await {
        Ok(Answer::Accepted) => Ok(()),
        Ok(Answer::AlreadyStopping(_) | Answer::AlreadyEnded(_)) => {
            Err(ApiError::from(Refusal::EndDecided(id)))
        }
        Err(refusal) => Err(absent(app, refusal).await.into()),
    }
}
