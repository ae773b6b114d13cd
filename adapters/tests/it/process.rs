//! The spawners with real processes: the direct one here and below, the one with shims in `shim`.

mod attach;
mod exits;
mod helper;
mod inheritance;
mod many;
mod output;
mod refusals;
mod tree;

// These look into /proc.
#[cfg(target_os = "linux")]
mod background;
#[cfg(target_os = "linux")]
mod crash;
#[cfg(target_os = "linux")]
mod signals;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use candor_adapters::ids::UuidV7Source;
#[cfg(target_os = "linux")]
use candor_adapters::process::shim::ShimSpawner;
use candor_adapters::process::{Chunk, DirectSpawner, Outputs, Stream};
use candor_core::ports::{
    Attach, Ending, Environment, Fact, IdSource as _, Launch, Process, ProcessSpawner,
};
use candor_core::session::SessionId;
use candor_core::verdict::{Exit, SpawnStage};
use candor_harness::contract::spawner::Program;
use candor_harness::programs::RealPrograms;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use helper::Role;

/// Nothing here takes a second. It is only meant to tell a hang from a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

macro_rules! kept {
    ($($promise:ident)*) => {
        /// Each promise with a spawner of its own.
        mod contract {
            $(
                #[tokio::test]
                async fn $promise() {
                    let stage = super::Stage::new();
                    let promise = candor_harness::contract::spawner::$promise;
                    promise(&*stage.spawner, &stage.programs).await;
                }
            )*
        }
    };
}
candor_harness::spawner_promises!(kept);

// Below the macro, which it uses as well.
#[cfg(target_os = "linux")]
mod shim;

/// Which spawner is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Direct,
    #[cfg(target_os = "linux")]
    Shim,
}

impl Kind {
    /// Makes one on this folder of sessions.
    fn spawner(self, sessions: PathBuf) -> Arc<dyn ProcessSpawner> {
        match self {
            Self::Direct => Arc::new(DirectSpawner::new(sessions)),
            #[cfg(target_os = "linux")]
            Self::Shim => Arc::new(ShimSpawner::new(sessions, shim::program())),
        }
    }

    /// Returns the name, below the folder of sessions, of what says that a session's process is up.
    fn record(self, session: SessionId) -> PathBuf {
        match self {
            Self::Direct => format!("{session}.identity").into(),
            #[cfg(target_os = "linux")]
            Self::Shim => format!("{session}.shim/started").into(),
        }
    }
}

/// A spawner with a home of its own, and a folder to run programs in.
struct Stage {
    kind: Kind,
    home: TempDir,
    spawner: Arc<dyn ProcessSpawner>,
    programs: RealPrograms,
}

impl Stage {
    fn new() -> Self {
        Self::of(Kind::Direct)
    }

    fn of(kind: Kind) -> Self {
        let home = tempfile::tempdir().unwrap();
        let work = home.path().join("work");
        fs::create_dir(&work).unwrap();
        let spawner = kind.spawner(home.path().join("sessions"));
        Self { kind, home, spawner, programs: RealPrograms::new(work) }
    }

    /// Returns the command that plays a role with this home and this kind of spawner.
    fn helper(&self, role: Role, wrapper: &[&str], token: &str) -> Command {
        helper::command(role, self.kind, self.home.path(), wrapper, token)
    }

    /// Returns the file that says that a session's process is up.
    fn record(&self, session: SessionId) -> PathBuf {
        self.sessions().join(self.kind.record(session))
    }

