//! Where an agent's program is, and which version it is of.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Agent, line};

/// How long a program may take to tell its version. The slowest takes 3 s on a machine that has
/// nothing else to do.
const VERSION_DEADLINE: Duration = Duration::from_secs(15);

/// Bytes of what it prints then that are read, at most.
const VERSION_OUTPUT_BYTES_MAX: u64 = 4_096;

/// Bytes of a version, at most.
const VERSION_BYTES_MAX: usize = 128;

/// Folders of a `PATH` that are looked into, at most.
const PATH_FOLDERS_MAX: usize = 1_024;

/// Why an agent cannot be started: its program is not there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FindError {
    /// It is in no folder of `PATH`.
    #[error("`{program}` is in no folder of PATH: {installation}, or set `agents.{agent}`")]
    NotInPath {
        /// The agent's name.
        agent: &'static str,
        /// The program that was looked for.
        program: String,
        /// How to get it.
        installation: &'static str,
    },
    /// The setting names something that is no program.
    #[error(
        "the setting `agents.{agent}` names `{}`, which is no program that can be run: \
         correct it, or {installation}",
        path.display()
    )]
    Setting {
        /// The agent's name.
        agent: &'static str,
        /// What the setting says.
        path: PathBuf,
        /// How to get it.
        installation: &'static str,
    },
}

/// Finds an agent's program: where the setting says, or else `program` itself if it is a path, or else
/// in the folders of `path_variable`, which
/// is the caller's `PATH`. Folders in it that are not absolute are left out: which program runs does
/// not depend on the folder that somebody stands in.
///
/// # Errors
///
/// [`FindError`] when it is not there, or cannot be run.
pub fn find(
    agent: &dyn Agent,
    program: &OsStr,
    path_variable: &OsStr,
    setting: Option<&Path>,
) -> Result<PathBuf, FindError> {
    let (name, installation) = (agent.name(), agent.installation());
    if let Some(path) = setting {
        return if path.is_absolute() && is_program(path) {
            Ok(path.to_owned())
        } else {
            Err(FindError::Setting { agent: name, path: path.to_owned(), installation })
        };
    }
    if program.as_bytes().contains(&b'/') {
        let path = Path::new(program);
        let is_found = path.is_absolute() && is_program(path);
        return is_found.then(|| path.to_owned()).ok_or_else(|| not_in_path(agent, program));
    }
    std::env::split_paths(path_variable)
        .take(PATH_FOLDERS_MAX)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
        .ok_or_else(|| not_in_path(agent, program))
}

fn not_in_path(agent: &dyn Agent, program: &OsStr) -> FindError {
    FindError::NotInPath {
        agent: agent.name(),
        program: program.to_string_lossy().into_owned(),
        installation: agent.installation(),
    }
}

/// Says whether a path leads to a file that somebody may execute.
fn is_program(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Asks a program for its version, and returns the first line of its answer, or `None` when it gives
/// none in time. It sees nothing of the environment but `environment`: of it only `HOME` and `PATH`
/// should be the caller's.
///
/// Dropping the future kills the program.
pub async fn version(program: &Path, environment: &[(OsString, OsString)]) -> Option<String> {
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
    let stdout = child.stdout.take()?;
    let answer = async {
        let mut bytes = Vec::new();
        stdout.take(VERSION_OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await.ok()?;
        child.wait().await.ok().filter(std::process::ExitStatus::success)?;
        Some(bytes)
    };
    let bytes = timeout(VERSION_DEADLINE, answer).await.ok()??;
    let text = line::text(&bytes);
    let version = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let version: String = version.chars().filter(|char| !char.is_control()).collect();
    Some(line::head(&version, VERSION_BYTES_MAX).to_owned())
}
