//! What ends when the credential is taken back that it came with, or was asked for with.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A body that is broken off, and so never taken for whole, once its credential is worth nothing.
pub(super) struct Revocable {
    body: Body,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Why a body was broken off.
#[derive(Debug, thiserror::Error)]
#[error("the login or token was taken back")]
pub(super) struct TakenBack;

impl Revocable {
    pub(super) fn new(body: Body, ended: CancellationToken) -> Self {
        Self { body, ended: Box::pin(ended.cancelled_owned()) }
    }
}

impl HttpBody for Revocable {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(TakenBack))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
