//! A shim that says nothing.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use candor_core::ports::{Attach, Delivery, Process, Supervision, Target};
use candor_core::stop::Signal;
use candor_core::verdict::Exit;
use rustix::process::{self, Pid, Resource, Rlimit, getrlimit, kill_process, prlimit};
use tokio::time::timeout;

use super::{PATIENCE, Stage, attach, attached, ending, exit};

#[tokio::test]
async fn shim_that_hangs_is_out_of_reach_until_it_goes_on() {
    let stage = Stage::new();
    let (session, process) = stage.agent_up(&["--hang"]).await;
    let shim = stage.shim(session);
    kill_process(shim, process::Signal::STOP).unwrap();

    let later = stage.later();
    let start = Instant::now();
    assert!(matches!(attach(&*later, session).await, Attach::Unreachable));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let start = Instant::now();
    let delivery = process.signal(Target::Process, Signal::Continue).await;
    assert_eq!(delivery, Delivery::Unknown);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    shows(&*process, Supervision::Unreachable).await;

    kill_process(shim, process::Signal::CONT).unwrap();
    // The answer that comes late shows that it is there.
    shows(&*process, Supervision::Ok).await;
    let found = attached(&*later, session).await;
    assert_eq!(found.signal(Target::Process, Signal::Interrupt).await, Delivery::Delivered);
    let interrupted = Exit::Signal { number: 2, core_dumped: false };
    assert_eq!(exit(&*found).await, interrupted);
    assert_eq!(exit(&*process).await, interrupted);
}

/// Waits until a process is shown to be watched like this.
async fn shows(process: &dyn Process, wanted: Supervision) {
    // What is shown tells nobody that it has changed. The runner ends this if it never does.
    while process.supervision() != wanted {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn shim_takes_no_notice_of_signals() {
    let stage = Stage::new();
    let (session, process) = stage.agent_up(&["--hang"]).await;
    let shim = stage.shim(session);
    for signal in [
        process::Signal::HUP,
        process::Signal::INT,
        process::Signal::QUIT,
        process::Signal::TERM,
        process::Signal::PIPE,
        process::Signal::USR1,
        process::Signal::ALARM,
        process::Signal::TSTP,
        process::Signal::TTIN,
    ] {
        kill_process(shim, signal).unwrap();
    }
    let later = attached(&*stage.later(), session).await;
    assert_eq!(later.signal(Target::Process, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
}

/// What does not speak the language is let go, and the next one is heard.
#[tokio::test]
async fn nonsense_ends_the_connection_alone() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    let stage = Stage::new();
    let (session, process) = stage.agent_up(&["--hang"]).await;
    let control = stage.file(session, "control");
    // More than there are places for.
    let silent: Vec<_> = (0..20).map(|_| UnixStream::connect(&control).unwrap()).collect();
    drop(silent);
    for nonsense in [[0_u8; 32], [1; 32], [0xff; 32]] {
        let control = control.clone();
        let said = super::aside(move || {
            let mut stream = UnixStream::connect(control).unwrap();
            stream.write_all(&nonsense).unwrap();
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer));
            answer
        });
        assert_eq!(said.await, b"");
    }
    let later = attached(&*stage.later(), session).await;
    assert_eq!(later.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 9, core_dumped: false });
}

/// The time that a process has computed, in clock ticks: a hundredth of a second each.
fn computed_ticks(process: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// It has no descriptor left to let anybody in with.
#[tokio::test]
async fn shim_that_can_let_nobody_in_rests_and_tries_again() {
    const TICKS_MAX: u64 = 10;

    let stage = Stage::new();
    let (session, process) = stage.agent_up(&["--hang"]).await;
    let shim = stage.shim(session);
    let before = getrlimit(Resource::Nofile);
    let none = Rlimit { current: Some(0), ..before };
    prlimit(Some(shim), Resource::Nofile, none).unwrap();
    let computed = computed_ticks(shim);
    assert!(matches!(attach(&*stage.later(), session).await, Attach::Unreachable));
    // That took half a second, which one that does not rest computes all through.
    let computed = computed_ticks(shim) - computed;
    assert!(computed <= TICKS_MAX, "{computed}");
    prlimit(Some(shim), Resource::Nofile, before).unwrap();
    let later = timeout(PATIENCE, async {
        loop {
            if let Attach::Up(process) = attach(&*stage.later(), session).await {
                return process;
            }
        }
    });
    drop(later.await.expect("it lets daemons in again"));
    assert_eq!(process.signal(Target::Group, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*process).await.left_behind, Some(0));
}

/// Somebody typed its name, and can do nothing against a process that hears no signal.
#[test]
fn shim_that_nobody_orders_anything_from_leaves_at_once() {
    let (input, _writer) = io::pipe().unwrap();
    let mut shim = Command::new(super::program().path);
    let status = shim.stdin(input).status().unwrap();
    assert_eq!(status.code(), Some(1));
}
