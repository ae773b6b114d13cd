//! The launching daemon is killed at any moment, or its shim is.

use std::fs::{self, File};
use std::hint;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_adapters::process::shim::{ShimProgram, ShimSpawner};
use candor_core::ports::{Attach, Delivery, Launch, ProcessSpawner, Target};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason, SpawnStage};
use candor_harness::contract::repository::chain::session_id;
use candor_harness::contract::spawner::Program;
use candor_harness::programs::fake_agent;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::task::JoinHandle;

use super::{Stage, attach, exit, gone, kill, line_from, line_to, told};
use crate::process::crash::launch_and_kill;

/// How often the launcher is killed.
const ROUNDS: u32 = 60;

/// The launch of one session takes about this long, so that every moment of it has its chance.
const LAUNCH_MAX: Duration = Duration::from_millis(15);

/// What a killed launcher left of a session.
#[derive(Debug, Eq, PartialEq)]
enum Left {
    Process,
    Nothing,
}

#[tokio::test]
async fn killed_launcher_leaves_one_process_or_none() {
    let (mut up, mut never) = (0, 0);
    for round in 0..ROUNDS {
        let stage = Stage::new();
        let token = format!("shim-launcher-{}-{round}", std::process::id());
        let delay = LAUNCH_MAX * round / ROUNDS;
        let begun = launch_and_kill(&stage, round, delay, &token).await;
        let mut left = Vec::new();
        for number in 0..=begun {
            let session = session_id(u64::from(number));
            left.push((session, what_is_left(&stage, session).await));
        }
        // Among them the shims that came too late: each leaves by itself.
        wait_for_all_in(stage.home.path()).await;
        for (session, left) in &left {
            let runs = fs::read_to_string(stage.work().join(format!("ran-{session}")));
            let runs = runs.map_or(0, |runs| runs.lines().count());
            let expected = usize::from(*left == Left::Process);
            // One that was killed as soon as it was up may not have come to its first line.
            assert!(runs <= expected, "{session} ran {runs} times, and {left:?} was left");
        }
        let processes = left.iter().filter(|(_, left)| *left == Left::Process).count();
        assert!(processes >= usize::try_from(begun).unwrap(), "{begun} begun, {processes} up");
        if left.last().is_some_and(|(_, left)| *left == Left::Process) {
            up += 1;
        } else {
            never += 1;
        }
    }
    // Otherwise the kill always met the same moment, and this showed nothing.
    assert!(up > 0 && never > 0, "{up} went on, {never} never ran");
}

/// Finds a session, and ends it if it runs.
async fn what_is_left(stage: &Stage, session: SessionId) -> Left {
    match found(&*stage.later(), session).await {
        Attach::Up(process) => {
            let delivery = process.signal(Target::Group, Signal::Kill).await;
            assert_eq!(delivery, Delivery::Delivered);
            let killed = Exit::Signal { number: 9, core_dumped: false };
            assert_eq!(exit(&*process).await, killed);
            Left::Process
        }
        Attach::NeverRan => Left::Nothing,
        other => panic!("{session} is {}", told(&other)),
    }
}

/// Waits until no process stands in a folder or below it.
async fn wait_for_all_in(home: &Path) {
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Some(pid) = path.file_name().unwrap().to_str().unwrap().parse().ok() else {
            continue;
        };
        let Some(Ok(handle)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()))
        else {
            continue;
        };
        if fs::read_link(path.join("cwd")).is_ok_and(|folder| folder.starts_with(home)) {
            gone(handle).await;
        }
    }
}

/// Returns a spawner whose shims are a script of the shell, which may become one by "$0".
fn scripted(stage: &Stage, script: &str) -> Arc<dyn ProcessSpawner> {
    let shim = super::program().path;
    let arguments = vec!["-c".into(), script.into(), shim.into()];
    let program = ShimProgram { path: "/bin/sh".into(), arguments };
    Arc::new(ShimSpawner::new(stage.sessions(), program))
}

async fn never_ran(spawner: &dyn ProcessSpawner, session: SessionId) {
    for _ in 0..2 {
        let answer = attach(spawner, session).await;
        assert!(matches!(answer, Attach::NeverRan), "{}", told(&answer));
    }
}

#[tokio::test]
async fn shim_that_is_killed_before_its_order_leaves_a_session_that_never_ran() {
    let stage = Stage::new();
    let spawner = scripted(&stage, "kill -9 $$");
    let session = session_id(1);
    let Program { spec, environment } = stage.programs.agent(["--exit", "0"]);
    assert!(matches!(spawner.launch(session, &spec, &environment).await, Launch::Unknown));
    never_ran(&*spawner, session).await;
    never_ran(&*stage.later(), session).await;
}

