//! How this process was started, as JSON.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use candor_core::bytes::ByteString;
use rustix::fs::Mode;
use rustix::process::{getpgrp, getpid, getsid, umask};
use serde_json::{Value, json};

/// Writes the dump to a file.
///
/// Descriptors map to what they are, where the system tells it. The signal sets are the hexadecimal
/// masks of `/proc/self/status`, or null where there is none; Rust itself ignores `SIGPIPE` and
/// catches `SIGBUS` and `SIGSEGV`.
pub(crate) fn write(file: &Path) -> io::Result<()> {
    let dump = json!({
        "argv": env::args_os().map(|argument| bytes(&argument)).collect::<Vec<_>>(),
        "cwd": bytes(env::current_dir()?.as_os_str()),
        "environment": env::vars_os().map(|(name, _)| bytes(&name)).collect::<Vec<_>>(),
        "descriptors": descriptors()?,
        "umask": mask(),
        "blocked": status("SigBlk"),
        "ignored": status("SigIgn"),
        "caught": status("SigCgt"),
        "leads_group": getpgrp() == getpid(),
        "leads_session": getsid(None)? == getpid(),
    });
    fs::write(file, serde_json::to_vec(&dump)?)
}

fn bytes(text: &OsStr) -> Value {
    // The operating system hands over no NUL.
    let text = ByteString::new(text.as_bytes().to_vec()).unwrap_or_default();
    json!(text)
}

fn descriptors() -> io::Result<BTreeMap<String, Value>> {
    let names: io::Result<Vec<_>> =
        fs::read_dir("/dev/fd")?.map(|entry| entry.map(|e| e.path())).collect();
    // One of them was that of the listing, and is closed by now.
    let open = names?.into_iter().filter(|path| fs::metadata(path).is_ok());
    let named = open.filter_map(|path| {
        let target = fs::read_link(&path).ok().map(|target| bytes(target.as_os_str()));
        Some((path.file_name()?.to_str()?.to_owned(), target.unwrap_or(Value::Null)))
    });
    Ok(named.collect())
}

/// There is no way to read it but to set it.
fn mask() -> Value {
    let mask = umask(Mode::empty());
    umask(mask);
    json!(mask.bits())
}

fn status(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|mask| mask.trim().to_owned())
}
