//! The repository, in memory.

use async_trait::async_trait;
use candor_core::event::{Seq, StoredEvent};
use candor_core::ports::{Change, CommitError, ReadError, Repository, StoredSession};
use candor_core::session::SessionId;

use super::calls::Call;
use super::stage::Stage;
use crate::ghost::Writer;

/// A repository that forgets when its stage does.
///
/// Of its calls, [`commit`](Repository::commit) and [`load`](Repository::load) can be held.
#[derive(Clone)]
pub struct FakeRepository {
    stage: Stage,
}

impl FakeRepository {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

#[async_trait]
impl Repository for FakeRepository {
    async fn commit(&self, change: &Change) -> Result<Seq, CommitError> {
        let answer = {
            let mut state = self.stage.lock();
            let name = state.name_store_call(change.session.id, true);
            let issued_at_ms = state.log.now_ms();
            let change = &state.forged(change);
            state.announce_early(change);
            state.call(
                |state| {
                    let writer = Writer::Daemon(state.life);
                    state.commit(change, writer)
                },
                |answer| {
                    let change = Box::new(change.clone());
                    Call::Commit { name, change, issued_at_ms, answer }
                },
            )
        };
        answer.await
    }

    async fn load(&self, id: SessionId) -> Result<Option<StoredSession>, ReadError> {
        let answer = {
            let mut state = self.stage.lock();
            let name = state.name_store_call(id, false);
            state.call(
                |state| Ok(state.store.row(id).cloned()),
                |answer| Call::Load { name, session: id, answer },
            )
        };
        answer.await
    }

    async fn live(&self) -> Result<Vec<SessionId>, ReadError> {
        Ok(self.stage.lock().store.live())
    }

    async fn events_after(&self, cursor: Seq, limit: u32) -> Result<Vec<StoredEvent>, ReadError> {
        Ok(self.stage.lock().store.events_after(cursor, limit).to_vec())
    }
}
