//! The `.timeline` format: a header, what the world decided line by line, and the golden outcome.
//!
//! Lines above `----` are choices of the world alone. What core made of them stands below, so that
//! a rewrite of core moves only the golden block, and its diff is the review.
//!
//! ```text
//! @0      user launch s1 [timeout=MS] [grace=MS,MS] [ask=MS] [again=MS] [idle=MS]
//!                         [linger=MS] [codes=N,N] [always_reports]
//! @+1     user queue s2 after s1 · user interrupt|kill|finish s1 · shutdown
//! @+1     write ok|err|unknown kept|unknown lost|conflict s1#1      a commit ends
//! @+1     read ok|err s1#2                                          a read of the row ends
//! @+1     fork s1 -> p1                                             it is there, nobody knows yet
//! @+1     spawn ok s1 -> p1 · spawn refused s1 STAGE ERRNO · spawn unknown s1 [-> p1]
//! @+1     signal p1 INT|TERM|KILL kills|exits N|reports success|error exits N
//!                                 |ignored|gone|denied|unknown
//! @+1     exit p1 code N · exit p1 signal N [core] [oom]            it ends, unseen
//! @+1     reap p1 [lost REASON]                                     the daemon sees it
//! @+1     report p1 success|error · request p1 opened|closed · turn p1 ended|began
//! @+1     due s1 timeout|linger|idle|rung|retry
//! @+1     crash · crash lose|keep · crash keep s1#3                 of the commits on their way
//! @+1     boot same|other                                           daemon alone, or machine too
//! @+1     attach s1 up|ended|lost REASON|never_ran|unreachable
//! @+1     connect c1 · drop c1 · stall c1 · go c1                   go: it reads again
//! @+1     fetch c1 · show c1                                        the list is read, and arrives
//! @+1     say p1 success|error                                      written, and not read yet
//! @+1     say p1 usage|stderr|oversized|unstored                    lines that decide nothing
//! @+1     ask p1 a1 · user approve a1 · user bypass s1 MS           requests that have names
//! @+1     second daemon                                             on the same store
//! ...                                                               go on as a fair world does
//! ```
//!
//! Of features that are to come, the world has a small model, so that they are born tested:
//!
//! ```text
//! @+1     user continue s1 as s2 · user draft s1 · user start s1
//! ```
//!
//! Calls on the store are named by their place among those for their session, sessions, processes
//! and clients in the order in which they appear. In the golden block, `>` is a new status, `+` a
//! change that keeps it, `!` a recorded intent, `~` the hand of a second writer, and `|` the end of
//! a daemon.

pub mod choice;
mod corpus;
mod header;
pub mod jsonl;
pub mod names;
mod parse;
mod words;

use std::fmt;

use sha2::{Digest as _, Sha256};

pub use choice::Choice;
pub use corpus::{CorpusError, Form, load, load_each, read_file, write_file};
pub use header::{BadValue, Expectation, Victim};
pub use parse::ParseError;
pub use words::BadChoice;

/// The format that this program reads and writes.
pub const MAJOR: u32 = 1;

/// The line between the choices and the golden block.
pub const DIVIDER: &str = "----";

/// The width of a header's key, and of the moment of a choice.
const KEY_WIDTH: usize = 8;

/// The column at which a comment after a choice starts, where the choice is short enough.
const COMMENT_COLUMN: usize = 44;

/// A race as data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Timeline {
    /// The header's lines after the first, in order.
    pub head: Vec<HeadLine>,
    /// The choices, with the comments between them.
    pub body: Vec<BodyLine>,
    /// The outcome that was accepted, or `None` where there is none yet.
    pub golden: Option<String>,
}

/// One line of the header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeadLine {
    /// An empty line.
    Blank,
    /// A line that is only a comment, without its `#`.
    Comment(String),
    /// A key with its value. Keys that nobody knows are kept.
    Entry {
        /// The key.
        key: String,
        /// The rest of the line.
        value: String,
        /// The comment after it.
        comment: Option<String>,
    },
}

/// One line between the header and the golden block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BodyLine {
    /// An empty line.
    Blank,
    /// A line that is only a comment, without its `#`.
    Comment(String),
    /// A choice.
    Step(Step),
    /// `...`: from here on every call ends well, and every process obeys `KILL` alone.
    Fair,
}

