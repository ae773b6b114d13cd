//! [`ProcessSpawner`] by shims.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{PathBuf, absolute};
use std::sync::Arc;

use async_trait::async_trait;
use candor_core::ports::{Attach, Environment, Launch, ProcessSpawner};
use candor_core::session::{SessionId, Spec};
use candor_core::verdict::LostReason;
use tokio::time::timeout;

use super::find::{Beside, Finding, find};
use super::heir::{Ward, Wards, inherit};
use super::launch::{Order, launch};
use super::link::Link;
use super::place::Place;
use super::process::ShimProcess;
use crate::process::attach::attach as attach_direct;
use crate::process::quota::OutputQuota;
use crate::process::registry::{Claim, Registry};
use crate::process::signals;
use crate::process::turns::{LAUNCH_PATIENCE, Turns};

/// The program that becomes a shim by calling [`main`](super::main) before anything else.
#[derive(Clone, Debug)]
pub struct ShimProgram {
    /// Its file. `/proc/self/exe` is this very program, and stays it even when its file is replaced, so
    /// that both always understand each other.
    pub path: PathBuf,
    /// What makes it one. The session's id follows, which only people look at.
    pub arguments: Vec<OsString>,
}

/// Makes processes that outlive the daemon, each with a shim that sees its end.
///
/// The session gets what one of the direct spawner gets: see
/// [`DirectSpawner`](crate::process::DirectSpawner). The pipe of a standard input that is held is the
/// shim's, and does not end when this process does.
pub struct ShimSpawner {
    sessions: PathBuf,
    program: ShimProgram,
    wants_cgroups: bool,
    quota: Option<OutputQuota>,
    registry: Arc<Registry>,
    wards: Arc<Wards>,
    /// Why nobody knows the end of what ended without a shim before this spawner was made.
    earlier_reason: LostReason,
    turns: Turns,
}

impl ShimSpawner {
    /// Makes a spawner that keeps its files below `sessions_folder`, which is made with mode 0700
    /// when it is first needed.
    ///
    /// One process at a time may launch with a spawner on a folder: hold a lock. Several may attach.
    ///
    /// Should this process have been started with `SIGCHLD` ignored, that is undone.
    #[must_use]
    pub fn new(sessions_folder: PathBuf, program: ShimProgram) -> Self {
        signals::keep_exits();
        Self {
            // The shim does not stand where this process does.
            sessions: absolute(&sessions_folder).unwrap_or(sessions_folder),
            program,
            wants_cgroups: true,
            quota: None,
            registry: Arc::new(Registry::default()),
            wards: Arc::default(),
            earlier_reason: LostReason::ShimKilled,
            turns: Turns::new(),
        }
    }

    /// Makes no cgroups for sessions, as where the system does not let us.
    #[must_use]
    pub fn without_cgroups(self) -> Self {
        Self { wants_cgroups: false, ..self }
    }

    /// Keeps no more than this of each output of the sessions that are launched from now on. Without
    /// it all is kept.
    #[must_use]
    pub const fn with_output_quota(mut self, quota: Option<OutputQuota>) -> Self {
        self.quota = quota;
        self
    }

    /// Knows that whoever launched the sessions of before was killed as well.
    #[must_use]
    pub fn after_a_crash(self) -> Self {
        Self { earlier_reason: LostReason::ShimAndDaemonKilled, ..self }
    }

    /// Makes this process the parent of what loses its shim, so that its exit is known all the same.
    /// This process must leave the reaping of its children to it from now on. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// What the system said. Then the exits of processes whose shims are killed may be lost.
    pub fn inherit(&self) -> io::Result<()> {
        inherit(Arc::clone(&self.wards), self.sessions.clone())
    }

    fn place(&self, session: SessionId) -> Place {
        Place::of(&self.sessions, session)
    }
}

#[async_trait]
impl ProcessSpawner for ShimSpawner {
    /// Called again, it answers as [`DirectSpawner`](crate::process::DirectSpawner) does.
    async fn launch(&self, id: SessionId, spec: &Spec, environment: &Environment) -> Launch {
        let begun = self.turns.begin(&self.registry, id, spec, environment).await;
        let (claim, plan, turn) = match begun {
            Ok(begun) => begun,
            Err(answer) => return answer,
        };
        let order = Order {
            place: self.place(id),
            sessions: self.sessions.clone(),
            program: self.program.clone(),
            wants_cgroup: self.wants_cgroups,
            quota: self.quota,
            plan,
        };
        let ward = self.wards.admit(id);
        // A task of its own, so that it comes to its end even if nobody waits for it.
        let task = tokio::spawn(async move {
            let launched = timeout(LAUNCH_PATIENCE, launch(order)).await;
            drop(turn);
            match launched {
                Ok(Ok((place, connection))) => {
                    Launch::Up(up(claim, ward, place, Link::Shim(connection)))
                }
                Ok(Err(refused @ Launch::Refused { .. })) => refused,
                Ok(Err(_)) | Err(_) => {
                    ward.leave_open();
                    Launch::Unknown
                }
            }
        });
        task.await.unwrap_or(Launch::Unknown)
    }

    /// See `find.rs` for what is found. A session that an earlier daemon launched without a shim is
    /// treated as that one would have.
    async fn attach(&self, id: SessionId) -> Attach {
        crate::failpoint!(AttachBegun, id);
        let claim = match self.registry.claim(id) {
            Ok(claim) => claim,
            Err(known) => return known.into(),
        };
        let place = self.place(id);
        let ward = self.wards.admit(id);
        let beside = Beside { handle: None, reason: self.earlier_reason };
        let answer = match find(&place, &beside).await {
            // Its folder is gone, and not itself: what it watches has not ended for all we know.
            Finding::NeverRan if is_stood_in(&place).await => Attach::Unreachable,
            Finding::NeverRan => attach_direct(&self.sessions, id).await,
            finding => match finding.into_attach() {
                Ok(link) => return Attach::Up(up(claim, ward, place, link)),
                Err(answer) => answer,
            },
        };
        match answer {
            Attach::NeverRan => claim.never_ran(),
            Attach::Unreachable => ward.leave_open(),
            Attach::Up(_) | Attach::Ended(_) | Attach::Lost(_) => {}
        }
        crate::failpoint!(AttachDone, id);
        answer
    }
}

/// Says whether somebody stands in this place although it was removed: a shim does until the end of
/// its process, and no longer.
async fn is_stood_in(place: &Place) -> bool {
    let mut removed = place.folder().as_os_str().to_owned();
    // As the kernel writes it. Source: `proc_pid_cwd(5)`.
    removed.push(" (deleted)");
    let looked = tokio::task::spawn_blocking(move || {
        let stands = |entry: fs::DirEntry| {
            fs::read_link(entry.path().join("cwd")).is_ok_and(|folder| folder == *removed)
        };
        fs::read_dir("/proc").is_ok_and(|entries| entries.flatten().any(stands))
    });
    looked.await.unwrap_or(false)
}

/// Makes a process of what was found or launched.
fn up(claim: Claim, ward: Ward, place: Place, link: Link) -> Arc<ShimProcess> {
    let (process, driver) = ShimProcess::new(place, Arc::downgrade(claim.registry()), ward, &link);
    let process = Arc::new(process);
    // First known, and then spoken for: its end must find it there.
    claim.up(Arc::clone(&process) as _);
    tokio::spawn(driver.run(link));
    process
}
