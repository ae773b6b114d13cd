//! The mistakes that the search must find, around the shipped protocol and never in it.
//!
//! Core holds no line of mutant code. A mistake of the daemon's is made in the model of the daemon;
//! a mistake of core's is made to the row that core wants to store.

use candor_core::event::Cause;
use candor_core::status::Status;
use candor_core::step::Answer;

use super::Model;
use super::atlas::Deed;
use super::world::{Asked, Beside, Call, Daemon, Process, Session, World};
use crate::mutant::Mutant;

/// The configuration in which a mutant is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arena {
    /// One session, with faults.
    One,
    /// One session and a client.
    Client,
    /// One session whose signals miss, and whose number is given to a stranger.
    Signals,
    /// One session and its continuation.
    Child,
    /// One session and a daemon that leaves.
    Shutdown,
    /// One session that is talked with.
    Talk,
    /// Two sessions.
    Two,
}

/// A mutant with what it does wrong and who must notice.
#[derive(Clone, Copy, Debug)]
pub struct Seeded {
    /// Which.
    pub mutant: Mutant,
    /// What it does wrong.
    pub claim: &'static str,
    /// The invariants of which one at least must break.
    pub expected: &'static [u8],
    /// Where.
    pub arena: Arena,
}

const fn seeded(
    mutant: Mutant,
    arena: Arena,
    expected: &'static [u8],
    claim: &'static str,
) -> Seeded {
    Seeded { mutant, claim, expected, arena }
}

/// Every mutant that breaks an invariant. M36, M38 and M39 are the harness's own, and are looked
/// for by the self-tests; M37 is the shrinker's.
pub const SEEDED: [Seeded; 43] = [
    seeded(Mutant::M00, Arena::One, &[63], "canary: a failure is reported on purpose"),
    seeded(Mutant::M01, Arena::One, &[5, 17], "signal first, store the intent after"),
    seeded(Mutant::M02, Arena::One, &[9], "write without compare-and-set"),
    seeded(Mutant::M03, Arena::One, &[12], "two publishers, out of order"),
    seeded(Mutant::M04, Arena::One, &[11], "publish before it is durable"),
    seeded(Mutant::M05, Arena::One, &[13], "failed is never published"),
    seeded(Mutant::M06, Arena::One, &[10], "the old status is always told as running"),
    seeded(Mutant::M07, Arena::Client, &[12], "a crash after the write loses the event"),
    seeded(Mutant::M08, Arena::Client, &[12, 14], "the cursor moves before the delivery"),
    seeded(Mutant::M09, Arena::Client, &[12], "an event is delivered twice"),
    seeded(Mutant::M10, Arena::One, &[30], "recovery skips completing rows"),
    seeded(Mutant::M11, Arena::One, &[5, 31], "recovery fails every live row"),
    seeded(Mutant::M12, Arena::One, &[31, 9], "recovery writes again"),
    seeded(Mutant::M13, Arena::Signals, &[18], "recovery trusts a bare process number"),
    seeded(Mutant::M14, Arena::One, &[2], "a report writes a terminal status"),
    seeded(Mutant::M15, Arena::One, &[20], "an exit is consumed twice"),
    seeded(Mutant::M16, Arena::One, &[4], "a late report overwrites the end"),
    seeded(Mutant::M17, Arena::One, &[29], "a write error is ignored"),
    seeded(Mutant::M18, Arena::Signals, &[18], "collected while a signal by number is on its way"),
    seeded(Mutant::M19, Arena::Signals, &[18], "a stop signals a session that has ended"),
    seeded(Mutant::M20, Arena::One, &[21, 34], "no escalation"),
    seeded(Mutant::M21, Arena::Child, &[17], "a deadline of the parent kills the child"),
    seeded(Mutant::M22, Arena::One, &[25], "a stop in starting is accepted and dropped"),
    seeded(Mutant::M23, Arena::One, &[21, 34], "a late spawn is not signalled"),
    seeded(Mutant::M24, Arena::Child, &[23], "an exit of the parent ends the child"),
    seeded(Mutant::M25, Arena::One, &[2], "an exit before the spawn's answer is a refusal"),
    seeded(Mutant::M26, Arena::One, &[5], "a clean exit after a stop is a success"),
    seeded(Mutant::M27, Arena::One, &[19], "two launches"),
    seeded(Mutant::M28, Arena::One, &[16], "a report is written over a stale row"),
    seeded(Mutant::M29, Arena::Shutdown, &[30], "a shutdown drops the last write"),
    seeded(Mutant::M30, Arena::One, &[27], "answered before it is durable"),
    seeded(Mutant::M31, Arena::Client, &[14], "snapshot, then subscribe, with a gap"),
    seeded(Mutant::M32, Arena::Client, &[15], "a full queue drops the last event"),
    seeded(Mutant::M33, Arena::Two, &[17], "a signal goes to the wrong session"),
    seeded(Mutant::M34, Arena::Two, &[33], "one slow write holds up every session"),
    seeded(Mutant::M35, Arena::One, &[32], "a second daemon writes, and this one goes on"),
    seeded(Mutant::M40, Arena::One, &[6], "failed without a verdict"),
    seeded(Mutant::M41, Arena::One, &[7], "running before the spawn has answered"),
    seeded(Mutant::M42, Arena::One, &[8], "an answered request sets running, whatever was"),
    seeded(Mutant::M43, Arena::One, &[24], "the end is written before the last output is read"),
    seeded(Mutant::M63, Arena::Talk, &[3], "to finish counts as an interruption"),
    seeded(Mutant::M66, Arena::Talk, &[3], "a report after the intent overrides the one before it"),
    seeded(Mutant::M44, Arena::Client, &[28], "reads from a memory behind what was published"),
];

