//! What agents ask their users to approve, by the names that timelines give it.
//!
//! How a request stands is read off the rows that the shipped supervisor stores: it is open from the
//! commit that opens it on, it is answered once, and the commit that leaves `waiting_input` for good
//! withdraws what is left, so that a late answer meets nothing. A bypass is a moment in the row that
//! everybody is told of: nobody has to write anything when it has passed.

use std::collections::BTreeMap;

use candor_core::agent::RequestState;
use candor_core::event::Cause;
use candor_core::ports::Change;
use candor_core::session::SessionId;

use super::stage::State;
use crate::ghost::{Record, Standing};
use crate::mutant::Mutant;
use crate::timeline::names::ApprovalName;

/// M59: choices between finding that a bypass is over and switching it off.
const MONITOR_CHOICES: u8 = 1;

/// Everything that was asked, and for how long everything is approved.
#[derive(Default)]
pub(crate) struct Approvals {
    asked: BTreeMap<ApprovalName, Approval>,
    bypasses: BTreeMap<SessionId, Bypass>,
    /// M59: whose bypass was found to be over, in which revision, and how many choices ago.
    monitored: Option<(SessionId, u32, u8)>,
}

struct Approval {
    session: SessionId,
    standing: Standing,
    /// Whether the conversation has a row of what is asked.
    is_linked: bool,
}

#[derive(Clone, Copy, Default)]
struct Bypass {
    revision: u32,
    until_ms: u64,
}

impl State {
    /// Returns the name of what is asked next.
    pub(crate) fn next_approval(&self) -> ApprovalName {
        let asked = u16::try_from(self.approvals.asked.len()).unwrap_or(u16::MAX);
        ApprovalName::new(asked.saturating_add(1))
    }

    /// Returns everything that was asked so far.
    pub(crate) fn approvals_asked(&self) -> Vec<ApprovalName> {
        self.approvals.asked.keys().copied().collect()
    }

    /// Returns whose agent asks for something.
    pub(crate) fn session_of(&self, approval: ApprovalName) -> Option<SessionId> {
        Some(self.approvals.asked.get(&approval)?.session)
    }

    /// Returns how an approval stands.
    pub(crate) fn standing_of(&self, approval: ApprovalName) -> Option<Standing> {
        Some(self.approvals.asked.get(&approval)?.standing)
    }

    /// Returns what a user is shown as open.
    pub(crate) fn approvals_listed(&self) -> Vec<ApprovalName> {
        let needs_link = self.mutants.has(Mutant::M58);
        let asked = self.approvals.asked.iter();
        let open = asked.filter(|(_, approval)| {
            approval.standing == Standing::Open && (approval.is_linked || !needs_link)
        });
        open.map(|(name, _)| *name).collect()
    }

    /// Takes what an agent asks for. Returns whether the user must be asked.
    pub(crate) fn ask_approval(&mut self, session: SessionId, is_linked: bool) -> bool {
        let name = self.next_approval();
        let bypass = self.approvals.bypasses.get(&session).copied().unwrap_or_default();
        let is_bypassed = self.log.now_ms() < bypass.until_ms;
        let standing = if is_bypassed { Standing::Answered } else { Standing::Asked };
        let approval = Approval { session, standing, is_linked };
        self.approvals.asked.insert(name, approval);
        self.log.push(Record::Approval { approval: name, session, standing });
        let was_set = bypass.until_ms > 0;
        if self.mutants.has(Mutant::M57) && was_set && !is_bypassed {
            self.write_bypass(session, 0, bypass.revision);
        }
        !is_bypassed
    }

    /// Reads from a change of a row what it means for what is asked.
    pub(crate) fn note_approvals(&mut self, change: &Change) {
        for request in &change.session.requests {
            let Ok(name) = request.asked.agent_id.parse() else { continue };
            let standing = match request.state {
                RequestState::Open => Standing::Open,
                RequestState::Approved | RequestState::Denied => Standing::Answered,
                RequestState::Withdrawn => Standing::Withdrawn,
            };
            if self.standing_of(name).is_some_and(|known| known != standing) {
                self.stand(name, standing);
            }
        }
        if change.event.cause == Cause::SettingsChanged {
            self.note_bypass(change);
        }
    }

    fn note_bypass(&mut self, change: &Change) {
        let session = change.session.id;
        let now = self.now().wall.as_millisecond();
        let left_ms = change.session.bypass_until.map_or(0, |until| until.as_millisecond() - now);
        let known = self.approvals.bypasses.get(&session).map_or(0, |bypass| bypass.revision);
        let until_ms = self.log.now_ms().saturating_add_signed(left_ms);
        let revision = self.write_bypass(session, until_ms, known);
        self.log.push(Record::BypassTold { session, revision });
    }

    /// Withdraws what a session's task has handled, and what changed no row: nobody waits any more.
    pub(crate) fn withdraw_ignored(&mut self, session: SessionId) {
        while let Some(name) = self.first(session, Standing::Asked) {
            self.stand(name, Standing::Withdrawn);
        }
    }

    /// Forgets what was asked and is in no row when a daemon ends: it is moot, and the agent asks
    /// again.
    pub(crate) fn forget_asked(&mut self) {
        let names: Vec<_> = self.approvals.asked.keys().copied().collect();
        for name in names {
            if self.standing_of(name) == Some(Standing::Asked) {
                self.stand(name, Standing::Withdrawn);
            }
        }
    }

    fn first(&self, session: SessionId, standing: Standing) -> Option<ApprovalName> {
        let mut asked = self.approvals.asked.iter();
        let found = asked
            .find(|(_, approval)| approval.session == session && approval.standing == standing);
        found.map(|(name, _)| *name)
    }

    pub(crate) fn stand(&mut self, name: ApprovalName, standing: Standing) {
        let Some(approval) = self.approvals.asked.get_mut(&name) else { return };
        approval.standing = standing;
        let session = approval.session;
        self.log.push(Record::Approval { approval: name, session, standing });
    }

    fn write_bypass(&mut self, session: SessionId, until_ms: u64, replaces: u32) -> u32 {
        let bypass = self.approvals.bypasses.entry(session).or_default();
        bypass.revision += 1;
        bypass.until_ms = until_ms;
        let revision = bypass.revision;
        self.log.push(Record::Bypass { session, revision, replaces, until_ms });
        revision
    }

    /// M59: somebody looks for bypasses that are over, and switches them off some time later.
    pub(crate) fn monitor_bypasses(&mut self) {
        if !self.mutants.has(Mutant::M59) {
            return;
        }
        if let Some((_, _, choices @ 0..MONITOR_CHOICES)) = &mut self.approvals.monitored {
            *choices += 1;
            return;
        }
        if let Some((session, replaces, _)) = self.approvals.monitored.take() {
            let revision = self.write_bypass(session, 0, replaces);
            self.log.push(Record::BypassTold { session, revision });
            return;
        }
        let now_ms = self.log.now_ms();
        let mut bypasses = self.approvals.bypasses.iter();
        let over = bypasses.find(|(_, bypass)| bypass.until_ms > 0 && bypass.until_ms <= now_ms);
        self.approvals.monitored = over.map(|(session, bypass)| (*session, bypass.revision, 0));
    }
}
