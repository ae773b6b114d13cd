//! A recording as an import needs it: proved to replay, and its moments counted from the beginning.

use candor_core::event::Cause;
use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::protocol::{Next, Protocol};
use candor_core::recording::{Call, Entry, Replay, Replayed, rules_fingerprint};
use candor_core::session::Revision;
use candor_core::status::Status;
use candor_core::step::{Act, Answer, Transition};
use candor_core::stop::{Rung, StopKind};
use candor_core::time::Monotonic;
use candor_core::verdict::{End, LostReason, ReportMark, Verdict};

use super::file::{Recorded, Recording};
use super::{ImportError, Place, describe, describe_call, history};

/// What one session's replay must record.
#[derive(Clone)]
pub(super) struct Track {
    name: String,
    pub(super) entries: Vec<Expected>,
    /// The machine after the last entry.
    last: Option<Machine>,
}

/// One entry, with the moments of a replay.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    /// Its line, counted from 1, or 0 where it was made up.
    pub(super) line: usize,
    /// When, counted from the beginning of the replay, in milliseconds.
    pub(super) at_ms: u64,
    /// The entry that the replay must record.
    pub(super) entry: Entry,
    /// The protocol after it.
    pub(super) protocol: Protocol,
    /// Whether the machine was restarted before it.
    pub(super) is_after_reboot: bool,
}

impl Track {
    pub(super) fn place(&self, line: usize) -> Place {
        Place { file: self.name.clone(), line }
    }

    /// Says in a word where the session stands at the end, or `None` where it never was.
    pub(super) fn end(&self) -> Option<String> {
        let last = self.last.filter(|last| last.revision() != Revision::NONE)?;
        let status = last.status();
        let outcome = last.verdict().map(|verdict| format!("({})", verdict.outcome()));
        Some(format!("{status}{}", outcome.unwrap_or_default()))
    }

    /// Returns when the session that this one waits for had ended, or the end of time.
    pub(super) fn launched_ms(&self) -> u64 {
        let is_launch = |call: &Call| matches!(call, Call::Take { input: Input::ParentEnded, .. });
        let launch = self.entries.iter().find(|expected| is_launch(&expected.entry.call));
        launch.map_or(u64::MAX, |expected| expected.at_ms)
    }

    /// Returns the moment of the last entry.
    pub(super) fn last_ms(&self) -> u64 {
        self.entries.last().map_or(0, |expected| expected.at_ms)
    }

    /// Returns the calls after the first `skip` entries.
    pub(super) fn calls(&self, skip: usize) -> impl Iterator<Item = &Call> {
        self.entries.iter().skip(skip).map(|expected| &expected.entry.call)
    }
}

/// Makes a track of each recording, in the order in which the sessions begin.
pub(super) fn lay(
    recordings: &[Recording],
    notes: &mut Vec<String>,
) -> Result<Vec<Track>, ImportError> {
    let mut proved = Vec::new();
    for recording in recordings {
        notes.extend(
            recording
                .torn()
                .map(|line| format!("{}: line {line}: torn, and left out", recording.name)),
        );
        proved.push(Proved::of(recording, notes)?);
    }
    proved.sort_by_key(|proved| proved.entries.first().map(|(recorded, _)| recorded.entry.at));
    let is_alone = proved.len() == 1;
    let origin = proved.first().and_then(|proved| proved.entries.first());
    let origin_ms = origin.map_or(0, |(recorded, _)| recorded.entry.at.as_ms());
    proved.iter().map(|proved| proved.lay(origin_ms, is_alone, notes)).collect()
}

/// A recording that replays as it was recorded.
struct Proved<'a> {
    recording: &'a Recording,
    /// From the last place on before which something is missing.
    entries: Vec<(&'a Recorded, Replayed)>,
}

impl<'a> Proved<'a> {
    fn of(recording: &'a Recording, notes: &mut Vec<String>) -> Result<Self, ImportError> {
        let rules = format!("{:016x}", rules_fingerprint());
        let mut replay = Replay::default();
        let mut entries: Vec<(&Recorded, Replayed)> = Vec::new();
        let mut has_changed = false;
        for recorded in &recording.entries {
            let at = || recording.place(recorded.line);
            has_changed |= recorded.rules != rules;
            if is_after_gap(replay.protocol(), &recorded.entry.call) {
                let name = &recording.name;
                let line = recorded.line;
                notes.push(format!(
                    "{name}: line {line}: changes before this row are missing, so that the import \
                     begins here"
                ));
                entries.clear();
            }
            let replayed = replay.step(&recorded.entry).map_err(|_| {
                let entry = describe(&recorded.entry);
                if recorded.rules == rules {
                    return ImportError::Nondeterminism { at: at(), entry };
                }
                let (recorded, rules) = (recorded.rules.clone(), rules.clone());
                ImportError::CoreChanged { at: at(), recorded, rules, entry }
            })?;
            entries.push((recorded, replayed));
        }
        if has_changed {
            let name = &recording.name;
            notes.push(format!("{name}: the core has changed, and replays this all the same"));
        }
        Ok(Self { recording, entries })
    }

