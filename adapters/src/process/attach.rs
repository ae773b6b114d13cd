//! What became of a process that an earlier daemon launched.
//!
//! Nobody is left who could learn its exit. So what still runs is ended, and then the answer is
//! that its exit is lost.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candor_core::ports::Attach;
use candor_core::session::SessionId;
use candor_core::verdict::LostReason;
use rustix::io::Errno;

use super::identity::Identity;
use super::platform::{Life, boot_id, sign_of_life, watch};
use super::record::Found;

/// How long a killed process may take to go. One that hangs in the kernel takes longer, and is
/// asked for again later.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// Answers from the files alone. The caller has made sure that this daemon did not launch the
/// session, and that no other daemon lives.
///
/// | identity | process | answer |
/// |---|---|---|
/// | none | never ran | [`Attach::NeverRan`] |
/// | damaged | cannot be found | lost, bad record |
/// | of another boot | ended with it | lost, reboot; no signal is sent |
/// | of this boot | gone, or its number is another's | lost, daemon killed; no signal is sent |
/// | of this boot | runs | killed with its group; lost, daemon killed |
///
/// "None" is a proof. The identity is stored before the program may run, and only a process that
/// was launched by a daemon could store it: that daemon is dead, and with it died the gate at
/// which a child without an identity waits. It says nothing of the session's folder, which is made
/// earlier and may be removed by a user at any time.
///
/// The files are left as they are, so that asking twice gives the same answer, and the damaged one
/// stays for whoever wants to know what happened to it.
///
/// Cancel safe.
pub(super) async fn attach(sessions: &Path, session: SessionId) -> Attach {
    let sessions: PathBuf = sessions.to_owned();
    let read = move || Identity::load(&sessions, session);
    let identity = match tokio::task::spawn_blocking(read).await {
        Ok(Ok(Found::Nothing)) => return Attach::NeverRan,
        Ok(Ok(Found::Damaged)) => return Attach::Lost(LostReason::BadRecord),
        Ok(Ok(Found::Whole(identity))) => identity,
        Ok(Err(error)) => return unreachable(session, &error),
        Err(error) => return unreachable(session, &io::Error::other(error)),
    };
    match end(&identity).await {
        Ok(answer) => answer,
        Err(error) => unreachable(session, &error),
    }
}

fn unreachable(session: SessionId, error: &io::Error) -> Attach {
    tracing::warn!(%session, %error, "cannot find out what became of a process");
    Attach::Unreachable
}

/// Ends what is left of the process, if it can be told for certain.
async fn end(identity: &Identity) -> io::Result<Attach> {
    if boot_id()? != identity.boot_id() {
        return Ok(Attach::Lost(LostReason::Reboot));
    }
    let Some(pid) = identity.pid() else {
        return Ok(Attach::Lost(LostReason::BadRecord));
    };
    const GONE: Attach = Attach::Lost(LostReason::DaemonKilled);
    // First get hold of whatever has the number, then look whether it is the one. The other way
    // round it could be another's by the time that it is held.
    let Some(watch) = watch(pid)? else {
        return Ok(GONE);
    };
    if sign_of_life(pid)? != (Life::Runs { start_mark: identity.start_mark() }) {
        return Ok(GONE);
    }
    match watch.kill_group() {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return Ok(GONE),
        // It has become another user's: still alive, and nothing that we could do.
        Err(error) => return Err(error),
    }
    match tokio::time::timeout(KILL_PATIENCE, watch.ended()).await {
        Ok(()) => Ok(GONE),
        Err(_elapsed) => Ok(Attach::Unreachable),
    }
}
