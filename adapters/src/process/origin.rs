//! Where a process comes from: out of one of the sessions, or from elsewhere.
//!
//! Whoever connects with the daemon's socket is of the same user, and so may be an agent, or a program
//! that one runs. It is one if it descends from the process of a session, or from that process's shim,
//! which is a subreaper: so neither a second fork nor a session of its own (`setsid`) leads out of
//! there. What fell to the daemon itself, the next subreaper, was a session's, too. Three things are
//! looked at besides, which hold where a shim was killed: the kernel's session of each ancestor, the
//! cgroup, and the mark in the environment.
//!
//! A handle on the process is taken when it connects, so that another that gets its number later is
//! not taken for it. Nothing here trusts what the process says; the mark, which it could have removed,
//! is only ever a reason to say that it is inside.
//!
//! A session that has ended may have left something behind, and its shim is gone then. The cgroup and the
//! mark tell of that one, too, where the daemon knows the session: another daemon's is no sign.
//!
//! All of that stands in files. A look that finds no descriptor left tells of it, rather than that it has
//! found nothing: see `spare.rs`.
//!
//! Source: `unix(7)`, `SO_PEERCRED`; `proc_pid_stat(5)`; `PR_SET_CHILD_SUBREAPER(2const)`.
#![expect(unsafe_code, reason = "a socket option that neither std nor rustix offers")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candor_core::session::SessionId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use uuid::Uuid;

use super::platform::{Stat, stat};
use super::record::Found;
use super::shim::known;
use super::spare::{NoRoom, Spares, with_room};
use super::{SESSION_MARK, shim};

/// Ancestors of a process that are looked at, at most. Who has more hides something.
const ANCESTORS_MAX: usize = 256;

/// How often it is looked anew when an ancestor ends meanwhile.
const LOOKS_MAX: usize = 32;

/// Bytes of an environment that are searched for the mark, at most.
const ENVIRONMENT_BYTES_MAX: u64 = 4 << 20;

/// Descriptors kept for a look: it has one file open at a time.
const LOOK_SPARES: usize = 1;

/// How often it is looked with those let go, at most.
const LOOKS_WITHOUT_SPARES_MAX: usize = 5;

/// Descriptors kept for the handles of peers: one for a client that waits for something, and one for the
/// client that ends it.
const HANDLE_SPARES: usize = 2;

/// `SO_PEERPIDFD`, since Linux 6.5, as all architectures have it that Candor is built for.
///
/// Source: `asm-generic/socket.h`.
const SO_PEERPIDFD: libc::c_int = 77;

/// The process at the other end of a socket, as it was when it connected.
#[derive(Debug)]
pub struct PeerProcess {
    /// `None` for one that this process cannot see: it is in no namespace below.
    pid: Option<Pid>,
    /// `None` for one that was gone already.
    handle: Result<Option<OwnedFd>, NoRoom>,
    /// What the handle may have been taken from.
    spares: Option<Arc<Spares>>,
}

/// Where a process comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// From none of the sessions.
    Outside,
    /// Out of this one.
    Session(SessionId),
    /// Out of a session, of which nothing more can be told: its shim was killed, or it has ended.
    SomeSession,
    /// It cannot be told: the process has ended, or changes too fast.
    Unknown,
    /// It cannot be told now: there is no descriptor left to look with.
    NoRoom,
}

/// A process with that number since then.
type Mark = (i32, u64);

/// What tells the processes of one session.
#[derive(Clone, Debug)]
struct Root {
    process: Mark,
    shim: Option<Mark>,
}

/// Tells where processes come from.
#[derive(Debug)]
pub struct Origins {
    sessions: PathBuf,
    roots: Mutex<HashMap<SessionId, Root>>,
    look_spares: Spares,
    handle_spares: Arc<Spares>,
}

impl PeerProcess {
    /// Takes hold of a process for a moment. Nothing is let go for it.
    pub(super) fn of(socket: &impl AsFd, pid: Option<i32>) -> Self {
        let pid = pid.and_then(Pid::from_raw);
        Self { pid, handle: handle_of(socket.as_fd().as_raw_fd(), pid), spares: None }
    }

    /// Returns its number, or 0 for one that cannot be seen from here.
    pub fn number(&self) -> i32 {
        self.pid.map_or(0, |pid| pid.as_raw_nonzero().get())
    }

