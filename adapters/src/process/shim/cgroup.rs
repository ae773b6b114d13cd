//! A cgroup of a session's own, where the system lets this user make one.
//!
//! It is used for one thing: `cgroup.kill` ends all that is in it at once, and nothing can be forked
//! out of its reach meanwhile. Whether anything is left is asked of the tree, which also has what has
//! moved out of the cgroup. No limit is set and no controller asked for, so that nothing but its end
//! differs for the session.
//!
//! All of it may fail, and then there is none.
//!
//! Source: `cgroups(7)`; the kernel's `Documentation/admin-guide/cgroup-v2.rst`, "Core Interface
//! Files" and "Delegation".

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;
use rustix::fs::{Mode, statfs};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::process::platform::FOLDER_FLAGS;

/// Where the second version is found: alone, and beside the first.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// `CGROUP2_SUPER_MAGIC`.
///
/// Source: `statfs(2)`.
const FILE_SYSTEM: u64 = 0x6367_7270;

/// What the name of a session's cgroup begins with. Its id follows.
const PREFIX: &str = "candor-";

/// Cgroups of sessions that have ended which one shim looks for, at most.
const LEFT_MAX: usize = 1024;

/// The cgroup of one session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// Makes the session's cgroup in this process's own.
    pub(super) fn make(session: SessionId) -> Option<Self> {
        let folder = own_folder()?.join(name_of(session));
        fs::create_dir(&folder).ok()?;
        let cgroup = Self { folder };
        // Since Linux 5.14.
        if !cgroup.folder.join("cgroup.kill").exists() {
            cgroup.remove();
            return None;
        }
        Some(cgroup)
    }

    /// Opens it, for a process to be started in.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn open(&self) -> io::Result<impl AsFd + use<>> {
        Ok(rustix::fs::open(&self.folder, FOLDER_FLAGS, Mode::empty())?)
    }

    /// Whether it can be this session's: nobody else's is ever touched, whatever a record says.
    pub(super) fn is_of(&self, session: SessionId) -> bool {
        self.folder.file_name().is_some_and(|name| *name == *name_of(session))
            && is_cgroup(&self.folder)
    }

    /// Kills all that is in it.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(super) fn kill(&self) -> io::Result<()> {
        // Not by `fs::write`, which would make a file where there is none.
        let mut options = File::options();
        io::Write::write_all(&mut options.write(true).open(self.folder.join("cgroup.kill"))?, b"1")
    }

    /// Removes it, if nothing is left in it. While something is, it stays: it shows where that came
    /// from.
    pub(super) fn remove(&self) {
        drop(fs::remove_dir(&self.folder));
    }
}

/// Removes the cgroups in which sessions that are over left something, once that has ended, too.
/// `is_over` must say so only when nothing more is started for the session.
pub(super) fn remove_left(is_over: impl Fn(SessionId) -> bool) {
    let Some(folder) = own_folder() else {
        return;
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((session_of(entry.file_name().to_str()?)?, entry)));
    // Not before: a cgroup has dozens of files of the kernel's beside those of sessions.
    for (session, entry) in named.take(LEFT_MAX) {
        if is_over(session) {
            // Refused as long as anything runs in it.
            drop(fs::remove_dir(entry.path()));
        }
    }
}

fn name_of(session: SessionId) -> String {
    format!("{PREFIX}{session}")
}

/// Returns the session whose cgroup has this name.
pub(in crate::process) fn session_of(name: &str) -> Option<SessionId> {
    let session = SessionId::from_uuid(Uuid::try_parse(name.strip_prefix(PREFIX)?).ok()?);
    (name_of(session) == name).then_some(session)
}

/// Returns the folder of the cgroup in which this process is.
fn own_folder() -> Option<PathBuf> {
    let mount = MOUNTS.into_iter().find(|mount| is_cgroup(Path::new(mount)))?;
    let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = memberships.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // Outside of what is mounted here.
    if own.split('/').any(|part| part == "..") {
        return None;
    }
    Some(Path::new(mount).join(own))
}

fn is_cgroup(folder: &Path) -> bool {
    statfs(folder)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == FILE_SYSTEM))
}

#[cfg(test)]
mod tests {
    use candor_core::ports::IdSource as _;

    use super::{Cgroup, name_of, session_of};
    use crate::ids::UuidV7Source;

    #[test]
    fn only_names_that_are_given_are_sessions() {
        let session = UuidV7Source.session_id();
        assert_eq!(session_of(&name_of(session)), Some(session));
        for name in ["", "candor-", "candor-x", "user.slice", &session.to_string()] {
            assert_eq!(session_of(name), None, "{name}");
        }
        assert_eq!(session_of(&name_of(session).to_uppercase()), None);
        assert_eq!(session_of(&format!("candor-{{{session}}}")), None);
    }

    #[test]
    fn folder_that_is_no_cgroup_is_nobody_s() {
        let session = UuidV7Source.session_id();
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(name_of(session));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("cgroup.kill"), "").unwrap();
        let cgroup = Cgroup { folder };
        assert!(!cgroup.is_of(session));
    }
}
