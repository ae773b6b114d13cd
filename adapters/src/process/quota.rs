//! How much of an output is kept: its head and its tail. What lies between is dropped, and that is
//! put down before it is done.
//!
//! Offsets never change: the middle becomes a hole in the file. There is one gap in an output at
//! most, since the head stays where it is and the gap only grows.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::files;
use super::output::Stream;
use super::record::{self, Found};

/// What is kept of each output unless something else is asked for, in bytes: as much as a disk can
/// spare for each of many sessions, and more than anybody reads.
pub const OUTPUT_QUOTA_BYTES_DEFAULT: u64 = 1 << 30;

/// The least that can be asked for, in bytes: a few blocks of the file system for either part.
pub const OUTPUT_QUOTA_BYTES_MIN: u64 = 64 << 10;

/// Gaps begin and end at multiples of this, in bytes, so that all of a gap is given back to the disk.
#[cfg(any(target_os = "linux", test))]
const BLOCK_BYTES: u64 = 4096;

/// The name of the record in the session's folder. It lies with the outputs, and not with the
/// shim's records: whoever has the files must have it, or they would read zeros for output.
const NAME: &str = "gaps";

/// How often a record is read that is found damaged.
const LOOKS_MAX: u32 = 3;

/// Removes the record of a launch that came to nothing.
pub(super) fn discard(sessions: &Path, session: SessionId) {
    let record = files::folder(sessions, session).join(NAME);
    drop(record::remove(&record));
    drop(record::remove(&record::unfinished(&record)));
}

/// How many bytes are kept of each output: the first quarter is its head, and the rest its tail.
///
/// The tail is cut to two quarters when it has grown to three, so that something is dropped once for
/// every quarter that is written. A process that writes faster than the shim looks is over its quota
/// in between, by what it writes in a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutputQuota(NonZeroU64);

/// Bytes of an output that were dropped: from the first to before the second offset.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Gap {
    /// The offset of the first byte that was dropped.
    pub from: u64,
    /// The offset of the first byte behind it that is there.
    pub to: u64,
}

impl Gap {
    /// Returns how many bytes were dropped.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

impl OutputQuota {
    /// Makes a quota. `None` for less than [`OUTPUT_QUOTA_BYTES_MIN`].
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        match NonZeroU64::new(bytes) {
            Some(bytes) if bytes.get() >= OUTPUT_QUOTA_BYTES_MIN => Some(Self(bytes)),
            Some(_) | None => None,
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0.get()
    }

    /// Returns the gap that an output of this size must have, given the one that it has. A gap that
    /// the file does not reach is none: somebody has cut the file off.
    #[cfg(any(target_os = "linux", test))]
    pub(super) fn gap_of(self, size_bytes: u64, gap: Option<Gap>) -> Option<Gap> {
        let gap = gap.filter(|gap| gap.to <= size_bytes);
        if size_bytes - gap.map_or(0, Gap::bytes) <= self.bytes() {
            return gap;
        }
        let floor = |offset: u64| offset - offset % BLOCK_BYTES;
        let from = gap.map_or_else(|| floor(self.bytes() / 4), |gap| gap.from);
        Some(Gap { from, to: floor(size_bytes - self.bytes() / 2) })
    }
}

/// The gaps of a session's outputs, as they are recorded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Gaps {
    /// Whose they are. A file that was copied from elsewhere gives itself away.
    session: SessionId,
    stdout: Option<Gap>,
    stderr: Option<Gap>,
    /// Gives the record always the same length, so that it can be written over in its place.
    #[serde(default, skip_deserializing)]
    padding: String,
}

/// Bytes of all numbers that a record can have, in digits.
#[cfg(target_os = "linux")]
const NUMBERS_LENGTH_MAX: usize = 4 * 20;

impl Gaps {
    pub(super) const fn of(&self, stream: Stream) -> Option<Gap> {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }
}

#[cfg(target_os = "linux")]
impl Gaps {
    pub(super) const fn none(session: SessionId) -> Self {
        Self { session, stdout: None, stderr: None, padding: String::new() }
    }

    /// Says the same in the length that all of them have.
    fn padded(&self) -> io::Result<Self> {
        let mut gaps = Self { padding: String::new(), ..self.clone() };
        let bare = serde_json::to_string(&Self::none(self.session))?.len();
        // The names within a gap, twice.
        let most = bare + NUMBERS_LENGTH_MAX + 2 * r#"{"from":,"to":}"#.len();
        let length = serde_json::to_string(&gaps)?.len();
        gaps.padding = " ".repeat(most.saturating_sub(length));
        Ok(gaps)
    }

    pub(super) const fn set(&mut self, stream: Stream, gap: Option<Gap>) {
        match stream {
            Stream::Stdout => self.stdout = gap,
            Stream::Stderr => self.stderr = gap,
        }
    }

    /// Shows the gaps to readers, for as long as this boot lasts. On a full disk they are written
    /// over those that were shown before: only when they are known can there be room again.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn show(&self, folder: &Path) -> io::Result<()> {
        let (path, gaps) = (folder.join(NAME), self.padded()?);
        record::show(&path, &gaps).or_else(|_full| record::overwrite(&path, &gaps))
    }

    /// Makes the gaps survive a power cut.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn store(&self, folder: &Path) -> io::Result<()> {
        record::store(&folder.join(NAME), &self.padded()?, || {})
    }
}

