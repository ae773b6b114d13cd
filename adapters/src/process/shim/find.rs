//! What became of a launch, from what its shim says or has left.

use std::io;
use std::time::Duration;

use candor_core::ports::{Attach, Ending};
use candor_core::verdict::LostReason;
use tokio::time::{Instant, sleep, timeout_at};

use super::frame::FromShim;
use super::link::{Connection, Link, Orphan};
use super::place::{ExitRecord, Intent, Lock, Place, Started, exit};
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
/// | none | free | of this boot | our own child, never executed | lost, shim killed |
/// | none | free | of this boot | gone | lost, shim killed |
/// | damaged | free | of this boot | gone | lost, bad record |
///
/// An empty field does not matter. What an intent says does not matter either: without `started`,
/// which is durable before the program's first instruction, there was none, in whichever boot.
///
/// The files stay as they are where asking again must give the same answer.
///
/// Cancel safe.
pub(super) async fn find(place: &Place) -> Finding {
    let deadline = Instant::now() + FIND_PATIENCE;
    loop {
        let looked = place.clone();
        let look = tokio::task::spawn_blocking(move || look(&looked));
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
        FromShim::Refused(_) | FromShim::Delivered { .. } => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Reads the files. It may block for as long as their file system does.
fn look(place: &Place) -> io::Result<Look> {
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
        Some(lock) => judge(place, &lock).map(Look::Is),
        None => Ok(Look::Held),
    }
}

/// Decides what a dead shim has left. All of it is read again, now that nobody writes.
fn judge(place: &Place, lock: &Lock) -> io::Result<Finding> {
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
        Found::Whole(started) => match left_over(place, lock, &started)? {
            Finding::Lost(LostReason::ShimKilled) if is_damaged => {
                Ok(Finding::Lost(LostReason::BadRecord))
            }
            finding => Ok(finding),
        },
    }
}

/// Looks for the process of a dead shim.
fn left_over(place: &Place, lock: &Lock, started: &Started) -> io::Result<Finding> {
    const GONE: Finding = Finding::Lost(LostReason::ShimKilled);
    let identity: &Identity = &started.identity;
    if boot_id()? != identity.boot_id() {
        return Ok(Finding::Lost(LostReason::Reboot));
    }
    let Some(pid) = identity.pid() else {
        return Ok(Finding::Lost(LostReason::BadRecord));
    };
    // First get hold of whatever has the number, then look whether it is the one.
    let Some(watch) = watch(pid)? else {
        return Ok(GONE);
    };
    match stat(pid)? {
        Some(Stat { start_mark, .. }) if start_mark != identity.start_mark() => Ok(GONE),
        // At a gate that nobody opens any more, or just through it: soon it is one of the others.
        Some(Stat { is_zombie: false, has_executed: false, .. }) => Ok(Finding::Unreachable),
        // Its own exit, at the gate that its shim did not live to open: not one of the program.
        Some(Stat { is_zombie: true, has_executed: false, .. }) => {
            watch.reap();
            Ok(GONE)
        }
        Some(Stat { is_zombie: false, .. }) => {
            let cgroup = started.cgroup.clone().filter(|cgroup| cgroup.is_of(place.session()));
            Ok(Finding::Up(Link::Orphan(Orphan::new(watch, cgroup))))
        }
        Some(Stat { is_zombie: true, .. }) => Ok(adopted(place, lock, started, &watch)),
        None => Ok(GONE),
    }
}

/// Does what the shim would have done, if the process fell to this one when the shim died: that
/// makes this one the parent, which knows the exit.
fn adopted(place: &Place, _lock: &Lock, started: &Started, watch: &ExitWatch) -> Finding {
    let Some(status) = watch.seen_as_parent() else {
        return Finding::Lost(LostReason::ShimKilled);
    };
    let record = ExitRecord {
        session: place.session(),
        nonce: started.nonce,
        exit: exit(&status),
        // What else fell to this process fell there from all dead shims alike.
        left_behind: None,
        oom_killed: false,
        output: files::sizes(place.sessions(), place.session()),
        boot_id: started.identity.boot_id().to_owned(),
    };
    match place.store(&record) {
        Ok(()) => watch.reap(),
        // As a zombie it gives the same answer to whoever asks again.
        Err(error) => {
            tracing::warn!(session = %place.session(), %error, "an exit cannot be recorded");
        }
    }
    Finding::Ended(record.ending())
}
