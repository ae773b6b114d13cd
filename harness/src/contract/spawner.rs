//! What every [`ProcessSpawner`] must do, and every [`Process`] that it makes.
//!
//! Each function is one promise, and uses sessions that no other one uses: they may share a
//! spawner. [`spawner_promises!`](crate::spawner_promises) names them all, so that no
//! implementation leaves one out.
//!
//! What is run differs with the implementation: see [`Programs`].

mod input;

pub use input::{
    digest, ended_input_takes_nothing, input_is_read_in_its_order,
    input_that_is_not_held_is_at_its_end, input_that_nobody_reads_gets_full,
    message_after_the_end_says_so, message_sent_twice_is_read_once,
    message_that_is_too_long_is_not_read,
};

use std::sync::Arc;

use candor_core::ports::{
    Attach, Delivery, Ending, Environment, Fact, Launch, Process, ProcessSpawner, Target,
};
use candor_core::session::{SessionId, Spec};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason, SpawnStage};
use futures_util::FutureExt as _;

use super::repository::chain::session_id;

/// Calls `callback!` with the names of all promises, separated by blanks.
///
/// ```text
/// macro_rules! kept {
///     ($($promise:ident)*) => {$(
///         #[tokio::test]
///         async fn $promise() {
///             candor_harness::contract::spawner::$promise(&spawner(), &programs()).await;
///         }
///     )*};
/// }
/// candor_harness::spawner_promises!(kept);
/// ```
#[macro_export]
macro_rules! spawner_promises {
    ($callback:ident) => {
        $callback! {
            every_kind_of_exit_comes_back_exactly
            end_is_told_once_and_last
            dropped_wait_loses_no_fact
            launch_twice_is_one_process
            launch_after_the_end_makes_no_process
            signals_reach_the_process
            signals_reach_the_group
            signal_after_the_end_says_so
            sessions_do_not_meet
            missing_program_is_refused
            missing_folder_is_refused
            refused_launch_never_ran
            unlaunched_session_never_ran
            never_ran_is_final
            attach_finds_what_runs
            attach_after_the_end_repeats_itself
            input_is_read_in_its_order
            message_sent_twice_is_read_once
            ended_input_takes_nothing
            message_after_the_end_says_so
            input_that_is_not_held_is_at_its_end
            input_that_nobody_reads_gets_full
            message_that_is_too_long_is_not_read
        }
    };
}

/// What a program does when it is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Behaviour {
    /// It leaves at once with this exit code.
    Exits(u8),
    /// It dies at once of the signal with this number, without a core dump.
    DiesOf(u8),
    /// It waits for a signal, and dies of any that Candor sends except `SIGCONT`.
    Hangs,
    /// It reads its standard input to its end, and leaves with the [`digest`] of it.
    Digests,
    /// There is no such program.
    IsMissing,
    /// There is no such folder to run it in.
    HasNoFolder,
}

/// What to launch.
#[derive(Clone, Debug)]
pub struct Program {
    /// What to run, and how.
    pub spec: Spec,
    /// With which variables.
    pub environment: Environment,
}

/// Knows how to make a process behave, for one implementation: by a real program, or by a script
/// for a fake.
pub trait Programs: Send + Sync {
    /// Returns what to launch as `session` so that its process behaves like this. Called once
    /// before the launch.
    fn program(&self, session: SessionId, behaviour: Behaviour) -> Program;
}

/// Exit codes and signals that somebody somewhere takes for one another.
const CODES: [u8; 13] = [0, 1, 2, 9, 120, 124, 125, 126, 127, 130, 137, 143, 255];
const SIGNALS: [u8; 6] = [1, 2, 9, 13, 14, 15];

/// All that Candor sends.
const SENT: [Signal; 4] = [Signal::Interrupt, Signal::Terminate, Signal::Kill, Signal::Continue];

/// The error number for "no such file or directory".
const ENOENT: i32 = 2;

/// An exit code is that exit code, a signal that signal, and neither is ever the other.
pub async fn every_kind_of_exit_comes_back_exactly(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let codes = CODES.map(|code| (Behaviour::Exits(code), Exit::Code(code)));
    let signals = SIGNALS
        .map(|number| (Behaviour::DiesOf(number), Exit::Signal { number, core_dumped: false }));
    for (number, (behaviour, exit)) in (100..).zip(codes.into_iter().chain(signals)) {
        let process = up(spawner, programs, session_id(number), behaviour).await;
        assert_eq!(ending(&*process).await.exit, exit, "{behaviour:?}");
    }
}

