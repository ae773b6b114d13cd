//! The time from a child's exit to the return of `candor wait`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Figure, Verdict, stamp};
use crate::candor::Candor;

const ROUNDS: usize = 50;
const TARGET: Duration = Duration::from_millis(5);

/// How long the child lives: long enough for `candor wait` to be waiting before the end.
const CHILD_MS: &str = "150";

pub(super) fn measure(candor: &Candor) -> Result<Vec<Figure>> {
    let child = std::env::current_exe().context("xtask does not know its own path")?;
    let file = candor.scratch("stamp");
    let mut latencies = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let words = [child.as_os_str(), stamp::VERB.as_ref(), file.as_ref(), CHILD_MS.as_ref()];
        let session = candor.launch(words)?;
        let output = candor.output(["wait", &session])?;
        let returned_ns = stamp::now_ns();
        ensure!(output.status.success(), "the child of a round did not succeed: {output:?}");
        let exited_ns: u128 = fs::read_to_string(&file)?.parse()?;
        let latency_ns = returned_ns.saturating_sub(exited_ns);
        latencies.push(Duration::from_nanos(u64::try_from(latency_ns)?));
    }
    latencies.sort_unstable();

    let median = percentile(&latencies, 50);
    let last = percentile(&latencies, 99);
    Ok(vec![
        Figure {
            what: format!("child's exit to candor wait returning, median of {ROUNDS}"),
            target: format!("<= {} ms", TARGET.as_millis()),
            measured: milliseconds(median),
            verdict: Verdict::of(median <= TARGET),
        },
        Figure {
            what: "  99th percentile".to_owned(),
            target: String::new(),
            measured: milliseconds(last),
            verdict: Verdict::ForInformation,
        },
    ])
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

/// Returns the smallest of `sorted`, which is not empty, that `percent` of all do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::percentile;

    #[test]
    fn percentiles_are_members_of_the_sample() {
        let sample: Vec<_> = (1..=50).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sample, 50), Duration::from_millis(25));
        assert_eq!(percentile(&sample, 99), Duration::from_millis(50));
        assert_eq!(percentile(&sample[..1], 50), Duration::from_millis(1));
    }
}
