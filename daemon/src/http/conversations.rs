//! Conversations, a page at a time or as they go on, and the search through them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use candor_adapters::sqlite::conversations::{
    self, Following, HITS_MAX, HitCursor, PAGE_ITEMS_MAX,
};
use candor_core::ports::{ReadError, Repository as _, Subscription};
use candor_core::session::SessionId;
use futures_util::stream;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::asked::{Named, Parameters};
use super::limits::{Places, keeping};
use super::openapi::OfSession;
use super::problem::{ApiError, Problems, SESSION, Word, set};
use super::sessions::resolve;
use crate::api::{HitsView, MessageView, MessagesView, UsageView};
use crate::serve::{App, printed_bytes};

/// Items on a page unless it is said.
const PAGE_ITEMS: u32 = 100;

/// Hits of a search unless it is said.
const HITS: u32 = 20;

/// How long the end of a conversation is waited for when its session has ended, in milliseconds. What
/// is not put down by then is left to the next who asks.
const CATCH_UP_MS_MAX: u64 = 5_000;

/// What `GET /v1/sessions/{id}/messages` can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageParameters {
    /// Only what comes after this one.
    after: Option<u64>,
    /// Only so many, and the last of all.
    last: Option<u32>,
    /// At most so many.
    limit: Option<u32>,
    /// Go on with what comes, as lines.
    #[serde(default)]
    follow: bool,
}

/// Read a conversation, a page at a time or as it goes on
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/messages",
    operation_id = "get_messages",
    tag = "output",
    params(OfSession, MessageParameters),
    responses(
        (
            status = 200, description = "A page, or with `follow` lines of `MessageView`.",
            content((MessagesView = "application/json"), (MessageView = "application/x-ndjson")),
        ),
        Problems<{ SESSION | set(&[Word::TooManyStreams]) }>
    ),
)]
pub(super) async fn messages(
    State(app): State<Arc<App>>,
    Extension(places): Extension<Places>,
    Named(id): Named<String>,
    Parameters(parameters): Parameters<MessageParameters>,
) -> Result<Response, ApiError> {
    let MessageParameters { after, last, limit, follow } = parameters;
    let limit = within("limit", limit.unwrap_or(PAGE_ITEMS), PAGE_ITEMS_MAX)?;
    if last.is_some() && (after.is_some() || follow) {
        return Err(ApiError::bad_request("`last` goes with neither `after` nor `follow`"));
    }
    let place = places.take_if(follow)?;
    let session = resolve(&app, &id).await?;
    if follow {
        let body = keeping(place, lines(app, session, after.unwrap_or(0), limit));
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response());
    }
    let page = match last {
        Some(count) => {
            let count = within("last", count, PAGE_ITEMS_MAX)?;
            app.conversations.last(session, count).await?
        }
        None => app.conversations.page(session, after.unwrap_or(0), limit).await?,
    };
    Ok(Json(MessagesView::new(page)).into_response())
}

/// Add up what a session has used
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/usage",
    operation_id = "get_usage",
    tag = "output",
    params(OfSession),
    responses(
        (status = 200, description = "What it has used.", body = UsageView),
        Problems<SESSION>
    ),
)]
pub(super) async fn usage(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Json<UsageView>, ApiError> {
    let session = resolve(&app, &id).await?;
    Ok(Json(UsageView::new(&app.conversations.totals(session).await?)))
}

/// What `GET /v1/search` can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParameters {
    /// What is looked for.
    q: String,
    /// Only in this session.
    session: Option<String>,
    /// At most so many.
    limit: Option<u32>,
    /// Where it goes on.
    before: Option<u64>,
}

/// Search all conversations
#[utoipa::path(
    get,
    path = "/v1/search",
    operation_id = "search_messages",
    tag = "output",
    params(SearchParameters),
    responses(
        (status = 200, description = "What was found, the newest first.", body = HitsView),
        Problems<SESSION>
    ),
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<SearchParameters>,
) -> Result<Json<HitsView>, ApiError> {
    let SearchParameters { q, session, limit, before } = parameters;
    let query: conversations::Query = q
        .parse()
        .map_err(|error: conversations::QueryError| ApiError::bad_request(error.to_string()))?;
    let limit = within("limit", limit.unwrap_or(HITS), HITS_MAX)?;
    let session = match session {
        Some(text) => Some(resolve(&app, &text).await?),
        None => None,
    };
    let before = before.map(HitCursor::from_number);
    let hits = app.conversations.search(query, session, limit, before).await?;
    Ok(Json(HitsView::new(hits)))
}

