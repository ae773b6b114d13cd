//! A launch, step by step, on a thread that may block.
//!
//! Everything that can fail comes before the gate is opened, except the exec itself.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use candor_core::ports::Launch;
use candor_core::session::SessionId;
use candor_core::verdict::SpawnStage;
use rustix::fs::Mode;
use rustix::process::Pid;
use tokio::net::unix::pipe;

use super::child::DirectProcess;
use super::feeder::Feeder;
use super::files;
use super::identity::Identity;
use super::input;
use super::output::Stream;
use super::plan::{Plan, Refusal};
use super::platform::{ExitWatch, FOLDER_FLAGS, Life, boot_id, sign_of_life};
use super::registry::Claim;
use super::spawn::{self, Descriptors, GatedChild};

/// Launches the session's process. Needs a tokio runtime, and blocks: on the file systems of the
/// folder and of the program for as long as those take.
pub(super) fn launch(claim: Claim, plan: &Plan, sessions: &Path) -> Launch {
    let folder = match enter(plan) {
        Ok(folder) => folder,
        Err(refusal) => return refusal.into(),
    };
    match files::claim(sessions, claim.session()) {
        Ok(true) => {
            crate::failpoint!(LaunchClaimed, claim.session());
        }
        // Somebody has launched it before, or died in the attempt. What became of that, the
        // identity tells.
        Ok(false) => return Launch::Unknown,
        Err(error) => return Refusal::at(SpawnStage::Prepare)(error).into(),
    }
    match start(&claim, plan, folder.as_fd(), sessions) {
        Ok(process) => {
            let process = Arc::new(process);
            claim.up(Arc::clone(&process) as _);
            Launch::Up(process)
        }
        Err(refusal) => discard(&claim, sessions, refusal),
    }
}

/// Opens the folder to run in, in a way that tells its errors from those of the program.
pub(super) fn enter(plan: &Plan) -> Result<impl std::os::fd::AsFd + use<>, Refusal> {
    rustix::fs::open(&plan.folder, FOLDER_FLAGS, Mode::empty())
        .map_err(Refusal::at(SpawnStage::Folder))
}

fn start(
    claim: &Claim,
    plan: &Plan,
    folder: std::os::fd::BorrowedFd<'_>,
    sessions: &Path,
) -> Result<DirectProcess, Refusal> {
    let session = claim.session();
    let prepare = Refusal::at(SpawnStage::Prepare);
    let (stdin, pipe) = open_input(plan.holds_input).map_err(&prepare)?;
    let stdout = files::create_output(sessions, session, Stream::Stdout).map_err(&prepare)?;
    let stderr = files::create_output(sessions, session, Stream::Stderr).map_err(&prepare)?;
    let descriptors = Descriptors {
        stdin: stdin.as_fd(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
        folder,
        cgroup: None,
    };
    let child = spawn::fork(plan, &descriptors)?;
    crate::failpoint!(LaunchForked, session);
    let watch = ExitWatch::of(child.pid()).map_err(Refusal::at(SpawnStage::Fork))?;
    let identity = identify(session, &child).map_err(&prepare)?;
    identity.store(sessions).map_err(&prepare)?;
    crate::failpoint!(IdentityStored, session);
    let pid = child.pid();
    child.open_gate()?;
    crate::failpoint!(LaunchOpened, session);
    let registry = Arc::downgrade(claim.registry());
    let feeder = pipe.map(|pipe| {
        let feeder = Feeder::new();
        tokio::spawn(Arc::clone(&feeder).run(pipe));
        feeder
    });
    Ok(DirectProcess::new(session, sessions.to_owned(), pid, watch, feeder, registry))
}

/// Returns what the process reads, and what this one writes to it.
fn open_input(is_held: bool) -> io::Result<(OwnedFd, Option<pipe::Sender>)> {
    if !is_held {
        return Ok((File::open("/dev/null")?.into(), None));
    }
    let (reader, writer) = input::pipe()?;
    Ok((reader.into(), Some(pipe::Sender::from_owned_fd(writer.into())?)))
}

/// Says who a child at its gate is, beyond doubt.
pub(super) fn identify(session: SessionId, child: &GatedChild) -> io::Result<Identity> {
    let pid: Pid = child.pid();
    match sign_of_life(pid)? {
        Life::Runs { start_mark } => Ok(Identity::new(session, pid, start_mark, boot_id()?)),
        // Somebody has killed it at the gate.
        Life::Gone => Err(io::Error::from(rustix::io::Errno::SRCH)),
    }
}

/// Leaves nothing behind from which a later attach could take that there was a process.
fn discard(claim: &Claim, sessions: &Path, refusal: Refusal) -> Launch {
    // The identity goes first. While it is there, the rest must be there too.
    match Identity::remove(sessions, claim.session()) {
        Ok(()) => {
            files::discard(sessions, claim.session());
            refusal.into()
        }
        // It is refused all the same, and that is what the caller stores.
        Err(error) => {
            tracing::warn!(session = %claim.session(), %error, "an identity cannot be removed");
            refusal.into()
        }
    }
}
