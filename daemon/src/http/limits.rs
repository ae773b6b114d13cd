//! How much clients may ask for at the same time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::serve::web::Access;

/// Streams at the same time, over both transports.
pub(super) const STREAMS_MAX: usize = 1_000;

/// Bytes of a request's head over TCP, at most.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;

/// Wrong credentials in a second that are answered with 401; further ones are told to wait.
const FAILURES_PER_S_MAX: u32 = 10;

/// Places for answers that go on until somebody ends them.
#[derive(Debug)]
pub(super) struct Streams(Arc<Semaphore>);

/// A place for one stream, for as long as it is kept.
#[derive(Debug)]
pub(super) struct StreamPlace {
    _of_all: OwnedSemaphorePermit,
    _of_its_own: Option<OwnedSemaphorePermit>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }

    /// Returns how many there are.
    pub(super) fn open(&self) -> usize {
        STREAMS_MAX - self.0.available_permits()
    }

    /// Takes a place, or returns `None` when there is none left: for anybody, or for who comes with
    /// this credential.
    pub(super) fn place(&self, access: Option<&Access>) -> Option<StreamPlace> {
        let own = match access {
            Some(access) => Some(Arc::clone(&access.streams).try_acquire_owned().ok()?),
            None => None,
        };
        let of_all = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(StreamPlace { _of_all: of_all, _of_its_own: own })
    }
}

/// Says whether the answer to this request goes on until somebody ends it.
pub(super) fn is_stream(parts: &Parts) -> bool {
    let accepts_events = parts.headers.get_all(header::ACCEPT).iter().any(|accepted| {
        accepted.as_bytes().windows(EVENT_STREAM.len()).any(|part| part == EVENT_STREAM)
    });
    let follows = parts.uri.query().is_some_and(|query| {
        query.split('&').any(|word| word.starts_with("follow=") && word != "follow=false")
    });
    follows || (accepts_events && parts.uri.path() == "/v1/events")
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Says how many bytes a head has, but for its line ends.
pub(super) fn head_bytes(parts: &Parts) -> usize {
    let uri = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    uri + header_bytes(&parts.headers)
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Counts wrong credentials. Right ones are let in whatever it says, so that nobody who guesses
/// keeps others out.
#[derive(Debug)]
pub(super) struct Failures(Mutex<(Instant, u32)>);

impl Failures {
    pub(super) fn new() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }

    /// Counts one more. Returns how many there were in this second.
    pub(super) fn count(&self) -> u32 {
        const SECOND: Duration = Duration::from_secs(1);

        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.0.elapsed() >= SECOND {
            *counted = (Instant::now(), 0);
        }
        counted.1 = counted.1.saturating_add(1);
        counted.1
    }
}

/// Says whether so many wrong credentials in a second are too many.
pub(super) const fn are_too_many(failures: u32) -> bool {
    failures > FAILURES_PER_S_MAX
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::{Failures, are_too_many, head_bytes, is_stream};

    #[test]
    fn streams_are_told_from_other_requests() {
        for (uri, accept, expected) in [
            ("/v1/events", "application/x-ndjson", false),
            ("/v1/events?after=3", "text/event-stream", true),
            ("/v1/events", "application/json, text/event-stream", true),
            ("/v1/sessions", "text/event-stream", false),
            ("/v1/sessions/a/output/stdout?from=1&follow=true", "*/*", true),
            ("/v1/sessions/a/output/stdout?follow=false", "*/*", false),
            ("/v1/search?q=follow", "*/*", false),
        ] {
            let request = Request::get(uri).header("accept", accept).body(()).unwrap();
            assert_eq!(is_stream(&request.into_parts().0), expected, "{uri} {accept}");
        }
    }

    #[test]
    fn a_head_is_measured() {
        let request = Request::get("/a?b").header("x", "12345").body(()).unwrap();
        assert_eq!(head_bytes(&request.into_parts().0), 4 + 1 + 5);
    }

    #[test]
    fn ten_failures_in_a_second_are_not_too_many() {
        let failures = Failures::new();
        let counted: Vec<bool> = (0..12).map(|_| are_too_many(failures.count())).collect();
        assert_eq!(counted.iter().filter(|too_many| **too_many).count(), 2);
    }
}
