//! What tests of several sections do to the machine, and take back.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use crate::support::{Place, wire};

/// Where version 1 of control groups has its controllers.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A control group of the test's own. It is removed once it is empty, and what is in it is killed.
pub(crate) struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// Whether there is this controller, of version 1.
    pub(crate) fn is_there(controller: &str) -> bool {
        Path::new(CGROUPS).join(controller).join("cgroup.procs").exists()
    }

    pub(crate) fn new(controller: &str, limit: &str, value: &str) -> Self {
        let name = format!("candor-test-{}-{limit}", getpid().as_raw_nonzero());
        let cgroup = Self { folder: Path::new(CGROUPS).join(controller).join(name) };
        fs::create_dir(&cgroup.folder).unwrap();
        cgroup.set(limit, value);
        cgroup
    }

    pub(crate) fn set(&self, file: &str, value: &str) {
        fs::write(self.folder.join(file), value).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    /// Returns the file by which a process goes in.
    pub(crate) fn door(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Kills all that is in it: whatever that is, the test has put it there.
    pub(crate) fn kill(&self) {
        for pid in self.read("cgroup.procs").lines().filter_map(|line| line.parse().ok()) {
            let Some(pid) = Pid::from_raw(pid) else { continue };
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // The number may have been another's for a moment: it is looked at once more.
            if self.read("cgroup.procs").lines().any(|line| line == pid.to_string()) {
                let _gone = pidfd_send_signal(process, Signal::KILL);
            }
        }
    }

    pub(crate) fn take(&self, pid: Pid) {
        self.set("cgroup.procs", &pid.as_raw_nonzero().to_string());
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // All that are still in it go back to where everybody is: the daemon among them.
        let root = self.folder.parent().map(|parent| parent.join("cgroup.procs"));
        for pid in self.read("cgroup.procs").lines() {
            let _gone = root.as_ref().map(|root| fs::write(root, pid));
        }
        let _busy = fs::remove_dir(&self.folder);
    }
}

/// Returns the only session there is.
#[track_caller]
pub(crate) fn the_only(place: &Place) -> Value {
    let mut sessions = place.sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    sessions.remove(0)
}

/// Returns a request to launch.
pub(crate) fn launch_request(command: &[&str]) -> Value {
    json!({
        "title": null, "command": command, "cwd": "/", "environment": [], "umask": 0o22,
        "timeout_ms": null, "success_codes": [0],
        "graces": {"interrupt_ms": 10_000, "terminate_ms": 5_000, "linger_ms": 30_000},
    })
}

/// Sends a request to launch, and does not wait for the answer.
pub(crate) fn ask_to_launch(stream: &mut UnixStream, request: &Value) {
    let body = request.to_string();
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

/// A session that was launched over the wire, which is quicker than by the command line.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) id: String,
}

impl Launched {
    /// Returns what there is to know of it.
    #[track_caller]
    pub(crate) fn now(&self, place: &Place) -> Value {
        wire::ask(&place.home(), "GET", &format!("/v1/sessions/{}", self.id), b"").json()
    }
}

/// Launches a session in a folder.
#[track_caller]
pub(crate) fn launch(place: &Place, folder: &Path, command: &[OsString]) -> Launched {
    let command: Vec<&str> = command.iter().map(|word| word.to_str().unwrap()).collect();
    let mut request = launch_request(&command);
    request["cwd"] = json!(folder);
    request["environment"] = json!([["PATH", std::env::var("PATH").unwrap()]]);
    let reply = wire::ask(&place.home(), "POST", "/v1/sessions", request.to_string().as_bytes());
    assert_eq!(reply.status, 201, "{reply:?}");
    Launched { id: reply.json()["id"].as_str().unwrap().to_owned() }
}

/// What many programs wait for, and go through at the same moment.
pub(crate) struct Gate {
    file: File,
    path: PathBuf,
}

impl Gate {
    /// Makes a gate that is closed.
    pub(crate) fn new(place: &Place) -> Self {
        let path = place.path("gate");
        let file = File::create(&path).unwrap();
        file.lock().unwrap();
        Self { file, path }
    }

    /// Returns the command line that waits at the gate, and becomes this one behind it.
    pub(crate) fn holds(&self, command: Vec<OsString>) -> Vec<OsString> {
        let wait = ["flock", "--shared", "--no-fork"].map(OsString::from);
        wait.into_iter().chain([self.path.clone().into()]).chain(command).collect()
    }

    /// Waits until so many stand there.
    pub(crate) fn await_held(&self, count: usize) {
        let inode = std::os::unix::fs::MetadataExt::ino(&self.file.metadata().unwrap());
        let mark = format!(":{inode} ");
        let held = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            locks.lines().filter(|line| line.contains("->") && line.contains(&mark)).count()
        };
        // The kernel tells nobody who waits for a lock: it can only be looked at.
        while held() < count {
            std::thread::yield_now();
        }
    }

    /// Lets all of them through.
    pub(crate) fn open(self) {
        drop(self.file);
    }
}

/// Returns the process of a session, as its shim has recorded it.
#[track_caller]
pub(crate) fn agent_of(place: &Place, id: &str) -> Pid {
    let record = place.home().join("sessions").join(format!("{id}.shim/started"));
    number_after(&fs::read_to_string(record).unwrap(), "\"pid\":")
}

/// Returns the shim of a session, the parent of its process.
#[track_caller]
pub(crate) fn shim_of(place: &Place, id: &str) -> Pid {
    let agent = agent_of(place, id).as_raw_nonzero();
    let shim =
        number_after(&fs::read_to_string(format!("/proc/{agent}/status")).unwrap(), "PPid:\t");
    let name = fs::read_to_string(format!("/proc/{}/comm", shim.as_raw_nonzero())).unwrap();
    assert_eq!(name, "candor-shim\n");
    shim
}

/// Returns the memory that a process has now, in bytes.
pub(crate) fn memory_bytes(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let (_, memory) = status.split_once("VmRSS:").unwrap();
    let kib: u64 = memory.split_whitespace().next().unwrap().parse().unwrap();
    kib * 1024
}

#[track_caller]
fn number_after(text: &str, name: &str) -> Pid {
    let (_, rest) = text.split_once(name).unwrap();
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next().unwrap();
    Pid::from_raw(digits.parse().unwrap()).unwrap()
}

/// A file system in a file, on which every write waits until this is dropped.
pub(crate) struct FrozenDisk {
    folder: PathBuf,
}

impl FrozenDisk {
    pub(crate) fn new(place: &Place) -> Self {
        let (image, folder) = (place.path("image"), place.path("frozen"));
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        fs::create_dir(&folder).unwrap();
        must("mkfs.ext4", &[OsStr::new("-qF"), image.as_os_str()]);
        must("mount", &[OsStr::new("-oloop"), image.as_os_str(), folder.as_os_str()]);
        let disk = Self { folder };
        must("fsfreeze", &[OsStr::new("--freeze"), disk.folder.as_os_str()]);
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        must("fsfreeze", &[OsStr::new("--unfreeze"), self.folder.as_os_str()]);
        // Who still has a file open there keeps it, and nobody else sees it any more.
        must("umount", &[OsStr::new("--lazy"), self.folder.as_os_str()]);
    }
}

#[track_caller]
fn must(program: &str, words: &[&OsStr]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
