//! What a shim does while its process runs, and at its end.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use candor_core::ports::{Ending, Target};
use candor_core::session::OutputSizes;
use candor_core::verdict::{Exit, Witness};
use rustix::event::{Timespec, epoll};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, WaitIdStatus, geteuid};
use uuid::Uuid;

use super::boot_id_if_known;
use super::children::{self, Children};
use super::input::{Incoming, Input};
use super::keeper::{Files, Keeper};
use super::oom::KernelLog;
use super::stop::{Family, Settling};
use crate::process::shim::cgroup;
use crate::process::shim::frame::{Frame, FrameBuffer, FromShim, Letter, ToShim};
use crate::process::shim::place::{ExitRecord, Place, exit};
use crate::process::{child, origin};

/// Daemons that are connected at the same time. There is one, and for a moment perhaps its
/// successor; one more is let go at once, and may come again.
const CONNECTIONS_MAX: usize = 8;

/// How long the shim waits before it tries again to record the end, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How long nobody is let in after that failed: mostly the system has no descriptor left, and whoever
/// waits at the door is told of again and again meanwhile.
const REST: Duration = Duration::from_secs(1);

/// The number of the signal that the kernel kills with.
const SIGKILL: u8 = 9;

/// What an event is about. Connections have the numbers below.
const LISTENER: u64 = u64::MAX;
const CHILDREN: u64 = u64::MAX - 1;
const INPUT: u64 = u64::MAX - 2;

/// Events that are looked at in one go.
const EVENTS_MAX: usize = CONNECTIONS_MAX + 3;

/// A shim whose process was launched.
pub(super) struct Shim {
    pub(super) place: Place,
    pub(super) nonce: Uuid,
    pub(super) agent: Pid,
    pub(super) family: Family,
    /// Whether what the process leaves behind is ended unless it leaves with code 0.
    pub(super) ends_rest: bool,
    pub(super) log: Option<KernelLog>,
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
    /// Until when nobody is let in.
    rests_until: Option<Instant>,
    connections: [Option<Connection>; CONNECTIONS_MAX],
    /// The process's standard input, if it is held.
    input: Option<Input>,
}

