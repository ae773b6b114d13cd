//! The shim itself: one process, one thread, no runtime.
//!
//! It opens nothing that it does not need, and answers nobody but its own user. Nothing of it
//! reaches the session: descriptors, signal mask, dispositions and environment are what `spawn.rs`
//! gives.
//!
//! It stands in its own folder and names everything in there without a path: so a socket's name is
//! never too long, and a home that is moved under it takes its records along. It would keep that
//! file system busy anyway, by the lock and the outputs.

pub(super) mod children;
mod input;
mod keeper;
mod oom;
mod serve;
mod stop;
mod tree;

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

use candor_core::verdict::SpawnStage;
use rustix::fs::{FileType, Mode, fstat};
use rustix::io::Errno;
use rustix::process::{getpid, set_child_subreaper, setsid, umask};
use rustix::stdio::dup2_stdin;
use rustix::thread::set_name;

use super::NAME;
use super::cgroup::Cgroup;
use super::frame::FromShim;
use super::place::{CONTROL, Intent, Lock, Place, Started};
use super::request::{self, Request};
use crate::process::files;
use crate::process::input::pipe;
use crate::process::launch::{enter, identify};
use crate::process::output::Stream;
use crate::process::plan::Refusal;
use crate::process::platform::{boot_id, close_from};
use crate::process::private::keep_private;
use crate::process::record::Found;
use crate::process::signals;
use crate::process::spawn::{self, Descriptors};
use input::Input;
use keeper::Keeper;
use oom::KernelLog;
use serve::{Desk, Shim};
use stop::Family;

/// The first descriptor that is not one of the three standard ones.
const FIRST_OTHER: i32 = 3;

/// Is the shim, from beginning to end. It must be called first in `main`, before a file is opened or
/// a thread started.
///
/// Standard input is the socket of whoever gives the order; the others are looked at by nobody. With
/// anything else there it leaves at once.
///
/// The exit code says whether the session's process was watched to its end, or was refused and is
/// known as such. Nobody relies on it: what counts is on disk.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    let mut launcher = leave_everything()?;
    let request = request::read(&mut launcher)?;
    let place = Place::of(&request.sessions, request.session);
    env::set_current_dir(place.folder())?;
    let place = Place::here(request.session);
    let Some(lock) = place.lock()? else {
        // A daemon is finding out what became of this launch, and will find that nothing did.
        return Ok(());
    };
    match place.load::<Intent>()? {
        Found::Whole(intent) if intent.nonce == request.nonce => {}
        // It was decided that this launch never was.
        Found::Whole(_) | Found::Damaged | Found::Nothing => return Ok(()),
    }
    // A copy, since the desk takes the other one.
    let mut refusals = launcher.try_clone()?;
    match start(&request, place.clone(), launcher) {
        Ok(mut shim) => {
            // The environment is in it, and is nobody's business any more.
            drop(request);
            drop(refusals);
            // Only now: the memory score of the process could not be set before, which has been in
            // this one's image until it executed. Where it cannot be done, nothing is lost.
            let _ = keep_private();
            shim.desk.say_to_all(FromShim::Up);
            shim.serve()
        }
        Err(refusal) => {
            clear(&request, &place, lock);
            // It is refused even if something stayed behind, and that is what the launcher stores.
            refusals.write_all(&FromShim::Refused(refusal).encode())
        }
    }
}

/// Leaves terminal, group, descriptors and signals of whoever started this process, and returns the
/// socket to it.
fn leave_everything() -> io::Result<UnixStream> {
    if !is_socket(io::stdin().as_fd()) {
        // Nobody gives an order: somebody typed its name. A shim cannot be interrupted, so none is
        // to begin there.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    close_from(FIRST_OTHER);
    // By its file's name it could be called anything. Where the system has none, nothing is lost.
    let _ = set_name(NAME);
    // Blocked, and not ignored: what is ignored would have to be undone for the session. None is
    // ever let through, so that only SIGKILL, SIGSTOP and our own faults end or hold this process.
    let _mask = signals::block_all();
    signals::keep_exits();
    // It cannot be a leader, having just been forked; where it is, it has its own group already.
    let _ = setsid();
    umask(Mode::RWXG | Mode::RWXO);
    // What the session leaves behind falls to its shim.
    set_child_subreaper(Some(getpid()))?;
    let launcher = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(launcher.into())
}

fn is_socket(descriptor: BorrowedFd<'_>) -> bool {
    fstat(descriptor).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_socket())
}

