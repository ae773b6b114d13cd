//! Choices of the model, told as a timeline while they are made.
//!
//! The model stores a change in steps, and lets an agent speak before it is heard. A timeline has one
//! line for the whole: it is written where the last step is made, and where a crash comes between,
//! the crash says what it kept.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use candor_core::status::Status;
use candor_core::stop::Rung;
use candor_core::verdict::{Exit, LostReason, SpawnStage};

use super::follow::Follower;
use super::trace::{Difference, Trace};
use crate::model::Config;
use crate::model::atlas::{DEADLINES, EXITS};
use crate::model::choice::{Choice, Verb};
use crate::model::world::{Call, Daemon, Process, Said, Session};
use crate::mutant::{Mutant, Mutants};
use crate::replay::{Run, world_of};
use crate::timeline::choice as line;
use crate::timeline::choice::{
    Ask, AttachAnswer, Boot, DueKind, InFlight, LaunchOptions, SignalEffect, SpawnOutcome,
    WriteOutcome,
};
use crate::timeline::names::ClientName;
use crate::timeline::{BodyLine, HeadLine, Moment, Step, Timeline};

/// The error number for "no such file or directory".
const ENOENT: i32 = 2;

/// Every deadline of a told session is as short as it can be: the model decides what is late.
const GRACE_MS: u32 = 1;

/// The only client of the model.
const CLIENT: ClientName = ClientName::new(1);

/// The exit of an agent that reports an error when it is signalled: a place in the list of exits.
const EXIT_130: usize = 2;

/// The places of the deadlines of the rungs.
const RUNG_PLACES: std::ops::RangeInclusive<u8> = 3..=6;

/// A choice that a timeline has no word for, or that the world makes at another moment.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Untold {
    /// In the world, a second daemon writes at the moment of the conflict alone.
    Intrusion,
    /// What an agent has said before the attach answers is read by the daemon's spawner there, and
    /// is no choice of its own.
    EarlyReading,
    /// In the world, the end of a parent is told at once, and nothing overtakes it.
    OvertakenParent,
    /// In the world, a change is stored and acknowledged at once, so that nobody can continue a
    /// session whose launch is only stored.
    UnacknowledgedParent,
    /// In the world, all sessions are asked to leave at the same moment.
    SplitShutdown,
    /// In the world, a deadline waits until a commit that is on its way has been answered.
    Late,
}

impl Untold {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Intrusion,
        Self::EarlyReading,
        Self::OvertakenParent,
        Self::UnacknowledgedParent,
        Self::SplitShutdown,
        Self::Late,
    ];
}

impl fmt::Display for Untold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Intrusion => "a second daemon writes, and is not met at once",
            Self::EarlyReading => "a report is read before the attach answers",
            Self::OvertakenParent => "a command overtakes the end of the parent",
            Self::UnacknowledgedParent => {
                "a session is continued before its launch is acknowledged"
            }
            Self::SplitShutdown => "two sessions are asked to leave at different moments",
            Self::Late => "a deadline comes while another session's commit waits too long",
        })
    }
}

/// A model that is led by hand, and a world that is led behind it.
pub(super) struct Teller {
    follower: Follower,
    mutants: Mutants,
    run: Run,
    steps: Vec<(u64, line::Choice)>,
    /// Deadlines of each place that were due in the world, and are armed in the model: a bit each.
    spent: [u8; crate::model::SESSIONS_MAX],
    is_leaving: bool,
    complaint: Option<String>,
}

impl Teller {
    /// Begins with a model that makes one mistake, before a world that makes these.
    pub(super) fn new(config: Config, mutant: Mutant, mutants: Mutants) -> Self {
        Self {
            follower: Follower::new(config, config.policy(), mutant),
            mutants,
            run: Run::of(mutants),
            steps: Vec::new(),
            spent: [0; crate::model::SESSIONS_MAX],
            is_leaving: false,
            complaint: None,
        }
    }

