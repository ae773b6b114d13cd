//! Where Candor keeps its state, and whether that place can be used.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Bytes of a path that a Unix socket can have, at most, on Linux.
///
/// Source: `unix(7)`: 108 with the terminating NUL. macOS has 104.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// Bytes of a process's number that are read, at most.
const NUMBER_BYTES_MAX: u64 = 16;

/// The folder with all of Candor's state.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    folder: PathBuf,
}

/// Why a home cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error(
        "there is no place for Candor's state: set HOME, or set CANDOR_HOME to a folder of yours"
    )]
    NoPlace,
    #[error(
        "the folder {} is too long for a socket ({length_bytes} bytes, {} at most): set CANDOR_HOME \
         to a shorter one", .folder.display(), SOCKET_PATH_BYTES_MAX
    )]
    TooLong { folder: PathBuf, length_bytes: usize },
    #[error(
        "{} belongs to user {owner}, and you are user {user}: set CANDOR_HOME to a folder of yours",
        .folder.display()
    )]
    NotYours { folder: PathBuf, owner: u32, user: u32 },
    #[error(
        "other users can write to {} (mode {mode:o}): run `chmod go-w` on it, or set CANDOR_HOME \
         to another folder", .folder.display()
    )]
    TooOpen { folder: PathBuf, mode: u32 },
    #[error("{} is not a folder: move it away, or set CANDOR_HOME to a folder", .folder.display())]
    NotAFolder { folder: PathBuf },
    #[error(
        "cannot write to {}: {source}; mend that, or set CANDOR_HOME to another folder",
        .path.display()
    )]
    Unwritable { path: PathBuf, source: io::Error },
}

/// Holds the home for one daemon, until it is dropped or its process dies.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

/// Who has the home.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Holder {
    Nobody,
    /// Somebody, with the number that they have left; "unknown" if they have left none.
    Somebody {
        pid: String,
    },
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("another daemon (pid {holder}) has {}: `candor daemon stop` ends it", .folder.display())]
    Taken { folder: PathBuf, holder: String },
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Home {
    /// The name of the database.
    pub(crate) const DATABASE: &'static str = "candor.db";
    /// The name of the database of conversations.
    pub(crate) const CONVERSATIONS: &'static str = "conversations.db";
    /// The name of the database of hooks.
    pub(crate) const HOOKS: &'static str = "hooks.db";
    /// The name of the folder of sessions.
    pub(crate) const SESSIONS: &'static str = "sessions";
    /// The name of the folder of copies of the database.
    pub(crate) const BACKUPS: &'static str = "backups";
    /// The name of the folder of the temporary files of agents.
    pub(crate) const TEMPORARY: &'static str = "tmp";
    /// The name of the folder of what belongs to no session.
    pub(crate) const SET_ASIDE: &'static str = "set-aside";

    /// Finds the home by `CANDOR_HOME`, else by the XDG state folder. Touches nothing.
    ///
    /// # Errors
    ///
    /// [`HomeError::NoPlace`] and [`HomeError::TooLong`].
    pub(crate) fn find() -> Result<Self, HomeError> {
        let folder = match non_empty("CANDOR_HOME") {
            Some(folder) => std::path::absolute(folder)
                .map_err(|source| HomeError::Unwritable { path: PathBuf::from("."), source })?,
            None => xdg_folder("XDG_STATE_HOME", ".local/state").ok_or(HomeError::NoPlace)?,
        };
        let home = Self { folder };
        let length_bytes = home.socket().as_os_str().as_bytes().len();
        if length_bytes > SOCKET_PATH_BYTES_MAX {
            return Err(HomeError::TooLong { folder: home.folder, length_bytes });
        }
        Ok(home)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("candor.sock")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join(Self::DATABASE)
    }

    pub(crate) fn conversations(&self) -> PathBuf {
        self.folder.join(Self::CONVERSATIONS)
    }

    pub(crate) fn hooks(&self) -> PathBuf {
        self.folder.join(Self::HOOKS)
    }

    pub(crate) fn set_aside(&self) -> PathBuf {
        self.folder.join(Self::SET_ASIDE)
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.folder.join(Self::SESSIONS)
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.join(Self::TEMPORARY)
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.folder.join(Self::BACKUPS)
    }

    /// Where logins are kept.
    pub(crate) fn logins(&self) -> PathBuf {
        self.folder.join("logins.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("daemon.log")
    }

    /// Makes the home, private to its user, and checks that it is.
    ///
    /// # Errors
    ///
    /// See [`HomeError`]; each sentence says what to do.
    pub(crate) fn prepare(&self) -> Result<(), HomeError> {
        make_private_folder(&self.folder)?;
        make_private_folder(&self.sessions())?;
        make_private_folder(&self.backups())
    }

    /// Takes the home for this process.
    ///
    /// # Errors
    ///
    /// [`LockError::Taken`] when another daemon has it.
    pub(crate) fn lock(&self) -> Result<HomeLock, LockError> {
        let path = self.lock_file();
        let unwritable =
            |source| LockError::Home(HomeError::Unwritable { path: path.clone(), source });
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Taken {
                    folder: self.folder.clone(),
                    holder: number_in(&mut file),
                });
            }
            Err(errno) => return Err(unwritable(errno.into())),
        }
        file.set_len(0).map_err(unwritable)?;
        file.rewind().map_err(unwritable)?;
        write!(file, "{}", std::process::id()).map_err(unwritable)?;
        Ok(HomeLock { _file: file })
    }

    /// Finds out who has the home, without taking it. A daemon that starts in this very moment may
    /// find it taken, and those who start one try again.
    ///
    /// # Errors
    ///
    /// [`HomeError::Unwritable`] when the lock cannot be looked at.
    pub(crate) fn holder(&self) -> Result<Holder, HomeError> {
        let path = self.lock_file();
        let unusable = |source| HomeError::Unwritable { path: path.clone(), source };
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let opened =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
            Err(error) => return Err(unusable(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Holder::Nobody),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Ok(Holder::Somebody { pid: number_in(&mut file) })
            }
            Err(errno) => Err(unusable(errno.into())),
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("daemon.lock")
    }
}

