//! The policy behind `...`: every call ends well, the daemon is started where it is down, and every
//! process obeys `KILL` and nothing less.
//!
//! Under it, whoever was asked to end must end. So what is left over at its end is judged.

use candor_core::stop::Rung;
use candor_core::verdict::LostReason;

use super::{Enabled, World};
use crate::timeline::Choice;
use crate::timeline::choice::{
    AttachAnswer, Boot, DueKind, SignalEffect, SpawnOutcome, WriteOutcome,
};

impl World {
    /// Returns what a fair world chooses next, or `None` when it rests.
    #[must_use]
    pub fn fair_choice(&self) -> Option<Enabled> {
        let menu = self.enabled();
        let best = menu.into_iter().filter_map(|enabled| {
            let rank = rank(&enabled.choice)?;
            // Time passes only when nothing else can happen.
            Some(((enabled.after_ms > 0, rank, enabled.after_ms), enabled))
        });
        best.min_by_key(|(key, _)| *key).map(|(_, enabled)| enabled)
    }
}

/// Orders what a fair world does, or `None` for what it does not do.
const fn rank(choice: &Choice) -> Option<u8> {
    match choice {
        Choice::Boot { boot: Boot::Same } => Some(0),
        Choice::Write { outcome: WriteOutcome::Ok, .. } => Some(1),
        Choice::Write { outcome: WriteOutcome::Conflict, .. } => Some(2),
        Choice::Read { ok: true, .. } => Some(3),
        Choice::Spawn { outcome: SpawnOutcome::Up(_), .. } => Some(4),
        Choice::Attach { answer, .. } => rank_attach(*answer),
        Choice::Signal { signal, effect, .. } => match (signal, effect) {
            (Rung::Kill, SignalEffect::Kills)
            | (
                Rung::Ask | Rung::Interrupt | Rung::InterruptAgain | Rung::Terminate,
                SignalEffect::Ignored,
            )
            | (_, SignalEffect::Gone) => Some(8),
            (
                _,
                SignalEffect::Kills
                | SignalEffect::Exits { .. }
                | SignalEffect::Ignored
                | SignalEffect::Denied
                | SignalEffect::Unknown,
            ) => None,
        },
        Choice::Reap { lost: None, .. } => Some(9),
        Choice::Due { kind: DueKind::Retry, .. } => Some(10),
        Choice::Due { .. } => Some(11),
        Choice::Stall { stops: false, .. } | Choice::Show { .. } => Some(12),
        Choice::Launch { .. }
        | Choice::Queue { .. }
        | Choice::Stop { .. }
        | Choice::Shutdown
        | Choice::Fork { .. }
        | Choice::Spawn { .. }
        | Choice::Write { .. }
        | Choice::Read { .. }
        | Choice::Exit { .. }
        | Choice::Reap { .. }
        | Choice::Report { .. }
        | Choice::Request { .. }
        | Choice::Turn { .. }
        | Choice::Crash { .. }
        | Choice::Boot { .. }
        | Choice::Connect { .. }
        | Choice::Drop { .. }
        | Choice::Stall { .. }
        | Choice::Fetch { .. }
        | Choice::Say { .. }
        | Choice::SecondDaemon
        | Choice::Continue { .. }
        | Choice::Draft { .. }
        | Choice::Start { .. }
        | Choice::AskApproval { .. }
        | Choice::Approve { .. }
        | Choice::Bypass { .. } => None,
    }
}

const fn rank_attach(answer: AttachAnswer) -> Option<u8> {
    match answer {
        AttachAnswer::Up | AttachAnswer::NeverRan => Some(5),
        AttachAnswer::Ended => Some(6),
        AttachAnswer::Lost(LostReason::DaemonKilled | LostReason::Reboot) => Some(7),
        AttachAnswer::Lost(
            LostReason::LaunchUnknown
            | LostReason::ShimKilled
            | LostReason::ShimAndDaemonKilled
            | LostReason::BadRecord
            | LostReason::DirRemoved,
        )
        | AttachAnswer::Unreachable => None,
    }
}
