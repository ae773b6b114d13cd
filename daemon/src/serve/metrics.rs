//! What the daemon counts while things happen. What the store can be asked is not counted here.
//!
//! To count is to add to a number that nobody waits for: no commit takes longer for it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use candor_adapters::sqlite::CommitWatch;
use candor_core::event::{Event, Seq};
use candor_core::ports::{Change, CommitError, EventBus, StoredSession, Subscription};
use candor_core::session::{EventId, SessionId};
use candor_core::status::Status;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// Bounds of how long a commit takes, in seconds. The port promises an answer within 2 s.
const COMMIT_BOUNDS_S: [f64; 11] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.0];

/// Bounds of how long an event takes to those who follow, in seconds.
const LAG_BOUNDS_S: [f64; 10] = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1.0, 10.0];

/// Events whose publishing is remembered until somebody has read them, at most.
const PUBLISHED_MAX: usize = 1_024;

/// A label with its value.
pub(crate) type Label = (&'static str, &'static str);

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Changes of a status, by the one before and the one after.
    pub(crate) transitions: Family<[Label; 2], Counter>,
    /// How commits were answered.
    pub(crate) commits: Family<[Label; 1], Counter>,
    /// How long they took.
    pub(crate) commit_s: Histogram,
    /// How long events took from being published to being ready for those who follow.
    pub(crate) lag_s: Histogram,
    /// How long it took to take over the sessions of the daemon before.
    recovery: OnceLock<Duration>,
    /// Changes of which nobody knows whether they are stored.
    in_doubt: Mutex<HashMap<SessionId, (EventId, Event)>>,
    /// Whether there are any, so that others need not ask for the lock.
    has_doubt: AtomicBool,
    /// What was published and not read yet, and when.
    published: Mutex<VecDeque<(Seq, Instant)>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            transitions: Family::default(),
            commits: Family::default(),
            commit_s: Histogram::new(COMMIT_BOUNDS_S),
            lag_s: Histogram::new(LAG_BOUNDS_S),
            recovery: OnceLock::new(),
            in_doubt: Mutex::default(),
            has_doubt: AtomicBool::new(false),
            published: Mutex::default(),
        }
    }

    /// Takes note of how long it took to take over the sessions of the daemon before.
    pub(super) fn recovered(&self, took: Duration) {
        // There is one recovery.
        let _first = self.recovery.set(took);
    }

    pub(crate) fn recovery(&self) -> Option<Duration> {
        self.recovery.get().copied()
    }

    /// Takes note that everything up to a place is ready for those who follow.
    pub(super) fn event_read(&self, up_to: Seq) {
        let mut published = lock(&self.published);
        let read = published.partition_point(|(seq, _)| *seq <= up_to);
        for (_, at) in published.drain(..read) {
            self.lag_s.observe(at.elapsed().as_secs_f64());
        }
    }

    /// Takes note that somebody begins to follow: what was published before nobody has waited for.
    pub(super) fn begin_to_read(&self) {
        lock(&self.published).clear();
    }

    fn published(&self, seq: Seq) {
        let mut published = lock(&self.published);
        // Two sessions may publish in the other order than they committed.
        if published.back().is_some_and(|(last, _)| *last >= seq) {
            return;
        }
        // Those that wait for longest tell most, so it is the newest that is left out.
        if published.len() < PUBLISHED_MAX {
            published.push_back((seq, Instant::now()));
        }
    }

    fn count(&self, event: &Event) {
        if event.from == Some(event.to) {
            return;
        }
        let from = event.from.map_or("none", Status::as_str);
        self.transitions.get_or_create(&[("from", from), ("to", event.to.as_str())]).inc();
    }
}

impl CommitWatch for Metrics {
    fn answered(&self, change: &Change, took: Duration, answer: &Result<Seq, CommitError>) {
        let result = match answer {
            Ok(_) => {
                self.count(&change.event);
                "stored"
            }
            Err(CommitError::NotStored { .. }) => "not_stored",
            Err(CommitError::Unknown { .. }) => {
                // Whoever asked reads the row now, and the next load tells.
                let event = (change.event.id, change.event);
                lock(&self.in_doubt).insert(change.event.session, event);
                self.has_doubt.store(true, Ordering::Release);
                "unknown"
            }
            Err(CommitError::Conflict) => "conflict",
        };
        self.commits.get_or_create(&[("result", result)]).inc();
        self.commit_s.observe(took.as_secs_f64());
    }

    fn loaded(&self, stored: &StoredSession) {
        if !self.has_doubt.load(Ordering::Acquire) {
            return;
        }
        let mut in_doubt = lock(&self.in_doubt);
        if let Some((id, event)) = in_doubt.remove(&stored.session.id)
            && id == stored.last_event
        {
            self.count(&event);
        }
        self.has_doubt.store(!in_doubt.is_empty(), Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bus that remembers when something was published.
pub(super) struct MeteredBus<B> {
    bus: B,
    metrics: Arc<Metrics>,
}

impl<B> MeteredBus<B> {
    pub(super) const fn new(bus: B, metrics: Arc<Metrics>) -> Self {
        Self { bus, metrics }
    }
}

impl<B: EventBus> EventBus for MeteredBus<B> {
    fn publish(&self, seq: Seq) {
        self.metrics.published(seq);
        self.bus.publish(seq);
    }

    fn subscribe(&self) -> Box<dyn Subscription> {
        self.bus.subscribe()
    }
}
