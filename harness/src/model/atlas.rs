//! Every value of the shipped protocol that a search has met, each with a number.
//!
//! A world holds numbers instead of protocols, so that it is a few words long. What a protocol makes
//! of an input is asked of `candor_core` once, and looked up from then on: the protocol is a pure
//! function, and the model's clock stands still. No rule is written down here.

use std::collections::HashMap;

use candor_core::event::Cause;
use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::protocol::{CommitAnswer, Next, Origin, Protocol, RowSeen, TakeError};
use candor_core::status::Status;
use candor_core::step::{Act, Answer, Transition};
use candor_core::stop::{Rung, StopKind};
use candor_core::time::{Monotonic, Now, Timestamp};
use candor_core::verdict::{End, Exit, LostReason, SpawnStage};

use super::law;
use super::numbers::BuildQuick;
use crate::mutant::Mutant;

/// The moment at which everything in the model happens. What is late is what is picked late.
pub(super) const NOW: Now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: Monotonic::from_ms(1) };

/// The error number for "no such file or directory".
const ENOENT: i32 = 2;

/// Machines and protocols that one search may meet.
const NUMBERS_MAX: usize = u16::MAX as usize;

/// Things that can be done to a protocol.
const DEEDS_MAX: usize = 50;

/// The entry of a deed that was not asked about yet.
const UNKNOWN: (u16, ProtocolId) = (u16::MAX, 0);

/// The exits that stand for all.
pub(super) const EXITS: [(Exit, bool); 9] = [
    (Exit::Code(0), false),
    (Exit::Code(1), false),
    (Exit::Code(130), false),
    (Exit::Signal { number: 2, core_dumped: false }, false),
    (Exit::Signal { number: 15, core_dumped: false }, false),
    (Exit::Signal { number: 9, core_dumped: false }, false),
    (Exit::Signal { number: 9, core_dumped: false }, true),
    (Exit::Signal { number: 11, core_dumped: true }, false),
    (Exit::Code(3), false),
];

/// What can be done to a protocol. Its number is its place in a row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Deed(u8);

impl Deed {
    pub(super) const INTERRUPT: Self = Self(0);
    pub(super) const KILL: Self = Self(1);
    pub(super) const SHUTDOWN: Self = Self(2);
    pub(super) const SPAWNED: Self = Self(3);
    pub(super) const UNREACHABLE: Self = Self(4);
    pub(super) const ADOPTED: Self = Self(5);
    pub(super) const REQUEST_OPENED: Self = Self(6);
    pub(super) const REQUEST_CLOSED: Self = Self(7);
    pub(super) const REPORT_ERROR: Self = Self(8);
    pub(super) const REPORT_SUCCESS: Self = Self(9);
    pub(super) const PARENT_ENDED: Self = Self(14);
    pub(super) const REFUSED: Self = Self(15);
    pub(super) const NEVER_RAN: Self = Self(16);
    pub(super) const LOST: Self = Self(17);
    pub(super) const EXITED: Self = Self(21);
    pub(super) const STORED: Self = Self(30);
    pub(super) const NOT_STORED: Self = Self(31);
    pub(super) const IN_DOUBT: Self = Self(32);
    pub(super) const OURS: Self = Self(33);
    pub(super) const BEFORE: Self = Self(34);
    pub(super) const OTHERS: Self = Self(35);
    pub(super) const NO_ANSWER: Self = Self(36);
    pub(super) const RETRY: Self = Self(37);
    pub(super) const FINISH: Self = Self(38);
    pub(super) const TURN_ENDED: Self = Self(39);
    pub(super) const TURN_BEGAN: Self = Self(40);
    pub(super) const DUE: Self = Self(41);
    pub(super) const SETTINGS: Self = Self(48);
    const COUNT: u8 = 49;

    /// Returns the deed of the `index`-th exit, deadline or reason, counted from this one.
    pub(super) const fn plus(self, index: u8) -> Self {
        Self(self.0 + index)
    }

    /// Says whether it is the end of a process that somebody saw.
    pub(super) const fn is_exit(self) -> bool {
        self.0 >= Self::EXITED.0 && self.0 < Self::STORED.0
    }