#[tokio::test]
async fn shim_that_is_no_program_is_refused() {
    let stage = Stage::new();
    let program = ShimProgram { path: "/no/such/shim".into(), arguments: Vec::new() };
    let spawner = ShimSpawner::new(stage.sessions(), program);
    let session = session_id(1);
    let Program { spec, environment } = stage.programs.agent(["--exit", "0"]);
    let launch = spawner.launch(session, &spec, &environment).await;
    assert!(matches!(launch, Launch::Refused { stage: SpawnStage::Fork, errno: 2 }));
    assert_eq!(fs::read_dir(stage.sessions()).unwrap().count(), 0, "nothing is left");
    never_ran(&spawner, session).await;
}

/// A launch whose shim waits for a line from `go` before it is one.
struct Late {
    spawner: Arc<dyn ProcessSpawner>,
    shim: Pid,
    launch: JoinHandle<Launch>,
    go: PathBuf,
}

async fn late(stage: &Stage, session: SessionId) -> Late {
    let (here, go) = (stage.fifo("here"), stage.fifo("go"));
    let script = format!("echo $$ > {}; read line < {}; exec \"$0\"", here.display(), go.display());
    let spawner = scripted(stage, &script);
    let script = format!("echo ran >> ran; exec {} --hang", fake_agent().display());
    let program = stage.programs.command("/bin/sh", ["-c", &script]);
    let launcher = Arc::clone(&spawner);
    let launch =
        tokio::spawn(
            async move { launcher.launch(session, &program.spec, &program.environment).await },
        );
    let shim = line_from(&here).await.trim().parse().ok().and_then(Pid::from_raw).unwrap();
    Late { spawner, shim, launch, go }
}

/// The order is given, and before the shim looks at it somebody decides that it never was.
#[tokio::test]
async fn shim_that_comes_late_does_not_go_on() {
    let stage = Stage::new();
    let session = session_id(1);
    let Late { spawner, launch, go, .. } = late(&stage, session).await;
    let intent = stage.file(session, "intent");
    while !intent.exists() {
        tokio::task::yield_now().await;
    }
    never_ran(&*stage.later(), session).await;
    line_to(&go).await;
    assert!(matches!(launch.await.unwrap(), Launch::Unknown));
    never_ran(&*spawner, session).await;
    assert!(!stage.work().join("ran").exists(), "it ran");
}

/// The same while somebody is still deciding.
#[tokio::test]
async fn shim_that_meets_a_decision_does_not_go_on() {
    let stage = Stage::new();
    let session = session_id(1);
    let Late { launch, go, .. } = late(&stage, session).await;
    let lock = File::create(stage.file(session, "lock")).unwrap();
    lock.try_lock().unwrap();
    line_to(&go).await;
    assert!(matches!(launch.await.unwrap(), Launch::Unknown));
    assert!(!stage.work().join("ran").exists(), "it ran");
    // As long as it is not decided, nobody knows.
    let answer = attach(&*stage.later(), session).await;
    assert!(matches!(answer, Attach::Unreachable), "{}", told(&answer));
    drop(lock);
    never_ran(&*stage.later(), session).await;
}

/// Without the record of a start the program never ran: that is written before the gate is opened.
#[tokio::test]
async fn shim_that_is_killed_in_its_launch_leaves_a_record_or_nothing_that_ran() {
    let (mut started, mut never) = (0, 0);
    for round in 0..ROUNDS {
        let stage = Stage::new();
        let session = session_id(1);
        let Late { spawner, shim, launch, go } = late(&stage, session).await;
        line_to(&go).await;
        let start = Instant::now();
        while start.elapsed() < LAUNCH_MAX * round / ROUNDS {
            hint::spin_loop();
        }
        kill(shim).await;
        drop(launch.await.unwrap());
        let ran = match found(&*spawner, session).await {
            Attach::Up(process) => {
                process.signal(Target::Group, Signal::Kill).await;
                let killed = Exit::Signal { number: 9, core_dumped: false };
                super::assert_true_or_lost(process.next_fact().await, killed);
                true
            }
            // It was still at its gate.
            Attach::Lost(LostReason::ShimKilled) => true,
            Attach::NeverRan => false,
            answer => panic!("{}", told(&answer)),
        };
        wait_for_all_in(stage.home.path()).await;
        assert!(ran || !stage.work().join("ran").exists(), "it ran, in round {round}");
        *(if ran { &mut started } else { &mut never }) += 1;
    }
    assert!(started > 0 && never > 0, "{started} started, {never} never ran");
}

/// Asks until somebody is reached.
async fn found(spawner: &dyn ProcessSpawner, session: SessionId) -> Attach {
    loop {
        match attach(spawner, session).await {
            Attach::Unreachable => {}
            answer => return answer,
        }
    }
}
