//! What each input makes of a session in each status, read off the shipped machine, and how often
//! runs have been there.
//!
//! The outcomes come from [`Machine::step`] over every machine that inputs can lead to. The visits
//! come from flight recordings of replays, so they count what the shipped supervisor was handed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::{NonZeroU32, NonZeroU64};

use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::recording::{Call, Replay};
use candor_core::status::Status;
use candor_core::step::{Act, Transition};
use candor_core::stop::{Graces, Rung, StopKind};
use candor_core::time::{Monotonic, Now, Timestamp};
use candor_core::verdict::{End, Exit, LostReason, SpawnStage};

use crate::random::{Budget, run};
use crate::timeline::Timeline;
use crate::timeline::choice::signal_word;
use crate::trial::{Manner, Timed, Trial, schedule_of};

/// Seeds of the schedules whose visits are counted, from 0.
const SEEDS: u64 = 500;

/// Open requests that are told apart, at most: none, one, more.
const REQUESTS_MAX: u16 = 2;

/// Columns of the text form that stand beside each other.
const COLUMNS: usize = 4;

/// The widths of the text form.
const STATUS_WIDTH: usize = 14;
const CELL_WIDTH: usize = 26;

/// The word for a pair that only a bug can produce.
const BUG: &str = "bug";

/// The word for what changes nothing.
const NOTHING: &str = "=";

/// The columns: what each is called, and the inputs that stand for it.
const INPUTS: [(&str, &[Input]); 21] = [
    ("interrupt", &[Input::Stop(StopKind::Interrupt)]),
    ("kill", &[Input::Stop(StopKind::Kill)]),
    ("shutdown", &[Input::Stop(StopKind::Shutdown)]),
    ("superseded", &[Input::Stop(StopKind::Superseded)]),
    ("finish", &[Input::Stop(StopKind::Finish)]),
    ("time limit", &[Input::Due(Deadline::Timeout)]),
    ("linger", &[Input::Due(Deadline::Linger)]),
    (
        "rung over",
        &[
            Input::Due(Deadline::RungOver(Rung::Ask)),
            Input::Due(Deadline::RungOver(Rung::Interrupt)),
            Input::Due(Deadline::RungOver(Rung::InterruptAgain)),
            Input::Due(Deadline::RungOver(Rung::Terminate)),
            Input::Due(Deadline::RungOver(Rung::Kill)),
        ],
    ),
    ("spawned", &[Input::Spawned]),
    ("adopted", &[Input::Adopted]),
    ("unreachable", &[Input::Unreachable]),
    ("request opened", &[Input::RequestOpened]),
    ("request closed", &[Input::RequestClosed]),
    ("turn ended", &[Input::TurnEnded]),
    ("turn began", &[Input::TurnBegan]),
    ("idle", &[Input::Due(Deadline::Idle)]),
    ("settings changed", &[Input::SettingsChanged]),
    ("report", &[Input::FinalReport { success: true }, Input::FinalReport { success: false }]),
    (
        "exited",
        &[
            Input::Gone(End::Exited { exit: Exit::Code(0), oom_killed: false }),
            Input::Gone(End::Exited { exit: Exit::Code(1), oom_killed: false }),
        ],
    ),
    (
        "no process",
        &[
            Input::Gone(End::Refused { stage: SpawnStage::Exec, errno: 2 }),
            Input::Gone(End::NeverRan),
            Input::Gone(End::Unknown(LostReason::DaemonKilled)),
        ],
    ),
    ("parent ended", &[Input::ParentEnded]),
];

/// One cell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cell {
    /// What can come of it, in words.
    pub outcomes: BTreeSet<String>,
    /// How often it was hit.
    pub visits: u64,
}

/// The whole table, by status and by the place of the input's column.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Table {
    cells: BTreeMap<(Status, usize), Cell>,
}

