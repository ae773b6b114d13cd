//! The session daemon as a value, searched exhaustively.
//!
//! A world is what a store, a daemon, its processes and a client are at one moment. What a session
//! does in it is asked of the shipped [`Protocol`](candor_core::protocol::Protocol); what is written
//! down here is only what lies around it: the store's answers, the processes, the mailbox rules of
//! the daemon's session task, crashes and restarts.
//!
//! Time stands still: what is late is what is picked late, so that every deadline comes early, late and
//! never. A client is slow by what it has not read, and comes back where it left. A second daemon is
//! one that writes a row at any moment of a call. A process number that is free is given to a
//! stranger. A loss of power is a crash before `boot other`: the store syncs its log with every
//! commit (`synchronous = FULL`, and `F_FULLFSYNC` where there is such a thing), so that what was
//! acknowledged is still there, and what was not may be or not; a store that lost a suffix of what
//! it had acknowledged would break more than Candor could mend.
//!
//! Read it in this order: `world`, `choice` and `menu` (what can happen), `apply` and `drive` (what
//! follows), `law` and `rest` (what must hold), `search` and `sample` (how it is looked at),
//! `mutant` (what must be found), `doctor` (whether the looking can be trusted), `conform` (whether
//! what is searched is what ships), `figures` (what it costs).

mod apply;
mod atlas;
mod choice;
pub mod command;
pub mod conform;
mod coverage;
mod doctor;
mod drive;
mod figures;
mod flags;
mod forge;
mod law;
mod lock;
mod matrix;
mod menu;
mod mutant;
mod numbers;
mod probe;
mod rest;
mod sample;
mod search;
mod table;
mod world;

use std::num::{NonZeroU32, NonZeroU64};

use candor_core::machine::Policy;
use candor_core::stop::Graces;

pub use choice::Choice;
pub use coverage::{Push, coverage_statement};
pub use doctor::{Finding, doctor};
pub use figures::{Replays, Speed, replays};
pub use lock::{Drift, Lock};
pub use matrix::{Kill, Matrix, mutants, mutants_of};
pub use mutant::{Arena, SEEDED, Seeded};

use crate::mutant::Mutant;
pub use probe::{CrashTable, Sightings};
pub use sample::{Oracle, Pct, Sampled, Uniform, sample};
pub use search::{Report, Violation, explore, explore_for};

use atlas::{Atlas, MachineId};

/// The time limit of the sessions that have one, in milliseconds. Its value means nothing here.
const TIMEOUT_MS: u64 = 60_000;

/// The grace of the rungs that only some agents have, and how long one waits for a message, in
/// milliseconds. It means nothing here either.
const RUNG_MS: u32 = 1_000;

/// Sessions that a world holds, at most.
pub const SESSIONS_MAX: usize = 3;

/// How much a search may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// What it is called in the lock file.
    pub name: &'static str,
    /// Sessions that users launch.
    pub sessions: u8,
    /// Daemons that are killed.
    pub crashes: u8,
    /// Calls on the store that do not end well, a second daemon's writes among them.
    pub store_faults: u8,
    /// Stops of each session.
    pub interrupts: u8,
    /// Sessions that continue another.
    pub continues: u8,
    /// Requests of each agent to its user.
    pub requests: u8,
    /// Turns that each agent may end and then wait for a message.
    pub turns: u8,
    /// Times that the user of each session changes what passes without asking; three at most.
    pub settings: u8,
    /// Launches, attaches and ends of each session of which nobody can say what became.
    pub silences: u8,
    /// Signals to each session that are denied, or of which nobody can say what became.
    pub misfires: u8,
    /// Times that the number of each session's process is given to a stranger.
    pub reuses: u8,
    /// Times that somebody asks the daemon to leave.
    pub shutdowns: u8,
    /// Times that a client connects.
    pub connects: u8,
    /// Ways in which a process ends by itself: exit code 0, 1, killed for want of memory, crashed.
    pub exits: u8,
    /// What an agent may report at its end: nothing, an error, or a success as well.
    pub reports: u8,
    /// Whether a user may ask for a kill, and not only for a polite end.
    pub has_kill: bool,
    /// Whether a user may ask that it ends when its work is done.
    pub has_finish: bool,
    /// Whether the ladder has the rungs that only some agents have.
    pub has_whole_ladder: bool,
    /// Whether a crash may fall between an acknowledgement and what follows from it. Nothing can
    /// tell that from a crash before the acknowledgement, so that large searches leave it out.
    pub is_stepwise: bool,
    /// Whether sessions have a time limit.
    pub has_timeout: bool,
    /// Whether worlds that differ only in which session is which are one.
    pub is_symmetric: bool,
}

