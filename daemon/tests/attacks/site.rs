//! A daemon that listens on the loopback interface, and requests by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Place;
use crate::support::wire::Reply;

/// How long a daemon may take to answer before a test takes it for hung.
const ANSWER_S: u64 = 30;

/// A place whose daemon listens.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) at: SocketAddr,
}

/// A browser that has logged in.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) page: String,
    /// With its name.
    pub(crate) cookie: String,
}

impl Login {
    /// Returns the lines of a head that show it.
    pub(crate) fn lines(&self) -> String {
        format!("Authorization: Bearer {}\r\nCookie: {}\r\n", self.page, self.cookie)
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::of(Place::new())
    }

    pub(crate) fn of(place: Place) -> Self {
        let (at, _code) = open(&place);
        Self { place, at }
    }

    /// Asks for a code to log in with.
    pub(crate) fn code(&self) -> String {
        let (at, code) = open(&self.place);
        assert_eq!(at, self.at);
        code
    }

    pub(crate) fn host(&self) -> String {
        self.at.to_string()
    }

    pub(crate) fn log_in(&self) -> Login {
        self.log_in_with(&self.code(), "").expect("a login")
    }

    /// Tries a code, with further lines of a head.
    pub(crate) fn log_in_with(&self, code: &str, lines: &str) -> Option<Login> {
        let lines = format!("Content-Type: application/json\r\n{lines}");
        let body = json!({ "code": code }).to_string();
        let reply = self.ask("POST", "/v1/web/login", &lines, body.as_bytes());
        if reply.status != 200 {
            reply.assert_problem(401, "not_authorized");
            return None;
        }
        let page = reply.json()["page_token"].as_str().unwrap().to_owned();
        let set = reply.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = set.and_then(|set| set.split(';').next()).unwrap_or_default().to_owned();
        Some(Login { page, cookie })
    }

    /// Sends a request with the right host, and reads the answer to its end.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, lines: &str, body: &[u8]) -> Reply {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{lines}\
             Content-Length: {}\r\n\r\n",
            self.host(),
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    /// Sends a request that has no body, and says nothing of one.
    #[track_caller]
    pub(crate) fn ask_without_body(&self, method: &str, path: &str, lines: &str) -> Reply {
        let host = self.host();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n");
        self.raw(head.as_bytes())
    }

    /// Sends bytes as they are, and reads until the daemon closes.
    #[track_caller]
    pub(crate) fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        // It may be refused before all of it was read.
        let _refused = stream.write_all(bytes);
        read(stream).expect("an answer")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_S))).unwrap();
        stream
    }

    /// Begins a stream, and returns it when its answer has begun.
    pub(crate) fn follow(&self, lines: &str) -> (TcpStream, String) {
        self.begin("/v1/events?follow=true", lines)
    }

    /// Asks for what may go on, and returns when its answer has begun.
    pub(crate) fn begin(&self, path: &str, lines: &str) -> (TcpStream, String) {
        let mut stream = self.connect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", self.host());
        stream.write_all(head.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        (stream, String::from_utf8(head).unwrap())
    }

    /// Returns the sessions that there are, as the socket tells.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        self.place.sessions()
    }
}

/// A request to launch that is right, but for whoever sends it.
pub(crate) fn launch() -> String {
    json!({
        "title": null, "command": ["true"], "cwd": "/", "environment": [["PATH", "/usr/bin:/bin"]],
        "umask": 0o22, "timeout_ms": null, "success_codes": [0],
    })
    .to_string()
}

fn open(place: &Place) -> (SocketAddr, String) {
    let said = place.run(["open", "--print"]).expect(0);
    let rest = said.stdout().trim().strip_prefix("http://").unwrap();
    let (at, code) = rest.split_once("/#code=").unwrap();
    (at.parse().unwrap(), code.to_owned())
}

/// Reads an answer until the daemon closes.
pub(crate) fn read(mut stream: TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    // A connection that is cut off after the answer has still brought it.
    let _cut = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head, body: bytes.split_off(end + 4) })
}