    /// Returns what is to be handed to [`Protocol::take`], if it is that.
    fn input(self) -> Option<Input> {
        Some(match self.0 {
            0 => Input::Stop(StopKind::Interrupt),
            1 => Input::Stop(StopKind::Kill),
            2 => Input::Stop(StopKind::Shutdown),
            3 => Input::Spawned,
            4 => Input::Unreachable,
            5 => Input::Adopted,
            6 => Input::RequestOpened,
            7 => Input::RequestClosed,
            8 | 9 => Input::FinalReport { success: self == Self::REPORT_SUCCESS },
            14 => Input::ParentEnded,
            15 => Input::Gone(End::Refused { stage: SpawnStage::Exec, errno: ENOENT }),
            16 => Input::Gone(End::NeverRan),
            17..=20 => Input::Gone(End::Unknown(REASONS[usize::from(self.0 - Self::LOST.0)])),
            21..=29 => {
                let (exit, oom_killed) = EXITS[usize::from(self.0 - Self::EXITED.0)];
                Input::Gone(End::Exited { exit, oom_killed })
            }
            38 => Input::Stop(StopKind::Finish),
            39 => Input::TurnEnded,
            40 => Input::TurnBegan,
            41..=47 => Input::Due(DEADLINES[usize::from(self.0 - Self::DUE.0)]),
            48 => Input::SettingsChanged,
            _ => return None,
        })
    }

    /// Says whether somebody asks for it, who may be refused.
    const fn is_command(self) -> bool {
        self.0 <= Self::SHUTDOWN.0 || matches!(self, Self::FINISH | Self::SETTINGS)
    }
}

/// The deadlines that can be armed, each the bit of its place.
pub(super) const DEADLINES: [Deadline; 7] = [
    Deadline::Timeout,
    Deadline::Linger,
    Deadline::Idle,
    Deadline::RungOver(Rung::Ask),
    Deadline::RungOver(Rung::Interrupt),
    Deadline::RungOver(Rung::InterruptAgain),
    Deadline::RungOver(Rung::Terminate),
];

/// Why an exit cannot be known.
pub(super) const REASONS: [LostReason; 4] = [
    LostReason::LaunchUnknown,
    LostReason::DaemonKilled,
    LostReason::Reboot,
    LostReason::ShimKilled,
];

/// The bit of the deadline for which a session waits for a message.
const IDLE_BIT: u8 = 1 << 2;

/// The bits of the deadlines that are no rung's.
pub(super) const NO_RUNG_BITS: u8 = 0b111;

/// The number of a machine. 0 is: no row.
pub(super) type MachineId = u16;

/// The number of a protocol. 0 is: nobody drives the session.
pub(super) type ProtocolId = u16;

/// What kind of answer the protocol gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Commit,
    Load,
    Act,
    Abandon,
    Refuse,
    Doubt,
    Hold,
    Leave,
    /// It was not taken. The model hands in nothing that may be refused so: it is a bug.
    Bug,
}

/// What the protocol made of a deed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) act: Act,
    /// The bits of the deadlines to arm.
    pub(super) deadline: u8,
    pub(super) answer: Answer,
    pub(super) cause: Option<Cause>,
}

/// A protocol, as far as a world's driver may look into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) machine: MachineId,
    pub(super) is_blocked: bool,
    pub(super) is_over: bool,
    pub(super) offer: Option<Offer>,
}

/// A change that is offered to the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) before: MachineId,
    pub(super) after: MachineId,
    pub(super) cause: Cause,
    /// The invariants that the change breaks by itself.
    pub(super) broken: u64,
}

/// A machine, as far as the search looks into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) status: Status,
    pub(super) is_up: bool,
    pub(super) is_terminal: bool,
    pub(super) intent: Option<StopKind>,
    pub(super) has_report: bool,
    pub(super) rung: Option<Rung>,
    pub(super) awaits_message: bool,
    pub(super) revision: u8,
    /// What a second daemon's kill would make of it, or 0.
    pub(super) intruded: MachineId,
}

/// The table.
pub(super) struct Atlas {
    mutant: Mutant,
    machines: Vec<Machine>,
    rows: Vec<Row>,
    machine_ids: HashMap<Machine, MachineId, BuildQuick>,
    protocols: Vec<Protocol>,
    views: Vec<View>,
    protocol_ids: HashMap<Protocol, ProtocolId, BuildQuick>,
    /// What was ever answered. There are few different answers.
    answers: Vec<Outcome>,
    /// For each protocol and deed the place of the answer, and the protocol after it.
    outcomes: Vec<(u16, ProtocolId)>,
    /// The first change of a session that starts at once, and of one that waits.
    pub(super) creations: [ProtocolId; 2],
}

