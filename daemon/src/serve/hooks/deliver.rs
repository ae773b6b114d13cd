//! From the outbox to the receiver: one task a hook, so that a receiver that hangs holds up nobody
//! but itself.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use candor_adapters::sqlite::hooks::{Attempt, DeliveryId, Due, Hook, HooksError, Then};
use candor_adapters::webhook::{Answer, AttemptError, Target, sign};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::payload;
use super::retry::{Consequence, Moment, PAUSE_MS_MAX, follow};
use crate::api::time_text;
use crate::serve::App;

/// Attempts of one hook at the same time, at most: each for another session.
const ATTEMPTS_MAX: usize = 8;

/// How long a hook rests when the outbox cannot be read or written, in milliseconds.
const STORE_PAUSE_MS: u64 = 5_000;

/// How long a hook sleeps, at most, in milliseconds: somebody may set the clock.
const SLEEP_MS_MAX: u64 = 60_000;

/// Delivers what is due of a hook, until it is stopped. An attempt under way is broken off then, and
/// made once more by the next daemon.
pub(super) async fn run(app: Arc<App>, hook: Hook, wake: Arc<Notify>, stop: CancellationToken) {
    let hook = Arc::new(hook);
    let mut attempts = JoinSet::new();
    let mut under_way = HashSet::new();
    loop {
        let wait = match start_due(&app, &hook, &mut attempts, &mut under_way).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(hook = %hook.id, %error, "deliveries wait");
                Duration::from_millis(STORE_PAUSE_MS)
            }
        };
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok(id) => {
                    under_way.remove(&id);
                    app.webhooks.made_room();
                }
                // It says nothing of which it was: all are looked at anew.
                Err(error) => {
                    tracing::error!(%error, "a bug");
                    sleep(Duration::from_millis(STORE_PAUSE_MS)).await;
                    attempts.abort_all();
                    under_way.clear();
                }
            },
            () = wake.notified() => {}
            () = sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Starts the attempts that are due, and returns when to look again.
async fn start_due(
    app: &Arc<App>,
    hook: &Arc<Hook>,
    attempts: &mut JoinSet<DeliveryId>,
    under_way: &mut HashSet<DeliveryId>,
) -> Result<Duration, HooksError> {
    let now = app.clock.now().wall;
    // None waits for longer than this, unless the clock was set back.
    let latest = now + Duration::from_millis(2 * PAUSE_MS_MAX);
    // Those under way are due as well.
    let limit = ATTEMPTS_MAX + under_way.len();
    let due = app.webhooks.store.due(hook.id, now..latest, limit).await?;
    for due in due {
        if under_way.len() < ATTEMPTS_MAX && under_way.insert(due.id) {
            attempts.spawn(attempt(Arc::clone(app), Arc::clone(hook), due));
        }
    }
    let longest = Duration::from_millis(SLEEP_MS_MAX);
    let next = app.webhooks.store.next_at(hook.id, now).await?;
    Ok(next.map_or(longest, |next| {
        Duration::try_from(next.duration_since(now)).unwrap_or_default().min(longest)
    }))
}

/// Makes one attempt, and stores what came of it.
async fn attempt(app: Arc<App>, hook: Arc<Hook>, due: Due) -> DeliveryId {
    let id = due.id;
    let began = app.clock.now().wall;
    let result = post(&app, &hook, &id.to_string(), due.payload).await;
    let random = RandomState::new().hash_one(0_u8);
    let moment = Moment {
        attempts: due.attempts,
        first_at: due.first_at.unwrap_or(began),
        now: app.clock.now().wall,
        random,
    };
    let Consequence { status, error, then, is_gone } = follow(&result, moment);
    let counts = &app.webhooks.counts;
    match then {
        Then::Delivered => counts.delivered.fetch_add(1, Ordering::Relaxed),
        Then::Again(_) => counts.failed.fetch_add(1, Ordering::Relaxed),
        Then::GivenUp => counts.given_up.fetch_add(1, Ordering::Relaxed),
    };
    if let Some(error) = &error {
        tracing::info!(hook = %hook.id, delivery = %id, error, "not delivered");
    }
    let made = Attempt { at: began, status, error, then };
    let mut stored = Ok(());
    if is_gone {
        // First: until both are stored it is due, and the receiver is asked once more.
        let reason = "the receiver says that it is gone for good (410)".to_owned();
        stored = app.webhooks.store.disable(hook.id, moment.now, reason).await;
    }
    if stored.is_ok() {
        stored = app.webhooks.store.attempted(id, made).await;
    }
    if is_gone {
        app.webhooks.changed.notify_one();
    }
    if let Err(error) = stored {
        // It is still due: nothing else would hold the next attempt back.
        tracing::warn!(hook = %hook.id, delivery = %id, %error, "will be delivered once more");
        sleep(Duration::from_millis(STORE_PAUSE_MS)).await;
    }
    id
}

async fn post(app: &App, hook: &Hook, id: &str, body: String) -> Result<Answer, AttemptError> {
    // It was read when the hook was added.
    let target = Target::parse(&hook.url, hook.allow_local)
        .map_err(|error| AttemptError::Broken(error.to_string()))?;
    let timestamp_s = app.clock.now().wall.as_second();
    let signature = sign(hook.secret.bytes(), id, timestamp_s, body.as_bytes());
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp_s.to_string()),
        ("webhook-signature", signature),
    ];
    app.webhooks.client.post(&target, &headers, body).await
}

/// What came of trying a hook.
pub(crate) struct Trial {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
}

/// Sends a hook something that is no event, once.
pub(crate) async fn try_out(app: &App, hook: &Hook) -> Trial {
    let began = Instant::now();
    let now = app.clock.now().wall;
    let body = payload::of_trial(&time_text(now));
    let result = post(app, hook, &DeliveryId::new().to_string(), body).await;
    let moment = Moment { attempts: 0, first_at: now, now, random: 0 };
    let Consequence { status, error, .. } = follow(&result, moment);
    Trial { status, error, took: began.elapsed() }
}