/// Launches, as the direct spawner does, with another record.
fn start(request: &Request, place: Place, launcher: UnixStream) -> Result<Shim, Refusal> {
    let prepare = Refusal::at(SpawnStage::Prepare);
    let (session, sessions) = (request.session, &request.sessions);
    let folder = enter(&request.plan)?;
    if !files::claim(sessions, session).map_err(&prepare)? {
        // It is another's, perhaps of a time before there were shims.
        return Err(prepare(Errno::EXIST.into()));
    }
    let started = start_claimed(request, place, launcher, folder.as_fd());
    if started.is_err() {
        files::discard(sessions, session);
    }
    started
}

fn start_claimed(
    request: &Request,
    place: Place,
    launcher: UnixStream,
    folder: BorrowedFd<'_>,
) -> Result<Shim, Refusal> {
    let prepare = Refusal::at(SpawnStage::Prepare);
    let (session, sessions) = (request.session, &request.sessions);
    let (stdin, input) = open_input(request.plan.holds_input).map_err(&prepare)?;
    let stdout = files::create_output(sessions, session, Stream::Stdout).map_err(&prepare)?;
    let stderr = files::create_output(sessions, session, Stream::Stderr).map_err(&prepare)?;
    let keeper = Keeper::new(sessions, session, request.quota).map_err(&prepare)?;
    // Who comes from now on waits until the launch is over, and is told then.
    let listener = listen().map_err(&prepare)?;
    let desk = Desk::new(listener, launcher, input).map_err(&prepare)?;
    let mut cgroup = request.wants_cgroup.then(|| Cgroup::make(session)).flatten();
    let opened = cgroup.as_ref().and_then(|cgroup| cgroup.open().ok());
    let descriptors = Descriptors {
        stdin: stdin.as_fd(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
        folder,
        cgroup: opened.as_ref().map(AsFd::as_fd),
    };
    let launched = spawn::fork(&request.plan, &descriptors).and_then(|child| {
        if !child.is_in_cgroup() {
            cgroup.take().inspect(Cgroup::remove);
        }
        // Its number is its own from here on, so whatever the kernel says of it now is about it.
        let log = KernelLog::follow();
        let agent = child.pid();
        oom::expose(agent);
        let identity = identify(session, &child).map_err(&prepare)?;
        let nonce = request.nonce;
        let started = Started { nonce, identity, cgroup: cgroup.clone() };
        place.store(&started).map_err(&prepare)?;
        child.open_gate()?;
        Ok((agent, log))
    });
    match launched {
        Ok((agent, log)) => {
            let family = Family::of(agent, cgroup);
            let (outputs, nonce) = ([stdout, stderr], request.nonce);
            let ends_rest = request.plan.ends_rest;
            Ok(Shim { place, nonce, agent, family, ends_rest, log, outputs, keeper, desk })
        }
        Err(refusal) => {
            cgroup.take().inspect(Cgroup::remove);
            Err(refusal)
        }
    }
}

/// Returns what the process reads, and what this one writes to it.
fn open_input(is_held: bool) -> io::Result<(OwnedFd, Option<Input>)> {
    if !is_held {
        return Ok((File::open("/dev/null")?.into(), None));
    }
    let (reader, writer) = pipe()?;
    Ok((reader.into(), Some(Input::new(writer))))
}

/// Makes the socket, which only its user may connect to.
fn listen() -> io::Result<UnixListener> {
    let before = umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(CONTROL);
    umask(before);
    listener
}

/// Leaves nothing behind from which anybody could take that there was a process. Whoever is told of
/// the refusal afterwards may launch the session again.
fn clear(request: &Request, place: &Place, lock: Lock) {
    drop(place.discard());
    drop(fs::remove_dir(Place::of(&request.sessions, request.session).folder()));
    drop(lock);
}

/// Returns the name of this boot, for a record that is true without it.
fn boot_id_if_known() -> String {
    boot_id().unwrap_or_default()
}
