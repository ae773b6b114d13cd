//! How much clients may ask for at the same time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{ApiError, Word};
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

/// The places that there are for who has asked. Whatever goes on until somebody ends it takes one where
/// that is decided, so that no way to ask for it goes without.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) streams: Arc<Streams>,
    /// The credential that was shown. There is none on the socket.
    pub(super) access: Option<Arc<Access>>,
}

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
    fn place(&self, access: Option<&Access>) -> Option<StreamPlace> {
        let own = match access {
            Some(access) => Some(Arc::clone(&access.streams).try_acquire_owned().ok()?),
            None => None,
        };
        let of_all = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(StreamPlace { _of_all: of_all, _of_its_own: own })
    }
}

impl Places {
    /// Takes a place for an answer, if it goes on until somebody ends it.
    ///
    /// # Errors
    ///
    /// [`Word::TooManyStreams`].
    pub(super) fn take_if(&self, goes_on: bool) -> Result<Option<StreamPlace>, ApiError> {
        if !goes_on {
            return Ok(None);
        }
        self.streams.place(self.access.as_deref()).map(Some).ok_or_else(|| {
            ApiError::new(
                Word::TooManyStreams,
                "there are as many streams as there may be: end one before another",
            )
        })
    }
}

/// Returns a body that keeps its place until it has ended, or nobody takes it any more.
pub(super) fn keeping(place: Option<StreamPlace>, body: Body) -> Body {
    match place {
        None => body,
        Some(place) => Body::new(body.map_frame(move |frame| {
            let StreamPlace { .. } = &place;
            frame
        })),
    }
}

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
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;

    use super::{Failures, Places, Streams, are_too_many, head_bytes, keeping};

    #[test]
    fn a_body_keeps_its_place_until_it_is_dropped() {
        let places = Places { streams: Arc::new(Streams::new()), access: None };
        assert!(places.take_if(false).unwrap().is_none());
        let body = keeping(places.take_if(true).unwrap(), Body::from("text"));
        assert_eq!(places.streams.open(), 1);
        drop(body);
        assert_eq!(places.streams.open(), 0);
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
