//! Everything below the home: who may read and write it, and what is a link.
//!
//! Each folder is opened by its name in the folder above and never through a link, so that nothing
//! outside the home is looked at, whatever somebody does meanwhile.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use candor_adapters::process::Piece;
use candor_core::session::SessionId;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, open, openat, statat};
use rustix::io::Errno;

use super::records::Records;
use super::{Check, Remedy, counted};
use crate::home::Home;

/// How to open a folder, and only a folder.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How deep folders are looked into. Candor's own are not deeper than 3.
const DEPTH_MAX: usize = 16;

/// Files and folders that are looked at, at most.
const ENTRIES_MAX: usize = 1_000_000;

/// What lies below the home.
#[derive(Debug, Default)]
pub(super) struct Tree {
    count: usize,
    /// Those that others may read or write, with the mode that they should have.
    open: Vec<(PathBuf, Mode, Mode)>,
    /// Those of another user.
    foreign: Vec<(PathBuf, u32)>,
    links: Vec<PathBuf>,
    /// Folders that could not be looked into, with the reason.
    unread: Vec<(PathBuf, String)>,
    /// What lies in the folder of sessions under a name that Candor gives, and is no link.
    pub(super) pieces: Vec<(SessionId, Piece, PathBuf)>,
}

impl Tree {
    /// Looks at everything.
    pub(super) fn of(home: &Home) -> Self {
        let mut tree = Self::default();
        match open(home.folder(), FOLDER, Mode::empty()) {
            Ok(folder) => tree.visit(&folder, Path::new(""), 0),
            Err(errno) => tree.unread.push((PathBuf::new(), errno.to_string())),
        }
        tree.pieces.sort();
        tree.links.sort();
        tree.open.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        tree
    }

    /// Says whether this name below the home is a link.
    pub(super) fn is_link(&self, path: &Path) -> bool {
        self.links.iter().any(|link| link == path)
    }

    fn visit(&mut self, folder: &OwnedFd, at: &Path, depth: usize) {
        if depth > DEPTH_MAX || self.count > ENTRIES_MAX {
            self.unread.push((at.to_owned(), "there is too much of it".to_owned()));
            return;
        }
        let names = match Dir::read_from(folder) {
            Ok(names) => names,
            Err(errno) => return self.unread.push((at.to_owned(), errno.to_string())),
        };
        for name in names {
            let name = match &name {
                Ok(name) => OsStr::from_bytes(name.file_name().to_bytes()),
                Err(errno) => return self.unread.push((at.to_owned(), errno.to_string())),
            };
            if name == "." || name == ".." {
                continue;
            }
            let path = at.join(name);
            match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => self.meet(folder, path, &stat, depth),
                // The daemon has removed it meanwhile.
                Err(Errno::NOENT) => {}
                Err(errno) => self.unread.push((path, errno.to_string())),
            }
        }
    }

    fn meet(&mut self, above: &OwnedFd, path: PathBuf, stat: &Stat, depth: usize) {
        self.count += 1;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mode = Mode::from_raw_mode(stat.st_mode);
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            self.foreign.push((path.clone(), stat.st_uid));
        }
        if kind == FileType::Symlink {
            self.links.push(path);
            return;
        }
        if mode.intersects(Mode::RWXG | Mode::RWXO) {
            self.open.push((path.clone(), mode, mode & Mode::RWXU));
        }
        if path.parent() == Some(Path::new(Home::SESSIONS))
            && let Some((session, piece)) = name_of(&path).and_then(Piece::of)
        {
            self.pieces.push((session, piece, path.clone()));
        }
        // What agents have there is theirs, with whatever rights, and behind a folder that is closed.
        if kind == FileType::Directory
            && path != Path::new(Home::TEMPORARY)
            && let Some(name) = path.file_name()
        {
            match openat(above, name, FOLDER, Mode::empty()) {
                Ok(folder) => self.visit(&folder, &path, depth + 1),
                Err(Errno::NOENT) => {}
                Err(errno) => self.unread.push((path, errno.to_string())),
            }
        }
    }

    /// Checks that everything is the user's own, and can be looked at.
    pub(super) fn owners(&self) -> Check {
        const ID: &str = "owners";
        let of = |(path, uid): &(PathBuf, u32)| format!("{} (user {uid})", path.display());
        let unread = |(path, reason): &(PathBuf, String)| format!("{}: {reason}", path.display());
        if !self.foreign.is_empty() {
            let found = counted(self.foreign.len(), "name belongs", "names belong");
            let would = "nothing: look at them, and remove them or make them yours";
            return Check::problem(ID, format!("{found} to another user"), would)
                .about(self.foreign.iter().map(of).collect());
        }
        if !self.unread.is_empty() {
            let found = counted(self.unread.len(), "name", "names");
            let found = format!("{found} below the home cannot be looked at");
            return Check::problem(ID, found, "nothing: make them readable for you")
                .about(self.unread.iter().map(unread).collect());
        }
        let found = counted(self.count, "file or folder", "files and folders");
        Check::ok(ID, format!("{found} below the home, all yours"))
    }

    /// Checks that nobody else can read or write anything.
    pub(super) fn access(&self, records: &Records) -> Check {
        const ID: &str = "access";
        if self.open.is_empty() {
            return Check::ok(ID, "nothing below the home lets others read or write");
        }
        let (kept, closed): (Vec<_>, Vec<_>) =
            self.open.iter().partition(|(path, ..)| records.keeps(path));
        let found = counted(self.open.len(), "file or folder lets", "files and folders let");
        let would = match (closed.len(), kept.len()) {
            (_, 0) => "takes the rights of others away".to_owned(),
            (0, _) => "nothing: a live session's are left alone until it has ended".to_owned(),
            (_, kept) => format!(
                "takes the rights of others away, but for {kept} of live sessions, which are left \
                 alone until these have ended"
            ),
        };
        let remedy = |(path, _, mode): &&(PathBuf, Mode, Mode)| Remedy::Close {
            path: path.clone(),
            mode: *mode,
        };
        let item = |(path, mode, _): &(PathBuf, Mode, Mode)| {
            format!("{} (mode {:o})", path.display(), mode.bits())
        };
        Check::warning(ID, format!("{found} others read or write"), would)
            .about(self.open.iter().map(item).collect())
            .mended_by(closed.iter().map(remedy).collect())
    }

    /// Checks that nothing is a link: Candor makes none.
    pub(super) fn links(&self) -> Check {
        const ID: &str = "links";
        if self.links.is_empty() {
            return Check::ok(ID, "nothing in the home is a link");
        }
        let found = counted(self.links.len(), "name is a link", "names are links");
        Check::warning(
            ID,
            format!("{found}, which Candor makes none of and follows none of"),
            "nothing: remove what you did not make yourself",
        )
        .about(self.links.iter().map(|path| path.display().to_string()).collect())
    }

    /// Returns the names right below one folder of the home, sorted: none where there is none.
    pub(super) fn below(home: &Home, folder: &str) -> Vec<String> {
        let entries = open(home.folder(), FOLDER, Mode::empty())
            .and_then(|above| openat(above, folder, FOLDER, Mode::empty()))
            .and_then(Dir::read_from);
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()))
            .filter(|name| name != "." && name != "..")
            .collect();
        names.sort();
        names
    }
}

/// Returns the last part of a path, if it is text.
fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
