//! Whether the kernel killed this very process for want of memory.
//!
//! It says so in its log, with the number of the process, and nowhere else: the counter of a cgroup
//! tells that *some* process in it was killed, which is as often a tool of the agent.
//!
//! The log is opened before the launch, behind its last line, and read when the process was killed
//! and is still a zombie. So whatever stands in it came while the number was this process's own, and
//! no clock is compared. The line is there by then: the kernel writes it before the process that it
//! killed can let go of its memory, which comes before its end.
//!
//! Source: `Documentation/ABI/testing/dev-kmsg`; `mm/oom_kill.c`, `__oom_kill_process`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use rustix::process::Pid;

/// The pid namespace whose numbers the log has.
///
/// Source: `linux/proc_ns.h`, `PROC_PID_INIT_INO`.
const FIRST_NAMESPACE: u64 = 0xefff_fffc;

/// The longest record that the kernel gives.
///
/// Source: `linux/printk.h`, `PRINTK_MESSAGE_MAX`.
const RECORD_BYTES_MAX: usize = 2048;

/// Records that are read, at most. A log of 1 MiB has fewer.
const RECORDS_MAX: usize = 64 * 1024;

/// Numbers below are the kernel's own; others can be written by programs.
///
/// Source: `sys/syslog.h`, `LOG_FACMASK`.
const KERNEL_PRIORITIES: u32 = 8;

/// How much sooner than its shim a session is killed when there is not enough memory, in thousandths
/// of what there is.
const SOONER: i32 = 200;

/// The highest that the kernel takes.
///
/// Source: `proc_pid_oom_score_adj(5)`.
const SCORE_MAX: i32 = 1_000;

/// Sees to it that a process and all that it starts are killed for want of memory before the daemon
/// and the shims, who are small and know what to say of it. Where that cannot be, it is as it was.
pub(super) fn expose(process: Pid) {
    let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
    let Some(own) = own.and_then(|text| text.trim_end().parse::<i32>().ok()) else {
        return;
    };
    let path = format!("/proc/{}/oom_score_adj", process.as_raw_nonzero());
    drop(fs::write(path, own.saturating_add(SOONER).min(SCORE_MAX).to_string()));
}

/// What is said from now on.
#[derive(Debug)]
pub(super) struct KernelLog {
    log: File,
}

impl KernelLog {
    /// Begins to follow the log. `None` where it may not be read, or has other numbers.
    pub(super) fn follow() -> Option<Self> {
        if fs::metadata("/proc/self/ns/pid").ok()?.ino() != FIRST_NAMESPACE {
            return None;
        }
        let mut options = OpenOptions::new();
        let mut log = options.read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
        log.seek(SeekFrom::End(0)).ok()?;
        Some(Self { log })
    }

    /// Whether it was said since that the process was killed for want of memory.
    pub(super) fn tells_of(&mut self, process: Pid) -> bool {
        let mut record = [0; RECORD_BYTES_MAX];
        for _ in 0..RECORDS_MAX {
            match self.log.read(&mut record) {
                Ok(bytes) if is_about(&record[..bytes], process) => return true,
                Ok(0) => return false,
                Ok(_) => {}
                // Some were dropped before they were read; it goes on behind them.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // There are no more, or it cannot be read.
                Err(_) => return false,
            }
        }
        false
    }
}

/// Whether a record says of this process that it was killed.
fn is_about(record: &[u8], process: Pid) -> bool {
    parse(record) == Some(process)
}

/// Returns who was killed, if that is what a record says.
fn parse(record: &[u8]) -> Option<Pid> {
    let record = str::from_utf8(record).ok()?;
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    if priority >= KERNEL_PRIORITIES {
        return None;
    }
    let is_said = ["Out of memory", "Memory cgroup out of memory"]
        .into_iter()
        .any(|beginning| text.starts_with(beginning));
    let (_, rest) = text.split_once(": Killed process ")?;
    let (number, _) = rest.split_once(" (")?;
    Pid::from_raw(number.parse().ok().filter(|&number| is_said && number > 0)?)
}

#[cfg(test)]
mod tests {
    use rustix::process::Pid;

    use super::parse;

    #[test]
    fn a_kill_for_want_of_memory_is_known_by_its_words() {
        let pid = Pid::from_raw(4711);
        let rest = "total-vm:1024kB, anon-rss:512kB, file-rss:0kB, UID:0 oom_score_adj:0\n";
        for record in [
            format!("3,950,81523,-;Out of memory: Killed process 4711 (agent) {rest}"),
            format!("3,950,81523,-;Memory cgroup out of memory: Killed process 4711 (a) b) {rest}"),
            format!(
                "3,9,8,-;Out of memory (oom_kill_allocating_task): Killed process 4711 (a) {rest}"
            ),
        ] {
            assert_eq!(parse(record.as_bytes()), pid, "{record}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for record in [
            "",
            "3,950,81523,-",
            "3,950,81523,-;",
            "3,950,81523,-;oom_reaper: reaped process 4711 (agent), now anon-rss:0kB",
            "3,950,81523,-;agent invoked oom-killer: gfp_mask=0x0, order=0, oom_score_adj=0",
            "3,950,81523,-;Killed process 4711 (agent) total-vm:1kB",
            "3,950,81523,-;x: Out of memory: Killed process 4711 (agent)",
            "3,950,81523,-;Out of memory: Killed process 4711",
            "3,950,81523,-;Out of memory: Killed process -4711 (agent)",
            "3,950,81523,-;Out of memory: Killed process 0 (agent)",
            // Facility 1: a program wrote this.
            "12,950,81523,-;Out of memory: Killed process 4711 (agent)",
            "x,950,81523,-;Out of memory: Killed process 4711 (agent)",
        ] {
            assert_eq!(parse(record.as_bytes()), None, "{record}");
        }
    }
}
