//! Keeps the outputs within their quota: see `quota.rs`.
//!
//! The kernel tells when something was written, once, by the folder's notification (`F_NOTIFY` of
//! `fcntl(2)`): an inotify instance for each shim is not to be had, since a user has 128 of them. A
//! second later the shim looks, and goes on looking each second until nothing more was written; then
//! it asks to be told again. So a session that is silent wakes its shim not once, and one that
//! writes wakes it once a second. In a second, a gigabyte can be written on a fast machine: by so
//! much an output may be over its quota.
//!
//! Where the kernel has no such notification the shim looks from time to time, the more seldom the
//! longer nothing comes.
#![expect(unsafe_code, reason = "rustix has no F_NOTIFY")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use candor_core::session::SessionId;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, open};
use rustix::io::Errno;

use crate::process::files;
use crate::process::output::Stream;
use crate::process::quota::{Gap, Gaps, OutputQuota};

/// How long it is left alone after something was written.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// How long at most, where nothing tells.
const LOOK_EACH_MAX: Duration = Duration::from_secs(30);

/// Both outputs of a session, in the order of [`Stream::ALL`].
pub(super) type Files = [OwnedFd; 2];

/// Keeps the outputs within their quota.
pub(super) struct Keeper {
    quota: Option<OutputQuota>,
    /// The session's folder, by whose descriptor it is found wherever it is moved.
    folder: OwnedFd,
    gaps: Gaps,
    /// Up to where the disk was given the gap of each output back.
    freed_to: [u64; 2],
    sizes: [u64; 2],
    next: Next,
    pause: Duration,
}

/// What a look came to.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Sight {
    /// Nothing was written since the last one.
    Still,
    /// What was to be dropped could not be, and may be later.
    Hindered,
    /// Something was written.
    Grown,
}

/// When it looks next.
enum Next {
    /// Never.
    Off,
    /// When it is told.
    Told,
    At(Instant),
}

