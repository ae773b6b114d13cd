//! The sessions as they stand, and the place in the event log to go on from.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::asked::Parameters;
use super::problem::{ApiError, Problems, READ};
use crate::api::SnapshotView;
use crate::serve::App;

/// Ended sessions in one snapshot when the client does not say how many.
const ENDED_LIMIT: u32 = 200;

/// Ended sessions in one snapshot, at most.
const ENDED_LIMIT_MAX: u32 = 10_000;

/// What `GET /v1/snapshot` can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotParameters {
    /// How many of the sessions that have ended come along, the newest first.
    #[param(maximum = 10_000, default = 200)]
    limit: Option<u32>,
}

/// Read all sessions that live, and the newest that have ended, with their place in the event log
///
/// What follows are the events after `seq`, without a gap and without a repetition. Sessions that
/// have ended before those that are here are listed on by `before` with the value of `next`.
#[utoipa::path(
    get,
    path = "/v1/snapshot",
    operation_id = "get_snapshot",
    tag = "events",
    params(SnapshotParameters),
    responses(
        (status = 200, description = "The sessions.", body = SnapshotView),
        Problems<READ>
    ),
)]
pub(super) async fn snapshot(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<SnapshotParameters>,
) -> Result<Json<SnapshotView>, ApiError> {
    let SnapshotParameters { limit } = parameters;
    let limit = limit.unwrap_or(ENDED_LIMIT);
    if limit > ENDED_LIMIT_MAX {
        return Err(ApiError::bad_request(format!(
            "a snapshot has at most {ENDED_LIMIT_MAX} sessions that have ended: list the others \
             with `before`"
        )));
    }
    let snapshot = app.store.snapshot(limit).await?;
    for damaged in &snapshot.listing.damaged {
        tracing::error!(error = %damaged, "left out of a snapshot");
    }
    let sessions = &snapshot.listing.sessions;
    Ok(Json(SnapshotView {
        seq: snapshot.seq.number(),
        sessions: sessions.iter().map(|stored| app.view_of_row(&stored.session)).collect(),
        counts: snapshot.counts.iter().collect(),
        next: snapshot.next.map(|id| id.to_string()),
    }))
}