/// Tells of the gap in one output.
#[derive(Clone, Debug)]
pub(super) struct GapLook {
    record: PathBuf,
    session: SessionId,
    stream: Stream,
}

impl GapLook {
    pub(super) fn of(sessions: &Path, session: SessionId, stream: Stream) -> Self {
        Self { record: files::folder(sessions, session).join(NAME), session, stream }
    }

    /// Returns the gap that there is now. Bytes that were read before, and lie outside of it, are
    /// what was written.
    ///
    /// Where the record is damaged, as a power cut may leave it, the file's first hole is the gap: a
    /// session makes none. One that is just being written over is looked at again.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub(super) fn gap(&self, output: &File) -> io::Result<Option<Gap>> {
        for _ in 0..LOOKS_MAX {
            match record::load::<Gaps>(&self.record)? {
                Found::Nothing => return Ok(None),
                Found::Whole(gaps) if gaps.session == self.session => {
                    return Ok(gaps.of(self.stream).filter(|gap| gap.from < gap.to));
                }
                Found::Whole(_) => break,
                Found::Damaged => {}
            }
        }
        first_hole(output)
    }
}

/// Returns the first hole of a file, if there is one before its end.
///
/// Source: `lseek(2)`. The place that it sets is used by nobody.
fn first_hole(file: &File) -> io::Result<Option<Gap>> {
    let size_bytes = file.metadata()?.len();
    let from = match seek(file, SeekFrom::Hole(0)) {
        Ok(from) => from,
        // The file is empty.
        Err(Errno::NXIO) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let to = match seek(file, SeekFrom::Data(from)) {
        Ok(to) => to,
        Err(Errno::NXIO) => size_bytes,
        Err(errno) => return Err(errno.into()),
    };
    Ok(Some(Gap { from, to }).filter(|gap| gap.from < gap.to && gap.from < size_bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK_BYTES, Gap, OUTPUT_QUOTA_BYTES_MIN, OutputQuota};

    #[test]
    fn a_quota_has_room_for_a_head_and_a_tail() {
        for bytes in [0, 1, OUTPUT_QUOTA_BYTES_MIN - 1] {
            assert_eq!(OutputQuota::new(bytes), None);
        }
        assert_eq!(OutputQuota::new(1 << 20).unwrap().bytes(), 1 << 20);
    }

    #[test]
    fn what_fits_is_kept_and_what_was_cut_off_begins_anew() {
        let quota = OutputQuota::new(1 << 20).unwrap();
        assert_eq!(quota.gap_of(1 << 20, None), None);
        let gap = quota.gap_of((1 << 20) + 1, None);
        assert_eq!(gap, Some(Gap { from: 1 << 18, to: 1 << 19 }));
        assert_eq!(quota.gap_of((1 << 20) + 2, gap), gap, "not with each byte");
        assert_eq!(quota.gap_of(100, gap), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_record_can_be_written_over_whatever_is_in_it() {
        use std::fs::{self, File};

        use candor_core::ports::IdSource as _;

        use super::{GapLook, Gaps};
        use crate::ids::UuidV7Source;
        use crate::process::output::Stream;
        use crate::process::record;

        let sessions = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        let folder = sessions.path().join(session.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("stdout"), "").unwrap();
        let output = File::open(folder.join("stdout")).unwrap();
        let mut gaps = Gaps::none(session);
        gaps.show(&folder).unwrap();
        let most = Gap { from: u64::MAX - 1, to: u64::MAX };
        for gap in [Some(Gap { from: 1, to: 2 }), Some(most), None] {
            for stream in Stream::ALL {
                gaps.set(stream, gap);
                record::overwrite(&folder.join("gaps"), &gaps.padded().unwrap()).unwrap();
                let look = GapLook::of(sessions.path(), session, stream);
                assert_eq!(look.gap(&output).unwrap(), gap);
            }
        }
        // Where nothing new can be made it is done by itself.
        fs::create_dir(folder.join("gaps.unfinished")).unwrap();
        gaps.set(Stream::Stderr, Some(most));
        gaps.show(&folder).unwrap();
        let look = GapLook::of(sessions.path(), session, Stream::Stderr);
        assert_eq!(look.gap(&output).unwrap(), Some(most));
    }

    proptest! {
        #[test]
        fn head_and_tail_stay_and_the_gap_only_grows(
            quota in OUTPUT_QUOTA_BYTES_MIN..1 << 40,
            steps in prop::collection::vec(0..1_u64 << 41, 1..20),
        ) {
            let quota = OutputQuota::new(quota).unwrap();
            let (mut size, mut gap) = (0, None::<Gap>);
            for step in steps {
                size += step;
                let next = quota.gap_of(size, gap);
                let kept = size - next.map_or(0, Gap::bytes);
                prop_assert!(kept <= quota.bytes());
                if let Some(next) = next {
                    prop_assert!(next.from < next.to && next.to <= size);
                    prop_assert_eq!((next.from % BLOCK_BYTES, next.to % BLOCK_BYTES), (0, 0));
                    prop_assert!(next.from.abs_diff(quota.bytes() / 4) < BLOCK_BYTES);
                    prop_assert!(size - next.to >= quota.bytes() / 2);
                }
                if let Some(gap) = gap {
                    prop_assert!(next.is_some_and(|it| it.from == gap.from && it.to >= gap.to));
                }
                gap = next;
            }
        }
    }
}
