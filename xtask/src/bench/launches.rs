//! 100 launches of `true`, one after the other, until all have ended and are durable.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Figure, Verdict};
use crate::candor::Candor;

const LAUNCHES: usize = 100;
const TARGET: Duration = Duration::from_secs(1);

pub(super) fn measure(candor: &Candor) -> Result<Vec<Figure>> {
    // The first launch pays for what every later one finds in memory.
    let warm_up = candor.launch(["true"])?;
    candor.text(["wait", &warm_up])?;

    let floor = floor()?;
    let start = Instant::now();
    let mut wait = vec!["wait".to_owned()];
    for _ in 0..LAUNCHES {
        wait.push(candor.launch(["true"])?);
    }
    let launched = start.elapsed();
    // Succeeds only if every one did.
    candor.text(&wait)?;
    let ended = start.elapsed();

    let ratio = ended.as_secs_f64() / floor.as_secs_f64();
    Ok(vec![
        Figure {
            what: format!("{LAUNCHES} launches of true, ended and durable"),
            target: format!("<= {:.1} s", TARGET.as_secs_f64()),
            measured: format!("{:.3} s", ended.as_secs_f64()),
            verdict: Verdict::of(ended <= TARGET),
        },
        Figure {
            what: "  of that, until the last launch had returned".to_owned(),
            target: String::new(),
            measured: format!("{:.3} s", launched.as_secs_f64()),
            verdict: Verdict::ForInformation,
        },
        Figure {
            what: format!("  floor: {LAUNCHES} × true by xargs -P8 -n1"),
            target: String::new(),
            measured: format!("{:.3} s, so candor takes {ratio:.1} ×", floor.as_secs_f64()),
            verdict: Verdict::ForInformation,
        },
    ])
}

/// Returns what the same number of processes takes with no daemon and no disk.
fn floor() -> Result<Duration> {
    let start = Instant::now();
    let mut xargs = Command::new("xargs")
        .args(["-P8", "-n1", "true"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start xargs: install findutils")?;
    let mut input = xargs.stdin.take().context("xargs has no standard input")?;
    for number in 1..=LAUNCHES {
        writeln!(input, "{number}")?;
    }
    drop(input);
    ensure!(xargs.wait()?.success(), "xargs did not succeed");
    Ok(start.elapsed())
}
