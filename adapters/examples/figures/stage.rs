//! What both measurements need.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::ids::UuidV7Source;
use candor_adapters::process::shim::{ShimProgram, ShimSpawner};
use candor_core::ports::{Ending, Fact, IdSource as _, Launch, Process, ProcessSpawner};
use candor_harness::contract::spawner::Program;

/// The word that makes this program a shim.
pub(crate) const SHIM: &str = "shim";

/// Returns a spawner whose shims are this program.
pub(crate) fn shims(sessions: &Path) -> ShimSpawner {
    let program = ShimProgram { path: "/proc/self/exe".into(), arguments: vec![SHIM.into()] };
    ShimSpawner::new(sessions.to_owned(), program)
}

/// Launches a program as a session of its own.
pub(crate) async fn launch(spawner: &dyn ProcessSpawner, program: &Program) -> Arc<dyn Process> {
    let session = UuidV7Source.session_id();
    match spawner.launch(session, &program.spec, &program.environment).await {
        Launch::Up(process) => process,
        Launch::Refused { stage, errno } => panic!("refused: {stage:?}, {errno}"),
        Launch::Unknown => panic!("nobody knows what became of a launch"),
    }
}

/// Waits for the end, and returns how it was.
pub(crate) async fn ended(process: &dyn Process) -> Ending {
    match process.next_fact().await {
        Fact::Ended(ending) => ending,
        Fact::Lost(reason) => panic!("lost: {reason:?}"),
    }
}

/// Runs it as the daemon runs: with two threads.
pub(crate) fn in_runtime<T>(play: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("there is a runtime").block_on(play)
}

/// Returns it as whole nanoseconds.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
