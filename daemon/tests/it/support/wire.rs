//! HTTP by hand, on the daemon's socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The head, in small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks that it is a problem of this status and type, with a sentence.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:candor:problem:{kind}"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends a request and reads the answer to its end.
#[track_caller]
pub(crate) fn ask(home: &Path, method: &str, path: &str, body: &[u8]) -> Reply {
    try_ask(home, method, path, body).expect("an answer")
}

/// The same, from a daemon that may die meanwhile: then there is no whole answer.
pub(crate) fn try_ask(home: &Path, method: &str, path: &str, body: &[u8]) -> Option<Reply> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = UnixStream::connect(home.join("candor.sock")).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    // A body that is too long is refused before all of it is read.
    let _refused = stream.write_all(body);
    read(stream)
}

/// Connects to the daemon.
pub(crate) fn connect(home: &Path) -> UnixStream {
    UnixStream::connect(home.join("candor.sock")).unwrap()
}

/// Reads the answer to a request that asked for the connection to be closed.
#[track_caller]
pub(crate) fn answer(stream: UnixStream) -> Reply {
    read(stream).expect("an answer")
}

fn read(mut stream: UnixStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    // A connection that is cut off after the answer has still brought it.
    let _cut = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head, body: bytes.split_off(end + 4) })
}