/// The end is one fact, and nothing comes after it.
pub async fn end_is_told_once_and_last(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let process = up(spawner, programs, session_id(200), Behaviour::Exits(3)).await;
    ending(&*process).await;
    for _ in 0..3 {
        assert_eq!(process.next_fact().now_or_never(), None);
    }
}

/// A wait that was dropped took nothing away.
pub async fn dropped_wait_loses_no_fact(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let process = up(spawner, programs, session_id(300), Behaviour::Hangs).await;
    assert_eq!(process.next_fact().now_or_never(), None, "it hangs");
    assert_eq!(process.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*process).await.exit, killed(9));
}

/// The second launch hands the process of the first one back, or says that it does not know.
pub async fn launch_twice_is_one_process(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let session = session_id(400);
    let program = programs.program(session, Behaviour::Hangs);
    let first = launched(spawner, session, &program).await;
    let second = match spawner.launch(session, &program.spec, &program.environment).await {
        Launch::Up(process) => process,
        Launch::Unknown => attached(spawner, session).await,
        Launch::Refused { stage, errno } => panic!("refused: {stage:?}, {errno}"),
    };
    assert_eq!(first.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*first).await.exit, killed(9));
    let delivery = second.signal(Target::Process, Signal::Kill).await;
    assert_eq!(delivery, Delivery::AlreadyEnded, "there were two processes");
}

/// A session whose process has ended does not get another one.
pub async fn launch_after_the_end_makes_no_process(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let session = session_id(500);
    let program = programs.program(session, Behaviour::Exits(0));
    ending(&*launched(spawner, session, &program).await).await;
    match spawner.launch(session, &program.spec, &program.environment).await {
        Launch::Up(process) => {
            let delivery = process.signal(Target::Process, Signal::Kill).await;
            assert_eq!(delivery, Delivery::AlreadyEnded, "there were two processes");
        }
        Launch::Refused { .. } | Launch::Unknown => {}
    }
}

/// Each signal arrives as itself.
pub async fn signals_reach_the_process(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    signals_arrive(spawner, programs, Target::Process, 600).await;
}

/// Each signal to the group arrives at the process, which is in it.
pub async fn signals_reach_the_group(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    signals_arrive(spawner, programs, Target::Group, 700).await;
}

async fn signals_arrive(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
    target: Target,
    number: u64,
) {
    let deadly = [(Signal::Interrupt, 2), (Signal::Terminate, 15), (Signal::Kill, 9)];
    for (number, (signal, expected)) in (number..).zip(deadly) {
        let process = up(spawner, programs, session_id(number), Behaviour::Hangs).await;
        assert_eq!(process.signal(target, Signal::Continue).await, Delivery::Delivered);
        assert_eq!(process.signal(target, signal).await, Delivery::Delivered);
        assert_eq!(ending(&*process).await.exit, killed(expected));
    }
}

/// No signal is sent to what was a process.
pub async fn signal_after_the_end_says_so(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let process = up(spawner, programs, session_id(800), Behaviour::Exits(0)).await;
    ending(&*process).await;
    for target in [Target::Process, Target::Group] {
        for signal in SENT {
            assert_eq!(process.signal(target, signal).await, Delivery::AlreadyEnded);
        }
    }
}

