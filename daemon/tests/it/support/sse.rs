//! A client of server-sent events, by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::wire;

/// What came between two empty lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// An open stream, read when it is asked for a frame and not before.
pub(crate) struct Sse {
    reader: BufReader<UnixStream>,
    /// The head of the answer, in small letters.
    pub(crate) head: String,
    /// What was read of the body and not cut into lines yet.
    body: Vec<u8>,
    is_ended: bool,
    /// How many comments there were.
    pub(crate) comments: usize,
}

impl Sse {
    /// Asks for a path, and says which event was the last.
    #[track_caller]
    pub(crate) fn open(home: &Path, path: &str, last_event_id: Option<u64>) -> Self {
        let stream = Self::try_open(home, path, last_event_id);
        assert!(stream.head.contains("200 ok"), "{}", stream.head);
        assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
        stream
    }

    /// The same, whatever the answer is.
    pub(crate) fn try_open(home: &Path, path: &str, last_event_id: Option<u64>) -> Self {
        let id = last_event_id.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let mut stream = wire::connect(home);
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{id}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "no answer");
        }
        let head = head.to_lowercase();
        Self { reader, head, body: Vec::new(), is_ended: false, comments: 0 }
    }

    /// Returns the next frame, or `None` when the body has ended.
    ///
    /// # Errors
    ///
    /// When it was broken off.
    pub(crate) fn try_next(&mut self) -> std::io::Result<Option<Frame>> {
        let mut frame = Frame { id: None, event: String::new(), data: Value::Null };
        let mut has_any = false;
        loop {
            let Some(line) = self.line()? else {
                assert!(!has_any, "half a frame: {frame:?}");
                return Ok(None);
            };
            if line.is_empty() {
                if has_any {
                    return Ok(Some(frame));
                }
            } else if line.starts_with(':') {
                self.comments += 1;
            } else {
                has_any = true;
                let (name, value) = line.split_once(": ").unwrap();
                match name {
                    "id" => frame.id = Some(value.parse().unwrap()),
                    "event" => value.clone_into(&mut frame.event),
                    "data" => frame.data = serde_json::from_str(value).unwrap(),
                    _ => panic!("a line that nobody expects: {line}"),
                }
            }
        }
    }

    /// Returns the next frame.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Frame {
        self.try_next().unwrap().expect("a frame")
    }

    /// Reads until a frame fits, and returns all up to it.
    #[track_caller]
    pub(crate) fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next();
            let fits = wanted(&frame);
            frames.push(frame);
            if fits {
                return frames;
            }
        }
    }

    /// Returns when a comment has come.
    pub(crate) fn await_comment(&mut self) {
        let before = self.comments;
        while self.comments == before {
            let line = self.line().unwrap().expect("a line");
            self.comments += usize::from(line.starts_with(':'));
        }
    }

    fn line(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some(end) = self.body.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.body.drain(..=end).collect();
                line.pop();
                return Ok(Some(String::from_utf8(line).unwrap()));
            }
            if self.is_ended {
                return Ok(None);
            }
            self.read_piece()?;
        }
    }

    /// Reads one piece of the chunked encoding.
    ///
    /// Source: RFC 9112, section 7.1.
    fn read_piece(&mut self) -> std::io::Result<()> {
        let mut size = String::new();
        if self.reader.read_line(&mut size)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let begin = self.body.len();
        self.body.resize(begin + size, 0);
        self.reader.read_exact(&mut self.body[begin..])?;
        let mut end = [0; 2];
        self.reader.read_exact(&mut end)?;
        self.is_ended = size == 0;
        Ok(())
    }
}
