//! The environment of a session that waits in the queue, for the daemon after this one.
//!
//! Values of the environment are never stored. A queued session has no process yet that could hold
//! them, and its daemon may be killed. So they are kept in a file system that lies in memory, in a
//! file that only the user can read, as the process's own environment can be read in `/proc`; and it
//! is gone as soon as the session has left the queue. Where there is no such file system, they are in
//! this daemon's memory alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use candor_core::bytes::ByteString;
use candor_core::ports::Environment;
use candor_core::session::SessionId;

/// Bytes of an environment that is read back, at most. The system takes less.
const ENVIRONMENT_BYTES_MAX: u64 = 64 << 20;

/// Keeps an environment. What fails is logged: it is for a case that may never come.
pub(super) fn keep(session: SessionId, environment: &Environment) {
    if let Err(error) = write(session, environment) {
        tracing::warn!(%session, %error, "its environment is in this daemon's memory alone");
    }
}

/// Takes an environment back, or `None` if it was not kept.
pub(super) fn take(session: SessionId) -> Option<Environment> {
    let path = path(session).ok()?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let mut bytes = Vec::new();
    let file = options.open(&path).ok()?;
    file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let variables = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let equals = entry.iter().position(|byte| *byte == b'=')?;
        let bytes = |part: &[u8]| ByteString::new(part.to_vec()).ok();
        Some((bytes(&entry[..equals])?, bytes(&entry[equals + 1..])?))
    });
    Some(Environment::new(variables.collect()))
}

/// Forgets an environment that was kept.
pub(super) fn forget(session: SessionId) {
    let gone = path(session).and_then(fs::remove_file);
    match gone {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%session, %error, "its environment cannot be forgotten"),
    }
}

fn write(session: SessionId, environment: &Environment) -> io::Result<()> {
    let mut bytes = Vec::new();
    for (name, value) in environment.variables() {
        for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
            bytes.extend_from_slice(part);
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let path = path(session)?;
    let written = options.open(&path).and_then(|mut file| file.write_all(&bytes));
    if written.is_err() {
        forget(session);
    }
    written
}

fn path(session: SessionId) -> io::Result<PathBuf> {
    Ok(folder()?.join(session.to_string()))
}

/// Returns the folder, which is made, and is nobody else's.
fn folder() -> io::Result<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = runtime.into_iter().chain([PathBuf::from("/dev/shm")]);
    let in_memory = places.into_iter().find(|place| place.is_absolute() && is_in_memory(place));
    let folder = in_memory
        .ok_or_else(|| io::Error::other("there is no file system in memory"))?
        .join(format!("candor-{uid}"));
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = folder.symlink_metadata()?;
    if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 {
        Ok(folder)
    } else {
        Err(io::Error::other(format!("{} is not this user's alone", folder.display())))
    }
}

#[cfg(target_os = "linux")]
fn is_in_memory(place: &Path) -> bool {
    /// Source: `statfs(2)`.
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    rustix::fs::statfs(place).is_ok_and(|found| u64::try_from(found.f_type) == Ok(TMPFS_MAGIC))
}

#[cfg(not(target_os = "linux"))]
const fn is_in_memory(_place: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use candor_adapters::ids::UuidV7Source;
    use candor_core::bytes::ByteString;
    use candor_core::ports::{Environment, IdSource as _};

    use super::{forget, keep, take};

    #[test]
    fn what_is_kept_comes_back_until_it_is_forgotten() {
        let text = |text: &str| ByteString::try_from(text).unwrap();
        let environment =
            Environment::new(vec![(text("KEY"), text("a=b\nc")), (text("EMPTY"), text(""))]);
        let session = UuidV7Source.session_id();
        keep(session, &environment);
        assert_eq!(take(session), Some(environment));
        forget(session);
        assert_eq!(take(session), None);
        forget(session);
    }
}
