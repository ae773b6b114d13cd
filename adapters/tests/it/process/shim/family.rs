//! All that a session has started, in whichever session or group that is: ended with it when an end
//! is asked for, and else counted and left alone.

use std::fs::{self, File};
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_core::ports::{Delivery, Ending, Process, Target};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use candor_core::verdict::Exit;
use rustix::process::{
    self, Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, pidfd_send_signal, prlimit,
};
use tokio::time::timeout;

use super::{PATIENCE, Stage, ending, found_ended, gone, held, kill, line_from, line_to, released};

/// How long what is left has to end by itself, as the shim has it.
const GRACE: Duration = Duration::from_millis(500);

/// Each in a cgroup of its own where there can be one, and without.
macro_rules! both_ways {
    ($($test:ident)*) => {
        mod in_a_cgroup {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&super::Stage::new()).await;
                }
            )*
        }
        mod without_a_cgroup {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&super::Stage::without_cgroups()).await;
                }
            )*
        }
    };
}

both_ways! {
    stop_reaches_what_has_a_session_of_its_own
    stop_reaches_a_daemon_of_two_forks
    kill_reaches_two_hundred_that_escaped
    kill_outruns_what_forks_as_fast_as_it_can
    kill_outruns_what_is_always_somebody_else
    interrupt_reaches_what_escaped_while_the_process_goes_on
    what_is_told_to_end_and_does_not_is_killed
    what_is_stopped_is_ended_too
    what_nobody_asked_to_end_is_counted_and_goes_on
    signal_to_the_process_alone_asks_for_no_end_of_the_others
    stop_ends_nobody_else
    shim_that_is_killed_while_it_ends_the_rest_has_said_how_the_process_ended
    shim_that_is_killed_while_the_disk_is_full_has_said_how_the_process_ended
    thousands_that_nobody_waits_for_leave_no_zombie
}

impl Stage {
    /// Launches a script of the shell, and waits until it says that it is ready.
    pub(super) async fn script_up(&self, script: &str) -> (SessionId, Arc<dyn Process>) {
        let ready = self.fifo("ready");
        let program = self.programs.command("/bin/sh", ["-c", script]);
        let up = self.up(&program).await;
        assert_eq!(line_from(&ready).await, "ready\n");
        up
    }

    /// Returns handles on all that runs in the session's folder.
    pub(super) fn living(&self) -> Vec<OwnedFd> {
        living_in(&self.work())
    }
}

/// Returns handles on all processes that stand in a folder. One that has ended stands nowhere.
fn living_in(folder: &Path) -> Vec<OwnedFd> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let living = pids.filter_map(Pid::from_raw).filter_map(|pid| {
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let stands = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok()?;
        (stands == folder).then_some(handle)
    });
    living.collect()
}

pub(super) async fn stop(process: &dyn Process, signal: Signal) -> Ending {
    assert_eq!(process.signal(Target::Group, signal).await, Delivery::Delivered);
    ending(process).await
}

/// Stops the process, which must take all along by the time that its end is told.
pub(super) async fn stop_all(stage: &Stage, process: &dyn Process, signal: Signal, number: u8) {
    let ending = stop(process, signal).await;
    assert!(stage.living().is_empty(), "{} live", stage.living().len());
    assert_eq!(ending.exit, Exit::Signal { number, core_dumped: false });
    assert_eq!(ending.left_behind, Some(0));
}

/// Launches an agent that has started one of this kind in a session of its own and then follows
/// `end`. What it started holds the fifo that is returned open.
pub(super) async fn escaped(
    stage: &Stage,
    kind: &str,
    end: &[&str],
) -> (Arc<dyn Process>, BufReader<File>, SessionId) {
    let (fifo, ready) = (stage.fifo("held"), stage.fifo("ready"));
    let kind = format!("stay,setsid{kind},hold={}", fifo.display());
    let reader = tokio::spawn(async move { held(&fifo).await });
    let arguments = ["--fork", &kind, "--ready", ready.to_str().unwrap()];
    let (session, process) = stage.agent_up(&[&arguments, end].concat()).await;
    let reader = reader.await.unwrap();
    assert_eq!(line_from(&ready).await, "ready\n");
    (process, reader, session)
}

