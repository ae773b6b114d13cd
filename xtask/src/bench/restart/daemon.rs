//! A daemon that can be killed at any moment, and asked without the time that a `candor` takes to
//! start.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::candor::Candor;

/// How often it is tried to connect with a daemon that is about to listen, which nobody tells.
const CONNECT_EACH: Duration = Duration::from_millis(1);

/// How long a daemon may take to listen, and to answer then, before it counts as broken.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Sessions in one answer, at most. More than a run of the benchmark makes.
const LIMIT: usize = 100_000;

/// A child of this process. Dropped, it is killed, and its sessions go on.
pub(super) struct Daemon<'candor> {
    candor: &'candor Candor,
    child: Child,
    started: Instant,
}

impl<'candor> Daemon<'candor> {
    /// Starts one, which does not serve yet.
    pub(super) fn start(candor: &'candor Candor) -> Result<Self> {
        let log = OpenOptions::new().append(true).create(true).open(candor.scratch("log"))?;
        let started = Instant::now();
        let child = candor.command(["daemon", "run"]).stdout(Stdio::null()).stderr(log).spawn()?;
        Ok(Self { candor, child, started })
    }

    /// Returns how long ago it was started.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Kills it with `SIGKILL`.
    pub(super) fn kill(mut self) -> Result<()> {
        let status = self.child.try_wait()?;
        ensure!(status.is_none(), "the daemon has left by itself: {status:?}");
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks for the sessions with these statuses, separated by commas, or for all.
    pub(super) fn sessions(&mut self, statuses: &str) -> Result<Vec<Value>> {
        let path = format!("/v1/sessions?limit={LIMIT}&status={statuses}");
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: candor\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("the daemon does not answer")?;
        serde_json::from_slice(body(&answer)?).context("the daemon answered no JSON")
    }

    fn connect(&mut self) -> Result<UnixStream> {
        let start = Instant::now();
        loop {
            if let Ok(stream) = UnixStream::connect(self.candor.socket()) {
                return Ok(stream);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon has left ({status}): see {}", self.log().display());
            }
            ensure!(start.elapsed() < ANSWER_MAX, "the daemon does not listen");
            thread::sleep(CONNECT_EACH);
        }
    }

    fn log(&self) -> PathBuf {
        self.candor.scratch("log")
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It has left already where this fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the body of a whole answer that is good.
fn body(answer: &[u8]) -> Result<&[u8]> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";

    let head = answer.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD);
    let (head, body) = answer.split_at(head.context("the answer is cut off")?);
    ensure!(head.starts_with(b"HTTP/1.1 200 "), "it answered: {}", String::from_utf8_lossy(answer));
    Ok(&body[END_OF_HEAD.len()..])
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn only_a_good_answer_has_a_body() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";
        assert_eq!(body(answer).expect("it is good"), b"[]");
        assert!(body(b"HTTP/1.1 503 Service Unavailable\r\n\r\n[]").is_err());
        assert!(body(b"HTTP/1.1 200 OK\r\n").is_err());
    }
}
