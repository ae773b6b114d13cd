//! What is kept free for those outside of all sessions.
//!
//! A session may look as often as it likes, and some looks never end: a stream, or waiting for a session.
//! So that none takes all connections and streams, and locks its user out, all sessions together have a few
//! connections. One has one request at a time: they have no more streams, nor do more of them wait.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::response::IntoResponse as _;
use candor_adapters::process::{Origin, PeerProcess};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inside;
use super::problem::{ApiError, Word};
use crate::serve::App;

/// Connections from inside sessions at the same time, at most, all sessions together.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of what is said to one that is turned away, at most.
const WORDS_BYTES_MAX: usize = 4 << 10;

/// The connections of sessions.
#[derive(Debug)]
pub(super) struct Reserve(Arc<Semaphore>);

/// A place for a connection, for as long as it is kept. One from outside needs none.
#[derive(Debug)]
pub(super) struct Place {
    _of_sessions: Option<OwnedSemaphorePermit>,
}

impl Reserve {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CONNECTIONS_MAX)))
    }

    /// Finds a place for whoever has connected. `None` if sessions have as many connections as they may.
    pub(super) async fn place(&self, app: &Arc<App>, peer: &Arc<PeerProcess>) -> Option<Place> {
        match inside::origin_of(app, peer).await {
            // Where that cannot be looked up, sessions must not take the place of their user.
            Ok(Origin::Outside | Origin::NoRoom) => Some(Place { _of_sessions: None }),
            // Who has ended meanwhile soon leaves its place.
            Ok(Origin::Session(_) | Origin::SomeSession | Origin::Unknown) | Err(_) => {
                let place = Arc::clone(&self.0).try_acquire_owned().ok()?;
                Some(Place { _of_sessions: Some(place) })
            }
        }
    }
}

/// Says to a client that is turned away why, as far as it listens. It is not waited for: it has no place.
pub(super) async fn turn_away(stream: UnixStream) {
    let error = ApiError::new(
        Word::TooManyStreams,
        format!("sessions have {CONNECTIONS_MAX} connections already: end one before another"),
    );
    let response = error.into_response();
    let (status, body) = (response.status(), response.into_body());
    let body = to_bytes(body, WORDS_BYTES_MAX).await.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let _unheard = stream.try_write(&[head.as_bytes(), &body].concat());
}
