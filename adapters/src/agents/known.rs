//! Which agents there are, and where their programs lie.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Agent, Claude};

/// The agents that Candor knows, in the order in which they are named to people.
#[must_use]
pub fn all() -> &'static [&'static dyn Agent] {
    &[&Claude]
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
        .ok_or_else(|| FindError::NotInPath { program, installation: agent.installation() })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn make(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn every_agent_is_found_by_its_name_and_by_no_other() {
        for agent in all() {
            assert_eq!(by_name(agent.name()).map(Agent::name), Some(agent.name()));
            assert!(!agent.program().is_empty() && !agent.installation().is_empty());
        }
        assert!(!all().is_empty());
        assert!(by_name("no-such-agent").is_none());
        assert!(by_name("").is_none());
    }

    #[test]
    fn the_first_program_in_the_path_is_found_and_its_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, folders, found] =
            ["plain", "folders", "found"].map(|name| folder.path().join(name));
        make(&plain.join("claude"), 0o644);
        fs::create_dir_all(folders.join("claude")).unwrap();
        make(&found.join("real"), 0o755);
        symlink("real", found.join("claude")).unwrap();
        let path = std::env::join_paths([
            Path::new("relative"),
            Path::new("/no/such/folder"),
            &plain,
            &folders,
            &found,
        ]);
        assert_eq!(find(&Claude, Some(&path.unwrap()), None), Ok(found.join("claude")));
    }

    #[test]
    fn a_program_that_is_not_there_gets_a_sentence_that_says_how_to_get_it() {
        for path in [None, Some(OsStr::new("")), Some(OsStr::new("/no/such/folder:."))] {
            let error = find(&Claude, path, None).unwrap_err();
            assert_eq!(
                error.to_string(),
                "claude is not in your PATH: install Claude Code with `npm install -g \
                 @anthropic-ai/claude-code`"
            );
        }
    }

    #[test]
    fn a_setting_names_a_program_or_gets_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("claude");
        make(&program, 0o644);
        for wrong in [&program, folder.path(), Path::new("claude"), Path::new("/no/such/file")] {
            let error = find(&Claude, Some(OsStr::new("/bin")), Some(wrong)).unwrap_err();
            let sentence = error.to_string();
            assert!(sentence.contains(&*wrong.to_string_lossy()), "{sentence}");
        }
        make(&program, 0o755);
        assert_eq!(find(&Claude, None, Some(&program)), Ok(program));
    }
}
