//! Sessions as they are shown.

use std::collections::HashMap;

use candor_core::ports::ReadError;
use candor_core::session::{Revision, Session, SessionId};

use super::App;
use crate::api::SessionView;

impl App {
    /// Returns a session as it is shown: the row, or what its task has, whichever is newer.
    pub(crate) fn view(&self, session: &Session) -> SessionView {
        let Some(shown) = self.registry.snapshot(session.id) else {
            return SessionView::new(session, None);
        };
        let shown = shown.borrow();
        // What is known of its agent since the last change is in no row yet.
        let is_newer = session.revision() > shown.session.revision();
        let session = if is_newer { session } else { &shown.session };
        SessionView::new(session, Some(shown.supervision()))
    }

    /// Returns a session as it is shown at the revision of its row, though it may have gone on since.
    pub(crate) fn view_of_row(&self, session: &Session) -> SessionView {
        let Some(shown) = self.registry.snapshot(session.id) else {
            return SessionView::new(session, None);
        };
        let shown = shown.borrow();
        let is_same = session.revision() == shown.session.revision();
        let session = if is_same { &shown.session } else { session };
        SessionView::new(session, Some(shown.supervision()))
    }

    /// Returns these sessions, each at this revision or a later one, but for those that were removed
    /// or are damaged.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    pub(crate) async fn views_since(
        &self,
        wanted: &HashMap<SessionId, Revision>,
    ) -> Result<HashMap<SessionId, SessionView>, ReadError> {
        let mut views = HashMap::new();
        let mut missing = Vec::new();
        for (&id, &revision) in wanted {
            match self.live_view(id, revision) {
                Some(view) => drop(views.insert(id, view)),
                None => missing.push(id),
            }
        }
        if !missing.is_empty() {
            let listing = self.store.sessions(missing).await?;
            for damaged in &listing.damaged {
                tracing::error!(error = %damaged, "left out of an answer");
            }
            let sessions = listing.sessions.iter().map(|stored| &stored.session);
            views.extend(sessions.map(|session| (session.id, self.view(session))));
        }
        Ok(views)
    }

    /// Returns what a session's task has, unless that is of before the revision.
    fn live_view(&self, id: SessionId, revision: Revision) -> Option<SessionView> {
        let shown = self.registry.snapshot(id)?;
        let shown = shown.borrow();
        (shown.session.revision() >= revision)
            .then(|| SessionView::new(&shown.session, Some(shown.supervision())))
    }
}
