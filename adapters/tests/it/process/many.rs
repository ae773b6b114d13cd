//! Many sessions at the same time.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write as _;

use candor_core::ports::{Fact, IdSource as _, Launch};
use candor_core::verdict::Exit;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{PATIENCE, Stage};

/// How many end at once.
const CROWD: usize = 500;

/// Descriptors that the crowd and the tests beside it need, where the default may be 256.
const DESCRIPTORS: u64 = 2048;

fn allow_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < DESCRIPTORS) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn crowd_that_ends_at_once_is_told_one_by_one_and_all() {
    allow_descriptors();
    let stage = Stage::new();
    let gate = stage.fifo("gate");
    // Each waits in the open of a fifo that nobody writes to, until somebody does.
    let script = format!("read line < {}; exit $0", gate.display());
    let mut processes = Vec::new();
    for number in 0..CROWD {
        let code = u8::try_from(number % 256).unwrap();
        let program = stage.programs.command("/bin/sh", ["-c", &script, &code.to_string()]);
        let (_, process) = stage.up(&program).await;
        processes.push((process, Exit::Code(code)));
    }
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for (number, (process, expected)) in processes.into_iter().enumerate() {
        let sender = sender.clone();
        tokio::spawn(async move {
            // Asked again after the last fact, as nobody should.
            loop {
                match process.next_fact().await {
                    Fact::Ended(ending) => sender.send((number, ending.exit, expected)).unwrap(),
                    Fact::Lost(reason) => panic!("lost: {reason:?}"),
                }
            }
        });
    }
    drop(sender);
    // Held open until all have gone, so that nobody comes too late to be let out.
    let writer = super::aside(move || {
        let mut writer = OpenOptions::new().read(true).write(true).open(gate).unwrap();
        writer.write_all(&b"\n".repeat(CROWD)).unwrap();
        writer
    })
    .await;
    let mut told = HashSet::new();
    while told.len() < CROWD {
        let (number, exit, expected) =
            tokio::time::timeout(PATIENCE, receiver.recv()).await.unwrap().unwrap();
        assert_eq!(exit, expected);
        assert!(told.insert(number), "{number} was told twice");
    }
    drop(writer);
    assert!(receiver.try_recv().is_err(), "somebody was told twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn launches_at_the_same_time_do_not_hinder_each_other() {
    let stage = Stage::new();
    let program = stage.programs.agent(["--exit", "3"]);
    let launches = (0..100).map(|_| stage.up(&program));
    for (_, process) in futures_util::future::join_all(launches).await {
        assert_eq!(super::exit(&*process).await, Exit::Code(3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_simultaneous_launches_of_one_session_one_makes_a_process() {
    let stage = Stage::new();
    let program = stage.programs.agent(["--print", "once"]);
    for _ in 0..20 {
        let session = candor_adapters::ids::UuidV7Source.session_id();
        let launches = (0..8).map(|_| stage.launch_as(session, &program));
        let answers = futures_util::future::join_all(launches).await;
        let up = answers.iter().filter(|launch| matches!(launch, Launch::Up(_))).count();
        let unknown = answers.iter().filter(|launch| matches!(launch, Launch::Unknown)).count();
        assert!(up >= 1 && up + unknown == answers.len());
        let Some(Launch::Up(process)) =
            answers.into_iter().find(|launch| matches!(launch, Launch::Up(_)))
        else {
            panic!("none is up");
        };
        assert_eq!(super::ending(&*process).await.output.stdout_bytes, 5);
    }
}

#[tokio::test]
async fn dropped_launch_is_found_by_attach() {
    use candor_core::ports::Attach;

    let stage = Stage::new();
    let session = candor_adapters::ids::UuidV7Source.session_id();
    let program = stage.programs.agent(["--exit", "3"]);
    let mut launch = stage.spawner.launch(session, &program.spec, &program.environment);
    // Polled until the work has been handed to another thread, and then dropped.
    std::future::poll_fn(|context| {
        assert!(launch.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(launch);
    loop {
        match stage.spawner.attach(session).await {
            Attach::Up(process) => {
                assert_eq!(super::exit(&*process).await, Exit::Code(3));
                break;
            }
            Attach::Unreachable => tokio::task::yield_now().await,
            Attach::NeverRan => panic!("never ran"),
            Attach::Ended(_) | Attach::Lost(_) => panic!("nobody has waited for it"),
        }
    }
}
