//! The daemon with a thousand ended sessions and nothing to do: what it holds, and whether it
//! stirs. Read from /proc, so on Linux alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::field;
use super::{Figure, Verdict};
use crate::candor::Candor;

/// How many ended sessions there must be at least.
const SESSIONS: u64 = 1_000;

const RESIDENT_MAX_KB: u64 = 20 * 1_024;

/// How long the daemon may take to finish what the last session left, before it counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

const IDLE: Duration = Duration::from_secs(10);

/// What /proc says about the daemon at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    resident_kb: u64,
    /// How often any of its threads has been put to sleep or set aside.
    switches: u64,
    /// User and system time, in clock ticks.
    ticks: u64,
}

pub(super) fn measure(candor: &Candor) -> Result<Vec<Figure>> {
    let status = candor.status()?;
    let pid = status["pid"].as_u64().context("candor daemon status --json has no pid")?;
    let process = PathBuf::from(format!("/proc/{pid}"));
    if !process.is_dir() {
        println!("idle: not measured, because this system has no /proc");
        return Ok(Vec::new());
    }
    let sessions = fill_up(candor)?;
    thread::sleep(SETTLE);
    let before = Reading::take(&process)?;
    thread::sleep(IDLE);
    let after = Reading::take(&process)?;

    let switches = after.switches.saturating_sub(before.switches);
    let ticks = after.ticks.saturating_sub(before.ticks);
    let seconds = IDLE.as_secs();
    Ok(vec![
        Figure {
            what: format!("idle daemon, {sessions} ended sessions, resident memory"),
            target: format!("< {} MB", RESIDENT_MAX_KB / 1_024),
            measured: format!("{:.1} MB", megabytes(after.resident_kb)),
            verdict: Verdict::of(after.resident_kb < RESIDENT_MAX_KB),
        },
        Figure {
            what: format!("  wake-ups in {seconds} s"),
            target: "0".to_owned(),
            measured: switches.to_string(),
            verdict: Verdict::of(switches == 0),
        },
        Figure {
            what: format!("  processor time in {seconds} s"),
            target: "0 ticks".to_owned(),
            measured: format!("{ticks} ticks"),
            verdict: Verdict::of(ticks == 0),
        },
    ])
}

#[expect(clippy::cast_precision_loss, reason = "it is printed with one digit")]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1_024.0
}

/// Makes sure that there are enough ended sessions, and returns how many there are.
fn fill_up(candor: &Candor) -> Result<u64> {
    let status = candor.status()?;
    let counts = status["sessions"].as_object().context("the daemon counts no sessions")?;
    let count: u64 = counts.values().filter_map(serde_json::Value::as_u64).sum();
    let mut wait = vec!["wait".to_owned()];
    for _ in count..SESSIONS {
        wait.push(candor.launch(["true"])?);
    }
    if wait.len() > 1 {
        candor.text(&wait)?;
    }
    Ok(count.max(SESSIONS))
}

impl Reading {
    fn take(process: &Path) -> Result<Self> {
        let mut reading = Self::default();
        let stat = fs::read_to_string(process.join("stat"))?;
        reading.ticks = ticks(&stat).context("/proc/PID/stat has another form")?;
        let status = fs::read_to_string(process.join("status"))?;
        reading.resident_kb = field(&status, "VmRSS").context("/proc/PID/status has no VmRSS")?;
        for thread in fs::read_dir(process.join("task"))? {
            // A thread may end between the two calls, and then it stirs no more.
            let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
            reading.switches += field(&status, "voluntary_ctxt_switches").unwrap_or(0)
                + field(&status, "nonvoluntary_ctxt_switches").unwrap_or(0);
        }
        Ok(reading)
    }
}

/// Returns utime + stime, fields 14 and 15. The second field is the program's name in brackets,
/// which may hold blanks and brackets itself.
///
/// Source: `proc_pid_stat(5)`.
pub(super) fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn ticks_are_found_after_a_name_with_brackets() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 100 0 0 0 30 12 0 0 20 0 4 0 1";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("42 (a"), None);
    }
}
