//! The shapes of what is removed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a request to remove a session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct RemovalView {
    #[schema(format = Uuid)]
    pub(crate) session: String,
    /// Bytes of its files.
    pub(crate) bytes: u64,
    /// Whether this is only what would be removed.
    pub(crate) dry_run: bool,
}

/// What `rm --json` and `prune --json` print.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RemovalsView {
    /// Whether this is only what would be removed.
    pub(crate) dry_run: bool,
    /// How many sessions were removed.
    pub(crate) count: u64,
    /// Bytes of their files together.
    pub(crate) bytes: u64,
    /// What was removed, in the order in which it was.
    pub(crate) removed: Vec<RemovalView>,
    /// What was not.
    pub(crate) refused: Vec<RefusedView>,
}

/// A session that was not removed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RefusedView {
    /// As it was named.
    pub(crate) session: String,
    /// A sentence.
    pub(crate) reason: String,
}
