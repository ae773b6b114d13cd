//! Which session a replayed agent plays, and the prompts that it has seen, where they are kept.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process;

use super::voice;
use crate::signals::leave;

/// Names the folder in which sessions are kept.
const FOLDER: &str = "FAKE_CLAUDE_SESSIONS";

/// A session, and the file that has a line for each of its prompts.
#[derive(Debug)]
pub(crate) struct Kept {
    session: String,
    file: Option<PathBuf>,
}

impl Kept {
    /// Finds the session that the arguments ask for. What the real program refuses is refused in its
    /// words, and this process ends.
    pub(crate) fn open(arguments: &[String]) -> io::Result<Self> {
        let folder = env::var_os(FOLDER).map(PathBuf::from);
        let file_of = |session: &str| folder.as_ref().map(|folder| folder.join(session));
        let is_missing = |session: &str| file_of(session).is_some_and(|file| !file.exists());
        let chosen = value(arguments, "--session-id");
        if let Some(session) = chosen
            && file_of(session).is_some_and(|file| file.exists())
        {
            drop(writeln!(io::stderr(), "Error: Session ID {session} is already in use."));
            leave(1);
        }
        let resumed = value(arguments, "--resume");
        if let Some(session) = resumed
            && is_missing(session)
        {
            voice::no_conversation(session);
            leave(1);
        }
        let forks = arguments.iter().any(|argument| argument == "--fork-session");
        let goes_on = resumed.filter(|_| !forks);
        let new = || format!("{:08x}-1111-4111-8111-111111111111", process::id());
        let session = goes_on.or(chosen).map_or_else(new, str::to_owned);
        let file = file_of(&session);
        if let (true, Some(from), Some(to)) = (forks, resumed.and_then(file_of), &file) {
            fs::copy(from, to)?;
        }
        Ok(Self { session, file })
    }

    /// Returns the session's name.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Keeps a prompt. It is there before the model is asked.
    pub(crate) fn prompt(&self, text: &str) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut file: File = OpenOptions::new().append(true).create(true).open(path)?;
        writeln!(file, "{text:?}")
    }

    /// Returns how many prompts were kept.
    pub(crate) fn prompts(&self) -> io::Result<usize> {
        let Some(path) = &self.file else { return Ok(0) };
        Ok(fs::read_to_string(path)?.lines().count())
    }
}

/// Returns the value of an option, which stands behind it or behind an equals sign.
fn value<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == name {
            return rest.next().map(String::as_str);
        }
        if let Some(value) = argument.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value);
        }
    }
    None
}