    pub(super) fn restart(&mut self) {
        self.follower.restart();
        self.run = Run::of(self.mutants);
        self.steps.clear();
        self.spent = [0; crate::model::SESSIONS_MAX];
        self.is_leaving = false;
        self.complaint = None;
    }

    pub(super) const fn choices_made(&self) -> usize {
        self.follower.choices
    }

    /// Returns what the world refused first.
    pub(super) const fn complaint(&self) -> Option<&String> {
        self.complaint.as_ref()
    }

    /// Returns what the model offers and a timeline can tell.
    pub(super) fn menu(&self, untold: &mut Vec<Untold>) -> Vec<Choice> {
        let is_told = |choice: &Choice| {
            let reason = self.why_untold(*choice);
            if let Some(reason) = reason
                && !untold.contains(&reason)
            {
                untold.push(reason);
            }
            reason.is_none()
        };
        self.follower.menu().as_slice().iter().copied().filter(is_told).collect()
    }

    fn why_untold(&self, choice: Choice) -> Option<Untold> {
        let at = usize::from(choice.session);
        let session = self.follower.session(at);
        let sessions = &self.follower.world.sessions;
        let is_met = |other: &Session| !other.is_intruded || other.call != Call::Issued;
        if !sessions.iter().all(is_met) && (choice.verb != Verb::Conflict || is_met(session)) {
            return Some(Untold::Intrusion);
        }
        let is_stop = matches!(choice.verb, Verb::Interrupt | Verb::Kill | Verb::StopForShutdown);
        let is_queued = session.memory != 0 && self.follower.known(at).status == Status::Queued;
        let has_ended = || self.follower.model.has_ended(&self.follower.world, session.parent);
        match choice.verb {
            Verb::Intrude if session.call != Call::Issued => Some(Untold::Intrusion),
            Verb::ReadReport if !session.is_held => Some(Untold::EarlyReading),
            Verb::Queue if self.follower.known(usize::from(choice.value) - 1).revision == 0 => {
                Some(Untold::UnacknowledgedParent)
            }
            _ if is_stop && is_queued && has_ended() => Some(Untold::OvertakenParent),
            Verb::StopForShutdown
                if sessions.iter().filter(|session| session.memory != 0).count() > 1 =>
            {
                Some(Untold::SplitShutdown)
            }
            Verb::Due if self.is_late(at, choice.value) => Some(Untold::Late),
            _ => None,
        }
    }

    fn is_late(&self, at: usize, place: u8) -> bool {
        let is_spent = self.spent[at] & (1 << place) != 0;
        let waits = self.run.world().has_commits();
        waits && !is_spent && self.after_ms(&self.due(at, due_kind(place))).is_none()
    }

    fn after_ms(&self, wanted: &line::Choice) -> Option<u64> {
        let menu = self.run.world().enabled();
        menu.into_iter().find(|enabled| enabled.choice == *wanted).map(|enabled| enabled.after_ms)
    }

    /// Makes a choice of the model, and writes down what the world must do for it.
    pub(super) fn tell(&mut self, choice: Choice) {
        let at = usize::from(choice.session);
        let old = *self.follower.session(at);
        let lines = self.lines_before(choice, at, &old);
        self.follower.choose(choice);
        let lines = if lines.is_empty() { self.lines_after(choice, at) } else { lines };
        for line in lines {
            self.write(line);
        }
        for place in 0..self.spent.len() {
            let armed = self.follower.session(place).deadlines;
            self.spent[place] &= armed;
        }
        if self.follower.world.shared.daemon != Daemon::Leaving {
            self.is_leaving = false;
        }
    }

    fn write(&mut self, choice: line::Choice) {
        let world = self.run.world();
        let is_timed = matches!(&choice, line::Choice::Due { .. });
        let after_ms = if is_timed { self.after_ms(&choice).unwrap_or_default() } else { 0 };
        let at_ms = world.now_ms() + after_ms;
        if let Err(refusal) = self.run.choose(at_ms, &choice) {
            self.complaint
                .get_or_insert_with(|| format!("the world refuses `{choice}`: {refusal}"));
        }
        self.steps.push((at_ms, choice));
    }

