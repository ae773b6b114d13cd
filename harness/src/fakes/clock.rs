//! The clock that a timeline moves.

use candor_core::ports::Clock;
use candor_core::time::{Monotonic, Now, Timestamp};

use super::stage::{Stage, State};

/// The calendar's time at the beginning of every replay, in seconds since 1970.
const BEGINNING_S: i64 = 1_000_000_000;

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct FakeClock {
    stage: Stage,
}

impl FakeClock {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Now {
        self.stage.lock().now()
    }
}

impl State {
    /// Returns the time; the monotonic part starts anew when the machine does.
    pub(crate) fn now(&self) -> Now {
        let at_ms = self.log.now_ms();
        let ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
        let wall =
            Timestamp::from_millisecond(BEGINNING_S.saturating_mul(1_000).saturating_add(ms))
                .unwrap_or(Timestamp::MAX);
        Now { wall, monotonic: Monotonic::from_ms(at_ms.saturating_sub(self.booted_at_ms)) }
    }
}
