//! What only the adapters themselves can tell: a launch with a shim beside one without, the end of a
//! large family beside the same by hand, and a long conversation. It runs `adapters/examples/figures`, in the form that
//! is published.

use std::path::PathBuf;
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

/// Processes in one family.
const FAMILY: usize = 1_000;

/// How much longer its end may take than by hand, as a factor.
const END_MAX: f64 = 1.5;

pub(super) fn measure_launches(shell: &Shell) -> Result<Vec<Figure>> {
    let example = build(shell)?;
    let what = format!("launch with a shim, longer than without, medians of {LAUNCHES}");
    let figures = run(Command::new(&example).args(["launches", &LAUNCHES.to_string()]))?;
    let mut all = vec![longer(what, &figures, "shim_ns")?];
    // A launch with a shim changes hands more often, and on a busy machine each waits for its turn.
    let mut first = Command::new("chrt");
    first.args(["--rr", "1"]).arg(&example).args(["launches", &LAUNCHES.to_string()]);
    match run(&mut first) {
        Ok(figures) => {
            let what = "  ahead of all other programs (chrt --rr)".to_owned();
            all.push(longer(what, &figures, "shim_ns")?);
            let what = "  the same without a cgroup".to_owned();
            all.push(longer(what, &figures, "shim_without_cgroup_ns")?);
        }
        Err(error) => println!("not measured ahead of other programs: {error:#}"),
    }
    Ok(all)
}

fn longer(what: String, figures: &Value, name: &str) -> Result<Figure> {
    let (direct, shim) = (sample(figures, "direct_ns")?, sample(figures, name)?);
    let longer = shim.median().saturating_sub(direct.median());
    Ok(Figure {
        what,
        target: format!("<= {} ms", LONGER_MAX.as_millis()),
        measured: format!(
            "{} ({} to {})",
            milliseconds(longer),
            milliseconds(shim.median()),
            milliseconds(direct.median())
        ),
        verdict: Verdict::of(longer <= LONGER_MAX),
    })
}

pub(super) fn measure_tree(shell: &Shell) -> Result<Vec<Figure>> {
    let figures = run(Command::new(build(shell)?).args(["tree", &FAMILY.to_string()]))?;
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

/// Pieces of a long conversation.
const ITEMS: usize = 100_000;

/// How long its first page may take.
const PAGE_MAX: Duration = Duration::from_millis(10);

/// How long a search through it may take.
const SEARCH_MAX: Duration = Duration::from_millis(50);

pub(super) fn measure_conversations(shell: &Shell) -> Result<Vec<Figure>> {
    let figures = run(Command::new(build(shell)?).args(["conversations", &ITEMS.to_string()]))?;
    let figure = |what: String, name: &str, target| {
        sample(&figures, name).map(|it| it.figure(&what, target))
    };
    let mut all = vec![
        figure(format!("first page of {ITEMS} messages"), "first_page_ns", PAGE_MAX)?,
        figure("  a page from the middle".to_owned(), "middle_page_ns", PAGE_MAX)?,
    ];
    for (name, what) in [
        ("rare", "a rare word"),
        ("frequent", "the most frequent word"),
        ("beginning", "the beginning of many words"),
        ("two", "two words"),
        ("several", "three words"),
        ("phrase", "a phrase"),
        ("exclusion", "a word without another"),
    ] {
        let one = format!("  search for {what}");
        all.push(figure(one, &format!("search_{name}_one_ns"), SEARCH_MAX)?);
        let both = "    in two such conversations".to_owned();
        all.push(figure(both, &format!("search_{name}_all_ns"), SEARCH_MAX)?);
    }
    let filled = figures["fill_ns"].as_u64().context("there is no fill_ns")?;
    all.push(Figure {
        what: "  all of them put down".to_owned(),
        target: String::new(),
        measured: milliseconds(Duration::from_nanos(filled)),
        verdict: Verdict::ForInformation,
    });
    Ok(all)
}

/// Returns the example.
fn build(shell: &Shell) -> Result<PathBuf> {
    let built = dist::build(shell, &["--package", "candor-adapters", "--example", "figures"])?;
    Ok(built.join("examples/figures"))
}

fn run(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
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
