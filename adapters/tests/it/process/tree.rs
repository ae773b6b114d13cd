//! Processes that a session leaves behind or takes along.

use candor_adapters::process::Stream;
use candor_core::ports::{Delivery, Target};
use candor_core::stop::Signal;
use candor_core::verdict::Exit;

use super::{Stage, ending, exit, held, line_to, released};

#[tokio::test]
async fn grandchild_that_holds_the_output_does_not_hold_back_the_exit() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let kind = format!("stay,await={}", go.display());
    let (session, process) = stage
        .agent_up(&["--print", "early", "--fork", &kind, "--print-error", "oh", "--exit", "3"])
        .await;
    let ending = ending(&*process).await;
    assert_eq!(ending.exit, Exit::Code(3));
    assert_eq!((ending.output.stdout_bytes, ending.output.stderr_bytes), (6, 3));
    assert_eq!(stage.printed(session, Stream::Stdout), b"early\n");
    // It is there: otherwise nobody would read this.
    line_to(&go).await;
}

#[tokio::test]
async fn what_is_written_after_the_end_is_not_counted() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let script = format!("(read line < {}; echo late) & echo early; exit 3", go.display());
    let (session, process) = stage.up(&stage.programs.command("/bin/sh", ["-c", &script])).await;
    let ending = ending(&*process).await;
    assert_eq!((ending.exit, ending.output.stdout_bytes), (Exit::Code(3), 6));
    line_to(&go).await;
    let outputs = stage.outputs();
    let reader = outputs.open(session, Stream::Stdout).unwrap();
    let follower = outputs.follow(&reader);
    let size = tokio::time::timeout(super::PATIENCE, follower.grown_beyond(6)).await;
    assert_eq!(size.unwrap().unwrap(), 11);
    assert_eq!(stage.printed(session, Stream::Stdout), b"early\nlate\n");
}

#[tokio::test]
async fn signal_to_the_group_reaches_grandchildren() {
    let stage = Stage::new();
    let fifo = stage.fifo("held");
    let kind = format!("stay,hold={}", fifo.display());
    let reader = tokio::spawn({
        let fifo = fifo.clone();
        async move { held(&fifo).await }
    });
    let (_, process) = stage.agent_up(&["--fork", &kind, "--fork", "stay", "--hang"]).await;
    let reader = reader.await.unwrap();
    assert_eq!(process.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
    released(reader).await;
}

#[tokio::test]
async fn signal_to_the_process_reaches_it_alone() {
    let stage = Stage::new();
    let (go, fifo) = (stage.fifo("go"), stage.fifo("held"));
    let kind = format!("stay,hold={},await={}", fifo.display(), go.display());
    let reader = tokio::spawn({
        let fifo = fifo.clone();
        async move { held(&fifo).await }
    });
    let (_, process) = stage.agent_up(&["--fork", &kind, "--hang"]).await;
    let reader = reader.await.unwrap();
    assert_eq!(process.signal(Target::Process, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
    line_to(&go).await;
    released(reader).await;
}

#[tokio::test]
async fn no_signal_is_sent_once_the_leader_has_ended() {
    let stage = Stage::new();
    let (go, fifo) = (stage.fifo("go"), stage.fifo("held"));
    let kind = format!("stay,hold={},await={}", fifo.display(), go.display());
    let reader = tokio::spawn({
        let fifo = fifo.clone();
        async move { held(&fifo).await }
    });
    let gone = stage.fifo("gone");
    let ready = gone.to_str().unwrap();
    let (_, process) = stage.agent_up(&["--fork", &kind, "--ready", ready, "--exit", "0"]).await;
    let reader = reader.await.unwrap();
    assert_eq!(super::line_from(&gone).await, "ready\n");
    // Nobody has reaped it. It is a zombie now or in a moment; asked until it is.
    while process.signal(Target::Process, Signal::Continue).await == Delivery::Delivered {
        tokio::task::yield_now().await;
    }
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::Kill] {
        assert_eq!(process.signal(Target::Group, signal).await, Delivery::AlreadyEnded);
    }
    assert_eq!(exit(&*process).await, Exit::Code(0));
    // The grandchild lives and was sent nothing.
    line_to(&go).await;
    released(reader).await;
}
