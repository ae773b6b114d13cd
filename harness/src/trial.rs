//! One schedule, run once more: with a choice left out, moved or made simpler, and in a world with or
//! without mistakes.
//!
//! What shrinks a failure, looks for the order that matters, or shows a run step by step does it
//! with trials.

use candor_core::recording;
use candor_core::session::SessionId;

use crate::ghost::Entry;
use crate::golden;
use crate::invariants::Violation;
use crate::mutant::Mutants;
use crate::relabel::Names;
use crate::replay::{Run, world_of};
use crate::timeline::{BodyLine, Choice, HeadLine, Moment, Step, Timeline};

/// A choice with its moment, in milliseconds from the beginning.
pub type Timed = (u64, Choice);

/// A choice that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Made {
    /// Its moment, in milliseconds from the beginning.
    pub at_ms: u64,
    /// The choice, under the name that things have in this run.
    pub choice: Choice,
    /// Whether it was made by the fair policy at the end, and by no schedule.
    pub is_fair: bool,
}

/// What a schedule came to.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The mistakes of the world.
    pub mutants: Mutants,
    /// Every choice that was made, those of the fair end included. Entries of the log and
    /// violations count their steps along these.
    pub made: Vec<Made>,
    /// Which choices of the schedule were made, by their places in it, in the order in which they
    /// were made.
    pub places: Vec<usize>,
    /// Whether a fair end belongs to it.
    pub ends_fair: bool,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// Everything that happened.
    pub log: Vec<Entry>,
    /// The golden block.
    pub golden: String,
    /// What was handed to the protocols of all sessions.
    pub recording: Vec<(SessionId, recording::Entry)>,
}

/// What to do about a choice that cannot be made at its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Otherwise {
    /// Leave it out.
    Skip,
    /// Make it as soon as it can be made, after the choices that follow it.
    Wait,
}

/// How a schedule is run.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The mistakes of the world.
    pub mutants: Mutants,
    /// Whether sessions, processes and calls are looked for under the names that they have in this
    /// run, because an earlier choice was left out.
    pub renames: bool,
    /// What to do about a choice that cannot be made.
    pub otherwise: Otherwise,
    /// Whether to go on as a fair world does.
    pub ends_fair: bool,
}

impl Manner {
    /// Each choice as it is written, in what ships.
    pub const PLAIN: Self = Self {
        mutants: Mutants::NONE,
        renames: false,
        otherwise: Otherwise::Skip,
        ends_fair: false,
    };
}

/// Returns the choices of a timeline with their moments.
#[must_use]
pub fn schedule_of(timeline: &Timeline) -> Vec<Timed> {
    let mut now_ms = 0;
    let timed = timeline.steps().map(|step| {
        now_ms = step.moment.after(now_ms);
        (now_ms, step.choice.clone())
    });
    timed.collect()
}

/// Returns a timeline of these choices, its `world` line in front of the other lines of the header.
#[must_use]
pub fn timeline_of(mut head: Vec<HeadLine>, schedule: &[Timed], ends_fair: bool) -> Timeline {
    let world = world_of(schedule.iter().map(|(_, choice)| choice));
    let place = head.iter().take_while(|line| is_introduction(line)).count();
    head.insert(place, entry("world", world));
    head.push(HeadLine::Blank);
    let mut now_ms = 0;
    let steps = schedule.iter().map(|(at_ms, choice)| {
        let moment = Moment::After(at_ms.saturating_sub(now_ms));
        now_ms = *at_ms;
        BodyLine::Step(Step { line: 0, moment, choice: choice.clone(), comment: None })
    });
    let body = steps.chain(ends_fair.then_some(BodyLine::Fair)).collect();
    Timeline { head, body, golden: None }
}

/// Whether a line of the header stands before the `world`.
fn is_introduction(line: &HeadLine) -> bool {
    matches!(line, HeadLine::Entry { key, .. } if matches!(key.as_str(), "id" | "title" | "from"))
}

/// Returns a line of a header.
#[must_use]
pub fn entry(key: &str, value: impl Into<String>) -> HeadLine {
    HeadLine::Entry { key: key.to_owned(), value: value.into(), comment: None }
}

/// A run on its way, with what it made so far.
struct Course<'a> {
    schedule: &'a [Timed],
    run: Run,
    names: Option<Names>,
    made: Vec<Made>,
    places: Vec<usize>,
}

impl Trial {
    /// Runs a schedule.
    #[must_use]
    pub fn run(schedule: &[Timed], manner: Manner) -> Self {
        Self::watch(schedule, manner, |_, _| {})
    }

    /// Runs a schedule, and hands over the run at its beginning and after each choice that was made.
    pub fn watch(
        schedule: &[Timed],
        manner: Manner,
        mut look: impl FnMut(&Run, Option<&Made>),
    ) -> Self {
        let Manner { mutants, renames, otherwise, ends_fair } = manner;
        let names = renames.then(Names::default);
        let run = Run::of(mutants);
        let mut course = Course { schedule, run, names, made: Vec::new(), places: Vec::new() };
        look(&course.run, None);
        let mut waiting: Vec<usize> = Vec::new();
        for place in 0..schedule.len() {
            if !course.make(place) {
                waiting.extend((otherwise == Otherwise::Wait).then_some(place));
                continue;
            }
            look(&course.run, course.made.last());
            while let Some(at) = waiting.iter().position(|place| course.make(*place)) {
                waiting.remove(at);
                look(&course.run, course.made.last());
            }
        }
        let Course { mut run, mut made, places, .. } = course;
        if ends_fair {
            run.finish_fair_watched(|run, at_ms, choice| {
                made.push(Made { at_ms, choice: choice.clone(), is_fair: true });
                look(run, made.last());
            });
        }
        let log = run.world().log().entries().to_vec();
        let golden = golden::render(&log, &run.world().rest());
        let violations = run.violations().to_vec();
        let recording = run.world().recording();
        Self { mutants, made, places, ends_fair, violations, log, golden, recording }
    }

    /// Returns the choices of the schedule that were made, without those of the fair end.
    #[must_use]
    pub fn chosen(&self) -> Vec<Timed> {
        let chosen = self.made.iter().filter(|made| !made.is_fair);
        chosen.map(|made| (made.at_ms, made.choice.clone())).collect()
    }
}

impl Course<'_> {
    /// Makes the choice at a place of the schedule, if it can be made now or at its own moment.
    fn make(&mut self, place: usize) -> bool {
        let (own_ms, choice) = &self.schedule[place];
        let choice = match &mut self.names {
            Some(names) => names.fit(self.run.world(), choice),
            None => Some(choice.clone()),
        };
        let Some(choice) = choice else {
            return false;
        };
        let at_ms = (*own_ms).max(self.run.world().now_ms());
        if self.run.choose(at_ms, &choice).is_err() {
            return false;
        }
        self.made.push(Made { at_ms, choice, is_fair: false });
        self.places.push(place);
        true
    }
}
