//! An idle daemon does nothing: no thread of it wakes up.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Pid;

use crate::support::{Place, agent};

/// How long the daemon is looked at.
const WINDOW: Duration = Duration::from_millis(1_500);

/// Wake-ups in that time that may be the rest of what was before: a thread of a pool that leaves
/// after it has had nothing to do for a while.
const WAKEUPS_MAX: u64 = 8;

/// Times that the daemon is looked at, at most, until the rest of what was before is over.
const LOOKS_MAX: usize = 12;

/// Returns how often the threads of a process have gone to sleep.
fn wakeups(pid: Pid) -> u64 {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let of_thread = |status: String| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    // One that leaves meanwhile has nothing more to tell.
    let statuses =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    statuses.map(of_thread).sum()
}

#[test]
fn no_thread_wakes_up_while_nothing_happens() {
    let place = Place::new();
    for _ in 0..5 {
        place.run(["run", "--", "echo", "x"]).expect(0);
    }
    // One that lives and says nothing, with a time limit far away, is nothing that happens.
    let id = place.launch_with(["--timeout", "1h"], agent(["--hang"]));
    place.await_running(&id);
    let daemon = place.daemon();
    let (_never, nothing) = mpsc::channel::<()>();
    let mut seen = Vec::new();
    for _ in 0..LOOKS_MAX {
        let before = wakeups(daemon);
        // The passing of time is what is tested here, and nobody is asked meanwhile.
        nothing.recv_timeout(WINDOW).unwrap_err();
        let woken = wakeups(daemon).saturating_sub(before);
        if woken <= WAKEUPS_MAX {
            place.run(["kill", &id]).expect(0);
            return;
        }
        seen.push(woken);
    }
    panic!("the daemon does not come to rest: {seen:?} wake-ups in {WINDOW:?} each");
}
