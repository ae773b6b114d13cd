//! Waiting for an output to grow.
//!
//! All followers share one inotify instance, of which a user has few, and each file has one watch,
//! however many follow it. The instance and the task that reads it exist only while somebody
//! follows. Where there is no inotify, or no more watches, a follower looks from time to time
//! instead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::output::OutputReader;

#[cfg(target_os = "linux")]
#[path = "inotify.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "no_inotify.rs"]
mod system;

pub(super) use system::Watches;

/// How often a follower looks when nothing tells it.
const LOOK_EACH: Duration = Duration::from_millis(50);

/// Waits for one output to grow.
#[derive(Debug)]
pub struct Follower {
    reader: OutputReader,
    watch: Option<Watch>,
}

/// A share in a watch.
#[derive(Debug)]
struct Watch {
    watches: Arc<Watches>,
    descriptor: i32,
    grew: Arc<Notify>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watches.leave(self.descriptor);
    }
}

impl Watches {
    pub(super) fn follow(watches: &Arc<Self>, reader: &OutputReader) -> Follower {
        let watch = watches.join(reader.path()).map(|(descriptor, grew)| Watch {
            watches: Arc::clone(watches),
            descriptor,
            grew,
        });
        Follower { reader: reader.clone(), watch: watch.ok() }
    }
}

impl Follower {
    /// Waits until there is something beyond `offset`, or the file was cut off before it, and
    /// returns the size. It is for the caller to know when nothing more can come.
    ///
    /// Cancel safe: nothing is taken, so nothing can be missed.
    ///
    /// # Errors
    ///
    /// What the file system said when asked for the size.
    pub async fn grown_beyond(&self, offset: u64) -> io::Result<u64> {
        loop {
            // First listen, then look: what is written in between is heard, since all waiters are
            // notified from the moment when they are made.
            let told = self.watch.as_ref().map(|watch| watch.grew.notified());
            let size = self.reader.size_bytes()?;
            if size != offset {
                return Ok(size);
            }
            match told {
                Some(told) => told.await,
                None => sleep(LOOK_EACH).await,
            }
        }
    }
}
