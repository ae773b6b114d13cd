//! The whole machine: what each input makes of a session.
//!
//! A pair of status and input that a race can produce is legal, and changes nothing where it means
//! nothing. A pair that only a bug can produce is an [`IllegalInput`] that names both.

use crate::event::Cause;
use crate::input::{Deadline, IllegalInput, Input};
use crate::machine::{Machine, Policy};
use crate::status::Status;
use crate::stop::{Rung, StopKind};
use crate::time::{Monotonic, Now};
use crate::verdict::{End, LostReason, ReportMark, Verdict, judge};

/// What a step decided. Nothing of it has happened yet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Transition {
    /// The state after it.
    pub next: Machine,
    /// Why the state changed, or `None` when it did not: then there is nothing to store.
    pub cause: Option<Cause>,
    /// What to do about the process, once the change is durable.
    pub act: Act,
    /// What to be woken for, and when.
    pub deadline: Option<(Deadline, Monotonic)>,
    /// When to be woken for [`Deadline::Idle`].
    pub idle_at: Option<Monotonic>,
    /// What to tell somebody who asked for it.
    pub answer: Answer,
}

/// What to do about the process.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Start it.
    Launch,
    /// Find out what became of it, by and by.
    Attach,
    /// Send the rung's signal to the process group, or ask the process on its standard input.
    Signal(Rung),
}

/// What somebody who asked for something is told.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Answer {
    /// It is done, or on its way.
    Accepted,
    /// The session was stopping already, for this reason, which stays the reason.
    AlreadyStopping(StopKind),
    /// The session had ended already, like this.
    AlreadyEnded(Verdict),
}

impl Machine {
    /// Returns the first change of a session that is to start at once.
    pub fn launch(policy: Policy) -> Transition {
        Self::unborn(policy, Status::Starting).changed(Cause::Launched).act(Act::Launch)
    }

    /// Returns the first change of a session that waits for its parent to end.
    pub fn queue(policy: Policy) -> Transition {
        Self::unborn(policy, Status::Queued).changed(Cause::Queued)
    }

    /// Returns what follows from `input`, which happened at `now`.
    ///
    /// # Errors
    ///
    /// [`IllegalInput`] when no order of events can produce the pair. This state is still the
    /// right one; report the bug.
    pub fn step(&self, input: Input, now: Now) -> Result<Transition, IllegalInput> {
        if let Some(verdict) = self.verdict {
            return Ok(self.unchanged().answer(Answer::AlreadyEnded(verdict)));
        }
        let transition = match input {
            Input::Stop(kind) => Some(self.stop(kind, now)),
            Input::Due(deadline) => Some(self.due(deadline, now)),
            Input::ParentEnded => Some(self.parent_ended()),
            Input::Spawned => self.spawned(now),
            Input::Adopted => self.adopted(now),
            Input::Unreachable => self.unreachable(),
            Input::RequestOpened => self.request_opened(),
            Input::RequestClosed => self.request_closed(now),
            Input::TurnEnded => self.turn_ended(now),
            Input::TurnBegan => self.turn_began(),
            Input::SettingsChanged => Some(self.settings_changed()),
            Input::FinalReport { success } => self.reported(success, now),
            Input::Gone(end) => self.gone(end),
        };
        transition.ok_or(IllegalInput { status: self.status, input })
    }

