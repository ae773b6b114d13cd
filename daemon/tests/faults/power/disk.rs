//! A disk in a file, a daemon on it, and copies of the file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::getpid;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Place, Running, Said};

/// Where files are memory, so that a copy takes no time.
const MEMORY: &str = "/dev/shm";

/// The size of the disk.
const DISK_BYTES: u64 = 128 << 20;

/// Where the second version of control groups is found: alone, and beside the first.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Runs a daemon on the disk, in a control group that can be frozen. The journal is left to those
/// who ask for it: by itself it would be written in the midst of a copy.
const DAEMON: &str = "echo $$ > \"$1/cgroup.procs\" || exit 77
    mount -o loop,commit=300 \"$2\" \"$3\" || exit 77
    exec \"$CANDOR\" daemon run";

/// Looks at a copy of the disk, in another boot, and says what a daemon makes of it: sessions and the
/// doctor's opinion, a line each.
const AFTERWARDS: &str = "mount --bind \"$1\" /proc/sys/kernel/random/boot_id || exit 77
    mount -o loop \"$2\" \"$3\" || exit 77
    \"$CANDOR\" daemon start || exit 78
    \"$CANDOR\" ls --json --limit 100000 | grep -o '\"id\": *\"[^\"]*\"' | cut -d'\"' -f4 |
        xargs -r \"$CANDOR\" wait > /dev/null
    \"$CANDOR\" ls --json --limit 100000 > \"$4\"
    \"$CANDOR\" daemon stop > /dev/null || exit 79
    \"$CANDOR\" doctor --json > \"$5\"
    umount \"$3\"";

/// A daemon whose home is on a disk of its own.
pub(super) struct Workplace {
    pub(super) place: Place,
    memory: TempDir,
    cgroup: PathBuf,
    daemon: Option<Running>,
    /// The home, as seen from here.
    pub(super) home: PathBuf,
}

/// What a daemon says after the cut.
pub(super) struct After {
    pub(super) sessions: Vec<Value>,
    pub(super) doctor: Value,
}

/// Returns the root of the second version of control groups, where there is one that can freeze.
pub(crate) fn freezer() -> Option<&'static Path> {
    let is_one = |root: &&Path| root.join("cgroup.controllers").exists();
    CGROUPS.into_iter().map(Path::new).find(is_one)
}

impl Workplace {
    pub(super) fn new() -> Self {
        let place = Place::new();
        let memory = tempfile::Builder::new().prefix("candor-").tempdir_in(MEMORY).unwrap();
        let image = memory.path().join("disk");
        fs::File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        let options = "lazy_itable_init=0,lazy_journal_init=0";
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F", "-N", "60000", "-E", options]);
        assert!(made_of(&mut make, &image), "mkfs.ext4 cannot make a file system");
        let name = format!("candor-test-power-{}", getpid().as_raw_nonzero());
        let cgroup = freezer().unwrap().join(name);
        // One of a test that was killed may be there.
        let _there = fs::create_dir(&cgroup);
        fs::create_dir_all(place.path("disk")).unwrap();
        let mut command = apart(&place, DAEMON);
        command.arg(&cgroup).arg(&image).arg(place.path("disk"));
        let mut daemon = Running::start(command);
        while !daemon.error_line().contains("the daemon serves") {}
        let root = format!("/proc/{}/root", daemon.pid().as_raw_nonzero());
        let home = PathBuf::from(format!("{root}{}", place.path("disk/home").display()));
        Self { place, memory, cgroup, daemon: Some(daemon), home }
    }

    /// Cuts the power, and returns what a daemon says after it. Only then does the work go on.
    pub(super) fn cut(&self) -> After {
        let (image, copy) = (self.memory.path().join("disk"), self.memory.path().join("copy"));
        self.freeze("1");
        fs::copy(image, &copy).unwrap();
        let boot = self.memory.path().join("boot_id");
        fs::write(&boot, "00000000-0000-4000-8000-000000000000\n").unwrap();
        let (sessions, doctor) = (self.memory.path().join("ls"), self.memory.path().join("doctor"));
        let mut command = apart(&self.place, AFTERWARDS);
        command.arg(boot).arg(copy).arg(self.place.path("disk")).arg(&sessions).arg(&doctor);
        let said = Said::by(command);
        self.freeze("0");
        said.expect(0);
        let read = |path: &Path| serde_json::from_slice(&fs::read(path).unwrap());
        let sessions: Value = read(&sessions).unwrap();
        let doctor = read(&doctor).unwrap();
        After { sessions: sessions.as_array().unwrap().clone(), doctor }
    }

    /// Freezes all that works on the disk, or lets it go on, and waits until that is so: no write is
    /// under way then.
    fn freeze(&self, wanted: &str) {
        fs::write(self.cgroup.join("cgroup.freeze"), wanted).unwrap();
        let is_so = format!("frozen {wanted}");
        // The kernel tells of it by a file that can be polled, and within microseconds.
        while !fs::read_to_string(self.cgroup.join("cgroup.events")).unwrap().contains(&is_so) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _thawed = fs::write(self.cgroup.join("cgroup.freeze"), "0");
        // All of it is the test's own: nobody else is in there.
        let _killed = fs::write(self.cgroup.join("cgroup.kill"), "1");
        drop(self.daemon.take());
        for entry in fs::read_dir(&self.cgroup).into_iter().flatten().flatten() {
            let _file = fs::remove_dir(entry.path());
        }
        let _busy = fs::remove_dir(&self.cgroup);
    }
}

fn made_of(command: &mut Command, image: &Path) -> bool {
    let made = command.arg(image).stdin(Stdio::null()).output().unwrap();
    let _unread = std::io::stderr().write_all(&made.stderr);
    made.status.success()
}

/// Returns a shell that sees mounts of its own and dies with the test.
fn apart(place: &Place, script: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", script, "sh"]);
    place.settle(&mut command);
    command.env("CANDOR", env!("CARGO_BIN_EXE_candor")).env("CANDOR_HOME", place.path("disk/home"));
    command
}
