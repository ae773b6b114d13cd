//! Requests for sessions that may be asked again without making a second one.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use candor_core::session::{RequestKey, SessionId};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use utoipa::IntoParams;

use super::problem::{ApiError, Word};
use super::sessions::{load, settled, view};
use crate::api::{IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED};
use crate::serve::{App, Snapshot};

/// Characters of a key, at most.
const KEY_CHARACTERS_MAX: usize = 255;

/// The name of a request, if it has one.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used: a header is read by name")]
pub(super) struct KeyHeader {
    /// A name for this request that no other has, of 1 to 255 printable characters of ASCII, such as a
    /// random UUID. Whoever does not know what became of the request sends it again with the same name,
    /// and gets the session that it made, if it made one, also of the next daemon.
    #[param(rename = "Idempotency-Key", pattern = "^[ -~]{1,255}$", required = false)]
    key: String,
}

/// The name of a request, if it has one.
pub(super) struct Key(Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
        let text = value.as_bytes();
        let is_key = (1..=KEY_CHARACTERS_MAX).contains(&text.len())
            && text.iter().all(|byte| is_printable(*byte));
        match std::str::from_utf8(text) {
            Ok(text) if is_key && values.next().is_none() => Ok(Self(Some(text.to_owned()))),
            _ => Err(ApiError::bad_request(format!(
                "`Idempotency-Key` must be one name of 1 to {KEY_CHARACTERS_MAX} printable \
                 characters of ASCII: a random UUID is a good one"
            ))),
        }
    }
}

impl Key {
    /// Returns the name with what tells the request from any other.
    pub(super) fn of(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Option<RequestKey>, ApiError> {
        let Self(Some(key)) = self else { return Ok(None) };
        let body =
            serde_json::to_vec(body).map_err(|error| ApiError::internal(error.to_string()))?;
        let hash = Sha256::new().chain_update(path).chain_update([0]).chain_update(body).finalize();
        let digest = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(RequestKey { key, digest }))
    }
}

/// What became of a request for a session.
enum Made {
    Now(watch::Receiver<Snapshot>),
    Before(SessionId),
}

/// Makes a session, or returns the one that a request of the same name has made before.
pub(super) async fn once<F>(
    app: Arc<App>,
    request: Option<RequestKey>,
    make: impl FnOnce(Option<RequestKey>) -> F + Send + 'static,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<watch::Receiver<Snapshot>, ApiError>> + Send,
{
    let asked = Arc::clone(&app);
    // On a task of its own: a client that leaves now must not leave half a launch.
    let making = tokio::spawn(async move {
        let Some(request) = request else { return make(None).await.map(Made::Now) };
        let _alone = asked.requests.hold(&request.key).await;
        match asked.store.requested(&request.key).await? {
            Some((_, digest)) if digest != request.digest => Err(ApiError::new(
                Word::IdempotencyKeyReused,
                "another request had this `Idempotency-Key`: give each request a key of its own",
            )),
            Some((session, _)) => Ok(Made::Before(session)),
            None => make(Some(request)).await.map(Made::Now),
        }
    });
    match making.await.map_err(|_| ApiError::internal("the launch broke off: a bug"))?? {
        Made::Now(shown) => Ok((StatusCode::CREATED, Json(settled(shown).await)).into_response()),
        Made::Before(id) => {
            let session = match app.registry.snapshot(id) {
                Some(shown) => settled(shown).await,
                None => view(&app, &load(&app, id).await?),
            };
            let replayed = HeaderName::from_static(IDEMPOTENT_REPLAYED);
            Ok(([(replayed, HeaderValue::from_static("true"))], Json(session)).into_response())
        }
    }
}
