//! A process of its own for what must not happen to the test: being killed, ignoring signals,
//! closing descriptors.
//!
//! It is the test executable once more, which runs the one test [`entry`] and there plays a role.
//! Where nobody gave it a role, that test has nothing to do.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use candor_adapters::process::become_daemon;
use candor_core::ports::{Attach, Fact, Launch};
use candor_harness::contract::repository::chain::session_id;
use candor_harness::programs::{RealPrograms, fake_agent};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::Kind;

const ROLE: &str = "CANDOR_TEST_ROLE";
const KIND: &str = "CANDOR_TEST_SPAWNER";
const HOME: &str = "CANDOR_TEST_HOME";
const PROGRAM: &str = "CANDOR_TEST_PROGRAM";

/// The session that [`Role::Launch`] launches.
pub(super) const SESSION: u64 = 1;

/// The exit code after which everything went as planned: none that a test runner gives.
pub(super) const PLAYED: i32 = 42;

/// What the helper does.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "some are asked for by tests that look into /proc")
)]
pub(super) enum Role {
    /// Launches one session, prints "up", and waits for its end.
    Launch,
    /// Launches sessions from number 0 on for ever, and prints "begin NUMBER" before each.
    LaunchMany,
    /// Launches with ever more free descriptors, from none on, until one comes up. Every one before
    /// must be refused for want of descriptors, and leave nothing behind.
    RunOutOfDescriptors,
    /// Launches one session, kills its shim, and is told the exit all the same, as the parent to
    /// which the process falls.
    Adopt,
    /// Becomes a daemon, and writes its status, descriptors and folder into its home.
    BecomeDaemon,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::LaunchMany => "launch-many",
            Self::RunOutOfDescriptors => "run-out-of-descriptors",
            Self::Adopt => "adopt",
            Self::BecomeDaemon => "become-daemon",
        }
    }
}

/// Returns the command that plays a role in `home`, where the sessions are in `sessions` and the
/// programs run in `work`. `wrapper` is what starts it, such as `env` with options. `token` shows in
/// its command line.
pub(super) fn command(
    role: Role,
    kind: Kind,
    home: &Path,
    wrapper: &[&str],
    token: &str,
) -> Command {
    let executable = env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(executable),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(executable);
            command
        }
    };
    command.args(["process::helper::entry", "--exact", "--nocapture", "--test-threads=1", token]);
    command.env(ROLE, role.as_str()).env(KIND, format!("{kind:?}")).env(HOME, home);
    command
}

/// Sets the program that [`Role::Launch`] runs.
pub(super) fn program<'text>(
    command: &mut Command,
    words: impl IntoIterator<Item = &'text str>,
) -> &mut Command {
    let words: Vec<_> = words.into_iter().collect();
    command.env(PROGRAM, words.join("\n"))
}

#[test]
fn entry() {
    let Ok(role) = env::var(ROLE) else {
        return;
    };
    let home = PathBuf::from(env::var_os(HOME).unwrap());
    match role.as_str() {
        "launch" => in_runtime(launch(&home)),
        "launch-many" => in_runtime(launch_many(&home)),
        "run-out-of-descriptors" => in_runtime(run_out_of_descriptors(&home)),
        #[cfg(target_os = "linux")]
        "adopt" => in_runtime(super::shim::adopt(&home)),
        "become-daemon" => daemon(&home),
        _ => panic!("no role {role}"),
    }
    process::exit(PLAYED);
}

/// Returns the kind of spawner that the helper was told to use.
fn kind() -> Kind {
    match env::var(KIND).unwrap().as_str() {
        #[cfg(target_os = "linux")]
        "Shim" => Kind::Shim,
        _ => Kind::Direct,
    }
}

fn in_runtime(play: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(play);
}

fn tell(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").unwrap();
    output.flush().unwrap();
}

