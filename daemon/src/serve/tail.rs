//! The newest events, ready to be sent: one reads them from the store for all who follow.
//!
//! Whoever is further behind than what is kept here reads the store by itself, and comes back. So a
//! slow client costs time of its own and no memory, and misses nothing.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use candor_adapters::sqlite::EventPage;
use candor_core::event::Seq;
use candor_core::ports::ReadError;
use candor_core::session::{Revision, SessionId};
use candor_core::status::Status;
use serde::Serialize;
use tokio::sync::watch;

use super::App;
use crate::api::{EventKind, EventView, SessionEventView};

/// Events that are kept ready, at most.
const KEPT_EVENTS_MAX: usize = 4_096;

/// Bytes of the events that are kept ready, at most; one event may go beyond it.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Events that are read from the store at one time.
const PAGE_EVENTS: u32 = 256;

/// Bytes of a session that come along with an event, at most. One with more, such as with a prompt of
/// megabytes, is for whoever asks for it.
const SESSION_BYTES_MAX: usize = 256 << 10;

/// How long a store that cannot be read is left alone, in milliseconds.
const REST_MS: u64 = 100;

/// What an event weighs beside its texts, in bytes.
const EVENT_BYTES: usize = 128;

/// An event as it goes over the wire.
#[derive(Debug)]
pub(crate) struct ReadyEvent {
    pub(crate) seq: Seq,
    pub(crate) session: SessionId,
    pub(crate) kind: EventKind,
    /// Null when the session was removed.
    pub(crate) to: Option<Status>,
    /// The event.
    pub(crate) alone: Text,
    /// The event with its session, where somebody wants that.
    pub(crate) with_session: Option<Text>,
}

/// A text as a server-sent event, made once for all who get it, with the JSON in it.
///
/// Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
#[derive(Debug)]
pub(crate) struct Text {
    framed: Bytes,
    json: Range<usize>,
}

impl Text {
    /// Makes it of what is at a place of the log and of this type.
    pub(crate) fn new(place: u64, kind: &str, value: &impl Serialize) -> Self {
        // A line of JSON, in which ends of lines are escaped. A vector takes all, and nothing in these
        // shapes can fail to be written.
        let mut framed = format!("id: {place}\nevent: {kind}\ndata: ").into_bytes();
        let begin = framed.len();
        let _infallible = serde_json::to_writer(&mut framed, value);
        let json = begin..framed.len();
        framed.extend_from_slice(b"\n\n");
        Self { framed: framed.into(), json }
    }

    pub(crate) const fn framed(&self) -> &Bytes {
        &self.framed
    }

    pub(crate) fn json(&self) -> &[u8] {
        &self.framed[self.json.clone()]
    }
}

impl ReadyEvent {
    /// Makes the events of a page ready, removals among them, in order.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`] when the sessions are wanted and cannot be read.
    pub(crate) async fn of_page(
        app: &App,
        page: &EventPage,
        with_sessions: bool,
    ) -> Result<Vec<Self>, ReadError> {
        let mut sessions = HashMap::new();
        if with_sessions {
            let mut wanted: HashMap<SessionId, Revision> = HashMap::new();
            for stored in &page.events {
                wanted.insert(stored.event.session, stored.event.revision);
            }
            sessions = app.views_since(&wanted).await?;
        }
        let events = page
            .events
            .iter()
            .map(|stored| (stored.seq, stored.event.session, EventView::new(stored)));
        let removals = page
            .removals
            .iter()
            .map(|removal| (removal.seq, removal.session, EventView::removed(removal)));
        let mut ready: Vec<Self> = events
            .chain(removals)
            .map(|(seq, session, event)| {
                let (kind, to) = (event.kind, event.to);
                let text = Text::new(seq.number(), kind.as_str(), &event);
                let with_session = with_sessions.then(|| {
                    let view = to.and_then(|_| sessions.get(&session).cloned());
                    let framed = |view, event| {
                        let event = SessionEventView { event, view };
                        Text::new(seq.number(), kind.as_str(), &event)
                    };
                    let whole = framed(view, event.clone());
                    if whole.framed.len() <= text.framed.len() + SESSION_BYTES_MAX {
                        return whole;
                    }
                    framed(None, event)
                });
                Self { seq, session, kind, to, alone: text, with_session }
            })
            .collect();
        ready.sort_unstable_by_key(|event| event.seq);
        Ok(ready)
    }

    /// Returns it as a client wants it.
    pub(crate) fn text(&self, with_session: bool) -> &Text {
        self.with_session.as_ref().filter(|_| with_session).unwrap_or(&self.alone)
    }

    fn bytes(&self) -> usize {
        let with_session = self.with_session.as_ref().map_or(0, |text| text.framed.len());
        EVENT_BYTES + self.alone.framed.len() + with_session
    }
}

/// The newest events.
pub(crate) struct Tail {
    ring: Mutex<Ring>,
    /// Up to where the ring has all.
    reached: watch::Sender<Seq>,
    followers: watch::Sender<Followers>,
}

/// How many follow.
#[derive(Clone, Copy, Debug, Default)]
struct Followers {
    count: usize,
    with_sessions: usize,
}

/// Everything after `from`, up to `to`.
#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<ReadyEvent>>,
    bytes: usize,
    from: Seq,
    to: Seq,
}