    fn stop(&self, kind: StopKind, now: Now) -> Transition {
        let mut next = *self;
        match self.status {
            // The time limit counts from `running`, so this one is over before it began.
            Status::Queued | Status::Starting if kind == StopKind::Timeout => {
                return self.unchanged();
            }
            Status::Queued => {
                // What was not begun cannot be brought to its end: it is called off.
                let kind = if kind == StopKind::Finish { StopKind::Interrupt } else { kind };
                next.intent = Some(kind);
                return next.settle(End::NeverRan, Cause::Stop(kind));
            }
            Status::Starting | Status::Running | Status::WaitingInput => {
                next.status = Status::Completing;
                next.requests_open = 0;
                next.awaits_message = false;
                next.intent = Some(kind);
            }
            Status::Completing | Status::Completed | Status::Failed | Status::Lost => {
                if kind == StopKind::Timeout {
                    // The end is decided, and the ladder or the linger deadline brings it about.
                    return self.unchanged();
                }
                next.intent = self.decided().or(Some(kind));
            }
        }
        let first = self.policy.graces.first(kind);
        // Whoever interrupts what is being finished does not want to wait for its turn.
        let first = match self.intent {
            Some(StopKind::Finish) if kind != StopKind::Finish => first.max(Rung::Interrupt),
            Some(_) | None => first,
        };
        next.rung = self.rung.max(Some(first));
        let is_first = next.intent != self.intent;
        let answer = match self.intent {
            Some(kind) if !is_first => Answer::AlreadyStopping(kind),
            Some(_) | None => Answer::Accepted,
        };
        if next == *self {
            return self.unchanged().answer(answer);
        }
        let climbed = next.rung != self.rung;
        let change = next.changed(Cause::Stop(kind)).answer(answer);
        if climbed { change.signal(now) } else { change }
    }

    /// Returns the intent that decides, if anybody had one. To finish decides nothing, and so gives
    /// way to whatever else is asked for.
    fn decided(&self) -> Option<StopKind> {
        self.intent.filter(|kind| *kind != StopKind::Finish)
    }

    fn due(&self, deadline: Deadline, now: Now) -> Transition {
        match deadline {
            Deadline::Timeout => self.stop(StopKind::Timeout, now),
            Deadline::Linger => match (self.status, self.rung) {
                (Status::Completing, None) => {
                    self.climb(self.policy.graces.first(StopKind::Interrupt), now)
                }
                (Status::Completing, Some(_))
                | (
                    Status::Queued
                    | Status::Starting
                    | Status::Running
                    | Status::WaitingInput
                    | Status::Completed
                    | Status::Failed
                    | Status::Lost,
                    None | Some(_),
                ) => self.unchanged(),
            },
            Deadline::Idle => match self.status {
                Status::WaitingInput if self.awaits_message && self.requests_open == 0 => {
                    self.stop(StopKind::Finish, now)
                }
                Status::Queued
                | Status::Starting
                | Status::Running
                | Status::WaitingInput
                | Status::Completing
                | Status::Completed
                | Status::Failed
                | Status::Lost => self.unchanged(),
            },
            Deadline::RungOver(rung) => match self.policy.graces.above(rung) {
                Some(above) if self.rung == Some(rung) && self.is_up => self.climb(above, now),
                Some(_) | None => self.unchanged(),
            },
        }
    }

    fn climb(&self, rung: Rung, now: Now) -> Transition {
        let next = Self { rung: Some(rung), ..*self };
        next.changed(Cause::Climbed(rung)).signal(now)
    }

    fn spawned(&self, now: Now) -> Option<Transition> {
        if self.is_up {
            return None;
        }
        let next = Self { is_up: true, running_since: Some(now.monotonic), ..*self };
        match self.status {
            Status::Starting => {
                Some(Self { status: Status::Running, ..next }.changed(Cause::Spawned).timeout())
            }
            Status::Completing => Some(next.changed(Cause::Spawned).signal(now)),
            Status::Queued
            | Status::Running
            | Status::WaitingInput
            | Status::Completed
            | Status::Failed
            | Status::Lost => None,
        }
    }

    /// Goes on where the daemon before left off: deadlines are set anew, a stored rung is sent
    /// again.
    fn adopted(&self, now: Now) -> Option<Transition> {
        if !self.is_up {
            let spawned = self.spawned(now)?;
            return Some(Transition { cause: Some(Cause::Adopted), ..spawned });
        }
        match self.status {
            Status::Running | Status::WaitingInput => Some(self.unchanged().timeout().idle(now)),
            Status::Completing if self.rung.is_some() => Some(self.unchanged().signal(now)),
            Status::Completing => Some(self.unchanged().linger(now)),
            Status::Queued
            | Status::Starting
            | Status::Completed
            | Status::Failed
            | Status::Lost => None,
        }
    }

