//! Where a verb writes what it made: never over what it read, and over nothing else unless it is
//! told to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why a file is not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// It is one of those that were read.
    #[error("{} is what was read: write into another file", .0.display())]
    Input(PathBuf),
    /// It is there already.
    #[error("{} is there already: write into another file, or overwrite it with --force", .0.display())]
    Exists(PathBuf),
    /// The system refuses.
    #[error("cannot write {}: {source}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file that is to be written.
#[derive(Clone, Debug)]
pub struct Destination {
    path: PathBuf,
    inputs: Vec<PathBuf>,
    is_forced: bool,
}

impl Destination {
    /// A file that is to be made of others; `is_forced` where it may replace one that is none of
    /// these.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, inputs: &[PathBuf], is_forced: bool) -> Self {
        Self { path: path.into(), inputs: inputs.to_vec(), is_forced }
    }

    /// Returns the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether it may be written, so that nobody waits for work that is thrown away.
    ///
    /// # Errors
    ///
    /// [`NotWritten::Input`] and [`NotWritten::Exists`]: tell the user.
    pub fn check(&self) -> Result<(), NotWritten> {
        let Ok(there) = fs::metadata(&self.path) else {
            return Ok(());
        };
        // Two names may lead to one file.
        let is_it = |input: &PathBuf| {
            fs::metadata(input)
                .is_ok_and(|other| (other.dev(), other.ino()) == (there.dev(), there.ino()))
        };
        if self.inputs.iter().any(is_it) {
            return Err(NotWritten::Input(self.path.clone()));
        }
        // A device or a pipe holds nothing that could be lost.
        if there.is_file() && !self.is_forced {
            return Err(NotWritten::Exists(self.path.clone()));
        }
        Ok(())
    }

    /// Writes a text there.
    ///
    /// # Errors
    ///
    /// See [`NotWritten`].
    pub fn write(&self, text: &str) -> Result<(), NotWritten> {
        self.check()?;
        let is_new = !self.is_forced && !self.path.exists();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).create_new(is_new);
        let written = options.open(&self.path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|source| NotWritten::Refused { path: self.path.clone(), source })
    }
}