impl Table {
    /// Reads the outcomes off the machine, without visits.
    #[must_use]
    pub fn of_machine() -> Self {
        let mut table = Self::default();
        let hurried =
            Policy { timeout_ms: NonZeroU64::new(1), always_reports: true, ..Policy::default() };
        let graces = Graces {
            ask_ms: NonZeroU32::new(1),
            interrupt_again_ms: NonZeroU32::new(1),
            ..Graces::DEFAULT
        };
        let talking = Policy {
            graces,
            idle_ms: NonZeroU32::new(1),
            always_reports: true,
            ..Policy::default()
        };
        let policies = [Policy::default(), hurried, talking];
        let births = policies.map(|policy| [Machine::launch(policy), Machine::queue(policy)]);
        let mut known = BTreeSet::new();
        let mut fresh: Vec<Machine> = births.iter().flatten().map(|birth| birth.next).collect();
        while let Some(machine) = fresh.pop() {
            if !known.insert(likeness(&machine)) {
                continue;
            }
            for (column, (_, inputs)) in INPUTS.iter().enumerate() {
                for input in *inputs {
                    let step = machine.step(*input, NOW);
                    let cell = table.cells.entry((machine.status(), column)).or_default();
                    cell.outcomes.insert(step.as_ref().map_or_else(
                        |_| BUG.to_owned(),
                        |transition| outcome(&machine, transition),
                    ));
                    let next = step.ok().map(|transition| transition.next);
                    fresh.extend(next.filter(|next| next.requests_open() <= REQUESTS_MAX));
                }
            }
        }
        table
    }

    /// Counts the visits of these timelines, and of a fixed set of schedules that nobody wrote.
    pub fn visit<'a>(&mut self, corpus: impl IntoIterator<Item = &'a Timeline>) {
        for timeline in corpus {
            let manner = Manner { ends_fair: timeline.ends_fair(), ..Manner::PLAIN };
            self.visit_schedule(&schedule_of(timeline), manner);
        }
        for seed in 0..SEEDS {
            let drawn = run(seed, Budget::DEFAULT);
            let manner = Manner { ends_fair: drawn.ends_fair, ..Manner::PLAIN };
            self.visit_schedule(&drawn.steps, manner);
        }
    }

    fn visit_schedule(&mut self, schedule: &[Timed], manner: Manner) {
        let mut replays: BTreeMap<_, (Replay, Option<Status>)> = BTreeMap::new();
        for (session, entry) in Trial::run(schedule, manner).recording {
            let (replay, before) = replays.entry(session).or_default();
            let Ok(replayed) = replay.step(&entry) else {
                continue;
            };
            if let (Call::Take { input, .. }, Some(status)) = (entry.call, *before)
                && replayed.next.is_ok()
                && let Some(column) = column_of(input)
            {
                self.cells.entry((status, column)).or_default().visits += 1;
            }
            *before = Some(replayed.protocol.machine().status());
        }
    }

    /// Returns the cells in which something changes and which were never hit, as `status x input`.
    #[must_use]
    pub fn never_hit(&self) -> Vec<String> {
        let idle = self.cells.iter().filter(|(_, cell)| cell.is_idle() && cell.changes());
        idle.map(|((status, column), _)| format!("{status} x {}", INPUTS[*column].0)).collect()
    }

    /// Returns it for a terminal: blocks of columns, each as wide as a screen.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (block, columns) in INPUTS.chunks(COLUMNS).enumerate() {
            let names: String =
                columns.iter().map(|(name, _)| format!("{name:<CELL_WIDTH$}")).collect();
            text.push_str(format!("{:<STATUS_WIDTH$}{names}", "").trim_end());
            text.push('\n');
            for status in Status::ALL {
                let cells: String = (block * COLUMNS..block * COLUMNS + columns.len())
                    .map(|column| format!("{:<CELL_WIDTH$} ", self.words(status, column)))
                    .collect();
                text.push_str(format!("{status:<STATUS_WIDTH$}{cells}").trim_end());
                text.push('\n');
            }
            text.push('\n');
        }
        text.push_str(LEGEND);
        text
    }

    /// Returns the document that embeds it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let names: Vec<_> = INPUTS.iter().map(|(name, _)| *name).collect();
        let mut text = format!("{INTRODUCTION}\n{LEGEND}\n");
        let _infallible =
            write!(text, "| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        for status in Status::ALL {
            let cells: Vec<_> =
                (0..INPUTS.len()).map(|column| self.words(status, column)).collect();
            let _infallible = writeln!(text, "| **{status}** | {} |", cells.join(" | "));
        }
        text
    }

    fn words(&self, status: Status, column: usize) -> String {
        let Some(cell) = self.cells.get(&(status, column)) else {
            return String::new();
        };
        let outcomes: Vec<_> = cell.outcomes.iter().map(String::as_str).collect();
        let mark = match cell.visits {
            0 if cell.is_idle() => " (never)".to_owned(),
            0 => String::new(),
            visits => format!(" ({visits})"),
        };
        format!("{}{mark}", outcomes.join(" / "))
    }
}

