//! The launching daemon is killed at any moment, or its shim is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use candor_core::ports::{Attach, Delivery, Launch, Target};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::session_id;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Stage, attach, exit, gone};
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
    loop {
        let spawner = stage.later();
        match attach(&*spawner, session).await {
            Attach::Up(process) => {
                let delivery = process.signal(Target::Group, Signal::Kill).await;
                assert_eq!(delivery, Delivery::Delivered);
                let killed = Exit::Signal { number: 9, core_dumped: false };
                assert_eq!(exit(&*process).await, killed);
                return Left::Process;
            }
            Attach::NeverRan => return Left::Nothing,
            // A machine that is busy.
            Attach::Unreachable => {}
            other => panic!("{session} is {}", super::told(&other)),
        }
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

#[tokio::test]
async fn shim_that_is_killed_before_its_order_leaves_a_session_that_never_ran() {
    let stage = Stage::new();
    let spawner = candor_adapters::process::shim::ShimSpawner::new(
        stage.sessions(),
        candor_adapters::process::shim::ShimProgram {
            path: "/bin/sh".into(),
            // It dies instead of waiting for an order.
            arguments: vec!["-c".into(), "kill -9 $$".into()],
        },
    );
    let session = session_id(1);
    let program = stage.programs.agent(["--exit", "0"]);
    let launch = candor_core::ports::ProcessSpawner::launch(
        &spawner,
        session,
        &program.spec,
        &program.environment,
    );
    assert!(matches!(launch.await, Launch::Unknown));
    for _ in 0..2 {
        assert!(matches!(attach(&spawner, session).await, Attach::NeverRan));
        assert!(matches!(attach(&*stage.later(), session).await, Attach::NeverRan));
    }
}
