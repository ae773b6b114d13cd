//! Reading what a session has written, by offset, while it may still write.
//!
//! It never copies output anywhere and never holds a session up: the files are the session's own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use candor_core::session::SessionId;

use super::files;
use super::follow::{Follower, Watches};
use super::quota::{Gap, GapLook};

/// The most that one reading returns.
pub const OUTPUT_CHUNK_BYTES_MAX: usize = 64 * 1024;

/// One of the two outputs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// Returns the word, which is also the name of the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The outputs of all sessions below one folder.
#[derive(Clone, Debug)]
pub struct Outputs {
    sessions: PathBuf,
    watches: Arc<Watches>,
}

impl Outputs {
    /// Reads below the folder that the spawner was given.
    #[must_use]
    pub fn new(sessions_folder: PathBuf) -> Self {
        Self { sessions: sessions_folder, watches: Arc::default() }
    }

    /// Opens one output of a session.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none: the session was never launched, or was refused, or its folder
    /// was removed. Otherwise what the file system said.
    pub fn open(&self, session: SessionId, stream: Stream) -> io::Result<OutputReader> {
        let path = files::output(&self.sessions, session, stream);
        let mut options = OpenOptions::new();
        // Without O_NONBLOCK a fifo in its place would hold us for ever.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let gaps = GapLook::of(&self.sessions, session, stream);
        Ok(OutputReader { file: Arc::new(file), path, gaps })
    }

    /// Starts to wait for an output to grow. Drop the follower to stop; while nobody follows, no
    /// resource is held.
    ///
    /// Call it within a tokio runtime with its timers on: it waits by timer where the system has
    /// no more watches to give.
    #[must_use]
    pub fn follow(&self, reader: &OutputReader) -> Follower {
        Watches::follow(&self.watches, reader)
    }
}

/// One output, opened once and read by offset.
#[derive(Clone, Debug)]
pub struct OutputReader {
    file: Arc<File>,
    path: PathBuf,
    gaps: GapLook,
}

/// What stands at an offset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Chunk {
    /// These bytes, as they were written. None at the end; more may come later.
    Bytes(Vec<u8>),
    /// Nothing up to the end of this gap, since it was dropped. It begins at the offset.
    Dropped(Gap),
    /// Nothing, and nothing may come: somebody has cut the file off before the offset.
    CutOff {
        /// What is left of it.
        size_bytes: u64,
    },
}

impl OutputReader {
    /// Returns how many bytes there are now.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Returns when it was last written to.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub fn written_at(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// Returns what stands from `offset` on, at most `bytes_max` and at most
    /// [`OUTPUT_CHUNK_BYTES_MAX`] bytes, and never across a gap.
    ///
    /// It may wait for a disk.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub fn read_at(&self, offset: u64, bytes_max: u64) -> io::Result<Chunk> {
        let size_bytes = self.size_bytes()?;
        if size_bytes < offset {
            return Ok(Chunk::CutOff { size_bytes });
        }
        let mut chunk = self.bytes_at(offset, size_bytes - offset, bytes_max)?;
        // Only now: what becomes a gap is put down before it is dropped, and so before what was read
        // can have been zeros.
        match self.gap()? {
            Some(gap) if gap.to <= offset || chunk.is_empty() => {}
            Some(Gap { from, to }) if from <= offset => {
                return Ok(Chunk::Dropped(Gap { from: offset, to }));
            }
            Some(Gap { from, .. }) => {
                chunk.truncate(usize::try_from(from - offset).unwrap_or(usize::MAX));
            }
            None => {}
        }
        Ok(Chunk::Bytes(chunk))
    }

    /// Returns what was dropped of it until now.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub fn gap(&self) -> io::Result<Option<Gap>> {
        self.gaps.gap(&self.file)
    }

    fn bytes_at(&self, offset: u64, left: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let wanted = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(OUTPUT_CHUNK_BYTES_MAX);
        let mut chunk = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(wanted)];
        let mut read = 0;
        while read < chunk.len() {
            match self.file.read_at(&mut chunk[read..], offset + read as u64) {
                // Somebody has cut the file off meanwhile.
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        chunk.truncate(read);
        Ok(chunk)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
