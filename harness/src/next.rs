//! What the world could decide next: a timeline is written by asking for its next line.

use std::fmt;

use crate::mutant::Mutants;
use crate::replay::{Mode, ReplayError, run_of, world_of};
use crate::timeline::choice::WriteOutcome;
use crate::timeline::{Choice, DIVIDER, Timeline};
use crate::world::Enabled;

/// The line by which a timeline asks.
const QUESTION: &str = "?";

/// A line `?` in the text of a timeline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question<'a> {
    /// Its number, counted from 1.
    pub line: usize,
    /// What stands before it.
    pub before: &'a str,
}

/// What can be chosen after the last choice of a timeline.
#[derive(Clone, Debug)]
pub struct Next {
    now_ms: u64,
    /// Each with the world that the header must promise then, where it promises another.
    choices: Vec<(Enabled, Option<String>)>,
}

/// The parts of the answer, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Group {
    Calls,
    Processes,
    Deadlines,
    Users,
    Faults,
    Features,
}

impl Group {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Calls, "calls are answered"),
        (Self::Processes, "processes"),
        (Self::Deadlines, "deadlines"),
        (Self::Users, "users and clients"),
        (Self::Faults, "faults, and the daemon"),
        (Self::Features, "features that are to come"),
    ];

    const fn of(choice: &Choice) -> Self {
        match choice {
            Choice::Write { outcome: WriteOutcome::Ok, .. }
            | Choice::Read { ok: true, .. }
            | Choice::Fork { .. }
            | Choice::Spawn { .. }
            | Choice::Signal { .. }
            | Choice::Attach { .. } => Self::Calls,
            Choice::Exit { .. }
            | Choice::Reap { .. }
            | Choice::Report { .. }
            | Choice::Request { .. }
            | Choice::Turn { .. }
            | Choice::Say { .. } => Self::Processes,
            Choice::Due { .. } => Self::Deadlines,
            Choice::Launch { .. }
            | Choice::Queue { .. }
            | Choice::Stop { .. }
            | Choice::Shutdown
            | Choice::Connect { .. }
            | Choice::Drop { .. }
            | Choice::Stall { .. }
            | Choice::Fetch { .. }
            | Choice::Show { .. } => Self::Users,
            Choice::Write { .. }
            | Choice::Read { .. }
            | Choice::Crash { .. }
            | Choice::Boot { .. }
            | Choice::SecondDaemon => Self::Faults,
            Choice::Continue { .. }
            | Choice::Draft { .. }
            | Choice::Start { .. }
            | Choice::AskApproval { .. }
            | Choice::Approve { .. }
            | Choice::Bypass { .. } => Self::Features,
        }
    }
}

/// Returns the first line `?` among the choices of a timeline's text, with a moment or without.
#[must_use]
pub fn question_of(text: &str) -> Option<Question<'_>> {
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let words = line.trim_end();
        if words == DIVIDER {
            return None;
        }
        let bare = words.strip_prefix('@').and_then(|timed| timed.split_once(' '));
        if bare.map_or(words, |(_, rest)| rest).trim() == QUESTION {
            return Some(Question { line: number, before: &text[..start] });
        }
        start += line.len();
    }
    None
}

impl Next {
    /// Makes the choices of a timeline in a world with these mistakes, and looks.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NotEnabled`]: tell whoever wrote the timeline.
    pub fn after(timeline: &Timeline, mutants: Mutants) -> Result<Self, ReplayError> {
        let (run, _) = run_of(timeline, Mode::Strict, mutants)?;
        let made: Vec<_> = timeline.steps().map(|step| &step.choice).collect();
        let promised = timeline.values("world").next();
        let choices = run.world().enabled().into_iter().map(|enabled| {
            let world = world_of(made.iter().copied().chain([&enabled.choice]));
            let is_other = promised.is_some_and(|promised| promised != world);
            (enabled, is_other.then_some(world))
        });
        Ok(Self { now_ms: run.world().now_ms(), choices: choices.collect() })
    }
}

impl fmt::Display for Next {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "possible after @{}:", self.now_ms)?;
        for (group, name) in Group::ALL {
            let own =
                || self.choices.iter().filter(move |(one, _)| Group::of(&one.choice) == group);
            if own().next().is_none() {
                continue;
            }
            writeln!(formatter, "{name}")?;
            for (Enabled { after_ms, choice }, world) in own() {
                let moment = format!("@+{after_ms}");
                let line = format!("  {moment:<7} {choice}");
                match world {
                    None => writeln!(formatter, "{line}")?,
                    Some(world) => writeln!(formatter, "{line:<44} * world {world}")?,
                }
            }
        }
        if self.choices.iter().any(|(_, world)| world.is_some()) {
            writeln!(formatter, "* the header must say this then; `replay --bless` mends it")?;
        }
        Ok(())
    }
}