impl Atlas {
    pub(super) fn new(policy: Policy, mutant: Mutant) -> Self {
        let unborn = Protocol::create(Machine::launch(policy));
        let nobody = View { machine: 0, is_blocked: false, is_over: true, offer: None };
        let mut atlas = Self {
            mutant,
            machines: vec![*unborn.machine()],
            rows: vec![row_of(unborn.machine())],
            machine_ids: HashMap::default(),
            protocols: vec![unborn],
            views: vec![nobody],
            protocol_ids: HashMap::default(),
            answers: Vec::new(),
            outcomes: vec![UNKNOWN; DEEDS_MAX],
            creations: [0; 2],
        };
        // The machine before the first change is the one without a row, so that the number of its
        // row is 0; a queued one begins as `queued`, and both have no row.
        let queued = Protocol::create(Machine::queue(policy));
        atlas.machine_ids.insert(*unborn.machine(), 0);
        atlas.machine_ids.insert(*queued.machine(), 0);
        atlas.creations = [atlas.protocol(unborn), atlas.protocol(queued)];
        atlas
    }

    pub(super) fn row(&self, id: MachineId) -> &Row {
        &self.rows[usize::from(id)]
    }

    pub(super) fn machine(&self, id: MachineId) -> &Machine {
        &self.machines[usize::from(id)]
    }

    pub(super) fn view(&self, id: ProtocolId) -> &View {
        &self.views[usize::from(id)]
    }

    /// Returns how many machines and protocols were met.
    pub(super) const fn sizes(&self) -> (usize, usize) {
        (self.machines.len(), self.protocols.len())
    }

    pub(super) fn machine_id(&mut self, machine: Machine) -> MachineId {
        if let Some(id) = self.machine_ids.get(&machine) {
            return *id;
        }
        let id = number(self.machines.len());
        self.machine_ids.insert(machine, id);
        self.machines.push(machine);
        self.rows.push(row_of(&machine));
        let stop = machine.step(Input::Stop(StopKind::Kill), NOW);
        if let Some(intruded) = stop.ok().filter(|transition| transition.cause.is_some()) {
            let intruded = self.machine_id(intruded.next);
            self.rows[usize::from(id)].intruded = intruded;
        }
        id
    }

    pub(super) fn protocol(&mut self, protocol: Protocol) -> ProtocolId {
        if let Some(id) = self.protocol_ids.get(&protocol) {
            return *id;
        }
        let machine = self.machine_id(*protocol.machine());
        let offer = protocol.offered().and_then(|transition| self.offer(machine, transition));
        let is_blocked = protocol.is_blocked();
        let row = self.row(machine);
        let is_over = !is_blocked && (row.is_terminal || row.revision == 0);
        let id = number(self.protocols.len());
        self.protocol_ids.insert(protocol, id);
        self.protocols.push(protocol);
        self.views.push(View { machine, is_blocked, is_over, offer });
        self.outcomes.resize(self.outcomes.len() + DEEDS_MAX, UNKNOWN);
        id
    }

    /// Returns the protocol that begins with a stored row.
    pub(super) fn resume(&mut self, row: MachineId) -> ProtocolId {
        self.protocol(Protocol::resume(*self.machine(row)))
    }

    fn offer(&mut self, before: MachineId, transition: &Transition) -> Option<Offer> {
        let cause = transition.cause?;
        let next = super::forge::forged(self.mutant, &transition.next, cause);
        let after = self.machine_id(next);
        let broken = self.judge_change(before, after, cause);
        Some(Offer { before, after, cause, broken })
    }

    /// Returns the row that stands for all that have ended.
    pub(super) fn tomb(&mut self) -> MachineId {
        let first = *self.protocols[usize::from(self.creations[0])].machine();
        let launched = Machine::launch(*first.policy()).next;
        match launched.step(Input::Gone(End::NeverRan), NOW) {
            Ok(ended) => self.machine_id(ended.next),
            Err(error) => panic!("a launch that never ran has no end: {error}"),
        }
    }

    /// Holds a change of a row against what is written down in [`law`].
    pub(super) fn judge_change(&self, before: MachineId, after: MachineId, cause: Cause) -> u64 {
        let old = (before != 0).then(|| self.machine(before));
        law::judge_change(old, self.machine(after), cause)
    }

