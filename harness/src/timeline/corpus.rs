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
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        collect(path, &mut files)?;
        if files.len() == before {
            return Err(CorpusError::Empty { path: path.clone() });
        }
    }
    files.sort();
    files.dedup();
    let mut corpus = Vec::new();
    for file in files {
        let timeline = read_file(&file)?;
        corpus.push((file, timeline));
    }
    refuse_duplicates(&corpus)?;
    Ok(corpus)
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

fn refuse_duplicates(corpus: &[(PathBuf, Timeline)]) -> Result<(), CorpusError> {
    let mut by_identity = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for (path, timeline) in corpus {
        let earlier = by_identity.insert(timeline.identity(), path);
        let what = "are the same race";
        let clash = earlier.map(|first| (first, what)).or_else(|| {
            let earlier = by_id.insert(timeline.id(), path);
            earlier.map(|first| (first, "have the same id"))
        });
        if let Some((first, what)) = clash {
            let (first, second) = (first.clone(), path.clone());
            return Err(CorpusError::Duplicate { first, second, what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{CorpusError, refuse_duplicates};

    fn duplicate(texts: [&str; 2]) -> Option<&'static str> {
        let corpus = texts.map(|text| (PathBuf::from("a.timeline"), text.parse().unwrap()));
        match refuse_duplicates(&corpus) {
            Err(CorpusError::Duplicate { what, .. }) => Some(what),
            Err(error) => panic!("{error}"),
            Ok(()) => None,
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
