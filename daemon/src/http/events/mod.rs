//! The event log, and live after it: as lines of JSON, or as server-sent events.

mod format;
mod reader;

use std::str::FromStr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use candor_core::event::Seq;
use candor_core::ports::ReadError;
use candor_core::status::Status;
use futures_util::stream;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use self::format::Format;
use self::reader::{Filter, Reader};
use super::asked::Parameters;
use super::limits::{Places, keeping};
use super::problem::{ApiError, Problems, SESSION, Word, set};
use super::sessions::resolve;
use crate::api::{EventKind, LogLine};
use crate::serve::App;

/// The header by which a client of server-sent events says where it stopped.
///
/// Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header>.
const LAST_EVENT_ID: &str = "last-event-id";

/// What `GET /v1/events` can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventParameters {
    /// Only events after this place.
    #[serde(default)]
    after: u64,
    /// Only events of this session.
    session: Option<String>,
    /// Only events that lead to one of these statuses, separated by commas.
    #[serde(default)]
    status: String,
    /// Only events of these types, separated by commas.
    #[serde(default, rename = "type")]
    kind: String,
    /// What comes with each event: with `session` each has a field `view`, which is the session as it
    /// was when the event was read, at the event's revision or a later one, and null when it was
    /// removed, or has more than 256 KiB: then it is to be asked for.
    #[param(inline)]
    view: Option<View>,
    /// Go on with what comes. Server-sent events always do.
    #[serde(default)]
    follow: bool,
}

/// What comes with each event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ToSchema)]
#[serde(rename_all = "snake_case")]
enum View {
    /// The session that it is of.
    Session,
}

/// Read the event log, and what comes after it
///
/// As lines of JSON, or, for `Accept: text/event-stream`, as server-sent events: the `id` is the
/// event's `seq`, the `event` its `type` (or `reset`), the `data` the same JSON. These go on with what
/// comes until the daemon leaves, which a last `event: bye` tells.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "get_events",
    tag = "events",
    params(
        EventParameters,
        (
            "Last-Event-ID" = Option<u64>, Header,
            description = "Only server-sent events after this place; it counts for more than `after`.",
        ),
    ),
    responses(
        (
            status = 200, description = "The events in their order.",
            content(
                (LogLine = "application/x-ndjson"),
                (String = "text/event-stream"),
            ),
        ),
        Problems<{ SESSION | set(&[Word::TooManyStreams]) }>
    ),
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Extension(places): Extension<Places>,
    headers: HeaderMap,
    Parameters(asked): Parameters<EventParameters>,
) -> Result<Response, ApiError> {
    let format = Format::wanted(&headers);
    let follows = asked.follow || format == Format::ServerSent;
    let place = places.take_if(follows)?;
    let after = match format {
        Format::Lines => asked.after,
        Format::ServerSent => last_event_id(&headers)?.unwrap_or(asked.after),
    };
    let session = match asked.session {
        Some(text) => Some(resolve(&app, &text).await?),
        None => None,
    };
    let filter = Filter {
        session,
        statuses: words(&asked.status, "status", &Status::ALL.map(Status::as_str))?,
        kinds: words(&asked.kind, "type", &EventKind::ALL.map(EventKind::as_str))?,
    };
    let with_sessions = asked.view == Some(View::Session);
    let reader = Reader::new(app, filter, with_sessions, Seq::from_number(after), follows);
    let pieces = stream::try_unfold(Some(reader), move |reader| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        Ok::<_, ReadError>(match format.next_chunk(&mut reader).await? {
            Some((chunk, true)) => Some((chunk, None)),
            Some((chunk, false)) => Some((chunk, Some(reader))),
            None => None,
        })
    });
    let body = keeping(place, Body::from_stream(pieces));
    Ok(([(header::CONTENT_TYPE, format.media_type())], body).into_response())
}

/// Returns the place that the client says it stopped at.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let place = value.to_str().ok().and_then(|text| text.parse().ok());
    place.map(Some).ok_or_else(|| {
        ApiError::bad_request("Last-Event-ID must be the id of an event, which is a whole number")
    })
}

/// Reads words that are separated by commas.
fn words<T: FromStr>(list: &str, name: &str, known: &[&str]) -> Result<Vec<T>, ApiError> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    let parsed = words.map(|word| {
        word.parse().map_err(|_| {
            let known = known.join(", ");
            ApiError::bad_request(format!("{word:?} is no {name} of an event: give {known}"))
        })
    });
    parsed.collect()
}
