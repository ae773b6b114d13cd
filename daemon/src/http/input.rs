//! The standard input of a session.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use candor_core::ports::Message;
use candor_core::session::MessageId;
use serde::Deserialize;

use super::problem::{ApiError, Named};
use super::sessions::resolve;
use crate::api::{InputAnswer, InputReply};
use crate::serve::{App, absent, send as send_message};

/// What `POST /v1/sessions/{id}/input` can be asked for. The body is what is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputParameters {
    /// Names the message. Sent again with the same name, it is written once.
    message: MessageId,
    /// Closes the input behind it.
    #[serde(default)]
    end: bool,
}

pub(super) async fn send(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    parameters: Result<Query<InputParameters>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<InputReply>, ApiError> {
    let Query(InputParameters { message, end }) = parameters?;
    let message = Message { id: message, bytes: body?.into(), is_last: end };
    let id = resolve(&app, &id).await?;
    match send_message(&app, id, &message).await {
        Ok(()) => Ok(Json(InputReply { answer: InputAnswer::Accepted })),
        Err(refusal) => Err(absent(&app, refusal).await.into()),
    }
}
