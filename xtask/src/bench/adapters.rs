//! What only the adapters themselves can tell: a launch with a shim beside one without, and the end
//! of a large family beside the same by hand. It runs `adapters/examples/figures`, in the form that
//! is published.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::Shell;

use super::sample::{Sample, milliseconds};
use super::{Figure, Verdict};
use crate::dist;

/// Launches with each spawner.
const LAUNCHES: usize = 200;

/// How much longer one with a shim may take.
const LONGER_MAX: Duration = Duration::from_millis(5);

/// Where the quickest ones end, in percent of all.
const QUICK_PERCENT: usize = 10;

/// Processes in one family.
const FAMILY: usize = 1_000;

/// How much longer its end may take than by hand, as a factor.
const END_MAX: f64 = 1.5;

pub(super) fn measure_launches(shell: &Shell) -> Result<Vec<Figure>> {
    let figures = run(shell, "launches", LAUNCHES)?;
    let direct = sample(&figures, "direct_ns")?;
    let shim = sample(&figures, "shim_ns")?;
    let longer = shim.median().saturating_sub(direct.median());
    let quick = |sample: &Sample| sample.percentile(QUICK_PERCENT);
    let quick_longer = quick(&shim).saturating_sub(quick(&direct));
    Ok(vec![
        Figure {
            what: format!("launch with a shim, longer than without, medians of {LAUNCHES}"),
            target: format!("<= {} ms", LONGER_MAX.as_millis()),
            measured: format!(
                "{} ({} to {})",
                milliseconds(longer),
                milliseconds(shim.median()),
                milliseconds(direct.median())
            ),
            verdict: Verdict::of(longer <= LONGER_MAX),
        },
        Figure {
            what: "  the quickest tenth, which a busy machine disturbs least".to_owned(),
            target: String::new(),
            measured: format!(
                "{} ({} to {})",
                milliseconds(quick_longer),
                milliseconds(quick(&shim)),
                milliseconds(quick(&direct))
            ),
            verdict: Verdict::ForInformation,
        },
    ])
}

pub(super) fn measure_tree(shell: &Shell) -> Result<Vec<Figure>> {
    let figures = run(shell, "tree", FAMILY)?;
    let session = sample(&figures, "session_ns")?;
    let without = sample(&figures, "session_without_cgroup_ns")?;
    let told = sample(&figures, "told_ns")?;
    let told_without = sample(&figures, "told_without_cgroup_ns")?;
    let by_cgroup = sample(&figures, "cgroup_kill_ns")?;
    let by_sweep = sample(&figures, "sweep_ns")?;
    let compared = |what: String, session: &Sample, by_hand: &Sample, name: &str| {
        let ratio = session.median().as_secs_f64() / by_hand.median().as_secs_f64();
        Figure {
            what,
            target: format!("<= {END_MAX:.1} × {name}"),
            measured: format!(
                "{ratio:.2} × ({} to {})",
                milliseconds(session.median()),
                milliseconds(by_hand.median())
            ),
            verdict: Verdict::of(ratio <= END_MAX),
        }
    };
    let what = format!("{FAMILY} processes of a session gone, median of {}", session.len());
    let until_told = |told: &Sample| Figure {
        what: "  until the end of the session is told".to_owned(),
        target: String::new(),
        measured: milliseconds(told.median()),
        verdict: Verdict::ForInformation,
    };
    // Where there is no cgroup to be had, the session has none either.
    let (by_hand, name) = match by_cgroup.len() {
        0 => (&by_sweep, "killpg and sweep"),
        _ => (&by_cgroup, "cgroup.kill"),
    };
    Ok(vec![
        compared(what, &session, by_hand, name),
        until_told(&told),
        compared("  without a cgroup".into(), &without, &by_sweep, "killpg and sweep"),
        until_told(&told_without),
    ])
}

fn run(shell: &Shell, what: &str, count: usize) -> Result<Value> {
    let built = dist::build(shell, &["--package", "candor-adapters", "--example", "figures"])?;
    let mut command = Command::new(built.join("examples/figures"));
    let output = command.args([what, &count.to_string()]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the example ended with {}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).context("the example printed no JSON")
}

fn sample(figures: &Value, name: &str) -> Result<Sample> {
    let numbers = figures[name].as_array().with_context(|| format!("there is no {name}"))?;
    let mut sample = Sample::new();
    for number in numbers {
        sample.add(Duration::from_nanos(number.as_u64().context("no number")?));
    }
    Ok(sample)
}
