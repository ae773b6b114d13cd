//! Makes a timeline of flight recordings, which replays to the same, entry by entry.
//!
//! A recording holds what a session's protocol was handed, and what came of it. A timeline holds
//! what the world decided. So an import goes through the entries in order, and lets a world that
//! has a recorder of its own make the next one happen:
//!
//! | entry | choice |
//! |---|---|
//! | `create` | `user launch` with the options of its policy, `user queue` |
//! | `answered` | `write ok`, `write err`; in doubt as what was seen next says: `unknown kept`, `unknown lost`, `conflict` |
//! | `looked` | `read ok`; `read err` where there was no answer |
//! | `retry` | `due s1 retry` |
//! | `resume` | `crash`, and `boot same` or `boot other` |
//! | `take` | `user interrupt`, `user kill`, `shutdown`, `spawn`, `attach`, `request`, `report`, `reap`, `due` |
//!
//! What a recording does not hold is inferred, in a way that keeps the replay the same, and marked
//! with the comment `inferred`:
//!
//! - *What a signal did.* INT and TERM end a process if its end is the next thing that the session
//!   took and fits: by that signal, or with an exit code. Otherwise they are ignored. KILL kills,
//!   unless the process is known to have ended in another way (then it was `gone`) or was found
//!   alive afterwards (then nobody knows what became of the signal).
//! - *When a process ended*: when the daemon saw it.
//! - *When the daemon was killed*: right after the last entry before it was back. A commit on its
//!   way was kept if the row has it afterwards.
//! - *Whether a launch that was never answered made a process*: if anything was heard of one later.
//! - *Whether the machine was restarted*: if the monotonic clock went back, or the session was lost
//!   by a reboot.
//! - *Which session was waited for* by a queued one: of the others, the one that ended last before.
//!
//! Moments are counted from the beginning, so that no uptime shows. Where the recording begins with
//! a row, because what came before is gone, a history that leads to that row is made up and marked.
//!
//! Several recordings make one timeline where the order of what happened in the same millisecond can
//! be found; a daemon that was killed shows in all of them. A reboot, a row at the beginning, and a
//! shutdown that reached sessions at different moments keep a recording from being imported with
//! others.
//!
//! Then the text of the timeline is replayed, and the entries of that replay are compared with the
//! recording's, one by one. A fingerprint covers moments, so it is taken anew after they are moved;
//! whatever else came of an entry must be what it was.

mod file;
mod history;
mod inferred;
mod launch;
mod script;
mod track;

use std::fmt;

use candor_core::recording::{Call, Entry};

pub use file::Recording;

use crate::check::{Failure, judge};
use crate::replay::{Mode, Outcome, replay, world_of};
use crate::timeline::names::SessionName;
use crate::timeline::{BodyLine, HeadLine, Timeline};
use crate::trial::entry;
use script::Script;
use track::Track;

/// Digits of the identity that make up a timeline's id.
const ID_DIGITS: usize = 8;

/// A timeline that replays like its recordings.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The timeline, without a golden block.
    pub timeline: Timeline,
    /// What it came to.
    pub outcome: Outcome,
    /// Entries that were compared and are the same.
    pub entries: usize,
    /// What the user should know: what was left out, made up, or moved.
    pub notes: Vec<String>,
}

/// Why recordings cannot be imported. Nothing was made of them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// A line is not what a recording has there.
    #[error("{at}: {message}")]
    Malformed {
        /// Where.
        at: Place,
        /// What was expected there.
        message: String,
    },
    /// The recording was made by other rules, and by these it goes another way.
    #[error(
        "{at}: the core has changed: the recording was made by the rules {recorded}, these are \
         {rules}, and this is the first entry that they replay otherwise: {entry}"
    )]
    CoreChanged {
        /// Where.
        at: Place,
        /// The rules of the recording.
        recorded: String,
        /// The rules of this build.
        rules: String,
        /// The entry.
        entry: String,
    },
    /// The same rules make something else of the same.
    #[error(
        "{at}: nondeterminism: the rules are the same, and something else comes of {entry}: either \
         something decides that should not, or lines before this one are missing"
    )]
    Nondeterminism {
        /// Where.
        at: Place,
        /// The entry.
        entry: String,
    },
    /// No choices of a world lead to an entry.
    #[error("{at}: no timeline can show {entry}: {reason}")]
    NotShown {
        /// Where.
        at: Place,
        /// The entry.
        entry: String,
        /// Why not.
        reason: String,
    },
    /// The replay of the finished timeline differs from the recording.
    #[error("{at}: the replay differs, first here: recorded {recorded}, replayed {replayed}")]
    Differs {
        /// Where.
        at: Place,
        /// What the recording has.
        recorded: String,
        /// What the replay has.
        replayed: String,
    },
    /// The finished timeline does not replay.
    #[error("the timeline that was made does not replay, which is a bug: {0}")]
    Unplayable(String),
}

