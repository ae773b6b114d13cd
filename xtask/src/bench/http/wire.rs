//! HTTP by hand, on the daemon's socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How long a daemon may take to answer before it counts as broken.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Asks, and returns the whole answer, its head included.
pub(super) fn ask(socket: &Path, path: &str) -> Result<Vec<u8>> {
    let mut stream = open(socket, path, "Connection: close\r\n")?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the daemon does not answer")?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "it answered: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(answer)
}

/// Opens a stream of server-sent events after a place. Nothing of the answer is read yet.
pub(super) fn follow(socket: &Path, after: u64, view: &str) -> Result<UnixStream> {
    let path = format!("/v1/events?after={after}{view}");
    open(socket, &path, "Accept: text/event-stream\r\n")
}

fn open(socket: &Path, path: &str, header: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).context("cannot reach the daemon")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}
