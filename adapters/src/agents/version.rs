//! Which version an agent's program is of.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::line;

/// How long a program may take to tell its version. The slowest takes 3 s on a machine that has
/// nothing else to do.
const VERSION_DEADLINE: Duration = Duration::from_secs(15);

/// Bytes of what it prints then that are read, at most.
const VERSION_OUTPUT_BYTES_MAX: u64 = 4_096;

/// Bytes of a version, at most.
const VERSION_BYTES_MAX: usize = 128;

/// Asks a program for its version, and returns the first line of its answer, or `None` when it gives
/// none in time. It sees nothing of the environment but `environment`: of the caller's, `HOME` and
/// `PATH` are enough.
///
/// Dropping the future kills the program.
pub async fn version(program: &Path, environment: &[(OsString, OsString)]) -> Option<String> {
    version_within(program, environment, VERSION_DEADLINE).await
}

async fn version_within(
    program: &Path,
    environment: &[(OsString, OsString)],
    deadline: Duration,
) -> Option<String> {
    let mut child = Command::new(program)
        .arg("--version")
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))?;
    let stdout = child.stdout.take()?;
    let answer = async {
        let mut bytes = Vec::new();
        stdout.take(VERSION_OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await.ok()?;
        // Whoever reaps everything that falls to this process may have been quicker. Then it is the
        // answer alone that speaks.
        let is_failure = child.wait().await.is_ok_and(|status| !status.success());
        (!is_failure).then_some(bytes)
    };
    let Ok(answer) = timeout(deadline, answer).await else {
        // While it is there and not waited for, the number is its own. Launchers have a child.
        if matches!(child.try_wait(), Ok(None)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        return None;
    };
    let answer = answer?;
    let text = line::text(&answer);
    let version = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let version: String = version.chars().filter(|char| !char.is_control()).collect();
    Some(line::head(&version, VERSION_BYTES_MAX).to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    /// Writes a script for `sh`. It is closed before anybody runs it.
    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("program");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn told(text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let environment = [("PATH", "/usr/bin:/bin"), ("HOME", "/home")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        version(&script(folder.path(), text), &environment).await
    }

    #[tokio::test]
    async fn the_first_line_of_the_answer_is_the_version() {
        assert_eq!(
            told("echo; echo ' 2.1.197 (Claude Code)'; echo more").await.as_deref(),
            Some("2.1.197 (Claude Code)")
        );
        assert_eq!(
            told("echo \"$1 $HOME ${USER-none}\"").await.as_deref(),
            Some("--version /home none")
        );
    }

    #[tokio::test]
    async fn what_gives_no_answer_has_no_version() {
        assert_eq!(told("echo 1.0; exit 1").await, None);
        assert_eq!(told("exit 0").await, None);
        assert_eq!(version(Path::new("/no/such/program"), &[]).await, None);
    }

    #[tokio::test]
    async fn what_takes_too_long_has_no_version_and_is_killed_with_its_children() {
        // Both processes inherit the end that is written to: when nobody has it any more, both are
        // gone.
        let (read, written) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::empty()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), "sleep 600 & exec sleep 600");
        let environment = [("PATH".into(), "/usr/bin:/bin".into())];
        let version = version_within(&program, &environment, Duration::from_millis(300)).await;
        assert_eq!(version, None);
        drop(written);
        assert_eq!(fs::File::from(read).read_to_end(&mut Vec::new()).unwrap(), 0);
    }

    #[tokio::test]
    async fn what_prints_without_end_is_read_to_a_limit() {
        let version = told("echo \"$(printf '%0500d' 1)\"").await.unwrap();
        assert_eq!(version.len(), VERSION_BYTES_MAX);
        assert_eq!(told("yes").await, None);
    }
}
