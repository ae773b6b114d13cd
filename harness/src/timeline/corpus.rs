//! Finds timelines on disk, and refuses the same race twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{ParseError, Timeline, jsonl};

/// Timelines in one corpus, at most; more is a folder that was named by mistake.
const FILES_MAX: usize = 10_000;

/// Why a corpus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no timeline.
    #[error("{}: {error}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where, and why.
        error: ParseError,
    },
    /// Two files are the same race, or bear the same id.
    #[error("{} and {} {what}: keep one", first.display(), second.display())]
    Duplicate {
        /// The one that was read first.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What they share.
        what: &'static str,
    },
    /// There is nothing to do.
    #[error("there is no timeline in {}", path.display())]
    Empty {
        /// Where none was found.
        path: PathBuf,
    },
    /// There are far too many.
    #[error("there are more than {FILES_MAX} timelines in {}", path.display())]
    TooMany {
        /// Where they were found.
        path: PathBuf,
    },
}

/// In which form a timeline stands in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// For people: `.timeline`.
    Text,
    /// For machines: `.jsonl`. See [`jsonl`].
    Jsonl,
}

impl Form {
    /// Returns the form that a file's extension says; a file with any other is taken for text.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension == Self::Jsonl.extension()) {
            Self::Jsonl
        } else {
            Self::Text
        }
    }

    /// Returns the extension, without its dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Text => "timeline",
            Self::Jsonl => "jsonl",
        }
    }

    /// Prints a timeline in this form.
    #[must_use]
    pub fn print(self, timeline: &Timeline) -> String {
        match self {
            Self::Text => timeline.to_string(),
            Self::Jsonl => jsonl::print(timeline),
        }
    }
}

/// Reads one file, in the form that its extension says. A twin with a torn last line is refused,
/// because half a timeline must not pass for a whole one.
///
/// # Errors
///
/// [`CorpusError::Unreadable`] and [`CorpusError::Malformed`]: tell the user, who has named it.
pub fn read_file(path: &Path) -> Result<Timeline, CorpusError> {
    let unreadable = |source| CorpusError::Unreadable { path: path.to_owned(), source };
    let read = match Form::of(path) {
        Form::Text => fs::read_to_string(path).map_err(unreadable)?.parse(),
        Form::Jsonl => {
            jsonl::read(&fs::read(path).map_err(unreadable)?).and_then(jsonl::Twin::whole)
        }
    };
    read.map_err(|error| CorpusError::Malformed { path: path.to_owned(), error })
}

/// Writes a timeline to a file, in the form that its extension says.
///
/// # Errors
///
/// What the system said.
pub fn write_file(path: &Path, timeline: &Timeline) -> io::Result<()> {
    fs::write(path, Form::of(path).print(timeline))
}

/// Reads files, and all texts below folders, each once and in the order of their names.
///
/// # Errors
///
/// See [`CorpusError`]; the first trouble ends it.
pub fn load(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Timeline)>, CorpusError> {
    load_each(paths).into_iter().map(|(path, read)| Ok((path, read?))).collect()
}

/// Does the same, and lets no file hide another: each is there with what is wrong with it.
#[must_use]
pub fn load_each(paths: &[PathBuf]) -> Vec<(PathBuf, Result<Timeline, CorpusError>)> {
    let (mut files, mut corpus) = (Vec::new(), Vec::new());
    for path in paths {
        if let Err(error) = add(path, &mut files) {
            corpus.push((path.clone(), Err(error)));
        }
    }
    files.sort();
    files.dedup();
    corpus.extend(files.into_iter().map(|file| {
        let read = read_file(&file);
        (file, read)
    }));
    refuse_duplicates(&mut corpus);
    corpus
}

/// Adds a file, or all below a folder.
fn add(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let before = files.len();
    collect(path, files)?;
    if files.len() == before {
        return Err(CorpusError::Empty { path: path.to_owned() });
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    let unreadable = |source| CorpusError::Unreadable { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if files.len() >= FILES_MAX {
            return Err(CorpusError::TooMany { path: folder.to_owned() });
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == Form::Text.extension()) {
            files.push(path);
        }
    }
    Ok(())
}

/// Refuses every timeline that is the race of an earlier one, or bears its id.
fn refuse_duplicates(corpus: &mut [(PathBuf, Result<Timeline, CorpusError>)]) {
    let mut by_identity = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for (path, read) in corpus {
        let Ok(timeline) = read else { continue };
        let id = timeline.id().to_owned();
        let same_race =
            by_identity.get(&timeline.identity()).map(|first| (first, "are the same race"));
        // One without an id has none to share.
        let same_id = (id != "?").then(|| by_id.get(&id)).flatten();
        let clash: Option<(&PathBuf, _)> =
            same_race.or_else(|| same_id.map(|first| (first, "have the same id")));
        if let Some((first, what)) = clash {
            let (first, second) = (first.clone(), path.clone());
            *read = Err(CorpusError::Duplicate { first, second, what });
            continue;
        }
        by_identity.insert(timeline.identity(), path.clone());
        by_id.insert(id, path.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{CorpusError, refuse_duplicates};

    fn duplicate(texts: [&str; 2]) -> Option<&'static str> {
        let mut corpus = texts.map(|text| (PathBuf::from("a.timeline"), Ok(text.parse().unwrap())));
        refuse_duplicates(&mut corpus);
        let [_, (_, second)] = corpus;
        match second {
            Err(CorpusError::Duplicate { what, .. }) => Some(what),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    }

    #[test]
    fn the_same_race_and_the_same_id_are_refused() {
        let one = "timeline 1\nid one\n@0 user launch s1\n";
        let two = "timeline 1\nid two\n@1 user launch s1\n";
        assert_eq!(duplicate([one, two]), None);
        assert_eq!(duplicate([one, &two.replace("@1", "@+0")]), Some("are the same race"));
        assert_eq!(duplicate([one, &two.replace("two", "one")]), Some("have the same id"));
    }
}
