//! The file that logins and tokens are kept in, as hashes, so that they outlive the daemon.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use candor_core::time::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::secret::Digest;

/// A longer file is none of ours. Full, it has about 30 kB.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// What is in the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Stored {
    /// The port of last time, which open pages still talk to.
    pub(super) port: Option<u16>,
    #[serde(default)]
    pub(super) logins: Vec<Login>,
    #[serde(default)]
    pub(super) tokens: Vec<Token>,
}

/// A browser that has logged in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Login {
    pub(super) cookie: Digest,
    /// The tokens of its pages, one a tab.
    pub(super) pages: Vec<Digest>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// What a script shows.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) read_only: bool,
    pub(super) created_at: Timestamp,
}

/// Why the file is not taken for ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it is not a file of yours that nobody else may touch (mode {mode:o}, user {owner})")]
    NotPrivate { mode: u32, owner: u32 },
    #[error("it is not what was written: {0}")]
    Damaged(String),
}

/// Reads the file. None is as good as an empty one.
///
/// # Errors
///
/// See [`FileError`]. Then nobody is logged in: who could write to it could log in.
pub(super) fn load(path: &Path) -> Result<Stored, FileError> {
    // Without O_NONBLOCK a fifo in its place would hold us for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let is_ours = metadata.is_file() && owner == rustix::process::geteuid().as_raw();
    if !is_ours || mode & 0o077 != 0 {
        return Err(FileError::NotPrivate { mode: mode & 0o7777, owner });
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(|error| FileError::Damaged(error.to_string()))
}

/// Stores the file. Afterwards a reader finds all of it, or, after an error, what was there before.
///
/// # Errors
///
/// What the file system said.
pub(super) fn store(path: &Path, stored: &Stored) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&unfinished)?;
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::{FILE_BYTES_MAX, Stored, Token, load, store};
    use crate::serve::web::secret::Digest;

    fn stored() -> Stored {
        let (name, digest) = ("script".to_owned(), Digest::of("x"));
        let created_at = "2026-01-01T00:00:00Z".parse().unwrap();
        let token = Token { name, digest, read_only: true, created_at };
        Stored { port: Some(4711), logins: Vec::new(), tokens: vec![token] }
    }

    #[test]
    fn what_was_stored_is_found_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins.json");
        assert!(load(&path).unwrap().port.is_none());
        store(&path, &stored()).unwrap();
        store(&path, &stored()).unwrap();
        let found = load(&path).unwrap();
        assert_eq!((found.port, found.tokens[0].name.as_str()), (Some(4711), "script"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn what_others_could_have_written_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins.json");
        store(&path, &stored()).unwrap();
        for mode in [0o640, 0o602, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(load(&path).is_err(), "{mode:o}");
        }
        let planted = folder.path().join("planted");
        store(&planted, &stored()).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&planted, &path).unwrap();
        assert!(load(&path).is_err(), "a link");
        store(&path, &Stored::default()).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert!(load(&planted).unwrap().port.is_some(), "what the link led to is as it was");
    }

    #[test]
    fn what_is_damaged_logs_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins.json");
        let long = vec![b' '; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
        for bytes in [&b""[..], b"{", b"[]", b"{\"logins\":[{}]}", b"\xff", &long] {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(load(&path).is_err());
        }
    }
}
