//! A session's folder and the files of its output.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use candor_core::session::{OutputSizes, SessionId};

use super::output::Stream;
use super::quota;

/// Returns the session's folder.
pub(super) fn folder(sessions: &Path, session: SessionId) -> PathBuf {
    sessions.join(session.to_string())
}

/// Returns the file of one output.
pub(super) fn output(sessions: &Path, session: SessionId, stream: Stream) -> PathBuf {
    folder(sessions, session).join(stream.as_str())
}

/// Makes the session's folder, and says whether this call made it. Only one ever does.
///
/// # Errors
///
/// What the file system said.
pub(super) fn claim(sessions: &Path, session: SessionId) -> io::Result<bool> {
    make_folder(&folder(sessions, session))
}

/// Makes a private folder, and the ones above it where they are not there yet. Says whether this
/// call made it.
///
/// # Errors
///
/// What the file system said.
pub(super) fn make_folder(path: &Path) -> io::Result<bool> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    let made = match (builder.create(path), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            builder.recursive(true).create(parent)?;
            builder.recursive(false).create(path)
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the file of one output, open for append by whoever gets the descriptor.
///
/// # Errors
///
/// What the file system said; `EEXIST` when the file is there, whatever it is.
pub(super) fn create_output(
    sessions: &Path,
    session: SessionId,
    stream: Stream,
) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    Ok(options.open(output(sessions, session, stream))?.into())
}

/// Removes the folder of a launch that came to nothing, with the empty files in it. What cannot be
/// removed stays, and harms nobody: without an identity there was no process.
pub(super) fn discard(sessions: &Path, session: SessionId) {
    for stream in Stream::ALL {
        drop(fs::remove_file(output(sessions, session, stream)));
    }
    quota::discard(sessions, session);
    drop(fs::remove_dir(folder(sessions, session)));
}

/// Returns how much output there is now. A file that is gone can no longer be read, and counts as
/// empty.
pub(super) fn sizes(sessions: &Path, session: SessionId) -> OutputSizes {
    let size = |stream| {
        let metadata = fs::symlink_metadata(output(sessions, session, stream));
        metadata.map_or(0, |metadata| metadata.len())
    };
    OutputSizes { stdout_bytes: size(Stream::Stdout), stderr_bytes: size(Stream::Stderr) }
}
