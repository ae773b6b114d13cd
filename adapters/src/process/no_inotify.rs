//! Systems without inotify: followers look every 50 ms.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

/// No watches.
#[derive(Debug, Default)]
pub(in crate::process) struct Watches;

impl Watches {
    /// Has nothing to offer.
    ///
    /// # Errors
    ///
    /// Always.
    pub(in crate::process) fn join(
        self: &Arc<Self>,
        _path: &Path,
    ) -> io::Result<(i32, Arc<Notify>)> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Nobody ever joined.
    pub(in crate::process) fn leave(&self, _descriptor: i32) {}
}
