//! Where an agent's program is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Agent;

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
/// in the folders of `path_variable`, which is the caller's `PATH`. Folders in it that are not
/// absolute are left out: which program runs does not depend on the folder that somebody stands in.
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::Claude;
    use super::*;

    fn make(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
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
        assert_eq!(
            find(&Claude, OsStr::new("claude"), &path.unwrap(), None),
            Ok(found.join("claude"))
        );
    }

    #[test]
    fn a_program_that_is_not_there_gets_a_sentence_that_says_how_to_get_it() {
        for path in ["", "/no/such/folder:."] {
            let error = find(&Claude, OsStr::new("claude"), OsStr::new(path), None).unwrap_err();
            assert_eq!(
                error.to_string(),
                "`claude` is in no folder of PATH: install Claude Code with `npm install -g \
                 @anthropic-ai/claude-code`, or set `agents.claude`"
            );
        }
    }

    #[test]
    fn a_setting_names_a_program_or_gets_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("claude");
        make(&program, 0o644);
        for wrong in [&program, folder.path(), Path::new("claude"), Path::new("/no/such/file")] {
            let error =
                find(&Claude, OsStr::new("claude"), OsStr::new("/bin"), Some(wrong)).unwrap_err();
            let sentence = error.to_string();
            assert!(sentence.contains(&*wrong.to_string_lossy()), "{sentence}");
        }
        make(&program, 0o755);
        let found = find(&Claude, OsStr::new("claude"), OsStr::new(""), Some(&program));
        assert_eq!(found, Ok(program));
    }

    #[test]
    fn a_program_that_is_a_path_is_itself_or_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("claude");
        make(&program, 0o755);
        let (path, bin) = (program.as_os_str(), folder.path().as_os_str());
        assert_eq!(find(&Claude, path, OsStr::new(""), None), Ok(program.clone()));
        assert!(find(&Claude, OsStr::new("./claude"), bin, None).is_err());
    }
}