/// Refuses a number that cannot be meant.
fn within(name: &str, number: u32, max: u32) -> Result<u32, ApiError> {
    if (1..=max).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::bad_request(format!("`{name}` is {number}: give a number from 1 to {max}")))
}

/// Reads after its own cursor. Wake-ups only tell it to look again, so it can miss none.
struct Reader {
    app: Arc<App>,
    session: SessionId,
    cursor: u64,
    limit: u32,
    added: Following,
    changed: Box<dyn Subscription>,
    /// Until when the end of the conversation is waited for, once the session has ended.
    patience: Option<Instant>,
    is_over: bool,
}

fn lines(app: Arc<App>, session: SessionId, cursor: u64, limit: u32) -> Body {
    // Listening begins before the first read, so that nothing falls in between.
    let (added, changed) = (app.conversations.follow(session), app.bus.subscribe());
    let (patience, is_over) = (None, false);
    let reader = Reader { app, session, cursor, limit, added, changed, patience, is_over };
    let lines = stream::try_unfold(reader, |mut reader| async move {
        Ok::<_, ReadError>(reader.next_lines().await?.map(|lines| (lines, reader)))
    });
    Body::from_stream(lines)
}

impl Reader {
    /// Returns the next lines, or `None` when the session has ended and all of it was read.
    ///
    /// # Errors
    ///
    /// When the conversation cannot be read, or the daemon leaves: the answer is broken off then,
    /// since more may follow at the next daemon.
    async fn next_lines(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            // What is known of the session before its conversation is read, cannot be too new for it.
            let end = end_of(&self.app, self.session).await?;
            let page = self.app.conversations.page(self.session, self.cursor, self.limit).await?;
            self.cursor = self.cursor.max(page.next);
            let is_whole = end.is_some_and(|end| page.read_to >= end);
            let is_late = self.patience.is_some_and(|until| Instant::now() >= until);
            self.is_over = page.at_end && (is_whole || is_late);
            let mut lines = Vec::new();
            for item in page.items {
                if serde_json::to_writer(&mut lines, &MessageView::new(item)).is_ok() {
                    lines.push(b'\n');
                }
            }
            if !lines.is_empty() {
                return Ok(Some(lines.into()));
            }
            if !self.is_over && page.at_end {
                self.woken(end.is_some()).await?;
            }
        }
    }

    /// Waits for a reason to look again.
    async fn woken(&mut self, has_ended: bool) -> Result<(), ReadError> {
        if has_ended && self.patience.is_none() {
            self.patience = Some(Instant::now() + Duration::from_millis(CATCH_UP_MS_MAX));
        }
        let patience = self.patience;
        let out_of_patience = async {
            match patience {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let leaves = || ReadError::Unavailable { reason: "the daemon leaves".to_owned() };
        let quiet = self.app.shutdown.quiet();
        tokio::select! {
            more = self.added.woken() => if more { Ok(()) } else { Err(leaves()) },
            more = self.changed.woken() => more.map(drop).ok_or_else(leaves),
            () = out_of_patience => Ok(()),
            () = quiet.cancelled() => {
                // What breaks off an answer also throws away what of it was not sent yet.
                tokio::task::yield_now().await;
                Err(leaves())
            }
        }
    }
}

/// Returns up to which byte there is a conversation, once the session has ended.
async fn end_of(app: &Arc<App>, session: SessionId) -> Result<Option<u64>, ReadError> {
    let Some(stored) = app.store.load(session).await? else {
        // It was removed.
        return Ok(Some(0));
    };
    let session = stored.session;
    if !session.status().is_terminal() {
        return Ok(None);
    }
    let is_agent = session.spec.agent.is_some();
    Ok(Some(if is_agent { printed_bytes(app, &session).await } else { 0 }))
}
