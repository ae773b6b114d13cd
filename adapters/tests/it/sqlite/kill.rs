//! A daemon that is killed at any moment: what it acknowledged is there, and nothing is half there.
//!
//! The daemon is this test program once more, told by its environment to be the child.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::str::FromStr;

use candor_adapters::sqlite::SqliteStore;
use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::ports::{Change, CommitError, Repository as _};
use candor_core::session::SessionId;
use candor_core::stop::StopKind;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Home, assert_sound, skip};

const DATABASE: &str = "CANDOR_TEST_DATABASE";
const TASK: &str = "CANDOR_TEST_TASK";
const FIRST_SESSION: &str = "CANDOR_TEST_FIRST_SESSION";

/// Sessions that the child writes at the same time.
const WRITERS: u64 = 8;

/// What the child says when a change is acknowledged.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Ack {
    session: Uuid,
    revision: u64,
    event: Uuid,
    seq: u64,
}

impl Ack {
    fn of(change: &Change, seq: Seq) -> Self {
        Self {
            session: *change.session.id.as_uuid(),
            revision: change.session.revision().number(),
            event: *change.event.id.as_uuid(),
            seq: seq.number(),
        }
    }

    fn say(self) {
        let Self { session, revision, event, seq } = self;
        say(&format!("ack {session} {revision} {event} {seq}"));
    }
}

impl FromStr for Ack {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let parts: Vec<_> = line.split(' ').collect();
        let ["ack", session, revision, event, seq] = parts[..] else { return Err(()) };
        Ok(Self {
            session: session.parse().map_err(drop)?,
            revision: revision.parse().map_err(drop)?,
            event: event.parse().map_err(drop)?,
            seq: seq.parse().map_err(drop)?,
        })
    }
}

fn say(line: &str) {
    // One call for the whole line, which a kill cannot cut.
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// This is no test but the child of the others; run as a test it does nothing.
#[tokio::test]
async fn child() {
    let Some(database) = env::var_os(DATABASE) else { return };
    let first: u64 = env::var(FIRST_SESSION).unwrap().parse().unwrap();
    // The test runner has begun a line of its own.
    say("\nopens");
    let store = match SqliteStore::open(Path::new(&database)) {
        Ok(store) => store,
        Err(error) => return say(&format!("cannot open: {error}")),
    };
    match env::var(TASK).unwrap().as_str() {
        "endless" => write_endlessly(&store, first).await,
        "doubt" => write_with_doubts(&store, first).await,
        "queue" => write_behind_another(&store, first).await,
        task => panic!("no such task: {task}"),
    }
}

/// The inputs of a life after its launch.
fn inputs() -> [Input; 5] {
    [
        Input::Spawned,
        Input::RequestOpened,
        Input::RequestClosed,
        Input::Stop(StopKind::Interrupt),
        exited(Exit::Signal { number: 2, core_dumped: false }, false),
    ]
}

async fn write_endlessly(store: &SqliteStore, first: u64) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0.. {
                let mut chain = Chain::launched(session_id(first + number * WRITERS + writer));
                for input in inputs() {
                    let seq = store.commit(chain.change()).await.unwrap();
                    Ack::of(chain.change(), seq).say();
                    chain.step(input);
                }
                let seq = store.commit(chain.change()).await.unwrap();
                Ack::of(chain.change(), seq).say();
            }
        });
    }
    writers.join_all().await;
}

/// Writes one life after the other as a supervisor does: where the answer is unknown, the row
/// decides; where nothing was stored, it tries again. After too many attempts it gives up.
async fn write_with_doubts(store: &SqliteStore, first: u64) {
    for number in 0..3 {
        let life = inputs().into_iter().fold(
            Chain::launched(session_id(first + number)),
            |mut chain, input| {
                chain.step(input);
                chain
            },
        );
        for change in life.life() {
            if !is_stored(store, change).await {
                return say("gives up");
            }
        }
    }
    store.close().await.unwrap();
    say("done");
}

async fn is_stored(store: &SqliteStore, change: &Change) -> bool {
    const ATTEMPTS_MAX: u32 = 5;

    for _ in 0..ATTEMPTS_MAX {
        let error = match store.commit(change).await {
            Ok(seq) => {
                Ack::of(change, seq).say();
                return true;
            }
            Err(error) => error,
        };
        say(&format!("refused {error}"));
        let mut row = store.load(change.session.id).await;
        for _ in 0..ATTEMPTS_MAX {
            if row.is_err() {
                row = store.load(change.session.id).await;
            }
        }
        let Ok(row) = row else { return false };
        let ours = row.filter(|row| row.last_event == change.event.id);
        if matches!(error, CommitError::Unknown { .. }) {
            say(&format!("doubt {}", ours.is_some()));
        }
        if let Some(row) = ours {
            Ack::of(change, row.last_seq).say();
            return true;
        }
    }
    false
}

/// Writes three changes, a fourth that takes long, and one that comes while the writer is busy with
/// it.
async fn write_behind_another(store: &SqliteStore, first: u64) {
    for number in 1..=3 {
        store.commit(Chain::launched(session_id(first + number)).change()).await.unwrap();
    }
    let chains = [4, 5].map(|number| Chain::launched(session_id(first + number)));
    let mut commits = Vec::new();
    for chain in &chains {
        let change = chain.change().clone();
        let theirs = store.clone();
        commits.push(tokio::spawn(async move { theirs.commit(&change).await }));
        // The first one is in the writer's hands before the second one comes.
        tokio::task::yield_now().await;
        while commits.len() == 1 && store.counters().waiting > 0 {
            tokio::task::yield_now().await;
        }
    }
    for commit in commits {
        say(&format!("refused {}", commit.await.unwrap().unwrap_err()));
    }
    for chain in &chains {
        let row = store.load(chain.session().id).await.unwrap();
        say(&format!("doubt {}", row.is_some()));
    }
    say("done");
}

