//! Time as core sees it: handed in, never read.

use core::ops::Add;

use serde::{Deserialize, Serialize};

pub use jiff::Timestamp;

/// One reading of both clocks.
///
/// Wall time is for people and records, and may jump. Everything that waits is measured on the
/// monotonic clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// What a calendar shows.
    pub wall: Timestamp,
    /// What a deadline is compared with.
    pub monotonic: Monotonic,
}

/// A point on the machine's monotonic clock, in milliseconds.
///
/// It counts from some moment of the current boot, does not count while the machine is suspended,
/// and is shared by all processes of the boot. So a point that was stored by a daemon which then
/// died still has its meaning for the next one.
///
/// Source: `clock_gettime(2)`, `CLOCK_MONOTONIC`.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Monotonic {
    ms: u64,
}

impl Monotonic {
    /// Returns the point that lies `ms` milliseconds after the clock's zero.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// Returns the milliseconds since the clock's zero.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.ms
    }

    /// Returns the milliseconds from `earlier` to this point, or 0 if it lies before it.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.ms.saturating_sub(earlier.ms)
    }
}

/// Moves the point `ms` milliseconds on, and stops at the end of time instead of wrapping.
impl Add<u64> for Monotonic {
    type Output = Self;

    fn add(self, ms: u64) -> Self {
        Self { ms: self.ms.saturating_add(ms) }
    }
}
