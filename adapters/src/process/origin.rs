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
//! Source: `unix(7)`, `SO_PEERCRED`; `proc_pid_stat(5)`; `PR_SET_CHILD_SUBREAPER(2const)`.
#![expect(unsafe_code, reason = "a socket option that neither std nor rustix offers")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use candor_core::session::SessionId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use uuid::Uuid;

use super::platform::{Stat, stat};
use super::record::Found;
use super::shim::known;
use super::{SESSION_MARK, shim};

/// Ancestors of a process that are looked at, at most. Who has more hides something.
const ANCESTORS_MAX: usize = 256;

/// How often it is looked anew when an ancestor ends meanwhile.
const LOOKS_MAX: usize = 32;

/// Bytes of an environment that are searched for the mark, at most.
const ENVIRONMENT_BYTES_MAX: u64 = 4 << 20;

/// `SO_PEERPIDFD`, since Linux 6.5, as all architectures have it that Candor is built for.
///
/// Source: `asm-generic/socket.h`.
const SO_PEERPIDFD: libc::c_int = 77;

/// The process at the other end of a socket, as it was when it connected.
#[derive(Debug)]
pub struct PeerProcess {
    /// `None` for one that this process cannot see: it is in no namespace below.
    pid: Option<Pid>,
    handle: Option<OwnedFd>,
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
}

impl PeerProcess {
    /// Takes hold of the process that has connected.
    pub fn of(socket: &impl AsFd, pid: Option<i32>) -> Self {
        let pid = pid.and_then(Pid::from_raw);
        let handle = peer_handle(socket.as_fd().as_raw_fd())
            .or_else(|| pidfd_open(pid?, PidfdFlags::empty()).ok());
        Self { pid, handle }
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
    fn is_there(&self) -> bool {
        let Some(handle) = &self.handle else {
            return false;
        };
        let mut ended = [PollFd::new(handle, PollFlags::IN)];
        // It is readable once the process has ended.
        matches!(poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }
}

/// Asks the kernel for a handle on the process at the other end.
fn peer_handle(socket: RawFd) -> Option<OwnedFd> {
    let mut handle: libc::c_int = -1;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: the kernel writes one number of the length that it is told, which is there, and makes a
    // descriptor that nobody else has when it says so.
    unsafe {
        let place = (&raw mut handle).cast();
        let asked =
            libc::getsockopt(socket, libc::SOL_SOCKET, SO_PEERPIDFD, place, &raw mut length);
        (asked == 0 && handle >= 0).then(|| OwnedFd::from_raw_fd(handle))
    }
}

impl Origins {
    /// `sessions` is the folder of sessions.
    pub fn new(sessions: PathBuf) -> Self {
        Self { sessions, roots: Mutex::default() }
    }

    /// Says where a process comes from. `live` are the sessions that go on, and `is_own` says of any other
    /// one whether it was this home's.
    ///
    /// It reads a few small files; none of them lies on a disk but the records of sessions that are
    /// asked about for the first time.
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
        let roots = self.roots(live);
        let ancestors = match ancestors(pid) {
            Some(ancestors) if peer.is_there() => ancestors,
            Some(_) | None => return Origin::Unknown,
        };
        for (mark, stat) in &ancestors {
            let is_of = |root: &Root| {
                root.process == *mark || root.shim == Some(*mark) || stat.session == root.process.0
            };
            if let Some((id, _)) = roots.iter().find(|(_, root)| is_of(root)) {
                return Origin::Session(*id);
            }
        }
        let numbers = || ancestors.iter().filter_map(|((number, _), _)| Pid::from_raw(*number));
        let mut named: Vec<SessionId> =
            numbers().flat_map(|pid| cgroup_of(pid).into_iter().chain(mark_of(pid))).collect();
        if let Some(id) = named.iter().find(|id| live.contains(id)) {
            return Origin::Session(*id);
        }
        named.dedup();
        let has_fallen_to_this = numbers().any(|number| number == getpid());
        match has_fallen_to_this || named.into_iter().any(is_own) {
            true => Origin::SomeSession,
            false => Origin::Outside,
        }
    }

    /// Returns what is known of the live sessions, and learns it of new ones.
    fn roots(&self, live: &[SessionId]) -> Vec<(SessionId, Root)> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = mem::take(&mut *roots);
        for id in live {
            let root = known.remove(id).or_else(|| root_of(&self.sessions, *id));
            if let Some(root) = root {
                roots.insert(*id, root);
            }
        }
        roots.iter().map(|(id, root)| (*id, root.clone())).collect()
    }
}