    /// Returns the name of its program, as it calls itself.
    pub fn program(&self) -> String {
        let name = fs::read(format!("/proc/{}/comm", self.number())).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end().to_owned()
    }

    /// Says whether it is there, so that its number is its own.
    fn is_there(&self) -> Result<bool, NoRoom> {
        let Some(handle) = self.handle.as_ref().map_err(|no_room| *no_room)? else {
            return Ok(false);
        };
        let mut ended = [PollFd::new(handle, PollFlags::IN)];
        // It is readable once the process has ended.
        Ok(matches!(poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0)))
    }
}

impl Drop for PeerProcess {
    fn drop(&mut self) {
        // What it was taken from gets it back.
        self.handle = Ok(None);
        if let Some(spares) = &self.spares {
            spares.fill_up();
        }
    }
}

/// Takes a handle on the process at the other end. `None` when it is gone.
fn handle_of(socket: RawFd, pid: Option<Pid>) -> Result<Option<OwnedFd>, NoRoom> {
    if let Some(handle) = with_room(peer_handle(socket))? {
        return Ok(Some(handle));
    }
    let Some(pid) = pid else { return Ok(None) };
    with_room(pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from))
}

/// Asks the kernel for a handle on the process at the other end.
fn peer_handle(socket: RawFd) -> io::Result<OwnedFd> {
    let mut handle: libc::c_int = -1;
    let mut length =
        libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes one number of the length that it is told, which is there, and makes a
    // descriptor that nobody else has when it says so.
    unsafe {
        let place = (&raw mut handle).cast();
        let asked =
            libc::getsockopt(socket, libc::SOL_SOCKET, SO_PEERPIDFD, place, &raw mut length);
        if asked != 0 || handle < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(handle))
    }
}

impl Origins {
    /// `sessions` is the folder of sessions.
    pub fn new(sessions: PathBuf) -> Self {
        let look_spares = Spares::new(LOOK_SPARES, LOOKS_WITHOUT_SPARES_MAX);
        // Whoever accepts connections does not wait.
        let handle_spares = Arc::new(Spares::new(HANDLE_SPARES, 1));
        Self { sessions, roots: Mutex::default(), look_spares, handle_spares }
    }

    /// Takes hold of the process that has connected.
    pub fn peer(&self, socket: &impl AsFd, pid: Option<i32>) -> PeerProcess {
        let pid = pid.and_then(Pid::from_raw);
        let socket = socket.as_fd().as_raw_fd();
        let spares = Arc::clone(&self.handle_spares);
        PeerProcess { pid, handle: spares.look(|| handle_of(socket, pid)), spares: Some(spares) }
    }

    /// Says where a process comes from. `live` are the sessions that go on, and `is_own` says of any other
    /// one whether it was this home's.
    ///
    /// It reads a few small files; none of them lies on a disk but the records of sessions that are
    /// asked about for the first time. It may wait for others that look while no descriptor is left.
    pub fn of(
        &self,
        peer: &PeerProcess,
        live: &[SessionId],
        is_own: impl Fn(SessionId) -> bool,
    ) -> Origin {
        let Some(pid) = peer.pid else {
            // What a session starts is in its namespace or in one below, and those can be seen.
            return Origin::Outside;
        };
        if peer.handle.is_err() {
            return Origin::NoRoom;
        }
        let look = || self.look(pid, peer, live, &is_own);
        self.look_spares.look(look).unwrap_or(Origin::NoRoom)
    }

    fn look(
        &self,
        pid: Pid,
        peer: &PeerProcess,
        live: &[SessionId],
        is_own: &impl Fn(SessionId) -> bool,
    ) -> Result<Origin, NoRoom> {
        let roots = self.roots(live)?;
        let ancestors = match ancestors(pid)? {
            Some(ancestors) if peer.is_there()? => ancestors,
            Some(_) | None => return Ok(Origin::Unknown),
        };
        for (mark, stat) in &ancestors {
            let is_of = |root: &Root| {
                root.process == *mark || root.shim == Some(*mark) || stat.session == root.process.0
            };
            if let Some((id, _)) = roots.iter().find(|(_, root)| is_of(root)) {
                return Ok(Origin::Session(*id));
            }
        }
        let numbers = || ancestors.iter().filter_map(|((number, _), _)| Pid::from_raw(*number));
        let mut named = Vec::new();
        for pid in numbers() {
            named.extend(cgroup_of(pid)?);
            named.extend(mark_of(pid)?);
        }
        if let Some(id) = named.iter().find(|id| live.contains(id)) {
            return Ok(Origin::Session(*id));
        }
        named.dedup();
        let has_fallen_to_this = numbers().any(|number| number == getpid());
        Ok(match has_fallen_to_this || named.into_iter().any(is_own) {
            true => Origin::SomeSession,
            false => Origin::Outside,
        })
    }

