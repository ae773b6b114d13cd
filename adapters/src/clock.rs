//! The machine's clocks.

use candor_core::ports::Clock;
use candor_core::time::{Monotonic, Now, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Reads the wall clock, and the monotonic clock that all processes of one boot share.
///
/// On Linux the monotonic clock stands still while the machine is suspended. On macOS it goes on:
/// the clock that stands still there has no safe interface, so that suspended time counts as
/// waited there.
///
/// Source: `clock_gettime(2)`, `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { wall: wall(), monotonic: monotonic() }
    }
}

/// Records keep microseconds, and a time must be equal to itself after it was stored.
fn wall() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// A point outside the range of the type cannot come from the kernel, and would count as zero.
fn monotonic() -> Monotonic {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let milliseconds = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    Monotonic::from_ms(seconds.saturating_mul(1000).saturating_add(milliseconds))
}

#[cfg(test)]
mod tests {
    use candor_core::ports::Clock as _;

    use super::SystemClock;

    #[test]
    fn wall_time_has_no_more_than_microseconds() {
        for _ in 0..1000 {
            assert_eq!(SystemClock.now().wall.as_nanosecond() % 1000, 0);
        }
    }

    #[test]
    fn monotonic_time_does_not_go_back_and_is_that_of_the_boot() {
        let mut before = SystemClock.now().monotonic;
        for _ in 0..1000 {
            let now = SystemClock.now().monotonic;
            assert!(now >= before);
            before = now;
        }
        // Another reading of the same clock, by another path: a point means the same to the next
        // daemon of the boot.
        let other = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let after = SystemClock.now().monotonic;
        let other_ms = u64::try_from(other.tv_sec).unwrap() * 1000;
        assert!(before.as_ms() <= other_ms + 1000 && other_ms <= after.as_ms());
    }
}
