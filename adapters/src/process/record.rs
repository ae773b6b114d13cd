//! Records: what must be on disk whole or not at all.
//!
//! One line that checks itself: `v1 <bytes> <json> <crc32>`. It is written under another name,
//! synced and renamed, and the folder is synced after it. The rename protects against stopping in
//! the middle, the checksum against a disk that says that it wrote and did not.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A longer file is none of ours. A record has about 200 bytes.
pub(super) const RECORD_BYTES_MAX: u64 = 4096;

/// What a file says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found<T> {
    /// There is no file.
    Nothing,
    /// The file is not what was written.
    Damaged,
    /// What was written.
    Whole(T),
}

/// Stores a record. Afterwards a reader finds it whole; after an error, not at all, but under the
/// name of [`unfinished`]. `before_rename` runs when all is written and nobody can see it yet.
///
/// # Errors
///
/// What the file system said.
pub(super) fn store<T: Serialize>(
    path: &Path,
    record: &T,
    before_rename: impl FnOnce(),
) -> io::Result<()> {
    write(path, record, |file| {
        file.sync_all()?;
        before_rename();
        Ok(())
    })?;
    sync_folder_of(path)
}

/// Shows a record to other processes, whole or not at all, for as long as this boot lasts. A power
/// cut may take it away or damage it.
///
/// # Errors
///
/// What the file system said.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "shims do, and are not there"))]
pub(super) fn show<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    write(path, record, |_file| Ok(()))
}

/// Stores a record that was perhaps [foretold](foretell). What was foretold stays until it is known
/// better: the disk may take hours to take this one, and whoever waits for it may be killed.
///
/// # Errors
///
/// What the file system said.
#[cfg(target_os = "linux")]
pub(super) fn store_foretold<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let writing = writing(path);
    write_new(&writing, record)?.sync_all()?;
    fs::rename(writing, path)?;
    // It says less, and is read by nobody any more.
    drop(remove(&unfinished(path)));
    sync_folder_of(path)
}

/// Writes a record under the name of [`unfinished`] alone, where it stays. Whoever looks there finds
/// it whole, or what was there before.
///
/// # Errors
///
/// What the file system said.
#[cfg(target_os = "linux")]
pub(super) fn foretell<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let writing = writing(path);
    write_new(&writing, record)?;
    fs::rename(writing, unfinished(path))
}

/// Writes over a record that is there and was has the same length, where nothing new can be made:
/// on a full disk. A reader who comes meanwhile may find it damaged.
///
/// # Errors
///
/// What the file system said.
#[cfg(target_os = "linux")]
pub(super) fn overwrite<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;

    let line = encode(record)?;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path)?;
    if file.metadata()?.len() != line.len() as u64 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.write_all_at(line.as_bytes(), 0)
}

fn write<T: Serialize>(
    path: &Path,
    record: &T,
    before_rename: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let unfinished = unfinished(path);
    let file = write_new(&unfinished, record)?;
    before_rename(&file)?;
    fs::rename(unfinished, path)
}

fn write_new<T: Serialize>(path: &Path, record: &T) -> io::Result<File> {
    let line = encode(record)?;
    // What an earlier attempt has left is worth less than what is known now.
    remove(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    file.write_all(line.as_bytes())?;
    Ok(file)
}

/// Reads a record.
///
/// # Errors
///
/// When the file could not be read, so that nobody knows what it says.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> io::Result<Found<T>> {
    let mut options = OpenOptions::new();
    // Without O_NONBLOCK a fifo in its place would hold us for ever.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(Found::Damaged),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Ok(Found::Damaged);
    }
    Ok(decode(&read_bounded(file)?).map_or(Found::Damaged, Found::Whole))
}

/// Removes a record for good, if it is there.
///
/// # Errors
///
/// What the file system said.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes what was renamed or removed beside `path` survive a power cut.
///
/// # Errors
///
/// What the file system said.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Returns the name under which a record is written.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    with_ending(path, ".unfinished")
}

/// Returns the name under which a record is written that was perhaps foretold.
#[cfg(target_os = "linux")]
pub(super) fn writing(path: &Path) -> PathBuf {
    with_ending(path, ".writing")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

pub(super) fn encode<T: Serialize>(record: &T) -> io::Result<String> {
    Ok(frame(&serde_json::to_string(record)?))
}

/// Returns `None` for everything that [`encode`] did not write, to the last bit.
pub(super) fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = str::from_utf8(line).ok()?;
    let (_bytes, rest) = text.strip_prefix("v1 ")?.split_once(' ')?;
    let (json, _crc32) = rest.rsplit_once(' ')?;
    if frame(json) != text {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn frame(json: &str) -> String {
    format!("v1 {} {json} {:08x}\n", json.len(), crc32fast::hash(json.as_bytes()))
}

/// Reads one byte more than allowed at most, which is enough to be no record.
fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(RECORD_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
