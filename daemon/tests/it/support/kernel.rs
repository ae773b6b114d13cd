//! What the kernel of Linux tells of processes.

use std::fs;

use rustix::process::Pid;

/// Returns the numbers of all processes.
fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the processes that have `text` in their environment.
pub(crate) fn with_in_environment(text: &str) -> Vec<i32> {
    // One that ends meanwhile, or is another user's, cannot be read, and is none of ours.
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| contains(&environment, text.as_bytes()))
    };
    numbers().filter(has).collect()
}

/// Returns the shim of a session, which must have one.
#[track_caller]
pub(crate) fn shim_of(session: &str) -> Pid {
    let is_it = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            line.starts_with(b"candor-shim\0") && contains(&line, session.as_bytes())
        })
    };
    let found: Vec<i32> = numbers().filter(is_it).collect();
    let [pid] = found[..] else { panic!("the shims of {session} are {found:?}") };
    Pid::from_raw(pid).unwrap()
}

/// Returns a file of a process.
pub(crate) fn read(pid: Pid, file: &str) -> Vec<u8> {
    fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero())).unwrap()
}

/// Says whether `needle` stands anywhere in `bytes`.
pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Returns the numbers of the children that a process has now, zombies among them: the kernel has
/// them by the thread that they fell to.
pub(crate) fn children(pid: Pid) -> String {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    // A thread that ends meanwhile leaves its children to another one, which may have been read.
    let of_thread = |thread: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default()
    };
    threads.map(of_thread).collect()
}
