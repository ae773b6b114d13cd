//! What is decided of a request without its user, by what was ordered at the launch.
//!
//! It is a function of the request and of the order alone, and so it is no change of the session: every
//! daemon decides the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use candor_adapters::agents::Answer;
use candor_core::agent::{Asked, Permissions};
use candor_core::session::Session;

/// The tool by which an agent asks its user a question.
pub(super) const QUESTION: &str = "AskUserQuestion";

/// Folders of a project to write in which is to run commands, sooner or later.
const PROTECTED: [&str; 7] =
    [".git", ".claude", ".codex", ".gemini", ".opencode", ".vscode", ".mcp.json"];

/// What an agent is told that is denied something by its orders.
const DENIED: &str = "The orders of this session do not allow this.";

/// Returns what is decided of a request, or `None` when its user is to be asked.
pub(super) fn decide(
    session: &Session,
    permissions: &Permissions,
    asked: &Asked,
) -> Option<Answer> {
    // What is asked there is no permission, and only its user knows the answer.
    let is_question = asked.tool == QUESTION;

    let cwd = Path::new(OsStr::from_bytes(session.spec.cwd.as_bytes()));
    let are_inside = || asked.paths.iter().all(|path| is_inside(cwd, Path::new(path)));
    let decided = permissions.decide(asked, permissions.edits_in_folder && are_inside());
    match decided {
        Some(false) => Some(Answer { approved: false, message: Some(DENIED.to_owned()) }),
        Some(true) if !is_question => Some(Answer { approved: true, message: None }),
        Some(true) | None => None,
    }
}

/// Says whether a file lies in a folder when symbolic links are followed, whether or not it is there
/// yet. What Git and agents keep for themselves does not count as being in it: to write there is to
/// run commands.
fn is_inside(folder: &Path, file: &Path) -> bool {
    let (Ok(folder), Some(file)) = (folder.canonicalize(), settled(&folder.join(file))) else {
        return false;
    };
    file.strip_prefix(&folder).is_ok_and(|below| {
        below.components().next().is_some()
            && below.components().all(|part| {
                PROTECTED.iter().all(|name| !part.as_os_str().eq_ignore_ascii_case(name))
            })
    })
}

/// Returns a path without symbolic links: what is there of it is followed, and the rest, which is not
/// there yet, must be plain names.
fn settled(path: &Path) -> Option<PathBuf> {
    let mut rest = Vec::new();
    let mut there = path;
    loop {
        match there.symlink_metadata() {
            // A link that leads nowhere is followed when it is written to.
            Ok(_) => break,
            Err(_) => {
                let Some(Component::Normal(name)) = there.components().next_back() else {
                    return None;
                };
                rest.push(name.to_owned());
                there = there.parent()?;
            }
        }
    }
    let mut settled = there.canonicalize().ok()?;
    settled.extend(rest.into_iter().rev());
    Some(settled)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::is_inside;

    #[test]
    fn a_file_is_in_a_folder_where_it_really_lies() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("work");
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::create_dir_all(folder.join(".git/hooks")).unwrap();
        fs::write(place.path().join("outside"), "").unwrap();
        symlink(place.path(), folder.join("out")).unwrap();
        symlink(place.path().join("not there"), folder.join("nowhere")).unwrap();
        symlink(folder.join("deep"), folder.join("in")).unwrap();
        let inside = |path: &str| is_inside(&folder, path.as_ref());
        for path in ["new", "deep/new", "deep/not yet/new", "in/new", "deep/../new", "./new"] {
            assert!(inside(path), "{path}");
        }
        assert!(inside(folder.join("new").to_str().unwrap()));
        for path in [
            "",
            ".",
            "..",
            "../outside",
            "deep/../../outside",
            "out/outside",
            "out/new",
            "nowhere",
            "not yet/../../outside",
            "/etc/passwd",
            ".git/config",
            ".git/hooks/new",
            ".GIT/config",
            ".claude/settings.json",
            ".mcp.json",
        ] {
            assert!(!inside(path), "{path}");
        }
        assert!(!inside(place.path().join("work-2/new").to_str().unwrap()));
    }
}
