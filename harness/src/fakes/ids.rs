//! Ids that count, so that every replay has the same ones.

use candor_core::ports::IdSource;
use candor_core::session::{EventId, SessionId};
use uuid::Uuid;

use super::stage::Stage;
use crate::timeline::names::SessionName;

/// A source of ids that counts from 1.
#[derive(Clone)]
pub struct FakeIds {
    stage: Stage,
}

impl FakeIds {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl IdSource for FakeIds {
    fn session_id(&self) -> SessionId {
        let mut state = self.stage.lock();
        state.sessions_named += 1;
        SessionName::new(state.sessions_named).id()
    }

    fn event_id(&self) -> EventId {
        let mut state = self.stage.lock();
        state.events_named += 1;
        EventId::from_uuid(Uuid::from_u128(state.events_named))
    }
}
