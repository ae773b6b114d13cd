//! Whether it is known what is in the file.
//!
//! When the disk fails in the middle of a `COMMIT`, the change may be in the log and not on the
//! disk. SQLite shows it to the next connection as if nothing had happened, and a power cut takes
//! it away again. And when the disk takes too long, the change comes to be there after its caller
//! was told that nobody knows. In both cases nobody reads until the writer has settled the matter,
//! so that what is read is what stays.

use std::sync::atomic::{AtomicU64, Ordering};

/// Knows of every doubt.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Counts beginnings and ends of doubts about what the disk has kept: odd while there is one.
    failures: AtomicU64,
    /// Counts the callers who left while their change was being stored.
    overdue: AtomicU64,
    /// How many of them left before the last change that was stored or not.
    settled: AtomicU64,
}

/// A time without failures, as long as it is [still](Doubt::is_still) the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Certainty(u64);

impl Doubt {
    /// Begins to doubt what the disk has kept. Only the writer does.
    pub(super) fn begin(&self) {
        self.failures.fetch_or(1, Ordering::SeqCst);
    }

    /// Ends that doubt, if there is one. Only the writer does.
    pub(super) fn end(&self) {
        if !self.failures.load(Ordering::SeqCst).is_multiple_of(2) {
            self.failures.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Notes that a caller leaves without an answer while the writer stores its change.
    pub(super) fn leave(&self) {
        self.overdue.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that the writer is done with everything that it has begun.
    pub(super) fn catch_up(&self) {
        self.settled.store(self.overdue.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Returns the present certainty, or `None` in doubt.
    pub(super) fn certainty(&self) -> Option<Certainty> {
        let failures = self.failures.load(Ordering::SeqCst);
        let settled = self.settled.load(Ordering::SeqCst);
        let is_certain =
            failures.is_multiple_of(2) && settled == self.overdue.load(Ordering::SeqCst);
        is_certain.then_some(Certainty(failures))
    }

    /// Says whether the disk has not failed since.
    pub(super) fn is_still(&self, certainty: Certainty) -> bool {
        self.failures.load(Ordering::SeqCst) == certainty.0
    }
}

#[cfg(test)]
mod tests {
    use super::Doubt;

    #[test]
    fn a_doubt_that_came_and_went_is_noticed() {
        let doubt = Doubt::default();
        let before = doubt.certainty().unwrap();
        doubt.end();
        assert!(doubt.is_still(before));
        doubt.begin();
        doubt.begin();
        assert_eq!(doubt.certainty(), None);
        assert!(!doubt.is_still(before));
        doubt.end();
        assert!(doubt.certainty().is_some());
        assert!(!doubt.is_still(before));
    }

    #[test]
    fn whoever_leaves_is_waited_for() {
        let doubt = Doubt::default();
        doubt.leave();
        assert_eq!(doubt.certainty(), None);
        doubt.catch_up();
        assert!(doubt.certainty().is_some());
    }
}
