//! What is taken out of a request, with every error in the form of all others.

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{ApiError, Word};

/// Levels of arrays and objects within each other in a body, at most. Nothing that is read here has
/// more than 5.
const DEPTH_MAX: usize = 64;

/// The parts of an address that have a name.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(named) = Path::from_request_parts(parts, state).await?;
        Ok(Self(named))
    }
}

/// What stands behind the question mark of an address.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(parameters) = Query::from_request_parts(parts, state).await?;
        Ok(Self(parameters))
    }
}

/// A body of JSON.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !says_json(request.headers().get(header::CONTENT_TYPE)) {
            return Err(ApiError::new(
                Word::UnsupportedMediaType,
                "a body of JSON is read here: send it with `Content-Type: application/json`",
            ));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let too_large = "the body has more bytes than are taken here: send less".to_owned();
            ApiError::of_body(&rejection, too_large)
        })?;
        if is_deeper_than(&body, DEPTH_MAX) {
            return Err(ApiError::bad_request(format!(
                "the body has more than {DEPTH_MAX} levels of arrays and objects within each other: \
                 nothing that is read here has as many"
            )));
        }
        let mut json = serde_json::Deserializer::from_slice(&body);
        let parsed = serde_path_to_error::deserialize(&mut json);
        let value = parsed.map_err(|error| unreadable(&error))?;
        json.end().map_err(|error| unreadable(&error))?;
        Ok(Self(value))
    }
}

fn unreadable(error: &impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!(
        "the body is not what is read here: {error}; GET /v1/openapi.json says what is"
    ))
}

fn says_json(value: Option<&header::HeaderValue>) -> bool {
    let Some(value) = value.and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// Says whether a text of JSON has more levels than that. Of what is no JSON it may say either: that
/// is refused all the same.
fn is_deeper_than(json: &[u8], max: usize) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(format!(
            "the address cannot be read: {rejection}; GET /v1/openapi.json lists addresses"
        ))
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(format!(
            "what stands behind `?` cannot be read: {rejection}; GET /v1/openapi.json says what may"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{header, is_deeper_than, says_json};

    #[test]
    fn levels_are_counted_outside_of_texts() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            ("[[],[],{}]", 2),
            (r#"{"a":"[[[[","b":[{}]}"#, 3),
            (r#"["\"[[[",[]]"#, 2),
            (r#"["\\",[[]]]"#, 3),
        ] {
            assert!(!is_deeper_than(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || is_deeper_than(json.as_bytes(), depth - 1), "{json}");
        }
    }

    #[test]
    fn json_is_told_by_its_content_type() {
        let says = |text| says_json(Some(&header::HeaderValue::from_static(text)));
        for text in ["application/json", "Application/JSON; charset=utf-8", "application/a+json"] {
            assert!(says(text), "{text}");
        }
        for text in ["", "text/json", "text/plain; application/json", "application/jsonx"] {
            assert!(!says(text), "{text}");
        }
        assert!(!says_json(None));
    }
}
