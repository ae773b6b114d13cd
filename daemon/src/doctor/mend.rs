//! What doctor changes: modes of files, and where they lie. It removes nothing, ends nothing, and
//! opens every folder by its name in the folder above, never through a link.
//!
//! The caller has the home's lock, so that there is no daemon.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use candor_adapters::process::{Fence, Piece, fence};
use rustix::fs::{Mode, OFlags, RenameFlags, mkdirat, open, openat, renameat_with};
use rustix::io::Errno;

use super::Remedy;
use super::tree::FOLDER;
use crate::home::{Home, HomeLock};

/// Names that are tried for something that is set aside, at most.
const NAMES_MAX: u32 = 1_000;

/// Does what a check asked for, and returns a sentence of what was done. `today` names the folder
/// for what is set aside.
///
/// # Errors
///
/// What the file system said; then nothing was changed.
pub(crate) fn mend(
    home: &Home,
    _lock: &HomeLock,
    remedy: &Remedy,
    today: &str,
) -> io::Result<String> {
    match remedy {
        Remedy::Close { path, mode } => {
            close(home, path, *mode)?;
            let shown = home.folder().join(path);
            Ok(format!("set {} to mode {:o}", shown.display(), mode.bits()))
        }
        Remedy::SetAside { path } => {
            // No shim loses its records, and none that comes late goes on in them.
            let _fence = fenced(home, path)?;
            let to = set_aside(home, path, today)?;
            Ok(format!("moved {} to {}", path.display(), to.display()))
        }
    }
}

/// Keeps the shim out whose folder this is, if it is one.
fn fenced(home: &Home, path: &Path) -> io::Result<Option<Fence>> {
    let is_session = path.parent() == Some(Path::new(Home::SESSIONS));
    let name = path.file_name().and_then(OsStr::to_str).filter(|_| is_session);
    match name.and_then(Piece::of) {
        Some((session, Piece::Shim)) => fence(&home.sessions(), session),
        Some(_) | None => Ok(None),
    }
}

/// Opens the folder that something lies in, and returns it with the name there.
fn above<'path>(home: &Home, path: &'path Path) -> io::Result<(OwnedFd, &'path OsStr)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let mut folder = open(home.folder(), FOLDER, Mode::empty())?;
    for part in path.parent().ok_or_else(invalid)?.components() {
        let Component::Normal(part) = part else { return Err(invalid()) };
        folder = openat(&folder, part, FOLDER, Mode::empty())?;
    }
    Ok((folder, path.file_name().ok_or_else(invalid)?))
}

fn close(home: &Home, path: &Path, mode: Mode) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        // A folder without the right to read it cannot be opened, and is named from above.
        let (Some(above), Some(name)) = (home.folder().parent(), home.folder().file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        return set_mode(&open(above, ABOVE, Mode::empty())?, name, mode);
    }
    let (folder, name) = above(home, path)?;
    set_mode(&folder, name, mode)
}

/// How to open the folder that the home is in, which is the user's own choice and may be a link.
const ABOVE: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Sets the mode of what has this name now, and not of what a link leads to.
///
/// Linux changes the mode of no link, and of nothing else either by the call that would have to be
/// told so; but it lets one change that of what is open.
#[cfg(target_os = "linux")]
fn set_mode(folder: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let it = openat(folder, name, flags, Mode::empty())?;
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&it)?.st_mode);
    if kind == rustix::fs::FileType::Symlink {
        return Err(io::Error::other("it has become a link"));
    }
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", it.as_raw_fd()), mode)?)
}

#[cfg(target_os = "macos")]
fn set_mode(folder: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmodat(folder, name, mode, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Moves something into a folder of this day, under a name that nothing there has.
fn set_aside(home: &Home, path: &Path, today: &str) -> io::Result<PathBuf> {
    let (from, name) = above(home, path)?;
    let home = open(home.folder(), FOLDER, Mode::empty())?;
    let all = folder_in(&home, OsStr::new(Home::SET_ASIDE))?;
    let day = folder_in(&all, OsStr::new(today))?;
    for number in 1..=NAMES_MAX {
        let mut free = name.to_owned();
        if number > 1 {
            free.push(format!(".{number}"));
        }
        match renameat_with(&from, name, &day, &free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
            Ok(()) => return Ok(Path::new(Home::SET_ASIDE).join(today).join(free)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Opens a folder, which is made if it is not there.
fn folder_in(above: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match mkdirat(above, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(openat(above, name, FOLDER, Mode::empty())?),
        Err(errno) => Err(errno.into()),
    }
}
