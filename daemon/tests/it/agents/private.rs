//! What is an agent's own.

use std::fs;
use std::path::Path;

use crate::agents::{Stage, tool};

#[test]
fn its_temporary_files_go_with_it() {
    let stage = Stage::new();
    let seen = stage.path("seen");
    let steps = [tool(&format!("echo x > $TMPDIR/file; echo $TMPDIR > {}", seen.display()))];
    let id = stage.begin(&["--env", "TMPDIR=/nowhere"], &steps);
    stage.run(["wait", &id]).expect(0);
    let folder = fs::read_to_string(&seen).unwrap();
    let folder = Path::new(folder.trim());
    assert!(folder.starts_with(stage.home()), "{}", folder.display());
    // The end is told before they are removed.
    stage.run(["daemon", "stop"]).expect(0);
    assert!(!folder.exists());
}

#[test]
fn temporary_files_of_one_that_ended_without_a_daemon_are_swept() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let steps = [tool("echo x > $TMPDIR/file"), format!("await {}", go.display())];
    let id = stage.begin(&[], &steps);
    stage.await_cause(&id, "spawned", 1);
    let mut gate = fs::OpenOptions::new().write(true).open(&go).unwrap();
    assert_eq!(fs::read_dir(stage.home().join("tmp")).unwrap().count(), 1);
    stage.kill_daemon();
    std::io::Write::write_all(&mut gate, b"go\n").unwrap();
    drop(gate);
    stage.run(["wait", &id]).expect(0);
    stage.run(["daemon", "stop"]).expect(0);
    assert_eq!(fs::read_dir(stage.home().join("tmp")).unwrap().count(), 0);
}

#[test]
fn its_temporary_files_are_no_concern_of_the_doctors() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let open = tool("mkdir -m 777 $TMPDIR/open; ln -s / $TMPDIR/link");
    let id = stage.begin(&[], &[open, format!("await {}", go.display())]);
    let gate = fs::OpenOptions::new().write(true).open(&go).unwrap();
    stage.run(["doctor"]).expect(0);
    drop(gate);
    stage.run(["kill", &id]).expect(0);
    stage.run(["wait", &id]);
}
