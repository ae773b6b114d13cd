//! What became of a launch, from what its shim says or has left.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use candor_core::ports::{Attach, Ending};
use candor_core::verdict::{Exit, LostReason, Witness};
use rustix::process::{Pid, getegid, geteuid};
use tokio::time::{Instant, sleep, timeout_at};

use super::frame::FromShim;
use super::link::{Connection, Link, Orphan};
use super::place::{ExitRecord, Intent, Lock, Place, Started, exit, exit_of};
use crate::process::files;
use crate::process::identity::Identity;
use crate::process::platform::{ExitWatch, Stat, boot_id, stat, watch};
use crate::process::record::Found;

/// How long it may take to find out. A shim that hangs takes longer, and is asked again later.
const FIND_PATIENCE: Duration = Duration::from_millis(500);

/// How often a shim is looked for that has the lock and does not listen yet, or no longer.
const LOOK_EACH: Duration = Duration::from_millis(2);

/// An answer of [`Attach`], before there is a process of it.
#[derive(Debug)]
pub(super) enum Finding {
    /// It runs, and this is how it is reached.
    Up(Link),
    Ended(Ending),
    Lost(LostReason),
    NeverRan,
    Unreachable,
}

/// What whoever asks knows beside the files.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    /// A handle on the process, from a time when it lived.
    pub(super) handle: Option<Arc<ExitWatch>>,
    /// Why nobody knows the exit, if nobody does.
    pub(super) reason: LostReason,
}

/// What the files say.
enum Look {
    /// Somebody else has the lock: ask him.
    Held,
    Is(Finding),
}

impl Finding {
    /// Returns the answer for everything but a process that runs.
    pub(super) fn into_attach(self) -> Result<Link, Attach> {
        match self {
            Self::Up(link) => Ok(link),
            Self::Ended(ending) => Err(Attach::Ended(ending)),
            Self::Lost(reason) => Err(Attach::Lost(reason)),
            Self::NeverRan => Err(Attach::NeverRan),
            Self::Unreachable => Err(Attach::Unreachable),
        }
    }
}

/// Finds out, within [`FIND_PATIENCE`]. Needs a tokio runtime.
///
/// | `exit` | lock | `started` | process | answer |
/// |---|---|---|---|---|
/// | whole | | | | ended |
/// | | | none, and no `intent` | | never ran |
/// | | held, answers | | | up |
/// | | held, silent | | | unreachable |
/// | whole, unfinished | free | | | ended; it gets its name |
/// | none | free | none | | never ran; the intent is removed, so that a late shim leaves |
/// | damaged | free | none | | lost, bad record |
/// | | free | damaged, or of another launch | | lost, bad record |
/// | | free | of another boot | not looked for | lost, reboot |
/// | | free | of this boot | runs | up, without a shim |
/// | | free | of this boot | at its gate | unreachable, for a moment |
/// | | free | of this boot | our own child | ended; it is recorded and reaped |
/// | none | free | of this boot | a zombie of somebody else | ended, as the kernel shows it; it is recorded |
/// | none | free | of this boot | ended at its gate | never ran |
/// | none | free | of this boot | gone, and a handle tells | ended; it is recorded |
/// | none | free | of this boot | gone | lost, for the reason that is given |
/// | damaged | free | of this boot | gone | lost, bad record |
///
/// An empty field does not matter. What an intent says does not matter either: without `started`,
/// which is durable before the program's first instruction, there was none, in whichever boot.
///
/// The files stay as they are where asking again must give the same answer.
///
/// Cancel safe.
pub(super) async fn find(place: &Place, beside: &Beside) -> Finding {
    let deadline = Instant::now() + FIND_PATIENCE;
    loop {
        let (looked, known) = (place.clone(), beside.clone());
        let look = tokio::task::spawn_blocking(move || look(&looked, &known));
        match timeout_at(deadline, look).await {
            Ok(Ok(Ok(Look::Held))) => {}
            Ok(Ok(Ok(Look::Is(finding)))) => return finding,
            Ok(Ok(Err(error))) => return unreachable(place, &error),
            Ok(Err(error)) => return unreachable(place, &io::Error::other(error)),
            Err(elapsed) => return unreachable(place, &elapsed.into()),
        }
        match timeout_at(deadline, ask(place)).await {
            Ok(Ok(finding)) => return finding,
            // It does not listen yet, or has just left, or was no shim but another daemon that
            // looks, too. Whichever it is, it will soon be another, and nothing tells when: a
            // socket that listens and a lock that is free make no event.
            Ok(Err(_)) => sleep(LOOK_EACH).await,
            Err(elapsed) => return unreachable(place, &elapsed.into()),
        }
        if Instant::now() >= deadline {
            return unreachable(place, &io::ErrorKind::TimedOut.into());
        }
    }
}

