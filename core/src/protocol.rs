//! The commit protocol of one session, without the store: what to ask of it, and what its answers
//! mean.
//!
//! It is a value like the machine, so that the harness searches exactly the protocol that ships.
//! [`Supervisor`](crate::supervisor::Supervisor) adds the row, the waiting and the doing.
//!
//! ```text
//!            take ─▶ Commit ──answered──▶ stored ─────────────────────▶ Act
//!                      ▲  │
//!     retry (a fact) ──┘  ├─ not stored ──▶ a command: refused; a fact: held
//!                         └─ in doubt ────▶ Load ──looked──▶ ours: Act
//!                                             ▲              still as before: as not stored
//!                    retry (in doubt) ────────┘              another's: usurped
//!                                                            no answer: held, in doubt
//! ```

use serde::{Deserialize, Serialize};

use crate::input::{IllegalInput, Input};
use crate::machine::Machine;
use crate::status::Status;
use crate::step::Transition;
use crate::time::Now;
use crate::verdict::End;

/// One session's machine, and the change whose fate is open, if there is one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Protocol {
    machine: Machine,
    stage: Stage,
}

/// Where the protocol stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Stage {
    /// Nothing is under way.
    Idle,
    /// The store has the change before it, and has not answered.
    Offered(Offer),
    /// The store's answer left it open. The row is being read.
    Looking(Offer),
    /// The store did not take it. It is offered again.
    Refused(Offer),
    /// The store may have it. The row is read again.
    InDoubt(Offer),
    /// Another writer has changed the row. Nothing is taken any more.
    Usurped,
}

/// A change that the store is asked to take.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Offer {
    transition: Transition,
    origin: Origin,
}

/// Where a change comes from, which decides what a store that does not take it means.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It has happened, so it is stored sooner or later, before anything else.
    Fact,
    /// Somebody asks for it. Whoever is told that it failed can ask again.
    Command,
    /// Somebody asks for a new session.
    Creation,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub enum Next {
    /// Offer the change to the store, and hand its answer to [`Protocol::answered`].
    Commit,
    /// Read the row, and hand what it says to [`Protocol::looked`].
    Load,
    /// The change is stored, or there was none to store: publish it, and do what follows.
    Act(Transition),
    /// The new session is stored although whoever asked for it was told that it is not: publish
    /// it, and then take [`Protocol::ABANDONED`], so that it never starts.
    Abandon(Transition),
    /// Nothing has changed, and whoever asked is told so.
    Refuse,
    /// Nothing has changed yet, and may still: whoever asked is told that. Call
    /// [`Protocol::retry`] after a while.
    Doubt,
    /// It has happened and is not stored. Call [`Protocol::retry`] after a while.
    Hold,
    /// Stop writing, at once and for good.
    Leave,
}

/// What the store answered to an offer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitAnswer {
    /// It is stored.
    Stored,
    /// Nothing was written.
    NotStored,
    /// It may be stored, or the row has moved on.
    InDoubt,
}

/// What the row says of a change in doubt.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowSeen {
    /// The change is in it.
    Ours,
    /// It is at the revision before the change.
    Before,
    /// It is at neither.
    Others,
    /// It could not be read.
    NoAnswer,
}

/// Why an input was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TakeError {
    /// A change waits for the store.
    #[error("a change waits for the store")]
    Blocked,
    /// Another writer has changed the row.
    #[error("another writer has changed the row")]
    Usurped,
    /// A bug.
    #[error(transparent)]
    Illegal(#[from] IllegalInput),
}

impl Protocol {
    /// What follows a creation that turned out to be stored after it was refused.
    pub const ABANDONED: Input = Input::Gone(End::NeverRan);

    /// Begins with the first change of a new session: offer it.
    #[must_use]
    pub fn create(first: Transition) -> Self {
        let unborn = Machine::unborn(*first.next.policy(), first.next.status());
        let offer = Offer { transition: first, origin: Origin::Creation };
        Self { machine: unborn, stage: Stage::Offered(offer) }
    }

    /// Begins with a session that is stored.
    #[must_use]
    pub const fn resume(machine: Machine) -> Self {
        Self { machine, stage: Stage::Idle }
    }

