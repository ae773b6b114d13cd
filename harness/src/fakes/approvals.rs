//! A model of a feature that is to come: what agents ask their users to approve.
//!
//! It holds what the real one must keep. An approval is open from the commit that opens its request
//! on; it is answered once; and the commit that leaves `waiting_input` withdraws what is left, so
//! that a late answer meets nothing. A bypass is a moment that everybody is told of: nobody has to
//! write anything when it has passed.

use std::collections::BTreeMap;

use candor_core::event::Cause;
use candor_core::ports::Change;
use candor_core::session::SessionId;

use super::stage::State;
use crate::ghost::{Record, Reply, Standing, Ticket};
use crate::mutant::Mutant;
use crate::timeline::names::ApprovalName;

/// Everything that was asked, and for how long everything is approved.
#[derive(Default)]
pub(crate) struct Approvals {
    asked: BTreeMap<ApprovalName, Approval>,
    bypasses: BTreeMap<SessionId, Bypass>,
    /// M59: whose bypass was found to be over, and in which revision.
    monitored: Option<(SessionId, u32)>,
}

struct Approval {
    session: SessionId,
    standing: Standing,
    /// Whether the conversation has a row of what is asked.
    is_linked: bool,
    /// Who waits for their answer to be taken.
    ticket: Option<Ticket>,
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
        let approval = Approval { session, standing, is_linked, ticket: None };
        self.approvals.asked.insert(name, approval);
        self.log.push(Record::Approval { approval: name, session, standing });
        let was_set = bypass.until_ms > 0;
        if self.mutants.has(Mutant::M57) && was_set && !is_bypassed {
            self.write_bypass(session, 0, bypass.revision);
        }
        !is_bypassed
    }

    /// Keeps a user's answer until the row says that the request is closed. Returns whether anybody
    /// waits for it.
    pub(crate) fn answer_approval(&mut self, name: ApprovalName, ticket: Ticket) -> bool {
        if self.standing_of(name) != Some(Standing::Open) {
            return false;
        }
        if let Some(approval) = self.approvals.asked.get_mut(&name) {
            approval.ticket = Some(ticket);
        }
        self.stand(name, Standing::Answering);
        true
    }

    /// Reads from a change of a row what it means for what is asked.
    pub(crate) fn note_approvals(&mut self, change: &Change) {
        let session = change.session.id;
        if change.event.cause == Cause::RequestOpened
            && let Some(name) = self.first(session, Standing::Asked)
        {
            self.stand(name, Standing::Open);
        }
        if change.event.cause == Cause::RequestClosed
            && let Some(name) = self.first(session, Standing::Answering)
        {
            self.stand(name, Standing::Answered);
        }
        if change.session.machine.requests_open() == 0 {
            for standing in [Standing::Open, Standing::Answering] {
                while let Some(name) = self.first(session, standing) {
                    self.stand(name, Standing::Withdrawn);
                }
            }
        }
    }

    /// Withdraws what a session's task has handled, and what changed no row: nobody waits any more.
    pub(crate) fn withdraw_ignored(&mut self, session: SessionId) {
        for standing in [Standing::Asked, Standing::Answering] {
            while let Some(name) = self.first(session, standing) {
                self.stand(name, Standing::Withdrawn);
            }
        }
    }

    /// Forgets what a daemon that has just ended knew: an answer that is in no row was not given,
    /// and who waits for it is gone. What was asked and is in no row is moot: the agent asks again.
    pub(crate) fn forget_answers(&mut self) {
        let names: Vec<_> = self.approvals.asked.keys().copied().collect();
        for name in names {
            let Some(approval) = self.approvals.asked.get_mut(&name) else { continue };
            approval.ticket = None;
            match approval.standing {
                Standing::Asked => self.stand(name, Standing::Withdrawn),
                Standing::Answering => self.stand(name, Standing::Open),
                Standing::Open | Standing::Answered | Standing::Withdrawn => {}
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
        let is_settled = matches!(standing, Standing::Answered | Standing::Withdrawn);
        let ticket = if is_settled { approval.ticket.take() } else { None };
        self.log.push(Record::Approval { approval: name, session, standing });
        if let Some(ticket) = ticket {
            let is_taken = standing == Standing::Answered;
            let reply = if is_taken { Reply::Accepted } else { Reply::TooLate };
            self.log.push(Record::Replied { ticket, reply });
        }
    }

    /// Approves everything for a while, and tells everybody.
    pub(crate) fn set_bypass(&mut self, session: SessionId, ms: u64) {
        let until_ms = self.log.now_ms().saturating_add(ms);
        let known = self.approvals.bypasses.get(&session).map_or(0, |bypass| bypass.revision);
        let revision = self.write_bypass(session, until_ms, known);
        self.log.push(Record::BypassTold { session, revision });
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
        if let Some((session, replaces)) = self.approvals.monitored.take() {
            let revision = self.write_bypass(session, 0, replaces);
            self.log.push(Record::BypassTold { session, revision });
            return;
        }
        let now_ms = self.log.now_ms();
        let mut bypasses = self.approvals.bypasses.iter();
        let over = bypasses.find(|(_, bypass)| bypass.until_ms > 0 && bypass.until_ms <= now_ms);
        self.approvals.monitored = over.map(|(session, bypass)| (*session, bypass.revision));
    }
}