    fn lay(
        &self,
        origin_ms: u64,
        is_alone: bool,
        notes: &mut Vec<String>,
    ) -> Result<Track, ImportError> {
        let mut layer = Layer {
            recording: self.recording,
            replay: Replay::default(),
            entries: Vec::new(),
            clock: Clock { shift_ms: i128::from(origin_ms), booted_at_ms: 0, last_ms: 0 },
            is_alone,
        };
        let mut last_at = Monotonic::default();
        for (index, (recorded, replayed)) in self.entries.iter().enumerate() {
            let entry = recorded.entry;
            let mut call = entry.call;
            let mut is_after_reboot = false;
            if let Call::Resume { machine } = &mut call {
                let is_lost = lost_by_reboot(&self.entries[index + 1..]);
                is_after_reboot = entry.at < last_at || is_lost;
                if index == 0 {
                    is_after_reboot |=
                        machine.running_since().is_some_and(|since| since > entry.at);
                    layer.make_up(recorded, machine, is_after_reboot)?;
                    let line = recorded.line;
                    notes.push(format!(
                        "{}: line {line}: it begins with a row, so what led there is made up",
                        self.recording.name
                    ));
                }
                layer.restart(recorded, is_after_reboot)?;
                *machine = layer.row_like(machine);
            }
            last_at = entry.at;
            layer.push(recorded, call, Some(replayed), is_after_reboot)?;
        }
        let last = self.entries.last().map(|(_, replayed)| *replayed.protocol.machine());
        Ok(Track { name: self.recording.name.clone(), entries: layer.entries, last })
    }
}

/// Says whether the row that a session goes on from is one that nothing before it led to.
fn is_after_gap(before: Option<&Protocol>, call: &Call) -> bool {
    let (Some(before), Call::Resume { machine }) = (before, call) else {
        return false;
    };
    let offered = before.offered().map(|transition| &transition.next);
    machine != before.machine() && Some(machine) != offered
}

/// Says whether the life that begins here finds out that the machine was restarted.
fn lost_by_reboot(life: &[(&Recorded, Replayed)]) -> bool {
    let calls = life.iter().map(|(recorded, _)| &recorded.entry.call);
    calls.take_while(|call| !matches!(call, Call::Resume { .. })).any(|call| {
        let reboot = Input::Gone(End::Unknown(LostReason::Reboot));
        matches!(call, Call::Take { input, .. } if *input == reboot)
    })
}

/// Turns the recording's moments into those of the replay.
struct Clock {
    /// What the recording's clock shows when that of the replay shows 0.
    shift_ms: i128,
    /// When the machine was started last, counted from the beginning of the replay.
    booted_at_ms: u64,
    /// The last moment, counted from the beginning of the replay.
    last_ms: u64,
}

impl Clock {
    fn monotonic(&self, at: Monotonic) -> Option<Monotonic> {
        u64::try_from(i128::from(at.as_ms()) - self.shift_ms).ok().map(Monotonic::from_ms)
    }
}

/// Puts the entries down one by one.
struct Layer<'a> {
    recording: &'a Recording,
    replay: Replay,
    entries: Vec<Expected>,
    clock: Clock,
    is_alone: bool,
}

