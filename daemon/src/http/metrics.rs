//! What there is to count and to measure, as Prometheus reads it.
//!
//! What the store and the registry know is asked when somebody looks; the rest was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use candor_core::status::Status;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::limits::Streams;
use super::problem::{ApiError, Problems, READ, Word};
use crate::serve::{App, Label};

/// What the answer is. Source: the OpenMetrics specification, 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Errors that clients were told since the daemon started, by their word.
static REFUSALS: [AtomicU64; Word::ALL.len()] = [const { AtomicU64::new(0) }; Word::ALL.len()];

/// Counts an error that a client is told.
pub(super) fn count_refusal(word: Word) {
    if let Some(count) = REFUSALS.get(word as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Read the metrics
///
/// The text format of OpenMetrics, which Prometheus reads.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "daemon",
    responses(
        (
            status = 200,
            description = "All of them.",
            body = String,
            content_type = "application/openmetrics-text"
        ),
        Problems<READ>
    ),
)]
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    streams: Extension<Arc<Streams>>,
) -> Result<impl IntoResponse, ApiError> {
    let mut registry = Registry::with_prefix("candor");
    about_daemon(&mut registry, &app, &streams);
    about_sessions(&mut registry, &app).await?;
    about_store(&mut registry, &app).await?;
    about_hooks(&mut registry, &app).await;
    about_refusals(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|error| ApiError::internal(format!("cannot write the metrics: {error}")))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}

/// Read the metrics, at an address like all others
///
/// The same as `/metrics`.
#[utoipa::path(
    get,
    path = "/v1/metrics",
    operation_id = "get_metrics_of_v1",
    tag = "daemon",
    responses(
        (
            status = 200,
            description = "All of them.",
            body = String,
            content_type = "application/openmetrics-text"
        ),
        Problems<READ>
    ),
)]
pub(super) async fn metrics_of_v1(
    app: State<Arc<App>>,
    streams: Extension<Arc<Streams>>,
) -> Result<impl IntoResponse, ApiError> {
    metrics(app, streams).await
}

fn about_daemon(registry: &mut Registry, app: &App, streams: &Streams) {
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The program that runs", version);
    let started_s = app.started_at.as_microsecond() as f64 / 1e6;
    let help = "When the daemon started, since 1970";
    registry.register_with_unit("start_time", help, Unit::Seconds, ConstGauge::new(started_s));
    let help = "How long it took to take over the sessions of the daemon before";
    let recovery_s = app.metrics.recovery().map_or(0.0, |took| took.as_secs_f64());
    registry.register_with_unit("recovery", help, Unit::Seconds, ConstGauge::new(recovery_s));
    let help = "Answers that go on until somebody ends them";
    registry.register("streams", help, ConstGauge::new(number(streams.open())));
}

async fn about_sessions(registry: &mut Registry, app: &App) -> Result<(), ApiError> {
    let sessions = Family::<Vec<(&str, String)>, Gauge>::default();
    for status in Status::ALL.into_iter().filter(|status| !status.is_terminal()) {
        let labels = vec![("status", status.as_str().to_owned()), ("outcome", String::new())];
        sessions.get_or_create(&labels).set(0);
    }
    for it in app.store.counts_by_outcome().await? {
        let labels = vec![("status", it.status), ("outcome", it.outcome.unwrap_or_default())];
        sessions.get_or_create(&labels).set(i64::try_from(it.count).unwrap_or(i64::MAX));
    }
    registry.register("sessions", "Sessions that there are, as they stand", sessions);
    let help = "Sessions that the daemon before had, and whose processes are still looked for";
    let reconciling = number(app.registry.reconciling());
    registry.register("sessions_reconciling", help, ConstGauge::new(reconciling));
    let help = "Processes of sessions that live, each with a shim that watches it";
    let shims = if cfg!(target_os = "linux") { app.registry.watched() } else { 0 };
    registry.register("shims", help, ConstGauge::new(number(shims)));
    let help = "Changes of a status, since the daemon started";
    registry.register("transitions", help, app.metrics.transitions.clone());
    Ok(())
}

async fn about_store(registry: &mut Registry, app: &App) -> Result<(), ApiError> {
    let help = "The highest place of an event that was ever given";
    let last_seq = app.store.last_seq().await?.number();
    registry.register("last_seq", help, ConstGauge::new(i64::try_from(last_seq).unwrap_or(0)));
    let help = "How commits were answered, since the daemon started";
    registry.register("commits", help, app.metrics.commits.clone());
    let help = "How long commits took";
    let commit_s = app.metrics.commit_s.clone();
    registry.register_with_unit("commit", help, Unit::Seconds, commit_s);
    let help = "How long events took from being published to being ready for those who follow";
    let lag_s = app.metrics.lag_s.clone();
    registry.register_with_unit("event_lag", help, Unit::Seconds, lag_s);
    Ok(())
}

/// Hooks that cannot be read are told as none that are enabled, in a family that says so.
async fn about_hooks(registry: &mut Registry, app: &App) {
    let hooks = Family::<[Label; 1], Gauge>::default();
    let state = |state| hooks.get_or_create(&[("state", state)]).clone();
    let (enabled, disabled, unavailable) =
        (state("enabled"), state("disabled"), state("unavailable"));
    let mut pending = Some(0);
    match app.webhooks.store.list().await {
        Ok(stored) => {
            for hook in stored {
                if hook.disabled.is_some() {
                    disabled.inc()
                } else {
                    enabled.inc()
                };
                let more = i64::try_from(hook.pending).unwrap_or(i64::MAX);
                pending = pending.map(|pending: i64| pending.saturating_add(more));
            }
        }
        Err(_) => {
            unavailable.set(1);
            // Nobody knows: a number would be a lie.
            pending = None;
        }
    }
    registry.register(
        "hooks",
        "Hooks that there are; one that is unavailable stands for all",
        hooks,
    );
    let help = "Deliveries that wait for their time or their turn";
    if let Some(pending) = pending {
        registry.register("hook_deliveries_pending", help, ConstGauge::new(pending));
    }
    let attempts = Family::<[Label; 1], Counter>::default();
    let counts = &app.webhooks.counts;
    for (result, count) in [
        ("delivered", &counts.delivered),
        ("failed", &counts.failed),
        ("given_up", &counts.given_up),
    ] {
        let counter = attempts.get_or_create(&[("result", result)]);
        counter.inc_by(count.load(Ordering::Relaxed));
    }
    let help = "Attempts to deliver, by what followed, since the daemon started";
    registry.register("hook_attempts", help, attempts);
}

fn about_refusals(registry: &mut Registry) {
    let refusals = Family::<[Label; 1], Counter>::default();
    for word in Word::ALL {
        let count = REFUSALS.get(*word as usize).map_or(0, |count| count.load(Ordering::Relaxed));
        if count > 0 {
            refusals.get_or_create(&[("problem", word.as_str())]).inc_by(count);
        }
    }
    registry.register(
        "refusals",
        "Errors that clients were told, since the daemon started",
        refusals,
    );
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
