//! How much clients may ask for at one time.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::problem::{ApiError, Word};
use crate::serve::App;

/// Returns a place for a stream, which is to be held as long as it is open.
///
/// # Errors
///
/// `too_many_streams` when all places are taken.
pub(super) fn stream(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        ApiError::new(
            Word::TooManyStreams,
            "too many streams are open: close one, or ask without following until one ends",
        )
    })
}
