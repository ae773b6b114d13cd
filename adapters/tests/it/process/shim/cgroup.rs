//! The session's own cgroup, where this user may make one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candor_adapters::remains::Remains;
use candor_core::ports::{Delivery, Target};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use candor_core::verdict::Exit;

use super::family::{escaped, stop};
use super::{Stage, attached, ending, kill, line_to, released, skip};

/// Returns the cgroup of a session's process, if it has one of its own.
fn cgroup_of(stage: &Stage, session: SessionId) -> Option<PathBuf> {
    let own = own_cgroup(stage.agent(session).as_raw_nonzero().get().unsigned_abs());
    own.ends_with(&format!("/candor-{session}")).then(|| folder(&own)).flatten()
}

/// Returns the name of a process's cgroup of the second version.
fn own_cgroup(pid: u32) -> String {
    let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = memberships.lines().find_map(|line| line.strip_prefix("0::"));
    own.unwrap_or_default().to_owned()
}

fn folder(cgroup: &str) -> Option<PathBuf> {
    let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].into_iter();
    mounts.map(|mount| PathBuf::from(format!("{mount}{cgroup}"))).find(|folder| folder.exists())
}

/// Launches an agent with an escaped child, and returns their cgroup where they have one.
macro_rules! up_in_a_cgroup {
    ($stage:expr, $kind:expr, $end:expr) => {{
        let up = escaped($stage, $kind, $end).await;
        let Some(cgroup) = cgroup_of($stage, up.2) else {
            skip("this user may make no cgroup here");
            return;
        };
        (up, cgroup)
    }};
}

/// Returns how many run in a cgroup. One that is gone is empty.
fn members(cgroup: &Path) -> usize {
    fs::read_to_string(cgroup.join("cgroup.procs")).map_or(0, |members| members.lines().count())
}

#[tokio::test]
async fn session_is_in_a_cgroup_that_goes_with_it() {
    let stage = Stage::new();
    let ((process, reader, _), cgroup) = up_in_a_cgroup!(&stage, "", &["--hang"]);
    assert_eq!(members(&cgroup), 2);
    assert_eq!(stop(&*process, Signal::Kill).await.left_behind, Some(0));
    released(reader).await;
    // It is removed after the end was told.
    while cgroup.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn session_without_a_cgroup_is_where_its_daemon_is() {
    let stage = Stage::without_cgroups();
    let (process, _, session) = escaped(&stage, "", &["--hang"]).await;
    assert_eq!(cgroup_of(&stage, session), None);
    let pid = stage.agent(session).as_raw_nonzero().get().unsigned_abs();
    assert_eq!(own_cgroup(pid), own_cgroup(std::process::id()));
    assert_eq!(stop(&*process, Signal::Kill).await.left_behind, Some(0));
}

#[tokio::test]
async fn refused_launch_leaves_no_cgroup() {
    let stage = Stage::new();
    let session = candor_harness::contract::repository::chain::session_id(4711);
    let program = stage.programs.command("/no/such/program", Vec::<&str>::new());
    let launch = stage.launch_as(session, &program).await;
    assert!(matches!(launch, candor_core::ports::Launch::Refused { errno: 2, .. }));
    let own = own_cgroup(std::process::id());
    assert_eq!(folder(&format!("{own}/candor-{session}")), None);
}

/// It stays as long as anything runs in it, and the next session to end takes it along.
#[tokio::test]
async fn what_is_left_keeps_its_cgroup_and_no_longer() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let kind = format!(",await={}", go.display());
    let ((process, reader, _), cgroup) = up_in_a_cgroup!(&stage, &kind, &["--hang"]);
    assert_eq!(process.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*process).await.left_behind, Some(1));
    assert_eq!(members(&cgroup), 1);
    line_to(&go).await;
    released(reader).await;
    let (_, next) = stage.agent_up(&["--hang"]).await;
    while members(&cgroup) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stop(&*next, Signal::Kill).await.left_behind, Some(0));
    while cgroup.exists() {
        tokio::task::yield_now().await;
    }
}

/// Once the records are gone, nobody else would find it.
#[tokio::test]
async fn cgroup_goes_with_the_files_of_its_session() {
    let stage = Stage::new();
    let ((process, reader, session), cgroup) = up_in_a_cgroup!(&stage, "", &["--hang"]);
    kill(stage.shim(session)).await;
    assert_eq!(process.signal(Target::Group, Signal::Kill).await, Delivery::Delivered);
    released(reader).await;
    while members(&cgroup) > 0 {
        tokio::task::yield_now().await;
    }
    // No shim is there to remove it. Whoever holds the orphan may be as quick.
    Remains::new(stage.sessions()).remove(session).unwrap();
    assert!(!cgroup.exists());
}

/// The shim is dead, and the daemon has the cgroup still.
#[tokio::test]
async fn orphan_is_ended_with_all_that_escaped() {
    for (signal, number) in [(Signal::Kill, 9), (Signal::Terminate, 15)] {
        let stage = Stage::new();
        let ((process, reader, session), _) = up_in_a_cgroup!(&stage, ",stubborn", &["--hang"]);
        kill(stage.shim(session)).await;
        let later = attached(&*stage.later(), session).await;
        assert_eq!(later.signal(Target::Group, signal).await, Delivery::Delivered);
        released(reader).await;
        for process in [process, later] {
            let exit = Exit::Signal { number, core_dumped: false };
            super::assert_true_or_lost(process.next_fact().await, exit);
        }
    }
}

/// A process that not even `SIGKILL` ends, as one that waits for a dead disk: it is frozen.
struct Freezer(PathBuf);

impl Freezer {
    const FOLDER: &str = "/sys/fs/cgroup/freezer";

    fn new() -> Option<Self> {
        let folder = Path::new(Self::FOLDER).join(format!("candor-test-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let freezer = Self(folder);
        freezer.0.join("freezer.state").exists().then_some(freezer)
    }

    fn set(&self, state: &str) {
        let mut file = fs::File::options().write(true).open(self.0.join("freezer.state")).unwrap();
        file.write_all(state.as_bytes()).unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[tokio::test]
async fn what_cannot_be_killed_is_reported_and_holds_nobody_up_for_long() {
    let Some(freezer) = Freezer::new() else {
        skip("this user may make no cgroup of the first version that freezes");
        return;
    };
    for stage in [Stage::new(), Stage::without_cgroups()] {
        let script = format!(
            "setsid sh -c 'echo 0 > {}/cgroup.procs; echo ready > ready; exec sleep 300' & wait",
            freezer.0.display()
        );
        let (_, process) = stage.script_up(&script).await;
        freezer.set("FROZEN");
        let start = Instant::now();
        let ending = stop(&*process, Signal::Terminate).await;
        assert_eq!(ending.exit, Exit::Signal { number: 15, core_dumped: false });
        assert_eq!(ending.left_behind, Some(1));
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        freezer.set("THAWED");
        for left in stage.living() {
            super::gone(left).await;
        }
    }
}
