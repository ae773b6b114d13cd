//! `race-sim convert`: a timeline from the form for people into that for machines, and back.

use std::fs;
use std::path::{Path, PathBuf};

use candor_harness::timeline::{CorpusError, Form, jsonl, read_file};

use crate::codes::USAGE;
use crate::complain;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "\
  race-sim convert FILE [--out FILE]
      Prints the twin of a timeline: of FILE.timeline one JSON object a line, of FILE.jsonl the text.
      A torn last line of a twin is left out, and told.
        --out FILE  write it there instead; its name must have the other extension
";

/// What `convert` was asked to do.
pub(crate) struct Convert {
    from: PathBuf,
    out: Option<PathBuf>,
}

impl Convert {
    /// Reads the words after `convert`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (from, out) = match words {
            [from] | [from, "--out"] if from.starts_with('-') => (None, None),
            [from] => (Some(from), None),
            [from, "--out", out] | ["--out", out, from] => (Some(from), Some(PathBuf::from(out))),
            _ => (None, None),
        };
        let from =
            from.map(PathBuf::from).ok_or("`convert` takes one file, and --out with another")?;
        let is_known = |form: Form| has_extension(&from, form);
        if !is_known(Form::Text) && !is_known(Form::Jsonl) {
            return Err(format!("expected FILE.timeline or FILE.jsonl, found {}", from.display()));
        }
        let other = other(Form::of(&from));
        match &out {
            Some(out) if !has_extension(out, other) => {
                let (extension, out) = (other.extension(), out.display());
                Err(format!("expected --out with a name that ends in .{extension}, found {out}"))
            }
            Some(_) | None => Ok(Self { from, out }),
        }
    }

    /// Converts, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        let timeline = match Form::of(&self.from) {
            Form::Text => read_file(&self.from),
            Form::Jsonl => self.read_twin(),
        };
        let timeline = match timeline {
            Ok(timeline) => timeline,
            Err(error) => return complain(&error),
        };
        let text = other(Form::of(&self.from)).print(&timeline);
        put(self.out.as_deref(), &text)
    }

    fn read_twin(&self) -> Result<candor_harness::timeline::Timeline, CorpusError> {
        let path = || self.from.clone();
        let bytes = fs::read(&self.from)
            .map_err(|source| CorpusError::Unreadable { path: path(), source })?;
        let twin =
            jsonl::read(&bytes).map_err(|error| CorpusError::Malformed { path: path(), error })?;
        if let Some(line) = twin.torn {
            eprintln!("race-sim: {}: line {line}: torn, and left out", self.from.display());
        }
        Ok(twin.timeline)
    }
}

const fn other(form: Form) -> Form {
    match form {
        Form::Text => Form::Jsonl,
        Form::Jsonl => Form::Text,
    }
}

fn has_extension(path: &Path, form: Form) -> bool {
    path.extension().is_some_and(|extension| extension == form.extension())
}

/// Writes a text where it was asked for, or prints it, and returns the exit code.
pub(crate) fn put(out: Option<&Path>, text: &str) -> u8 {
    let Some(path) = out else {
        print!("{text}");
        return 0;
    };
    match fs::write(path, text) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("race-sim: cannot write {}: {error}", path.display());
            USAGE
        }
    }
}
