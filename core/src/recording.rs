//! The flight recorder: everything that a session's protocol was handed, and what came of it.
//!
//! The protocol is a value, and what it is handed is all that decides. So a recording replays to
//! the same statuses, events and effects, bit for bit, on any machine and without a store, a
//! process or a clock. If it does not, either the rules have changed since, which the recording's
//! first line tells, or something decides that should not.

use core::hash::{Hash, Hasher};
use core::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::input::{Deadline, Input};
use crate::machine::{Machine, Policy};
use crate::protocol::{CommitAnswer, Next, Origin, Protocol, RowSeen, TakeError};
use crate::stop::{Graces, Rung, StopKind};
use crate::time::{Monotonic, Now, Timestamp};
use crate::verdict::{End, Exit, LostReason};

/// One line of a recording.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// When, on the monotonic clock.
    pub at: Monotonic,
    /// What the protocol was handed.
    pub call: Call,
    /// What came of it: a fingerprint of the protocol afterwards and of its answer.
    pub fingerprint: u64,
}

/// What a protocol is handed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A session begins.
    Create {
        /// The numbers that it decides by.
        policy: Policy,
        /// Whether it waits for its parent.
        queued: bool,
    },
    /// A session goes on from its row, after a restart or at the beginning of a new file.
    Resume {
        /// What the row holds.
        machine: Machine,
    },
    /// Something happened.
    Take {
        /// What.
        input: Input,
        /// Whether it may be refused.
        origin: Origin,
    },
    /// The store answered.
    Answered(CommitAnswer),
    /// The row was read.
    Looked(RowSeen),
    /// What waits was tried again.
    Retry,
}

/// A place where a replay does not say what the recording says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Divergence {
    /// The first entry begins nothing.
    #[error("entry {index} is not the beginning of a session")]
    NoBeginning {
        /// The entry, counted from 0.
        index: usize,
    },
    /// Something else came of the same.
    #[error("entry {index}: the recording has {recorded:016x}, the replay {replayed:016x}")]
    Fingerprint {
        /// The entry, counted from 0.
        index: usize,
        /// What was recorded.
        recorded: u64,
        /// What came of it now.
        replayed: u64,
    },
}

/// Replays a recording one entry at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replay {
    protocol: Option<Protocol>,
    index: usize,
}

/// What came of one entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replayed {
    /// The protocol afterwards.
    pub protocol: Protocol,
    /// Its answer, or why it took nothing.
    pub next: Result<Next, TakeError>,
}

impl Replay {
    /// Hands the protocol what the entry says, and compares what comes of it.
    ///
    /// # Errors
    ///
    /// [`Divergence`], at the first entry where replay and recording part.
    pub fn step(&mut self, entry: &Entry) -> Result<Replayed, Divergence> {
        let index = self.index;
        let replayed = self.hand(entry.at, entry.call)?;
        let fingerprint = replayed.fingerprint();
        if fingerprint != entry.fingerprint {
            let (recorded, replayed) = (entry.fingerprint, fingerprint);
            return Err(Divergence::Fingerprint { index, recorded, replayed });
        }
        Ok(replayed)
    }

    /// Hands the protocol a call, and compares nothing.
    ///
    /// # Errors
    ///
    /// [`Divergence::NoBeginning`] when the first call begins nothing.
    pub fn hand(&mut self, at: Monotonic, call: Call) -> Result<Replayed, Divergence> {
        let index = self.index;
        self.index += 1;
        let replayed = apply(self.protocol, at, call).ok_or(Divergence::NoBeginning { index })?;
        self.protocol = Some(replayed.protocol);
        Ok(replayed)
    }

    /// Returns the protocol as it stands, or `None` before the first call.
    #[must_use]
    pub const fn protocol(&self) -> Option<&Protocol> {
        self.protocol.as_ref()
    }
}

impl Replayed {
    /// Returns the fingerprint that an entry with this outcome bears.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.protocol, &self.next)
    }
}