async fn launch(home: &Path) {
    let words = env::var(PROGRAM).unwrap();
    let mut words = words.split('\n');
    let programs = RealPrograms::new(home.join("work"));
    let program = programs.command(words.next().unwrap(), words);
    let spawner = kind().spawner(home.join("sessions"));
    match spawner.launch(session_id(SESSION), &program.spec, &program.environment).await {
        Launch::Up(process) => {
            tell("up");
            match process.next_fact().await {
                Fact::Ended(_) => {}
                Fact::Lost(reason) => panic!("lost: {reason:?}"),
            }
        }
        Launch::Refused { stage, errno } => panic!("refused: {stage:?}, {errno}"),
        Launch::Unknown => panic!("unknown"),
    }
}

async fn launch_many(home: &Path) {
    let programs = RealPrograms::new(home.join("work"));
    let spawner = kind().spawner(home.join("sessions"));
    // Kept, as a daemon keeps them.
    let mut processes = Vec::new();
    for number in 0.. {
        tell(&format!("begin {number}"));
        let session = session_id(number);
        // A line for each time that it runs.
        let agent = fake_agent().display();
        let script = format!("echo ran >> ran-{session}; exec {agent} --hang");
        let program = programs.command("/bin/sh", ["-c", &script]);
        match spawner.launch(session, &program.spec, &program.environment).await {
            Launch::Up(process) => processes.push(process),
            Launch::Refused { stage, errno } => panic!("refused: {stage:?}, {errno}"),
            Launch::Unknown => panic!("unknown"),
        }
    }
}

async fn run_out_of_descriptors(home: &Path) {
    /// Enough for what the helper itself has open.
    const DESCRIPTORS_MAX: u64 = 64;

    let programs = RealPrograms::new(home.join("work"));
    let program = programs.agent(["--exit", "0"]);
    let sessions = home.join("sessions");
    let spawner = kind().spawner(sessions.clone());
    let limit = Rlimit { current: Some(DESCRIPTORS_MAX), maximum: Some(DESCRIPTORS_MAX) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut refused = 0;
    loop {
        let session = session_id(refused);
        match spawner.launch(session, &program.spec, &program.environment).await {
            Launch::Up(process) => {
                process.next_fact().await;
                break;
            }
            Launch::Refused { stage: _, errno } => {
                assert_eq!(errno, Errno::MFILE.raw_os_error());
                refused += 1;
                // Each step of a launch meets the lack once.
                taken.pop().expect("some number of descriptors is enough");
            }
            Launch::Unknown => panic!("unknown"),
        }
    }
    drop(taken);
    let least = match kind() {
        // Two outputs, their two copies for the child, two pipes and more.
        Kind::Direct => 10,
        // The socket, and a few at a time. The rest is the shim's.
        #[cfg(target_os = "linux")]
        Kind::Shim => 3,
    };
    assert!(refused > least, "{refused}");
    let mut left: Vec<_> = fs::read_dir(sessions)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let up = session_id(refused);
    let record = kind().record(up);
    let record = record.iter().next().unwrap().to_str().unwrap();
    assert_eq!(left, [up.to_string().as_str(), record]);
    for number in 0..refused {
        assert!(matches!(spawner.attach(session_id(number)).await, Attach::NeverRan));
    }
}

fn daemon(home: &Path) {
    become_daemon().unwrap();
    // A mask belongs to a thread, and a test may not run on the first.
    let status = fs::read("/proc/thread-self/status").unwrap();
    fs::write(home.join("status"), status).unwrap();
    let folder = env::current_dir().unwrap();
    fs::write(home.join("folder"), folder.as_os_str().as_encoded_bytes()).unwrap();
    // The listing itself has one open.
    let names = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let open: Vec<_> = names.collect();
    let still = |name: &&std::ffi::OsString| Path::new("/proc/self/fd").join(name).exists();
    let open: Vec<_> = open.iter().filter(still).map(|name| OsStr::to_str(name).unwrap()).collect();
    fs::write(home.join("descriptors"), open.join(" ")).unwrap();
    let session = rustix::process::getsid(None).unwrap();
    let leads = session == rustix::process::getpid();
    fs::write(home.join("leads_session"), leads.to_string()).unwrap();
}
