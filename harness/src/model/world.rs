//! The world that is searched: a few words a session, so that millions of them can be kept.

use super::Config;
use super::atlas::{MachineId, ProtocolId};

/// Words that a session is hashed by.
pub(super) const SESSION_WORDS: usize = 3;

/// Everything that the future depends on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct World<const N: usize> {
    pub(super) sessions: [Session; N],
    pub(super) shared: Shared,
}

/// What the sessions share: the daemon, the client, and the faults that are left.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Shared {
    pub(super) daemon: Daemon,
    pub(super) is_connected: bool,
    pub(super) crashes: u8,
    pub(super) store_faults: u8,
    pub(super) continues: u8,
    pub(super) shutdowns: u8,
    pub(super) connects: u8,
}

/// Whether there is a daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Daemon {
    Up,
    /// It takes its sessions along, and accepts no new ones.
    Leaving,
    Down,
}

/// One session: its row, the daemon's memory of it, and the truth about its process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Session {
    /// What the store has of it.
    pub(super) row: MachineId,
    /// What the daemon has of it.
    pub(super) memory: ProtocolId,
    /// What the daemon waits for before it takes anything else.
    pub(super) call: Call,
    /// Who waits for an answer.
    pub(super) asked: Asked,
    /// What runs beside.
    pub(super) beside: Beside,
    pub(super) process: Process,
    /// How it ended: a place in the list of exits.
    pub(super) exit: u8,
    pub(super) said: Said,
    /// The deadlines that are armed, a bit each.
    pub(super) deadlines: u8,
    /// The last revision that was published.
    pub(super) published: u8,
    /// The last revision that the client has read.
    pub(super) seen: u8,
    /// The session that this one waits for.
    pub(super) parent: u8,
    /// Requests of the agent to the user that are open.
    pub(super) requests: u8,
    /// What this session alone may still ask for.
    pub(super) stops_left: u8,
    pub(super) requests_left: u8,
    /// Turns that its agent may yet end.
    pub(super) turns_left: u8,
    /// Times that its user may yet change what passes without asking; three at most.
    pub(super) settings_left: u8,
    pub(super) silences_left: u8,
    /// Signals to it that may yet miss.
    pub(super) misfires_left: u8,
    /// Times that its number may yet become somebody else's.
    pub(super) reuses_left: u8,
    /// The first attach after a restart has answered.
    pub(super) is_settled_in: bool,
    /// The daemon holds its process.
    pub(super) is_held: bool,
    /// The end was handed in, in this life of the daemon.
    pub(super) is_told: bool,
    /// The launch was called.
    pub(super) is_launched: bool,
    /// The daemon that leaves has asked it to end.
    pub(super) is_asked_to_leave: bool,
    /// A signal of ours was sent to it.
    pub(super) is_signalled: bool,
    /// A second daemon wrote its row last.
    pub(super) is_intruded: bool,
    /// `KILL` was sent, and did not arrive.
    pub(super) is_unkilled: bool,
    /// Its number is somebody else's by now.
    pub(super) is_reused: bool,
    /// The client was not told of what it lacks.
    pub(super) is_unaware: bool,
    /// What a mutant remembers. Always 0 in the model of what ships.
    pub(super) odd: u8,
}

/// What the daemon waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Call {
    Nothing,
    /// The commit is on its way, and the store has nothing of it.
    Issued,
    /// The store has it, and the daemon does not know.
    Effective,
    /// The daemon knows, and has done nothing yet.
    Acknowledged,
    /// The row is being read.
    Loading,
    /// The stored rung's signal is on its way.
    Signalling,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Asked {
    Nobody,
    Launch,
    Stop,
    Setting,
    Shutdown,
}

/// What runs beside.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Beside {
    Nothing,
    Launch,
    Attach,
}

/// The truth about a process, whoever knows it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Process {
    None,
    Alive,
    /// It has ended and was not collected: its number is still its own.
    Dead,
    /// It was collected: its number may be somebody else's by now.
    Reaped,
    /// It was ended so that nobody saw how.
    Unseen,
    /// It had ended, and the machine was restarted since.
    Buried,
    /// The machine was restarted while it ran.
    Vanished,
}

/// What the agent said of itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Said {
    Nothing,
    Success,
    Error,
    /// The daemon has handed it in.
    Read,
}

