//! Everything that can happen to a session, with all that comes with it.
//!
//! [`Input`] is the part that decides; who asked, what was seen and what was said lie beside it
//! here, and go into the row.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::agent::{Asked, Decision, REQUESTS_CLOSED_MAX, Request, RequestState};
use crate::input::{Deadline, Input};
use crate::ports::{Attach, Ending, Fact, Launch, Process};
use crate::session::{Report, Session, Sighting};
use crate::stop::{Actor, StopKind};
use crate::time::Timestamp;
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
    RequestOpened(Box<Asked>),
    /// The agent needs no answer to a request any more.
    RequestWithdrawn {
        /// Which one.
        number: u32,
    },
    /// A command: somebody answers a request.
    Answered {
        /// Which one.
        number: u32,
        /// How.
        decision: Box<Decision>,
    },
    /// The agent has ended a turn, and waits for the next message.
    TurnEnded,
    /// The agent has taken a further message.
    TurnBegan {
        /// How many turns it had ended before. Of one that has ended since, nothing is to be told any more.
        turns_ended: u32,
    },
    /// A command: somebody lets the agent do everything until then, or no more.
    Bypass {
        /// Until when.
        until: Option<Timestamp>,
        /// Who wants it.
        by: Actor,
    },
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
            Self::RequestOpened(_) => Input::RequestOpened,
            Self::RequestWithdrawn { .. } | Self::Answered { .. } => Input::RequestClosed,
            Self::TurnEnded => Input::TurnEnded,
            Self::TurnBegan { .. } => Input::TurnBegan,
            Self::Bypass { .. } => Input::SettingsChanged,
            Self::Reported(report) => Input::FinalReport { success: report.success },
            Self::ParentEnded => Input::ParentEnded,
        }
    }

    /// Returns who caused it.
    pub(crate) fn by(&self) -> Actor {
        match self {
            Self::Stop { by, .. } | Self::Bypass { by, .. } => *by,
            Self::Answered { decision, .. } => decision.by,
            Self::Launched(_)
            | Self::Attached(_)
            | Self::Fact(_)
            | Self::Due(_)
            | Self::RequestOpened(_)
            | Self::RequestWithdrawn { .. }
            | Self::TurnEnded
            | Self::TurnBegan { .. }
            | Self::Reported(_)
            | Self::ParentEnded => Actor::Daemon,
        }
    }

    /// Says whether it asks for something, so that it may be refused; everything else has happened
    /// and must be kept.
    pub(crate) const fn is_command(&self) -> bool {
        match self {
            Self::Stop { .. } | Self::Answered { .. } | Self::Bypass { .. } => true,
            Self::Launched(_)
            | Self::Attached(_)
            | Self::Fact(_)
            | Self::Due(_)
            | Self::RequestOpened(_)
            | Self::RequestWithdrawn { .. }
            | Self::TurnEnded
            | Self::TurnBegan { .. }
            | Self::Reported(_)
            | Self::ParentEnded => false,
        }
    }

    /// Returns the number of the request that it closes, if it closes one.
    pub(crate) const fn closes(&self) -> Option<u32> {
        match self {
            Self::RequestWithdrawn { number } | Self::Answered { number, .. } => Some(*number),
            Self::Stop { .. }
            | Self::Launched(_)
            | Self::Attached(_)
            | Self::Fact(_)
            | Self::Due(_)
            | Self::RequestOpened(_)
            | Self::TurnEnded
            | Self::TurnBegan { .. }
            | Self::Bypass { .. }
            | Self::Reported(_)
            | Self::ParentEnded => None,
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
            | Self::RequestOpened(_)
            | Self::RequestWithdrawn { .. }
            | Self::Answered { .. }
            | Self::TurnEnded
            | Self::TurnBegan { .. }
            | Self::Bypass { .. }
            | Self::Reported(_)
            | Self::ParentEnded => None,
        }
    }

    /// Keeps in the row what came with it and decides nothing.
    pub(crate) fn keep(self, session: &mut Session, at: Timestamp) {
        match self {
            Self::RequestOpened(asked) => open(session, *asked, at),
            Self::RequestWithdrawn { number } => {
                close(session, number, RequestState::Withdrawn, None, at);
            }
            Self::Answered { number, decision } => {
                let state =
                    if decision.approved { RequestState::Approved } else { RequestState::Denied };
                close(session, number, state, Some(*decision), at);
            }
            Self::Bypass { until, .. } => session.bypass_until = until,
            Self::TurnEnded => session.turns_ended = session.learned.turns,
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
            | Self::TurnBegan { .. }
            | Self::ParentEnded => {}
        }
    }
}

fn open(session: &mut Session, asked: Asked, at: Timestamp) {
    session.requests_count += 1;
    session.requests_read_to = asked.offset + 1;
    let closed = session.requests.iter().filter(|request| !request.is_open()).count();
    let mut surplus = closed.saturating_sub(REQUESTS_CLOSED_MAX);
    session.requests.retain(|request| {
        let goes = surplus > 0 && !request.is_open();
        surplus -= usize::from(goes);
        !goes
    });
    session.requests.push(Request {
        number: session.requests_count,
        asked,
        state: RequestState::Open,
        opened_at: at,
        closed_at: None,
        by: None,
        message: None,
    });
}

fn close(
    session: &mut Session,
    number: u32,
    state: RequestState,
    decision: Option<Decision>,
    at: Timestamp,
) {
    let open = session.requests.iter_mut().filter(|request| request.is_open());
    for request in open.filter(|request| request.number == number) {
        request.state = state;
        request.closed_at = Some(at);
        request.by = decision.as_ref().map(|decision| decision.by);
        request.message = decision.as_ref().and_then(|decision| decision.message.clone());
    }
}

/// Withdraws all requests that are open: their session waits for nobody any more.
pub(crate) fn withdraw_all(session: &mut Session, at: Timestamp) {
    for request in session.requests.iter_mut().filter(|request| request.is_open()) {
        request.state = RequestState::Withdrawn;
        request.closed_at = Some(at);
    }
}
