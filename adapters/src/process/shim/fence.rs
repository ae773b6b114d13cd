//! Keeping shims out of a session whose files are removed or moved.

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use candor_core::session::SessionId;

use super::place::{Fencing, Lock, Place};

/// How long a shim may take to leave once its process has ended. It has only to tell of the end,
/// and a machine has to be very busy for that to take a second.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether it has left.
const LOOK_EACH: Duration = Duration::from_millis(2);

/// While it is kept, no shim watches this session and none begins to.
#[derive(Debug)]
pub struct Fence {
    /// `None` where there was no lock, and nothing that would let a shim go on.
    _lock: Option<Lock>,
}

/// Fences a session off from its shim. `None` when there is no folder of one.
///
/// A shim that has recorded the end of its process, and has yet to leave, is waited for. One that
/// comes later than this finds neither intent nor order, and leaves.
///
/// The session's cgroup goes, unless something is left in it. It may wait for a disk, and up to 2 s
/// for a shim.
///
/// # Errors
///
/// `ResourceBusy` when the shim lives. Otherwise what the file system said.
pub fn fence(sessions_folder: &Path, session: SessionId) -> io::Result<Option<Fence>> {
    fence_within(LEAVE_PATIENCE, &Place::of(sessions_folder, session))
}

fn fence_within(patience: Duration, place: &Place) -> io::Result<Option<Fence>> {
    if !place.is_folder()? {
        return Ok(None);
    }
    let deadline = Instant::now() + patience;
    loop {
        match place.fence()? {
            Fencing::Held => {}
            Fencing::Done(lock) => {
                // Where its records are gone, nobody finds it any more.
                place.remove_cgroup();
                return Ok(Some(Fence { _lock: lock }));
            }
        }
        if Instant::now() >= deadline {
            let reason = "the shim of the session has not left yet";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, reason));
        }
        // A lock that is let go of makes no event.
        sleep(LOOK_EACH);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use candor_core::ports::IdSource as _;
    use uuid::Uuid;

    use super::{LEAVE_PATIENCE, fence, fence_within};
    use crate::ids::UuidV7Source;
    use crate::process::record::Found;
    use crate::process::shim::place::{CONTROL, Intent, Place};

    const BRIEF: Duration = Duration::from_millis(20);

    #[test]
    fn no_folder_needs_no_fence_and_a_link_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        assert!(fence(folder.path(), session).unwrap().is_none());
        symlink(outside.path(), folder.path().join(format!("{session}.shim"))).unwrap();
        assert!(fence(folder.path(), session).unwrap().is_none());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_shim_that_lives_is_not_fenced_off_and_one_that_leaves_is_awaited() {
        let folder = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        let place = Place::of(folder.path(), session);
        place.claim().unwrap();
        let lock = place.lock().unwrap().unwrap();
        let busy = fence_within(BRIEF, &place).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| fence_within(30 * LEAVE_PATIENCE, &place));
            drop(lock);
            let fence = waits.join().unwrap().unwrap().unwrap();
            assert!(place.lock().unwrap().is_none(), "a shim that comes late leaves");
            drop(fence);
        });
        assert!(place.lock().unwrap().is_some());
    }

    /// Whoever removes the lock does not remove the shim.
    #[test]
    fn a_shim_that_listens_lives_even_without_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), UuidV7Source.session_id());
        place.claim().unwrap();
        let listener = UnixListener::bind(place.folder().join(CONTROL)).unwrap();
        for _ in 0..3 {
            let busy = fence_within(BRIEF, &place).unwrap_err();
            assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        }
        drop(listener);
        assert!(fence_within(BRIEF, &place).unwrap().is_some());
    }

    /// As after a launch that was decided never to have been, whose shim is on its way.
    #[test]
    fn without_a_lock_the_intent_is_withdrawn_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        let place = Place::of(folder.path(), session);
        place.claim().unwrap();
        place.intend(&Intent { session, nonce: Uuid::now_v7() }).unwrap();
        let _fence = fence_within(BRIEF, &place).unwrap().unwrap();
        assert_eq!(place.load::<Intent>().unwrap(), Found::Nothing);
        let names: Vec<_> =
            fs::read_dir(place.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["intent.withdrawn"]);
    }
}
