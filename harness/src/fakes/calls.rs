//! A call on a port, split into issued, took effect and answered.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use candor_core::event::Seq;
use candor_core::ports::{Attach, Change, CommitError, Delivery, Launch, ReadError, StoredSession};
use candor_core::session::SessionId;
use candor_core::stop::Signal;

use crate::timeline::names::{CallName, ProcessName};

/// A call that has been issued and waits for its answer.
pub(crate) enum Call {
    Commit {
        name: CallName,
        change: Box<Change>,
        issued_at_ms: u64,
        answer: Answer<Result<Seq, CommitError>>,
    },
    Load {
        name: CallName,
        session: SessionId,
        answer: Answer<Loaded>,
    },
    Launch {
        session: SessionId,
        made: Option<ProcessName>,
        answer: Answer<Launch>,
    },
    Attach {
        session: SessionId,
        answer: Answer<Attach>,
    },
    Signal {
        process: ProcessName,
        signal: Signal,
        answer: Answer<Delivery>,
    },
}

/// What a read of one row gives.
pub(crate) type Loaded = Result<Option<StoredSession>, ReadError>;

/// The place where an answer will stand. It is a future, which the caller waits for.
pub(crate) struct Answer<T> {
    place: Arc<Mutex<Place<T>>>,
}

struct Place<T> {
    answer: Option<T>,
    waker: Option<Waker>,
}

impl<T> Answer<T> {
    /// Makes an empty place.
    pub(crate) fn open() -> Self {
        Self { place: Arc::new(Mutex::new(Place { answer: None, waker: None })) }
    }

    /// Makes a place where the answer stands already.
    pub(crate) fn given(answer: T) -> Self {
        let open = Self::open();
        open.give(answer);
        open
    }

    /// Puts the answer down, and wakes whoever waits for it.
    pub(crate) fn give(&self, answer: T) {
        let mut place = self.lock();
        place.answer = Some(answer);
        if let Some(waker) = place.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shares the place.
impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self { place: Arc::clone(&self.place) }
    }
}

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut place = self.lock();
        match place.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                place.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
