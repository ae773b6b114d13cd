//! Random moments, which a seed repeats as far as a machine repeats anything.

use std::time::Duration;

use super::stamp::now_ns;

/// Numbers after a seed: `SplitMix64`.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Begins with the time.
    pub(super) fn new() -> Self {
        // The low half, which is what changes.
        Self(u64::try_from(now_ns() & u128::from(u64::MAX)).unwrap_or_default())
    }

    /// Returns a number below `end`, which is not 0.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    /// Returns a duration below `end`.
    pub(super) fn moment(&mut self, end: Duration) -> Duration {
        let end_us = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(end_us.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_are_below_the_end_and_all_of_them_come() {
        let mut random = Random(7);
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| random.below(10)).collect();
        assert_eq!(drawn, (0..10).collect());
    }
}
