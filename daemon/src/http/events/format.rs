//! How events look on the wire.

use std::io::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use candor_core::ports::ReadError;

use super::reader::{Piece, Reader};
use crate::api::ResetView;
use crate::serve::ReadyEvent;

/// How a client wants its events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// A line of JSON each.
    Lines,
    /// Server-sent events.
    ///
    /// Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
    ServerSent,
}

impl Format {
    const LINES: &'static str = "application/x-ndjson";
    const SERVER_SENT: &'static str = "text/event-stream";

    /// Returns what a request asks for: lines, unless it wants server-sent events.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accepts =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = accepts.flat_map(|value| value.split(','));
        let is_server_sent = |media: &str| {
            let name = media.split(';').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case(Self::SERVER_SENT)
        };
        if types.any(is_server_sent) { Self::ServerSent } else { Self::Lines }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Lines => Self::LINES,
            Self::ServerSent => Self::SERVER_SENT,
        }
    }

    /// Returns the next bytes of an answer and whether they are the last, or `None` when there are
    /// no more.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the daemon leaves while a client follows whose format has
    /// no word for it: the answer is broken off then, since more will follow at the next daemon.
    pub(super) async fn next_chunk(
        self,
        reader: &mut Reader,
    ) -> Result<Option<(Bytes, bool)>, ReadError> {
        loop {
            let Some(piece) = reader.next().await? else { return Ok(None) };
            let mut chunk = Vec::new();
            match (self, piece) {
                (Self::Lines, Piece::Quiet) => continue,
                (Self::Lines, Piece::Left) => {
                    // What breaks off an answer also throws away what of it was not sent yet. While
                    // nothing is to be had here, it is sent.
                    tokio::task::yield_now().await;
                    return Err(ReadError::Unavailable { reason: "the daemon leaves".to_owned() });
                }
                (Self::ServerSent, Piece::Quiet) => chunk.extend_from_slice(b": keep-alive\n\n"),
                (Self::ServerSent, Piece::Left) => {
                    return Ok(Some((Bytes::from_static(b"event: bye\ndata: {}\n\n"), true)));
                }
                (_, Piece::Events(events)) => {
                    let with_sessions = reader.with_sessions();
                    for event in &events {
                        self.write_event(&mut chunk, event, with_sessions);
                    }
                }
                (_, Piece::Reset(reset)) => self.write_reset(&mut chunk, &reset),
            }
            return Ok(Some((chunk.into(), false)));
        }
    }

    fn write_event(self, out: &mut Vec<u8>, event: &ReadyEvent, with_sessions: bool) {
        let json = match &event.json_with_session {
            Some(json) if with_sessions => json,
            _ => &event.json,
        };
        self.write(out, event.seq.number(), event.kind.as_str(), json);
    }

    fn write_reset(self, out: &mut Vec<u8>, reset: &ResetView) {
        // Nothing in this shape can fail to be written.
        let json = serde_json::to_vec(reset).unwrap_or_default();
        self.write(out, reset.seq, "reset", &json);
    }

    fn write(self, out: &mut Vec<u8>, seq: u64, kind: &str, json: &[u8]) {
        match self {
            Self::Lines => {
                out.extend_from_slice(json);
                out.push(b'\n');
            }
            Self::ServerSent => {
                // JSON of one line, in which ends of lines are escaped. A vector takes all.
                let _infallible = write!(out, "id: {seq}\nevent: {kind}\ndata: ");
                out.extend_from_slice(json);
                out.extend_from_slice(b"\n\n");
            }
        }
    }
}
