//! The process's standard input, as its shim holds it: a pipe, what waits to be written to it, and
//! messages that come in pieces.
//!
//! A message is taken when its last byte has come, and not before: where its sender dies in the midst
//! of it, nothing of it is ever written.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "neither std nor rustix sets up the allocator")
)]

use std::io::{self, PipeWriter, Read, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use candor_core::ports::Sent;
use rustix::event::epoll;

use crate::process::input::{Admission, InputQueue};
use crate::process::shim::frame::Letter;

/// What is read at once of a message that is not taken, in bytes.
const DROPPED_BYTES: usize = 4 * 1024;

/// How much is read of a message before anything else is looked at, in bytes.
const READ_BYTES_MAX: usize = 64 * 1024;

/// How much a pipe takes at once where it is empty, in bytes. Nobody is kept waiting for longer than
/// a write of it takes.
///
/// Source: `pipe(7)`, "Pipe capacity".
const WRITTEN_BYTES_MAX: usize = 64 * 1024;

/// From how many bytes on memory is given back to the system as soon as it is free, and not kept for
/// the next time: there may be none. It is what the allocator begins with, before it learns otherwise.
#[cfg(target_env = "gnu")]
const RETURNED_BYTES_MIN: std::ffi::c_int = 128 * 1024;

/// Keeps the allocator from keeping memory.
///
/// Source: `mallopt(3)`: to set `M_MMAP_THRESHOLD` disables its dynamic adjustment.
#[cfg(target_env = "gnu")]
fn return_memory() {
    // SAFETY: it takes numbers, and this process has one thread.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, RETURNED_BYTES_MIN) };
}

/// Other allocators give it back by themselves.
#[cfg(not(target_env = "gnu"))]
const fn return_memory() {}

/// A standard input that is held open.
pub(super) struct Input {
    queue: InputQueue,
    /// `None` once it is closed.
    pipe: Option<PipeWriter>,
    /// Whether it is told of room.
    awaits_room: bool,
}

/// A message that is being read.
pub(super) struct Incoming {
    letter: Letter,
    left: usize,
    /// `None` for one that is not taken: its bytes are read all the same, since frames follow them.
    bytes: Option<Vec<u8>>,
    /// The answer to that one.
    answer: Sent,
}

impl Input {
    /// Holds this end of the pipe, which must not block.
    pub(super) fn new(pipe: PipeWriter) -> Self {
        return_memory();
        Self { queue: InputQueue::default(), pipe: Some(pipe), awaits_room: false }
    }

    /// Asks to be told by this number of room, and of the end of all readers.
    ///
    /// # Errors
    ///
    /// When the system has no place for it.
    pub(super) fn watch(&self, epoll: &OwnedFd, about: u64) -> io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let data = epoll::EventData::new_u64(about);
        // An error, which the end of all readers is, is told even to whoever asks for nothing.
        Ok(epoll::add(epoll, pipe, data, epoll::EventFlags::empty())?)
    }

    /// Writes as much as there is room for, and sees to it that it is told of more.
    pub(super) fn write(&mut self, epoll: &OwnedFd, about: u64) {
        let Some(pipe) = &mut self.pipe else { return };
        let front = self.queue.front();
        if !front.is_empty() {
            match pipe.write(&front[..front.len().min(WRITTEN_BYTES_MAX)]) {
                Ok(count) => self.queue.wrote(count),
                Err(error) if is_for_now(&error) => {}
                Err(_) => self.queue.close(),
            }
        }
        if self.queue.is_over() {
            return self.close(epoll);
        }
        let awaits_room = !self.queue.front().is_empty();
        if awaits_room != self.awaits_room {
            let flags =
                if awaits_room { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
            let data = epoll::EventData::new_u64(about);
            // It can only fail where the descriptor is not known, which it is.
            let _ = epoll::modify(epoll, pipe.as_fd(), data, flags);
            self.awaits_room = awaits_room;
        }
    }

    /// Closes the pipe, and drops what waits.
    pub(super) fn close(&mut self, epoll: &OwnedFd) {
        self.queue.close();
        if let Some(pipe) = self.pipe.take() {
            // It is watched no more once it is closed, unless a copy of it were left somewhere.
            let _ = epoll::delete(epoll, &pipe);
        }
    }
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Reads what there is, up to a limit, without making room for more than that.
fn read_some(stream: &mut impl Read, limit: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let before = bytes.len();
    match stream.take(limit as u64).read_to_end(bytes) {
        // There is no more for now, and what was read is kept.
        Err(_) if bytes.len() > before => {}
        read => drop(read?),
    }
    Ok(bytes.len() - before)
}

impl Incoming {
    /// Begins to read a message. `input` is `None` where nothing is taken any more, or ever was.
    pub(super) fn begin(letter: Letter, input: Option<&mut Input>) -> Self {
        let admission = input.map_or(Admission::Answered(Sent::AlreadyEnded), |input| {
            input.queue.admit(letter.message, letter.length)
        });
        // Where there is room for it, only the end of the process can come in between.
        let (bytes, answer) = match admission {
            Admission::Reserved => (Some(Vec::with_capacity(letter.length)), Sent::AlreadyEnded),
            Admission::Answered(answer) => (None, answer),
        };
        Self { letter, left: letter.length, bytes, answer }
    }

    /// Returns what names the answer.
    pub(super) const fn id(&self) -> u64 {
        self.letter.id
    }

    /// Whether all of it has come.
    pub(super) const fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// Reads a part of what is missing.
    ///
    /// # Errors
    ///
    /// What `read` said; `UnexpectedEof` at the end of the stream.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<()> {
        let count = match &mut self.bytes {
            Some(bytes) => read_some(stream, self.left.min(READ_BYTES_MAX), bytes)?,
            None => {
                let mut dropped = [0; DROPPED_BYTES];
                stream.read(&mut dropped[..self.left.min(DROPPED_BYTES)])?
            }
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        Ok(())
    }

    /// Takes the message, which has come whole, and returns the answer.
    pub(super) fn finish(self, input: Option<&mut Input>) -> Sent {
        let Letter { message, is_last, .. } = self.letter;
        match (self.bytes, input) {
            (Some(bytes), Some(input)) => input.queue.take(message, bytes, is_last),
            (Some(_) | None, _) => self.answer,
        }
    }

    /// Gives back what was kept for a message that does not come any more.
    pub(super) fn give_up(self, input: Option<&mut Input>) {
        if let (Some(_), Some(input)) = (self.bytes, input) {
            input.queue.give_up(self.letter.length);
        }
    }
}
