//! The identity of a session's process, as it is kept on disk for the next daemon.
//!
//! One line that checks itself: `v1 <bytes> <json> <crc32>`. It is written under another name and
//! renamed, so that it is there whole or not at all, and it is there before the program runs its
//! first instruction. So without it the program provably never ran.
//!
//! It is synced, and so is its folder, before the gate is opened: after a power cut a session
//! without an identity must still be one that never ran, and not one whose record was lost.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// A longer file is none of ours. A record has about 200 bytes.
const RECORD_BYTES_MAX: u64 = 4096;

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

/// What the file of a session says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// There is no file: the program never ran.
    Nothing,
    /// The file is not what was written.
    Damaged,
    /// The process that was started.
    Identity(Identity),
}

impl Identity {
    pub(super) fn new(session: SessionId, pid: Pid, start_mark: u64, boot_id: String) -> Self {
        Self { session, pid: pid.as_raw_nonzero().get(), start_mark, boot_id }
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
        let line = self.encode()?;
        let path = path(sessions, self.session);
        let unfinished = unfinished(&path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let stored = options
            .open(&unfinished)
            .and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| {
                crate::failpoint!(IdentityUnfinished, self.session);
                fs::rename(&unfinished, &path)
            })
            .and_then(|()| File::open(sessions)?.sync_all());
        if stored.is_err() {
            // Whether this works or not, nobody reads that name.
            drop(fs::remove_file(&unfinished));
        }
        stored
    }

    /// Reads the identity of a session's process.
    ///
    /// # Errors
    ///
    /// When the file could not be read, so that nobody knows what it says.
    pub(super) fn load(sessions: &Path, session: SessionId) -> io::Result<Found> {
        let mut options = OpenOptions::new();
        // Without O_NONBLOCK a fifo in its place would hold us for ever.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(path(sessions, session)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(Found::Damaged),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Ok(Found::Damaged);
        }
        let found = Self::decode(&read_bounded(file)?).filter(|found| found.session == session);
        Ok(found.map_or(Found::Damaged, Found::Identity))
    }

    /// Removes the identity of a process that never was.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn remove(sessions: &Path, session: SessionId) -> io::Result<()> {
        match fs::remove_file(path(sessions, session)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn encode(&self) -> io::Result<String> {
        Ok(frame(&serde_json::to_string(self)?))
    }

    /// Returns `None` for everything that [`encode`](Self::encode) did not write, to the last bit.
    fn decode(line: &[u8]) -> Option<Self> {
        let text = str::from_utf8(line).ok()?;
        let (_bytes, rest) = text.strip_prefix("v1 ")?.split_once(' ')?;
        let (json, _crc32) = rest.rsplit_once(' ')?;
        if frame(json) != text {
            return None;
        }
        serde_json::from_str(json).ok()
    }
}

fn frame(json: &str) -> String {
    format!("v1 {} {json} {:08x}\n", json.len(), crc32fast::hash(json.as_bytes()))
}

/// Reads one byte more than allowed at most, which is enough to be no record.
fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(RECORD_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn path(sessions: &Path, session: SessionId) -> PathBuf {
    sessions.join(format!("{session}.identity"))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".unfinished");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use candor_core::ports::IdSource as _;
    use candor_core::session::SessionId;
    use proptest::prelude::*;
    use rustix::process::Pid;

    use super::{Found, Identity, RECORD_BYTES_MAX, path};
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
        assert_eq!(Identity::load(folder.path(), session).unwrap(), Found::Identity(stored));
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
        fs::write(&path, other.encode().unwrap()).unwrap();
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
            prop_assert_eq!(Identity::decode(whole.encode().unwrap().as_bytes()), Some(whole));
        }

        #[test]
        fn every_flipped_bit_and_every_cut_is_found(at: prop::sample::Index, bit in 0..8_u8) {
            let line = identity(UuidV7Source.session_id(), 4711).encode().unwrap().into_bytes();
            let at = at.index(line.len());
            prop_assert_eq!(Identity::decode(&line[..at]), None);
            let mut flipped = line;
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(Identity::decode(&flipped), None);
        }
    }
}
