//! Sessions go on without their daemon, and the next one learns everything.

use std::process::Stdio;

use candor_adapters::process::Stream;
use candor_core::ports::{Attach, Delivery, Fact, Target};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, Witness};
use candor_harness::contract::repository::chain::session_id;
use candor_harness::programs::fake_agent;
use tokio::time::timeout;

use super::helper::{self, Role};
use super::{
    PATIENCE, Stage, attach, attached, ending, exit, found_ended, held, line_from, line_to,
    released,
};

#[tokio::test]
async fn every_exit_code_is_found_by_the_next_daemon() {
    let stage = Stage::new();
    let mut sessions = Vec::new();
    for code in 0..=u8::MAX {
        let (session, process) = stage.agent_up(&["--exit", &code.to_string()]).await;
        sessions.push((session, code, ending(&*process).await));
    }
    for (session, code, seen) in sessions {
        let found = found_ended(&stage, session).await;
        assert_eq!(found.exit, Exit::Code(code));
        assert_eq!(found, seen);
    }
}

#[tokio::test]
async fn every_signal_is_found_by_the_next_daemon() {
    let stage = Stage::new();
    for number in [1_u8, 2, 3, 6, 9, 11, 13, 14, 15, 34, 64] {
        for core in [false, true] {
            let number = number.to_string();
            let arguments = ["--core", "--die", &number];
            let arguments = if core { &arguments[..] } else { &arguments[1..] };
            let (session, process) = stage.agent_up(arguments).await;
            let seen = ending(&*process).await;
            assert_eq!(found_ended(&stage, session).await, seen);
        }
    }
}

#[tokio::test]
async fn process_runs_on_without_its_spawner_and_is_found_again() {
    let mut stage = Stage::new();
    let ready = stage.fifo("ready");
    let arguments = ["--on", "INT=exit:7", "--ready", ready.to_str().unwrap(), "--hang"];
    let (session, process) = stage.agent_up(&arguments).await;
    assert_eq!(line_from(&ready).await, "ready\n");
    drop(process);
    stage.0.spawner = stage.later();

    let process = attached(&*stage.spawner, session).await;
    assert_eq!(process.signal(Target::Group, Signal::Interrupt).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Code(7));
    assert_eq!(found_ended(&stage, session).await.exit, Exit::Code(7));
}

#[tokio::test]
async fn killed_daemon_takes_nothing_along() {
    let stage = Stage::new();
    let (hold, go) = (stage.fifo("held"), stage.fifo("go"));
    let mut command = stage.helper(Role::Launch, &[], "-");
    let agent = fake_agent().to_str().unwrap();
    let words = [
        agent,
        "--print",
        "before",
        "--hold",
        hold.to_str().unwrap(),
        "--await",
        go.to_str().unwrap(),
        "--flood",
        "1000000",
        "--print-error",
        "after",
        "--exit",
        "42",
    ];
    helper::program(&mut command, words);
    let mut daemon = command.stdout(Stdio::null()).spawn().unwrap();
    let hold = held(&hold).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();

    let session = session_id(helper::SESSION);
    let process = attached(&*stage.spawner, session).await;
    assert_eq!(process.signal(Target::Process, Signal::Continue).await, Delivery::Delivered);
    line_to(&go).await;
    let ending = ending(&*process).await;
    released(hold).await;
    assert_eq!(ending.exit, Exit::Code(42));
    assert_eq!(ending.witness, Witness::Parent);
    assert_eq!(ending.output.stdout_bytes, 1_000_007);
    assert_eq!(ending.output.stderr_bytes, 6);
    let printed = stage.printed(session, Stream::Stdout);
    assert!(printed.starts_with(b"before\n"));
    assert_eq!(printed.len(), 1_000_007);
    assert_eq!(stage.printed(session, Stream::Stderr), b"after\n");
    assert_eq!(found_ended(&stage, session).await, ending);
}

#[tokio::test]
async fn end_without_any_daemon_is_found() {
    let stage = Stage::new();
    let (hold, go) = (stage.fifo("held"), stage.fifo("go"));
    let mut command = stage.helper(Role::Launch, &[], "-");
    let agent = fake_agent().to_str().unwrap();
    let (held_by, gate) = (hold.to_str().unwrap(), go.to_str().unwrap());
    helper::program(&mut command, [agent, "--hold", held_by, "--await", gate, "--die", "SEGV"]);
    let mut daemon = command.stdout(Stdio::null()).spawn().unwrap();
    let hold = held(&hold).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    line_to(&go).await;
    released(hold).await;

    // The process is gone; its shim may still be about to write that down, or hold the lock.
    let session = session_id(helper::SESSION);
    let spawner = stage.later();
    let ending = match attach(&*spawner, session).await {
        Attach::Ended(ending) => ending,
        Attach::Up(process) => ending(&*process).await,
        other => panic!("{}", super::told(&other)),
    };
    assert_eq!(ending.exit, Exit::Signal { number: 11, core_dumped: false });
    assert_eq!(found_ended(&stage, session).await, ending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_daemons_at_once_are_told_the_same() {
    let stage = Stage::new();
    let (session, _process) = stage.agent_up(&["--hang"]).await;
    let (one, other) = (stage.later(), stage.later());
    let (one, other) = tokio::join!(attached(&*one, session), attached(&*other, session));
    assert_eq!(one.signal(Target::Process, Signal::Terminate).await, Delivery::Delivered);
    for process in [one, other] {
        let fact = timeout(PATIENCE, process.next_fact()).await.unwrap();
        let Fact::Ended(ending) = fact else { panic!("{fact:?}") };
        assert_eq!(ending.exit, Exit::Signal { number: 15, core_dumped: false });
        let delivery = process.signal(Target::Group, Signal::Kill).await;
        assert_eq!(delivery, Delivery::AlreadyEnded);
    }
}

#[tokio::test]
async fn long_paths_are_no_hindrance() {
    let stage = Stage::new();
    // Longer than any name of a socket.
    let sessions = stage.home.path().join("x".repeat(200)).join("y".repeat(200));
    let spawner = super::Kind::Shim.spawner(sessions.clone());
    let program = stage.programs.agent(["--hang"]);
    let session = session_id(1);
    match spawner.launch(session, &program.spec, &program.environment).await {
        candor_core::ports::Launch::Up(_) => {}
        _ => panic!("it is not up"),
    }
    let later = super::Kind::Shim.spawner(sessions);
    let process = attached(&*later, session).await;
    assert_eq!(process.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 9, core_dumped: false });
}
