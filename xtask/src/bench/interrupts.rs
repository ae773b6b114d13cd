//! Thousands of interrupts of agents that end in every way that looks like a failure. Not one may
//! be called one, neither at the end nor in any event on the way.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Figure, Verdict};
use crate::candor::Candor;

/// How many sessions live at the same time.
const AT_ONCE: usize = 8;

/// How long an agent may take until it is ready to be interrupted.
const READY_MAX: Duration = Duration::from_secs(10);

/// How often a worker looks for the file that says that its agent is ready.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How many sessions go by between two lines of progress.
const PROGRESS_EVERY: usize = 1_000;

/// What the agents do about SIGINT, as arguments of `fake-agent`.
const BEHAVIOURS: [(&str, &[&str]); 4] = [
    ("dies at once", &[]),
    ("exits 0", &["--on", "INT=exit:0"]),
    ("exits 130", &["--on", "INT=exit:130"]),
    ("reports an error and exits 1", &["--on", "INT=error:1"]),
];

pub(super) fn measure(candor: &Candor, count: usize) -> Result<Vec<Figure>> {
    let before = last_seq(candor)?;
    let sessions = Mutex::new(BTreeSet::new());
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let worker = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let session = interrupt_one(candor, number)?;
                let mut sessions = sessions.lock().expect("no worker panics with the lock");
                sessions.insert(session);
                if sessions.len().is_multiple_of(PROGRESS_EVERY) {
                    println!("{} of {count} interrupted", sessions.len());
                }
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let elapsed = start.elapsed();

    let sessions = sessions.into_inner().expect("no worker panics with the lock");
    let count_of = Counts::read(candor, before, &sessions)?;
    Ok(figures(count, &count_of, elapsed))
}

fn figures(count: usize, counts: &Counts, elapsed: Duration) -> Vec<Figure> {
    let judge = |right| if right { Verdict::Reached } else { Verdict::Wrong };
    vec![
        Figure {
            what: format!("{count} interrupts, {AT_ONCE} at once, completed/interrupted"),
            target: count.to_string(),
            measured: counts.interrupted.to_string(),
            verdict: judge(counts.interrupted == count),
        },
        Figure {
            what: "  events with the word failed".to_owned(),
            target: "0".to_owned(),
            measured: format!("{} of {}", counts.failed, counts.events),
            verdict: judge(counts.failed == 0),
        },
        Figure {
            what: "  time".to_owned(),
            target: String::new(),
            measured: format!("{:.1} s", elapsed.as_secs_f64()),
            verdict: Verdict::ForInformation,
        },
    ]
}

/// Launches an agent, interrupts it when it is ready, waits for its end, and returns its id.
fn interrupt_one(candor: &Candor, number: usize) -> Result<String> {
    let ready = candor.scratch(&format!("ready-{number}"));
    let (name, behaviour) = BEHAVIOURS[number % BEHAVIOURS.len()];
    let mut words = vec![candor.agent().as_os_str()];
    words.extend(behaviour.iter().map(|word| AsRef::<std::ffi::OsStr>::as_ref(*word)));
    words.extend(["--ready".as_ref(), ready.as_os_str(), "--hang".as_ref()]);
    let session = candor.launch(words)?;
    await_file(&ready).with_context(|| format!("agent {number}, which {name}"))?;
    candor.text(["interrupt", &session])?;
    // The exit code is not 0, because an interrupted session did not succeed; the events are read
    // at the end, so here the answer does not matter.
    candor.output(["wait", &session])?;
    fs::remove_file(&ready)?;
    Ok(session)
}

fn await_file(path: &Path) -> Result<()> {
    let start = Instant::now();
    while !path.exists() {
        ensure!(start.elapsed() < READY_MAX, "did not get ready: is `candor show` of any help?");
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Returns the number of the newest event.
fn last_seq(candor: &Candor) -> Result<u64> {
    let text = candor.text(["events", "--json"])?;
    let Some(line) = text.lines().last() else { return Ok(0) };
    let event: Value = serde_json::from_str(line).context("an event is no JSON")?;
    event["seq"].as_u64().context("an event has no seq")
}

/// What the event log says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    events: usize,
    /// Sessions of ours that ended as completed/interrupted.
    interrupted: usize,
    /// Events in which the word is, wherever it is.
    failed: usize,
}

impl Counts {
    fn read(candor: &Candor, after: u64, sessions: &BTreeSet<String>) -> Result<Self> {
        let mut child = candor
            .command(["events", "--json", "--after", &after.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start candor events")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let mut counts = Self::default();
        let mut ended = BTreeSet::new();
        for line in lines {
            counts.add(&line?, sessions, &mut ended)?;
        }
        ensure!(child.wait()?.success(), "candor events did not succeed");
        Ok(counts)
    }

    fn add(
        &mut self,
        line: &str,
        sessions: &BTreeSet<String>,
        ended: &mut BTreeSet<String>,
    ) -> Result<()> {
        let event: Value = serde_json::from_str(line).context("an event is no JSON")?;
        self.events += 1;
        self.failed += usize::from(line.contains("failed"));
        let session = event["session"].as_str().context("an event has no session")?;
        if event["to"] == "completed"
            && event["outcome"] == "interrupted"
            && sessions.contains(session)
            && ended.insert(session.to_owned())
        {
            self.interrupted += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::{Counts, Verdict, figures};

    fn counts(lines: &[&str]) -> Counts {
        let sessions = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let mut counts = Counts::default();
        let mut ended = BTreeSet::new();
        for line in lines {
            counts.add(line, &sessions, &mut ended).expect("the samples are events");
        }
        counts
    }

    #[test]
    fn each_session_of_ours_counts_once() {
        let ended = |session| {
            format!(r#"{{"session":"{session}","to":"completed","outcome":"interrupted"}}"#)
        };
        let found = counts(&[&ended("a"), &ended("a"), &ended("b"), &ended("stranger")]);
        assert_eq!(found, Counts { events: 4, interrupted: 2, failed: 0 });
    }

    #[test]
    fn a_moment_of_failure_counts_although_the_end_is_right() {
        let found = counts(&[
            r#"{"session":"a","to":"failed","outcome":"exit_code"}"#,
            r#"{"session":"a","to":"completed","outcome":"interrupted"}"#,
        ]);
        assert_eq!(found, Counts { events: 2, interrupted: 1, failed: 1 });
        let verdicts: Vec<_> =
            figures(1, &found, Duration::ZERO).iter().map(|figure| figure.verdict).collect();
        assert_eq!(verdicts, [Verdict::Reached, Verdict::Wrong, Verdict::ForInformation]);
    }
}
