//! The part of a session's task that is for agents, and for sessions that have waited in the queue.

use std::future::pending;

use candor_core::happening::Happening;
use candor_core::input::Deadline;
use candor_core::ports::{Attach, Fact};
use candor_core::status::Status;
use candor_core::stop::Rung;
use candor_core::supervisor::{HandleError, Orders};

use super::{Outcome, SessionTask};
use crate::serve::agents::Desk;
use crate::serve::stash;

/// What an agent has said is handed in one thing at a time, so many at most before something else
/// gets its turn.
const SETTLE_MAX: usize = 256;

impl SessionTask {
    /// Forgets the environment that was kept, once its process has it or there will be none.
    pub(super) fn forget_stash(&mut self) {
        let session = self.supervisor.session();
        let is_needed = match session.status() {
            Status::Queued | Status::Starting => true,
            Status::Completing => !session.machine.is_up(),
            Status::Running
            | Status::WaitingInput
            | Status::Completed
            | Status::Failed
            | Status::Lost => false,
        };
        if self.is_stashed && !is_needed {
            self.is_stashed = false;
            stash::forget(session.id);
        }
    }

    /// Keeps whether an agent has been given a message that it has not begun on.
    pub(super) fn note_message(&mut self, happening: &Happening) {
        if let Happening::TurnBegan { turns_ended } = happening {
            self.has_message |= self.supervisor.session().turns_ended <= *turns_ended;
        }
    }

    /// Hands in what has happened. What an agent had printed before it ended comes first.
    pub(super) async fn happened(&mut self, happening: Happening) -> Result<Orders, HandleError> {
        let never_ran = matches!(happening, Happening::Attached(Attach::NeverRan));
        let waits = self.supervisor.session().status() == Status::Starting;
        if never_ran && waits && std::mem::take(&mut self.relaunches) {
            self.start_launch();
            return Ok(Orders::NOTHING);
        }
        let Some(desk) = &mut self.desk else {
            return self.supervisor.handle(happening).await;
        };
        match &happening {
            Happening::Fact(Fact::Ended(ending)) | Happening::Attached(Attach::Ended(ending)) => {
                desk.end(Some(ending.output.stdout_bytes)).await;
                self.ending = Some(happening);
                Ok(Orders::NOTHING)
            }
            Happening::Fact(Fact::Lost(_)) | Happening::Attached(Attach::Lost(_)) => {
                desk.end(None).await;
                self.ending = Some(happening);
                Ok(Orders::NOTHING)
            }
            Happening::Attached(Attach::Up(_)) => {
                let result = self.supervisor.handle(happening).await;
                // Commands wait until it is known again what it has said.
                desk.catch_up().await;
                result
            }
            // The grace of being finished begins when the turn has come to its end.
            Happening::Due(Deadline::RungOver(Rung::Ask)) if desk.awaits_turn() => {
                let linger_ms = self.supervisor.session().spec.policy.graces.linger_ms;
                let at = self.clock.now().monotonic + u64::from(linger_ms);
                self.deadlines.insert(Deadline::RungOver(Rung::Ask), at);
                Ok(Orders::NOTHING)
            }
            Happening::Launched(_)
            | Happening::Attached(Attach::NeverRan | Attach::Unreachable)
            | Happening::Stop { .. }
            | Happening::Due(_)
            | Happening::RequestOpened(_)
            | Happening::RequestWithdrawn { .. }
            | Happening::Answered { .. }
            | Happening::TurnEnded
            | Happening::TurnBegan { .. }
            | Happening::Bypass { .. }
            | Happening::Reported(_)
            | Happening::ParentEnded => self.supervisor.handle(happening).await,
        }
    }

    /// Hands in what follows from what an agent has said, until its session says the same; then what
    /// it is owed is sent.
    pub(super) async fn settle(&mut self) -> Option<Outcome> {
        for _ in 0..SETTLE_MAX {
            if !self.desk.as_ref()?.is_caught_up() {
                return None;
            }
            let news = self.desk.as_ref()?.news(self.supervisor.session());
            if let Some(learned) = news {
                self.supervisor.learn(&learned);
                self.show();
            }
            if self.supervisor.is_blocked() || self.supervisor.is_over() {
                return None;
            }
            let desk = self.desk.as_mut()?;
            let session = self.supervisor.session();
            let happening = match &self.ending {
                Some(ending) => desk.before(ending, session).or_else(|| self.ending.take()),
                None => desk.next(session, self.clock.now().wall),
            };
            let Some(happening) = happening else { break };
            self.has_message &= !matches!(happening, Happening::TurnEnded);
            let result = self.supervisor.handle(happening).await;
            let is_refused = result.is_err();
            match self.take(result) {
                None if is_refused => {
                    if let Some(desk) = &mut self.desk {
                        desk.rouse_later();
                    }
                    return None;
                }
                None => {}
                outcome => return outcome,
            }
        }
        if let (Some(desk), Some(process)) = (&mut self.desk, self.supervisor.process()) {
            desk.pay(&**process, self.supervisor.session()).await;
        }
        None
    }
}

/// Waits for an agent to stir, for ever if there is none.
///
/// Cancel safe.
pub(super) async fn stirred(desk: &mut Option<Desk>) {
    match desk {
        Some(desk) => desk.stirred().await,
        None => pending().await,
    }
}