/// Returns the number that the holder of a lock has left. Only for a sentence: the lock, not the
/// number, is what counts.
fn number_in(file: &mut File) -> String {
    let mut number = String::new();
    let _unreadable = file.take(NUMBER_BYTES_MAX).read_to_string(&mut number);
    if number.is_empty() { "unknown".to_owned() } else { number }
}

/// Returns the folder with Candor's settings, if there is a place for one.
pub(crate) fn config_folder() -> Option<PathBuf> {
    xdg_folder("XDG_CONFIG_HOME", ".config")
}

/// Follows the XDG base directory specification: a relative path counts as none.
fn xdg_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let base = non_empty(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| non_empty("HOME").map(|home| Path::new(&home).join(below_home)))?;
    base.is_absolute().then(|| base.join("candor"))
}

fn non_empty(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

fn make_private_folder(folder: &Path) -> Result<(), HomeError> {
    let unwritable = |source| HomeError::Unwritable { path: folder.to_owned(), source };
    if let Some(parent) = folder.parent() {
        // As the XDG base directory specification has it: who could change a folder above could
        // put another one in the place of ours.
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(unwritable)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unwritable(error)),
    }
    let metadata = fs::symlink_metadata(folder).map_err(unwritable)?;
    let user = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        return Err(HomeError::NotAFolder { folder: folder.to_owned() });
    }
    if metadata.uid() != user {
        return Err(HomeError::NotYours { folder: folder.to_owned(), owner: metadata.uid(), user });
    }
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(HomeError::TooOpen { folder: folder.to_owned(), mode });
    }
    if metadata.mode() & 0o077 != 0 {
        // Ours, and nobody can have changed anything in it: it only lets others look.
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .map_err(unwritable)?;
    }
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK)
        .map_err(|errno| unwritable(errno.into()))
}
