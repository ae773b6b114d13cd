//! What a session leaves on disk beside its row: its folder with the output, its recording, and the
//! identity of its process or the folder of its shim.
//!
//! Nothing here decides what is removed. Whoever asks has deleted the row before, so that nobody is
//! told of a session whose files are gone.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;
use uuid::Uuid;

use crate::process::fence;

/// What the names of a session's entries have after its id. The first one is its folder.
///
/// The others are written by [`crate::recorder`] and by [`crate::process`].
const SUFFIXES: [&str; 5] = ["", ".recording", ".identity", ".identity.unfinished", ".shim"];

/// How often a folder is removed again into which somebody has written meanwhile: a shim that comes
/// late makes its lock once, and leaves.
const ATTEMPTS_MAX: u32 = 3;

/// Characters of an id in a name.
const ID_LENGTH: usize = 36;

/// What all sessions leave below one folder.
#[derive(Clone, Debug)]
pub struct Remains {
    sessions: PathBuf,
}

impl Remains {
    /// Looks below the folder that the spawner and the recorder were given.
    #[must_use]
    pub const fn new(sessions_folder: PathBuf) -> Self {
        Self { sessions: sessions_folder }
    }

    /// Returns how many bytes a session's files hold. What is not there holds none.
    ///
    /// It may wait for a disk.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub fn size_bytes(&self, session: SessionId) -> io::Result<u64> {
        SUFFIXES.iter().map(|suffix| size_bytes(&self.path(session, suffix))).sum()
    }

    /// Removes all that a session has left, and returns how many bytes that held. Nothing left is
    /// nothing to do, so that it can be repeated after an error or a crash.
    ///
    /// Links are removed, and never followed. It may wait for a disk, and up to 2 s for a shim that
    /// is about to leave.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` when the session's shim lives: then nothing was removed. Otherwise the first
    /// thing that the file system said; everything else was tried all the same.
    pub fn remove(&self, session: SessionId) -> io::Result<u64> {
        let _fence = fence(&self.sessions, session)?;
        let bytes = self.size_bytes(session).unwrap_or(0);
        let removals = SUFFIXES.map(|suffix| remove(&self.path(session, suffix)));
        removals.into_iter().collect::<io::Result<()>>()?;
        Ok(bytes)
    }

    /// Returns the sessions of which something is there. Names that are no session's are left out.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub fn sessions(&self) -> io::Result<BTreeSet<SessionId>> {
        let mut sessions = BTreeSet::new();
        for entry in fs::read_dir(&self.sessions)? {
            sessions.extend(session_of(&entry?.file_name()));
        }
        Ok(sessions)
    }

    fn path(&self, session: SessionId, suffix: &str) -> PathBuf {
        self.sessions.join(format!("{session}{suffix}"))
    }
}

/// Returns whose entry a name is.
fn session_of(name: &OsStr) -> Option<SessionId> {
    let (id, suffix) = name.to_str()?.split_at_checked(ID_LENGTH)?;
    let session = SessionId::from_uuid(Uuid::parse_str(id).ok()?);
    (session.to_string() == id && SUFFIXES.contains(&suffix)).then_some(session)
}

fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn size_bytes(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut folders = Vec::new();
    match look(path)? {
        Some(metadata) if metadata.is_dir() => folders.push(path.to_owned()),
        Some(metadata) => bytes += metadata.len(),
        None => {}
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match look(&entry.path())? {
                Some(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Some(metadata) => bytes += metadata.len(),
                None => {}
            }
        }
    }
    Ok(bytes)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match look(path)? {
        Some(metadata) if metadata.is_dir() => remove_folder(path),
        Some(_) => fs::remove_file(path),
        None => Ok(()),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    let mut removed = fs::remove_dir_all(path);
    for _ in 1..ATTEMPTS_MAX {
        match &removed {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                removed = fs::remove_dir_all(path);
            }
            Ok(()) | Err(_) => break,
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use candor_core::ports::IdSource as _;

    use super::Remains;
    use crate::ids::UuidV7Source;

    #[test]
    fn all_of_one_session_is_removed_and_nothing_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "kept").unwrap();
        let remains = Remains::new(folder.path().to_owned());
        let (one, other) = (UuidV7Source.session_id(), UuidV7Source.session_id());
        for session in [one, other] {
            let name = |suffix: &str| folder.path().join(format!("{session}{suffix}"));
            fs::create_dir(name("")).unwrap();
            fs::write(name("").join("stdout"), "12345").unwrap();
            fs::create_dir(name("").join("deeper")).unwrap();
            fs::write(name("").join("deeper/more"), "67").unwrap();
            fs::write(name(".recording"), "890").unwrap();
            fs::write(name(".identity"), "a").unwrap();
            fs::write(name(".identity.unfinished"), "b").unwrap();
            #[cfg(target_os = "linux")]
            {
                fs::create_dir(name(".shim")).unwrap();
                fs::write(name(".shim").join("started"), "12").unwrap();
                fs::write(name(".shim").join("lock"), "").unwrap();
            }
        }
        fs::write(folder.path().join("not-a-session.recording"), "").unwrap();
        fs::write(folder.path().join(format!("{one}.notes")), "").unwrap();
        assert_eq!(remains.sessions().unwrap().into_iter().collect::<Vec<_>>(), [one, other]);
        let size = if cfg!(target_os = "linux") { 14 } else { 12 };
        assert_eq!(remains.size_bytes(one).unwrap(), size);
        // A link to elsewhere goes, and elsewhere stays.
        symlink(outside.path(), folder.path().join(one.to_string()).join("link")).unwrap();
        remains.remove(one).unwrap();
        assert_eq!(fs::read_to_string(outside.path().join("precious")).unwrap(), "kept");
        assert_eq!(remains.remove(one).unwrap(), 0, "nothing left is nothing to do");
        assert_eq!(remains.sessions().unwrap().into_iter().collect::<Vec<_>>(), [other]);
        assert_eq!(remains.size_bytes(other).unwrap(), size);
        assert!(folder.path().join(format!("{one}.notes")).exists(), "it is none of ours");
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "kept").unwrap();
        let session = UuidV7Source.session_id();
        symlink(outside.path(), folder.path().join(session.to_string())).unwrap();
        let remains = Remains::new(folder.path().to_owned());
        remains.remove(session).unwrap();
        assert!(remains.sessions().unwrap().is_empty());
        assert!(outside.path().join("precious").exists());
    }
    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_removed_while_a_shim_lives() {
        let folder = tempfile::tempdir().unwrap();
        let remains = Remains::new(folder.path().to_owned());
        let session = UuidV7Source.session_id();
        let shim = folder.path().join(format!("{session}.shim"));
        fs::create_dir(&shim).unwrap();
        fs::create_dir(folder.path().join(session.to_string())).unwrap();
        let lock = fs::File::create(shim.join("lock")).unwrap();
        lock.lock().unwrap();
        let error = remains.remove(session).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
        assert!(shim.join("lock").exists() && folder.path().join(session.to_string()).exists());
        drop(lock);
        remains.remove(session).unwrap();
        assert!(remains.sessions().unwrap().is_empty());
    }
}
