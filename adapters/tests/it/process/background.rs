//! `become_daemon`, in a process of its own.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::process::Stdio;

use rustix::io::{FdFlags, fcntl_setfd};

use super::Kind;
use super::helper::{self, PLAYED, Role};

#[test]
fn daemon_is_free_of_its_starter() {
    let home = tempfile::tempdir().unwrap();
    let leaked: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
    for file in &leaked {
        fcntl_setfd(file.as_fd(), FdFlags::empty()).unwrap();
    }
    let wrapper = ["env", "--ignore-signal=HUP,INT,QUIT,CHLD,64", "--block-signal=TERM,USR1,40"];
    let mut command = helper::command(Role::BecomeDaemon, Kind::Direct, home.path(), &wrapper, "-");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(PLAYED));

    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    let signals = read("status");
    let mask = |name: &str| {
        let line = signals.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    const SIGPIPE: u64 = 1 << (13 - 1);
    assert_eq!(mask("SigIgn:"), SIGPIPE, "as every Rust program has it");
    assert_eq!(mask("SigBlk:"), 0);
    assert_eq!(read("folder"), "/");
    assert_eq!(read("leads_session"), "true");
    let mut open: Vec<_> = read("descriptors").split(' ').map(str::to_owned).collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
}
