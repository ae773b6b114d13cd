//! A recording's file: headers, each before a beginning, and one entry a line.

use candor_core::recording::{Call, Entry};
use serde::Deserialize;

use super::{ImportError, Place, describe_call};
use crate::timeline::jsonl::{parse, whole_lines};

/// The form of the lines that this program reads.
const VERSION: u32 = 1;

/// What was read of one session's recording.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file, as the user named it.
    pub(super) name: String,
    session: String,
    pub(super) entries: Vec<Recorded>,
    /// The last line, where whoever wrote it did not get to its end. It is left out.
    torn: Option<usize>,
}

/// One entry with its surroundings.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// The fingerprint of the rules that made it, in hex.
    pub(super) rules: String,
    pub(super) entry: Entry,
}

/// The line before each beginning, as `candor_adapters::recorder` writes it.
#[derive(Deserialize)]
struct Header {
    v: u32,
    session: String,
    rules: String,
    /// Which version of Candor it was means nothing here; the rules do.
    #[serde(rename = "build")]
    _build: String,
}

impl Recording {
    /// Reads the recording of one session. A torn last line is left out.
    ///
    /// # Errors
    ///
    /// [`ImportError::Malformed`]: the line, and what was expected there.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, ImportError> {
        let (lines, torn) = whole_lines(bytes);
        let mut reader = Reader { name, header: None, is_header_used: true, last_ms: None };
        let mut entries = Vec::new();
        for (number, line) in lines {
            entries.extend(reader.line(number, line)?);
        }
        if entries.is_empty() {
            let message = "expected a header and the beginning of a session, found the end";
            return Err(reader.malformed(torn.unwrap_or(1), message));
        }
        let session = reader.header.map(|header| header.session).unwrap_or_default();
        Ok(Self { name: name.to_owned(), session, entries, torn })
    }

    /// Returns the number of a torn last line, which was left out.
    #[must_use]
    pub const fn torn(&self) -> Option<usize> {
        self.torn
    }

    /// Returns the session whose recording it is.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Returns the fingerprint of the rules that made its first entry, in hex.
    #[must_use]
    pub fn rules(&self) -> Option<&str> {
        self.entries.first().map(|recorded| recorded.rules.as_str())
    }

    pub(super) fn place(&self, line: usize) -> Place {
        Place { file: self.name.clone(), line }
    }
}

/// What is known between two lines.
struct Reader<'a> {
    name: &'a str,
    header: Option<Header>,
    is_header_used: bool,
    /// The moment of the entry before, if there is one.
    last_ms: Option<u64>,
}

impl Reader<'_> {
    fn malformed(&self, line: usize, message: impl Into<String>) -> ImportError {
        let at = Place { file: self.name.to_owned(), line };
        ImportError::Malformed { at, message: message.into() }
    }

    fn line(&mut self, number: usize, line: &[u8]) -> Result<Option<Recorded>, ImportError> {
        let is_header = line.starts_with(b"{\"v\":");
        if is_header || self.header.is_none() {
            self.header = Some(self.header(number, line)?);
            self.is_header_used = false;
            return Ok(None);
        }
        let entry: Entry = parse(number, line).map_err(|error| {
            self.malformed(number, format!("expected an entry of a recording: {}", error.message))
        })?;
        self.check_order(number, &entry)?;
        let rules = self.header.as_ref().map(|header| header.rules.clone()).unwrap_or_default();
        Ok(Some(Recorded { line: number, rules, entry }))
    }

    fn header(&self, number: usize, line: &[u8]) -> Result<Header, ImportError> {
        let header: Header = parse(number, line).map_err(|error| {
            let example = "{\"v\":1,\"session\":…,\"rules\":…,\"build\":…}";
            self.malformed(
                number,
                format!("expected the header of a recording, {example}: {}", error.message),
            )
        })?;
        if header.v != VERSION {
            let message = format!(
                "this is version {} of recordings, and only {VERSION} can be read",
                header.v
            );
            return Err(self.malformed(number, message));
        }
        if !self.is_header_used {
            return Err(self.malformed(number, "expected a beginning, found another header"));
        }
        match &self.header {
            Some(before) if before.session != header.session => {
                Err(self.malformed(number, "expected the same session as above, found another"))
            }
            Some(_) | None => Ok(header),
        }
    }

    fn check_order(&mut self, number: usize, entry: &Entry) -> Result<(), ImportError> {
        let is_beginning = matches!(entry.call, Call::Create { .. } | Call::Resume { .. });
        if is_beginning == self.is_header_used {
            let found = describe_call(&entry.call);
            let message = if is_beginning {
                format!("expected a header before a beginning, found {found}")
            } else {
                format!("expected a beginning (create or resume) after the header, found {found}")
            };
            return Err(self.malformed(number, message));
        }
        if matches!(entry.call, Call::Create { .. }) && self.last_ms.is_some() {
            return Err(self.malformed(number, "a session begins once, and has begun above"));
        }
        let at_ms = entry.at.as_ms();
        if let Some(last_ms) = self.last_ms.filter(|last_ms| at_ms < *last_ms && !is_beginning) {
            let message = format!("time goes back from {last_ms} to {at_ms} ms without a restart");
            return Err(self.malformed(number, message));
        }
        self.is_header_used = true;
        self.last_ms = Some(at_ms);
        Ok(())
    }
}
