//! What decides: everything about a session that an input's effect depends on, and nothing else.

use core::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::session::Revision;
use crate::status::Status;
use crate::stop::{Graces, Rung, StopKind};
use crate::time::Monotonic;
use crate::verdict::{End, Evidence, Exit, ReportMark, SuccessCodes, Verdict};

/// The numbers that the machine decides by. Fixed at the launch.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Policy {
    /// How long each rung waits.
    pub graces: Graces,
    /// How long the session may run, in milliseconds from `running`, not counting suspend.
    pub timeout_ms: Option<NonZeroU64>,
    /// How long it waits for a message before it is finished, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<NonZeroU32>,
    /// Whether an agent of this kind always reports.
    pub always_reports: bool,
    /// Which exit codes are a success.
    pub success_codes: SuccessCodes,
}

/// One session's state.
///
/// It is small, `Copy` and `Hash`, so that the harness can keep millions of them; texts lie beside
/// it in [`Session`](crate::session::Session). It changes only through
/// [`step`](Self::step), which returns the next one and leaves this one as it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Machine {
    pub(crate) policy: Policy,
    pub(crate) revision: Revision,
    /// When the process was first known to be up; the time limit counts from here.
    pub(crate) running_since: Option<Monotonic>,
    pub(crate) end: Option<End>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) status: Status,
    /// Whether the process is known to have come up. Always so in `running` and `waiting_input`,
    /// never in `queued` and `starting`.
    pub(crate) is_up: bool,
    /// The first intent: *the* intent.
    pub(crate) intent: Option<StopKind>,
    pub(crate) report: Option<ReportMark>,
    /// The highest rung that was stored. Its signal may or may not have been sent yet.
    pub(crate) rung: Option<Rung>,
    pub(crate) requests_open: u16,
    /// Whether a turn has ended and the next message has not been taken.
    #[serde(default)]
    pub(crate) awaits_message: bool,
}

const _: () = assert!(size_of::<Machine>() <= 128, "the harness keeps millions of these");

impl Machine {
    /// Returns the state before the first change: no row, no process, revision 0.
    #[must_use]
    pub(crate) const fn unborn(policy: Policy, status: Status) -> Self {
        Self {
            policy,
            revision: Revision::NONE,
            running_since: None,
            end: None,
            verdict: None,
            status,
            is_up: false,
            intent: None,
            report: None,
            rung: None,
            requests_open: 0,
            awaits_message: false,
        }
    }

    /// Returns where the session stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Returns how many changes it has had.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the numbers it decides by.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the first intent, if anybody asked for the end.
    #[must_use]
    pub const fn intent(&self) -> Option<StopKind> {
        self.intent
    }

    /// Returns the final report, as far as it decides.
    #[must_use]
    pub const fn report(&self) -> Option<ReportMark> {
        self.report
    }

    /// Returns the highest rung of the ladder that was stored.
    #[must_use]
    pub const fn rung(&self) -> Option<Rung> {
        self.rung
    }

    /// Returns when the process was first known to be up, if it ever was.
    #[must_use]
    pub const fn running_since(&self) -> Option<Monotonic> {
        self.running_since
    }

    /// Says whether the process is known to have come up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Returns how many requests to the user are open.
    #[must_use]
    pub const fn requests_open(&self) -> u16 {
        self.requests_open
    }

    /// Says whether a turn has ended and the next message has not been taken.
    #[must_use]
    pub const fn awaits_message(&self) -> bool {
        self.awaits_message
    }

    /// Returns how it ended, or `None` while it lives.
    #[must_use]
    pub const fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Returns how the process came to be known gone, or `None` while it is not.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Returns what the kernel said of the end, if anybody saw it.
    #[must_use]
    pub const fn exit(&self) -> Option<Exit> {
        match self.end {
            Some(End::Exited { exit, .. }) => Some(exit),
            Some(End::Refused { .. } | End::NeverRan | End::Unknown(_)) | None => None,
        }
    }

    /// Returns what the verdict rests on, or `None` while the session lives.
    #[must_use]
    pub const fn evidence(&self) -> Option<Evidence> {
        match self.end {
            Some(end) => Some(self.evidence_with(end)),
            None => None,
        }
    }

    /// Returns the evidence as it stands if the process goes by `end`.
    pub(crate) const fn evidence_with(&self, end: End) -> Evidence {
        Evidence {
            intent: self.intent,
            report: self.report,
            rung: self.rung,
            end,
            always_reports: self.policy.always_reports,
            success_codes: self.policy.success_codes,
        }
    }

    /// Says whether the parts agree with each other, as they do in every machine that
    /// [`step`](Self::step) made.
    ///
    /// A store checks this after it has read a row: a row that fails it was written by a bug, or
    /// damaged in a way that its checksum did not see.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        let ended = self.verdict.is_some();
        let up_agrees = match self.status {
            Status::Queued | Status::Starting => !self.is_up,
            Status::Running | Status::WaitingInput => self.is_up,
            Status::Completing | Status::Completed | Status::Failed | Status::Lost => true,
        };
        ended == self.end.is_some()
            && ended == self.status.is_terminal()
            && self.verdict.is_none_or(|verdict| verdict.status() == self.status)
            && (self.requests_open > 0 || self.awaits_message)
                == (self.status == Status::WaitingInput)
            && (self.status != Status::Completing || self.intent.is_some() || self.report.is_some())
            && up_agrees
            && self.revision != Revision::NONE
    }
}
