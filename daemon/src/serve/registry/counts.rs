//! How many sessions there are of a kind, as they are shown at this moment.

use candor_core::status::Status;

use super::{Handle, Registry};
use crate::api::Supervision;

impl Registry {
    /// Returns how many sessions there are whose processes are still looked for.
    pub(crate) fn reconciling(&self) -> usize {
        let is_sought =
            |handle: &&Handle| handle.snapshot.borrow().supervision() == Supervision::Reconciling;
        self.handles().values().filter(is_sought).count()
    }

    /// Returns how many sessions have a process that is looked after.
    pub(crate) fn watched(&self) -> usize {
        let is_watched = |handle: &&Handle| {
            let shown = handle.snapshot.borrow();
            let is_up = !matches!(shown.session.status(), Status::Queued | Status::Starting);
            is_up && shown.supervision() == Supervision::Ok
        };
        self.handles().values().filter(is_watched).count()
    }
}