    fn due(&self, at: usize, kind: DueKind) -> line::Choice {
        line::Choice::Due { session: self.follower.name(at), kind }
    }

    /// The lines that name what is there before the choice is made.
    fn lines_before(&mut self, choice: Choice, at: usize, old: &Session) -> Vec<line::Choice> {
        let session = self.follower.name(at);
        let write = |outcome| line::Choice::Write { call: self.follower.call(at), outcome };
        let stop = |ask| line::Choice::Stop { session, ask };
        let is_stepwise = self.follower.model.config.is_stepwise;
        let one = match choice.verb {
            Verb::Interrupt => stop(Ask::Interrupt),
            Verb::Kill => stop(Ask::Kill),
            Verb::Finish => stop(Ask::Finish),
            Verb::Settings => line::Choice::Bypass { session, ms: 1 },
            Verb::Acknowledge if !is_stepwise => write(WriteOutcome::Ok),
            Verb::Follow => write(WriteOutcome::Ok),
            Verb::NotStored => write(WriteOutcome::Err),
            Verb::KeptUnknown => write(WriteOutcome::UnknownKept),
            Verb::LostUnknown => write(WriteOutcome::UnknownLost),
            Verb::Conflict => write(WriteOutcome::Conflict),
            Verb::Read if old.is_intruded => return self.usurped_lines(at),
            Verb::Read => line::Choice::Read { call: self.follower.call(at), ok: true },
            Verb::ReadNoAnswer => line::Choice::Read { call: self.follower.call(at), ok: false },
            Verb::Retry => self.due(at, DueKind::Retry),
            Verb::Due => return self.due_lines(at, choice.value, old),
            Verb::StopForShutdown if self.is_leaving => self.due(at, DueKind::Retry),
            Verb::StopForShutdown => {
                self.is_leaving = true;
                line::Choice::Shutdown
            }
            Verb::Crash => return self.crash_lines(),
            Verb::BootSame => line::Choice::Boot { boot: Boot::Same },
            Verb::BootOther => line::Choice::Boot { boot: Boot::Other },
            Verb::Connect => line::Choice::Connect { client: CLIENT },
            Verb::Drop => line::Choice::Drop { client: CLIENT },
            Verb::SpawnRefused => {
                let outcome = SpawnOutcome::Refused { stage: SpawnStage::Exec, errno: ENOENT };
                line::Choice::Spawn { session, outcome }
            }
            Verb::SpawnUnknown => {
                let outcome = SpawnOutcome::Unknown(self.follower.process(at));
                line::Choice::Spawn { session, outcome }
            }
            Verb::AttachUp
            | Verb::AttachEnded
            | Verb::AttachLost
            | Verb::AttachNeverRan
            | Verb::AttachUnreachable => {
                line::Choice::Attach { session, answer: attach_answer(choice.verb, old.process) }
            }
            _ => return self.process_line(choice, at, old).into_iter().collect(),
        };
        vec![one]
    }

    fn process_line(&self, choice: Choice, at: usize, old: &Session) -> Option<line::Choice> {
        let session = self.follower.name(at);
        let process = self.follower.process(at)?;
        let signal = self.follower.known(at).rung.unwrap_or(Rung::Interrupt);
        let signal = |effect| line::Choice::Signal { process, signal, effect };
        let (exit, oom_killed) = EXITS[usize::from(choice.value)];
        Some(match choice.verb {
            Verb::SpawnUp => line::Choice::Spawn { session, outcome: SpawnOutcome::Up(process) },
            Verb::Exit => line::Choice::Exit { process, exit, oom_killed },
            Verb::Ended => line::Choice::Reap { process, lost: None },
            Verb::EndedUnseen => line::Choice::Reap { process, lost: Some(LostReason::ShimKilled) },
            Verb::ReadReport => {
                line::Choice::Report { process, success: old.said == Said::Success }
            }
            Verb::EndTurn => line::Choice::Turn { process, began: false },
            Verb::BeginTurn => line::Choice::Turn { process, began: true },
            Verb::OpenRequest => line::Choice::Request { process, opened: true },
            Verb::CloseRequest => line::Choice::Request { process, opened: false },
            Verb::SignalKills => signal(SignalEffect::Kills),
            Verb::SignalExits => signal(exits(exit)),
            // What it reports is told where it is read.
            Verb::SignalReports => signal(exits(EXITS[EXIT_130].0)),
            Verb::SignalIgnored => signal(SignalEffect::Ignored),
            Verb::SignalGone => signal(SignalEffect::Gone),
            Verb::SignalDenied => signal(SignalEffect::Denied),
            Verb::SignalUnknown => signal(SignalEffect::Unknown),
            _ => return None,
        })
    }