struct Connection {
    stream: UnixStream,
    buffer: FrameBuffer,
    /// A message whose frame has come, and not all of its bytes.
    incoming: Option<Incoming>,
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
    pub(super) fn new(
        listener: UnixListener,
        launcher: UnixStream,
        input: Option<Input>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let children = Children::new()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &listener, LISTENER)?;
        watch(&epoll, &children, CHILDREN)?;
        if let Some(input) = &input {
            input.watch(&epoll, INPUT)?;
        }
        let connections = [const { None }; CONNECTIONS_MAX];
        let mut desk = Self { listener, children, epoll, rests_until: None, connections, input };
        desk.admit(launcher);
        Ok(desk)
    }

    fn accept(&mut self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if is_no_fault(&error) => return,
            Err(_) => return self.rest(),
        };
        // The folder is private already. This holds even if somebody opens it. What runs in a session
        // is of the same user, and has no say in what becomes of sessions.
        let is_daemon = socket_peercred(&stream)
            .is_ok_and(|peer| peer.uid == geteuid() && !origin::is_inside_for_a_shim(peer.pid));
        if is_daemon {
            self.admit(stream);
        }
    }

    /// Stops listening at the door for [`REST`]. Whoever waits there goes on waiting.
    fn rest(&mut self) {
        if epoll::delete(&self.epoll, &self.listener).is_ok() {
            self.rests_until = Some(Instant::now() + REST);
        }
    }

    /// Listens at the door again, if it is time, and returns how long the next wait may be.
    fn patience(&mut self, patience: Option<Duration>) -> Option<Duration> {
        let Some(until) = self.rests_until else {
            return patience;
        };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Some(patience.map_or(left, |patience| patience.min(left)));
        }
        self.rests_until = None;
        if watch(&self.epoll, &self.listener, LISTENER).is_err() {
            self.rests_until = Some(Instant::now() + REST);
            return Some(patience.map_or(REST, |patience| patience.min(REST)));
        }
        patience
    }

    /// Keeps a connection, if there is a place for it.
    fn admit(&mut self, stream: UnixStream) -> Option<()> {
        let slot = self.connections.iter().position(Option::is_none)?;
        stream.set_nonblocking(true).ok()?;
        watch(&self.epoll, &stream, slot.try_into().ok()?).ok()?;
        let buffer = FrameBuffer::default();
        self.connections[slot] = Some(Connection { stream, buffer, incoming: None });
        Some(())
    }

    /// Lets go of a connection, and of what has come of a message on it.
    fn let_go(&mut self, slot: usize) {
        let connection = self.connections[slot].take();
        if let Some(incoming) = connection.and_then(|connection| connection.incoming) {
            incoming.give_up(self.input.as_mut());
        }
    }

    /// Writes to the process what there is room for, unless nobody reads any more.
    fn tend_input(&mut self, flags: epoll::EventFlags) {
        let Some(input) = &mut self.input else { return };
        if flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP) {
            input.close(&self.epoll);
        } else {
            input.write(&self.epoll, INPUT);
        }
    }

    /// Closes the process's standard input, which has ended.
    fn close_input(&mut self) {
        if let Some(input) = &mut self.input {
            input.close(&self.epoll);
        }
    }

    /// Says something without waiting. Who does not listen is let go, and may come again.
    fn say(&mut self, slot: usize, what: FromShim) {
        if let Some(connection) = &mut self.connections[slot]
            && connection.stream.write_all(&what.encode()).is_err()
        {
            self.let_go(slot);
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
        let status = self.await_end()?;
        // What waits, and whoever is left and reads, waits for nothing any more.
        self.desk.close_input();
        let mut end = self.describe(&status);
        if self.ends_rest && end.exit != Exit::Code(0) {
            self.family.is_wanted_no_more();
        }
        end.left_behind = Some(self.settle(&end)?);
        self.keep(&end)?;
        self.leave(end.ending());
        Ok(())
    }

    fn await_end(&mut self) -> io::Result<WaitIdStatus> {
        self.keeper.begin(&self.outputs);
        loop {
            // First look, and then listen: it may have ended before anybody listened.
            children::reap_orphans(self.agent);
            if let Some(status) = children::end_of(self.agent) {
                return Ok(status);
            }
            self.keeper.look_if_due(&self.outputs);
            self.listen(self.keeper.patience())?;
        }
    }

    /// Puts down how the process ended, while it is a zombie: nothing that it wrote itself can come
    /// later.
    fn describe(&mut self, status: &WaitIdStatus) -> ExitRecord {
        // Not later: the last that the process wrote must not give way to what comes after it.
        self.keeper.finish(&self.outputs);
        let output = self.sizes();
        let exit = exit(status);
        let is_killed = matches!(exit, Exit::Signal { number: SIGKILL, .. });
        let agent = self.agent;
        let oom_killed = is_killed && self.log.as_mut().is_some_and(|log| log.tells_of(agent));
        ExitRecord {
            session: self.place.session(),
            nonce: self.nonce,
            exit,
            oom_killed,
            witness: Witness::Parent,
            output,
            left_behind: None,
            boot_id: boot_id_if_known(),
        }
    }

    /// Ends what is left, if an end was asked for, and returns how much is left in the end. Whatever
    /// happens meanwhile, the process is a zombie and knows how it ended.
    fn settle(&mut self, end: &ExitRecord) -> io::Result<u32> {
        if self.family.is_to_end() && self.family.is_alive() {
            // Should this process be killed now, at least that much is known.
            drop(self.place.foretell(end));
        }
        let begun = Instant::now();
        loop {
            match self.family.settle(begun.elapsed()) {
                Settling::Done { left } => return Ok(left),
                Settling::Wait(patience) => self.listen(Some(patience))?,
            }
        }
    }

    /// Records the end, however long the disk takes.
    fn keep(&mut self, end: &ExitRecord) -> io::Result<()> {
        let sizes = [end.output.stdout_bytes, end.output.stderr_bytes];
        for (output, _) in self.outputs.iter().zip(sizes).filter(|&(_, size)| size > 0) {
            // A disk that fails here fails for the record as well, and that is what is waited for.
            let _ = rustix::fs::fsync(output);
        }
        self.keeper.sync();
        let mut retry = RETRY_MIN;
        while self.place.store(end).is_err() && !self.place.is_removed() {
            self.listen(Some(retry))?;
            retry = RETRY_MAX.min(retry * 2);
        }
        Ok(())
    }

    fn sizes(&self) -> OutputSizes {
        let size = |output| fstat(output).map_or(0, |stat| stat.st_size.try_into().unwrap_or(0));
        let [stdout, stderr] = &self.outputs;
        OutputSizes { stdout_bytes: size(stdout), stderr_bytes: size(stderr) }
    }

    /// Reaps, and tells whoever is connected. Who comes later reads the record.
    fn leave(&mut self, ending: Ending) {
        children::reap(self.agent);
        self.desk.say_to_all(FromShim::Ended(ending));
        self.place.remove_control();
        self.family.remove_cgroup();
        // This process stands in the folder of its own session.
        cgroup::remove_left(|session| Place::of(Path::new(".."), session).is_over());
    }

    /// Waits until there is something to do, at most this long, and does it.
    fn listen(&mut self, patience: Option<Duration>) -> io::Result<()> {
        let patience = self.desk.patience(patience).map(|patience| Timespec {
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
                INPUT => self.desk.tend_input(event.flags),
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
        let Connection { stream, buffer, incoming } = connection;
        let heard = match incoming {
            Some(incoming) => incoming.fill(stream).map(|()| None),
            None => buffer.fill(|target| stream.read(target)),
        };
        let talk = match heard {
            Ok(Some(frame)) => self.answer(slot, &frame),
            Ok(None) => Talk::GoesOn,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Talk::GoesOn,
            Err(_) => Talk::IsOver,
        };
        match talk {
            Talk::GoesOn => self.take_whole_message(slot),
            Talk::IsOver => self.desk.let_go(slot),
        }
    }

    /// Begins with a message, whose bytes come next.
    fn begin_message(&mut self, slot: usize, letter: Letter) {
        let has_ended = children::end_of(self.agent).is_some();
        let Desk { connections, input, .. } = &mut self.desk;
        if let Some(connection) = &mut connections[slot] {
            let input = input.as_mut().filter(|_| !has_ended);
            connection.incoming = Some(Incoming::begin(letter, input));
        }
    }

    /// Takes a message if all of it has come, and says what became of it.
    fn take_whole_message(&mut self, slot: usize) {
        let is_whole = |incoming: &mut Incoming| incoming.is_whole();
        let Some(connection) = &mut self.desk.connections[slot] else { return };
        let Some(incoming) = connection.incoming.take_if(is_whole) else { return };
        let has_ended = children::end_of(self.agent).is_some();
        let id = incoming.id();
        let sent = incoming.finish(self.desk.input.as_mut().filter(|_| !has_ended));
        self.desk.tend_input(epoll::EventFlags::empty());
        self.desk.say(slot, FromShim::Taken { id, sent });
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
                if target == Target::Group {
                    self.family.signal(signal, delivery);
                }
                self.desk.say(slot, FromShim::Delivered { id, delivery });
                Talk::GoesOn
            }
            Some(ToShim::Send(letter)) => {
                self.begin_message(slot, letter);
                Talk::GoesOn
            }
            Some(ToShim::Hello(_)) | None => Talk::IsOver,
        }
    }
}

/// Whether nobody is there any more who was, and the next one can be let in.
fn is_no_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

fn watch(epoll: &OwnedFd, descriptor: impl AsFd, about: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(about);
    Ok(epoll::add(epoll, descriptor, data, epoll::EventFlags::IN)?)
}
