//! What the fake repository keeps: rows and events, and nothing that could not be durable.

use std::collections::BTreeMap;

use candor_core::event::{Seq, StoredEvent};
use candor_core::ports::{Change, CommitError, StoredSession};
use candor_core::session::{Revision, SessionId};

/// Rows and events.
#[derive(Default)]
pub(crate) struct Store {
    rows: BTreeMap<SessionId, StoredSession>,
    events: Vec<StoredEvent>,
}

impl Store {
    /// Stores row and event together, if the row is at the expected revision.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<Seq, CommitError> {
        if self.revision(change.session.id) != change.expected {
            return Err(CommitError::Conflict);
        }
        Ok(self.overwrite(change))
    }

    /// Stores row and event together, whatever the row is at.
    pub(crate) fn overwrite(&mut self, change: &Change) -> Seq {
        let Change { session, event, .. } = change;
        let last_seq = self.last_seq().number() + 1;
        let last_seq = Seq::from_number(last_seq);
        let row = StoredSession { session: session.clone(), last_event: event.id, last_seq };
        self.rows.insert(session.id, row);
        self.events.push(StoredEvent { seq: last_seq, event: *event });
        last_seq
    }

    pub(crate) fn row(&self, id: SessionId) -> Option<&StoredSession> {
        self.rows.get(&id)
    }

    pub(crate) fn revision(&self, id: SessionId) -> Revision {
        self.row(id).map_or(Revision::NONE, |row| row.session.revision())
    }

    pub(crate) fn last_seq(&self) -> Seq {
        self.events.last().map_or(Seq::START, |event| event.seq)
    }

    /// Returns the ids of the sessions that have not ended, oldest first, which is the order of
    /// their ids.
    pub(crate) fn live(&self) -> Vec<SessionId> {
        let live = self.rows.values().filter(|row| !row.session.status().is_terminal());
        live.map(|row| row.session.id).collect()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &StoredSession> {
        self.rows.values()
    }

    /// Returns the event at a place.
    pub(crate) fn event(&self, seq: Seq) -> Option<&StoredEvent> {
        self.events.iter().find(|event| event.seq == seq)
    }

    pub(crate) fn events_after(&self, cursor: Seq, limit: u32) -> &[StoredEvent] {
        let start = self.events.partition_point(|event| event.seq <= cursor);
        let rest = &self.events[start..];
        &rest[..rest.len().min(limit as usize)]
    }
}
