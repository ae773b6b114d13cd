//! What tests of several sections do to the machine, and take back.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid};
use serde_json::{Value, json};

use crate::support::Place;

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
