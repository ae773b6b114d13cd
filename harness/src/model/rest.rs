//! What must hold where only users, agents and faults can go on: liveness as "no bad rest state".

use candor_core::status::Status;
use candor_core::stop::Rung;

use super::Model;
use super::choice::Menu;
use super::law::bit;
use super::world::{Call, Daemon, Process, Session, World};

/// Says whether nothing in the menu has to happen.
pub(super) fn is_at_rest(menu: &Menu) -> bool {
    menu.as_slice().iter().all(|choice| !choice.verb.is_progress())
}

impl Model {
    /// Returns the invariants that a world at rest breaks.
    pub(super) fn judge_rest<const N: usize>(&self, world: &World<N>) -> u64 {
        if world.shared.daemon == Daemon::Down {
            return bit(34);
        }
        let judged = world.sessions.iter().map(|session| self.judge_resting(world, session));
        judged.fold(0, |all, broken| all | broken)
    }

    fn judge_resting<const N: usize>(&self, world: &World<N>, session: &Session) -> u64 {
        if session.row == 0 {
            return if session.memory == 0 { 0 } else { bit(34) };
        }
        let mut broken = 0;
        let mut hold = |number: u8, holds: bool| {
            if !holds {
                broken |= bit(number);
            }
        };
        if session.is_intruded {
            // A second daemon has the session. This one learns of it when it writes next.
            return 0;
        }
        let row = self.atlas.row(session.row);
        let is_driven = session.memory != 0;
        let is_live = !row.is_terminal;
        let is_alive = session.process == Process::Alive;
        hold(13, session.published == row.revision);
        hold(14, !world.shared.is_connected || session.seen == row.revision);
        hold(22, is_live || !is_alive);
        hold(30, is_live == is_driven);
        hold(34, session.call == Call::Nothing);
        if is_driven {
            hold(29, self.memory_at_rest(session) == session.row);
        }
        hold(7, row.status != Status::Starting);
        let is_leaving = world.shared.daemon == Daemon::Leaving;
        match row.status {
            Status::Queued => hold(34, !self.has_ended(world, session.parent) && !is_leaving),
            Status::Starting => hold(34, false),
            Status::Running | Status::WaitingInput => {
                hold(30, session.is_held && is_alive);
                hold(34, !is_leaving || !is_driven);
            }
            // Nobody can end it before it ends by itself.
            Status::Completing if session.is_unkilled && is_alive => {}
            Status::Completing => {
                hold(21, row.rung >= Some(Rung::Kill) || !session.is_held);
                hold(34, false);
            }
            Status::Completed | Status::Failed | Status::Lost => {}
        }
        broken
    }

    fn memory_at_rest(&self, session: &Session) -> u16 {
        if self.is_blind { session.row } else { self.atlas.view(session.memory).machine }
    }
}
