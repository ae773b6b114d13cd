//! The time from a child's exit to the return of `candor wait`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::sample::{Sample, milliseconds};
use super::{Figure, Verdict, stamp};
use crate::candor::Candor;

const ROUNDS: usize = 50;
const TARGET: Duration = Duration::from_millis(5);

/// How long the child lives: long enough for `candor wait` to be waiting before the end.
const CHILD_MS: &str = "150";

pub(super) fn measure(candor: &Candor) -> Result<Vec<Figure>> {
    let child = std::env::current_exe().context("xtask does not know its own path")?;
    let file = candor.scratch("stamp");
    let mut latencies = Sample::default();
    for _ in 0..ROUNDS {
        let words = [child.as_os_str(), stamp::VERB.as_ref(), file.as_ref(), CHILD_MS.as_ref()];
        let session = candor.launch(words)?;
        let output = candor.output(["wait", &session])?;
        let returned_ns = stamp::now_ns();
        ensure!(output.status.success(), "the child of a round did not succeed: {output:?}");
        let exited_ns: u128 = fs::read_to_string(&file)?.parse()?;
        let latency_ns = returned_ns.saturating_sub(exited_ns);
        latencies.add(Duration::from_nanos(u64::try_from(latency_ns)?));
    }

    let median = latencies.median();
    let last = latencies.percentile(99);
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