/// What happens to one session does not happen to another.
pub async fn sessions_do_not_meet(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let one = up(spawner, programs, session_id(900), Behaviour::Hangs).await;
    let other = up(spawner, programs, session_id(901), Behaviour::Hangs).await;
    assert_eq!(one.signal(Target::Group, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*one).await.exit, killed(9));
    assert_eq!(other.next_fact().now_or_never(), None);
    assert_eq!(other.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(ending(&*other).await.exit, killed(15));
}

/// A program that is not there is told from a folder that is not there.
pub async fn missing_program_is_refused(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let refusal = refused(spawner, programs, session_id(1000), Behaviour::IsMissing).await;
    assert_eq!(refusal, (SpawnStage::Exec, ENOENT));
}

/// A folder that is not there is told from a program that is not there.
pub async fn missing_folder_is_refused(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let refusal = refused(spawner, programs, session_id(1100), Behaviour::HasNoFolder).await;
    assert_eq!(refusal, (SpawnStage::Folder, ENOENT));
}

/// What was refused left nothing behind that could be taken for a process.
pub async fn refused_launch_never_ran(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    for (number, behaviour) in (1200..).zip([Behaviour::IsMissing, Behaviour::HasNoFolder]) {
        refused(spawner, programs, session_id(number), behaviour).await;
        assert_eq!(Found::by(spawner, session_id(number)).await, Found::NeverRan, "{behaviour:?}");
    }
}

/// A session that nobody launched never ran, however often that is asked.
pub async fn unlaunched_session_never_ran(spawner: &dyn ProcessSpawner, _programs: &dyn Programs) {
    for _ in 0..3 {
        assert_eq!(Found::by(spawner, session_id(1300)).await, Found::NeverRan);
    }
}

/// What was said to have never run never runs.
pub async fn never_ran_is_final(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let session = session_id(1400);
    assert_eq!(Found::by(spawner, session).await, Found::NeverRan);
    let program = programs.program(session, Behaviour::Hangs);
    let launch = spawner.launch(session, &program.spec, &program.environment).await;
    assert!(matches!(launch, Launch::Refused { .. }), "a process came up");
    assert_eq!(Found::by(spawner, session).await, Found::NeverRan);
}

/// Who launched a process finds it, as often as it asks.
pub async fn attach_finds_what_runs(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let session = session_id(1500);
    let process = up(spawner, programs, session, Behaviour::Hangs).await;
    attached(spawner, session).await;
    let found = attached(spawner, session).await;
    assert_eq!(found.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(&*process).await.exit, killed(9));
}

/// Once a process is known gone, every answer is the same one.
pub async fn attach_after_the_end_repeats_itself(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let session = session_id(1600);
    let process = up(spawner, programs, session, Behaviour::Exits(7)).await;
    let ending = ending(&*process).await;
    let first = Found::by(spawner, session).await;
    assert!(matches!(first, Found::Lost(_)) || first == Found::Ended(ending), "{first:?}");
    for _ in 0..3 {
        assert_eq!(Found::by(spawner, session).await, first);
    }
}

/// An answer of `attach`, to compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Found {
    Up,
    Ended(Ending),
    Lost(LostReason),
    NeverRan,
    Unreachable,
}

impl Found {
    async fn by(spawner: &dyn ProcessSpawner, session: SessionId) -> Self {
        match spawner.attach(session).await {
            Attach::Up(_) => Self::Up,
            Attach::Ended(ending) => Self::Ended(ending),
            Attach::Lost(reason) => Self::Lost(reason),
            Attach::NeverRan => Self::NeverRan,
            Attach::Unreachable => Self::Unreachable,
        }
    }
}

const fn killed(number: u8) -> Exit {
    Exit::Signal { number, core_dumped: false }
}

async fn up(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
    session: SessionId,
    behaviour: Behaviour,
) -> Arc<dyn Process> {
    launched(spawner, session, &programs.program(session, behaviour)).await
}

async fn launched(
    spawner: &dyn ProcessSpawner,
    session: SessionId,
    program: &Program,
) -> Arc<dyn Process> {
    match spawner.launch(session, &program.spec, &program.environment).await {
        Launch::Up(process) => process,
        Launch::Refused { stage, errno } => panic!("refused: {stage:?}, {errno}"),
        Launch::Unknown => attached(spawner, session).await,
    }
}

async fn attached(spawner: &dyn ProcessSpawner, session: SessionId) -> Arc<dyn Process> {
    match spawner.attach(session).await {
        Attach::Up(process) => process,
        Attach::Ended(_) | Attach::Lost(_) | Attach::NeverRan | Attach::Unreachable => {
            panic!("the process of {session} was not found")
        }
    }
}

async fn refused(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
    session: SessionId,
    behaviour: Behaviour,
) -> (SpawnStage, i32) {
    let program = programs.program(session, behaviour);
    match spawner.launch(session, &program.spec, &program.environment).await {
        Launch::Refused { stage, errno } => (stage, errno),
        Launch::Up(_) => panic!("{behaviour:?} came up"),
        Launch::Unknown => panic!("{behaviour:?} was not refused"),
    }
}

async fn ending(process: &dyn Process) -> Ending {
    match process.next_fact().await {
        Fact::Ended(ending) => ending,
        Fact::Lost(reason) => panic!("lost: {reason:?}"),
    }
}
