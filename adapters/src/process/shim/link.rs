//! A daemon's connection with a shim.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;

use candor_core::session::SessionId;
use rustix::fs::Mode;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use tokio::net::UnixStream;

use super::frame::{FrameBuffer, FromShim, ToShim};
use super::place::{CONTROL, Place};
use crate::process::platform::{ExitWatch, FOLDER_FLAGS};

/// How a process is reached.
#[derive(Debug)]
pub(super) enum Link {
    /// Through its shim, its parent.
    Shim(Connection),
    /// By a handle on the process, whose shim is gone.
    Orphan(ExitWatch),
}

/// Frames to and from one shim.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    buffer: FrameBuffer,
}

impl Connection {
    /// Takes over a socket that a shim has the other end of.
    ///
    /// # Errors
    ///
    /// When the runtime has no place for it.
    pub(super) fn over(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: UnixStream::from_std(stream)?, buffer: FrameBuffer::default() })
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
        Ok(Self { stream, buffer: FrameBuffer::default() })
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

    /// Waits for the next frame.
    ///
    /// Cancel safe: a part that was read is kept.
    ///
    /// # Errors
    ///
    /// When the connection is over, or is not understood.
    pub(super) async fn next(&mut self) -> io::Result<FromShim> {
        loop {
            self.stream.readable().await?;
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

    /// Sends a frame now or not at all: a shim that does not listen holds nobody up.
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
