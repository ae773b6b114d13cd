//! The standard input of a session.
//!
//! That of an agent is not for clients: it is where its protocol is spoken, and so where it is told what
//! it may do. Bytes there would answer a request past its digest, and nobody would know who did.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use candor_core::ports::Message;
use candor_core::session::MessageId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::agents::INPUT;
use super::asked::{Named, Parameters};
use super::openapi::OfSession;
use super::problem::{ApiError, BODY, CHANGE, Problems, SESSION};
use super::sessions::{load, resolve};
use crate::api::{InputAnswer, InputReply};
use crate::serve::{App, Refusal, absent, send as send_message};

/// What `POST /v1/sessions/{id}/input` can be asked for. The body is what is written.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InputParameters {
    /// Names the message. Sent again with the same name, it is written once.
    #[param(value_type = String, format = Uuid)]
    message: MessageId,
    /// Closes the input behind it.
    #[serde(default)]
    end: bool,
}

/// Write to a session's standard input
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}/input",
    operation_id = "send_input",
    tag = "input",
    params(OfSession, InputParameters),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The message is kept, and reaches the session once.", body = InputReply),
        Problems<{ SESSION | CHANGE | BODY | INPUT }>
    ),
)]
pub(super) async fn send(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    Parameters(parameters): Parameters<InputParameters>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<InputReply>, ApiError> {
    let InputParameters { message, end } = parameters;
    let message = Message { id: message, bytes: body?.into(), is_last: end };
    let id = resolve(&app, &id).await?;
    if load(&app, id).await?.spec.agent.is_some() {
        return Err(Refusal::NoInputOfAgent(id).into());
    }
    match send_message(&app, id, &message).await {
        Ok(()) => Ok(Json(InputReply { answer: InputAnswer::Accepted })),
        Err(refusal) => Err(absent(&app, refusal).await.into()),
    }
}
