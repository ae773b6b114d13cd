//! Errors as `application/problem+json`: a stable type, and a sentence that says what to do.

use std::io;

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use candor_core::ports::{MESSAGE_BYTES_MAX, ReadError};
use serde::de::DeserializeOwned;

use crate::api::Problem;
use crate::serve::Refusal;

/// An error that a client is told.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    /// The stable word that clients tell errors apart by.
    kind: &'static str,
    detail: String,
}

impl ApiError {
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_request", detail: detail.into() }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, kind: "not_found", detail: detail.into() }
    }

    pub(super) fn ambiguous(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, kind: "ambiguous_id", detail: detail.into() }
    }

    pub(super) fn too_many_streams(detail: impl Into<String>) -> Self {
        let (status, kind) = (StatusCode::TOO_MANY_REQUESTS, "too_many_streams");
        Self { status, kind, detail: detail.into() }
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", detail: detail.into() }
    }
}

impl ApiError {
    /// Says whether what was asked for is gone since it was removed.
    pub(super) fn is_about_removal(&self) -> bool {
        self.status == StatusCode::GONE
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, kind) = match &refusal {
            Refusal::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Refusal::LeavesSessions => (StatusCode::CONFLICT, "leaves_sessions"),
            Refusal::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_sessions"),
            Refusal::StoreUnavailable(_) => (StatusCode::INSUFFICIENT_STORAGE, "store_unavailable"),
            Refusal::InDoubt(_) => (StatusCode::SERVICE_UNAVAILABLE, "in_doubt"),
            Refusal::Bug(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Refusal::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "damaged"),
            Refusal::Unknown(_) => (StatusCode::NOT_FOUND, "not_found"),
            Refusal::Removed { .. } => (StatusCode::GONE, "removed"),
            Refusal::Live { .. } => (StatusCode::CONFLICT, "live"),
            Refusal::Awaited { .. } => (StatusCode::CONFLICT, "awaited"),
            Refusal::FilesLeft { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "files_left"),
            Refusal::NotDriven(_) => (StatusCode::CONFLICT, "not_driven"),
            Refusal::RequestNotOpen { .. } => (StatusCode::CONFLICT, "request_not_open"),
            Refusal::NotContinued { .. } => (StatusCode::CONFLICT, "not_continued"),
            Refusal::AlreadyContinued { .. } => (StatusCode::CONFLICT, "already_continued"),
            Refusal::NotToBeFinished(_) => (StatusCode::CONFLICT, "not_to_be_finished"),
            Refusal::EndDecided(_) => (StatusCode::CONFLICT, "end_decided"),
            Refusal::BadOrder(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Refusal::NoInput(_) => (StatusCode::CONFLICT, "no_input"),
            Refusal::Ended { .. } => (StatusCode::CONFLICT, "ended"),
            Refusal::InputClosed(_) => (StatusCode::CONFLICT, "input_closed"),
            Refusal::InputFull(_) => (StatusCode::TOO_MANY_REQUESTS, "input_full"),
            Refusal::MessageInDoubt(_) => (StatusCode::SERVICE_UNAVAILABLE, "in_doubt"),
        };
        Self { status, kind, detail: refusal.to_string() }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Refusal::from(error).into()
    }
}

/// What the file system said before an answer was begun.
impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        Self::internal(format!("cannot read the output: {error}"))
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        let kind =
            if status == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "bad_request" };
        Self { status, kind, detail: rejection.body_text() }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        if status != StatusCode::PAYLOAD_TOO_LARGE {
            return Self { status, kind: "bad_request", detail: rejection.body_text() };
        }
        let detail =
            format!("a message has at most {MESSAGE_BYTES_MAX} bytes: send it in several pieces");
        Self { status, kind: "too_large", detail }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("urn:candor:problem:{}", self.kind),
            title: self.kind.replace('_', " "),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

/// The parts of an address that have a name, or an error in the form of all others.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(named) = Path::from_request_parts(parts, state).await?;
        Ok(Self(named))
    }
}

pub(super) async fn wrong_method() -> ApiError {
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        kind: "method_not_allowed",
        detail: "there is such an address, but not for this method".to_owned(),
    }
}

pub(super) async fn no_such_route() -> ApiError {
    ApiError::not_found("there is no such address in this version of Candor")
}
