//! Everything that can happen to a session, with all that comes with it.
//!
//! [`Input`] is the part that decides; who asked, what was seen and what was said lie beside it
//! here, and go into the row.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::input::{Deadline, Input};
use crate::ports::{Attach, Ending, Fact, Launch, Process};
use crate::session::{Report, Session, Sighting};
use crate::stop::{Actor, StopKind};
use crate::verdict::End;

/// One thing that happened to the session, with all that came with it.
#[derive(Clone)]
pub enum Happening {
    /// A command: somebody asks for the end.
    Stop {
        /// What they ask for.
        kind: StopKind,
        /// Who asks.
        by: Actor,
    },
    /// The launch that was ordered has an answer.
    Launched(Launch),
    /// The attach that was ordered has an answer.
    Attached(Attach),
    /// The process told something of itself.
    Fact(Fact),
    /// A deadline was reached.
    Due(Deadline),
    /// The agent asks the user for something.
    RequestOpened,
    /// A request was answered or withdrawn.
    RequestClosed,
    /// The agent gave its final report.
    Reported(Report),
    /// The session that this one waits for has ended.
    ParentEnded,
}

impl Happening {
    /// Returns what of it decides.
    #[must_use]
    pub fn input(&self) -> Input {
        match self {
            Self::Stop { kind, .. } => Input::Stop(*kind),
            Self::Launched(Launch::Up(_)) => Input::Spawned,
            Self::Launched(Launch::Refused { stage, errno }) => {
                Input::Gone(End::Refused { stage: *stage, errno: *errno })
            }
            Self::Launched(Launch::Unknown) | Self::Attached(Attach::Unreachable) => {
                Input::Unreachable
            }
            Self::Attached(Attach::Up(_)) => Input::Adopted,
            Self::Attached(Attach::Ended(ending)) | Self::Fact(Fact::Ended(ending)) => {
                let Ending { exit, oom_killed, .. } = *ending;
                Input::Gone(End::Exited { exit, oom_killed })
            }
            Self::Attached(Attach::Lost(reason)) | Self::Fact(Fact::Lost(reason)) => {
                Input::Gone(End::Unknown(*reason))
            }
            Self::Attached(Attach::NeverRan) => Input::Gone(End::NeverRan),
            Self::Due(deadline) => Input::Due(*deadline),
            Self::RequestOpened => Input::RequestOpened,
            Self::RequestClosed => Input::RequestClosed,
            Self::Reported(report) => Input::FinalReport { success: report.success },
            Self::ParentEnded => Input::ParentEnded,
        }
    }

    /// Returns who caused it.
    pub(crate) const fn by(&self) -> Actor {
        match self {
            Self::Stop { by, .. } => *by,
            Self::Launched(_)
            | Self::Attached(_)
            | Self::Fact(_)
            | Self::Due(_)
            | Self::RequestOpened
            | Self::RequestClosed
            | Self::Reported(_)
            | Self::ParentEnded => Actor::Daemon,
        }
    }

    /// Says whether it asks for something, so that it may be refused; everything else has happened
    /// and must be kept.
    pub(crate) const fn is_command(&self) -> bool {
        match self {
            Self::Stop { .. } => true,
            Self::Launched(_)
            | Self::Attached(_)
            | Self::Fact(_)
            | Self::Due(_)
            | Self::RequestOpened
            | Self::RequestClosed
            | Self::Reported(_)
            | Self::ParentEnded => false,
        }
    }

    /// Returns the process that came with it.
    pub(crate) const fn process(&self) -> Option<&Arc<dyn Process>> {
        match self {
            Self::Launched(Launch::Up(process)) | Self::Attached(Attach::Up(process)) => {
                Some(process)
            }
            Self::Launched(Launch::Refused { .. } | Launch::Unknown)
            | Self::Attached(
                Attach::Ended(_) | Attach::Lost(_) | Attach::NeverRan | Attach::Unreachable,
            )
            | Self::Stop { .. }
            | Self::Fact(_)
            | Self::Due(_)
            | Self::RequestOpened
            | Self::RequestClosed
            | Self::Reported(_)
            | Self::ParentEnded => None,
        }
    }

    /// Keeps in the row what came with it and decides nothing.
    pub(crate) fn keep(self, session: &mut Session) {
        match self {
            Self::Attached(Attach::Ended(ending)) | Self::Fact(Fact::Ended(ending)) => {
                let Ending { witness, output, left_behind, .. } = ending;
                session.sighting =
                    Sighting { witness: Some(witness), output: Some(output), left_behind };
            }
            Self::Reported(report) => session.report = Some(Box::new(report)),
            Self::Stop { .. }
            | Self::Launched(_)
            | Self::Attached(
                Attach::Up(_) | Attach::Lost(_) | Attach::NeverRan | Attach::Unreachable,
            )
            | Self::Fact(Fact::Lost(_))
            | Self::Due(_)
            | Self::RequestOpened
            | Self::RequestClosed
            | Self::ParentEnded => {}
        }
    }
}
