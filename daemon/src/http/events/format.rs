//! How events look on the wire.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use candor_core::ports::ReadError;

use super::reader::{Piece, Reader};
use crate::serve::Text;

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
            let chunk = match (self, piece) {
                (Self::Lines, Piece::Quiet) => continue,
                (Self::Lines, Piece::Left) => {
                    // What breaks off an answer also throws away what of it was not sent yet. While
                    // nothing is to be had here, it is sent.
                    tokio::task::yield_now().await;
                    return Err(ReadError::Unavailable { reason: "the daemon leaves".to_owned() });
                }
                (Self::ServerSent, Piece::Quiet) => Bytes::from_static(b": keep-alive\n\n"),
                (Self::ServerSent, Piece::Left) => {
                    return Ok(Some((Bytes::from_static(b"event: bye\ndata: {}\n\n"), true)));
                }
                (_, Piece::Events(events)) => {
                    let with_session = reader.with_sessions();
                    self.joined(events.iter().map(|event| event.text(with_session)))
                }
                (_, Piece::Reset(reset)) => {
                    self.joined([&Text::new(reset.seq, "reset", &reset)].into_iter())
                }
            };
            return Ok(Some((chunk, false)));
        }
    }

    fn joined<'text>(self, mut texts: impl ExactSizeIterator<Item = &'text Text>) -> Bytes {
        if self == Self::ServerSent
            && texts.len() == 1
            && let Some(text) = texts.next()
        {
            // As it is for all others.
            return text.framed().clone();
        }
        let mut joined = Vec::new();
        for text in texts {
            match self {
                Self::Lines => {
                    joined.extend_from_slice(text.json());
                    joined.push(b'\n');
                }
                Self::ServerSent => joined.extend_from_slice(text.framed()),
            }
        }
        joined.into()
    }
}
