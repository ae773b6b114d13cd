//! Kills for want of memory, which the kernel tells in its log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use candor_core::verdict::Exit;

use super::{Stage, ending, skip};

const MIB: u64 = 1024 * 1024;

/// More than a shell needs, and soon used up.
const LIMIT_BYTES: u64 = 32 * MIB;

const KILLED: Exit = Exit::Signal { number: 9, core_dumped: false };

/// A cgroup of the first version, in which there is little memory.
struct Cell(PathBuf);

impl Cell {
    /// Returns why there can be none, where that is so.
    fn new() -> Result<Self, &'static str> {
        let name = format!("candor-test-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = Path::new("/sys/fs/cgroup/memory").join(name.replace(['(', ')'], ""));
        fs::create_dir(&folder).map_err(|_| "this user may make no cgroup that limits memory")?;
        let cell = Self(folder);
        fs::write(cell.0.join("memory.limit_in_bytes"), LIMIT_BYTES.to_string())
            .map_err(|_| "the cgroup takes no limit")?;
        // Where there is swap, it would be used up first.
        drop(fs::write(cell.0.join("memory.memsw.limit_in_bytes"), LIMIT_BYTES.to_string()));
        File::open("/dev/kmsg").map_err(|_| "this user may not read the kernel's log")?;
        Ok(cell)
    }

    /// Returns the words of the shell that put it in there.
    fn enter(&self) -> String {
        format!("echo 0 > {}/cgroup.procs", self.0.display())
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

/// What the shell does when it is told to use up all memory: a line without an end.
const USE_UP: &str = "exec tail /dev/zero";

async fn end_of(script: impl FnOnce(&Cell) -> String) -> Option<(Exit, bool)> {
    let cell = match Cell::new() {
        Ok(cell) => cell,
        Err(reason) => {
            skip(reason);
            return None;
        }
    };
    let stage = Stage::new();
    let (_, process) = stage.up(&stage.programs.command("/bin/sh", ["-c", &script(&cell)])).await;
    let ending = ending(&*process).await;
    Some((ending.exit, ending.oom_killed))
}

#[tokio::test]
async fn kill_for_want_of_memory_is_known_as_one() {
    let end = end_of(|cell| format!("{}; {USE_UP}", cell.enter())).await;
    assert_eq!(end.unwrap_or((KILLED, true)), (KILLED, true));
}

#[tokio::test]
async fn kill_of_a_tool_is_none_of_the_process() {
    let end = end_of(|cell| format!("({}; {USE_UP}); exit 3", cell.enter())).await;
    assert_eq!(end.unwrap_or((Exit::Code(3), false)), (Exit::Code(3), false));
}

/// Both in one cgroup, whose counter could not tell them apart.
#[tokio::test]
async fn kill_by_somebody_else_after_that_of_a_tool_is_none() {
    let end = end_of(|cell| format!("{}; ({USE_UP}); kill -9 $$", cell.enter())).await;
    assert_eq!(end.unwrap_or((KILLED, false)), (KILLED, false));
}
