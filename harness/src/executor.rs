//! The smallest executor: it polls a future once, by hand, and wakes nobody.
//!
//! There is no queue and no thread, so the same choices give the same run. A future is polled again
//! after every choice, and so needs no waker.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// A future that is polled now and then, and may be dropped at any await.
pub(crate) type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Polls once, and returns the output if it is there.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Polls of one future, at most, before it is said to wait for ever.
const POLLS_MAX: usize = 100;

/// Runs a future that waits for nothing but fakes that answer at once.
///
/// # Panics
///
/// If it waits for something else: then the fake under test has broken its promise.
pub fn run_at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut outputs = (0..POLLS_MAX).map(|_| poll_once(&mut future));
    outputs.find_map(|output| output).expect("everything answers at once, and yet it waits")
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::{poll_once, run_at_once};

    #[test]
    fn a_future_is_polled_once() {
        assert_eq!(run_at_once(async { ready(1).await + 1 }), 2);
        assert_eq!(poll_once(&mut Box::pin(pending::<()>())), None);
    }
}