    /// Returns the machine as it is stored.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Says whether a change waits for the store. Then only [`retry`](Self::retry) gets on.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        matches!(self.stage, Stage::Refused(_) | Stage::InDoubt(_))
    }

    /// Returns the transition whose change is offered, looked for or held.
    #[must_use]
    pub const fn offered(&self) -> Option<&Transition> {
        match &self.stage {
            Stage::Offered(offer)
            | Stage::Looking(offer)
            | Stage::Refused(offer)
            | Stage::InDoubt(offer) => Some(&offer.transition),
            Stage::Idle | Stage::Usurped => None,
        }
    }

    /// Takes one thing that happened at `now`.
    ///
    /// # Errors
    ///
    /// See [`TakeError`]. [`TakeError::Blocked`] also while an answer of the store is awaited.
    pub fn take(&mut self, input: Input, origin: Origin, now: Now) -> Result<Next, TakeError> {
        match self.stage {
            Stage::Idle => {}
            Stage::Usurped => return Err(TakeError::Usurped),
            Stage::Offered(_) | Stage::Looking(_) | Stage::Refused(_) | Stage::InDoubt(_) => {
                return Err(TakeError::Blocked);
            }
        }
        let transition = self.machine.step(input, now)?;
        if transition.cause.is_none() {
            return Ok(Next::Act(transition));
        }
        if !self.is_on_an_edge(&transition) {
            return Err(IllegalInput { status: self.machine.status(), input }.into());
        }
        self.stage = Stage::Offered(Offer { transition, origin });
        Ok(Next::Commit)
    }

    /// Takes the store's answer to the offer. Without an offer nothing follows.
    pub fn answered(&mut self, answer: CommitAnswer) -> Next {
        let Stage::Offered(offer) = self.stage else {
            return Next::Refuse;
        };
        match answer {
            CommitAnswer::Stored => self.stored(offer, Told::NotYet),
            CommitAnswer::NotStored => self.not_stored(offer),
            CommitAnswer::InDoubt => {
                self.stage = Stage::Looking(offer);
                Next::Load
            }
        }
    }

    /// Takes what the row says of the offer. Without an offer in doubt nothing follows.
    pub fn looked(&mut self, seen: RowSeen) -> Next {
        let (offer, told) = match self.stage {
            Stage::Looking(offer) => (offer, Told::NotYet),
            Stage::InDoubt(offer) => (offer, Told::Refused),
            Stage::Idle | Stage::Offered(_) | Stage::Refused(_) | Stage::Usurped => {
                return Next::Refuse;
            }
        };
        match (seen, offer.origin) {
            (RowSeen::Ours, Origin::Fact | Origin::Command | Origin::Creation) => {
                self.stored(offer, told)
            }
            (RowSeen::Before, Origin::Fact) if told == Told::Refused => {
                self.stage = Stage::Offered(offer);
                Next::Commit
            }
            (RowSeen::Before, Origin::Fact | Origin::Command | Origin::Creation) => {
                self.not_stored(offer)
            }
            (RowSeen::Others, Origin::Fact | Origin::Command | Origin::Creation) => {
                self.stage = Stage::Usurped;
                Next::Leave
            }
            (RowSeen::NoAnswer, Origin::Fact) => {
                self.stage = Stage::InDoubt(offer);
                Next::Hold
            }
            (RowSeen::NoAnswer, Origin::Command | Origin::Creation) => {
                self.stage = Stage::InDoubt(offer);
                Next::Doubt
            }
        }
    }

    /// Tries once more. A rung that was held up has its whole grace from `now` on.
    pub fn retry(&mut self, now: Now) -> Next {
        match self.stage {
            Stage::Refused(offer) => {
                let transition = offer.transition.held_up_until(now);
                self.stage = Stage::Offered(Offer { transition, ..offer });
                Next::Commit
            }
            Stage::InDoubt(offer) => {
                let transition = offer.transition.held_up_until(now);
                self.stage = Stage::InDoubt(Offer { transition, ..offer });
                Next::Load
            }
            Stage::Idle | Stage::Offered(_) | Stage::Looking(_) | Stage::Usurped => Next::Refuse,
        }
    }

    fn stored(&mut self, offer: Offer, told: Told) -> Next {
        self.machine = offer.transition.next;
        self.stage = Stage::Idle;
        match (offer.origin, told) {
            (Origin::Creation, Told::Refused) => Next::Abandon(offer.transition),
            (Origin::Creation, Told::NotYet)
            | (Origin::Fact | Origin::Command, Told::NotYet | Told::Refused) => {
                Next::Act(offer.transition)
            }
        }
    }

    fn not_stored(&mut self, offer: Offer) -> Next {
        match offer.origin {
            Origin::Fact => {
                self.stage = Stage::Refused(offer);
                Next::Hold
            }
            Origin::Command | Origin::Creation => {
                self.stage = Stage::Idle;
                Next::Refuse
            }
        }
    }

    /// Looks once more at what the machine decided, before it becomes durable.
    fn is_on_an_edge(&self, transition: &Transition) -> bool {
        Status::edge(Some(self.machine.status()), transition.next.status())
            && transition.next.revision() == self.machine.revision().next()
            && transition.next.is_coherent()
    }
}

/// Whether whoever asked was told already that it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    NotYet,
    Refused,
}
