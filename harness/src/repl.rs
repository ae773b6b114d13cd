//! A timeline by hand: step, go back, make another choice, look, keep what came of it.
//!
//! A world cannot be copied, because tasks run in it; so going back makes the same choices again
//! from the beginning.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::destination::Destination;
use crate::lanes;
use crate::mutant::Mutants;
use crate::page::state_of;
use crate::replay::{Mode, Run, replay};
use crate::timeline::{Choice, HeadLine, Timeline};
use crate::trial::{Manner, Timed, Trial, entry, schedule_of, timeline_of};

/// What can be said, for whoever asks.
pub const HELP: &str = "\
step [N]        make the next choice of the file, or the next N
skip            leave the next choice of the file out
back [N]        take the last choice back, or the last N
list            what can be chosen now, with numbers
choose N        choose number N of that list
make [@+MS] CHOICE
                make any choice, in the words of a timeline
state           the world as it is now
lanes           what happened so far
save FILE [--force]
                write what was chosen as a timeline; with --force over another file
help            this
quit            leave
";

/// Choices that one line makes, at most.
const STEPS_MAX: usize = 10_000;

/// What to do after a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Read the next.
    GoOn,
    /// Leave.
    Quit,
}

/// Why a line was not carried out: a sentence for whoever wrote it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Complaint(String);

impl Complaint {
    fn new<T>(sentence: impl Into<String>) -> Result<T, Self> {
        Err(Self(sentence.into()))
    }
}

/// One timeline, as far as it was gone through.
pub struct Repl {
    name: String,
    title: String,
    /// The file that it was read from, if it was.
    sources: Vec<PathBuf>,
    mutants: Mutants,
    schedule: Vec<Timed>,
    /// The place of the file's next choice.
    next: usize,
    made: Vec<Timed>,
    /// Where the file stood before each choice that was made.
    trail: Vec<usize>,
    run: Run,
}

impl Repl {
    /// Begins with a timeline, before its first choice.
    #[must_use]
    pub fn new(timeline: &Timeline, mutants: Mutants) -> Self {
        Self {
            name: timeline.id().to_owned(),
            title: timeline.title().to_owned(),
            sources: Vec::new(),
            mutants,
            schedule: schedule_of(timeline),
            next: 0,
            made: Vec::new(),
            trail: Vec::new(),
            run: Run::of(mutants),
        }
    }

    /// Says which file the timeline was read from, so that nothing is saved over it.
    #[must_use]
    pub fn read_from(mut self, path: &Path) -> Self {
        self.sources.push(path.to_owned());
        self
    }

    /// Carries out one line, and returns what it says.
    ///
    /// # Errors
    ///
    /// [`Complaint`]: show it and read on. Nothing has changed, but for what a line that makes
    /// several choices made before the one that cannot be made.
    pub fn line(&mut self, line: &str) -> Result<(String, Then), Complaint> {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let said = match verb {
            "" => String::new(),
            "step" | "s" => self.step(count(rest)?)?,
            "skip" => self.skip()?,
            "back" | "b" => self.back(count(rest)?)?,
            "list" | "l" => self.list(),
            "choose" | "c" => self.choose(rest)?,
            "make" | "m" => self.make_words(rest)?,
            "state" => self.state(),
            "lanes" => lanes::render(&self.trial()),
            "save" => self.save(rest)?,
            "help" | "?" => HELP.to_owned(),
            "quit" | "q" => return Ok((String::new(), Then::Quit)),
            other => {
                return Complaint::new(format!(
                    "there is no `{other}`; `help` lists what there is"
                ));
            }
        };
        Ok((said, Then::GoOn))
    }

    fn step(&mut self, count: usize) -> Result<String, Complaint> {
        let mut said = String::new();
        for _ in 0..count {
            let Some((at_ms, choice)) = self.schedule.get(self.next).cloned() else {
                return Complaint::new(format!("{said}the file has no further choice"));
            };
            let at_ms = at_ms.max(self.run.world().now_ms());
            let next = self.next + 1;
            match self.make(at_ms, choice, next) {
                Ok(told) => said.push_str(&told),
                Err(Complaint(told)) => return Complaint::new(format!("{said}{told}")),
            }
        }
        Ok(said)
    }

    fn skip(&mut self) -> Result<String, Complaint> {
        let Some((_, choice)) = self.schedule.get(self.next) else {
            return Complaint::new("the file has no further choice");
        };
        self.next += 1;
        Ok(format!("left out: {choice}\n"))
    }

    fn back(&mut self, count: usize) -> Result<String, Complaint> {
        if count > self.made.len() {
            let made = self.made.len();
            return Complaint::new(format!(
                "only {made} choices were made, so that is too far back"
            ));
        }
        for _ in 0..count {
            self.made.pop();
            self.next = self.trail.pop().unwrap_or(0);
        }
        self.run = Run::of(self.mutants);
        for (at_ms, choice) in &self.made {
            if let Err(refusal) = self.run.choose(*at_ms, choice) {
                let told =
                    format!("two runs differ, which is a bug: `{choice}` is refused: {refusal}");
                return Complaint::new(told);
            }
        }
        Ok(format!("{} choices made\n", self.made.len()))
    }