impl Mutant {
    /// Says whether the mutant changes what core wants to store.
    pub(super) const fn forges(self) -> bool {
        matches!(
            self,
            Self::M14 | Self::M26 | Self::M28 | Self::M40 | Self::M41 | Self::M63 | Self::M66
        )
    }

    /// Says whether the mutant has something of its own to do to the session.
    pub(super) const fn is_stray(self, session: &Session) -> bool {
        let is_odd = session.odd == 1;
        match self {
            Self::M01 | Self::M16 | Self::M19 => is_odd,
            Self::M21 => is_odd && session.is_held && matches!(session.process, Process::Alive),
            Self::M24 => is_odd && session.is_held,
            _ => false,
        }
    }
}

impl Model {
    pub(super) fn stray(&mut self, session: &mut Session) {
        session.odd = 2;
        match self.mutant {
            Mutant::M01 => {
                session.odd = 0;
                self.take(session, Deed::INTERRUPT, Asked::Stop);
            }
            Mutant::M16 => {
                let row = super::forge::overwritten(self.atlas.machine(session.row));
                self.overwrite(session, row, Cause::Reported);
            }
            Mutant::M19 | Mutant::M21 => self.signal(session),
            Mutant::M24 => self.take(session, Deed::EXITED, Asked::Nobody),
            Mutant::M25 => {
                session.beside = Beside::Nothing;
                self.take(session, Deed::REFUSED, Asked::Nobody);
            }
            _ => {}
        }
    }

    /// Returns whether the mutant has dealt with a stop in its own way.
    pub(super) fn ask_as_mutant(&mut self, session: &mut Session, asked: Asked) -> bool {
        let known = *self.atlas.row(self.atlas.view(session.memory).machine);
        match self.mutant {
            Mutant::M01 if session.is_held && known.intent.is_none() => {
                session.odd = 1;
                self.signal(session);
                true
            }
            Mutant::M22 if known.status == Status::Starting => {
                session.asked = asked;
                self.reply(session, Answer::Accepted);
                true
            }
            _ => false,
        }
    }

    /// Returns whether the mutant keeps what is to be let go.
    pub(super) const fn keeps_as_mutant(&self, session: &mut Session) -> bool {
        let keeps = match self.mutant {
            Mutant::M15 => session.is_held,
            Mutant::M16 => session.odd == 0 && session.is_unread(),
            Mutant::M19 => session.odd == 0 && session.is_held,
            _ => false,
        };
        if keeps && !matches!(self.mutant, Mutant::M15) {
            session.odd = 1;
        }
        keeps
    }

    /// What the mutant does to other sessions, or to the whole daemon.
    pub(super) fn spread<const N: usize>(
        &mut self,
        world: &mut World<N>,
        at: usize,
        was_held: bool,
    ) {
        let session = world.sessions[at];
        match self.mutant {
            Mutant::M21 | Mutant::M24 if was_held && session.row == self.tomb => {
                for child in &mut world.sessions {
                    let is_child = usize::from(child.parent) == at + 1 && child.row != 0;
                    child.odd = if is_child { 1 } else { child.odd };
                }
            }
            Mutant::M29 => {
                let is_last = session.call == Call::Issued && session.is_told;
                if is_last && world.shared.daemon == Daemon::Leaving {
                    world.sessions[at].memory = 0;
                    world.sessions[at].call = Call::Nothing;
                }
            }
            Mutant::M33 if session.call == Call::Signalling => {
                let other = &mut world.sessions[(at + 1) % N];
                if other.is_held && other.call == Call::Nothing {
                    self.signal(other);
                }
            }
            _ => {}
        }
    }
}
