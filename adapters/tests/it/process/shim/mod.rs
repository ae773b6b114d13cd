//! The spawner with shims: all that the direct one is held to, and what it promises beyond.
//!
//! Files of the direct spawner's tests that know nothing of its kind are taken in as they are; the
//! [`Stage`] that they find here makes shims.

#[expect(clippy::duplicate_mod, reason = "the same tests for another spawner")]
#[path = "../exits.rs"]
mod exits;
#[expect(clippy::duplicate_mod, reason = "the same tests for another spawner")]
#[path = "../inheritance.rs"]
mod inheritance;
#[expect(clippy::duplicate_mod, reason = "the same tests for another spawner")]
#[path = "../output.rs"]
mod output;
#[expect(clippy::duplicate_mod, reason = "the same tests for another spawner")]
#[path = "../refusals.rs"]
mod refusals;
#[expect(clippy::duplicate_mod, reason = "the same tests for another spawner")]
#[path = "../signals.rs"]
mod signals;
#[expect(clippy::duplicate_mod, reason = "the same tests for another spawner")]
#[path = "../tree.rs"]
mod tree;

mod cgroup;
mod disk;
mod family;
mod input;
mod killed;
mod oom;
mod orphan;
mod quota;
mod records;
mod restart;
mod silence;

use std::env;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candor_adapters::process::shim::{ShimProgram, ShimSpawner};
use candor_core::ports::{Attach, Ending, Fact, Launch, Process, ProcessSpawner};
use candor_core::session::SessionId;
use candor_core::verdict::{Exit, LostReason, Witness};
use candor_harness::contract::repository::chain::session_id;
use candor_harness::programs::RealPrograms;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, set_child_subreaper,
};
use tokio::time::timeout;

use super::{
    Kind, PATIENCE, aside, bytes, ending, environment, exit, fifo, held, helper, line_from,
    line_to, released,
};

candor_harness::spawner_promises!(kept);

/// Returns the program that is the shim of these tests. Cargo builds examples along with the tests.
pub(super) fn program() -> ShimProgram {
    let test = env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let path = folder.join("examples/shim");
    assert!(path.exists(), "{} is not there: build the examples", path.display());
    ShimProgram { path, arguments: Vec::new() }
}

/// A stage whose sessions have shims.
struct Stage(super::Stage);

impl Deref for Stage {
    type Target = super::Stage;

    fn deref(&self) -> &super::Stage {
        &self.0
    }
}

impl Stage {
    fn new() -> Self {
        Self(super::Stage::of(Kind::Shim))
    }

    /// The same where no session gets a cgroup.
    fn without_cgroups() -> Self {
        let mut stage = super::Stage::of(Kind::Shim);
        let spawner = ShimSpawner::new(stage.sessions(), program());
        stage.spawner = Arc::new(spawner.without_cgroups());
        Self(stage)
    }

    /// Returns a spawner like that of a later daemon.
    fn later(&self) -> Arc<dyn ProcessSpawner> {
        Kind::Shim.spawner(self.sessions())
    }

    /// Returns a file of the session's shim.
    fn file(&self, session: SessionId, name: &str) -> PathBuf {
        self.sessions().join(format!("{session}.shim")).join(name)
    }

    /// Returns the session's process, as its record tells.
    fn agent(&self, session: SessionId) -> Pid {
        let record = fs::read_to_string(self.record(session)).unwrap();
        number_after(&record, "\"pid\":")
    }

    /// Returns the session's shim, its parent.
    fn shim(&self, session: SessionId) -> Pid {
        parent(self.agent(session))
    }
}

/// Says why a test did nothing.
#[expect(clippy::print_stderr, reason = "whoever reads the report must know what was not tested")]
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

fn parent(pid: Pid) -> Pid {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    number_after(&status, "PPid:\t")
}

fn number_after(text: &str, name: &str) -> Pid {
    let (_, rest) = text.split_once(name).unwrap();
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next().unwrap();
    Pid::from_raw(digits.parse().unwrap()).unwrap()
}

/// Kills a process of this test, and waits until it is gone.
async fn kill(pid: Pid) {
    let handle = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    gone(handle).await;
}

/// Waits until a process has ended.
async fn gone(handle: std::os::fd::OwnedFd) {
    let ended = aside(move || {
        let patience = Timespec::try_from(PATIENCE / 2).unwrap();
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).unwrap()
    });
    assert_eq!(ended.await, 1, "it survived");
}

/// Plays [`Role::Adopt`](helper::Role::Adopt).
pub(super) async fn adopt(home: &Path) {
    set_child_subreaper(Some(getpid())).unwrap();
    let programs = RealPrograms::new(home.join("work"));
    let go = fifo(&home.join("work"), "go");
    let program =
        programs.agent(["--print", "hi", "--await", go.to_str().unwrap(), "--exit", "42"]);
    let stage = home.join("sessions");
    let spawner = Kind::Shim.spawner(stage.clone());
    let session = session_id(helper::SESSION);
    let launch = spawner.launch(session, &program.spec, &program.environment).await;
    let Launch::Up(process) = launch else { panic!("it is not up") };
    let record = fs::read_to_string(stage.join(Kind::Shim.record(session))).unwrap();
    kill(parent(number_after(&record, "\"pid\":"))).await;
    line_to(&go).await;
    assert_eq!(exit(&*process).await, Exit::Code(42));
}

async fn attach(spawner: &dyn ProcessSpawner, session: SessionId) -> Attach {
    timeout(PATIENCE, spawner.attach(session)).await.unwrap()
}

async fn attached(spawner: &dyn ProcessSpawner, session: SessionId) -> Arc<dyn Process> {
    match attach(spawner, session).await {
        Attach::Up(process) => process,
        other => panic!("not up: {}", told(&other)),
    }
}

/// Asks two later daemons, who must say the same.
async fn found_ended(stage: &Stage, session: SessionId) -> Ending {
    let mut endings = Vec::new();
    for _ in 0..2 {
        match attach(&*stage.later(), session).await {
            Attach::Ended(ending) => endings.push(ending),
            other => panic!("not ended: {}", told(&other)),
        }
    }
    assert_eq!(endings[0], endings[1]);
    endings[0]
}

/// An answer in words.
fn told(answer: &Attach) -> String {
    match answer {
        Attach::Up(_) => "up".to_owned(),
        Attach::Ended(ending) => format!("ended: {ending:?}"),
        Attach::Lost(reason) => format!("lost: {reason:?}"),
        Attach::NeverRan => "never ran".to_owned(),
        Attach::Unreachable => "unreachable".to_owned(),
    }
}

/// Holds what is said of an end that nobody saw as a parent against how it was.
#[track_caller]
fn assert_true_or_lost(fact: Fact, exit: Exit) {
    match fact {
        Fact::Ended(ending) => {
            assert_eq!(ending.exit, exit);
            assert_ne!(ending.witness, Witness::Parent);
        }
        Fact::Lost(reason) => assert_eq!(reason, LostReason::ShimKilled),
    }
}