    /// Returns what the shipped protocol makes of a deed, and the protocol after it.
    pub(super) fn go(&mut self, protocol: ProtocolId, deed: Deed) -> (Outcome, ProtocolId) {
        let place = usize::from(protocol) * DEEDS_MAX + usize::from(deed.0);
        let (answer, next) = self.outcomes[place];
        if (answer, next) != UNKNOWN {
            return (self.answers[usize::from(answer)], next);
        }
        let (outcome, next) = self.ask(protocol, deed);
        let known = self.answers.iter().position(|known| *known == outcome);
        let answer = known.unwrap_or(self.answers.len());
        if known.is_none() {
            self.answers.push(outcome);
        }
        self.outcomes[place] = (number(answer), next);
        (outcome, next)
    }

    fn ask(&mut self, id: ProtocolId, deed: Deed) -> (Outcome, ProtocolId) {
        let mut protocol = self.protocols[usize::from(id)];
        let result = match (deed.input(), deed) {
            (Some(input), _) => {
                let origin = if deed.is_command() { Origin::Command } else { Origin::Fact };
                protocol.take(input, origin, NOW)
            }
            (None, Deed::STORED) => Ok(protocol.answered(CommitAnswer::Stored)),
            (None, Deed::NOT_STORED) => Ok(protocol.answered(CommitAnswer::NotStored)),
            (None, Deed::IN_DOUBT) => Ok(protocol.answered(CommitAnswer::InDoubt)),
            (None, Deed::OURS) => Ok(protocol.looked(RowSeen::Ours)),
            (None, Deed::BEFORE) => Ok(protocol.looked(RowSeen::Before)),
            (None, Deed::OTHERS) => Ok(protocol.looked(RowSeen::Others)),
            (None, Deed::NO_ANSWER) => Ok(protocol.looked(RowSeen::NoAnswer)),
            (None, _) => Ok(protocol.retry(NOW)),
        };
        (outcome(result), self.protocol(protocol))
    }

    /// Says whether a row that has ended absorbs everything, whatever is handed in.
    pub(super) fn absorbs(&mut self, row: MachineId) -> bool {
        let protocol = self.resume(row);
        (0..Deed::COUNT).map(Deed).filter(|deed| deed.input().is_some()).all(|deed| {
            let (outcome, next) = self.go(protocol, deed);
            outcome.kind == Kind::Act
                && next == protocol
                && outcome.act == Act::Nothing
                && outcome.deadline == 0
                && matches!(outcome.answer, Answer::AlreadyEnded(_))
        })
    }
}

fn number(count: usize) -> u16 {
    assert!(count < NUMBERS_MAX, "a search met more than {NUMBERS_MAX} machines or protocols");
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn row_of(machine: &Machine) -> Row {
    let revision = machine.revision().number();
    Row {
        status: machine.status(),
        is_up: machine.is_up(),
        is_terminal: machine.status().is_terminal(),
        intent: machine.intent(),
        has_report: machine.report().is_some(),
        rung: machine.rung(),
        awaits_message: machine.awaits_message(),
        revision: u8::try_from(revision).unwrap_or(u8::MAX),
        intruded: 0,
    }
}

fn outcome(result: Result<Next, TakeError>) -> Outcome {
    let idle = |kind| Outcome {
        kind,
        act: Act::Nothing,
        deadline: 0,
        answer: Answer::Accepted,
        cause: None,
    };
    let Ok(next) = result else { return idle(Kind::Bug) };
    let (kind, transition) = match next {
        Next::Commit => return idle(Kind::Commit),
        Next::Load => return idle(Kind::Load),
        Next::Refuse => return idle(Kind::Refuse),
        Next::Doubt => return idle(Kind::Doubt),
        Next::Hold => return idle(Kind::Hold),
        Next::Leave => return idle(Kind::Leave),
        Next::Act(transition) => (Kind::Act, transition),
        Next::Abandon(transition) => (Kind::Abandon, transition),
    };
    let armed = transition.deadline.map(|(deadline, _)| deadline);
    let place = DEADLINES.iter().position(|known| Some(*known) == armed);
    Outcome {
        kind,
        act: transition.act,
        deadline: place.map_or(0, |place| 1 << place)
            | if transition.idle_at.is_some() { IDLE_BIT } else { 0 },
        answer: transition.answer,
        cause: transition.cause,
    }
}
