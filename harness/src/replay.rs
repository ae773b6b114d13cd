//! Replays a timeline, and judges it.

use std::fmt;

use candor_core::recording;
use candor_core::session::SessionId;

use crate::ghost::Entry;
use crate::golden;
use crate::invariants::{Monitor, Violation};
use crate::mutant::Mutants;
use crate::timeline::{Choice, HeadLine, Timeline};
use crate::world::{Enabled, Refusal, World};

/// Choices that the policy behind `...` makes, at most.
const FAIR_CHOICES_MAX: usize = 1_000;

/// Enabled choices that an error shows, at most.
const MENU_LINES_MAX: usize = 60;

/// What to do about a choice that is not enabled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Stop with an error.
    Strict,
    /// Leave it out.
    Lenient,
}

/// A world that is watched.
#[derive(Default)]
pub struct Run {
    world: World,
    monitor: Monitor,
    entries_read: usize,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The golden block.
    pub golden: String,
    /// Everything that happened.
    pub log: Vec<Entry>,
    /// What the protocols of the sessions were handed.
    pub recorded: Vec<(SessionId, recording::Entry)>,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// The lines that were left out because their choices were not enabled.
    pub skipped: Vec<usize>,
}

/// Why a timeline cannot be replayed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// A choice cannot be made at its place.
    #[error("line {line}: `{choice}` is not enabled: {refusal}\nenabled here:\n{menu}")]
    NotEnabled {
        /// The line, counted from 1.
        line: usize,
        /// The choice.
        choice: Box<Choice>,
        /// Why it is not enabled.
        refusal: Refusal,
        /// What is.
        menu: Menu,
    },
    /// The header promises another world than the choices make.
    #[error(
        "line {line}: the header says `world {said}`, and the choices make another; write:\nworld   {is}"
    )]
    World {
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        said: String,
        /// What should.
        is: String,
    },
}

/// The choices that are enabled, as lines for a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Menu(Vec<Enabled>);

impl Run {
    /// Begins with a new world that makes these mistakes.
    #[must_use]
    pub fn of(mutants: Mutants) -> Self {
        Self { world: World::of(mutants), ..Self::default() }
    }

    /// Makes one choice.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it is not enabled; nothing has changed then.
    pub fn choose(&mut self, at_ms: u64, choice: &Choice) -> Result<(), Refusal> {
        self.world.apply(at_ms, choice)?;
        let Self { world, monitor, entries_read } = self;
        world.read_log(*entries_read, |entry| {
            monitor.observe(entry);
            *entries_read += 1;
        });
        monitor.rest(&world.rest());
        Ok(())
    }

    /// Goes on as a fair world does, until nothing is left to do.
    pub fn finish_fair(&mut self) {
        self.finish_fair_watched(|_, _, _| {});
    }

    /// Goes on as a fair world does, and hands over the run after each of its choices.
    pub(crate) fn finish_fair_watched(&mut self, mut look: impl FnMut(&Self, u64, &Choice)) {
        for _ in 0..FAIR_CHOICES_MAX {
            let Some(Enabled { after_ms, choice }) = self.world.fair_choice() else {
                break;
            };
            let at_ms = self.world.now_ms().saturating_add(after_ms);
            if self.choose(at_ms, &choice).is_err() {
                break;
            }
            look(self, at_ms, &choice);
        }
        self.monitor.fair_end(&self.world.rest());
    }

    /// Returns the world.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Returns what did not hold so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.monitor.violations()
    }

    fn outcome(&self, skipped: Vec<usize>) -> Outcome {
        let log = self.world.log().entries().to_vec();
        let golden = golden::render(&log, &self.world.rest());
        let recorded = self.world.recording();
        Outcome { golden, log, recorded, violations: self.violations().to_vec(), skipped }
    }
}

/// Replays a timeline once.
///
/// # Errors
///
/// [`ReplayError`]: tell whoever wrote the timeline.
pub fn replay(timeline: &Timeline, mode: Mode) -> Result<Outcome, ReplayError> {
    replay_on(timeline, mode, Mutants::NONE)
}

/// Replays a timeline once in a world that makes these mistakes. They make other calls than the
/// golden block was made with, so that only [`Mode::Lenient`] gets to the end for sure.
///
/// # Errors
///
/// [`ReplayError`]: tell whoever wrote the timeline.
pub fn replay_on(
    timeline: &Timeline,
    mode: Mode,
    mutants: Mutants,
) -> Result<Outcome, ReplayError> {
    if mode == Mode::Strict {
        check_world(timeline)?;
    }
    let (run, skipped) = run_of(timeline, mode, mutants)?;
    Ok(run.outcome(skipped))
}

