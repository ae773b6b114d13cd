//! The ground that everything stands on: the home, its file system and disk, its socket, its lock.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Mode, statvfs};

use super::{Check, Remedy};
use crate::api::DaemonView;
use crate::client::Client;
use crate::home::{Holder, Home, HomeError};

/// How long a daemon that has the home may take to answer, in milliseconds.
const ANSWER_MS_MAX: u64 = 2_000;

/// How often a daemon that does not listen is asked again, in milliseconds: it may be starting.
const ASK_AGAIN_MS: u64 = 20;

/// Free bytes below which the disk is called nearly full.
const FREE_BYTES_LOW: u64 = 256 << 20;

/// Free bytes below which nothing may be stored soon: the database's log alone takes as many.
const FREE_BYTES_MIN: u64 = 16 << 20;

/// Who has the home.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Daemon {
    /// Nobody, or this very doctor.
    None,
    /// A daemon that answers.
    Serves { pid: u32 },
    /// Somebody who does not answer in time.
    Silent { pid: String },
    /// Nobody can tell.
    Unknown { reason: String },
}

/// Finds out who has the home.
pub(super) async fn daemon(home: &Home) -> Daemon {
    let pid = match home.holder() {
        Ok(Holder::Nobody) => return Daemon::None,
        Ok(Holder::Somebody { pid }) => pid,
        Err(error) => return Daemon::Unknown { reason: error.to_string() },
    };
    let client = Client::new(&home.socket());
    let asking = async {
        loop {
            match client.get::<DaemonView>("/v1/daemon").await {
                Ok(daemon) => return Daemon::Serves { pid: daemon.pid },
                // It starts or leaves, and tells nobody when it has.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(ASK_AGAIN_MS)).await;
                }
            }
        }
    };
    let patience = Duration::from_millis(ANSWER_MS_MAX);
    tokio::time::timeout(patience, asking).await.unwrap_or(Daemon::Silent { pid })
}

/// Checks who has the home.
pub(super) fn lock(daemon: &Daemon) -> Check {
    const ID: &str = "lock";
    match daemon {
        Daemon::None => Check::ok(ID, "no daemon has the home"),
        Daemon::Serves { pid } => Check::ok(ID, format!("a daemon has the home (pid {pid})")),
        Daemon::Silent { pid } => Check::problem(
            ID,
            format!(
                "process {pid} has the home and does not answer within {} s",
                ANSWER_MS_MAX / 1_000
            ),
            format!(
                "nothing: see what it does with `ps -o pid,stat,args -p {pid}`; if it is stopped \
                 (T), `kill -CONT {pid}` lets it go on"
            ),
        ),
        Daemon::Unknown { reason } => Check::problem(
            ID,
            format!("who has the home cannot be told: {reason}"),
            "nothing: mend that first",
        ),
    }
}

/// Checks the folder itself, and says whether it is worth looking into.
pub(super) fn home(home: &Home) -> (Check, bool) {
    const ID: &str = "home";
    let folder = home.folder();
    let nothing = "nothing: set CANDOR_HOME to a folder of yours";
    let metadata = match fs::symlink_metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found =
                format!("{} is not there yet: the first session makes it", folder.display());
            return (Check::ok(ID, found), false);
        }
        Err(error) => {
            let found = format!("{} cannot be looked at: {error}", folder.display());
            return (Check::problem(ID, found, nothing), false);
        }
    };
    if !metadata.is_dir() {
        let what = if metadata.is_symlink() { "a link" } else { "no folder" };
        let found = format!("{} is {what}", folder.display());
        let would = "nothing: move it away, or set CANDOR_HOME to a folder";
        return (Check::problem(ID, found, would), false);
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        let owner = metadata.uid();
        let folder = folder.display();
        let found = format!("{folder} belongs to user {owner}, and you are user {user}");
        return (Check::problem(ID, found, nothing), false);
    }
    let mode = metadata.mode() & 0o7777;
    let found = format!("{} has mode {mode:o}", folder.display());
    if mode == 0o700 {
        return (Check::ok(ID, format!("{} is yours alone", folder.display())), true);
    }
    let close = vec![Remedy::Close { path: PathBuf::new(), mode: Mode::RWXU }];
    let would = "sets it to 700";
    let check = if mode & 0o022 != 0 {
        let found = format!("{found}: others may write to it, and may have");
        Check::problem(ID, found, would)
    } else if mode & 0o700 != 0o700 {
        let would = "nothing: run `chmod 700` on it, then look again";
        return (Check::problem(ID, format!("{found}: you cannot use it"), would), false);
    } else {
        Check::warning(ID, format!("{found}: others may look into it"), would)
    };
    (check.mended_by(close), true)
}

