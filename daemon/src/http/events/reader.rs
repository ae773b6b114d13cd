//! Reads the log after a cursor of its own: from the store while it is behind, then from the tail
//! that all share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::sqlite::EventPage;
use candor_core::event::Seq;
use candor_core::ports::ReadError;
use candor_core::session::SessionId;
use candor_core::status::Status;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::api::{EventKind, ResetKind, ResetReason, ResetView};
use crate::serve::{After, App, Follower, ReadyEvent};

/// Events that are read from the store at one time. They wait in memory for a client that does not
/// read.
const PAGE_EVENTS: u32 = 24;

/// The same where each comes with its session, which is several times as large.
const PAGE_SESSIONS: u32 = 4;

/// Bytes that are taken from the tail at one time, about.
const PIECE_BYTES: usize = 8 << 10;

/// How long nothing is sent, at most, in milliseconds. It tells a client that the line still stands.
const QUIET_MS_MAX: u64 = 15_000;

/// Which events a client wants.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) session: Option<SessionId>,
    /// Those that lead to one of these; all when it is empty.
    pub(super) statuses: Vec<Status>,
    /// Those of one of these types; all when it is empty.
    pub(super) kinds: Vec<EventKind>,
}

impl Filter {
    fn passes(&self, event: &ReadyEvent) -> bool {
        self.session.is_none_or(|session| event.session == session)
            && (self.statuses.is_empty() || event.to.is_some_and(|to| self.statuses.contains(&to)))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

/// What comes next for a client.
#[derive(Debug)]
pub(super) enum Piece {
    Events(Vec<Arc<ReadyEvent>>),
    Reset(ResetView),
    /// Nothing, for a while.
    Quiet,
    /// The daemon leaves, and this was all of it.
    Left,
}

/// Reads after its own cursor. The tail and its wake-ups only tell it where to look, so it can miss
/// nothing.
pub(super) struct Reader {
    app: Arc<App>,
    filter: Filter,
    with_sessions: bool,
    cursor: Seq,
    /// The newest removal that the page before knew of; `None` before the first page.
    newest_removal: Option<Seq>,
    /// `None` when the client does not follow.
    following: Option<Following>,
    is_at_end: bool,
    /// Whether nothing can follow: the one session that is read was removed.
    is_over: bool,
}

struct Following {
    follower: Follower,
    /// Whether the daemon leaves, and what it changed last was looked for.
    is_left: bool,
    /// When something has to be sent.
    quiet: Pin<Box<Sleep>>,
    /// When the daemon leaves.
    leaving: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Why there may be something to send.
enum Wakening {
    Tail(After),
    Quiet,
    Leaving,
}

impl Reader {
    /// Makes a reader.
    pub(super) fn new(
        app: Arc<App>,
        filter: Filter,
        with_sessions: bool,
        cursor: Seq,
        follows: bool,
    ) -> Self {
        // Following begins before the first read, so that nothing falls in between.
        let following = follows.then(|| Following {
            follower: app.tail.follow(with_sessions),
            is_left: false,
            quiet: Box::pin(sleep_until(quiet_until())),
            leaving: Box::pin(app.shutdown.quiet().clone().cancelled_owned()),
        });
        Self {
            app,
            filter,
            with_sessions,
            cursor,
            newest_removal: None,
            following,
            is_at_end: false,
            is_over: false,
        }
    }

    pub(super) const fn with_sessions(&self) -> bool {
        self.with_sessions
    }

    /// Returns what comes next, or `None` when nothing can.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`] when the store cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, ReadError> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            let piece = if self.is_at_end {
                if self.following.is_none() {
                    return Ok(None);
                }
                self.follow().await
            } else {
                self.read_page().await?
            };
            if let Some(following) = &mut self.following {
                if piece.is_some() {
                    following.quiet.as_mut().reset(quiet_until());
                } else if following.quiet.deadline() <= Instant::now() {
                    // Much was read that the client does not want.
                    following.quiet.as_mut().reset(quiet_until());
                    return Ok(Some(Piece::Quiet));
                }
            }
            if piece.is_some() {
                return Ok(piece);
            }
        }
    }

    /// Waits for what comes. Returns what of it is for the client.
    async fn follow(&mut self) -> Option<Piece> {
        let following = self.following.as_mut()?;
        if following.is_left {
            return Some(Piece::Left);
        }
        let wakening = tokio::select! {
            biased;
            () = &mut following.leaving => Wakening::Leaving,
            after = following.follower.after(self.cursor, PIECE_BYTES) => Wakening::Tail(after),
            () = &mut following.quiet => Wakening::Quiet,
        };
        match wakening {
            Wakening::Tail(After::Events { events, up_to }) => {
                self.cursor = up_to;
                self.passed(events)
            }
            Wakening::Tail(After::Behind) => {
                self.is_at_end = false;
                None
            }
            Wakening::Quiet => Some(Piece::Quiet),
            Wakening::Leaving => {
                // One last look: what was published before it became quiet is owed.
                following.is_left = true;
                self.is_at_end = false;
                None
            }
        }
    }

    /// Returns those events that the client wants.
    fn passed(&mut self, mut events: Vec<Arc<ReadyEvent>>) -> Option<Piece> {
        if let Some(session) = self.filter.session {
            let is_removal = |event: &Arc<ReadyEvent>| event.kind == EventKind::SessionRemoved;
            self.is_over |=
                events.iter().any(|event| event.session == session && is_removal(event));
        }
        events.retain(|event| self.filter.passes(event));
        (!events.is_empty()).then_some(Piece::Events(events))
    }

    async fn read_page(&mut self) -> Result<Option<Piece>, ReadError> {
        let store = &self.app.store;
        let limit = if self.with_sessions { PAGE_SESSIONS } else { PAGE_EVENTS };
        // It is never closed.
        let turn = self.app.replays.acquire().await;
        let page = match self.filter.session {
            Some(id) => store.session_events(id, self.cursor, limit).await?,
            None => store.events_page(self.cursor, limit).await?,
        };
        for damaged in &page.damaged {
            tracing::error!(error = %damaged, "left out of an answer");
        }
        if self.cursor > page.last {
            // Of another store, such as one that an older copy has taken the place of. What comes
            // from here on would otherwise be passed over until the places catch up.
            self.cursor = page.last;
            return Ok(Some(self.reset(ResetReason::CursorAhead)));
        }
        if self.has_missed(&page) {
            // The page is read again after it.
            self.newest_removal = Some(page.newest_removal);
            return Ok(Some(self.reset(ResetReason::EventsRemoved)));
        }
        self.newest_removal = Some(page.newest_removal);
        let ready = ReadyEvent::of_page(&self.app, &page, self.with_sessions).await?;
        drop(turn);
        self.is_at_end = !page.may_have_more;
        // At the end, all up to the last place was looked through, whoever's it is.
        let reached = if self.is_at_end { page.last } else { page.next };
        self.cursor = self.cursor.max(reached);
        Ok(self.passed(ready.into_iter().map(Arc::new).collect()))
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

    const fn reset(&self, reason: ResetReason) -> Piece {
        Piece::Reset(ResetView { seq: self.cursor.number(), kind: ResetKind::Reset, reason })
    }
}

fn quiet_until() -> Instant {
    Instant::now() + Duration::from_millis(QUIET_MS_MAX)
}
