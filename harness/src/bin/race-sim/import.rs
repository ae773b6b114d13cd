//! `race-sim import`: a timeline of flight recordings.

use std::fs;
use std::path::PathBuf;

use candor_harness::check::Failure;
use candor_harness::destination::Destination;
use candor_harness::import::{ImportError, Imported, Recording, import};
use candor_harness::timeline::{Form, Timeline};

use crate::codes::{NONDETERMINISM, USAGE};
use crate::flags::{check, put};
use crate::output::errln;
use crate::replay::exit_code;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim import FILE.recording... [--out FILE] [--force] [--bless]
      Makes a timeline of a session's flight recording, as `candor timeline ID` prints it, or of
      several that lived under the same daemons, and proves that it replays alike, entry by entry.
      Of a recording that was made by other rules it says where these part from it, with exit code 1;
      by the same rules that is nondeterminism, with exit code 130. Nothing is written then. What
      the timeline itself breaks is told after it was written.
        --out FILE  write it there instead of printing it
        --force     also where there is another file already
        --bless     with the outcome as its golden block
";

/// What `import` was asked to do.
pub(crate) struct Import {
    files: Vec<PathBuf>,
    out: Option<PathBuf>,
    is_forced: bool,
    bless: bool,
}

impl Import {
    /// Reads the words after `import`, or says what is wrong with them.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut request = Self { files: Vec::new(), out: None, is_forced: false, bless: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--bless" => request.bless = true,
                "--force" => request.is_forced = true,
                "--out" => {
                    let out = words.next().ok_or("--out needs the name of a file")?;
                    request.out = Some(PathBuf::from(out));
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("`import` has no flag `{flag}`"));
                }
                file => request.files.push(PathBuf::from(file)),
            }
        }
        if request.files.is_empty() {
            return Err("`import` takes at least one recording".to_owned());
        }
        Ok(request)
    }

    /// Imports, and returns the exit code.
    pub(crate) fn run(&self) -> u8 {
        if let Err(code) = check(self.destination().as_ref()) {
            return code;
        }
        let mut recordings = Vec::new();
        for file in &self.files {
            let name = file.display().to_string();
            let bytes = match fs::read(file) {
                Ok(bytes) => bytes,
                Err(error) => {
                    errln!("race-sim: cannot read {name}: {error}");
                    return USAGE;
                }
            };
            match Recording::read(&name, &bytes) {
                Ok(recording) => recordings.push(recording),
                Err(error) => return complain(&error),
            }
        }
        match import(&recordings) {
            Ok(imported) => self.write(imported),
            Err(error) => complain(&error),
        }
    }

    fn destination(&self) -> Option<Destination> {
        self.out.as_ref().map(|out| Destination::new(out, &self.files, self.is_forced))
    }

    fn write(&self, imported: Imported) -> u8 {
        for note in &imported.notes {
            errln!("race-sim: {note}");
        }
        let judged = imported.judge();
        let Imported { timeline, outcome, entries, .. } = imported;
        let golden = self.bless.then_some(outcome.golden);
        let timeline = Timeline { golden, ..timeline };
        let form = self.out.as_deref().map_or(Form::Text, Form::of);
        let written = put(self.destination().as_ref(), &form.print(&timeline));
        errln!("race-sim: {entries} entries replay alike");
        let broken = judged.as_ref().err().map_or(0, |failure: &Failure| {
            errln!("race-sim: {failure}");
            exit_code(failure)
        });
        written.max(broken)
    }
}

/// Says why recordings cannot be imported, and returns the exit code for it.
fn complain(error: &ImportError) -> u8 {
    errln!("race-sim: {error}");
    match error {
        ImportError::Nondeterminism { .. } | ImportError::Differs { .. } => NONDETERMINISM,
        ImportError::Malformed { .. }
        | ImportError::CoreChanged { .. }
        | ImportError::NotShown { .. }
        | ImportError::Unplayable(_) => USAGE,
    }
}