/// Makes the choices of a timeline, and returns what came of them with the lines that were left out.
///
/// # Errors
///
/// [`ReplayError::NotEnabled`]: tell whoever wrote the timeline.
pub(crate) fn run_of(
    timeline: &Timeline,
    mode: Mode,
    mutants: Mutants,
) -> Result<(Run, Vec<usize>), ReplayError> {
    let mut run = Run::of(mutants);
    let mut skipped = Vec::new();
    let mut at_ms = 0;
    for step in timeline.steps() {
        at_ms = step.moment.after(at_ms);
        let Err(refusal) = run.choose(at_ms, &step.choice) else {
            continue;
        };
        if mode == Mode::Lenient {
            skipped.push(step.line);
            continue;
        }
        let (line, choice) = (step.line, Box::new(step.choice.clone()));
        let menu = Menu(run.world.enabled());
        return Err(ReplayError::NotEnabled { line, choice, refusal, menu });
    }
    if timeline.ends_fair() {
        run.finish_fair();
    }
    Ok((run, skipped))
}

/// Returns the world that these choices need, as the header tells it.
#[must_use]
pub fn world_of<'a>(choices: impl IntoIterator<Item = &'a Choice>) -> String {
    use crate::timeline::choice::WriteOutcome;

    let (mut sessions, mut clients, mut crashes, mut faults) = (0, 0, 0, 0);
    for choice in choices {
        match choice {
            Choice::Launch { session, .. }
            | Choice::Queue { session, .. }
            | Choice::Continue { session, .. }
            | Choice::Draft { session } => {
                sessions = sessions.max(session.number());
            }
            Choice::Connect { client } | Choice::Fetch { client } => {
                clients = clients.max(client.number());
            }
            Choice::Crash { .. } => crashes += 1,
            Choice::Write { outcome: WriteOutcome::Ok, .. } | Choice::Read { ok: true, .. } => {}
            Choice::Write { .. } | Choice::Read { .. } => faults += 1,
            Choice::Stop { .. }
            | Choice::Shutdown
            | Choice::Fork { .. }
            | Choice::Spawn { .. }
            | Choice::Signal { .. }
            | Choice::Exit { .. }
            | Choice::Reap { .. }
            | Choice::Report { .. }
            | Choice::Request { .. }
            | Choice::Due { .. }
            | Choice::Boot { .. }
            | Choice::Attach { .. }
            | Choice::Drop { .. }
            | Choice::Stall { .. }
            | Choice::Show { .. }
            | Choice::Say { .. }
            | Choice::SecondDaemon
            | Choice::Start { .. }
            | Choice::AskApproval { .. }
            | Choice::Approve { .. }
            | Choice::Turn { .. }
            | Choice::Bypass { .. } => {}
        }
    }
    format!("sessions={sessions} subs={clients} crash={crashes} dbfault={faults}")
}

/// The header's budgets are what a search would need in order to find this timeline again.
fn check_world(timeline: &Timeline) -> Result<(), ReplayError> {
    let is = world_of(timeline.steps().map(|step| &step.choice));
    match timeline.values("world").next() {
        Some(said) if said != is => {
            let line = timeline.line_of("world").unwrap_or(1);
            Err(ReplayError::World { line, said: said.to_owned(), is })
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns a timeline whose header says which world its choices need, or `None` where it does so
/// already, or says nothing of it.
#[must_use]
pub fn with_its_world(timeline: &Timeline) -> Option<Timeline> {
    let Err(ReplayError::World { is, .. }) = check_world(timeline) else {
        return None;
    };
    let mut mended = timeline.clone();
    let said = mended.head.iter_mut().find_map(|line| match line {
        HeadLine::Entry { key, value, .. } if key == "world" => Some(value),
        HeadLine::Entry { .. } | HeadLine::Blank | HeadLine::Comment(_) => None,
    });
    *said? = is;
    Some(mended)
}

impl fmt::Display for Menu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Enabled { after_ms, choice } in self.0.iter().take(MENU_LINES_MAX) {
            writeln!(formatter, "  @+{after_ms} {choice}")?;
        }
        match self.0.len().checked_sub(MENU_LINES_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => writeln!(formatter, "  and {more} more"),
        }
    }
}