async fn stop_reaches_what_has_a_session_of_its_own(stage: &Stage) {
    let (process, reader, _) = escaped(stage, "", &["--hang"]).await;
    stop_all(stage, &*process, Signal::Terminate, 15).await;
    released(reader).await;
}

async fn stop_reaches_a_daemon_of_two_forks(stage: &Stage) {
    let script = "(setsid sh -c 'sleep 300 & sleep 300; :' &); echo ready > ready; read x < ready";
    let (_, process) = stage.script_up(script).await;
    stop_all(stage, &*process, Signal::Terminate, 15).await;
}

async fn kill_reaches_two_hundred_that_escaped(stage: &Stage) {
    let script = "i=0; while [ $i -lt 200 ]; do setsid sleep 300 & i=$((i+1)); done
        echo ready > ready; wait";
    let (_, process) = stage.script_up(script).await;
    assert_eq!(stage.living().len(), 201);
    stop_all(stage, &*process, Signal::Kill, 9).await;
}

async fn kill_outruns_what_forks_as_fast_as_it_can(stage: &Stage) {
    // Bounded, so that nothing worse than a failed test can come of it.
    let script = "setsid sh -c 'i=0; while [ $i -lt 20000 ]; do sleep 300 & i=$((i+1))
            [ $i -eq 50 ] && echo ready > ready; done; wait' & wait";
    let (_, process) = stage.script_up(script).await;
    stop_all(stage, &*process, Signal::Kill, 9).await;
}

async fn kill_outruns_what_is_always_somebody_else(stage: &Stage) {
    let step = "n=$1; [ $n -eq 19900 ] && (echo ready > ready &)
        [ $n -eq 0 ] && echo survived > survived && exit
        setsid sh step $((n-1)) &";
    fs::write(stage.work().join("step"), step).unwrap();
    let (_, process) = stage.script_up("sh step 20000 & while :; do sleep 300; done").await;
    stop_all(stage, &*process, Signal::Kill, 9).await;
    assert!(!stage.work().join("survived").exists());
}

/// What it starts would inherit that a signal is ignored, so it is handled.
async fn interrupt_reaches_what_escaped_while_the_process_goes_on(stage: &Stage) {
    let (process, reader, _) = escaped(stage, "", &["--on", "INT=delay:100000:3", "--hang"]).await;
    let delivery = process.signal(Target::Group, Signal::Interrupt).await;
    assert_eq!(delivery, Delivery::Delivered);
    released(reader).await;
    stop_all(stage, &*process, Signal::Terminate, 15).await;
}

async fn what_is_told_to_end_and_does_not_is_killed(stage: &Stage) {
    let (process, reader, session) = escaped(stage, ",stubborn", &["--hang"]).await;
    let start = Instant::now();
    stop_all(stage, &*process, Signal::Terminate, 15).await;
    assert!(start.elapsed() >= GRACE, "{:?}", start.elapsed());
    released(reader).await;
    assert_eq!(found_ended(stage, session).await.left_behind, Some(0));
}

async fn what_is_stopped_is_ended_too(stage: &Stage) {
    let script = "setsid sh -c 'echo ready > ready; kill -STOP $$' & wait";
    let (_, process) = stage.script_up(script).await;
    stop_all(stage, &*process, Signal::Terminate, 15).await;
}

async fn what_nobody_asked_to_end_is_counted_and_goes_on(stage: &Stage) {
    let fifos = ["one", "two", "three"].map(|name| stage.fifo(name));
    let kinds = ["", ",setsid", ",setsid,stubborn"];
    let forks: Vec<_> = kinds
        .iter()
        .zip(&fifos)
        .flat_map(|(kind, fifo)| {
            ["--fork".to_owned(), format!("stay{kind},await={}", fifo.display())]
        })
        .collect();
    let mut arguments: Vec<_> = forks.iter().map(String::as_str).collect();
    arguments.extend(["--exit", "3"]);
    let (session, process) = stage.agent_up(&arguments).await;
    let ending = ending(&*process).await;
    assert_eq!((ending.exit, ending.left_behind), (Exit::Code(3), Some(3)));
    assert_eq!(found_ended(stage, session).await, ending);
    assert_eq!(stage.living().len(), 3);
    // They live: otherwise nobody would read this.
    for fifo in &fifos {
        line_to(fifo).await;
    }
}