    /// Returns what is known of the live sessions, and learns it of new ones.
    fn roots(&self, live: &[SessionId]) -> Result<Vec<(SessionId, Root)>, NoRoom> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = mem::take(&mut *roots);
        let mut has_room = Ok(());
        for id in live {
            let root = match known.remove(id) {
                Some(root) => Some(root),
                None => root_of(&self.sessions, *id).unwrap_or_else(|no_room| {
                    has_room = Err(no_room);
                    None
                }),
            };
            if let Some(root) = root {
                roots.insert(*id, root);
            }
        }
        has_room.map(|()| roots.iter().map(|(id, root)| (*id, root.clone())).collect())
    }
}

/// Reads who the process of a session is, and its shim. `None` while there is none.
fn root_of(sessions: &Path, session: SessionId) -> Result<Option<Root>, NoRoom> {
    let identity = match with_room(known(sessions, session))? {
        Some(Found::Whole(identity)) => identity,
        Some(Found::Nothing | Found::Damaged) | None => return Ok(None),
    };
    let Some(pid) = identity.pid() else { return Ok(None) };
    let process = (pid.as_raw_nonzero().get(), identity.start_mark());
    let is_it = |stat: &Stat| stat.start_mark == process.1;
    let parent = seen(pid)?.filter(is_it).and_then(|stat| Pid::from_raw(stat.parent));
    let shim = match parent {
        // Whoever it fell to when its shim was killed is no sign of anything.
        Some(parent) if with_room(shim::has_name(parent))? == Some(true) => {
            seen(parent)?.map(|stat| (parent.as_raw_nonzero().get(), stat.start_mark))
        }
        Some(_) | None => None,
    };
    Ok(Some(Root { process, shim }))
}

/// Returns what this user may see of a process, if there is such a one.
fn seen(pid: Pid) -> Result<Option<Stat>, NoRoom> {
    with_room(stat(pid)).map(Option::flatten)
}

/// Returns a process and its ancestors. `None` when it is gone, or they change too fast.
///
/// One that ends while it is looked hands its children on. So that none is passed over, each must still
/// be a child of its parent after that one was looked at: until then that number can be no other's.
fn ancestors(pid: Pid) -> Result<Option<Vec<(Mark, Stat)>>, NoRoom> {
    for _ in 0..LOOKS_MAX {
        let mut line = Vec::new();
        match climb(pid, &mut line)? {
            Climb::Changed => {}
            Climb::Top => return Ok(Some(line)),
            Climb::Gone => return Ok(None),
        }
    }
    Ok(None)
}

enum Climb {
    Top,
    Changed,
    Gone,
}

fn climb(pid: Pid, line: &mut Vec<(Mark, Stat)>) -> Result<Climb, NoRoom> {
    let Some(mut below) = seen(pid)? else {
        return Ok(Climb::Gone);
    };
    let mut at = pid;
    for _ in 0..ANCESTORS_MAX {
        line.push(((at.as_raw_nonzero().get(), below.start_mark), below));
        let Some(parent) = Pid::from_raw(below.parent) else {
            return Ok(Climb::Top);
        };
        let above = seen(parent)?;
        match seen(at)? {
            Some(again) if (again.parent, again.start_mark) == (below.parent, below.start_mark) => {
            }
            _ => return Ok(Climb::Changed),
        }
        // One that this user may not even see is another's, and no session's.
        let Some(above) = above else {
            return Ok(Climb::Top);
        };
        (at, below) = (parent, above);
    }
    Ok(Climb::Gone)
}

