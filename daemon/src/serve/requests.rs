//! Requests with a name: asked again under it, a session is not made a second time.
//!
//! The name is stored with the session, in one transaction. Here is only who is under way with a
//! name, so that who asks a second time waits for what became of the first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The names of requests that are under way. Its clones share it.
///
/// There are no more of them than requests.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Shared>);

#[derive(Default)]
struct Shared {
    under_way: Mutex<HashSet<String>>,
    left: Notify,
}

/// A name that nobody else has until this is dropped.
pub(crate) struct Held {
    requests: Requests,
    key: String,
}

impl Requests {
    /// Waits until nobody is under way with a name, and takes it. Cancel safe.
    pub(crate) async fn hold(&self, key: &str) -> Held {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            // From here on no leaving is missed.
            left.as_mut().enable();
            if self.under_way().insert(key.to_owned()) {
                return Held { requests: self.clone(), key: key.to_owned() };
            }
            left.await;
        }
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.requests.under_way().remove(&self.key);
        self.requests.0.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::Requests;

    #[tokio::test]
    async fn one_at_a_time_has_a_name() {
        let requests = Requests::default();
        let first = requests.hold("a").await;
        let _other = requests.hold("b").now_or_never().unwrap();
        let second = requests.hold("a");
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let _second = second.now_or_never().unwrap();
        assert!(requests.hold("a").now_or_never().is_none());
    }
}