impl Keeper {
    /// Gets ready, before the launch. The record is there from now on: on a full disk none could be
    /// made, and nothing be given back.
    ///
    /// # Errors
    ///
    /// What the file system said.
    pub(super) fn new(
        sessions: &std::path::Path,
        session: SessionId,
        quota: Option<OutputQuota>,
    ) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let keeper = Self {
            quota,
            folder: open(files::folder(sessions, session), flags, Mode::empty())?,
            gaps: Gaps::none(session),
            freed_to: [0; 2],
            sizes: [0; 2],
            next: Next::Off,
            pause: LOOK_EACH,
        };
        if quota.is_some() {
            keeper.gaps.show(&keeper.folder_path())?;
        }
        Ok(keeper)
    }

    /// Begins, once there is a process.
    pub(super) fn begin(&mut self, outputs: &Files) {
        if self.quota.is_some() {
            self.await_growth(outputs);
        }
    }

    /// Takes note that something was written.
    pub(super) fn told(&mut self) {
        if let Next::Told = self.next {
            self.next = Next::At(Instant::now() + LOOK_EACH);
        }
    }

    /// Returns how long there is nothing to do, if not until it is told.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self.next {
            Next::Off | Next::Told => None,
            Next::At(at) => Some(at.saturating_duration_since(Instant::now())),
        }
    }

    /// Looks, if it is time to.
    pub(super) fn look_if_due(&mut self, outputs: &Files) {
        let Next::At(at) = self.next else { return };
        if Instant::now() < at {
            return;
        }
        match self.look(outputs) {
            Sight::Grown => self.look_after(LOOK_EACH),
            Sight::Hindered => self.look_later(),
            Sight::Still => self.await_growth(outputs),
        }
    }

    /// Looks for the last time, at the end of the process.
    pub(super) fn finish(&mut self, outputs: &Files) {
        if matches!(self.next, Next::Off) {
            return;
        }
        self.look(outputs);
        self.next = Next::Off;
    }

    /// Makes the gaps survive a power cut.
    pub(super) fn sync(&self) {
        if Stream::ALL.into_iter().any(|stream| self.gaps.of(stream).is_some()) {
            // Where that fails, a damaged record is what a power cut can leave, and holes tell as well.
            drop(self.gaps.store(&self.folder_path()));
        }
    }

    fn look_after(&mut self, pause: Duration) {
        self.pause = pause;
        self.next = match self.quota {
            Some(_) => Next::At(Instant::now() + pause),
            None => Next::Off,
        };
    }

    /// The longer there is nothing to do, or nothing can be done, the more seldom.
    fn look_later(&mut self) {
        self.look_after(LOOK_EACH_MAX.min(self.pause * 2));
    }

    /// Asks to be told, and looks once more: something may have been written before.
    fn await_growth(&mut self, outputs: &Files) {
        let is_told = notify_once(&self.folder).is_ok();
        match (self.look(outputs), is_told) {
            (Sight::Grown, _) => self.look_after(LOOK_EACH),
            (Sight::Still, true) if self.quota.is_some() => self.next = Next::Told,
            (Sight::Still | Sight::Hindered, _) => self.look_later(),
        }
    }

    /// Drops what is over the quota.
    fn look(&mut self, outputs: &Files) -> Sight {
        let mut sight = Sight::Still;
        for (index, stream) in Stream::ALL.into_iter().enumerate() {
            let (Some(quota), Ok(stat)) = (self.quota, fstat(&outputs[index])) else { continue };
            let size = stat.st_size.try_into().unwrap_or(0);
            if size != self.sizes[index] {
                sight = Sight::Grown;
            }
            self.sizes[index] = size;
            let gap = quota.gap_of(size, self.gaps.of(stream));
            if !self.keep(index, gap, &outputs[index], stat.st_nlink > 0) {
                sight = sight.max(Sight::Hindered);
            }
        }
        sight
    }

    /// Makes a gap as it is to be, and says whether it could.
    fn keep(
        &mut self,
        index: usize,
        gap: Option<Gap>,
        output: &OwnedFd,
        is_readable: bool,
    ) -> bool {
        let stream = Stream::ALL[index];
        let before = self.gaps.of(stream);
        if gap != before {
            if gap.is_some() && is_unsupported(output) {
                // Nothing is ever dropped on this file system.
                self.quota = None;
                return true;
            }
            self.gaps.set(stream, gap);
            // First put down, and only then dropped. Of a file without a name nobody reads.
            if is_readable && self.gaps.show(&self.folder_path()).is_err() {
                self.gaps.set(stream, before);
                return false;
            }
        }
        match gap {
            Some(gap) => self.free(index, gap, output),
            None => {
                self.freed_to[index] = 0;
                true
            }
        }
    }

    /// Gives a gap back to the disk, and says whether all of it is.
    fn free(&mut self, index: usize, gap: Gap, output: &OwnedFd) -> bool {
        let freed_to = &mut self.freed_to[index];
        let from = gap.from.max(*freed_to);
        if from < gap.to {
            match punch(output, from, gap.to - from) {
                Ok(()) => *freed_to = gap.to,
                Err(_) => return false,
            }
        }
        true
    }

    fn folder_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
    }
}

fn punch(output: impl AsFd, from: u64, bytes: u64) -> rustix::io::Result<()> {
    fallocate(output, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, bytes)
}

/// Says whether the file system makes no holes. It is asked for one far beyond the end, which changes
/// nothing.
fn is_unsupported(output: &OwnedFd) -> bool {
    const FAR: u64 = 1 << 42;
    punch(output, FAR, 4096) == Err(Errno::OPNOTSUPP)
}

/// Writes to a file in the folder, once.
///
/// Source: `linux/fcntl.h`.
const DN_MODIFY: libc::c_int = 2;

/// Asks the kernel for `SIGIO` when a file in this folder is written to the next time. The signal is
/// blocked and read by `children.rs`.
fn notify_once(folder: &OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the argument is a number.
    let done = unsafe { libc::fcntl(folder.as_raw_fd(), libc::F_NOTIFY, DN_MODIFY) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