    fn list(&self) -> String {
        let mut said = String::new();
        for (number, enabled) in (1..).zip(self.run.world().enabled()) {
            let (after_ms, choice) = (enabled.after_ms, enabled.choice);
            let _infallible = writeln!(said, "{number:>4}  @+{after_ms} {choice}");
        }
        if let Some((_, choice)) = self.schedule.get(self.next) {
            let _infallible = writeln!(said, "the file goes on with: {choice}");
        }
        said
    }

    fn choose(&mut self, rest: &str) -> Result<String, Complaint> {
        let menu = self.run.world().enabled();
        let number = rest.parse().ok().and_then(|number: usize| number.checked_sub(1));
        let Some(enabled) = number.and_then(|place| menu.into_iter().nth(place)) else {
            return Complaint::new(format!("`choose` takes a number of `list`, and not `{rest}`"));
        };
        let at_ms = self.run.world().now_ms().saturating_add(enabled.after_ms);
        self.make(at_ms, enabled.choice, self.next)
    }

    fn make_words(&mut self, rest: &str) -> Result<String, Complaint> {
        let (after_ms, words) = match rest.strip_prefix("@+") {
            None => (0, rest),
            Some(timed) => {
                let (digits, words) = timed.split_once(' ').unwrap_or((timed, ""));
                let Ok(after_ms) = digits.parse() else {
                    return Complaint::new(format!("expected `@+MS`, found `@+{digits}`"));
                };
                (after_ms, words)
            }
        };
        let choice = words.parse().map_err(|error| Complaint(format!("{error}")))?;
        let at_ms = self.run.world().now_ms().saturating_add(after_ms);
        self.make(at_ms, choice, self.next)
    }

    /// Makes a choice, and says what came of it.
    fn make(&mut self, at_ms: u64, choice: Choice, next: usize) -> Result<String, Complaint> {
        let known = self.run.world().log().entries().len();
        let broken = self.run.violations().len();
        if let Err(refusal) = self.run.choose(at_ms, &choice) {
            return Complaint::new(format!("`{choice}` is not enabled: {refusal}"));
        }
        self.trail.push(self.next);
        self.next = next;
        let mut said = format!("{:>4}  @{at_ms} {choice}\n", self.made.len() + 1);
        self.made.push((at_ms, choice));
        for entry in self.run.world().log().entries().iter().skip(known) {
            let _infallible = writeln!(said, "        {}", entry.record);
        }
        for violation in self.run.violations().iter().skip(broken) {
            let _infallible = writeln!(said, "  BREAKS {violation}");
        }
        Ok(said)
    }

    fn state(&self) -> String {
        let state = state_of(&self.run);
        state.iter().map(|(key, value)| format!("{key:<10} {value}\n")).collect()
    }

    fn trial(&self) -> Trial {
        Trial::run(&self.made, Manner { mutants: self.mutants, ..Manner::PLAIN })
    }

    fn save(&self, rest: &str) -> Result<String, Complaint> {
        let forced = rest.strip_suffix("--force").map(str::trim_end);
        let file = forced.unwrap_or(rest);
        if file.is_empty() {
            return Complaint::new("`save` takes a file");
        }
        let destination = Destination::new(file, &self.sources, forced.is_some());
        match destination.write(&self.to_timeline().to_string()) {
            Ok(()) => Ok(format!("{} choices are in {file}\n", self.made.len())),
            Err(error) => Complaint::new(error.to_string()),
        }
    }

    /// Returns what was chosen so far.
    #[must_use]
    pub fn to_timeline(&self) -> Timeline {
        let mut head = vec![
            entry("id", format!("{}-branch", self.name)),
            entry("title", self.title.clone()),
            entry("from", format!("a branch of {}", self.name)),
        ];
        let violations = self.run.violations();
        if self.mutants == Mutants::NONE && !violations.is_empty() {
            let ids: Vec<_> = violations.iter().map(|violation| violation.id).collect();
            head.push(entry("expect", format!("violates {}", ids.join(","))));
        }
        if self.mutants != Mutants::NONE {
            head.push(HeadLine::Comment(format!(" chosen in a world of {}", self.mutants)));
        }
        let mut timeline = timeline_of(head, &self.made, false);
        timeline.golden = replay(&timeline, Mode::Strict).map(|outcome| outcome.golden).ok();
        timeline
    }
}

/// What stands before each line that is read.
impl fmt::Display for Repl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (made, now_ms) = (self.made.len(), self.run.world().now_ms());
        write!(formatter, "{} {made} @{now_ms}> ", self.name)
    }
}

fn count(rest: &str) -> Result<usize, Complaint> {
    if rest.is_empty() {
        return Ok(1);
    }
    let count = rest.parse().ok().filter(|count| (1..=STEPS_MAX).contains(count));
    count.ok_or_else(|| {
        Complaint(format!("expected a number from 1 to {STEPS_MAX}, found `{rest}`"))
    })
}