fn unreachable(place: &Place, error: &io::Error) -> Finding {
    let session = place.session();
    tracing::warn!(%session, %error, "cannot find out what became of a process");
    Finding::Unreachable
}

async fn ask(place: &Place) -> io::Result<Finding> {
    let mut connection = Connection::to(place).await?;
    match connection.greet(place.session()).await? {
        FromShim::Up => Ok(Finding::Up(Link::Shim(connection))),
        FromShim::Ended(ending) => Ok(Finding::Ended(ending)),
        FromShim::Refused(_) | FromShim::Delivered { .. } | FromShim::Taken { .. } => {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// Reads the files. It may block for as long as their file system does.
fn look(place: &Place, beside: &Beside) -> io::Result<Look> {
    let exit = place.load::<ExitRecord>()?;
    if let Found::Whole(exit) = exit {
        return Ok(Look::Is(Finding::Ended(exit.ending())));
    }
    let is_bare = exit == Found::Nothing
        && place.load::<Intent>()? == Found::Nothing
        && place.load::<Started>()? == Found::Nothing;
    if is_bare {
        // There is perhaps no folder, where none must be made for the sake of a lock.
        return Ok(Look::Is(Finding::NeverRan));
    }
    match place.lock()? {
        Some(lock) => judge(place, &lock, beside).map(Look::Is),
        None => Ok(Look::Held),
    }
}

/// Decides what a dead shim has left. All of it is read again, now that nobody writes.
fn judge(place: &Place, lock: &Lock, beside: &Beside) -> io::Result<Finding> {
    let mut is_damaged = false;
    match place.load::<ExitRecord>()? {
        Found::Whole(exit) => return Ok(Finding::Ended(exit.ending())),
        Found::Damaged => is_damaged = true,
        Found::Nothing => {}
    }
    if let Found::Whole(exit) = place.unfinished::<ExitRecord>()? {
        if let Err(error) = place.promote::<ExitRecord>() {
            tracing::warn!(session = %place.session(), %error, "an exit keeps its unfinished name");
        }
        return Ok(Finding::Ended(exit.ending()));
    }
    let intent = place.load::<Intent>()?;
    match place.load::<Started>()? {
        Found::Nothing if is_damaged => Ok(Finding::Lost(LostReason::BadRecord)),
        Found::Nothing => {
            place.remove::<Intent>()?;
            Ok(Finding::NeverRan)
        }
        Found::Damaged => Ok(Finding::Lost(LostReason::BadRecord)),
        Found::Whole(started) if matches!(&intent, Found::Whole(intent) if intent.nonce != started.nonce) => {
            Ok(Finding::Lost(LostReason::BadRecord))
        }
        Found::Whole(started) => match left_over(place, lock, &started, beside)? {
            Finding::Lost(LostReason::ShimKilled | LostReason::ShimAndDaemonKilled)
                if is_damaged =>
            {
                Ok(Finding::Lost(LostReason::BadRecord))
            }
            finding => Ok(finding),
        },
    }
}

/// Looks for the process of a dead shim.
fn left_over(
    place: &Place,
    lock: &Lock,
    started: &Started,
    beside: &Beside,
) -> io::Result<Finding> {
    let identity: &Identity = &started.identity;
    if boot_id()? != identity.boot_id() {
        return Ok(Finding::Lost(LostReason::Reboot));
    }
    if identity.pid().is_none() {
        return Ok(Finding::Lost(LostReason::BadRecord));
    }
    let told = match hold(identity)? {
        // At a gate that nobody opens any more, or just through it: soon it is one of the others.
        Some((_, Stat { is_zombie: false, has_executed: false, .. })) => {
            return Ok(Finding::Unreachable);
        }
        // Its own exit, at the gate that its shim did not live to open: not one of the program.
        Some((watch, Stat { is_zombie: true, has_executed: false, .. })) => {
            watch.reap();
            place.remove::<Intent>()?;
            place.remove::<Started>()?;
            return Ok(Finding::NeverRan);
        }
        Some((watch, Stat { is_zombie: false, .. })) => {
            let cgroup = started.cgroup.clone().filter(|cgroup| cgroup.is_of(place.session()));
            return Ok(Finding::Up(Link::Orphan(Orphan::new(Arc::new(watch), cgroup))));
        }
        Some((watch, Stat { is_zombie: true, exit_status, .. })) => match watch.seen_as_parent() {
            Some(status) => Some((exit(&status), Witness::Adopter, Some(watch))),
            // Its shim is still dying, or whoever it fell to has not looked yet.
            None => {
                let readable = || may_be_read(identity).then_some(exit_status);
                let status = watch.status_afterwards();
                let status = status.or_else(|| Some(exit_status).filter(|&status| status != 0));
                status.or_else(readable).map(|status| (exit_of(status), Witness::Handle, None))
            }
        },
        None => None,
    };
    let afterwards = || {
        let status = beside.handle.as_ref()?.status_afterwards()?;
        Some((exit_of(status), Witness::Handle, None))
    };
    let Some((exit, witness, zombie)) = told.or_else(afterwards) else {
        return Ok(Finding::Lost(beside.reason));
    };
    settle(place, lock, started, exit, witness, zombie.as_ref()).map(Finding::Ended)
}

/// Whether the kernel tells this user all of a process, and no zero in the place of what it does not.
///
/// Source: `proc_pid_stat(5)`, "ptrace access mode"; `ptrace(2)`.
fn may_be_read(identity: &Identity) -> bool {
    let (user, group) = (geteuid(), getegid());
    let entry = identity.pid().map(|pid| format!("/proc/{}", pid.as_raw_nonzero()));
    entry.and_then(|entry| std::fs::metadata(entry).ok()).is_some_and(|entry| {
        user.is_root() || (entry.uid() == user.as_raw() && entry.gid() == group.as_raw())
    })
}

/// Gets hold of a process, if it is there and still the same. What is returned of it was read while
/// it was held.
fn hold(identity: &Identity) -> io::Result<Option<(ExitWatch, Stat)>> {
    // First get hold of whatever has the number, then look whether it is the one.
    let Some(watch) = identity.pid().map(watch).transpose()?.flatten() else {
        return Ok(None);
    };
    let pid = identity.pid().map(stat).transpose()?.flatten();
    let stat = pid.filter(|stat| stat.start_mark == identity.start_mark());
    Ok(stat.map(|stat| (watch, stat)))
}

/// Returns a handle on the process of a session, for the case that its shim does not come to say how
/// it ended, and the number that it has. It may block for as long as the disk does.
pub(super) fn handle(place: &Place) -> Option<(Pid, Arc<ExitWatch>)> {
    let Ok(Found::Whole(started)) = place.load::<Started>() else {
        return None;
    };
    let identity = &started.identity;
    if boot_id().ok()? != identity.boot_id() {
        return None;
    }
    let (watch, _) = hold(identity).ok()??;
    Some((identity.pid()?, Arc::new(watch)))
}

/// Does what the shim would have done: records the end, and reaps.
///
/// # Errors
///
/// When it cannot be recorded. As long as that is so, who knows it keeps it and is asked again: what
/// is told before it is durable could be told otherwise by the next daemon.
fn settle(
    place: &Place,
    _lock: &Lock,
    started: &Started,
    exit: Exit,
    witness: Witness,
    zombie: Option<&ExitWatch>,
) -> io::Result<Ending> {
    let record = ExitRecord {
        session: place.session(),
        nonce: started.nonce,
        exit,
        // What else fell to this process fell there from all dead shims alike.
        left_behind: None,
        oom_killed: false,
        witness,
        output: files::sizes(place.sessions(), place.session()),
        boot_id: started.identity.boot_id().to_owned(),
    };
    place.store(&record)?;
    if let Some(zombie) = zombie {
        zombie.reap();
    }
    Ok(record.ending())
}