async fn signal_to_the_process_alone_asks_for_no_end_of_the_others(stage: &Stage) {
    let go = stage.fifo("go");
    let kind = format!(",await={}", go.display());
    let (process, reader, _) = escaped(stage, &kind, &["--hang"]).await;
    assert_eq!(process.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*process).await.left_behind, Some(1));
    line_to(&go).await;
    released(reader).await;
}

/// A process that is none of the sessions', and dies of any signal that a stop sends.
struct Canary(Child);

impl Canary {
    fn new() -> Self {
        Self(Command::new("sleep").arg("300").spawn().unwrap())
    }

    fn assert_lives(mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None);
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn stop_ends_nobody_else(stage: &Stage) {
    let canary = Canary::new();
    let go = stage.fifo("go");
    let kind = format!("stay,setsid,await={}", go.display());
    let (_, neighbour) = stage.agent_up(&["--fork", &kind, "--hang"]).await;
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::Kill] {
        let (_, process) = stage.agent_up(&["--fork", "stay,setsid", "--hang"]).await;
        let ending = stop(&*process, signal).await;
        assert_eq!(ending.left_behind, Some(0));
    }
    line_to(&go).await;
    assert_eq!(neighbour.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    let killed = Exit::Signal { number: 9, core_dumped: false };
    assert_eq!(ending(&*neighbour).await.exit, killed);
    canary.assert_lives();
}

async fn shim_that_is_killed_while_it_ends_the_rest_has_said_how_the_process_ended(stage: &Stage) {
    let (process, _, session) = escaped(stage, ",stubborn", &["--hang"]).await;
    let shim = stage.shim(session);
    assert_eq!(process.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    let foretold = stage.file(session, "exit.unfinished");
    while !foretold.exists() {
        tokio::task::yield_now().await;
    }
    // Its grace has just begun, so that nothing more is written for long.
    kill(shim).await;
    let told = ending(&*process).await;
    assert_eq!(told.exit, Exit::Signal { number: 15, core_dumped: false });
    assert_eq!(told.left_behind, None, "nobody knows");
    assert_eq!(found_ended(stage, session).await, told);
    for left in stage.living() {
        pidfd_send_signal(&left, process::Signal::KILL).unwrap();
        gone(left).await;
    }
}

/// What it could not write takes nothing away from what it had written before.
async fn shim_that_is_killed_while_the_disk_is_full_has_said_how_the_process_ended(stage: &Stage) {
    let (process, reader, session) = escaped(stage, ",stubborn", &["--hang"]).await;
    let shim = stage.shim(session);
    assert_eq!(process.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    let foretold = stage.file(session, "exit.unfinished");
    while !foretold.exists() {
        tokio::task::yield_now().await;
    }
    let full = Rlimit { current: Some(0), maximum: getrlimit(Resource::Fsize).maximum };
    prlimit(Some(shim), Resource::Fsize, full).unwrap();
    released(reader).await;
    // It was opened, and nothing could be written into it.
    while !stage.file(session, "exit.writing").exists() {
        tokio::task::yield_now().await;
    }
    kill(shim).await;
    let told = ending(&*process).await;
    assert_eq!(told.exit, Exit::Signal { number: 15, core_dumped: false });
    assert_eq!(found_ended(stage, session).await, told);
}

async fn thousands_that_nobody_waits_for_leave_no_zombie(stage: &Stage) {
    let end = stage.fifo("end");
    let script = "i=0; while [ $i -lt 2000 ]; do (/bin/true &); i=$((i+1)); done
        echo ready > ready; read x < end";
    let (session, process) = stage.script_up(script).await;
    let shim = stage.shim(session).as_raw_nonzero();
    let agent = format!("{} ", stage.agent(session).as_raw_nonzero());
    let children = format!("/proc/{shim}/task/{shim}/children");
    let only_one = timeout(PATIENCE / 10, async {
        while fs::read_to_string(&children).unwrap() != agent {
            tokio::task::yield_now().await;
        }
    });
    only_one.await.expect("all are reaped");
    line_to(&end).await;
    let ending = ending(&*process).await;
    assert_eq!((ending.exit, ending.left_behind), (Exit::Code(0), Some(0)));
}
