//! What is asked of live sessions beside their changes.

use candor_core::session::{Session, SessionId};

use super::Registry;

impl Registry {
    /// Returns all live sessions as they are shown now.
    pub(crate) fn live(&self) -> Vec<Session> {
        let handles = self.handles();
        let mut live: Vec<Session> =
            handles.values().map(|handle| handle.snapshot.borrow().session.clone()).collect();
        live.sort_unstable_by_key(|session| session.id);
        live
    }

    /// Returns the ids of all live sessions.
    pub(crate) fn live_ids(&self) -> Vec<SessionId> {
        self.handles().keys().copied().collect()
    }

    /// Adds a note to a live session. One that its task has no room for is not taken: it is in the log.
    pub(crate) fn remark(&self, id: SessionId, text: String) {
        if let Some(handle) = self.handles().get(&id) {
            let _full = handle.remarks.try_send(text);
        }
    }
}
