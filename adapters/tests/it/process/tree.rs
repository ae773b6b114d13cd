//! Processes that a session leaves behind or takes along.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use candor_adapters::process::Stream;
use candor_core::ports::{Delivery, Process, Target};
use candor_core::stop::Signal;
use candor_core::verdict::Exit;

use super::{Stage, ending, exit, held, line_from, line_to, released};

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

/// Launches an agent that leaves behind what `kind` says and then follows `end`, and waits until all
/// of them are ready. What is left behind holds the fifo that is returned open.
async fn family(stage: &Stage, kind: &str, end: &[&str]) -> (Arc<dyn Process>, BufReader<File>) {
    let (fifo, ready) = (stage.fifo("held"), stage.fifo("ready"));
    let kind = format!("{kind},hold={}", fifo.display());
    let reader = tokio::spawn(async move { held(&fifo).await });
    let arguments = ["--fork", &kind, "--ready", ready.to_str().unwrap()];
    let (_, process) = stage.agent_up(&[&arguments, end].concat()).await;
    let reader = reader.await.unwrap();
    assert_eq!(line_from(&ready).await, "ready\n");
    (process, reader)
}

#[tokio::test]
async fn signal_to_the_group_reaches_grandchildren() {
    let stage = Stage::new();
    let (process, reader) = family(&stage, "stay", &["--hang"]).await;
    assert_eq!(process.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
    released(reader).await;
}

#[tokio::test]
async fn signal_to_the_process_reaches_it_alone() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let kind = format!("stay,await={}", go.display());
    let (process, reader) = family(&stage, &kind, &["--hang"]).await;
    assert_eq!(process.signal(Target::Process, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
    // It lives and was sent nothing: otherwise nobody would read this.
    line_to(&go).await;
    released(reader).await;
}

#[tokio::test]
async fn no_signal_is_sent_once_the_leader_has_ended() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let kind = format!("stay,await={}", go.display());
    let (process, reader) = family(&stage, &kind, &["--exit", "0"]).await;
    // Nobody has reaped it. It is a zombie now or in a moment; asked until it is.
    while process.signal(Target::Process, Signal::Continue).await == Delivery::Delivered {
        tokio::task::yield_now().await;
    }
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::Kill] {
        assert_eq!(process.signal(Target::Group, signal).await, Delivery::AlreadyEnded);
    }
    assert_eq!(exit(&*process).await, Exit::Code(0));
    line_to(&go).await;
    released(reader).await;
}