impl Config {
    /// One session without any fault.
    pub const PLAIN: Self = Self {
        name: "one-plain",
        sessions: 1,
        crashes: 0,
        store_faults: 0,
        interrupts: 1,
        continues: 0,
        requests: 0,
        turns: 0,
        settings: 0,
        silences: 0,
        misfires: 0,
        reuses: 0,
        shutdowns: 0,
        connects: 0,
        exits: 2,
        reports: 2,
        has_kill: true,
        has_finish: false,
        has_whole_ladder: false,
        is_stepwise: true,
        has_timeout: false,
        is_symmetric: false,
    };

    /// One session that is talked with: turns, idling, requests between them, and all rungs.
    pub const TALK: Self = Self {
        name: "one-talk",
        crashes: 1,
        interrupts: 2,
        requests: 1,
        turns: 2,
        reports: 2,
        has_finish: true,
        has_whole_ladder: true,
        is_stepwise: true,
        ..Self::LEAN
    };

    /// One session and its continuation, whose users change what passes without asking.
    pub const SETTINGS: Self = Self {
        name: "one-settings",
        crashes: 1,
        continues: 1,
        settings: 1,
        is_stepwise: true,
        ..Self::LEAN
    };

    /// One session, small enough to be kept exactly.
    pub const SMALL: Self = Self {
        name: "one-small",
        crashes: 1,
        store_faults: 1,
        requests: 1,
        silences: 1,
        exits: 4,
        reports: 1,
        is_stepwise: false,
        has_timeout: true,
        ..Self::PLAIN
    };

    /// One session with one fault of each kind, and every step of a commit.
    pub const STEPS: Self = Self {
        name: "one-steps",
        crashes: 1,
        store_faults: 1,
        requests: 1,
        silences: 1,
        exits: 1,
        reports: 1,
        has_timeout: true,
        ..Self::PLAIN
    };

    /// One session with everything twice, on every push.
    pub const ONE_BIG: Self = Self {
        name: "one-big",
        crashes: 2,
        store_faults: 2,
        interrupts: 2,
        is_stepwise: false,
        ..Self::PLAIN
    };

    /// One session and its continuation.
    pub const CHILD: Self = Self {
        name: "one-child",
        crashes: 1,
        store_faults: 1,
        continues: 1,
        is_stepwise: true,
        ..Self::LEAN
    };

    /// One session with everything twice, and its continuation.
    pub const CHILD_BIG: Self = Self {
        name: "one-child-big",
        crashes: 2,
        store_faults: 2,
        interrupts: 2,
        is_stepwise: false,
        ..Self::CHILD
    };

    /// One session and a client that is slow, leaves and comes back.
    pub const CLIENT: Self = Self {
        name: "one-client",
        crashes: 1,
        store_faults: 1,
        connects: 2,
        is_stepwise: true,
        ..Self::LEAN
    };

    /// One session and a daemon that leaves.
    pub const SHUTDOWN: Self = Self {
        name: "one-shutdown",
        crashes: 1,
        store_faults: 1,
        shutdowns: 1,
        reports: 1,
        is_stepwise: true,
        ..Self::LEAN
    };