/// One choice with its moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Its line in the file, counted from 1, or 0 where there is no file.
    pub line: usize,
    /// When it happens.
    pub moment: Moment,
    /// What happens.
    pub choice: Choice,
    /// The comment after it.
    pub comment: Option<String>,
}

/// A moment of virtual time, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// After the choice before.
    After(u64),
    /// After the beginning.
    At(u64),
}

impl Timeline {
    /// Returns the values of a header's key, in order.
    pub fn values(&self, wanted: &str) -> impl Iterator<Item = &str> {
        self.head.iter().filter_map(move |line| match line {
            HeadLine::Entry { key, value, .. } if key == wanted => Some(value.as_str()),
            HeadLine::Entry { .. } | HeadLine::Blank | HeadLine::Comment(_) => None,
        })
    }

    /// Returns the line of the text form at which a header's key stands first.
    #[must_use]
    pub fn line_of(&self, wanted: &str) -> Option<usize> {
        // The first line says what the file is.
        let place = self
            .head
            .iter()
            .position(|line| matches!(line, HeadLine::Entry { key, .. } if key == wanted));
        place.map(|place| place + 2)
    }

    /// Returns the short name by which reports call it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.values("id").next().unwrap_or("?")
    }

    /// Returns its claim.
    #[must_use]
    pub fn title(&self) -> &str {
        self.values("title").next().unwrap_or("")
    }

    /// Returns the choices in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.body.iter().filter_map(|line| match line {
            BodyLine::Step(step) => Some(step),
            BodyLine::Blank | BodyLine::Comment(_) | BodyLine::Fair => None,
        })
    }

    /// Says whether it ends with `...`.
    #[must_use]
    pub fn ends_fair(&self) -> bool {
        self.body.contains(&BodyLine::Fair)
    }

    /// Returns what makes two timelines the same race: a hash of the choices alone, whatever
    /// header, comments and golden block say.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut hasher = Sha256::new();
        let mut now_ms = 0;
        for step in self.steps() {
            let at_ms = step.moment.after(now_ms);
            let after_ms = at_ms.saturating_sub(now_ms);
            now_ms = at_ms;
            hasher.update(format!("+{after_ms} {}\n", step.choice));
        }
        if self.ends_fair() {
            hasher.update("...\n");
        }
        hex(&hasher.finalize())
    }
}

impl Moment {
    /// Returns the moment, counted from the beginning, when the choice before was at `now_ms`.
    #[must_use]
    pub const fn after(self, now_ms: u64) -> u64 {
        match self {
            Self::After(ms) => now_ms.saturating_add(ms),
            Self::At(ms) => ms,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The canonical form: what is read is printed the same, byte for byte.
impl fmt::Display for Timeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "timeline {MAJOR}")?;
        for line in &self.head {
            writeln!(formatter, "{line}")?;
        }
        for line in &self.body {
            writeln!(formatter, "{line}")?;
        }
        match &self.golden {
            Some(golden) => write!(formatter, "{DIVIDER}\n{golden}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HeadLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => Ok(()),
            Self::Comment(comment) => write!(formatter, "#{comment}"),
            Self::Entry { key, value, comment } => {
                let line = format!("{key:<KEY_WIDTH$}{}{value}", gap(key));
                formatter.write_str(&commented(line.trim_end(), comment.as_deref()))
            }
        }
    }
}

impl fmt::Display for BodyLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => Ok(()),
            Self::Comment(comment) => write!(formatter, "#{comment}"),
            Self::Step(step) => fmt::Display::fmt(step, formatter),
            Self::Fair => formatter.write_str("..."),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.moment.to_string();
        let line = format!("{moment:<KEY_WIDTH$}{}{}", gap(&moment), self.choice);
        formatter.write_str(&commented(&line, self.comment.as_deref()))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(ms) => write!(formatter, "@+{ms}"),
            Self::At(ms) => write!(formatter, "@{ms}"),
        }
    }
}

/// Keeps a word that fills its column from growing into the next.
fn gap(word: &str) -> &'static str {
    if word.len() >= KEY_WIDTH { " " } else { "" }
}

fn commented(line: &str, comment: Option<&str>) -> String {
    match comment {
        Some(comment) => format!("{line:<COMMENT_COLUMN$} #{comment}"),
        None => line.to_owned(),
    }
}