    fn unreachable(&self) -> Option<Transition> {
        (self.status != Status::Queued).then(|| self.unchanged().act(Act::Attach))
    }

    fn request_opened(&self) -> Option<Transition> {
        match self.status {
            Status::Running | Status::WaitingInput => {
                let next = Self {
                    status: Status::WaitingInput,
                    requests_open: self.requests_open.saturating_add(1),
                    ..*self
                };
                Some(next.changed(Cause::RequestOpened))
            }
            // Nobody will answer it, and nothing is stored of it.
            Status::Completing => Some(self.unchanged()),
            Status::Queued
            | Status::Starting
            | Status::Completed
            | Status::Failed
            | Status::Lost => None,
        }
    }

    fn request_closed(&self, now: Now) -> Option<Transition> {
        match self.status {
            Status::WaitingInput if self.requests_open > 0 => {
                let requests_open = self.requests_open - 1;
                let status = self.status_with(requests_open, self.awaits_message);
                let next = Self { status, requests_open, ..*self };
                let change = next.changed(Cause::RequestClosed);
                // An idle deadline that came while it was open has passed without an effect.
                Some(if requests_open == 0 { change.idle(now) } else { change })
            }
            // The answer came too late.
            Status::Running | Status::WaitingInput | Status::Completing => Some(self.unchanged()),
            Status::Queued
            | Status::Starting
            | Status::Completed
            | Status::Failed
            | Status::Lost => None,
        }
    }

    /// Returns whether it waits, as long as it is up and nobody has asked for its end.
    const fn status_with(&self, requests_open: u16, awaits_message: bool) -> Status {
        if requests_open > 0 || awaits_message { Status::WaitingInput } else { Status::Running }
    }

    fn turn_ended(&self, now: Now) -> Option<Transition> {
        match self.status {
            Status::Running | Status::WaitingInput => {
                let next = Self { status: Status::WaitingInput, awaits_message: true, ..*self };
                Some(next.changed(Cause::TurnEnded).idle(now))
            }
            Status::Completing => Some(self.unchanged()),
            Status::Queued
            | Status::Starting
            | Status::Completed
            | Status::Failed
            | Status::Lost => None,
        }
    }

    fn turn_began(&self) -> Option<Transition> {
        match self.status {
            Status::WaitingInput if self.awaits_message => {
                let status = self.status_with(self.requests_open, false);
                Some(Self { status, awaits_message: false, ..*self }.changed(Cause::TurnBegan))
            }
            Status::Running | Status::WaitingInput | Status::Completing => Some(self.unchanged()),
            Status::Queued
            | Status::Starting
            | Status::Completed
            | Status::Failed
            | Status::Lost => None,
        }
    }

    /// What the agent may do is of no consequence to one whose end is decided.
    fn settings_changed(&self) -> Transition {
        match self.status {
            Status::Queued | Status::Starting | Status::Running | Status::WaitingInput => {
                self.changed(Cause::SettingsChanged)
            }
            Status::Completing => match self.intent {
                Some(kind) => self.unchanged().answer(Answer::AlreadyStopping(kind)),
                None => self.unchanged(),
            },
            Status::Completed | Status::Failed | Status::Lost => self.unchanged(),
        }
    }

    /// The last report before the intent that decides counts, or else the first after it; for one that
    /// only finishes, the last.
    fn reported(&self, success: bool, now: Now) -> Option<Transition> {
        if self.status == Status::Queued {
            return None;
        }
        let before_intent = self.decided().is_none();
        if self.report.is_some() && !before_intent {
            return Some(self.unchanged());
        }
        let report = ReportMark { success, before_intent };
        let next = Self {
            status: Status::Completing,
            requests_open: 0,
            awaits_message: false,
            report: Some(report),
            // Whoever reports is up, or was.
            is_up: true,
            running_since: self.running_since.or(Some(now.monotonic)),
            ..*self
        };
        let change = next.changed(Cause::Reported);
        // With an intent the ladder runs already, and after a first report the linger deadline.
        let is_first = self.report.is_none() && self.intent.is_none();
        Some(if is_first { change.linger(now) } else { change })
    }