    /// One session whose signals miss, and whose number is given to a stranger.
    pub const SIGNALS: Self = Self {
        name: "one-signals",
        crashes: 1,
        interrupts: 2,
        misfires: 1,
        reuses: 1,
        reports: 1,
        has_kill: true,
        ..Self::LEAN
    };

    /// One session whose agent asks its user twice.
    pub const REQUESTS: Self = Self { name: "one-requests", requests: 2, crashes: 1, ..Self::LEAN };

    /// One session with one fault of each kind, small enough for every test.
    pub const TINY: Self = Self {
        name: "one-tiny",
        crashes: 1,
        store_faults: 1,
        requests: 1,
        reports: 1,
        ..Self::LEAN
    };

    /// One session, cut down to what tells orders from each other, for worlds of several.
    pub const LEAN: Self = Self {
        name: "one-lean",
        exits: 1,
        reports: 0,
        has_kill: false,
        is_stepwise: false,
        ..Self::PLAIN
    };

    /// Two sessions and one crash, on every push.
    pub const TWO: Self = Self {
        name: "two-crash",
        sessions: 2,
        crashes: 1,
        exits: 2,
        has_kill: true,
        is_symmetric: true,
        ..Self::LEAN
    };

    /// Two sessions with every fault. Far more worlds than can be met: the night looks at those that
    /// are not many choices away.
    pub const TWO_FULL: Self =
        Self { name: "two-full", store_faults: 1, silences: 1, reports: 1, ..Self::TWO };

    /// Two sessions, a crash and a store that fails, on every push.
    pub const TWO_FAULT: Self =
        Self { name: "two-fault", store_faults: 1, exits: 1, has_kill: false, ..Self::TWO };

    /// Two sessions, a crash, and launches and attaches of unknown fate, on every push.
    pub const TWO_SILENT: Self =
        Self { name: "two-silent", silences: 1, exits: 1, has_kill: false, ..Self::TWO };

    /// Two sessions, a crash, and agents that report, nightly.
    pub const TWO_REPORT: Self =
        Self { name: "two-report", reports: 2, exits: 1, has_kill: false, ..Self::TWO };

    /// Two sessions, two crashes, and two stops of each, nightly.
    pub const TWO_STOPS: Self =
        Self { name: "two-stops", crashes: 2, interrupts: 2, exits: 1, ..Self::TWO };

    /// Two sessions with one fault of each kind, otherwise lean, nightly.
    pub const TWO_MIXED: Self = Self {
        name: "two-mixed",
        store_faults: 1,
        silences: 1,
        reports: 1,
        exits: 1,
        has_kill: false,
        ..Self::TWO
    };

    /// Two sessions, a store that fails, and users that kill, nightly.
    pub const TWO_KILLS: Self =
        Self { name: "two-kills", store_faults: 1, silences: 1, interrupts: 2, ..Self::TWO };

    /// Three sessions without faults, on every push.
    pub const THREE: Self = Self {
        name: "three-plain",
        sessions: 3,
        crashes: 0,
        exits: 1,
        has_kill: false,
        ..Self::TWO
    };

    /// Three sessions and a crash, nightly.
    pub const THREE_CRASH: Self = Self { name: "three-crash", crashes: 1, ..Self::THREE };

    /// Three sessions with every fault, to be sampled.
    pub const SAMPLED: Self = Self {
        name: "three-sampled",
        sessions: 3,
        crashes: 2,
        store_faults: 2,
        interrupts: 2,
        requests: 1,
        silences: 1,
        connects: 2,
        exits: 4,
        has_timeout: true,
        ..Self::PLAIN
    };

    /// Two sessions without faults, for the product law.
    pub const TWO_PLAIN: Self = Self { name: "two-plain", sessions: 2, ..Self::LEAN };