impl Session {
    pub(super) const EMPTY: Self = Self {
        row: 0,
        memory: 0,
        call: Call::Nothing,
        asked: Asked::Nobody,
        beside: Beside::Nothing,
        process: Process::None,
        exit: 0,
        said: Said::Nothing,
        deadlines: 0,
        published: 0,
        seen: 0,
        parent: 0,
        requests: 0,
        stops_left: 0,
        requests_left: 0,
        turns_left: 0,
        settings_left: 0,
        silences_left: 0,
        misfires_left: 0,
        reuses_left: 0,
        is_settled_in: false,
        is_held: false,
        is_told: false,
        is_launched: false,
        is_asked_to_leave: false,
        is_signalled: false,
        is_intruded: false,
        is_unkilled: false,
        is_reused: false,
        is_unaware: false,
        odd: 0,
    };

    /// Returns all of it in a few words. `doctor` holds them against the derived equality.
    #[inline]
    pub(super) const fn words(&self) -> [u64; SESSION_WORDS] {
        let flags = self.is_settled_in as u8
            | (self.is_held as u8) << 1
            | (self.is_told as u8) << 2
            | (self.is_launched as u8) << 3
            | (self.is_asked_to_leave as u8) << 4
            | (self.is_signalled as u8) << 5
            | (self.is_intruded as u8) << 6
            | (self.is_unkilled as u8) << 7;
        let more_flags =
            self.is_reused as u8 | (self.is_unaware as u8) << 1 | self.settings_left << 2;
        let [row_low, row_high] = self.row.to_le_bytes();
        let [memory_low, memory_high] = self.memory.to_le_bytes();
        [
            u64::from_le_bytes([
                row_low,
                row_high,
                memory_low,
                memory_high,
                self.call as u8,
                self.asked as u8,
                self.beside as u8,
                self.process as u8,
            ]),
            u64::from_le_bytes([
                self.exit,
                self.said as u8,
                self.deadlines,
                self.published,
                self.seen,
                self.parent,
                self.requests,
                self.odd,
            ]),
            u64::from_le_bytes([
                self.stops_left,
                self.requests_left,
                self.silences_left,
                self.misfires_left,
                self.reuses_left,
                flags,
                more_flags,
                self.turns_left,
            ]),
        ]
    }

    /// Returns the session as it is before anybody asks for it, with what is left of its budgets.
    pub(super) const fn unborn(&self) -> Self {
        let Self { stops_left, requests_left, turns_left, silences_left, .. } = *self;
        let Self { misfires_left, reuses_left, settings_left, .. } = *self;
        Self {
            stops_left,
            requests_left,
            turns_left,
            settings_left,
            silences_left,
            misfires_left,
            reuses_left,
            ..Self::EMPTY
        }
    }

    /// Says whether the agent said something that the daemon did not read yet.
    pub(super) const fn is_unread(&self) -> bool {
        matches!(self.said, Said::Success | Said::Error)
    }
}

impl<const N: usize> World<N> {
    /// Returns the world before anybody has done anything.
    pub(super) const fn new(config: &Config) -> Self {
        let session = Session {
            stops_left: config.interrupts,
            requests_left: config.requests,
            turns_left: config.turns,
            settings_left: config.settings,
            silences_left: config.silences,
            misfires_left: config.misfires,
            reuses_left: config.reuses,
            ..Session::EMPTY
        };
        Self {
            sessions: [session; N],
            shared: Shared {
                daemon: Daemon::Up,
                is_connected: false,
                crashes: config.crashes,
                store_faults: config.store_faults,
                continues: config.continues,
                shutdowns: config.shutdowns,
                connects: config.connects,
            },
        }
    }

    /// Returns the world with its sessions in an order of their own: which of them is which makes
    /// no difference.
    pub(super) fn sorted(mut self) -> Self {
        if let [one, other] = self.sessions.as_mut_slice() {
            if one > other {
                std::mem::swap(one, other);
            }
        } else {
            self.sessions.sort_unstable();
        }
        self
    }
}

impl Shared {
    pub(super) const fn word(&self) -> u64 {
        u64::from_le_bytes([
            self.daemon as u8,
            self.is_connected as u8,
            self.crashes,
            self.store_faults,
            self.continues,
            self.shutdowns,
            self.connects,
            1,
        ])
    }
}