impl Layer<'_> {
    fn push(
        &mut self,
        recorded: &Recorded,
        call: Call,
        was: Option<&Replayed>,
        is_after_reboot: bool,
    ) -> Result<(), ImportError> {
        let not_shown = |reason: &str| not_shown(self.recording, recorded, reason);
        let at = self.clock.monotonic(recorded.entry.at);
        let at = at.ok_or_else(|| not_shown("it lies before the beginning"))?;
        let is = self.replay.hand(at, call).map_err(|error| not_shown(&error.to_string()))?;
        if let Some(was) = was
            && Effect::of(was, recorded.entry.at) != Effect::of(&is, at)
        {
            return Err(not_shown("the same decides otherwise at another moment"));
        }
        let at_ms = self.clock.booted_at_ms + at.as_ms();
        self.clock.last_ms = at_ms;
        let entry = Entry { at, call, fingerprint: is.fingerprint() };
        let line = if was.is_some() { recorded.line } else { 0 };
        let protocol = is.protocol;
        self.entries.push(Expected { line, at_ms, entry, protocol, is_after_reboot });
        Ok(())
    }

    /// Makes up what led to the row that a recording begins with.
    fn make_up(
        &mut self,
        first: &Recorded,
        row: &Machine,
        is_after_reboot: bool,
    ) -> Result<(), ImportError> {
        let not_shown = |reason: &str| not_shown(self.recording, first, reason);
        if !self.is_alone {
            return Err(not_shown(
                "what came before is missing, so that it can be imported alone only",
            ));
        }
        let calls = history::of(row).ok_or_else(|| {
            not_shown("the recording begins with it, and no short history leads to it")
        })?;
        let took_ms = calls.last().map_or(0, |(at_ms, _)| *at_ms);
        let resumed_ms = i128::from(first.entry.at.as_ms());
        let shift_ms = match row.running_since().filter(|_| !is_after_reboot) {
            Some(since) => i128::from(since.as_ms()),
            None => resumed_ms - i128::from(took_ms),
        };
        if !is_after_reboot && resumed_ms - shift_ms < i128::from(took_ms) {
            return Err(not_shown(
                "the recording begins with it, and a history that leads to it takes longer",
            ));
        }
        self.clock.shift_ms = 0;
        for (at_ms, call) in calls {
            let entry = Entry { at: Monotonic::from_ms(at_ms), call, fingerprint: 0 };
            let made_up = Recorded { line: 0, rules: String::new(), entry };
            self.push(&made_up, call, None, false)?;
        }
        self.clock.shift_ms = shift_ms;
        Ok(())
    }

    /// Lets the clock start anew where the machine did.
    fn restart(&mut self, recorded: &Recorded, is_after_reboot: bool) -> Result<(), ImportError> {
        if !is_after_reboot {
            return Ok(());
        }
        if !self.is_alone {
            let reason = "the machine was restarted, so that it can be imported alone only";
            return Err(not_shown(self.recording, recorded, reason));
        }
        self.clock.shift_ms = i128::from(recorded.entry.at.as_ms());
        self.clock.booted_at_ms = self.clock.last_ms;
        Ok(())
    }

    /// Returns the row of the replay that stands for this one.
    fn row_like(&self, row: &Machine) -> Machine {
        let Some(before) = self.replay.protocol() else { return *row };
        let offered = before.offered().map(|transition| transition.next);
        let is_like = |machine: &Machine| Outline::of(machine) == Outline::of(row);
        offered.filter(is_like).unwrap_or_else(|| *before.machine())
    }
}

fn not_shown(recording: &Recording, recorded: &Recorded, reason: &str) -> ImportError {
    let entry = describe_call(&recorded.entry.call);
    ImportError::NotShown { at: recording.place(recorded.line), entry, reason: reason.to_owned() }
}

/// Everything of a machine but when its process came up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outline {
    policy: Policy,
    revision: Revision,
    status: Status,
    is_up: bool,
    intent: Option<StopKind>,
    report: Option<ReportMark>,
    rung: Option<Rung>,
    requests_open: u16,
    end: Option<End>,
    verdict: Option<Verdict>,
    has_run: bool,
}

impl Outline {
    pub(super) fn of(machine: &Machine) -> Self {
        Self {
            policy: *machine.policy(),
            revision: machine.revision(),
            status: machine.status(),
            is_up: machine.is_up(),
            intent: machine.intent(),
            report: machine.report(),
            rung: machine.rung(),
            requests_open: machine.requests_open(),
            end: machine.end(),
            verdict: machine.verdict(),
            has_run: machine.running_since().is_some(),
        }
    }
}

/// What came of an entry, with moments as distances from it.
#[derive(PartialEq)]
struct Effect {
    machine: Outline,
    offered: Option<Step>,
    is_blocked: bool,
    is_taken: bool,
    next: Option<(std::mem::Discriminant<Next>, Option<Step>)>,
}

/// A transition, with moments as distances.
#[derive(PartialEq)]
struct Step {
    next: Outline,
    cause: Option<Cause>,
    act: Act,
    deadline: Option<(Deadline, i128)>,
    answer: Answer,
}

impl Effect {
    fn of(replayed: &Replayed, at: Monotonic) -> Self {
        let Replayed { protocol, next } = replayed;
        let step = |transition: &Transition| Step::of(transition, at);
        let next_step = |next: &Next| match next {
            Next::Act(transition) | Next::Abandon(transition) => Some(step(transition)),
            Next::Commit | Next::Load | Next::Refuse | Next::Doubt | Next::Hold | Next::Leave => {
                None
            }
        };
        let next = next.as_ref().ok();
        Self {
            machine: Outline::of(protocol.machine()),
            offered: protocol.offered().map(step),
            is_blocked: protocol.is_blocked(),
            is_taken: next.is_some(),
            next: next.map(|next| (std::mem::discriminant(next), next_step(next))),
        }
    }
}

impl Step {
    fn of(transition: &Transition, at: Monotonic) -> Self {
        let Transition { next, cause, act, deadline, idle_at: _, answer } = transition;
        let distance = |moment: Monotonic| i128::from(moment.as_ms()) - i128::from(at.as_ms());
        let deadline = deadline.map(|(kind, moment)| (kind, distance(moment)));
        Self { next: Outline::of(next), cause: *cause, act: *act, deadline, answer: *answer }
    }
}
