//! One session by a shim whose calls are watched, and cut in one place.

use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use candor_adapters::process::await_end_of;
use candor_adapters::process::shim::{ShimProgram, ShimSpawner};
use candor_core::ports::{Attach, Fact, Launch, Process, ProcessSpawner};
use candor_core::session::SessionId;
use candor_core::verdict::{Exit, LostReason};
use candor_harness::contract::repository::chain::session_id;
use candor_harness::contract::spawner::Program;
use candor_harness::programs::RealPrograms;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::calls::{Call, Cut};

/// Nothing here takes a second. It is only meant to tell a hang from a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What makes a shim of the program.
const SHIM_WORD: &str = "__shim";

/// How the program ends: like nothing that could happen by itself.
const CODE: u8 = 42;

/// What does not come to an end, or to an answer.
pub(super) type Hang = &'static str;

/// What came of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// Whether the call was reached.
    pub(super) is_cut: bool,
    pub(super) is_refused: bool,
    /// Whether the daemon that launched it was told what the program did; `None` when it was told
    /// nothing, or that nobody knows.
    pub(super) was_told_truth: Option<bool>,
    /// What two later daemons find.
    pub(super) found: [Found; 2],
    /// How often the program ran.
    pub(super) runs: usize,
}

/// What a daemon finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// The exit that the program had.
    Truth,
    OtherExit,
    NeverRan,
    ShimKilled,
    BadRecord,
    OtherLoss,
    /// It is out of reach for ever.
    Nothing,
}

impl Found {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Truth => "true exits",
            Self::OtherExit => "wrong exits",
            Self::NeverRan => "never ran",
            Self::ShimKilled => "lost with the shim",
            Self::BadRecord => "lost with a damaged record",
            Self::OtherLoss => "lost otherwise",
            Self::Nothing => "unknown",
        }
    }

    fn of(fact: Fact) -> Self {
        match fact {
            Fact::Ended(ending) if ending.exit == Exit::Code(CODE) => Self::Truth,
            Fact::Ended(_) => Self::OtherExit,
            Fact::Lost(LostReason::ShimKilled | LostReason::ShimAndDaemonKilled) => {
                Self::ShimKilled
            }
            Fact::Lost(LostReason::BadRecord) => Self::BadRecord,
            Fact::Lost(_) => Self::OtherLoss,
        }
    }
}

/// A folder with one session.
struct Stage {
    home: TempDir,
    session: SessionId,
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("work")).unwrap();
        Self { home, session: session_id(1) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns a spawner whose shims are started by these words and their own.
    fn spawner(&self, words: &[OsString]) -> ShimSpawner {
        let shim = shim();
        let program = match words {
            [] => shim,
            [program, words @ ..] => {
                let own = [shim.path.into()].into_iter().chain(shim.arguments);
                let arguments = words.iter().cloned().chain(own).collect();
                ShimProgram { path: program.into(), arguments }
            }
        };
        ShimSpawner::new(self.path("sessions"), program)
    }

    /// Returns one whose shim is watched, and what will be told of its calls once it is gone.
    fn watched(&self, options: &[String]) -> (ShimSpawner, oneshot::Receiver<String>) {
        let trace = self.path("trace");
        let made = Command::new("mkfifo").arg(&trace).status();
        assert!(made.unwrap().success());
        let mut words: Vec<OsString> = vec!["/usr/bin/strace".into(), "-o".into(), (&trace).into()];
        words.extend(options.iter().map(Into::into));
        let (tell, told) = oneshot::channel();
        // A thread of its own, so that nobody waits for it when there is never a shim.
        thread::spawn(move || tell.send(fs::read_to_string(trace).unwrap()));
        (self.spawner(&words), told)
    }

    /// Waits until no process of the session is left: all of them stand somewhere in here.
    async fn emptied(&self) -> Result<(), Hang> {
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
                continue;
            };
            // First get hold of it, then look whether it is one of them.
            let ended = await_end_of(pid);
            if fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.home.path())) {
                let ended = timeout(PATIENCE, ended).await;
                ended.map_err(|_elapsed| "a process of the session stays")?.unwrap();
            }
        }
        Ok(())
    }

    async fn launch(&self, spawner: &ShimSpawner) -> Result<Launch, Hang> {
        let script = format!("echo ran >> ran; echo hello; exit {CODE}");
        let Program { spec, environment } =
            RealPrograms::new(self.path("work")).command("/bin/sh", ["-c", &script]);
        let launch = spawner.launch(self.session, &spec, &environment);
        timeout(PATIENCE, launch).await.map_err(|_elapsed| "the launch has no answer")
    }

    /// Asks as the next daemon does, until there is an answer.
    async fn found(&self) -> Found {
        let spawner = self.spawner(&[]);
        let asked = timeout(PATIENCE, async {
            loop {
                match spawner.attach(self.session).await {
                    Attach::Up(process) => return Found::of(process.next_fact().await),
                    Attach::Ended(ending) => return Found::of(Fact::Ended(ending)),
                    Attach::Lost(reason) => return Found::of(Fact::Lost(reason)),
                    Attach::NeverRan => return Found::NeverRan,
                    Attach::Unreachable => {}
                }
            }
        });
        asked.await.unwrap_or(Found::Nothing)
    }

    /// Returns how often the program ran.
    fn runs(&self) -> usize {
        fs::read_to_string(self.path("work/ran")).map_or(0, |lines| lines.lines().count())
    }
}