/// Reads who the process of a session is, and its shim. `None` while there is none.
fn root_of(sessions: &Path, session: SessionId) -> Option<Root> {
    let identity = match known(sessions, session) {
        Ok(Found::Whole(identity)) => identity,
        Ok(Found::Nothing | Found::Damaged) | Err(_) => return None,
    };
    let pid = identity.pid()?;
    let process = (pid.as_raw_nonzero().get(), identity.start_mark());
    let is_it = |stat: &Stat| stat.start_mark == process.1;
    let parent = stat(pid).ok().flatten().filter(is_it).and_then(|stat| Pid::from_raw(stat.parent));
    // Whoever it fell to when its shim was killed is no sign of anything.
    let shim = parent.filter(|pid| shim::is_shim(*pid)).and_then(mark);
    Some(Root { process, shim })
}

fn mark(pid: Pid) -> Option<Mark> {
    let stat = stat(pid).ok().flatten()?;
    Some((pid.as_raw_nonzero().get(), stat.start_mark))
}

/// Returns a process and its ancestors. `None` when it is gone, or they change too fast.
///
/// One that ends while it is looked hands its children on. So that none is passed over, each must still
/// be a child of its parent after that one was looked at: until then that number can be no other's.
fn ancestors(pid: Pid) -> Option<Vec<(Mark, Stat)>> {
    for _ in 0..LOOKS_MAX {
        let mut line = Vec::new();
        match climb(pid, &mut line) {
            Climb::Changed => {}
            Climb::Top => return Some(line),
            Climb::Gone => return None,
        }
    }
    None
}

enum Climb {
    Top,
    Changed,
    Gone,
}

fn climb(pid: Pid, line: &mut Vec<(Mark, Stat)>) -> Climb {
    let Ok(Some(mut below)) = stat(pid) else {
        return Climb::Gone;
    };
    let mut at = pid;
    for _ in 0..ANCESTORS_MAX {
        line.push(((at.as_raw_nonzero().get(), below.start_mark), below));
        let Some(parent) = Pid::from_raw(below.parent) else {
            return Climb::Top;
        };
        let above = stat(parent).ok().flatten();
        match stat(at) {
            Ok(Some(again))
                if (again.parent, again.start_mark) == (below.parent, below.start_mark) => {}
            _ => return Climb::Changed,
        }
        // One that this user may not even see is another's, and no session's.
        let Some(above) = above else {
            return Climb::Top;
        };
        (at, below) = (parent, above);
    }
    Climb::Gone
}

/// Says, to a shim, whether a process comes out of its session or of another one. A daemon may have been
/// started in a session of another home: the shims that this shim descends from are no sign.
pub(super) fn is_inside_for_a_shim(peer: Pid) -> bool {
    let (Some(own), Some(line)) = (ancestors(getpid()), ancestors(peer)) else {
        return true;
    };
    line.iter().any(|(mark, _)| {
        let is_own = own.iter().any(|(own, _)| own == mark);
        let is_this = own.first().is_some_and(|(own, _)| own == mark);
        is_this || (!is_own && Pid::from_raw(mark.0).is_some_and(shim::is_shim))
    })
}

/// Returns the session in whose cgroup a process is.
fn cgroup_of(pid: Pid) -> Option<SessionId> {
    let lines = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())).ok()?;
    lines.lines().flat_map(|line| line.split('/')).find_map(shim::cgroup_session)
}

/// Returns the session whose mark a process was started with.
fn mark_of(pid: Pid) -> Option<SessionId> {
    let file = fs::File::open(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let mut environment = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, ENVIRONMENT_BYTES_MAX), &mut environment)
        .ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|variable| {
        let value = variable.strip_prefix(SESSION_MARK.as_bytes())?.strip_prefix(b"=")?;
        Some(SessionId::from_uuid(Uuid::try_parse_ascii(value).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, getpid, getppid};

    use super::{PeerProcess, ancestors, peer_handle};

    #[test]
    fn a_line_of_ancestors_begins_with_the_process_and_its_parent() {
        let line = ancestors(getpid()).unwrap();
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
        let peer = PeerProcess { pid: Pid::from_raw(number), handle: handle.ok() };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(peer.is_there() && ancestors(peer.pid.unwrap()).is_some());
        child.stdin.take().unwrap().write_all(b"end\n").unwrap();
        child.wait().unwrap();
        assert!(!peer.is_there() && ancestors(peer.pid.unwrap()).is_none());
        // The other end of this one is this very process.
        let own = PeerProcess::of(&one, Some(getpid().as_raw_nonzero().get()));
        assert!(own.is_there());
    }

    #[test]
    fn the_kernel_hands_out_a_handle_where_it_can() {
        use std::os::fd::AsRawFd as _;

        let (one, _other) = UnixStream::pair().unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(peer_handle(one.as_raw_fd()).is_some(), version >= (6, 5), "{release}");
        assert!(peer_handle(-1).is_none());
    }
}
