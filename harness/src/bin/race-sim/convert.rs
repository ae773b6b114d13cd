//! `race-sim convert`: a timeline from the form for people into that for machines, and back.

use std::fs;
use std::path::{Path, PathBuf};

use candor_harness::destination::Destination;
use candor_harness::timeline::{CorpusError, Form, jsonl, read_file};

use crate::complain;
use crate::flags::{check, put};
use crate::output::errln;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim convert FILE [--out FILE] [--force]
      Prints the twin of a timeline: of FILE.timeline one JSON object a line, of FILE.jsonl the text.
      A torn last line of a twin is left out, and told.
        --out FILE  write it there instead; its name must have the other extension
        --force     also where there is another file already
";

/// What `convert` was asked to do.
pub(crate) struct Convert {
    from: PathBuf,
    out: Option<Destination>,
}

impl Convert {
    /// Reads the words after `convert`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let (from, out, is_forced) = read_words(words)?;
        if !from.exists() {
            return Err(format!("there is no file {}", from.display()));
        }
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
            Some(_) | None => {
                let inputs = [from.clone()];
                let out = out.map(|out| Destination::new(out, &inputs, is_forced));
                Ok(Self { from, out })
            }
        }
    }

    /// Converts, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        if let Err(code) = check(self.out.as_ref()) {
            return code;
        }
        let timeline = match Form::of(&self.from) {
            Form::Text => read_file(&self.from),
            Form::Jsonl => self.read_twin(),
        };
        let timeline = match timeline {
            Ok(timeline) => timeline,
            Err(error) => return complain(&error),
        };
        let text = other(Form::of(&self.from)).print(&timeline);
        put(self.out.as_ref(), &text)
    }

    fn read_twin(&self) -> Result<candor_harness::timeline::Timeline, CorpusError> {
        let path = || self.from.clone();
        let bytes = fs::read(&self.from)
            .map_err(|source| CorpusError::Unreadable { path: path(), source })?;
        let twin =
            jsonl::read(&bytes).map_err(|error| CorpusError::Malformed { path: path(), error })?;
        if let Some(line) = twin.torn {
            errln!("race-sim: {}: line {line}: torn, and left out", self.from.display());
        }
        Ok(twin.timeline)
    }
}

/// Returns the file, where its twin is to stand, and whether a file may be replaced.
fn read_words(words: &[&str]) -> Result<(PathBuf, Option<PathBuf>, bool), String> {
    let (mut from, mut out, mut is_forced) = (None, None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--force" => is_forced = true,
            "--out" => {
                let name = words.next().ok_or("`--out` needs the name of a file after it")?;
                out = Some(PathBuf::from(name));
            }
            flag if flag.starts_with('-') => {
                return Err(format!("`convert` has no flag `{flag}`"));
            }
            _ if from.is_some() => return Err("`convert` takes one file at a time".to_owned()),
            file => from = Some(PathBuf::from(file)),
        }
    }
    Ok((from.ok_or("`convert` takes one file")?, out, is_forced))
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
