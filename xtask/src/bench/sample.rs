//! What many measurements say together.

use std::time::Duration;

use super::{Figure, Verdict};

/// Durations that were measured, of which there is at least one.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample(Vec<Duration>);

impl Sample {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes all of them.
    pub(super) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// Takes one more.
    pub(super) fn add(&mut self, duration: Duration) {
        let at = self.0.partition_point(|&other| other < duration);
        self.0.insert(at, duration);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub(super) fn worst(&self) -> Duration {
        self.percentile(100)
    }

    /// Returns the smallest of them that `percent` of all do not exceed, or nothing at all where
    /// nothing was measured.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Says of the median whether it is within the target, and tells the worst beside it.
    pub(super) fn figure(&self, what: &str, target: Duration) -> Figure {
        Figure {
            what: format!("{what}, median of {}", self.len()),
            target: format!("<= {} ms", target.as_millis()),
            measured: format!(
                "{} (99 %: {}, worst: {})",
                milliseconds(self.median()),
                milliseconds(self.percentile(99)),
                milliseconds(self.worst())
            ),
            verdict: Verdict::of(self.median() <= target),
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sample, Verdict};

    fn sample(milliseconds: impl Iterator<Item = u64>) -> Sample {
        let mut sample = Sample::default();
        milliseconds.for_each(|ms| sample.add(Duration::from_millis(ms)));
        sample
    }

    #[test]
    fn percentiles_are_members_of_the_sample() {
        let all = sample((1..=50).rev());
        assert_eq!(all.median(), Duration::from_millis(25));
        assert_eq!(all.percentile(99), Duration::from_millis(50));
        assert_eq!(sample(1..=1).median(), Duration::from_millis(1));
    }

    #[test]
    fn the_median_decides_and_the_worst_is_told() {
        let figure = sample([1, 2, 90].into_iter()).figure("it", Duration::from_millis(2));
        assert_eq!(figure.verdict, Verdict::Reached);
        assert_eq!(figure.measured, "2.00 ms (99 %: 90.00 ms, worst: 90.00 ms)");
        let figure = sample([1, 3, 3].into_iter()).figure("it", Duration::from_millis(2));
        assert_eq!(figure.verdict, Verdict::Missed);
    }
}
