//! How long it takes until a large family of processes is gone that is killed at once: as a session,
//! and as one would do it by hand.
//!
//! All of them hold the same fifo open, so its end comes when the last of them is gone, whoever its
//! parent is.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::thread;
use std::time::{Duration, Instant};

use candor_core::ports::{ProcessSpawner, Target};
use candor_core::stop::Signal;
use candor_harness::programs::RealPrograms;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{self, Pid, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::stage::{ended, in_runtime, launch, nanoseconds, shims};

/// How often each way is taken.
const ROUNDS: usize = 7;

/// Where the second version of cgroups is found.
const CGROUP_MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Kinds of processes in a family, of each as many as of every other.
const KINDS: usize = 4;

/// How often it is looked whether all have started. Nobody tells that a process sleeps.
const LOOK_EACH: Duration = Duration::from_millis(20);

pub(crate) fn measure(count: usize) -> Value {
    let home = tempfile::tempdir().expect("there is room");
    let family = Family { home: home.path(), count };
    let shims_with = shims(&home.path().join("with"));
    let shims_without = shims(&home.path().join("without")).without_cgroups();
    let cgroup = Cgroup::make();
    let [mut with, mut told, mut without, mut told_without, mut by_cgroup, mut by_sweep] =
        [const { Vec::new() }; 6];
    in_runtime(async {
        for _ in 0..ROUNDS {
            let (gone, end) = family.kill_session(&shims_with).await;
            with.push(gone);
            told.push(end);
            let (gone, end) = family.kill_session(&shims_without).await;
            without.push(gone);
            told_without.push(end);
            by_cgroup.extend(cgroup.as_ref().map(|cgroup| family.kill_in(cgroup)));
            by_sweep.push(family.sweep());
        }
    });
    json!({
        "session_ns": with,
        "told_ns": told,
        "session_without_cgroup_ns": without,
        "told_without_cgroup_ns": told_without,
        "cgroup_kill_ns": by_cgroup,
        "sweep_ns": by_sweep,
    })
}

/// Processes of which half have left the session and the group of their starter, and half have lost
/// their parent.
struct Family<'home> {
    home: &'home Path,
    count: usize,
}

impl Family<'_> {
    /// Returns what a shell runs, with `before` in front.
    fn script(&self, before: &str) -> String {
        let (held, rounds) = (self.held(), self.count / KINDS);
        let time = self.time();
        // The descriptor is inherited by all.
        format!(
            "{before} exec 9>{}; i=0; while [ $i -lt {rounds} ]; do sleep {time} & (sleep {time} &); \
             setsid sleep {time} & (setsid sleep {time} &); i=$((i+1)); done; wait",
            held.display()
        )
    }

    fn held(&self) -> PathBuf {
        self.home.join("held")
    }

    /// Returns how long they sleep, in seconds, which nobody else does.
    fn time(&self) -> String {
        format!("3600.{}", id())
    }

    /// Returns those that sleep by now.
    fn members(&self) -> Vec<Pid> {
        let line = format!("sleep\0{}\0", self.time());
        let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_one = |number: &i32| {
            fs::read(format!("/proc/{number}/cmdline")).is_ok_and(|read| read == line.as_bytes())
        };
        numbers.filter(is_one).filter_map(Pid::from_raw).collect()
    }

    fn make_fifo(&self) {
        // It is there from the second round on.
        let _ = mknodat(CWD, self.held(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
    }

    fn await_all(&self) {
        while self.members().len() < self.count / KINDS * KINDS {
            thread::sleep(LOOK_EACH);
        }
    }

    /// Returns what it took until all were gone, and until that was told.
    async fn kill_session(&self, spawner: &dyn ProcessSpawner) -> (u64, u64) {
        self.make_fifo();
        let programs = RealPrograms::new(self.home.to_owned());
        let script = self.script("PATH=/usr/bin:/bin;");
        let process = launch(spawner, &programs.command("/bin/sh", ["-c", &script])).await;
        // The shell opens its end at once.
        let held = File::open(self.held()).expect("the fifo is there");
        self.await_all();
        let begun = Instant::now();
        process.signal(Target::Group, Signal::Kill).await;
        let gone = tokio::task::spawn_blocking(move || gone(held)).await.expect("it can be read");
        let ending = ended(&*process).await;
        let told = begun.elapsed();
        assert_eq!(ending.left_behind, Some(0));
        (nanoseconds(gone - begun), nanoseconds(told))
    }

    fn kill_in(&self, cgroup: &Cgroup) -> u64 {
        let enter = format!("echo $$ >{}/cgroup.procs;", cgroup.0.display());
        self.kill_by_hand(&enter, |_| {
            fs::write(cgroup.0.join("cgroup.kill"), "1").expect("it can be killed");
        })
    }

    fn sweep(&self) -> u64 {
        self.kill_by_hand("", |group| {
            // Whoever is gone by now was reached by the signal to the group.
            let _ = kill_process_group(group, process::Signal::KILL);
            for member in self.members() {
                let _ = kill_process(member, process::Signal::KILL);
            }
        })
    }

    fn kill_by_hand(&self, before: &str, kill: impl FnOnce(Pid)) -> u64 {
        self.make_fifo();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &self.script(before)]).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("there is a shell");
        let held = File::open(self.held()).expect("the fifo is there");
        self.await_all();
        let begun = Instant::now();
        kill(Pid::from_child(&child));
        let gone = gone(held) - begun;
        child.wait().expect("it is our child");
        nanoseconds(gone)
    }
}

/// Waits until nobody has the fifo open for writing, and returns when that was.
fn gone(mut held: File) -> Instant {
    held.read_to_end(&mut Vec::new()).expect("it can be read");
    Instant::now()
}

/// A cgroup of the second version, where this user can make one. Dropped, it is removed.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let folders = CGROUP_MOUNTS.map(|mount| Path::new(mount).join(own));
        let folder = folders.into_iter().find(|folder| folder.join("cgroup.procs").exists())?;
        let cgroup = Self(folder.join(format!("candor-figures-{}", id())));
        fs::create_dir(&cgroup.0).ok()?;
        cgroup.0.join("cgroup.kill").exists().then_some(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}
