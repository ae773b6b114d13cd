//! Removing sessions that have ended: the rows first, then the conversation and the files.
//!
//! Whatever dies in between leaves files that no row tells of, and a removal in the store that names
//! them: the next start sweeps those, and nothing else. Files without a row and without a removal
//! stay, since they are what is left of a session whose row is in a database that was moved away or
//! restored from an older copy.

use std::io;
use std::sync::Arc;

use candor_adapters::sqlite::{ListQuery, RemoveError, Resolution};
use candor_core::ports::{CommitError, ReadError, Repository as _};
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::Actor;

use super::{App, Refusal};

/// Removes a session, and returns how many bytes its files held.
///
/// # Errors
///
/// See [`Refusal`]. Nothing is removed unless it is [`Refusal::FilesLeft`] or [`Refusal::InDoubt`].
///
/// Not cancel safe: spawn it, so that a client that leaves does not leave half a removal.
pub(crate) async fn remove(app: Arc<App>, id: SessionId, by: Actor) -> Result<u64, Refusal> {
    if let Err(refusal) = app.registry.let_go(id).await {
        return Err(absent(&app, refusal).await);
    }
    // Its events go with it, and somebody may be owed to be told of them.
    app.webhooks.caught_up(app.store.last_seq().await?).await;
    let removal = match app.store.remove(id, by, app.clock.now().wall).await {
        Ok(removal) => removal,
        Err(error) => return Err(refusal_of(&app, id, error).await),
    };
    app.bus.publish(removal.seq);
    app.recorder.forget(id);
    forget_conversation(&app, id).await;
    let files = Arc::clone(&app);
    let removed = tokio::task::spawn_blocking(move || {
        files.folders.remove(id);
        files.remains.remove(id)
    });
    removed.await.map_err(io::Error::other).flatten().map_err(|error| {
        tracing::warn!(session = %id, %error, "its files are left for the next start");
        Refusal::FilesLeft { session: id, reason: error.to_string() }
    })
}

/// Removes what was said in a session. What fails is left to the next start.
async fn forget_conversation(app: &App, id: SessionId) {
    if let Err(error) = app.conversations.remove(id).await {
        tracing::warn!(session = %id, %error, "its conversation is left for the next start");
    }
}

/// Returns what [`remove`] would, and removes nothing.
///
/// # Errors
///
/// Those of [`remove`], as far as they can be known beforehand.
pub(crate) async fn would_remove(app: &Arc<App>, id: SessionId) -> Result<u64, Refusal> {
    if let Err(refusal) = app.registry.let_go(id).await {
        return Err(absent(app, refusal).await);
    }
    let waiting =
        ListQuery { statuses: vec![Status::Queued], parent: Some(id), ..ListQuery::newest(1) };
    if let [child] = &app.store.list(&waiting).await?.sessions[..] {
        return Err(Refusal::Awaited { session: id, child: child.session.id });
    }
    let files = Arc::clone(app);
    let size = tokio::task::spawn_blocking(move || files.remains.size_bytes(id)).await;
    // What cannot be measured can be removed all the same.
    Ok(size.map_err(io::Error::other).flatten().unwrap_or(0))
}

/// Says of a session that is not there whether it was removed.
pub(crate) async fn absent(app: &App, refusal: Refusal) -> Refusal {
    let Refusal::Unknown(id) = refusal else {
        return refusal;
    };
    match app.store.resolve(&id.to_string()).await {
        Ok(Resolution::Removed(removal)) => {
            Refusal::Removed { session: removal.session, by: removal.by, at: removal.at }
        }
        Ok(Resolution::One(_) | Resolution::Ambiguous(_) | Resolution::None) | Err(_) => refusal,
    }
}

async fn refusal_of(app: &App, id: SessionId, error: RemoveError) -> Refusal {
    match error {
        RemoveError::Store(CommitError::NotStored { reason }) => Refusal::StoreUnavailable(reason),
        RemoveError::Store(CommitError::Unknown { reason }) => Refusal::InDoubt(reason),
        RemoveError::Store(error @ CommitError::Conflict) => Refusal::Bug(error.to_string()),
        RemoveError::NotThere => absent(app, Refusal::Unknown(id)).await,
        RemoveError::Live { status } => Refusal::Live { session: id, status },
        RemoveError::Awaited { child } => Refusal::Awaited { session: id, child },
        RemoveError::Damaged { reason } => Refusal::Damaged { session: id, reason },
    }
}

/// Removes the files of sessions that an earlier daemon removed and whose files it did not get to.
///
/// It needs no care for launches under way: those have a row and no removal, and no id is ever used
/// twice.
pub(super) async fn sweep(app: Arc<App>) {
    match left_behind(&app).await {
        Ok(left) => {
            for id in &left {
                sweep_one(&app, *id).await;
            }
            tracing::info!(found = left.len(), "looked for what removals had left");
        }
        Err(error) => tracing::warn!(%error, "cannot look for files of removed sessions"),
    }
}

/// Removes the conversations of sessions that an earlier daemon removed, and did not get to.
pub(super) async fn sweep_conversations(app: Arc<App>) {
    let (Ok(removed), Ok(found)) = (app.store.removed().await, app.conversations.sessions().await)
    else {
        tracing::warn!("cannot look for conversations of removed sessions");
        return;
    };
    for id in removed.into_iter().filter(|id| found.contains(id)) {
        forget_conversation(&app, id).await;
    }
}

/// Removes the temporary files of sessions that have ended without their daemon.
///
/// It looks for folders first and for live sessions then, so that it meets no launch.
pub(super) async fn sweep_folders(app: Arc<App>) {
    let folders = Arc::clone(&app.folders);
    let Ok(found) = tokio::task::spawn_blocking(move || folders.all()).await else { return };
    let live: Vec<SessionId> = app.registry.live().iter().map(|session| session.id).collect();
    let folders = Arc::clone(&app.folders);
    let swept = tokio::task::spawn_blocking(move || folders.sweep(found, &live)).await;
    if let Err(error) = swept {
        tracing::error!(%error, "a bug");
    }
}

async fn left_behind(app: &Arc<App>) -> io::Result<Vec<SessionId>> {
    let files = Arc::clone(app);
    let found = tokio::task::spawn_blocking(move || files.remains.sessions()).await??;
    let mut left = app.store.removed().await.map_err(io::Error::other)?;
    left.retain(|id| found.contains(id));
    Ok(left)
}

async fn sweep_one(app: &Arc<App>, id: SessionId) {
    let row: Result<_, ReadError> = app.store.load(id).await;
    if !matches!(row, Ok(None)) {
        tracing::error!(session = %id, "was removed, and is there: its files are left");
        return;
    }
    let files = Arc::clone(app);
    let removed = tokio::task::spawn_blocking(move || files.remains.remove(id)).await;
    match removed.map_err(io::Error::other).flatten() {
        Ok(bytes) => tracing::debug!(session = %id, bytes, "swept what a removal had left"),
        Err(error) => tracing::warn!(session = %id, %error, "its files are left"),
    }
}
