//! The database as a file, before SQLite touches it: what it looks like, and how it is made.
//!
//! A file that is not ours is looked at and never opened by SQLite, which leaves files beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::connection::identity;
use super::errors::{OpenError, file_error, migration_error};
use super::schema::{self, Kind};

/// The mode of the database. The files that SQLite puts beside it get the same.
const MODE: u32 = 0o600;

/// How a database begins, in bytes.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where the header keeps the version of the schema, in bytes from the beginning.
const VERSION_AT: usize = 60;

/// Where the header keeps the mark of the program, in bytes from the beginning.
const APPLICATION_ID_AT: usize = 68;

/// How long a header is, in bytes.
const HEADER_BYTES: u64 = 100;

/// What the name of a database that is not finished has after the name that it is to get.
const DRAFT: &str = ".new-";

/// Whether there is a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presence {
    /// There is none, and none has been.
    Absent,
    /// There is one, and its header is of this program and of a version that it knows.
    Ours,
}

/// Looks at the file without writing.
///
/// The answer is a first one: the write-ahead log may hold a later version.
///
/// Not while the same process has the database open: to close a file drops the process's locks on
/// it. Source: `fcntl(2)`, "record locks are automatically released".
pub(super) fn look(path: &Path) -> Result<Presence, OpenError> {
    look_for(&schema::SESSIONS, path)
}

/// Looks at a file that is to be a database of this kind, as [`look`] does.
pub(super) fn look_for(kind: &Kind, path: &Path) -> Result<Presence, OpenError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return absent(path),
        Err(error) => return Err(file_error(path, &error)),
    };
    if !metadata.is_file() {
        let reason = if metadata.is_dir() { "it is a folder" } else { "it is no plain file" };
        let reason = reason.to_owned();
        return Err(OpenError::NotWritable { path: path.to_path_buf(), reason });
    }
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header))
        .map_err(|error| file_error(path, &error))?;
    check_header(kind, path, &header).map(|()| Presence::Ours)
}

/// Refuses to begin anew where a log lies whose database is gone: it would be played into the new
/// one.
fn absent(path: &Path) -> Result<Presence, OpenError> {
    for suffix in ["-wal", "-journal"] {
        let left_over = beside(path, suffix);
        if fs::metadata(&left_over).is_ok_and(|metadata| metadata.len() > 0) {
            let detail = format!("it is gone, and its log {} is still there", left_over.display());
            return Err(OpenError::Corrupt { path: path.to_path_buf(), detail });
        }
    }
    Ok(Presence::Absent)
}

fn check_header(kind: &Kind, path: &Path, header: &[u8]) -> Result<(), OpenError> {
    let corrupt = |detail: &str| {
        Err(OpenError::Corrupt { path: path.to_path_buf(), detail: detail.to_owned() })
    };
    if header.is_empty() {
        return corrupt("it is empty");
    }
    let number = |at: usize| Some(i32::from_be_bytes(*header.get(at..)?.first_chunk()?));
    match (header.starts_with(MAGIC), number(APPLICATION_ID_AT), number(VERSION_AT)) {
        (true, Some(application_id), Some(version)) => {
            identity(kind, path, application_id, version)
        }
        (true, ..) => corrupt("it ends within its header"),
        (false, ..) => corrupt("it is no SQLite database"),
    }
}

/// Makes an empty database, whole or not at all: it gets its name when its bytes are on the disk.
///
/// Where another process makes one at the same time, that one stays.
pub(super) fn create(path: &Path) -> Result<(), OpenError> {
    create_as(&schema::SESSIONS, path)
}

/// Makes an empty database of this kind, as [`create`] does.
pub(super) fn create_as(kind: &Kind, path: &Path) -> Result<(), OpenError> {
    let image = schema::fresh_image(kind).map_err(|error| migration_error(path, &error))?;
    let draft = beside(path, &format!("{DRAFT}{}", Uuid::now_v7().simple()));
    let made = write(&draft, &image).and_then(|()| publish(&draft, path));
    // The draft has a second name by now, or is of no use.
    let removed = fs::remove_file(&draft);
    made.and(removed).and_then(|()| sync_folder(path)).map_err(|error| file_error(path, &error))
}

/// Removes what is left of a database that was being made when the process was killed. What cannot
/// be removed does no harm.
pub(super) fn remove_drafts(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = [name.as_bytes(), DRAFT.as_bytes()].concat();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(&prefix) {
            let _harmless = fs::remove_file(entry.path());
        }
    }
}

fn write(draft: &Path, image: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(draft)?;
    file.write_all(image)?;
    file.sync_all()
}

/// A link and no rename, since a rename would replace what another process made meanwhile.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Returns the path with `suffix` appended to its last part.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