/// What the tail has for a cursor.
#[derive(Debug)]
pub(crate) enum After {
    /// These, which are all up to a place.
    Events { events: Vec<Arc<ReadyEvent>>, up_to: Seq },
    /// Not all: the store has.
    Behind,
}

impl Tail {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::default(),
            reached: watch::Sender::new(Seq::START),
            followers: watch::Sender::new(Followers::default()),
        })
    }

    /// Begins to follow.
    pub(crate) fn follow(self: &Arc<Self>, with_sessions: bool) -> Follower {
        let reached = self.reached.subscribe();
        let follower = Follower { tail: Arc::clone(self), reached, with_sessions };
        self.followers.send_modify(|followers| {
            followers.count += 1;
            followers.with_sessions += usize::from(with_sessions);
        });
        follower
    }

    /// Reads the store for those who follow, until the daemon leaves. Reads nothing while nobody does.
    pub(crate) async fn run(app: Arc<App>) {
        let quiet = app.shutdown.quiet().clone();
        quiet.run_until_cancelled(app.tail.read_for_all(&app)).await;
    }

    async fn read_for_all(&self, app: &App) {
        let mut followers = self.followers.subscribe();
        let mut wakeups = app.bus.subscribe();
        loop {
            if followers.wait_for(|followers| followers.count > 0).await.is_err() {
                return;
            }
            match app.store.last_seq().await {
                Ok(last) => {
                    self.begin(last);
                    app.metrics.begin_to_read();
                }
                Err(error) => {
                    rest(&error).await;
                    continue;
                }
            }
            while self.followers.borrow().count > 0 {
                match self.read_on(app).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => {
                        rest(&error).await;
                        continue;
                    }
                }
                tokio::select! {
                    woken = wakeups.woken() => if woken.is_none() { return },
                    _ = followers.wait_for(|followers| followers.count == 0) => {}
                }
            }
            self.begin(Seq::START);
        }
    }

    /// Reads a page. Says whether there may be more.
    async fn read_on(&self, app: &App) -> Result<bool, ReadError> {
        let cursor = self.ring().to;
        let page = app.store.events_page(cursor, PAGE_EVENTS).await?;
        for damaged in &page.damaged {
            tracing::error!(error = %damaged, "left out of what is followed");
        }
        let with_sessions = self.followers.borrow().with_sessions > 0;
        let events = ReadyEvent::of_page(app, &page, with_sessions).await?;
        let reached = self.ring().take(&page, events);
        app.metrics.event_read(reached);
        self.reached.send_if_modified(|before| {
            let has_moved = *before != reached;
            *before = reached;
            has_moved
        });
        Ok(page.may_have_more)
    }

    /// Forgets all, and has everything after this place from now on.
    fn begin(&self, place: Seq) {
        *self.ring() = Ring { from: place, to: place, ..Ring::default() };
        self.reached.send_replace(place);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn rest(error: &ReadError) {
    tracing::warn!(%error, "cannot read events for those who follow");
    tokio::time::sleep(Duration::from_millis(REST_MS)).await;
}

impl Ring {
    /// Takes what was read after `to`, and returns where that ends.
    fn take(&mut self, page: &EventPage, events: Vec<ReadyEvent>) -> Seq {
        let before = self.to;
        self.to = before.max(page.next);
        if page.gone_up_to > before {
            // Something is gone that was never here. What that means for a cursor, each finds out
            // from the store.
            self.events.clear();
            self.bytes = 0;
            self.from = self.to;
            return self.to;
        }
        for event in events {
            self.bytes += event.bytes();
            self.events.push_back(Arc::new(event));
        }
        while self.events.len() > KEPT_EVENTS_MAX || self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.from = oldest.seq;
        }
        self.to
    }

    /// Returns what there is after a cursor, about so many bytes of it; `None` when that is nothing.
    fn after(&self, cursor: Seq, bytes_max: usize, with_sessions: bool) -> Option<After> {
        if cursor < self.from {
            return Some(After::Behind);
        }
        let first = self.events.partition_point(|event| event.seq <= cursor);
        let (mut events, mut bytes, mut up_to) = (Vec::new(), 0, cursor);
        for event in self.events.range(first..) {
            if with_sessions && event.with_session.is_none() {
                // Read when nobody wanted the sessions.
                return Some(if events.is_empty() {
                    After::Behind
                } else {
                    After::Events { events, up_to }
                });
            }
            bytes += event.bytes();
            up_to = event.seq;
            events.push(Arc::clone(event));
            if bytes >= bytes_max {
                return Some(After::Events { events, up_to });
            }
        }
        (self.to > cursor).then_some(After::Events { events, up_to: self.to })
    }
}

/// One who follows.
pub(crate) struct Follower {
    tail: Arc<Tail>,
    reached: watch::Receiver<Seq>,
    with_sessions: bool,
}

impl Follower {
    /// Waits until there is something after the cursor, and returns about so many bytes of it.
    ///
    /// Cancel safe.
    pub(crate) async fn after(&mut self, cursor: Seq, bytes_max: usize) -> After {
        loop {
            self.reached.borrow_and_update();
            let after = self.tail.ring().after(cursor, bytes_max, self.with_sessions);
            if let Some(after) = after {
                return after;
            }
            if self.reached.changed().await.is_err() {
                // The sender is beside the ring: it cannot be gone.
                return After::Behind;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tail.followers.send_modify(|followers| {
            followers.count -= 1;
            followers.with_sessions -= usize::from(self.with_sessions);
        });
    }
}
