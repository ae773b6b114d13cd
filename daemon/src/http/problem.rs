//! Errors as `application/problem+json`: a stable type, and a sentence that says what to do.

mod word;

use std::collections::BTreeMap;
use std::io;

use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use candor_adapters::sqlite::hooks::HooksError;
use candor_core::ports::{MESSAGE_BYTES_MAX, ReadError};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response};
use utoipa::{IntoResponses, ToSchema as _};

use super::metrics;
use crate::api::Problem;
use crate::serve::Refusal;

pub(super) use word::{BODY, CHANGE, DOOR, READ, SESSION, Set, Word, set};

/// What stands between two words in the name of an answer that may bear either.
const WORD_END: &str = ".";

/// The content type of every error.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// An error that a client is told.
#[derive(Debug)]
pub(super) struct ApiError {
    word: Word,
    /// A sentence that says what to do.
    detail: String,
}

impl ApiError {
    pub(super) fn new(word: Word, detail: impl Into<String>) -> Self {
        Self { word, detail: detail.into() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Word::BadRequest, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Word::NotFound, detail)
    }

    pub(super) fn ambiguous(detail: impl Into<String>) -> Self {
        Self::new(Word::AmbiguousId, detail)
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(Word::Internal, detail)
    }

    /// Says why a body was not taken. `if_too_large` is what is said if it has too many bytes.
    pub(super) fn of_body(rejection: &BytesRejection, if_too_large: String) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(Word::TooLarge, if_too_large);
        }
        Self::bad_request(format!("the body did not come whole: {rejection}"))
    }

    /// Says whether what was asked for is gone since it was removed.
    pub(super) fn is_about_removal(&self) -> bool {
        self.word == Word::Removed
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let word = match &refusal {
            Refusal::Stopping => Word::Stopping,
            Refusal::LeavesSessions => Word::LeavesSessions,
            Refusal::TooMany => Word::TooManySessions,
            Refusal::StoreUnavailable(_) => Word::StoreUnavailable,
            Refusal::InDoubt(_) => Word::InDoubt,
            Refusal::Bug(_) => Word::Internal,
            Refusal::Damaged { .. } => Word::Damaged,
            Refusal::Unknown(_) => Word::NotFound,
            Refusal::Removed { .. } => Word::Removed,
            Refusal::Live { .. } => Word::Live,
            Refusal::Awaited { .. } => Word::Awaited,
            Refusal::FilesLeft { .. } => Word::FilesLeft,
            Refusal::NotDriven(_) => Word::NotDriven,
            Refusal::RequestNotOpen { .. } => Word::RequestNotOpen,
            Refusal::NotContinued { .. } => Word::NotContinued,
            Refusal::AlreadyContinued { .. } => Word::AlreadyContinued,
            Refusal::NotToBeFinished(_) => Word::NotToBeFinished,
            Refusal::EndDecided(_) => Word::EndDecided,
            Refusal::BadOrder(_) => Word::BadRequest,
            Refusal::NoInput(_) | Refusal::NoInputOfAgent(_) => Word::NoInput,
            Refusal::Ended { .. } => Word::Ended,
            Refusal::InputClosed(_) => Word::InputClosed,
            Refusal::InputFull(_) => Word::InputFull,
            Refusal::MessageInDoubt(_) => Word::InDoubt,
        };
        Self::new(word, refusal.to_string())
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Refusal::from(error).into()
    }
}

impl From<HooksError> for ApiError {
    fn from(error: HooksError) -> Self {
        let word = match &error {
            HooksError::Unavailable { .. } => Word::HooksUnavailable,
            HooksError::TooMany => Word::TooManyHooks,
        };
        Self::new(word, error.to_string())
    }
}

/// What the file system said before an answer was begun.
impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        Self::internal(format!("cannot read the output: {error}"))
    }
}

/// What is said of a body that is a message.
impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        let detail =
            format!("a message has at most {MESSAGE_BYTES_MAX} bytes: send it in several pieces");
        Self::of_body(&rejection, detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        metrics::count_refusal(self.word);
        let status = self.word.status();
        let problem = Problem {
            kind: self.word.address(),
            title: self.word.as_str().replace('_', " "),
            status: status.as_u16(),
            detail: self.detail,
        };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

/// The problems that an operation can be answered, as the API's document has them.
pub(super) struct Problems<const SET: Set>;

impl<const SET: Set> IntoResponses for Problems<SET> {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let mut by_status: BTreeMap<u16, Vec<Word>> = BTreeMap::new();
        for word in Word::ALL.iter().filter(|word| word.is_in(SET)) {
            by_status.entry(word.status().as_u16()).or_default().push(*word);
        }
        let told = |(status, words): (u16, Vec<Word>)| {
            (status.to_string(), Ref::from_response_name(name_of(&words)).into())
        };
        by_status.into_iter().map(told).collect()
    }
}

/// Returns the name of the answer that bears one of some words, and, of such a name, that answer.
fn name_of(words: &[Word]) -> String {
    words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(WORD_END)
}

pub(super) fn response_of(name: &str) -> response::Response {
    let is_named = |word: &&Word| name.split(WORD_END).any(|text| text == word.as_str());
    let words: Vec<Word> = Word::ALL.iter().filter(is_named).copied().collect();
    let meanings: Vec<String> =
        words.iter().map(|word| format!("`{}`: {}", word.as_str(), word.meaning())).collect();
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.iter().map(|word| word.address())));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(Problem::name()))
        .item(ObjectBuilder::new().property("type", kind));
    ResponseBuilder::new()
        .description(meanings.join("\n\n"))
        .content(PROBLEM_JSON, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

pub(super) async fn wrong_method() -> ApiError {
    ApiError::new(
        Word::MethodNotAllowed,
        "there is such an address, but not for this method: `Allow` lists those that there are",
    )
}

pub(super) async fn no_such_route() -> ApiError {
    ApiError::not_found(
        "there is no such address in this version of Candor: GET /v1/openapi.json lists them",
    )
}
