//! Where a session's shim keeps what it must not forget: records, a lock, a socket.
//!
//! | name | written by | when | says |
//! |---|---|---|---|
//! | `intent` | the daemon | before it orders the launch | without it, no shim goes on |
//! | `lock` | held by the shim | before anything else | somebody watches the process |
//! | `control` | the shim | before the fork | where it can be reached |
//! | `started` | the shim | before the gate is opened | without it, the program never ran |
//! | `exit` | the shim | before the process is reaped | how it ended |
//!
//! The intent is not synced: it is there for a shim that comes late, and no shim lives through a power
//! cut. All that is known of a launch after one hangs on `started`, whose folders are synced, too.
//!
//! They lie in `<id>.shim/`, *beside* the folder of the session's output, so that a user who removes
//! that one does not take away the only means to find its process.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use candor_core::ports::Ending;
use candor_core::session::{OutputSizes, SessionId};
use candor_core::verdict::{Exit, Witness};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::WaitIdStatus;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cgroup::Cgroup;
use crate::process::files;
use crate::process::identity::Identity;
use crate::process::platform::FOLDER_FLAGS;
use crate::process::record::{self, Found};

/// The name of the socket.
pub(super) const CONTROL: &str = "control";

/// The name of the lock.
const LOCK: &str = "lock";

/// The folder of one session's shim.
#[derive(Clone, Debug)]
pub(super) struct Place {
    folder: PathBuf,
    session: SessionId,
}

/// Held by whoever may decide what becomes of the launch: the shim for as long as it lives, or a
/// daemon while it finds out what a dead one has left. The kernel lets go of it when its holder
/// dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// What came of an attempt to keep shims out.
#[derive(Debug)]
pub(super) enum Fencing {
    /// One is there.
    Held,
    /// None is, and none can go on: by this lock, or because there is none.
    Done(Option<Lock>),
}

/// One of the records.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The name of its file.
    const NAME: &'static str;

    /// Whether what it says may be put down before it is settled.
    const IS_FORETOLD: bool = false;

    /// Whose it is. A file that was copied from elsewhere gives itself away.
    fn session(&self) -> SessionId;
}

/// A launch was ordered, or will be in a moment, and nobody has decided that it never was.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Intent {
    pub(super) session: SessionId,
    /// Names the launch, so that a shim that comes late does not take another one's for its own.
    pub(super) nonce: Uuid,
}

/// There is a process, and its program may have run.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Started {
    pub(super) nonce: Uuid,
    pub(super) identity: Identity,
    /// Where the process was put, if it has a cgroup of its own.
    #[serde(default)]
    pub(super) cgroup: Option<Cgroup>,
}

/// The process has ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct ExitRecord {
    pub(super) session: SessionId,
    pub(super) nonce: Uuid,
    pub(super) exit: Exit,
    /// Whether the kernel said that it killed this very process for want of memory.
    #[serde(default)]
    pub(super) oom_killed: bool,
    #[serde(default)]
    pub(super) witness: Witness,
    /// At the moment of the end.
    pub(super) output: OutputSizes,
    /// How many processes of the session were still alive when this was written. `None` in a record
    /// that was written before they were ended, by a shim that did not come to say.
    #[serde(default)]
    pub(super) left_behind: Option<u32>,
    pub(super) boot_id: String,
}

impl Record for Intent {
    const NAME: &'static str = "intent";

    fn session(&self) -> SessionId {
        self.session
    }
}

impl Record for Started {
    const NAME: &'static str = "started";

    fn session(&self) -> SessionId {
        self.identity.session()
    }
}

impl Record for ExitRecord {
    const NAME: &'static str = "exit";
    const IS_FORETOLD: bool = true;

    fn session(&self) -> SessionId {
        self.session
    }
}

impl ExitRecord {
    /// Returns the fact.
    pub(super) const fn ending(&self) -> Ending {
        let Self { exit, oom_killed, witness, output, left_behind, .. } = *self;
        Ending { exit, oom_killed, witness, output, left_behind }
    }
}

/// Reads a status as `wait` has it.
pub(super) fn exit_of(status: i32) -> Exit {
    let number = |value: i32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
    if libc::WIFSIGNALED(status) {
        let core_dumped = libc::WCOREDUMP(status);
        return Exit::Signal { number: number(libc::WTERMSIG(status)), core_dumped };
    }
    Exit::Code(number(libc::WEXITSTATUS(status)))
}

