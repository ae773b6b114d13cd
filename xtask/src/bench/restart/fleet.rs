//! The agents whose daemon is killed, what each of them does in the end, and what it left behind.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::agent;
use crate::candor::Candor;

/// What an agent writes into its folder: a line at each start, and how many lines it wrote.
pub(super) const STARTS: &str = "starts";
pub(super) const LINES: &str = "lines";

/// The file by which it is told to end.
pub(super) const TOLD: &str = "told";

/// How long an agent may take to end once it was told.
const END_MAX: Duration = Duration::from_secs(60);

/// How often it is looked for what an agent writes in the end. Nobody tells of a file.
const LOOK_EACH: Duration = Duration::from_millis(5);

/// Signals that agents end by, all of which kill, with their names.
const SIGNALS: [(i32, &str); 4] = [(1, "SIGHUP"), (9, "SIGKILL"), (10, "SIGUSR1"), (15, "SIGTERM")];

/// One in so many agents ends by a signal.
const SIGNAL_EACH: usize = 5;

/// How an agent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Code(u8),
    Signal(i32),
}

impl End {
    /// Gives each number an end: all exit codes, and some signals between them.
    fn of(number: usize) -> Self {
        if number % SIGNAL_EACH == SIGNAL_EACH - 1 {
            return Self::Signal(SIGNALS[number / SIGNAL_EACH % SIGNALS.len()].0);
        }
        // The remainder is below 256.
        Self::Code(u8::try_from(number % 256).unwrap_or_default())
    }

    /// Reads what [`Self::text`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("code", code) => code.parse().ok().map(Self::Code),
            ("signal", signal) => signal.parse().ok().map(Self::Signal),
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Code(code) => format!("code:{code}"),
            Self::Signal(signal) => format!("signal:{signal}"),
        }
    }

    /// Whether this is what is told of a session.
    fn is_told_by(self, session: &Value) -> bool {
        let status = if self == Self::Code(0) { "completed" } else { "failed" };
        let exit = match self {
            Self::Code(code) => json!({ "code": code }),
            Self::Signal(number) => {
                let name = SIGNALS.iter().find(|(known, _)| *known == number);
                json!({ "signal": name.map(|(_, name)| name), "core_dumped": false })
            }
        };
        session["status"] == status && session["exit"] == exit
    }
}

/// One session, and what is known of it beside the daemon.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) session: String,
    folder: PathBuf,
    end: End,
}

impl Agent {
    /// Launches agent `number`, which ends after `lines_max` lines, or when it is told where that is 0.
    pub(super) fn launch(candor: &Candor, number: usize, lines_max: u64) -> Result<Self> {
        let folder = candor.scratch(&format!("agent-{number}"));
        fs::create_dir(&folder)?;
        let end = End::of(number);
        let xtask = std::env::current_exe().context("xtask does not know its own path")?;
        let (lines_max, text) = (lines_max.to_string(), end.text());
        let session = candor.launch([
            xtask.as_os_str(),
            agent::VERB.as_ref(),
            folder.as_os_str(),
            lines_max.as_ref(),
            text.as_ref(),
        ])?;
        Ok(Self { session, folder, end })
    }

    /// Tells it to end. It does so at its next line.
    pub(super) fn tell_to_end(&self) -> Result<()> {
        Ok(fs::write(self.folder.join(TOLD), "")?)
    }

    /// Waits until it has written its last line.
    pub(super) fn await_last_line(&self) -> Result<()> {
        let start = Instant::now();
        while !self.folder.join(LINES).exists() {
            ensure!(start.elapsed() < END_MAX, "{} does not end", self.session);
            thread::sleep(LOOK_EACH);
        }
        Ok(())
    }

    /// Returns how often it was started more than once.
    pub(super) fn duplicates(&self) -> Result<usize> {
        let starts = fs::read_to_string(self.folder.join(STARTS))?;
        Ok(starts.lines().count().saturating_sub(1))
    }

    /// Whether it ended as the daemon tells.
    pub(super) fn ended_as(&self, session: &Value) -> bool {
        self.end.is_told_by(session)
    }

    /// Returns how many bytes differ between its output and what it wrote.
    pub(super) fn bytes_wrong(&self, candor: &Candor) -> Result<usize> {
        let lines: u64 = fs::read_to_string(self.folder.join(LINES))?.parse()?;
        let expected: String = (1..=lines).map(agent::line).collect();
        let logs = candor.output(["logs", &self.session])?;
        ensure!(logs.status.success(), "candor logs {} failed: {logs:?}", self.session);
        Ok(difference(&logs.stdout, expected.as_bytes()))
    }
}

/// Returns how many bytes of the longer are not the other's, from the first one that differs on.
fn difference(one: &[u8], other: &[u8]) -> usize {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    one.len().max(other.len()) - same
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{End, difference};

    #[test]
    fn ends_come_across() {
        for number in 0..1_000 {
            let end = End::of(number);
            assert_eq!(End::parse(&end.text()), Some(end));
        }
        assert_eq!(End::parse("code:256"), None);
        assert_eq!(End::parse("lost"), None);
    }

    #[test]
    fn only_the_true_end_is_taken() {
        let failed = |exit| json!({ "status": "failed", "exit": exit });
        assert!(End::Code(7).is_told_by(&failed(json!({ "code": 7 }))));
        assert!(!End::Code(7).is_told_by(&failed(json!({ "code": 8 }))));
        assert!(!End::Code(0).is_told_by(&failed(json!({ "code": 0 }))));
        let killed = failed(json!({ "signal": "SIGKILL", "core_dumped": false }));
        assert!(End::Signal(9).is_told_by(&killed));
        assert!(!End::Code(137).is_told_by(&killed));
        assert!(!End::Code(7).is_told_by(&json!({ "status": "lost", "exit": null })));
    }

    #[test]
    fn bytes_that_are_lost_or_repeated_count() {
        assert_eq!(difference(b"abc", b"abc"), 0);
        assert_eq!(difference(b"ab", b"abc"), 1);
        assert_eq!(difference(b"abab", b"ab"), 2);
        assert_eq!(difference(b"", b""), 0);
    }
}