/// Says, to a shim, whether a process comes out of its session or of another one. A daemon may have been
/// started in a session of another home: the shims that this shim descends from are no sign.
pub(super) fn is_inside_for_a_shim(peer: Pid) -> bool {
    let (Ok(Some(own)), Ok(Some(line))) = (ancestors(getpid()), ancestors(peer)) else {
        return true;
    };
    line.iter().any(|(mark, _)| {
        let is_own = own.iter().any(|(own, _)| own == mark);
        let is_this = own.first().is_some_and(|(own, _)| own == mark);
        is_this || (!is_own && Pid::from_raw(mark.0).is_some_and(shim::is_shim))
    })
}

/// Returns the session in whose cgroup a process is.
fn cgroup_of(pid: Pid) -> Result<Option<SessionId>, NoRoom> {
    let lines = with_room(fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())))?;
    let lines = lines.unwrap_or_default();
    Ok(lines.lines().flat_map(|line| line.split('/')).find_map(shim::cgroup_session))
}

/// Returns the session whose mark a process was started with.
fn mark_of(pid: Pid) -> Result<Option<SessionId>, NoRoom> {
    let file = with_room(fs::File::open(format!("/proc/{}/environ", pid.as_raw_nonzero())))?;
    let Some(file) = file else { return Ok(None) };
    let mut environment = Vec::new();
    let mut file = io::Read::take(file, ENVIRONMENT_BYTES_MAX);
    if io::Read::read_to_end(&mut file, &mut environment).is_err() {
        return Ok(None);
    }
    let mut variables = environment.split(|byte| *byte == 0);
    Ok(variables.find_map(|variable| {
        let value = variable.strip_prefix(SESSION_MARK.as_bytes())?.strip_prefix(b"=")?;
        Some(SessionId::from_uuid(Uuid::try_parse_ascii(value).ok()?))
    }))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, getpid, getppid};

    use super::{NoRoom, Origin, Origins, PeerProcess, ancestors, peer_handle};

    #[test]
    fn a_line_of_ancestors_begins_with_the_process_and_its_parent() {
        let line = ancestors(getpid()).unwrap().unwrap();
        let numbers: Vec<i32> = line.iter().map(|((number, _), _)| *number).collect();
        assert_eq!(numbers[0], getpid().as_raw_nonzero().get());
        assert_eq!(numbers.get(1).copied(), getppid().map(|pid| pid.as_raw_nonzero().get()));
        assert_eq!(numbers.last(), Some(&1), "it ends with the first process that there is");
    }

    /// A shell that lives until its input ends.
    fn child() -> Child {
        let mut child = Command::new("sh");
        let child = child.args(["-c", "echo up; read line"]);
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_process_that_has_ended_is_known_to_be_gone() {
        let (one, _other) = UnixStream::pair().unwrap();
        let mut child = child();
        let number = i32::try_from(child.id()).unwrap();
        let handle = rustix::process::pidfd_open(
            Pid::from_raw(number).unwrap(),
            rustix::process::PidfdFlags::empty(),
        );
        let origins = Origins::new("/nowhere".into());
        let spares = std::sync::Arc::clone(&origins.handle_spares);
        let pid = Pid::from_raw(number).unwrap();
        let peer = PeerProcess { pid: Some(pid), handle: Ok(handle.ok()), spares: Some(spares) };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(peer.is_there().unwrap() && ancestors(pid).unwrap().is_some());
        child.stdin.take().unwrap().write_all(b"end\n").unwrap();
        child.wait().unwrap();
        assert!(!peer.is_there().unwrap() && ancestors(pid).unwrap().is_none());
        // The other end of this one is this very process.
        let mut own = origins.peer(&one, Some(getpid().as_raw_nonzero().get()));
        assert_eq!(own.is_there(), Ok(true));
        assert_ne!(origins.of(&own, &[], |_| false), Origin::NoRoom);
        // One that could not be taken hold of is nobody's.
        own.handle = Err(NoRoom);
        assert_eq!(origins.of(&own, &[], |_| false), Origin::NoRoom);
    }

    #[test]
    fn the_kernel_hands_out_a_handle_where_it_can() {
        use std::os::fd::AsRawFd as _;

        let (one, _other) = UnixStream::pair().unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(peer_handle(one.as_raw_fd()).is_ok(), version >= (6, 5), "{release}");
        assert!(peer_handle(-1).is_err());
    }
}
