//! The page in a real browser: how soon it is there, and how even it moves.

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::Shell;

use super::{Figure, Verdict};
use crate::browser;

/// The figures: by which name the measurement prints each, what it is, and what it must not pass.
const FIGURES: [(&str, &str, f64, &str); 4] = [
    ("first_view_ms", "page: first view with 1,000 sessions", 300.0, "ms"),
    ("longest_gap_ms", "page: longest gap of frames at 100 changes a second", 50.0, "ms"),
    ("commit_to_frame_ms", "page: from the commit to the frame that shows it, median", 50.0, "ms"),
    ("weight_kb", "page: weight", 200.0, "kB"),
];

pub(super) fn measure(shell: &Shell) -> Result<Vec<Figure>> {
    let Some(measured) = browser::measure(shell)? else {
        println!(
            "page: skipped, since node, Chromium or `cargo xtask browser --install` is missing"
        );
        return Ok(Vec::new());
    };
    FIGURES
        .iter()
        .map(|&(name, what, target, unit)| {
            let value = measured.get(name).and_then(Value::as_f64);
            let value = value.with_context(|| format!("the measurement has no {name}"))?;
            Ok(Figure {
                what: what.to_owned(),
                target: format!("{target:.0} {unit}"),
                measured: format!("{value:.1} {unit}"),
                verdict: Verdict::of(value <= target),
            })
        })
        .collect()
}