    fn parent_ended(&self) -> Transition {
        match self.status {
            Status::Queued => Self { status: Status::Starting, ..*self }
                .changed(Cause::ParentEnded)
                .act(Act::Launch),
            Status::Starting
            | Status::Running
            | Status::WaitingInput
            | Status::Completing
            | Status::Completed
            | Status::Failed
            | Status::Lost => self.unchanged(),
        }
    }

    fn gone(&self, end: End) -> Option<Transition> {
        // One that waits was launched by nobody. All that can be known of it is that it never will.
        if self.status == Status::Queued && end != End::NeverRan {
            return None;
        }
        match end {
            End::Refused { .. } if self.is_up => None,
            End::Refused { .. } => Some(self.settle(end, Cause::SpawnRefused)),
            // It was up, and now its record says that it never ran: the record is wrong.
            End::NeverRan if self.is_up => {
                Some(self.settle(End::Unknown(LostReason::BadRecord), Cause::Gone))
            }
            End::NeverRan => Some(self.settle(end, Cause::NeverRan)),
            End::Exited { .. } => Some(self.settle(end, Cause::Exited)),
            End::Unknown(_) => Some(self.settle(end, Cause::Gone)),
        }
    }

    fn settle(&self, end: End, cause: Cause) -> Transition {
        let verdict = judge(&self.evidence_with(end));
        let next = Self {
            status: verdict.status(),
            end: Some(end),
            verdict: Some(verdict),
            requests_open: 0,
            awaits_message: false,
            ..*self
        };
        next.changed(cause)
    }

    /// Starts a transition to this state as the next revision.
    const fn changed(self, cause: Cause) -> Transition {
        let next = Self { revision: self.revision.next(), ..self };
        Transition { cause: Some(cause), ..next.unchanged() }
    }

    const fn unchanged(&self) -> Transition {
        Transition {
            next: *self,
            cause: None,
            act: Act::Nothing,
            deadline: None,
            idle_at: None,
            answer: Answer::Accepted,
        }
    }
}

impl Transition {
    /// Returns the same transition for a signal that goes out at `now`, later than it was decided:
    /// its grace begins anew. Other deadlines stay where they are.
    pub(crate) fn held_up_until(self, now: Now) -> Self {
        match self.act {
            Act::Signal(_) => self.signal(now),
            Act::Nothing | Act::Launch | Act::Attach => self,
        }
    }

    const fn act(self, act: Act) -> Self {
        Self { act, ..self }
    }

    const fn answer(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// Sends the stored rung, if there is a process to send it to, and waits for its grace.
    fn signal(self, now: Now) -> Self {
        let Some(rung) = self.next.rung.filter(|_| self.next.is_up) else {
            return self;
        };
        let deadline = self
            .next
            .policy
            .graces
            .after(rung, self.next.intent)
            .map(|grace_ms| (Deadline::RungOver(rung), now.monotonic + u64::from(grace_ms)));
        Self { act: Act::Signal(rung), deadline, ..self }
    }

    /// Waits for the time limit, which counts from when the process came up.
    fn timeout(self) -> Self {
        let Machine { policy, running_since, .. } = self.next;
        let deadline = running_since
            .zip(policy.timeout_ms)
            .map(|(since, timeout_ms)| (Deadline::Timeout, since + timeout_ms.get()));
        Self { deadline, ..self }
    }

    /// Waits for a message, no longer than it may.
    fn idle(self, now: Now) -> Self {
        let Machine { policy, awaits_message, .. } = self.next;
        let idle_ms = policy.idle_ms.filter(|_| awaits_message);
        Self { idle_at: idle_ms.map(|ms| now.monotonic + u64::from(ms.get())), ..self }
    }

    /// Waits for the process to go by itself after its final report.
    fn linger(self, now: Now) -> Self {
        let at = now.monotonic + u64::from(self.next.policy.graces.linger_ms);
        Self { deadline: Some((Deadline::Linger, at)), ..self }
    }
}
