//! What a session costs while nothing happens: the memory of its shim, and whether that stirs. In
//! the form that is published, since it decides how much of the program the shims share.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Pid;
use xshell::Shell;

use super::process::{number_of, shims_of, status_of};
use super::{Figure, Verdict};
use crate::candor::{Candor, Form};

/// Idle sessions whose memory is looked at, and of which it is seen whether they stir.
const MEASURED: usize = 50;
const WATCHED: usize = 200;

/// What one shim may hold for itself, and its part of what they all hold, in kilobytes.
const PRIVATE_MAX_KB: u64 = 250;
const PROPORTIONAL_MAX_KB: u64 = 400;

/// How long a launch may be busy with itself before it counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

const IDLE: Duration = Duration::from_secs(10);

pub(super) fn measure(shell: &Shell) -> Result<Vec<Figure>> {
    let candor = Candor::build(shell, Form::Shipped)?;
    candor.text(["daemon", "start"])?;
    let mut sessions = Vec::with_capacity(WATCHED);
    let mut launch = |count: usize| -> Result<Vec<Pid>> {
        while sessions.len() < count {
            sessions.push(candor.launch(["sleep", "3600"])?);
        }
        thread::sleep(SETTLE);
        let shims: Vec<_> = shims_of(&sessions)?.into_values().collect();
        ensure!(shims.len() == count, "{count} sessions have {} shims", shims.len());
        Ok(shims)
    };
    let mut figures = memory(&launch(MEASURED)?)?;
    figures.push(wake_ups(&launch(WATCHED)?)?);
    Ok(figures)
}

fn memory(shims: &[Pid]) -> Result<Vec<Figure>> {
    let count = shims.len();
    let (mut private, mut proportional, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for &shim in shims {
        let number = |name| number_of(shim, "smaps_rollup", name);
        private.push(number("Private_Clean")? + number("Private_Dirty")?);
        proportional.push(number("Pss")?);
        resident.push(number("Rss")?);
    }
    let median = |numbers: &mut Vec<u64>| {
        numbers.sort_unstable();
        (numbers[numbers.len() / 2], numbers[numbers.len() - 1])
    };
    let bounded = |what: String, numbers: &mut Vec<u64>, max: u64| {
        let (median, most) = median(numbers);
        Figure {
            what,
            target: format!("<= {max} kB"),
            measured: format!("{median} kB (most: {most} kB)"),
            verdict: Verdict::of(median <= max),
        }
    };
    let what = format!("shim of one of {count} idle sessions, memory of its own (USS), median");
    let (median_kb, _) = median(&mut resident);
    Ok(vec![
        bounded(what, &mut private, PRIVATE_MAX_KB),
        bounded(
            "  with its part of the shared (PSS)".into(),
            &mut proportional,
            PROPORTIONAL_MAX_KB,
        ),
        Figure {
            what: "  with all that is shared (RSS)".to_owned(),
            target: String::new(),
            measured: format!("{median_kb} kB"),
            verdict: Verdict::ForInformation,
        },
    ])
}

fn wake_ups(shims: &[Pid]) -> Result<Figure> {
    let switches = || -> Result<u64> {
        let both = shims.iter().flat_map(|&shim| {
            ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
                .map(|name| status_of(shim, name))
        });
        both.sum()
    };
    let before = switches()?;
    thread::sleep(IDLE);
    let woken = switches()? - before;
    Ok(Figure {
        what: format!("  wake-ups of {} shims in {} s", shims.len(), IDLE.as_secs()),
        target: "0".to_owned(),
        measured: woken.to_string(),
        verdict: Verdict::of(woken == 0),
    })
}
