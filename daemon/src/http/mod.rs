//! The API: HTTP/1.1 on the daemon's Unix socket, and on the loopback interface when asked for.
//!
//! It turns requests into calls of the registry and the store, and their answers into the shapes
//! of [`crate::api`]. It decides nothing about sessions.

#![expect(unused_qualifications, reason = "what utoipa makes of the descriptions has some")]

mod agents;
mod asked;
mod conversations;
mod events;
mod guard;
mod hooks;
mod idempotency;
mod input;
mod inside;
mod limits;
mod list;
mod metrics;
mod openapi;
mod output;
mod page;
mod problem;
mod reserve;
mod revocable;
mod server;
mod sessions;
mod snapshot;
mod tcp;
mod web;

pub(crate) use server::Server;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::{Extension, Json};
use candor_adapters::sqlite::backups;
use candor_core::ports::MESSAGE_BYTES_MAX;
use candor_core::stop::Actor;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::api::{BackupView, DaemonView, time_text};
use crate::serve::{App, Parting};
use asked::Parameters;
use problem::{ApiError, CHANGE, DOOR, Problems, READ, Word, set};

/// Bytes of a request's body, at most.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of the body of a launch, at most. It carries the caller's whole environment.
const LAUNCH_BYTES_MAX: usize = 16 << 20;

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

/// Returns everything that can be asked, with its description: one list for both.
fn routes() -> OpenApiRouter<Arc<App>> {
    let input_limit = DefaultBodyLimit::max(MESSAGE_BYTES_MAX);
    let launch_limit = DefaultBodyLimit::max(LAUNCH_BYTES_MAX);
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(health))
        .routes(routes!(daemon))
        .routes(routes!(stop_daemon))
        .routes(routes!(openapi::serve))
        .routes(routes!(web::open))
        .routes(routes!(web::login))
        .routes(routes!(web::logout))
        .routes(routes!(web::tokens, web::add_token))
        .routes(routes!(web::remove_token))
        .routes(routes!(events::stream))
        .routes(routes!(list::list, sessions::launch).layer(launch_limit))
        .routes(routes!(snapshot::snapshot))
        .routes(routes!(sessions::get, sessions::delete))
        .routes(routes!(sessions::interrupt))
        .routes(routes!(sessions::kill))
        .routes(routes!(agents::go_on).layer(launch_limit))
        .routes(routes!(agents::finish))
        .routes(routes!(conversations::messages, agents::send).layer(input_limit))
        .routes(routes!(conversations::usage))
        .routes(routes!(conversations::search))
        .routes(routes!(agents::answer))
        .routes(routes!(agents::bypass))
        .routes(routes!(agents::approvals))
        .routes(routes!(input::send).layer(input_limit))
        .routes(routes!(sessions::wait))
        .routes(routes!(sessions::timeline))
        .routes(routes!(output::stream))
        .routes(routes!(metrics::metrics))
        .routes(routes!(metrics::metrics_of_v1))
        .routes(routes!(hooks::list, hooks::add))
        .routes(routes!(hooks::remove))
        .routes(routes!(hooks::deliveries))
        .routes(routes!(hooks::test))
}

fn router(app: Arc<App>) -> Router {
    let (router, document) = routes().split_for_parts();
    router
        .merge(page::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(openapi::Text::new(document)))
        .with_state(app)
}

/// Ask whether the daemon answers
#[utoipa::path(
    get,
    path = "/v1/health",
    operation_id = "get_health",
    tag = "daemon",
    responses(
        (status = 200, description = "`ok`", body = String, content_type = "text/plain"),
        Problems<DOOR>
    ),
)]
async fn health() -> &'static str {
    "ok\n"
}

/// Look at the daemon
#[utoipa::path(
    get,
    path = "/v1/daemon",
    operation_id = "get_daemon",
    tag = "daemon",
    responses(
        (status = 200, description = "The daemon.", body = DaemonView),
        Problems<READ>
    ),
)]
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
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StopParameters {
    /// Stop all sessions first.
    #[serde(default)]
    sessions: bool,
}

/// Ask the daemon to leave
///
/// The answer comes before it has; the closed socket says that it has.
#[utoipa::path(
    post,
    path = "/v1/daemon/stop",
    tag = "daemon",
    params(StopParameters),
    responses(
        (status = 200, description = "It leaves.", body = String, content_type = "text/plain"),
        Problems<{ READ | CHANGE | set(&[Word::LeavesSessions]) }>
    ),
)]
async fn stop_daemon(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Parameters(parameters): Parameters<StopParameters>,
) -> Result<&'static str, ApiError> {
    let StopParameters { sessions } = parameters;
    let parting = if sessions { Parting::StopsSessions } else { Parting::LeavesSessions };
    app.shutdown.ask(peer.actor(), parting)?;
    Ok("stopping\n")
}