/// Returns the shim of the program under test.
fn shim() -> ShimProgram {
    ShimProgram { path: env!("CARGO_BIN_EXE_candor").into(), arguments: vec![SHIM_WORD.into()] }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a session whole, and returns the calls of its shim.
pub(super) fn trace() -> Vec<Call> {
    runtime().block_on(async {
        let stage = Stage::new();
        let (spawner, trace) = stage.watched(&[]);
        let launch = stage.launch(&spawner).await;
        let Ok(Launch::Up(process)) = launch else { panic!("it is not up") };
        assert_eq!(end_of(&*process).await.map(Found::of), Ok(Found::Truth));
        assert_eq!(stage.runs(), 1);
        Call::all(&trace.await.unwrap())
    })
}

/// Makes each cut in a run of its own, several at the same time.
pub(super) fn all(cuts: &[Cut], at_once: NonZeroUsize) -> Vec<Result<Run, Hang>> {
    let next = AtomicUsize::new(0);
    let mut runs: Vec<(usize, Result<Run, Hang>)> = thread::scope(|scope| {
        let work = || {
            let runtime = runtime();
            let mut done = Vec::new();
            while let Some((at, cut)) = take(cuts, &next) {
                done.push((at, runtime.block_on(run(cut))));
            }
            done
        };
        let workers: Vec<_> = (0..at_once.get()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    runs.sort_by_key(|(at, _)| *at);
    runs.into_iter().map(|(_, run)| run).collect()
}

fn take<'cuts>(cuts: &'cuts [Cut], next: &AtomicUsize) -> Option<(usize, &'cuts Cut)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    cuts.get(at).map(|cut| (at, cut))
}

async fn run(cut: &Cut) -> Result<Run, Hang> {
    let stage = Stage::new();
    let options = [format!("--trace={}", cut.watched()), "-e".into(), cut.injection()];
    let (spawner, trace) = stage.watched(&options);
    let launch = stage.launch(&spawner).await?;
    let is_refused = matches!(launch, Launch::Refused { .. });
    let told = match &launch {
        Launch::Up(process) => Some(Found::of(end_of(&**process).await?)),
        Launch::Refused { .. } | Launch::Unknown => None,
    };
    let was_told_truth = match told {
        Some(Found::ShimKilled | Found::BadRecord) | None => None,
        Some(found) => Some(found == Found::Truth),
    };
    let found = [stage.found().await, stage.found().await];
    let trace = timeout(PATIENCE, trace).await.map_err(|_elapsed| "the shim stays")?.unwrap();
    stage.emptied().await?;
    // Somebody who launches it again makes no second process of what ran.
    if stage.runs() > 0 {
        drop(stage.launch(&stage.spawner(&[])).await?);
    }
    let is_cut = trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL");
    Ok(Run { is_cut, is_refused, was_told_truth, found, runs: stage.runs() })
}

async fn end_of(process: &dyn Process) -> Result<Fact, Hang> {
    timeout(PATIENCE, process.next_fact()).await.map_err(|_elapsed| "nobody is told of an end")
}
