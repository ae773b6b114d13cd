//! The lies that each invariant is told: a forged log, and the id that must see through it.

mod callers;
mod chain;
mod processes;
mod rows;

use candor_core::input::Input;
use candor_core::stop::StopKind;

use super::forge::Forge;
use crate::ghost::Standing;

const INTERRUPT: Input = Input::Stop(StopKind::Interrupt);
pub(super) const KILL: Input = Input::Stop(StopKind::Kill);
pub(super) const GRACE_MS: u64 = 10_000;

/// A lie, and the invariant that must see it.
pub(super) type Lie = (&'static str, &'static str, fn() -> Forge);

/// Writes a log from an honest beginning.
pub(super) fn lie(mut forge: Forge, tell: impl FnOnce(&mut Forge)) -> Forge {
    tell(&mut forge);
    forge
}

/// A session whose agent waits for its user.
fn asking() -> Forge {
    lie(Forge::running(), |forge| {
        forge.step(Input::RequestOpened).approval(Standing::Open);
    })
}

/// Returns all of them.
pub(super) fn all() -> impl Iterator<Item = Lie> {
    let groups = [
        &rows::STATUS[..],
        &rows::VERDICTS,
        &chain::CHAIN,
        &processes::PROCESSES,
        &callers::CALLERS,
        &callers::RECOVERY,
    ];
    groups.into_iter().flatten().copied()
}
