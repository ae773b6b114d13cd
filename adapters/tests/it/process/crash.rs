//! The launching process is killed at any moment.

use std::fs;
use std::hint;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use candor_core::ports::Attach;
use candor_core::verdict::LostReason;
use candor_harness::contract::repository::chain::session_id;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::helper::Role;
use super::{PATIENCE, Stage};

/// How often it is killed.
const ROUNDS: u32 = 60;

/// The launch of one session takes less than this, so that every moment of it has its chance.
const LAUNCH_MAX: Duration = Duration::from_millis(4);

/// Sessions that are launched before the kill, so that it does not always meet the first.
const BEFORE: u32 = 3;

#[tokio::test]
async fn killed_launcher_leaves_no_process_that_nobody_knows_of() {
    for round in 0..ROUNDS {
        let stage = Stage::new();
        let token = format!("launcher-{}-{round}", std::process::id());
        let begun = launch_and_kill(&stage, round, LAUNCH_MAX * round / ROUNDS, &token).await;
        let mut ran = Vec::new();
        for number in 0..=begun {
            let session = session_id(u64::from(number));
            match stage.attach_afresh(session).await {
                Attach::NeverRan => {}
                Attach::Lost(LostReason::DaemonKilled) => ran.push(session),
                Attach::Lost(reason) => panic!("lost for another reason: {reason:?}"),
                Attach::Up(_) | Attach::Ended(_) | Attach::Unreachable => panic!("not lost"),
            }
        }
        // Children that stand at the gate have the launcher's command line, those that went through
        // have their session's.
        let home = stage.home.path().to_str().unwrap();
        wait_for_all_with(&[&token, home]).await;
        for entry in fs::read_dir(stage.work()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = ran.iter().any(|session| name == format!("ran-{session}"));
            assert!(known, "{name} was said to have never run, in round {round}");
        }
        // All but the last have come up: it was only begun when the one before was.
        assert!(ran.len() >= usize::try_from(begun).unwrap(), "{begun} begun, {} ran", ran.len());
    }
}

/// Kills the launcher somewhere in the launch of one session, and returns the number of that one.
/// `delay` is how far in.
pub(super) async fn launch_and_kill(
    stage: &Stage,
    round: u32,
    delay: Duration,
    token: &str,
) -> u32 {
    let mut command = stage.helper(Role::LaunchMany, &[], token);
    let mut launcher = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(launcher.stdout.take().unwrap()).lines();
    super::aside(move || {
        let victim = BEFORE + round % 3;
        let begun = |line: &str| line.split("begin ").nth(1)?.parse::<u32>().ok();
        let mut last = lines.by_ref().map_while(Result::ok).filter_map(|line| begun(&line));
        assert!(last.any(|number| number == victim));
        // Somewhere in the launch: a sleep is not that exact.
        let start = Instant::now();
        while start.elapsed() < delay {
            hint::spin_loop();
        }
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        // What it began until then.
        last.last().unwrap_or(victim)
    })
    .await
}

/// Waits until no process is left whose command line has one of these texts in it.
async fn wait_for_all_with(texts: &[&str]) {
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(pid) = name.parse().ok().and_then(Pid::from_raw) else {
            continue;
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        // A zombie has no command line.
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if texts.iter().any(|text| line.contains(text)) {
            let gone = super::aside(move || {
                let patience = Timespec::try_from(PATIENCE / 2).unwrap();
                let mut wait = [PollFd::new(&handle, PollFlags::IN)];
                poll(&mut wait, Some(&patience)).unwrap()
            });
            assert_eq!(gone.await, 1, "survived: {line}");
        }
    }
}
