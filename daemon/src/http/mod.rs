//! The API: HTTP/1.1 on the daemon's Unix socket.
//!
//! It turns requests into calls of the registry and the store, and their answers into the shapes
//! of [`crate::api`]. It decides nothing about sessions.

mod agents;
mod conversations;
mod events;
mod input;
mod limits;
mod output;
mod problem;
mod server;
mod sessions;
mod snapshot;

pub(crate) use server::Server;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::routing::{get, post};
use axum::{Extension, Json};
use candor_adapters::sqlite::backups;
use candor_core::ports::MESSAGE_BYTES_MAX;
use candor_core::stop::Actor;
use serde::Deserialize;

use crate::api::{BackupView, DaemonView, time_text};
use crate::serve::{App, Parting};
use problem::ApiError;

/// Bytes of a request's body, at most. A launch carries the caller's whole environment.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Who sent a request, as the kernel vouched for it.
#[derive(Clone, Copy)]
struct Peer {
    uid: u32,
}

impl Peer {
    const fn actor(self) -> Actor {
        Actor::User(self.uid)
    }
}

fn router(app: Arc<App>) -> Router {
    let input_limit = DefaultBodyLimit::max(MESSAGE_BYTES_MAX);
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/daemon", get(daemon))
        .route("/v1/daemon/stop", post(stop_daemon))
        .route("/v1/events", get(events::stream))
        .route("/v1/snapshot", get(snapshot::snapshot))
        .route("/v1/sessions", get(sessions::list).post(sessions::launch))
        .route("/v1/sessions/{id}", get(sessions::get).delete(sessions::delete))
        .route("/v1/sessions/{id}/interrupt", post(sessions::interrupt))
        .route("/v1/sessions/{id}/kill", post(sessions::kill))
        .route("/v1/sessions/{id}/continue", post(agents::go_on))
        .route("/v1/sessions/{id}/finish", post(agents::finish))
        .route(
            "/v1/sessions/{id}/messages",
            get(conversations::messages).merge(post(agents::send).layer(input_limit)),
        )
        .route("/v1/sessions/{id}/usage", get(conversations::usage))
        .route("/v1/search", get(conversations::search))
        .route("/v1/sessions/{id}/requests/{number}", post(agents::answer))
        .route("/v1/sessions/{id}/bypass", post(agents::bypass))
        .route("/v1/approvals", get(agents::approvals))
        .route("/v1/sessions/{id}/input", post(input::send).layer(input_limit))
        .route("/v1/sessions/{id}/wait", get(sessions::wait))
        .route("/v1/sessions/{id}/timeline", get(sessions::timeline))
        .route("/v1/sessions/{id}/output/{stream}", get(output::stream))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

async fn health() -> &'static str {
    "ok\n"
}

async fn daemon(State(app): State<Arc<App>>) -> Result<Json<DaemonView>, ApiError> {
    Ok(Json(DaemonView {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        home: app.home.to_string_lossy().into_owned(),
        started_at: time_text(app.started_at),
        stopping: app.shutdown.is_asked(),
        reconciling: app.registry.reconciling(),
        last_seq: app.store.last_seq().await?.number(),
        last_backup: last_backup(&app).await,
        sessions: app.store.counts_by_status().await?.iter().collect(),
    }))
}

/// Returns the newest copy of the database. What cannot be looked at is told as none, and logged.
async fn last_backup(app: &App) -> Option<BackupView> {
    let (folder, now) = (app.backups.clone(), app.clock.now().wall);
    let found = tokio::task::spawn_blocking(move || backups(&folder, now)).await;
    match found.map_err(std::io::Error::other).flatten() {
        Ok(found) => found.first().map(BackupView::new),
        Err(error) => {
            tracing::warn!(%error, "cannot look for copies of the database");
            None
        }
    }
}

/// What `POST /v1/daemon/stop` can be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StopParameters {
    /// Stop all sessions first.
    #[serde(default)]
    sessions: bool,
}

/// Asks the daemon to leave. The answer comes before it has; the closed socket says that it has.
async fn stop_daemon(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    parameters: Result<Query<StopParameters>, QueryRejection>,
) -> Result<&'static str, ApiError> {
    let Query(StopParameters { sessions }) = parameters?;
    let parting = if sessions { Parting::StopsSessions } else { Parting::LeavesSessions };
    app.shutdown.ask(peer.actor(), parting)?;
    Ok("stopping\n")
}
