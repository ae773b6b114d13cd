//! What a later daemon finds of a session.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use candor_adapters::process::boot_id;
use candor_core::ports::Attach;
use candor_core::session::SessionId;
use candor_core::verdict::LostReason;
use candor_harness::contract::repository::chain::session_id;
use candor_harness::programs::fake_agent;

use super::helper::{self, Role};
use super::{Stage, held, released};

/// A process that no session started. It is checked to be alive at the end.
struct Canary(Child);

impl Canary {
    fn new() -> Self {
        Self(Command::new(fake_agent()).arg("--hang").spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The start time as the kernel tells it, in the unit of the identity.
    #[cfg(target_os = "linux")]
    fn start_mark(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(22 - 3).unwrap().parse().unwrap()
    }

    fn stayed_unharmed(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it was sent a signal");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Writes an identity as a daemon would have.
fn write_identity(stage: &Stage, session: SessionId, json: &str) -> PathBuf {
    let crc32 = crc32fast::hash(json.as_bytes());
    let path = stage.sessions().join(format!("{session}.identity"));
    fs::create_dir_all(stage.sessions()).unwrap();
    fs::write(&path, format!("v1 {} {json} {crc32:08x}\n", json.len())).unwrap();
    path
}

fn identity(session: SessionId, pid: u32, start_mark: u64, boot_id: &str) -> String {
    let boot_id = serde_json::to_string(boot_id).unwrap();
    format!(
        r#"{{"session":"{session}","pid":{pid},"start_mark":{start_mark},"boot_id":{boot_id}}}"#
    )
}

async fn assert_lost(stage: &Stage, session: SessionId, reason: LostReason) {
    // Three daemons, one after the other, and the last one asked twice.
    for _ in 0..2 {
        let answer = stage.attach_afresh(session).await;
        assert!(matches!(answer, Attach::Lost(found) if found == reason), "not {reason:?}");
    }
    for _ in 0..2 {
        let answer = candor_core::ports::ProcessSpawner::attach(&*stage.spawner, session).await;
        assert!(matches!(answer, Attach::Lost(found) if found == reason), "not {reason:?}");
    }
}

/// Whether a pidfd can name a group here, without which its other members are out of reach.
#[cfg(target_os = "linux")]
fn can_kill_groups() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    let mut next = || numbers.next().unwrap().parse::<u32>().unwrap();
    (next(), next()) >= (6, 9)
}

#[cfg(not(target_os = "linux"))]
const fn can_kill_groups() -> bool {
    true
}

#[tokio::test]
async fn what_a_killed_daemon_left_is_ended_with_its_group() {
    let stage = Stage::new();
    let (leader, member) = (stage.fifo("leader"), stage.fifo("member"));
    let agent = fake_agent().to_str().unwrap().to_owned();
    let kind = format!("stay,stubborn,hold={}", member.display());
    let mut command = stage.helper(Role::Launch, &[], "-");
    let ignore = ["--ignore", "INT", "--ignore", "TERM", "--ignore", "HUP"];
    let hold = ["--hold", leader.to_str().unwrap(), "--fork", &kind, "--hang"];
    helper::program(&mut command, [&*agent].into_iter().chain(ignore).chain(hold));
    let mut launcher = command.stdout(Stdio::null()).spawn().unwrap();
    let (leader, member) = (held(&leader).await, held(&member).await);
    launcher.kill().unwrap();
    launcher.wait().unwrap();

    assert_lost(&stage, session_id(helper::SESSION), LostReason::DaemonKilled).await;
    released(leader).await;
    if can_kill_groups() {
        released(member).await;
    }
}

#[tokio::test]
async fn removed_folder_does_not_hide_the_process() {
    let stage = Stage::new();
    let fifo = stage.fifo("held");
    let agent = fake_agent().to_str().unwrap().to_owned();
    let mut command = stage.helper(Role::Launch, &[], "-");
    helper::program(&mut command, [&*agent, "--hold", fifo.to_str().unwrap(), "--hang"]);
    let mut launcher = command.stdout(Stdio::null()).spawn().unwrap();
    let fifo = held(&fifo).await;
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let session = session_id(helper::SESSION);
    fs::remove_dir_all(stage.sessions().join(session.to_string())).unwrap();

    assert_lost(&stage, session, LostReason::DaemonKilled).await;
    released(fifo).await;
}

#[tokio::test]
async fn process_that_ended_after_its_daemon_is_lost_too() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let agent = fake_agent().to_str().unwrap().to_owned();
    let mut command = stage.helper(Role::Launch, &[], "-");
    let hold = stage.fifo("held");
    let words =
        [&*agent, "--hold", hold.to_str().unwrap(), "--await", go.to_str().unwrap(), "--exit", "0"];
    helper::program(&mut command, words);
    let mut launcher = command.stdout(Stdio::piped()).spawn().unwrap();
    let hold = held(&hold).await;
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    super::line_to(&go).await;
    released(hold).await;
    assert_lost(&stage, session_id(helper::SESSION), LostReason::DaemonKilled).await;
}

#[tokio::test]
async fn identity_of_another_boot_reaches_nobody() {
    let stage = Stage::new();
    let canary = Canary::new();
    let session = session_id(10);
    #[cfg(target_os = "linux")]
    let start_mark = canary.start_mark();
    #[cfg(not(target_os = "linux"))]
    let start_mark = 0;
    let json = identity(session, canary.pid(), start_mark, "another-boot");
    write_identity(&stage, session, &json);
    assert_lost(&stage, session, LostReason::Reboot).await;
    canary.stayed_unharmed();
}

#[tokio::test]
async fn number_that_is_another_processes_now_reaches_nobody() {
    let stage = Stage::new();
    let canary = Canary::new();
    let session = session_id(20);
    let json = identity(session, canary.pid(), 1, &boot_id().unwrap());
    write_identity(&stage, session, &json);
    assert_lost(&stage, session, LostReason::DaemonKilled).await;
    canary.stayed_unharmed();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn identity_that_fits_is_ended() {
    // The proof that the canaries above live because of what differs, and not because nobody is
    // ever reached.
    let stage = Stage::new();
    let canary = Canary::new();
    let session = session_id(30);
    let json = identity(session, canary.pid(), canary.start_mark(), &boot_id().unwrap());
    write_identity(&stage, session, &json);
    assert_lost(&stage, session, LostReason::DaemonKilled).await;
    let Canary(mut child) = canary;
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}

#[tokio::test]
async fn damaged_identity_is_a_bad_record() {
    let stage = Stage::new();
    let canary = Canary::new();
    let boot_id = boot_id().unwrap();
    let session = session_id(40);
    let whole = identity(session, canary.pid(), 1, &boot_id);
    let path = write_identity(&stage, session, &whole);
    let line = fs::read(&path).unwrap();
    for damage in [
        Vec::new(),
        line[..line.len() - 1].to_vec(),
        line.iter().map(|byte| if *byte == b'p' { b'q' } else { *byte }).collect(),
        b"v2 0  00000000\n".to_vec(),
        vec![0; 1024 * 1024],
    ] {
        fs::write(&path, &damage).unwrap();
        assert_lost(&stage, session, LostReason::BadRecord).await;
        assert_eq!(fs::read(&path).unwrap(), damage, "it is kept for whoever wants to know");
    }
    for (number, pid) in (50..).zip(["0", "1", "-1", "4294967296", "null"]) {
        let session = session_id(number);
        let json = format!(
            r#"{{"session":"{session}","pid":{pid},"start_mark":1,"boot_id":"{boot_id}"}}"#
        );
        write_identity(&stage, session, &json);
        assert_lost(&stage, session, LostReason::BadRecord).await;
    }
    canary.stayed_unharmed();
}

#[tokio::test]
async fn folder_without_an_identity_never_ran() {
    let stage = Stage::new();
    let session = session_id(60);
    fs::create_dir_all(stage.sessions().join(session.to_string())).unwrap();
    fs::write(stage.sessions().join(format!("{session}.identity.unfinished")), "v1 ").unwrap();
    for _ in 0..2 {
        assert!(matches!(stage.attach_afresh(session).await, Attach::NeverRan));
    }
    // Somebody may have claimed it, and so this daemon does not launch it.
    let launch = stage.launch_as(session, &stage.programs.agent(["--exit", "0"])).await;
    assert!(matches!(launch, candor_core::ports::Launch::Unknown));
}

#[tokio::test]
async fn identity_that_cannot_be_read_is_asked_for_again() {
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;

    let stage = Stage::new();
    let session = session_id(70);
    let path = write_identity(&stage, session, "{}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    assert!(matches!(stage.attach_afresh(session).await, Attach::Unreachable));
}

#[tokio::test]
async fn launcher_says_that_it_is_up_only_with_an_identity() {
    let stage = Stage::new();
    let mut command = stage.helper(Role::Launch, &[], "-");
    let agent = fake_agent().to_str().unwrap().to_owned();
    helper::program(&mut command, [&*agent, "--hang"]);
    let mut launcher = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = launcher.stdout.take().unwrap();
    let is_up = move || BufReader::new(output).lines().any(|line| line.unwrap().ends_with("up"));
    assert!(super::aside(is_up).await);
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert_lost(&stage, session_id(helper::SESSION), LostReason::DaemonKilled).await;
}
