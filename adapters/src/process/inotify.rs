//! Linux: the inotify instance that all followers share.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::process::readiness::readable;

/// What is read of the instance at once. An event about a file has 16 bytes.
const EVENTS_BYTES: usize = 4096;

/// The watches of all followers.
#[derive(Debug, Default)]
pub(in crate::process) struct Watches {
    /// `None` while nobody follows.
    instance: Mutex<Option<Instance>>,
}

#[derive(Debug)]
struct Instance {
    inotify: Arc<AsyncFd<OwnedFd>>,
    /// By watch descriptor, of which a file has one, however often it is asked for.
    files: HashMap<i32, Watched>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Watched {
    followers: usize,
    grew: Arc<Notify>,
}

impl Watches {
    fn instance(&self) -> MutexGuard<'_, Option<Instance>> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a follower of a file. It is told from now on, until it leaves.
    ///
    /// # Errors
    ///
    /// When the system has no instance or watch left, or there is no runtime.
    pub(in crate::process) fn join(
        self: &Arc<Self>,
        path: &Path,
    ) -> io::Result<(i32, Arc<Notify>)> {
        let mut slot = self.instance();
        let instance = match slot.as_mut() {
            Some(instance) => instance,
            None => slot.insert(Instance::start(self)?),
        };
        let inotify = instance.inotify.get_ref();
        let watched = inotify::add_watch(inotify, path, WatchFlags::MODIFY);
        if watched.is_err() && instance.files.is_empty() {
            stop(&mut slot);
        } else if let Ok(descriptor) = watched {
            let none = || Watched { followers: 0, grew: Arc::default() };
            let file = instance.files.entry(descriptor).or_insert_with(none);
            file.followers += 1;
            return Ok((descriptor, Arc::clone(&file.grew)));
        }
        Err(watched.err().map_or_else(|| io::Error::from(Errno::NOSPC), io::Error::from))
    }

    /// Takes a follower of a file away, and with the last one everything.
    pub(in crate::process) fn leave(&self, descriptor: i32) {
        let mut slot = self.instance();
        let Some(instance) = slot.as_mut() else {
            return;
        };
        if let Some(file) = instance.files.get_mut(&descriptor) {
            file.followers -= 1;
            if file.followers > 0 {
                return;
            }
            instance.files.remove(&descriptor);
            // An error means that the file was removed, and the watch with it.
            let _ = inotify::remove_watch(instance.inotify.get_ref(), descriptor);
        }
        if instance.files.is_empty() {
            stop(&mut slot);
        }
    }

    /// Tells everybody who follows the file, or everybody.
    fn tell(&self, descriptor: Option<i32>) {
        let slot = self.instance();
        let Some(instance) = slot.as_ref() else {
            return;
        };
        match descriptor {
            Some(descriptor) => {
                if let Some(file) = instance.files.get(&descriptor) {
                    file.grew.notify_waiters();
                }
            }
            None => instance.files.values().for_each(|file| file.grew.notify_waiters()),
        }
    }
}

fn stop(slot: &mut Option<Instance>) {
    if let Some(instance) = slot.take() {
        instance.task.abort();
    }
}

impl Instance {
    fn start(watches: &Arc<Watches>) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let inotify = Arc::new(readable(inotify)?);
        let task = runtime.spawn(dispatch(Arc::clone(watches), Arc::clone(&inotify)));
        Ok(Self { inotify, files: HashMap::new(), task: task.abort_handle() })
    }
}

/// Reads the instance and tells the followers, until the last of them aborts it.
async fn dispatch(watches: Arc<Watches>, inotify: Arc<AsyncFd<OwnedFd>>) {
    let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
    loop {
        let Ok(mut guard) = inotify.readable().await else {
            // Only when the runtime shuts down.
            return;
        };
        let mut events = Reader::new(inotify.get_ref(), &mut buffer);
        loop {
            match events.next() {
                // The kernel's queue was full, and what was to be told is not known.
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    watches.tell(None);
                }
                Ok(event) => watches.tell(Some(event.wd())),
                Err(Errno::INTR) => {}
                Err(_) => {
                    guard.clear_ready();
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::Watches;

    /// Returns how many files are watched, or `None` where there is no instance.
    fn watched(watches: &Watches) -> Option<usize> {
        watches.instance().as_ref().map(|instance| instance.files.len())
    }

    #[tokio::test]
    async fn nothing_is_held_while_nobody_follows() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("one"), folder.path().join("other")];
        for path in &paths {
            fs::write(path, "").unwrap();
        }
        let watches = Arc::new(Watches::default());
        for _ in 0..3 {
            assert_eq!(watched(&watches), None);
            let (one, _) = watches.join(&paths[0]).unwrap();
            let (same, _) = watches.join(&paths[0]).unwrap();
            let (other, _) = watches.join(&paths[1]).unwrap();
            assert_eq!((same == one, other == one), (true, false));
            assert_eq!(watched(&watches), Some(2));
            watches.leave(one);
            assert_eq!(watched(&watches), Some(2));
            watches.leave(same);
            assert_eq!(watched(&watches), Some(1));
            watches.leave(other);
        }
        assert_eq!(watched(&watches), None);
    }

    #[tokio::test]
    async fn file_that_is_missing_or_goes_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let watches = Arc::new(Watches::default());
        assert!(watches.join(&path).is_err());
        assert_eq!(watched(&watches), None);
        fs::write(&path, "").unwrap();
        let (one, _) = watches.join(&path).unwrap();
        assert!(watches.join(&folder.path().join("missing")).is_err());
        assert_eq!(watched(&watches), Some(1));
        fs::remove_file(&path).unwrap();
        watches.leave(one);
        assert_eq!(watched(&watches), None);
    }

    #[test]
    fn outside_a_runtime_there_are_no_watches() {
        let folder = tempfile::tempdir().unwrap();
        let watches = Arc::new(Watches::default());
        assert!(watches.join(folder.path()).is_err());
        assert_eq!(watched(&watches), None);
    }
}
