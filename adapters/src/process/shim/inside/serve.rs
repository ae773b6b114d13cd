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
use super::keeper::{Files, Keeper};
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
    pub(super) place: Place,
    pub(super) nonce: Uuid,
    pub(super) agent: Pid,
    pub(super) outputs: Files,
    pub(super) keeper: Keeper,
    pub(super) desk: Desk,
}

/// Where daemons are heard, and ends of children. It is made before the launch: afterwards there is
/// nothing any more that the shim could fail to get, and leave its process alone for.
pub(super) struct Desk {
    listener: UnixListener,
    children: Children,
    epoll: OwnedFd,
    connections: [Option<Connection>; CONNECTIONS_MAX],
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

impl Desk {
    /// Gets ready for everybody, the launcher first.
    ///
    /// # Errors
    ///
    /// When the system has no place for it.
    pub(super) fn new(listener: UnixListener, launcher: UnixStream) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let children = Children::new()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &listener, LISTENER)?;
        watch(&epoll, &children, CHILDREN)?;
        let connections = [const { None }; CONNECTIONS_MAX];
        let mut desk = Self { listener, children, epoll, connections };
        desk.admit(launcher);
        Ok(desk)
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
    fn admit(&mut self, stream: UnixStream) -> Option<()> {
        let slot = self.connections.iter().position(Option::is_none)?;
        stream.set_nonblocking(true).ok()?;
        watch(&self.epoll, &stream, slot.try_into().ok()?).ok()?;
        self.connections[slot] = Some(Connection { stream, buffer: FrameBuffer::default() });
        Some(())
    }

    /// Says something without waiting. Who does not listen is let go, and may come again.
    fn say(&mut self, slot: usize, what: FromShim) {
        if let Some(connection) = &mut self.connections[slot]
            && connection.stream.write_all(&what.encode()).is_err()
        {
            self.connections[slot] = None;
        }
    }

    /// Says something to everybody who is connected.
    pub(super) fn say_to_all(&mut self, what: FromShim) {
        for slot in 0..CONNECTIONS_MAX {
            self.say(slot, what);
        }
    }
}

impl Shim {
    /// Goes on until the end of the process is recorded and told.
    ///
    /// # Errors
    ///
    /// None that could be helped: whoever looks finds the process without its shim.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        let mut retry = RETRY_MIN;
        let mut end = None;
        self.keeper.begin(&self.outputs);
        loop {
            // First look, and then listen: it may have ended before anybody listened.
            children::reap_orphans(self.agent);
            if end.is_none() {
                end = children::end_of(self.agent).as_ref().map(|status| self.record(status));
                self.keeper.look_if_due(&self.outputs);
            }
            if let Some(end) = &end {
                let recorded = self.place.store(end);
                if recorded.is_ok() || self.place.is_removed() {
                    let ended = FromShim::Ended { exit: end.exit, output: end.output };
                    self.leave(ended);
                    return Ok(());
                }
                self.listen(Some(retry))?;
                retry = RETRY_MAX.min(retry * 2);
            } else {
                self.listen(self.keeper.patience())?;
            }
        }
    }

    /// Puts down how the process ended, while it is a zombie: nothing that it wrote itself can come
    /// later.
    fn record(&mut self, status: &WaitIdStatus) -> ExitRecord {
        self.keeper.finish(&self.outputs);
        let output = self.sizes();
        let sizes = [output.stdout_bytes, output.stderr_bytes];
        for (output, _) in self.outputs.iter().zip(sizes).filter(|&(_, size)| size > 0) {
            // A disk that fails here fails for the record as well, and that is what is waited for.
            let _ = rustix::fs::fsync(output);
        }
        ExitRecord {
            session: self.place.session(),
            nonce: self.nonce,
            exit: exit(status),
            output,
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
        self.desk.say_to_all(ended);
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
        let count = match epoll::wait(&self.desk.epoll, &mut events[..], patience.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in events.iter().take(count) {
            match event.data.u64() {
                CHILDREN if self.desk.children.forget() => self.keeper.told(),
                CHILDREN => {}
                LISTENER => self.desk.accept(),
                slot => self.hear(usize::try_from(slot).unwrap_or(usize::MAX)),
            }
        }
        Ok(())
    }

    /// Reads what a daemon said, and answers.
    fn hear(&mut self, slot: usize) {
        let Some(Some(connection)) = self.desk.connections.get_mut(slot) else {
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
            self.desk.connections[slot] = None;
        }
    }

    fn answer(&mut self, slot: usize, frame: &Frame) -> Talk {
        match ToShim::decode(frame) {
            Some(ToShim::Hello(session)) if session == self.place.session() => {
                self.desk.say(slot, FromShim::Up);
                Talk::GoesOn
            }
            Some(ToShim::Signal { id, target, signal }) => {
                // It is reaped here and nowhere else, so its number is still its own.
                let delivery = child::send(self.agent, target, signal);
                self.desk.say(slot, FromShim::Delivered { id, delivery });
                Talk::GoesOn
            }
            Some(ToShim::Hello(_)) | None => Talk::IsOver,
        }
    }
}

fn watch(epoll: &OwnedFd, descriptor: impl AsFd, about: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(about);
    Ok(epoll::add(epoll, descriptor, data, epoll::EventFlags::IN)?)
}
