//! Which agents there are, and where their programs lie.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Agent;

/// The agents that Candor knows, in the order in which they are named to people.
#[must_use]
pub fn all() -> &'static [&'static dyn Agent] {
    &[]
}

/// Returns the agent that is ordered by this word.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Agent> {
    all().iter().copied().find(|agent| agent.name() == name)
}

/// Why an agent's program cannot be started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FindError {
    /// It is nowhere in the `PATH`.
    #[error("{program} is not in your PATH: {installation}")]
    NotInPath {
        /// Its name.
        program: &'static str,
        /// A sentence that says how to get it.
        installation: &'static str,
    },
    /// The file that was named is no program.
    #[error("{} cannot be executed: name the program of {program} in the settings, or leave that out", .path.display())]
    NotAProgram {
        /// Its name.
        program: &'static str,
        /// What was named.
        path: PathBuf,
    },
}

/// Finds an agent's program: where `setting` says, or else by `path`, the value of `PATH` where it is
/// to run. Symbolic links stay as they are.
///
/// # Errors
///
/// [`FindError`], whose sentence says what to do.
pub fn find(
    agent: &dyn Agent,
    path: Option<&OsStr>,
    setting: Option<&Path>,
) -> Result<PathBuf, FindError> {
    let program = agent.program();
    if let Some(setting) = setting {
        let is_found = setting.is_absolute() && is_program(setting);
        return is_found
            .then(|| setting.to_owned())
            .ok_or_else(|| FindError::NotAProgram { program, path: setting.to_owned() });
    }
    std::env::split_paths(path.unwrap_or_default())
        // A relative folder would mean another one where the daemon runs.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|candidate| is_program(candidate))
        .ok_or(FindError::NotInPath { program, installation: agent.installation() })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
