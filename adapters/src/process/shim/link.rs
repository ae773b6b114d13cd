//! A daemon's connection with a shim.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::Arc;

use candor_core::ports::{Delivery, Message, Target};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use rustix::fs::Mode;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::cgroup::Cgroup;
use super::frame::{FRAME_BYTES, FrameBuffer, FromShim, Letter, ToShim};
use super::place::{CONTROL, Place};
use crate::process::child;
use crate::process::platform::{ExitWatch, FOLDER_FLAGS};

/// How a process is reached.
#[derive(Debug)]
pub(super) enum Link {
    /// Through its shim, its parent.
    Shim(Connection),
    /// By a handle on the process, whose shim is gone.
    Orphan(Orphan),
}

/// A process without its shim.
#[derive(Debug)]
pub(super) struct Orphan {
    watch: Arc<ExitWatch>,
    /// The session's own.
    cgroup: Option<Cgroup>,
    /// Whether it was told to end, and so all that it started.
    is_to_end: bool,
}

/// Frames to and from one shim.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    buffer: FrameBuffer,
    /// What is left to be sent of a message. Nothing else is sent meanwhile.
    outgoing: Outgoing,
}

/// A message on its way.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.rest().is_empty() {
            *self = Self::default();
        }
    }
}

impl Orphan {
    pub(super) const fn new(watch: Arc<ExitWatch>, cgroup: Option<Cgroup>) -> Self {
        Self { watch, cgroup, is_to_end: false }
    }

    /// Returns the handle on it.
    pub(super) fn handle(&self) -> Arc<ExitWatch> {
        Arc::clone(&self.watch)
    }

    /// Waits until it has ended. What it started and is told of in its cgroup is ended then, if it was
    /// told to end itself: nobody is there who could give that a grace.
    ///
    /// Cancel safe.
    pub(super) async fn ended(&self) {
        self.watch.ended().await;
        if self.is_to_end {
            self.kill_cgroup();
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove();
        }
    }

    /// Sends a signal through the handle, which stays that of this process, and SIGKILL to all in its
    /// cgroup.
    pub(super) fn send(&mut self, target: Target, signal: Signal) -> Delivery {
        let delivery = child::delivery(self.watch.send(target, child::number(signal)));
        if target == Target::Group && delivery != Delivery::AlreadyEnded {
            match signal {
                Signal::Interrupt | Signal::Terminate => self.is_to_end = true,
                Signal::Kill => {
                    self.is_to_end = true;
                    self.kill_cgroup();
                }
                Signal::Continue => {}
            }
        }
        delivery
    }

    fn kill_cgroup(&self) {
        if let Some(Err(error)) = self.cgroup.as_ref().map(Cgroup::kill) {
            tracing::warn!(%error, "what a process without its shim has started cannot be ended");
        }
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: FrameBuffer::default(), outgoing: Outgoing::default() }
    }

    /// Takes over a socket that a shim has the other end of.
    ///
    /// # Errors
    ///
    /// When the runtime has no place for it.
    pub(super) fn over(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::new(UnixStream::from_std(stream)?))
    }

    /// Reaches the shim that listens in this place.
    ///
    /// # Errors
    ///
    /// When nobody does, or somebody else.
    pub(super) async fn to(place: &Place) -> io::Result<Self> {
        // By the folder's descriptor, since a socket's name has little more than a hundred bytes.
        let folder = rustix::fs::open(place.folder(), FOLDER_FLAGS, Mode::empty())?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
        let path = PathBuf::from(format!("/proc/self/fd/{number}/{CONTROL}"));
        let stream = UnixStream::connect(path).await?;
        if socket_peercred(&stream)?.uid != geteuid() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self::new(stream))
    }

    /// Asks whose shim this is. The answer is [`FromShim::Up`], or nothing for a while.
    ///
    /// # Errors
    ///
    /// When the connection is over, or this is not the session's shim.
    pub(super) async fn greet(&mut self, session: SessionId) -> io::Result<FromShim> {
        self.send(ToShim::Hello(session))?;
        self.next().await
    }

    /// Waits for the next frame, and sends a message meanwhile that was begun.
    ///
    /// Cancel safe: a part that was read is kept, and so is what was not sent.
    ///
    /// # Errors
    ///
    /// When the connection is over, or is not understood.
    pub(super) async fn next(&mut self) -> io::Result<FromShim> {
        loop {
            if self.is_sending() {
                self.stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
                match self.stream.try_write(self.outgoing.rest()) {
                    Ok(count) => self.outgoing.sent(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // The shim may have said why before it left.
                    Err(_) => self.outgoing = Outgoing::default(),
                }
            } else {
                self.stream.readable().await?;
            }
            match self.buffer.fill(|target| self.stream.try_read(target)) {
                Ok(Some(frame)) => {
                    return FromShim::decode(&frame)
                        .ok_or_else(|| io::ErrorKind::InvalidData.into());
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a message is on its way. It goes on while [`next`](Self::next) is waited for.
    pub(super) const fn is_sending(&self) -> bool {
        !self.outgoing.bytes.is_empty()
    }

    /// Begins to send a message. None may be on its way.
    pub(super) fn begin(&mut self, id: u64, message: &Message) {
        debug_assert!(!self.is_sending(), "one would be torn by the other");
        let Message { id: name, bytes, is_last } = message;
        let letter = Letter { id, message: *name, length: bytes.len(), is_last: *is_last };
        let mut all = Vec::with_capacity(FRAME_BYTES + bytes.len());
        all.extend_from_slice(&ToShim::Send(letter).encode());
        all.extend_from_slice(bytes);
        self.outgoing = Outgoing { bytes: all, sent: 0 };
    }

    /// Sends a frame now or not at all: a shim that does not listen holds nobody up. No message may
    /// be on its way.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the shim has not listened for long, and nothing was sent. After any other
    /// error the connection is over.
    pub(super) fn send(&self, what: ToShim) -> io::Result<()> {
        let frame = what.encode();
        if self.stream.try_write(&frame)? < frame.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    /// Sends many bytes.
    ///
    /// Not cancel safe: dropped, a part was sent.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub(super) async fn send_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
