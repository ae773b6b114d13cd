//! What lies in the folder of sessions, and whether the processes that it tells of still run: for
//! whoever asks whether all is well.
//!
//! It only looks. It follows no link, and never sends a signal.

use std::fs;
use std::io;
use std::path::Path;

use candor_core::session::SessionId;
use uuid::Uuid;

use super::files;
use super::identity::Identity;
use super::output::Stream;
use super::platform::{Life, boot_id, sign_of_life};
use super::record::Found;

/// What something in the folder of sessions is, by its name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Piece {
    /// A session's own folder.
    Folder,
    /// Who its process is.
    Identity,
    /// Its flight recording.
    Recording,
    /// The folder of its shim.
    Shim,
    /// A file that was being written when its daemon died.
    Unfinished,
}

impl Piece {
    /// Says what a name in the folder of sessions stands for. `None` for one that Candor gives to
    /// nothing there.
    #[must_use]
    pub fn of(name: &str) -> Option<(SessionId, Self)> {
        let (id, ending) = name.split_once('.').unwrap_or((name, ""));
        let id = SessionId::from_uuid(Uuid::try_parse(id).ok()?);
        let piece = match ending {
            "" => Self::Folder,
            "identity" => Self::Identity,
            "recording" => Self::Recording,
            "shim" => Self::Shim,
            ending if ending.ends_with(".unfinished") => Self::Unfinished,
            _ => return None,
        };
        // A UUID can be written in other ways, and none of them is ours.
        name.starts_with(&id.to_string()).then_some((id, piece))
    }
}

/// What the identity of a session tells of its process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trace {
    /// There is no identity.
    None,
    /// The identity is not what was written.
    Damaged,
    /// The process has ended.
    Over,
    /// The process runs.
    Runs {
        /// Its number, for a person to look at. It may be another's by the time that they do.
        pid: u32,
    },
}

/// What the folder of a session's shim tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShimTrace {
    /// Whether it lives.
    pub life: ShimLife,
    /// The number of its process, while that runs, for a person to look at.
    pub pid: Option<u32>,
    /// The names of records that are not what was written.
    pub damaged: Vec<&'static str>,
    /// What keeps the shim from being found, in words.
    pub faults: Vec<&'static str>,
}

/// Whether a shim lives, and its process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShimLife {
    /// No process is known: a launch is under way, or came to nothing.
    Unstarted,
    /// It lives.
    Lives,
    /// It is gone, and its process runs.
    Unsupervised,
    /// Both are gone.
    Over,
    /// It is gone, and its records do not say what became of the process.
    Unknown,
}

/// Looks for the process that the identity of a session names, by its number, its start and its
/// boot.
///
/// # Errors
///
/// What the system said: then nobody knows.
pub fn trace(sessions_folder: &Path, session: SessionId) -> io::Result<Trace> {
    let identity = match Identity::load(sessions_folder, session)? {
        Found::Nothing => return Ok(Trace::None),
        Found::Damaged => return Ok(Trace::Damaged),
        Found::Whole(identity) => identity,
    };
    trace_of(&identity)
}

/// Does what [`trace`] does for an identity that was read.
pub(super) fn trace_of(identity: &Identity) -> io::Result<Trace> {
    let Some(pid) = identity.pid() else {
        return Ok(Trace::Damaged);
    };
    if boot_id()? != identity.boot_id() {
        return Ok(Trace::Over);
    }
    match sign_of_life(pid)? {
        Life::Runs { start_mark } if start_mark == identity.start_mark() => {
            Ok(Trace::Runs { pid: pid.as_raw_nonzero().get().unsigned_abs() })
        }
        // The number has become another's.
        Life::Runs { .. } | Life::Gone => Ok(Trace::Over),
    }
}

/// Says whether a session's folder is there, with both of its outputs.
#[must_use]
pub fn has_outputs(sessions_folder: &Path, session: SessionId) -> bool {
    Stream::ALL.into_iter().all(|stream| {
        let path = files::output(sessions_folder, session, stream);
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use candor_core::ports::IdSource as _;
    use rustix::process::Pid;

    use super::{Piece, Trace, trace};
    use crate::ids::UuidV7Source;
    use crate::process::identity::Identity;
    use crate::process::platform::{Life, boot_id, sign_of_life};

    #[test]
    fn only_names_that_candor_gives_are_pieces() {
        let id = UuidV7Source.session_id();
        for (ending, piece) in [
            ("", Piece::Folder),
            (".identity", Piece::Identity),
            (".recording", Piece::Recording),
            (".shim", Piece::Shim),
            (".identity.unfinished", Piece::Unfinished),
        ] {
            assert_eq!(Piece::of(&format!("{id}{ending}")), Some((id, piece)));
        }
        let text = id.to_string();
        for name in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("{text}.identity.old"),
            format!("{text}.txt"),
            format!("{text}.shim.old"),
            format!("{text}x"),
            ".identity".to_owned(),
            "notes".to_owned(),
            String::new(),
        ] {
            assert_eq!(Piece::of(&name), None, "{name}");
        }
    }

    #[test]
    fn a_process_is_known_by_number_start_and_boot() {
        let folder = tempfile::tempdir().unwrap();
        let session = UuidV7Source.session_id();
        assert_eq!(trace(folder.path(), session).unwrap(), Trace::None);
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let Life::Runs { start_mark } = sign_of_life(pid).unwrap() else { panic!("it runs") };
        let boot = boot_id().unwrap();
        let stored = |start_mark, boot_id: &str| {
            Identity::new(session, pid, start_mark, boot_id.to_owned())
                .store(folder.path())
                .unwrap();
            trace(folder.path(), session).unwrap()
        };
        assert_eq!(stored(start_mark, &boot), Trace::Runs { pid: child.id() });
        assert_eq!(stored(start_mark + 1, &boot), Trace::Over);
        assert_eq!(stored(start_mark, "another"), Trace::Over);
        assert_eq!(stored(start_mark, &boot), Trace::Runs { pid: child.id() });
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(trace(folder.path(), session).unwrap(), Trace::Over);
        std::fs::write(folder.path().join(format!("{session}.identity")), "v1 nonsense").unwrap();
        assert_eq!(trace(folder.path(), session).unwrap(), Trace::Damaged);
    }
}