/// Reads what `waitid` said of a process that has ended.
pub(super) fn exit(status: &WaitIdStatus) -> Exit {
    let number = |value: i32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => Exit::Signal { number: number(signal), core_dumped: status.dumped() },
        (code, None) => Exit::Code(code.map_or(u8::MAX, number)),
    }
}

/// Locks a file, unless somebody has.
fn held(file: File) -> io::Result<Option<Lock>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Place {
    /// The session's, as a daemon sees it.
    pub(super) fn of(sessions: &Path, session: SessionId) -> Self {
        Self { folder: sessions.join(format!("{session}.shim")), session }
    }

    /// The same, as a shim sees it that stands in it.
    pub(super) fn here(session: SessionId) -> Self {
        Self { folder: PathBuf::from("."), session }
    }

    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the folder of all sessions.
    pub(super) fn sessions(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path<R: Record>(&self) -> PathBuf {
        self.folder.join(R::NAME)
    }

    /// Makes the folder, and says whether this call made it. Only one ever does.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn claim(&self) -> io::Result<bool> {
        files::make_folder(&self.folder)
    }

    /// Makes the folder itself survive a power cut. A record in it is worth no more than that.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn sync(&self) -> io::Result<()> {
        record::sync_folder_of(&self.folder)
    }

    /// Whether this was a session's place and nobody watches its process any more, so that nothing
    /// is started for it either. Nothing is made there: it may be another's.
    pub(super) fn is_over(&self) -> bool {
        // Only where one has started: a shim that finds its lock taken leaves.
        matches!(self.load::<Started>(), Ok(Found::Whole(_)))
            && matches!(self.is_held(), Ok(Some(false) | None))
    }

    /// Removes the session's cgroup, if it had one and nothing is left in it.
    pub(super) fn remove_cgroup(&self) {
        if let Ok(Found::Whole(Started { cgroup: Some(cgroup), .. })) = self.load()
            && cgroup.is_of(self.session)
        {
            cgroup.remove();
        }
    }

    /// Whether the folder was removed under the shim that stands in it: then nothing can be
    /// recorded any more, and nobody would find it.
    pub(super) fn is_removed(&self) -> bool {
        fs::metadata(&self.folder).is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Stores a record. Afterwards a reader finds it whole, even after a power cut; after an error,
    /// not at all, but perhaps by [`unfinished`](Self::unfinished).
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn store<R: Record>(&self, record: &R) -> io::Result<()> {
        let path = self.path::<R>();
        if R::IS_FORETOLD {
            record::store_foretold(&path, record)
        } else {
            record::store(&path, record, || {})
        }
    }

    /// Writes a record that is not settled yet under its unfinished name, where whoever looks after
    /// the death of this process takes it. No power cut is survived.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn foretell<R: Record>(&self, record: &R) -> io::Result<()> {
        record::foretell(&self.path::<R>(), record)
    }

    /// Shows the intent to the shim that will come. No power cut is survived.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn intend(&self, intent: &Intent) -> io::Result<()> {
        record::show(&self.path::<Intent>(), intent)
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// When the file could not be read, so that nobody knows what it says.
    pub(super) fn load<R: Record>(&self) -> io::Result<Found<R>> {
        self.read(&self.path::<R>())
    }

    /// Reads what somebody wrote who died before it had its name. It is as true as if it had: only
    /// the name was missing, and it checks itself.
    ///
    /// # Errors
    ///
    /// When the file could not be read.
    pub(super) fn unfinished<R: Record>(&self) -> io::Result<Found<R>> {
        let path = self.path::<R>();
        // The later one first: it says more.
        match self.read(&record::writing(&path))? {
            Found::Whole(record) => Ok(Found::Whole(record)),
            Found::Damaged | Found::Nothing => self.read(&record::unfinished(&path)),
        }
    }

    fn read<R: Record>(&self, path: &Path) -> io::Result<Found<R>> {
        Ok(match record::load::<R>(path)? {
            Found::Whole(record) if record.session() != self.session => Found::Damaged,
            found => found,
        })
    }

    /// Gives an unfinished record its name, and removes what is left of others.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn promote<R: Record>(&self) -> io::Result<()> {
        let path = self.path::<R>();
        let [writing, unfinished] = [record::writing(&path), record::unfinished(&path)];
        let (whole, other) = match self.read::<R>(&writing)? {
            Found::Whole(_) => (writing, unfinished),
            Found::Damaged | Found::Nothing => (unfinished, writing),
        };
        fs::rename(whole, &path)?;
        drop(record::remove(&other));
        record::sync_folder_of(&path)
    }

    /// Removes a record for good, if it is there, and what was written of it.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn remove<R: Record>(&self) -> io::Result<()> {
        let path = self.path::<R>();
        record::remove(&path)?;
        record::remove(&record::unfinished(&path))?;
        record::remove(&record::writing(&path))?;
        record::sync_folder_of(&path)
    }

    /// Takes the lock, or returns `None` when somebody holds it.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn lock(&self) -> io::Result<Option<Lock>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        held(options.custom_flags(libc::O_NOFOLLOW).open(self.folder.join(LOCK))?)
    }

    /// Says whether there is a folder, and no link to one.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn is_folder(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.folder) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock as it is: nothing is made, since that may be impossible just where room is to
    /// be had by removing. Where there is no lock, no shim has one, and the intent is withdrawn
    /// under another name, so that none that comes late goes on.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn fence(&self) -> io::Result<Fencing> {
        let lock = match self.try_lock()? {
            Some(Some(lock)) => Some(lock),
            Some(None) => return Ok(Fencing::Held),
            None => None,
        };
        if self.listens()? {
            // Somebody has removed its lock, or put another one in its place.
            return Ok(Fencing::Held);
        }
        let intent = self.path::<Intent>();
        match fs::rename(&intent, intent.with_extension("withdrawn")) {
            // Until now one could go on, and may have made a lock.
            Ok(()) if lock.is_none() => Ok(Fencing::Held),
            Ok(()) => Ok(Fencing::Done(lock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Fencing::Done(lock)),
            Err(error) => Err(error),
        }
    }

    /// Says whether somebody holds the lock, or nothing where there is none. It is taken for a
    /// moment: a shim that starts in this moment leaves, so ask only where one has started.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn is_held(&self) -> io::Result<Option<bool>> {
        Ok(self.try_lock()?.map(|lock| lock.is_none()))
    }

    /// Tries a lock that is there. The inner `None` is for one that somebody holds.
    fn try_lock(&self) -> io::Result<Option<Option<Lock>>> {
        let mut options = OpenOptions::new();
        // Without O_NONBLOCK a fifo in its place would hold us for ever.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        match options.open(self.folder.join(LOCK)) {
            Ok(file) => held(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says whether somebody listens at the socket: then the shim lives, whatever the lock says.
    ///
    /// # Errors
    ///
    /// When nobody can tell.
    pub(super) fn listens(&self) -> io::Result<bool> {
        // By the folder's descriptor, since a socket's name has little more than a hundred bytes.
        let folder = rustix::fs::open(&self.folder, FOLDER_FLAGS, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{CONTROL}", folder.as_raw_fd());
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match connect(&socket, &SocketAddrUnix::new(path)?) {
            // Too many wait for it already.
            Ok(()) | Err(Errno::AGAIN) => Ok(true),
            Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns what the file system tells of the folder, the lock and the socket, or nothing of
    /// what is not there.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn look(&self) -> io::Result<[Option<Metadata>; 3]> {
        let look = |path: &Path| match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let Self { folder, .. } = self;
        Ok([look(folder)?, look(&folder.join(LOCK))?, look(&folder.join(CONTROL))?])
    }

    /// Removes the socket. Where it stays, nobody answers there any more.
    pub(super) fn remove_control(&self) {
        drop(fs::remove_file(self.folder.join(CONTROL)));
    }

    /// Removes all that a launch has left that came to nothing. The start goes first and for good:
    /// without it, nobody takes the rest for a process.
    ///
    /// # Errors
    ///
    /// When the start may still be there. What else cannot be removed stays, and harms nobody.
    pub(super) fn discard(&self) -> io::Result<()> {
        let removed = self.remove::<Started>();
        drop(record::remove(&self.path::<Intent>()));
        drop(record::remove(&record::unfinished(&self.path::<Intent>())));
        self.remove_control();
        drop(fs::remove_file(self.folder.join(LOCK)));
        removed
    }
}
