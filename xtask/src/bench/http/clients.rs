//! Many clients of the event stream in one thread, which notes when each event came.

use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll;

use super::super::stamp::now_ns;
use super::wire;

/// How long nothing may come before that counts as broken.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Sockets that are told of at one time.
const TOLD_MAX: usize = 256;

/// Bytes that are read at one time.
const READ_BYTES: usize = 64 << 10;

/// What begins a line with the place of an event.
const ID: &[u8] = b"id: ";

/// The clients.
pub(super) struct Clients {
    sockets: Vec<Client>,
    poll: std::os::fd::OwnedFd,
}

struct Client {
    stream: UnixStream,
    /// What was read and not looked through yet.
    rest: Vec<u8>,
    /// The place of the last event.
    last: u64,
}

impl Clients {
    /// Opens so many streams after a place.
    pub(super) fn open(socket: &Path, count: usize, after: u64) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut sockets = Vec::with_capacity(count);
        for number in 0..count {
            let stream = wire::follow(socket, after, "")?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, stream.as_fd(), data, epoll::EventFlags::IN)?;
            sockets.push(Client { stream, rest: Vec::new(), last: after });
        }
        Ok(Self { sockets, poll })
    }

    /// Reads until each has come to the event at `place`, and returns when each event came to each.
    pub(super) fn read_to(&mut self, place: u64) -> Result<Vec<(u64, u128)>> {
        let mut came = Vec::new();
        let mut events = Vec::with_capacity(TOLD_MAX);
        let silence = rustix::time::Timespec::try_from(SILENCE_MAX).context("a short time")?;
        let mut waiting = self.sockets.iter().filter(|client| client.last < place).count();
        while waiting > 0 {
            events.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&silence))?;
            ensure!(!events.is_empty(), "{waiting} clients wait for event {place}");
            for event in &events {
                let number = usize::try_from(event.data.u64())?;
                let client = &mut self.sockets[number];
                let was_waiting = client.last < place;
                client.read(&mut came)?;
                waiting -= usize::from(was_waiting && client.last >= place);
            }
        }
        Ok(came)
    }
}

impl Client {
    fn read(&mut self, came: &mut Vec<(u64, u128)>) -> Result<()> {
        let mut buffer = [0; READ_BYTES];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => bail!("a stream has ended"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now_ns = now_ns();
        self.rest.extend_from_slice(&buffer[..count]);
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for line in self.rest[..whole].split(|&byte| byte == b'\n') {
            let Some(digits) = line.strip_prefix(ID) else { continue };
            let place: u64 = std::str::from_utf8(digits)?.parse()?;
            ensure!(place == self.last + 1, "event {place} came after {}", self.last);
            self.last = place;
            came.push((place, now_ns));
        }
        self.rest.drain(..whole);
        Ok(())
    }
}
