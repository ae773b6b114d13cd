//! What the kernel of Linux tells of processes, and the shims among them.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use rustix::process::Pid;

/// How the command line of a shim begins. A word and the session's id follow.
const SHIM: &[u8] = b"candor-shim\0";

/// Returns the shims of these sessions, each with its session.
pub(super) fn shims_of(sessions: &[String]) -> Result<BTreeMap<String, Pid>> {
    let mut shims = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("this system has no /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ends meanwhile is none of those that are looked for.
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        if let Some(session) = session_in(&line)
            && sessions.contains(&session)
            && let Some(pid) = Pid::from_raw(pid)
        {
            shims.insert(session, pid);
        }
    }
    Ok(shims)
}

/// Returns the session that the command line of a shim names.
fn session_in(line: &[u8]) -> Option<String> {
    let words = line.strip_prefix(SHIM)?;
    let last = words.split(|&byte| byte == 0).rfind(|word| !word.is_empty())?;
    String::from_utf8(last.to_vec()).ok()
}

/// Returns a number of `/proc/PID/status`.
pub(super) fn status_of(pid: Pid, name: &str) -> Result<u64> {
    number_of(pid, "status", name)
}

/// Returns a number of a file of the process, such as `smaps_rollup`.
pub(super) fn number_of(pid: Pid, file: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    field(&text, name).with_context(|| format!("{path} has no {name}"))
}

/// Returns the number after `name:` in the text of a file of the process.
///
/// Source: `proc_pid_status(5)`, `proc_pid_smaps(5)`.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{field, session_in};

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSS:\t   5120 kB\nvoluntary_ctxt_switches:\t7\n\
                      nonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(field(status, "VmRSS"), Some(5120));
        assert_eq!(field(status, "voluntary_ctxt_switches"), Some(7));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches"), Some(2));
        assert_eq!(field(status, "Threads"), None);
    }

    #[test]
    fn a_shim_names_its_session() {
        assert_eq!(session_in(b"candor-shim\0__shim\0one\0").as_deref(), Some("one"));
        assert_eq!(session_in(b"candor\0daemon\0run\0"), None);
        assert_eq!(session_in(b""), None);
    }
}
