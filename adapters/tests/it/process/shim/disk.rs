//! The end of a process cannot be written down for a while.

use std::fs;

use candor_core::ports::{Attach, Delivery, Target};
use candor_core::stop::Signal;
use candor_core::verdict::Exit;
use futures_util::FutureExt as _;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Stage, attach, attached, exit, found_ended, gone, held, line_to, released};

/// Asks until the shim has seen the end, which it then knows although it cannot tell it.
async fn end_is_seen(process: &dyn candor_core::ports::Process) {
    while process.signal(Target::Process, Signal::Continue).await == Delivery::Delivered {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn exit_that_cannot_be_written_is_kept_until_it_can() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let arguments = ["--print", "x", "--await", go.to_str().unwrap(), "--exit", "42"];
    let (session, process) = stage.agent_up(&arguments).await;
    // As on a full disk: each write fails. It needs no rights, and hits this one process.
    let shim = stage.shim(session);
    let limit = |current| Rlimit { current, maximum: None };
    let before = prlimit(Some(shim), Resource::Fsize, limit(Some(0))).unwrap();
    line_to(&go).await;
    end_is_seen(&*process).await;

    // It is said neither that it ended nor that it is lost, to nobody.
    let later = attached(&*stage.later(), session).await;
    assert_eq!(later.signal(Target::Group, Signal::Kill).await, Delivery::AlreadyEnded);
    assert_eq!(process.next_fact().now_or_never(), None);
    assert!(!stage.file(session, "exit").exists());

    prlimit(Some(shim), Resource::Fsize, before).unwrap();
    assert_eq!(exit(&*process).await, Exit::Code(42));
    assert_eq!(exit(&*later).await, Exit::Code(42));
    assert_eq!(found_ended(&stage, session).await.output.stdout_bytes, 2);
}

#[tokio::test]
async fn exit_outlasts_the_daemon_and_a_name_that_is_taken() {
    let mut stage = Stage::new();
    let (go, hold) = (stage.fifo("go"), stage.fifo("held"));
    let hold_path = hold.to_str().unwrap();
    let arguments = ["--hold", hold_path, "--await", go.to_str().unwrap(), "--die", "TERM"];
    let (session, process) = stage.agent_up(&arguments).await;
    let hold = held(&hold).await;
    let in_the_way = stage.file(session, "exit.writing");
    fs::create_dir(&in_the_way).unwrap();
    line_to(&go).await;
    released(hold).await;
    end_is_seen(&*process).await;
    drop(process);
    stage.0.spawner = stage.later();

    let process = attached(&*stage.spawner, session).await;
    assert_eq!(process.next_fact().now_or_never(), None);
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
}

/// Nobody could find it any more: it tells who is connected, and leaves.
#[tokio::test]
async fn shim_whose_folder_was_removed_does_not_stay_for_ever() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let (session, process) =
        stage.agent_up(&["--await", go.to_str().unwrap(), "--exit", "3"]).await;
    let shim: Pid = stage.shim(session);
    let shim = rustix::process::pidfd_open(shim, rustix::process::PidfdFlags::empty()).unwrap();
    fs::remove_dir_all(stage.file(session, "")).unwrap();
    line_to(&go).await;
    assert_eq!(exit(&*process).await, Exit::Code(3));
    gone(shim).await;
    assert!(matches!(attach(&*stage.later(), session).await, Attach::NeverRan));
}
