//! What a shim does while its process runs, and at its end.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use candor_core::session::OutputSizes;
use rustix::event::{Timespec, epoll};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, WaitIdStatus, geteuid};
use uuid::Uuid;

use super::boot_id_if_known;
use super::children::{self, Children};
use crate::process::child;
use crate::process::shim::frame::{Frame, FrameBuffer, FromShim, ToShim};
use crate::process::shim::place::{ExitRecord, Place, exit};

/// Daemons that are connected at the same time. There is one, and for a moment perhaps its
/// successor; one more is let go at once, and may come again.
const CONNECTIONS_MAX: usize = 8;

/// How long the shim waits before it tries again to record the end, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What an event is about. Connections have the numbers below.
const LISTENER: u64 = u64::MAX;
const CHILDREN: u64 = u64::MAX - 1;

/// Events that are looked at in one go.
const EVENTS_MAX: usize = CONNECTIONS_MAX + 2;

/// A shim whose process was launched.
pub(super) struct Shim {
    place: Place,
    nonce: Uuid,
    agent: Pid,
    outputs: [OwnedFd; 2],
    listener: UnixListener,
    children: Children,
    epoll: OwnedFd,
    connections: [Option<Connection>; CONNECTIONS_MAX],
    /// Seen and not recorded yet.
    end: Option<ExitRecord>,
}

struct Connection {
    stream: UnixStream,
    buffer: FrameBuffer,
}

/// Whether a connection is of any more use.
#[derive(Eq, PartialEq)]
enum Talk {
    GoesOn,
    IsOver,
}

impl Shim {
    /// Tells the launcher that its process is up, and gets ready for everybody else.
    ///
    /// # Errors
    ///
    /// When the system has no place for it.
    pub(super) fn new(
        place: Place,
        nonce: Uuid,
        agent: Pid,
        outputs: [OwnedFd; 2],
        listener: UnixListener,
        launcher: UnixStream,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let children = Children::new()?;
        // Made after the fork, so that nothing in it is also the child's.
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &listener, LISTENER)?;
        watch(&epoll, &children, CHILDREN)?;
        let connections = [const { None }; CONNECTIONS_MAX];
        let mut shim = Self {
            place,
            nonce,
            agent,
            outputs,
            listener,
            children,
            epoll,
            connections,
            end: None,
        };
        if let Some(slot) = shim.admit(launcher) {
            shim.say(slot, FromShim::Up);
        }
        Ok(shim)
    }

    /// Goes on until the end of the process is recorded and told.
    ///
    /// # Errors
    ///
    /// None that could be helped: whoever looks finds the process without its shim.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        let mut retry = RETRY_MIN;
        loop {
            // First look, and then listen: it may have ended before anybody listened.
            children::reap_orphans(self.agent);
            if self.end.is_none() {
                self.end = children::end_of(self.agent).as_ref().map(|status| self.record(status));
            }
            if let Some(end) = &self.end {
                let recorded = self.place.store(end);
                if recorded.is_ok() || self.place.is_removed() {
                    let ended = FromShim::Ended { exit: end.exit, output: end.output };
                    self.leave(ended);
                    return Ok(());
                }
                self.listen(Some(retry))?;
                retry = RETRY_MAX.min(retry * 2);
            } else {
                self.listen(None)?;
            }
        }
    }

    /// Puts down how the process ended, while it is a zombie: nothing that it wrote itself can come
    /// later.
    fn record(&self, status: &WaitIdStatus) -> ExitRecord {
        for output in &self.outputs {
            // A disk that fails here fails for the record as well, and that is what is waited for.
            let _ = rustix::fs::fsync(output);
        }
        ExitRecord {
            session: self.place.session(),
            nonce: self.nonce,
            exit: exit(status),
            output: self.sizes(),
            boot_id: boot_id_if_known(),
        }
    }

    fn sizes(&self) -> OutputSizes {
        let size = |output| fstat(output).map_or(0, |stat| stat.st_size.try_into().unwrap_or(0));
        let [stdout, stderr] = &self.outputs;
        OutputSizes { stdout_bytes: size(stdout), stderr_bytes: size(stderr) }
    }

    /// Reaps, and tells whoever is connected. Who comes later reads the record.
    fn leave(&mut self, ended: FromShim) {
        children::reap(self.agent);
        for slot in 0..CONNECTIONS_MAX {
            self.say(slot, ended);
        }
        self.place.remove_control();
    }

    /// Waits until there is something to do, at most this long, and does it.
    fn listen(&mut self, patience: Option<Duration>) -> io::Result<()> {
        let patience = patience.map(|patience| Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        });
        let none =
            epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut events = [none; EVENTS_MAX];
        let count = match epoll::wait(&self.epoll, &mut events[..], patience.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in events.iter().take(count) {
            match event.data.u64() {
                CHILDREN => self.children.forget(),
                LISTENER => self.accept(),
                slot => self.hear(usize::try_from(slot).unwrap_or(usize::MAX)),
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else {
            return;
        };
        // The folder is private already. This holds even if somebody opens it.
        if socket_peercred(&stream).is_ok_and(|peer| peer.uid == geteuid()) {
            self.admit(stream);
        }
    }

    /// Keeps a connection, if there is a place for it.
    fn admit(&mut self, stream: UnixStream) -> Option<usize> {
        let slot = self.connections.iter().position(Option::is_none)?;
        stream.set_nonblocking(true).ok()?;
        watch(&self.epoll, &stream, slot.try_into().ok()?).ok()?;
        self.connections[slot] = Some(Connection { stream, buffer: FrameBuffer::default() });
        Some(slot)
    }

    /// Reads what a daemon said, and answers.
    fn hear(&mut self, slot: usize) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else {
            return;
        };
        let Connection { stream, buffer } = connection;
        let heard = buffer.fill(|target| stream.read(target));
        let talk = match heard {
            Ok(Some(frame)) => self.answer(slot, &frame),
            Ok(None) => Talk::GoesOn,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Talk::GoesOn,
            Err(_) => Talk::IsOver,
        };
        if talk == Talk::IsOver {
            self.connections[slot] = None;
        }
    }

    fn answer(&mut self, slot: usize, frame: &Frame) -> Talk {
        match ToShim::decode(frame) {
            Some(ToShim::Hello(session)) if session == self.place.session() => {
                self.say(slot, FromShim::Up);
                Talk::GoesOn
            }
            Some(ToShim::Signal { id, target, signal }) => {
                // It is reaped here and nowhere else, so its number is still its own.
                let delivery = child::send(self.agent, target, signal);
                self.say(slot, FromShim::Delivered { id, delivery });
                Talk::GoesOn
            }
            Some(ToShim::Hello(_)) | None => Talk::IsOver,
        }
    }

    /// Says something without waiting. Who does not listen is let go, and may come again.
    fn say(&mut self, slot: usize, what: FromShim) {
        if let Some(connection) = &mut self.connections[slot]
            && connection.stream.write_all(&what.encode()).is_err()
        {
            self.connections[slot] = None;
        }
    }
}

fn watch(epoll: &OwnedFd, descriptor: impl AsFd, about: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(about);
    Ok(epoll::add(epoll, descriptor, data, epoll::EventFlags::IN)?)
}