    /// Three sessions, a crash and a store that fails, nightly.
    pub const THREE_FAULT: Self =
        Self { name: "three-fault", store_faults: 1, ..Self::THREE_CRASH };

    /// What is searched on every push.
    pub const PUSH: [Self; 17] = [
        Self::PLAIN,
        Self::LEAN,
        Self::SIGNALS,
        Self::REQUESTS,
        Self::TALK,
        Self::SETTINGS,
        Self::STEPS,
        Self::SMALL,
        Self::CHILD,
        Self::CLIENT,
        Self::SHUTDOWN,
        Self::ONE_BIG,
        Self::CHILD_BIG,
        Self::TWO,
        Self::TWO_FAULT,
        Self::TWO_SILENT,
        Self::THREE,
    ];

    /// What is searched to its end in the night. [`TWO_FULL`](Self::TWO_FULL) is searched for a
    /// while.
    pub const NIGHTLY: [Self; 6] = [
        Self::TWO_STOPS,
        Self::TWO_REPORT,
        Self::THREE_CRASH,
        Self::TWO_KILLS,
        Self::TWO_MIXED,
        Self::THREE_FAULT,
    ];

    /// Returns the configuration that the lock file calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|config| config.name == name)
    }

    /// Returns every configuration that has a name.
    fn all() -> impl Iterator<Item = Self> {
        Self::PUSH.into_iter().chain(Self::NIGHTLY).chain([Self::TWO_FULL])
    }

    pub(super) const fn roots(&self) -> usize {
        self.sessions as usize
    }

    /// Returns how many sessions there may be in all.
    const fn slots(&self) -> usize {
        self.roots() + self.continues as usize
    }

    fn policy(&self) -> Policy {
        let timeout_ms = if self.has_timeout { NonZeroU64::new(TIMEOUT_MS) } else { None };
        let rung_ms = NonZeroU32::new(RUNG_MS).filter(|_| self.has_whole_ladder);
        let graces = Graces { ask_ms: rung_ms, interrupt_again_ms: rung_ms, ..Graces::DEFAULT };
        let idle_ms = NonZeroU32::new(RUNG_MS).filter(|_| self.turns > 0);
        Policy { graces, timeout_ms, idle_ms, ..Policy::default() }
    }
}

/// Everything that a search knows beside the worlds.
struct Model {
    config: Config,
    mutant: Mutant,
    atlas: Atlas,
    /// The row that stands for all that have ended and of which nobody will hear any more.
    tomb: MachineId,
    /// The rows of which it was looked at that nothing changes them.
    absorbing: Vec<Option<bool>>,
    /// The invariants that the last choice broke, a bit each.
    broken: u64,
    must_leave: bool,
    /// The harness's own mutant M39.
    is_blind: bool,
    /// What has ended stays as it is, so that it can be looked at.
    keeps_ended: bool,
    sightings: Sightings,
    crash_table: CrashTable,
}

impl Model {
    fn new(config: Config, mutant: Mutant) -> Self {
        Self::with(config, config.policy(), mutant)
    }

    fn with(config: Config, policy: Policy, mutant: Mutant) -> Self {
        let mut atlas = Atlas::new(policy, mutant);
        let tomb = atlas.tomb();
        Self {
            config,
            mutant,
            atlas,
            tomb,
            absorbing: Vec::new(),
            broken: 0,
            must_leave: false,
            is_blind: false,
            keeps_ended: false,
            sightings: Sightings::default(),
            crash_table: CrashTable::default(),
        }
    }

    fn is_absorbing(&mut self, row: MachineId) -> bool {
        let place = usize::from(row);
        if self.absorbing.len() <= place {
            self.absorbing.resize(place + 1, None);
        }
        if let Some(known) = self.absorbing[place] {
            return known;
        }
        let is_absorbing = self.atlas.absorbs(row);
        self.absorbing[place] = Some(is_absorbing);
        is_absorbing
    }
}