    /// The lines that name what the choice has made.
    fn lines_after(&self, choice: Choice, at: usize) -> Vec<line::Choice> {
        let session = self.follower.name(at);
        let parent = usize::from(choice.value).checked_sub(1);
        let one = match (choice.verb, parent, self.follower.process(at)) {
            (Verb::Launch, ..) => {
                let config = self.follower.model.config;
                line::Choice::Launch { session, options: options(&config) }
            }
            (Verb::Queue, Some(parent), _) => {
                line::Choice::Queue { session, parent: self.follower.name(parent) }
            }
            (Verb::Fork, _, Some(process)) => line::Choice::Fork { session, process },
            _ => return Vec::new(),
        };
        vec![one]
    }

    /// The world has one rung that is due at a time: the lowest.
    fn due_lines(&mut self, at: usize, place: u8, old: &Session) -> Vec<line::Choice> {
        let line = self.due(at, due_kind(place));
        if self.spent[at] & (1 << place) != 0 {
            self.spent[at] &= !(1 << place);
            return Vec::new();
        }
        let armed = old.deadlines & !self.spent[at];
        let below = RUNG_PLACES.filter(|lower| *lower < place && armed & (1 << lower) != 0);
        let mut lines = Vec::new();
        for lower in below.filter(|_| RUNG_PLACES.contains(&place)) {
            self.spent[at] |= 1 << lower;
            lines.push(line.clone());
        }
        lines.push(line);
        lines
    }

    fn crash_lines(&mut self) -> Vec<line::Choice> {
        if !self.run.world().rest().is_up {
            return Vec::new();
        }
        let (mut kept, mut others) = (Vec::new(), 0);
        for at in 0..crate::model::SESSIONS_MAX {
            let session = self.follower.session(at);
            let is_kept = matches!(session.call, Call::Effective | Call::Acknowledged);
            let commit = self.run.world().store_call(self.follower.name(at), true);
            if is_kept {
                kept.push(self.follower.call(at));
            } else if commit.is_some() {
                others += 1;
                // The end of the parent, which the world tells at once.
                if session.call == Call::Nothing {
                    self.follower.skip_call(at);
                }
            }
        }
        kept.sort_unstable();
        let in_flight = match (kept.is_empty(), others) {
            (true, 0) => None,
            (true, _) => Some(InFlight::Lose),
            (false, 0) => Some(InFlight::Keep),
            (false, _) => Some(InFlight::KeepOnly(kept)),
        };
        vec![line::Choice::Crash { in_flight }]
    }

    /// The daemon leaves after this read, and never learns what the store has of other sessions.
    fn usurped_lines(&mut self, at: usize) -> Vec<line::Choice> {
        let mut lines = Vec::new();
        for other in (0..crate::model::SESSIONS_MAX).filter(|other| *other != at) {
            if matches!(self.follower.session(other).call, Call::Effective | Call::Acknowledged) {
                let call = self.follower.call(other);
                lines.push(line::Choice::Write { call, outcome: WriteOutcome::UnknownKept });
                // It is read then.
                self.follower.skip_call(other);
            }
        }
        lines.push(line::Choice::Read { call: self.follower.call(at), ok: true });
        lines
    }

