//! A folder for temporary files for each agent's session.
//!
//! Agents leave things in the common one, outside of what they call their home, under names that meet
//! those of other sessions.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;

/// How many of the 32 digits of an id the name of its folder leaves out.
const DIGITS: usize = 16;

/// The folder of all these folders. Its path is short, since programs put sockets in it.
pub(in crate::serve) struct TemporaryFolders {
    folder: PathBuf,
}

impl TemporaryFolders {
    pub(in crate::serve) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder of a session, and returns its path.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(in crate::serve) fn make(&self, session: SessionId) -> io::Result<PathBuf> {
        let path = self.path(session);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(path)
    }

    /// Removes the folder of a session, with whatever is in it.
    pub(in crate::serve) fn remove(&self, session: SessionId) {
        match remove_below(&self.path(session)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%session, %error, "its temporary files cannot be removed");
            }
        }
    }

    /// Returns the folders that there are.
    pub(in crate::serve) fn all(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        entries.flatten().map(|entry| entry.path()).collect()
    }

    /// Removes those of these folders that are of no live session.
    pub(in crate::serve) fn sweep(&self, found: Vec<PathBuf>, live: &[SessionId]) {
        let is_live = |path: &Path| live.iter().any(|id| self.path(*id) == path);
        for path in found.into_iter().filter(|path| !is_live(path)) {
            if let Err(error) = remove_below(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot be removed");
            }
        }
    }

    fn path(&self, session: SessionId) -> PathBuf {
        let digits = session.as_uuid().simple().to_string();
        self.folder.join(&digits[DIGITS..])
    }
}

/// Removes a folder. What is no folder is no folder of ours.
fn remove_below(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return Ok(());
    }
    fs::remove_dir_all(path)
}
