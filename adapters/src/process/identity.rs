//! The identity of a session's process, as it is kept on disk for the next daemon.
//!
//! It is there before the program runs its first instruction. So without it the program provably
//! never ran.
//!
//! It is synced, and so is its folder, before the gate is opened: after a power cut a session
//! without an identity must still be one that never ran, and not one whose record was lost.

use std::io;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::record::{self, Found};

/// Who a process is, beyond doubt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Identity {
    /// Whose process it is. A file that was copied from elsewhere gives itself away.
    session: SessionId,
    /// Its number, which is also that of its process group.
    pid: i32,
    /// When it started: what tells it from a later process of the same number.
    start_mark: u64,
    /// The boot in which all this has a meaning.
    boot_id: String,
}

impl Identity {
    pub(super) fn new(session: SessionId, pid: Pid, start_mark: u64, boot_id: String) -> Self {
        Self { session, pid: pid.as_raw_nonzero().get(), start_mark, boot_id }
    }

    /// Returns the session whose process it is.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "shims ask, and are not there")
    )]
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the number. `None` for one that no process can have.
    pub(super) fn pid(&self) -> Option<Pid> {
        // A negative number would name a group, and 1 is never ours.
        Some(self.pid).filter(|&pid| pid > 1).and_then(Pid::from_raw)
    }

    pub(super) const fn start_mark(&self) -> u64 {
        self.start_mark
    }

    pub(super) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Stores the identity. Afterwards a reader finds it whole; after an error, not at all.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn store(&self, sessions: &Path) -> io::Result<()> {
        let path = path(sessions, self.session);
        let stored = record::store(&path, self, || {
            crate::failpoint!(IdentityUnfinished, self.session);
        });
        if stored.is_err() {
            // Whether this works or not, nobody reads that name.
            drop(record::remove(&record::unfinished(&path)));
        }
        stored
    }

    /// Reads the identity of a session's process.
    ///
    /// # Errors
    ///
    /// When the file could not be read, so that nobody knows what it says.
    pub(super) fn load(sessions: &Path, session: SessionId) -> io::Result<Found<Self>> {
        Ok(match record::load(&path(sessions, session))? {
            Found::Whole(Self { session: owner, .. }) if owner != session => Found::Damaged,
            found => found,
        })
    }

    /// Removes the identity of a process that never was.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn remove(sessions: &Path, session: SessionId) -> io::Result<()> {
        record::remove(&path(sessions, session))
    }
}

fn path(sessions: &Path, session: SessionId) -> PathBuf {
    sessions.join(format!("{session}.identity"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use candor_core::ports::IdSource as _;
    use candor_core::session::SessionId;
    use proptest::prelude::*;
    use rustix::process::Pid;

    use super::super::record::{Found, RECORD_BYTES_MAX, decode, encode};
    use super::{Identity, path};
    use crate::ids::UuidV7Source;

    fn identity(session: SessionId, pid: i32) -> Identity {
        let boot_id = "e2f7a1b0-0000-4000-8000-00000000cafe".to_owned();
        Identity::new(session, Pid::from_raw(pid).unwrap(), 123_456, boot_id)
    }

    #[test]
    fn what_was_stored_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        assert_eq!(Identity::load(folder.path(), session).unwrap(), Found::Nothing);
        let stored = identity(session, 4711);
        stored.store(folder.path()).unwrap();
        assert_eq!(Identity::load(folder.path(), session).unwrap(), Found::Whole(stored));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
        Identity::remove(folder.path(), session).unwrap();
        Identity::remove(folder.path(), session).unwrap();
        assert_eq!(Identity::load(folder.path(), session).unwrap(), Found::Nothing);
    }

    #[test]
    fn what_is_no_record_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        let load = || Identity::load(folder.path(), session).unwrap();
        let path = path(folder.path(), session);

        fs::write(&path, "").unwrap();
        assert_eq!(load(), Found::Damaged, "empty");
        let long = usize::try_from(RECORD_BYTES_MAX).unwrap() * 2;
        fs::write(&path, vec![b'v'; long]).unwrap();
        assert_eq!(load(), Found::Damaged, "long");
        let other = identity(UuidV7Source.session_id(), 4711);
        fs::write(&path, encode(&other).unwrap()).unwrap();
        assert_eq!(load(), Found::Damaged, "another session's");
        fs::remove_file(&path).unwrap();
        symlink("/dev/null", &path).unwrap();
        assert_eq!(load(), Found::Damaged, "a link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(load(), Found::Damaged, "a folder");
    }

    #[test]
    fn numbers_that_name_no_process_of_ours_are_none() {
        let session = UuidV7Source.session_id();
        let mut some = identity(session, 2);
        assert!(some.pid().is_some());
        for pid in [1, 0, -1, i32::MIN] {
            some.pid = pid;
            assert_eq!(some.pid(), None, "{pid}");
        }
    }

    proptest! {
        #[test]
        fn a_record_comes_back(pid in 2..i32::MAX, start_mark: u64, boot_id in ".*") {
            let session = UuidV7Source.session_id();
            let pid = Pid::from_raw(pid).unwrap();
            let whole = Identity::new(session, pid, start_mark, boot_id);
            prop_assert_eq!(decode(encode(&whole).unwrap().as_bytes()), Some(whole));
        }

        #[test]
        fn every_flipped_bit_and_every_cut_is_found(at: prop::sample::Index, bit in 0..8_u8) {
            let line = encode(&identity(UuidV7Source.session_id(), 4711)).unwrap().into_bytes();
            let at = at.index(line.len());
            prop_assert_eq!(decode::<Identity>(&line[..at]), None);
            let mut flipped = line;
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(decode::<Identity>(&flipped), None);
        }
    }
}
