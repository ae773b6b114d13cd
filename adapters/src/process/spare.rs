//! Descriptors that are kept for when there are no others left.
//!
//! Where a process comes from stands in files. A daemon at its limit of open files could not read them,
//! and would have to refuse its own user, who then could not even end the sessions that take all the room.
//! So it keeps a few descriptors that lead nowhere, and lets them go for as long as one look takes.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long it is waited before another look, in ms: another thread's short read is over then.
const PAUSE_MS: u64 = 5;

/// There is no descriptor left, of this process or of the whole system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoRoom;

/// Makes a result of one that may have failed for want of a descriptor. `None` is any other failure.
pub(super) fn with_room<T>(found: io::Result<T>) -> Result<Option<T>, NoRoom> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Err(NoRoom),
            Some(_) | None => Ok(None),
        },
    }
}

/// Descriptors that lead nowhere.
#[derive(Debug)]
pub(super) struct Spares {
    kept: Mutex<Vec<File>>,
    count: usize,
    looks_max: usize,
}

impl Spares {
    /// Keeps `count` of them. With them let go, something is tried `looks_max` times at most.
    pub(super) fn new(count: usize, looks_max: usize) -> Self {
        let spares = Self { kept: Mutex::default(), count, looks_max };
        spares.fill_up();
        spares
    }

    /// Takes again what was let go, as far as there is room. It waits for nobody.
    pub(super) fn fill_up(&self) {
        if let Ok(mut kept) = self.kept.try_lock() {
            self.fill(&mut kept);
        }
    }

    fn fill(&self, kept: &mut Vec<File>) {
        while kept.len() < self.count {
            let Ok(file) = File::open("/dev/null") else { return };
            kept.push(file);
        }
    }

    /// Looks. If there is no room for it, it makes some, and looks again: one at a time, so that none takes
    /// the room of another. A thread that opens something else may still take it: hence more than one try.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when there was none to the last.
    pub(super) fn look<T>(&self, look: impl Fn() -> Result<T, NoRoom>) -> Result<T, NoRoom> {
        self.fill_up();
        if let Ok(found) = look() {
            return Ok(found);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
        let mut found = look();
        for _ in 1..self.looks_max {
            if found.is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(PAUSE_MS));
            found = look();
        }
        self.fill(&mut kept);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::{NoRoom, Spares, with_room};

    #[test]
    fn want_of_a_descriptor_is_told_from_all_else() {
        for code in [libc::EMFILE, libc::ENFILE] {
            assert_eq!(with_room::<()>(Err(io::Error::from_raw_os_error(code))), Err(NoRoom));
        }
        for code in [libc::ENOENT, libc::EACCES, libc::ESRCH] {
            assert_eq!(with_room::<()>(Err(io::Error::from_raw_os_error(code))), Ok(None));
        }
        assert_eq!(with_room(Ok(1)), Ok(Some(1)));
    }

    #[test]
    fn room_is_made_for_a_look_that_needs_it_and_taken_again() {
        let spares = Spares::new(2, 3);
        let kept = || spares.kept.try_lock().map(|kept| kept.len()).ok();
        assert_eq!(kept(), Some(2));
        assert_eq!(spares.look(|| Ok(kept())), Ok(Some(2)), "there is room: nothing is let go");
        for needed in 1..=5 {
            let looks = Cell::new(0);
            let found = spares.look(|| {
                looks.set(looks.get() + 1);
                // After the first try it is the only look that goes on.
                assert_eq!(kept().is_some(), looks.get() == 1);
                if looks.get() < needed { Err(NoRoom) } else { Ok(looks.get()) }
            });
            assert_eq!(found, if needed <= 4 { Ok(needed) } else { Err(NoRoom) });
            assert_eq!(kept(), Some(2));
        }
    }
}