/// Tells of a home that there cannot be.
pub(crate) fn unfindable(error: &HomeError) -> Check {
    let id = match error {
        HomeError::TooLong { .. } => "socket",
        HomeError::NoPlace
        | HomeError::NotYours { .. }
        | HomeError::TooOpen { .. }
        | HomeError::NotAFolder { .. }
        | HomeError::Unwritable { .. } => "home",
    };
    Check::problem(id, error.to_string(), "nothing: this is for you to set")
}

/// Checks the path of the socket. One that is too long is no home at all: see [`unfindable`].
pub(super) fn socket(home: &Home) -> Check {
    let bytes = home.socket().as_os_str().len();
    let most = crate::home::SOCKET_PATH_BYTES_MAX;
    Check::ok("socket", format!("the path of the socket has {bytes} bytes of {most}"))
}

/// Checks that the file system is one that keeps locks.
pub(super) fn file_system(home: &Home) -> Check {
    const ID: &str = "file_system";
    match remote(home) {
        Ok(None) => Check::ok(ID, "the file system is a local one"),
        Ok(Some(name)) => Check::warning(
            ID,
            format!("the file system is {name}, which may not keep locks as a database needs them"),
            "nothing: set CANDOR_HOME to a folder on a local disk",
        ),
        Err(error) => Check::warning(
            ID,
            format!("the kind of the file system cannot be told: {error}"),
            "nothing: see that CANDOR_HOME is on a local disk",
        ),
    }
}

#[cfg(target_os = "linux")]
fn remote(home: &Home) -> io::Result<Option<&'static str>> {
    let magic = rustix::fs::statfs(home.folder())?.f_type;
    // The numbers have 32 bits, whatever type the kernel hands them over in.
    Ok(remote_name(magic as u32))
}

#[cfg(target_os = "macos")]
fn remote(home: &Home) -> io::Result<Option<&'static str>> {
    /// Source: `sys/mount.h`.
    const MNT_LOCAL: u32 = 0x1000;

    let is_local = rustix::fs::statfs(home.folder())?.f_flags & MNT_LOCAL != 0;
    Ok((!is_local).then_some("one of another machine"))
}

/// Returns the name of a file system whose files are elsewhere.
///
/// Source: `statfs(2)` and `linux/magic.h`.
#[cfg(any(target_os = "linux", test))]
const fn remote_name(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => Some("SMB"),
        0x6573_5546 => Some("FUSE"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x786f_4256 => Some("a shared folder of a virtual machine"),
        _ => None,
    }
}

/// Checks that there is room.
pub(super) fn space(home: &Home) -> Check {
    const ID: &str = "space";
    let free = match statvfs(home.folder()) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let found = format!("the free space of the disk cannot be told: {error}");
            return Check::warning(ID, found, "nothing: see that the disk is not full");
        }
    };
    let found = format!("the disk has {} MiB free", free >> 20);
    let would = "nothing: free some space";
    match free {
        ..FREE_BYTES_MIN => Check::problem(ID, found, would),
        FREE_BYTES_MIN..FREE_BYTES_LOW => Check::warning(ID, found, would),
        FREE_BYTES_LOW.. => Check::ok(ID, found),
    }
}

#[cfg(test)]
mod tests {
    use super::remote_name;

    #[test]
    fn file_systems_of_other_machines_have_a_name_and_local_ones_have_none() {
        for (magic, name) in [(0x6969, "NFS"), (0xff53_4d42, "SMB"), (0x6573_5546, "FUSE")] {
            assert_eq!(remote_name(magic), Some(name));
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS.
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1] {
            assert_eq!(remote_name(magic), None, "{magic:x}");
        }
    }
}
