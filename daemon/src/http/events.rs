//! The event log as lines of JSON, and live after it.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use candor_adapters::sqlite::EventPage;
use candor_core::event::Seq;
use candor_core::ports::{ReadError, Subscription};
use candor_core::session::SessionId;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::asked::Parameters;
use super::problem::{ApiError, Problems, SESSION};
use super::sessions::resolve;
use crate::api::{EventView, LogLine, ResetKind, ResetReason, ResetView};
use crate::serve::App;

/// Events that are read from the store at one time.
const PAGE_EVENTS: u32 = 256;

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
    /// Go on with what comes.
    #[serde(default)]
    follow: bool,
}

/// Reads after its own cursor. Wake-ups only tell it to look again, so it can miss none.
struct Reader {
    app: Arc<App>,
    session: Option<SessionId>,
    cursor: Seq,
    page: VecDeque<LogLine>,
    /// The newest removal that the page before knew of; `None` before the first page.
    newest_removal: Option<Seq>,
    /// `None` when the client does not follow.
    wakeups: Option<Box<dyn Subscription>>,
    /// Whether the daemon leaves, and what it changed last was looked for.
    is_left: bool,
    is_at_end: bool,
    /// Whether nothing can follow: the one session that is read was removed.
    is_over: bool,
}

/// Read the event log, and what comes after it
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "get_events",
    tag = "events",
    params(EventParameters),
    responses(
        (
            status = 200, description = "The events in their order, a line each.",
            body = LogLine, content_type = "application/x-ndjson",
        ),
        Problems<SESSION>
    ),
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<EventParameters>,
) -> Result<Response, ApiError> {
    let EventParameters { after, session, follow } = parameters;
    let session = match session {
        Some(text) => Some(resolve(&app, &text).await?),
        None => None,
    };
    // Listening begins before the first read, so that nothing falls in between.
    let wakeups = follow.then(|| app.bus.subscribe());
    let cursor = Seq::from_number(after);
    let page = VecDeque::new();
    let reader = Reader {
        app,
        session,
        cursor,
        page,
        newest_removal: None,
        wakeups,
        is_left: false,
        is_at_end: false,
        is_over: false,
    };
    let lines = stream::try_unfold(reader, |mut reader| async move {
        Ok::<_, ReadError>(reader.next_lines().await?.map(|lines| (lines, reader)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

impl Reader {
    /// Returns the next lines, or `None` when there are no more.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the daemon leaves while the client follows: the answer is
    /// broken off then, since more will follow at the next daemon.
    async fn next_lines(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(lines) = self.page_as_lines() {
                return Ok(Some(lines));
            }
            if self.is_left && self.is_at_end && !self.is_over {
                // What breaks off an answer also throws away what of it was not sent yet. While
                // nothing is to be had here, it is sent.
                tokio::task::yield_now().await;
                return Err(ReadError::Unavailable { reason: "the daemon leaves".to_owned() });
            }
            if self.is_over || (self.is_at_end && !self.woken().await) {
                return Ok(None);
            }
            self.read_page().await?;
        }
    }

    async fn read_page(&mut self) -> Result<(), ReadError> {
        let store = &self.app.store;
        let page = match self.session {
            Some(id) => store.session_events(id, self.cursor, PAGE_EVENTS).await?,
            None => store.events_page(self.cursor, PAGE_EVENTS).await?,
        };
        for damaged in &page.damaged {
            tracing::error!(error = %damaged, "left out of an answer");
        }
        if self.cursor > page.last {
            // Of another store, such as one that an older copy has taken the place of. What comes
            // from here on would otherwise be passed over until the places catch up.
            self.cursor = page.last;
            self.page = VecDeque::from([self.reset(ResetReason::CursorAhead)]);
            return Ok(());
        }
        self.page.clear();
        if self.has_missed(&page) {
            let reset = self.reset(ResetReason::EventsRemoved);
            self.page.push_back(reset);
        }
        self.newest_removal = Some(page.newest_removal);
        self.is_over = self.session.is_some() && !page.removals.is_empty();
        self.is_at_end = !page.may_have_more;
        self.cursor = self.cursor.max(page.next);
        self.page.extend(lines(&page));
        Ok(())
    }

    /// Says whether something after the cursor is gone that the reader was not told of. One that
    /// begins at the beginning knows nothing yet, and so has missed nothing.
    fn has_missed(&self, page: &EventPage) -> bool {
        let may_be_news = match self.newest_removal {
            None => self.cursor > Seq::START,
            Some(newest) => page.newest_removal > newest,
        };
        may_be_news && page.gone_up_to > self.cursor
    }

    fn reset(&self, reason: ResetReason) -> LogLine {
        LogLine::Reset(ResetView { seq: self.cursor.number(), kind: ResetKind::Reset, reason })
    }

    fn page_as_lines(&mut self) -> Option<Bytes> {
        let mut lines = Vec::new();
        for line in self.page.drain(..) {
            if serde_json::to_writer(&mut lines, &line).is_ok() {
                lines.push(b'\n');
            }
        }
        (!lines.is_empty()).then(|| lines.into())
    }

    /// Waits for a reason to look again. Says whether there is one.
    async fn woken(&mut self) -> bool {
        let Some(wakeups) = &mut self.wakeups else {
            return false;
        };
        let quiet = self.app.shutdown.quiet();
        tokio::select! {
            seq = wakeups.woken() => seq.is_some(),
            () = quiet.cancelled() => {
                // One last look: what was published before it became quiet is owed.
                self.is_left = true;
                self.is_at_end = false;
                true
            }
        }
    }
}

/// Returns the lines of a page, events and removals in one order.
fn lines(page: &EventPage) -> Vec<LogLine> {
    let events = page.events.iter().map(EventView::new);
    let mut views: Vec<EventView> =
        events.chain(page.removals.iter().map(EventView::removed)).collect();
    views.sort_unstable_by_key(|view| view.seq);
    views.into_iter().map(LogLine::Event).collect()
}