impl Cell {
    /// Whether anything changes here.
    fn changes(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome != BUG && outcome != NOTHING)
    }

    /// Whether something can happen here that no run has met.
    fn is_idle(&self) -> bool {
        self.visits == 0 && self.outcomes.iter().any(|outcome| outcome != BUG)
    }
}

/// What stands above the table in the document.
const INTRODUCTION: &str = "\
# What each input makes of a session

Rows are the statuses, columns what can happen. `race-sim table --markdown` writes this file, and a
test of the harness compares it with the machine.
";

/// What the words of a cell mean.
pub const LEGEND: &str = "\
A cell says what can come of it: the status afterwards and what is done about the process. `=`:
nothing changes; `+`: a change that keeps the status; `bug`: no order of events can produce it. In
brackets: how often the corpus and a fixed set of random schedules were there.
";

/// Returns a table in markdown without the brackets, of which only what can come of it is left.
#[must_use]
pub fn without_visits(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once(" (") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text + rest
}

/// A moment: any will do, because outcomes do not show deadlines.
const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: Monotonic::from_ms(0) };

/// Returns what tells machines apart as far as their outcomes are concerned.
fn likeness(machine: &Machine) -> String {
    let (intent, report, rung) = (machine.intent(), machine.report(), machine.rung());
    let (status, is_up, open) = (machine.status(), machine.is_up(), machine.requests_open());
    let (reports, asks) = (machine.policy().always_reports, machine.policy().graces.ask_ms);
    let awaits = machine.awaits_message();
    format!("{status} {is_up} {intent:?} {report:?} {rung:?} {open} {reports} {asks:?} {awaits}")
}

/// Returns what came of a step, in words.
fn outcome(before: &Machine, transition: &Transition) -> String {
    let status = transition.next.status();
    let moves = match transition.cause {
        None => NOTHING.to_owned(),
        Some(_) if status == before.status() => "+".to_owned(),
        Some(_) => status.to_string(),
    };
    match transition.act {
        Act::Nothing => moves,
        Act::Launch => format!("{moves} launch"),
        Act::Attach => format!("{moves} attach"),
        Act::Signal(rung) => format!("{moves} {}", signal_word(rung)),
    }
}

/// Returns the column of an input.
fn column_of(input: Input) -> Option<usize> {
    let likeness = |input: &Input| match input {
        Input::Stop(StopKind::Timeout) => Input::Due(Deadline::Timeout),
        Input::Gone(End::Exited { .. }) => {
            Input::Gone(End::Exited { exit: Exit::Code(0), oom_killed: false })
        }
        Input::Gone(End::Refused { .. } | End::NeverRan | End::Unknown(_)) => {
            Input::Gone(End::NeverRan)
        }
        input => *input,
    };
    INPUTS.iter().position(|(_, inputs)| inputs.contains(&likeness(&input)))
}