/// A line of a recording's file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: line {}", self.file, self.line)
    }
}

/// Imports recordings of sessions that lived under the same daemons, each session once.
///
/// # Errors
///
/// See [`ImportError`].
pub fn import(recordings: &[Recording]) -> Result<Imported, ImportError> {
    refuse_twice(recordings)?;
    let mut notes = Vec::new();
    let mut tracks = track::lay(recordings, &mut notes)?;
    let body = Script::write(&mut tracks, &mut notes)?;
    let head = head_of(recordings, &tracks, &body);
    let mut timeline = Timeline { head, body, golden: None };
    let id = format!("R-{}", &timeline.identity()[..ID_DIGITS]);
    timeline.head.insert(0, entry("id", id));
    // What is compared is what a reader of the file gets.
    let unplayable = |error: String| ImportError::Unplayable(error);
    let timeline: Timeline =
        timeline.to_string().parse().map_err(|error| unplayable(format!("{error}")))?;
    let outcome = replay(&timeline, Mode::Strict).map_err(|error| unplayable(error.to_string()))?;
    let entries = compare(&tracks, &outcome)?;
    Ok(Imported { timeline, outcome, entries, notes })
}

/// Refuses two recordings of one session: they would be two sessions that do the same.
fn refuse_twice(recordings: &[Recording]) -> Result<(), ImportError> {
    for (place, recording) in recordings.iter().enumerate() {
        let is_same = |first: &&Recording| first.session() == recording.session();
        if let Some(first) = recordings[..place].iter().find(is_same) {
            let message = format!("its session is that of {}: give each session once", first.name);
            return Err(ImportError::Malformed { at: recording.place(1), message });
        }
    }
    Ok(())
}

impl Imported {
    /// Judges the timeline as the corpus does, all but its golden block.
    ///
    /// # Errors
    ///
    /// See [`Failure`]: the recording shows something that must not be.
    pub fn judge(&self) -> Result<Outcome, Failure> {
        judge(&self.timeline, Mode::Strict)
    }
}

/// Compares the entries of a replay with those of the recordings, and returns how many there are.
fn compare(tracks: &[Track], outcome: &Outcome) -> Result<usize, ImportError> {
    let mut entries = 0;
    for (track, number) in tracks.iter().zip(1..) {
        let session = SessionName::new(number).id();
        let mut replayed = outcome.recorded.iter().filter(|(id, _)| *id == session);
        for expected in &track.entries {
            let replayed = replayed.next().map(|(_, entry)| entry);
            if replayed != Some(&expected.entry) {
                return Err(ImportError::Differs {
                    at: track.place(expected.line),
                    recorded: describe(&expected.entry),
                    replayed: replayed.map_or_else(|| "nothing".to_owned(), describe),
                });
            }
            entries += usize::from(expected.line > 0);
        }
    }
    Ok(entries)
}

fn head_of(recordings: &[Recording], tracks: &[Track], body: &[BodyLine]) -> Vec<HeadLine> {
    let ends: Vec<_> = tracks.iter().filter_map(Track::end).collect();
    let what = if tracks.len() == 1 { "a recorded session is" } else { "recorded sessions are" };
    let steps = body.iter().filter_map(|line| match line {
        BodyLine::Step(step) => Some(&step.choice),
        BodyLine::Blank | BodyLine::Comment(_) | BodyLine::Fair => None,
    });
    let rules = recordings.first().and_then(Recording::rules).unwrap_or("unknown");
    vec![
        entry("title", format!("{what} {}", ends.join(", "))),
        entry("from", format!("recording rules={rules}")),
        entry("world", world_of(steps)),
        entry("expect", "pass".to_owned()),
        HeadLine::Comment(
            " Imported: what is marked `inferred` is not in the recording.".to_owned(),
        ),
        HeadLine::Blank,
    ]
}

/// Returns an entry as it stands in a recording.
fn describe(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_else(|_| format!("{entry:?}"))
}

/// Returns a call as it stands in a recording.
fn describe_call(call: &Call) -> String {
    serde_json::to_string(call).unwrap_or_else(|_| format!("{call:?}"))
}
