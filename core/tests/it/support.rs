//! What the suites share: short ways to say a time, a policy, a way through the machine.
//!
//! It asserts nothing of its own but that a step which a test calls legal is legal.

use candor_core::input::Input;
use candor_core::machine::{Machine, Policy};
use candor_core::session::SessionId;
use candor_core::step::Transition;
use candor_core::stop::{Graces, Rung, StopKind};
use candor_core::time::{Monotonic, Now, Timestamp};
use candor_core::verdict::{End, Exit, LostReason, SpawnStage};
use core::num::{NonZeroU32, NonZeroU64};
use uuid::Uuid;

/// Every kind of stop.
pub(crate) const STOPS: [StopKind; 6] = [
    StopKind::Interrupt,
    StopKind::Kill,
    StopKind::Timeout,
    StopKind::Shutdown,
    StopKind::Superseded,
    StopKind::Finish,
];

/// Every rung.
pub(crate) const RUNGS: [Rung; 5] =
    [Rung::Ask, Rung::Interrupt, Rung::InterruptAgain, Rung::Terminate, Rung::Kill];

/// Every step of a launch that can be refused.
pub(crate) const STAGES: [SpawnStage; 4] =
    [SpawnStage::Prepare, SpawnStage::Folder, SpawnStage::Fork, SpawnStage::Exec];

/// Five minutes.
pub(crate) const TIMEOUT_MS: u64 = 300_000;

/// Graces that are all different, so that no test passes by taking the wrong one.
pub(crate) const GRACES: Graces = Graces {
    ask_ms: None,
    interrupt_ms: 7_000,
    interrupt_again_ms: None,
    terminate_ms: 3_000,
    linger_ms: 20_000,
};

/// The same with all the rungs that there are.
pub(crate) const ALL_GRACES: Graces =
    Graces { ask_ms: NonZeroU32::new(2_000), interrupt_again_ms: NonZeroU32::new(4_000), ..GRACES };

/// How long it waits for a message.
pub(crate) const IDLE_MS: u32 = 60_000;

/// Both clocks, `ms` milliseconds after their zero. The wall clock is far ahead of the monotonic
/// one, so that mixing them up shows.
pub(crate) fn at(ms: u64) -> Now {
    let wall = Timestamp::from_millisecond(1_700_000_000_000 + ms.cast_signed());
    Now { wall: wall.expect("a time of this century"), monotonic: Monotonic::from_ms(ms) }
}

pub(crate) fn policy() -> Policy {
    Policy { graces: GRACES, timeout_ms: NonZeroU64::new(TIMEOUT_MS), ..Policy::default() }
}

/// A policy for an agent that is talked with, and that has every rung.
pub(crate) fn talking() -> Policy {
    Policy { graces: ALL_GRACES, idle_ms: NonZeroU32::new(IDLE_MS), ..policy() }
}

pub(crate) fn session_id(number: u128) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(number))
}

/// Goes through `inputs`, each with its time in milliseconds, and returns the last step.
pub(crate) fn follow(first: Transition, inputs: &[(u64, Input)]) -> Transition {
    inputs.iter().fold(first, |before, &(ms, input)| {
        before.next.step(input, at(ms)).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// A session that came up at 1 s.
pub(crate) fn running() -> Machine {
    follow(Machine::launch(policy()), &[(1_000, Input::Spawned)]).next
}

pub(crate) const fn code(code: u8) -> End {
    End::Exited { exit: Exit::Code(code), oom_killed: false }
}

pub(crate) const fn signal(number: u8) -> End {
    End::Exited { exit: Exit::Signal { number, core_dumped: false }, oom_killed: false }
}

pub(crate) const fn core_dump(number: u8) -> End {
    End::Exited { exit: Exit::Signal { number, core_dumped: true }, oom_killed: false }
}

/// The end `end`, with an out-of-memory kill seen, where it is an exit.
pub(crate) fn with_oom(end: End) -> End {
    match end {
        End::Exited { exit, .. } => End::Exited { exit, oom_killed: true },
        End::Refused { .. } | End::NeverRan | End::Unknown(_) => end,
    }
}

/// Every end there can be: each of the 256 codes, each signal with and without a core dump, each
/// with and without an out-of-memory kill, and all those where nobody saw an exit.
pub(crate) fn every_end() -> Vec<End> {
    let mut ends = vec![End::NeverRan];
    ends.extend(LostReason::ALL.map(End::Unknown));
    for stage in STAGES {
        ends.extend([2, 13].map(|errno| End::Refused { stage, errno }));
    }
    for number in 0..=u8::MAX {
        let seen = [code(number), signal(number), core_dump(number)];
        ends.extend(seen.into_iter().flat_map(|end| [end, with_oom(end)]));
    }
    ends
}
