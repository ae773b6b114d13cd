//! The shim is killed, and its process lives on.

use std::process::Stdio;

use candor_core::ports::{Attach, Delivery, Process, Target};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason};
use candor_harness::contract::repository::chain::session_id;
use tokio::time::timeout;

use super::helper::{self, PLAYED, Role};
use super::{
    PATIENCE, Stage, aside, attach, attached, exit, found_ended, held, kill, line_from, line_to,
    released,
};

/// Waits for the end of a process that has no parent who tells. The kernel may, for as long as nobody
/// has reaped it, and since Linux 6.15 by a handle; nothing but the truth is an answer.
async fn ended_or_lost(process: &dyn Process, exit: Exit) {
    super::assert_true_or_lost(timeout(PATIENCE, process.next_fact()).await.unwrap(), exit);
}

fn killed_by(number: u8) -> Exit {
    Exit::Signal { number, core_dumped: false }
}

#[tokio::test]
async fn orphan_is_signalled_and_its_exit_is_never_guessed() {
    let stage = Stage::new();
    let (hold, ready) = (stage.fifo("held"), stage.fifo("ready"));
    let member = stage.fifo("member");
    let kind = format!("stay,hold={}", member.display());
    let arguments = [
        "--on",
        "INT=ignore",
        "--fork",
        &kind,
        "--hold",
        hold.to_str().unwrap(),
        "--ready",
        ready.to_str().unwrap(),
        "--hang",
    ];
    let member = tokio::spawn(async move { held(&member).await });
    let holder = hold.clone();
    let holder = tokio::spawn(async move { held(&holder).await });
    let (session, process) = stage.agent_up(&arguments).await;
    let (hold, member) = (holder.await.unwrap(), member.await.unwrap());
    assert_eq!(line_from(&ready).await, "ready\n");
    kill(stage.shim(session)).await;

    // The one that was connected, and one that comes later.
    let later = attached(&*stage.later(), session).await;
    for process in [&process, &later] {
        let delivery = process.signal(Target::Process, Signal::Interrupt).await;
        assert_eq!(delivery, Delivery::Delivered);
    }
    assert_eq!(later.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    ended_or_lost(&*process, killed_by(15)).await;
    ended_or_lost(&*later, killed_by(15)).await;
    released(hold).await;
    released(member).await;
    for process in [process, later] {
        let delivery = process.signal(Target::Group, Signal::Kill).await;
        assert_eq!(delivery, Delivery::AlreadyEnded);
    }
    for _ in 0..2 {
        for answer in
            [attach(&*stage.later(), session).await, attach(&*stage.spawner, session).await]
        {
            match answer {
                Attach::Ended(ending) => assert_eq!(ending.exit, killed_by(15)),
                Attach::Lost(reason) => assert_eq!(reason, LostReason::ShimKilled),
                Attach::Up(_) | Attach::NeverRan | Attach::Unreachable => panic!("it has ended"),
            }
        }
    }
}

#[tokio::test]
async fn process_that_died_with_its_shim_is_not_guessed() {
    let stage = Stage::new();
    let hold = stage.fifo("held");
    let (session, process) = stage.agent_up(&["--hold", hold.to_str().unwrap(), "--hang"]).await;
    let hold = held(&hold).await;
    let (shim, agent) = (stage.shim(session), stage.agent(session));
    // Stopped, it cannot see the end of the process before it is killed itself.
    rustix::process::kill_process(shim, rustix::process::Signal::STOP).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    released(hold).await;
    kill(shim).await;
    ended_or_lost(&*process, killed_by(9)).await;
}

/// A daemon to which the orphans of its shims fall is their parent, and knows.
#[tokio::test]
async fn daemon_that_adopts_an_orphan_sees_its_exit() {
    let stage = Stage::new();
    let mut command = stage.helper(Role::Adopt, &[], "-");
    let status = aside(move || command.stdout(Stdio::null()).status().unwrap());
    assert_eq!(status.await.code(), Some(PLAYED));
    let ending = found_ended(&stage, session_id(helper::SESSION)).await;
    assert_eq!(ending.exit, Exit::Code(42));
    assert_eq!(ending.output.stdout_bytes, 3);
}

/// What the process leaves behind while it lives falls to the shim, which must not let it pile up.
#[tokio::test]
async fn shim_reaps_what_falls_to_it() {
    let stage = Stage::new();
    let (go, end) = (stage.fifo("go"), stage.fifo("end"));
    let number = stage.fifo("number");
    let script = format!(
        "(sh -c 'echo $$ > {}; read line < {}' &); read line < {}",
        number.display(),
        go.display(),
        end.display()
    );
    let (session, process) = stage.up(&stage.programs.command("/bin/sh", ["-c", &script])).await;
    let number = line_from(&number).await;
    let left: i32 = number.trim().parse().unwrap();
    let left = rustix::process::Pid::from_raw(left).unwrap();
    // Its own parent may not have left yet.
    while super::parent(left) != stage.shim(session) {
        tokio::task::yield_now().await;
    }
    line_to(&go).await;
    let folder = format!("/proc/{}", left.as_raw_nonzero());
    timeout(PATIENCE, async {
        while std::path::Path::new(&folder).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is reaped");
    line_to(&end).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
}
