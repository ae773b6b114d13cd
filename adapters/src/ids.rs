//! Ids that sort by the time of their making.

use candor_core::ports::IdSource;
use candor_core::session::{EventId, MessageId, SessionId};
use uuid::Uuid;

/// Mints UUIDs of version 7.
///
/// Within one process each sorts after all earlier ones, whoever minted them and even if the wall
/// clock was set back meanwhile: a counter fills what the clock does not tell. Two processes may
/// mint in another order within a millisecond; one daemon at a time holds the home.
///
/// Source: RFC 9562, section 6.2, method 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV7Source;

impl UuidV7Source {
    /// Returns an id that no message has.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        MessageId::from_uuid(Uuid::now_v7())
    }
}

impl IdSource for UuidV7Source {
    fn session_id(&self) -> SessionId {
        SessionId::from_uuid(Uuid::now_v7())
    }

    fn event_id(&self) -> EventId {
        EventId::from_uuid(Uuid::now_v7())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use candor_core::ports::IdSource as _;

    use super::UuidV7Source;

    #[test]
    fn each_id_sorts_after_the_one_before() {
        let mut before = UuidV7Source.session_id();
        for _ in 0..100_000 {
            let id = UuidV7Source.session_id();
            assert!(id > before, "{id} after {before}");
            before = id;
        }
        assert_eq!(before.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn threads_share_the_order() {
        let mint = || (0..10_000).map(|_| UuidV7Source.event_id()).collect::<Vec<_>>();
        let minted = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(mint));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(minted.iter().all(|ids| ids.is_sorted()));
        let mut all = minted.concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 40_000);
    }
}