fn apply(protocol: Option<Protocol>, at: Monotonic, call: Call) -> Option<Replayed> {
    // The wall clock decides nothing, so any moment will do.
    let now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: at };
    let begin = |protocol, next| Some(Replayed { protocol, next: Ok(next) });
    match call {
        Call::Create { policy, queued } => {
            let first = if queued { Machine::queue(policy) } else { Machine::launch(policy) };
            begin(Protocol::create(first), Next::Commit)
        }
        // Nothing follows from a row by itself.
        Call::Resume { machine } => begin(Protocol::resume(machine), Next::Refuse),
        Call::Take { input, origin } => {
            let mut protocol = protocol?;
            let next = protocol.take(input, origin, now);
            Some(Replayed { protocol, next })
        }
        Call::Answered(answer) => {
            let mut protocol = protocol?;
            let next = Ok(protocol.answered(answer));
            Some(Replayed { protocol, next })
        }
        Call::Looked(seen) => {
            let mut protocol = protocol?;
            let next = Ok(protocol.looked(seen));
            Some(Replayed { protocol, next })
        }
        Call::Retry => {
            let mut protocol = protocol?;
            let next = Ok(protocol.retry(now));
            Some(Replayed { protocol, next })
        }
    }
}

/// Returns the fingerprint of a protocol and its answer.
#[must_use]
pub fn fingerprint(protocol: &Protocol, next: &Result<Next, TakeError>) -> u64 {
    let mut hasher = Fnv::default();
    protocol.hash(&mut hasher);
    match next {
        Ok(next) => next.hash(&mut hasher),
        // Which error it was shows in the protocol, which an error leaves as it was.
        Err(_) => hasher.write_u8(u8::MAX),
    }
    hasher.finish()
}

/// Returns a fingerprint of the rules: of what every short life of a session comes to. Two builds
/// with the same one replay each other's recordings alike.
#[must_use]
pub fn rules_fingerprint() -> u64 {
    let mut hasher = Fnv::default();
    let begin = Now { wall: Timestamp::UNIX_EPOCH, monotonic: Monotonic::from_ms(1) };
    let policies = [
        Policy::default(),
        Policy {
            graces: Graces {
                ask_ms: NonZeroU32::new(1),
                interrupt_again_ms: NonZeroU32::new(1),
                ..Graces::DEFAULT
            },
            timeout_ms: NonZeroU64::new(1),
            idle_ms: NonZeroU32::new(1),
            always_reports: true,
            ..Policy::default()
        },
    ];
    for policy in policies {
        let lives = [Machine::launch(policy).next, Machine::queue(policy).next];
        lives.iter().for_each(|machine| walk(machine, begin, LIFE_INPUTS_MAX, &mut hasher));
    }
    hasher.finish()
}

/// Inputs of the longest life that the fingerprint of the rules covers.
const LIFE_INPUTS_MAX: u32 = 3;

/// One of each input, and one of each answer that the verdict tells apart.
const INPUTS: [Input; 26] = [
    Input::Stop(StopKind::Interrupt),
    Input::Stop(StopKind::Kill),
    Input::Stop(StopKind::Shutdown),
    Input::Stop(StopKind::Finish),
    Input::Spawned,
    Input::Adopted,
    Input::Unreachable,
    Input::RequestOpened,
    Input::RequestClosed,
    Input::TurnEnded,
    Input::TurnBegan,
    Input::SettingsChanged,
    Input::FinalReport { success: true },
    Input::FinalReport { success: false },
    Input::Gone(End::Exited { exit: Exit::Code(0), oom_killed: false }),
    Input::Gone(End::Exited { exit: Exit::Code(130), oom_killed: false }),
    Input::Gone(End::Exited {
        exit: Exit::Signal { number: 9, core_dumped: false },
        oom_killed: true,
    }),
    Input::Gone(End::NeverRan),
    Input::Gone(End::Unknown(LostReason::DaemonKilled)),
    Input::Due(Deadline::Timeout),
    Input::Due(Deadline::Linger),
    Input::Due(Deadline::Idle),
    Input::Due(Deadline::RungOver(Rung::Ask)),
    Input::Due(Deadline::RungOver(Rung::Interrupt)),
    Input::Due(Deadline::RungOver(Rung::InterruptAgain)),
    Input::ParentEnded,
];

fn walk(machine: &Machine, now: Now, inputs_left: u32, hasher: &mut Fnv) {
    if inputs_left == 0 {
        return;
    }
    for input in INPUTS {
        match machine.step(input, now) {
            Ok(transition) => {
                transition.hash(hasher);
                if transition.cause.is_some() {
                    walk(&transition.next, now, inputs_left - 1, hasher);
                }
            }
            Err(_) => hasher.write_u8(u8::MAX),
        }
    }
}

/// FNV-1a in 64 bits: the same on every machine and in every build, which the standard hashers do
/// not promise.
///
/// Source: the FNV draft, draft-eastlake-fnv, section 2.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}