/// The child, from outside.
pub(super) struct Child {
    process: process::Child,
    lines: Option<std::io::Lines<BufReader<process::ChildStdout>>>,
}

impl Child {
    /// Starts this program as a child, by `command`, whose arguments so far come first.
    pub(super) fn start(mut command: Command, home: &Home, task: &str, first: u64) -> Self {
        let mut process = command
            .args(["--exact", "sqlite::kill::child", "--nocapture", "--test-threads=1"])
            .env(DATABASE, &home.database)
            .env(TASK, task)
            .env(FIRST_SESSION, first.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = process.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        Self { process, lines }
    }

    /// Returns what it says, up to its end.
    pub(super) fn lines(&mut self) -> impl Iterator<Item = String> {
        let says = |line: &String| {
            let words = ["ack ", "opens", "cannot open", "doubt ", "refused ", "gives up", "done"];
            words.iter().any(|word| line.starts_with(word))
        };
        self.lines.as_mut().into_iter().flatten().map(Result::unwrap).filter(says)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    pub(super) fn wait(mut self) {
        self.process.wait().unwrap();
    }
}

fn itself() -> Command {
    Command::new(env::current_exe().unwrap())
}

/// Returns a command that runs this program and injects a fault into its system calls, or none,
/// and says so, where that cannot be done.
pub(super) fn strace(fault: &str) -> Option<Command> {
    let calls = fault.split(':').next().unwrap();
    let arguments = |command: &mut Command| {
        command.args(["-f", "-qq", "-o", "/dev/null"]);
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={fault}")]);
    };
    let mut probe = Command::new("strace");
    arguments(&mut probe);
    let works = probe.arg("true").output().is_ok_and(|output| output.status.success());
    if !works {
        skip("no strace that may trace here");
        return None;
    }
    let mut command = Command::new("strace");
    arguments(&mut command);
    command.arg(env::current_exe().unwrap());
    Some(command)
}

/// Asserts that every acknowledged change is there, and that no session has a gap or half a change.
pub(super) async fn verify(home: &Home, acks: &[Ack]) {
    let store = home.open();
    let mut stories = BTreeMap::new();
    for session in acks.iter().map(|ack| ack.session).collect::<BTreeSet<_>>() {
        let id = SessionId::from_uuid(session);
        let page = store.session_events(id, Seq::START, 100).await.unwrap();
        assert!(page.damaged.is_empty(), "{page:?}");
        let row = store.load(id).await.unwrap().unwrap();
        let last = page.events.last().unwrap();
        assert_eq!((last.seq, last.event.id), (row.last_seq, row.last_event));
        assert_eq!(page.events.len() as u64, row.session.revision().number());
        for (stored, revision) in page.events.iter().zip(1..) {
            assert_eq!(stored.event.revision.number(), revision, "{page:?}");
        }
        stories.insert(session, page.events);
    }
    for ack in acks {
        let stored = stories[&ack.session][ack.revision as usize - 1];
        assert_eq!((*stored.event.id.as_uuid(), stored.seq.number()), (ack.event, ack.seq));
    }
    assert_sound(home).await;
    store.close().await.unwrap();
}

/// Kills the child after so many acknowledgements, again and again on one database.
#[tokio::test]
async fn killed_after_any_number_of_acks() {
    let home = Home::new();
    let mut acks = Vec::new();
    let mut first = 0;
    for count in [0, 1, 2, 3, 5, 8, 40, 200, 1_000] {
        let mut child = Child::start(itself(), &home, "endless", first);
        assert_eq!(child.lines().next().as_deref(), Some("opens"));
        let new: Vec<Ack> =
            child.lines().filter_map(|line| line.parse().ok()).take(count).collect();
        assert_eq!(new.len(), count, "the child broke off by itself");
        acks.extend(new);
        child.kill();
        // What it said before it died counts as well.
        acks.extend(child.lines().filter_map(|line| line.parse::<Ack>().ok()));
        child.wait();
        verify(&home, &acks).await;
        first += 1_000_000;
    }
}

/// Kills the child as it is about to write, sync or cut a file, at each of the first calls: while it
/// makes the database, opens it, stores, and closes it.
#[tokio::test]
async fn killed_before_any_system_call() {
    let mut kills = 0;
    for call in ["pwrite64", "fsync", "ftruncate", "linkat", "unlink"] {
        // Each thread counts its own calls.
        for count in [1, 2, 3, 4, 6, 8, 16, 32, 64] {
            let Some(command) = strace(&format!("{call}:signal=SIGKILL:when={count}")) else {
                return;
            };
            let home = Home::new();
            let mut child = Child::start(command, &home, "doubt", 0);
            let lines: Vec<_> = child.lines().collect();
            child.wait();
            let acks: Vec<Ack> = lines.iter().filter_map(|line| line.parse().ok()).collect();
            verify(&home, &acks).await;
            assert_eq!(home.files(), ["db"]);
            if lines.last().is_some_and(|line| line == "done") {
                // It makes fewer such calls.
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 10, "{kills}: the faults did not come where they should");
}