    fn sessions(&self) -> PathBuf {
        self.home.path().join("sessions")
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    fn outputs(&self) -> Outputs {
        Outputs::new(self.sessions())
    }

    /// Returns all that a session has printed until now.
    fn printed(&self, session: SessionId, stream: Stream) -> Vec<u8> {
        let reader = self.outputs().open(session, stream).unwrap();
        let mut printed = Vec::new();
        loop {
            let chunk = bytes(reader.read_at(printed.len() as u64, u64::MAX).unwrap());
            if chunk.is_empty() {
                return printed;
            }
            printed.extend(chunk);
        }
    }

    /// Makes a fifo in the work folder.
    fn fifo(&self, name: &str) -> PathBuf {
        fifo(&self.work(), name)
    }

    async fn launch(&self, program: &Program) -> Launch {
        self.launch_as(UuidV7Source.session_id(), program).await
    }

    async fn launch_as(&self, session: SessionId, program: &Program) -> Launch {
        let Program { spec, environment } = program;
        timeout(PATIENCE, self.spawner.launch(session, spec, environment)).await.unwrap()
    }

    async fn up(&self, program: &Program) -> (SessionId, Arc<dyn Process>) {
        let session = UuidV7Source.session_id();
        match self.launch_as(session, program).await {
            Launch::Up(process) => (session, process),
            Launch::Refused { stage, errno } => panic!("refused: {stage:?}, {errno}"),
            Launch::Unknown => panic!("unknown"),
        }
    }

    async fn agent_up(&self, arguments: &[&str]) -> (SessionId, Arc<dyn Process>) {
        self.up(&self.programs.agent(arguments)).await
    }

    async fn refusal(&self, program: &Program) -> (SpawnStage, i32) {
        match self.launch(program).await {
            Launch::Refused { stage, errno } => (stage, errno),
            Launch::Up(_) => panic!("{:?} came up", program.spec.command),
            Launch::Unknown => panic!("unknown"),
        }
    }

    /// Asks like a later daemon, which knows nothing but the files.
    async fn attach_afresh(&self, session: SessionId) -> Attach {
        let spawner = self.kind.spawner(self.sessions());
        timeout(PATIENCE, spawner.attach(session)).await.unwrap()
    }
}

/// Returns the bytes of a chunk that is nothing else.
#[track_caller]
fn bytes(chunk: Chunk) -> Vec<u8> {
    match chunk {
        Chunk::Bytes(bytes) => bytes,
        other => panic!("no bytes: {other:?}"),
    }
}

fn fifo(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

async fn ending(process: &dyn Process) -> Ending {
    match timeout(PATIENCE, process.next_fact()).await.expect("it ends") {
        Fact::Ended(ending) => ending,
        Fact::Lost(reason) => panic!("lost: {reason:?}"),
    }
}

async fn exit(process: &dyn Process) -> Exit {
    ending(process).await.exit
}

/// Does something that may block for as long as another process likes. A thread of its own, so that
/// a test that fails does not wait for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || drop(sender.send(work())));
    timeout(PATIENCE, receiver)
        .await
        .expect("it does not take for ever")
        .expect("it does not panic")
}

/// Opens a fifo that processes hold, once the first of them does.
async fn held(fifo: &Path) -> BufReader<File> {
    let fifo = fifo.to_owned();
    aside(move || {
        let mut reader = BufReader::new(File::open(fifo).unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        reader
    })
    .await
}

/// Waits until no process holds the fifo any more.
async fn released(mut reader: BufReader<File>) {
    aside(move || reader.read_to_end(&mut Vec::new()).unwrap()).await;
}

/// Waits for a line from a fifo.
async fn line_from(fifo: &Path) -> String {
    let fifo = fifo.to_owned();
    aside(move || {
        let mut line = String::new();
        BufReader::new(File::open(fifo).unwrap()).read_line(&mut line).unwrap();
        line
    })
    .await
}

/// Writes a line to a fifo that somebody waits for.
async fn line_to(fifo: &Path) {
    let fifo = fifo.to_owned();
    aside(move || {
        OpenOptions::new().write(true).open(fifo).unwrap().write_all(b"go\n").unwrap();
    })
    .await;
}

/// Returns the environment with these variables.
fn environment(variables: &[(&[u8], &[u8])]) -> Environment {
    let bytes = |text: &[u8]| candor_core::bytes::ByteString::new(text.to_vec()).unwrap();
    let pairs = variables.iter().map(|(name, value)| (bytes(name), bytes(value)));
    Environment::new(pairs.collect())
}