    /// Ends a schedule. What the store has and the daemon does not know is kept by a crash.
    pub(super) fn end(&mut self) {
        let is_open =
            |session: &Session| matches!(session.call, Call::Effective | Call::Acknowledged);
        if self.complaint.is_none() && self.follower.world.sessions.iter().any(is_open) {
            for line in self.crash_lines() {
                self.write(line);
            }
        }
    }

    /// Ends a schedule. What the store has is acknowledged.
    pub(super) fn end_stored(&mut self) {
        for at in 0..crate::model::SESSIONS_MAX {
            if matches!(self.follower.session(at).call, Call::Effective | Call::Acknowledged) {
                let call = self.follower.call(at);
                self.write(line::Choice::Write { call, outcome: WriteOutcome::Ok });
            }
        }
    }

    /// Returns what is not the same at both levels.
    pub(super) fn difference(&self) -> Option<String> {
        if let Some(complaint) = &self.complaint {
            return Some(complaint.clone());
        }
        let world = Trace::of_world(self.run.world().log().entries());
        self.follower.trace.difference(&world).map(|difference: Difference| difference.to_string())
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.timeline_of(&format!("a schedule of {}", self.follower.model.config.name))
    }

    pub(super) fn timeline_of(&self, title: &str) -> Timeline {
        let entry = |key: &str, value: String| HeadLine::Entry {
            key: key.to_owned(),
            value,
            comment: None,
        };
        let head = vec![
            entry("id", "model".to_owned()),
            entry("title", title.to_owned()),
            entry("from", "model".to_owned()),
            entry("world", world_of(self.steps.iter().map(|(_, choice)| choice))),
            HeadLine::Blank,
        ];
        let mut now_ms = 0;
        let body = self.steps.iter().map(|(at_ms, choice)| {
            let moment = Moment::After(at_ms - now_ms);
            now_ms = *at_ms;
            BodyLine::Step(Step { line: 0, moment, choice: choice.clone(), comment: None })
        });
        Timeline { body: body.collect(), head, golden: None }
    }
}

fn options(config: &Config) -> LaunchOptions {
    let rung_ms = NonZeroU32::new(GRACE_MS).filter(|_| config.has_whole_ladder);
    LaunchOptions {
        timeout_ms: NonZeroU64::new(u64::from(config.has_timeout)),
        ask_ms: rung_ms,
        again_ms: rung_ms,
        idle_ms: NonZeroU32::new(GRACE_MS).filter(|_| config.turns > 0),
        grace_ms: Some((GRACE_MS, GRACE_MS)),
        linger_ms: Some(GRACE_MS),
        ..LaunchOptions::default()
    }
}

const fn exits(exit: Exit) -> SignalEffect {
    match exit {
        Exit::Code(code) => SignalEffect::Exits { report: None, code },
        Exit::Signal { .. } => SignalEffect::Kills,
    }
}

const fn due_kind(place: u8) -> DueKind {
    use candor_core::input::Deadline;

    match DEADLINES[place as usize] {
        Deadline::Timeout => DueKind::Timeout,
        Deadline::Linger => DueKind::Linger,
        Deadline::Idle => DueKind::Idle,
        Deadline::RungOver(_) => DueKind::Rung,
    }
}

const fn attach_answer(verb: Verb, process: Process) -> AttachAnswer {
    match verb {
        Verb::AttachUp => AttachAnswer::Up,
        Verb::AttachEnded => AttachAnswer::Ended,
        Verb::AttachLost => AttachAnswer::Lost(match process {
            Process::None => LostReason::LaunchUnknown,
            Process::Vanished | Process::Buried => LostReason::Reboot,
            Process::Alive | Process::Dead | Process::Reaped | Process::Unseen => {
                LostReason::DaemonKilled
            }
        }),
        Verb::AttachNeverRan => AttachAnswer::NeverRan,
        _ => AttachAnswer::Unreachable,
    }
}
