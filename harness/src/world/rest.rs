//! What can be seen of a world while nothing moves: the memory that invariants hold against the
//! log.

use candor_core::event::Seq;
use candor_core::input::Deadline;
use candor_core::session::{Session, SessionId};
use candor_core::status::Status;

use super::World;
use crate::timeline::names::{ApprovalName, ClientName};

/// The world between two choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest {
    /// Whether a daemon runs.
    pub is_up: bool,
    /// The sessions that it drives and whose tasks are still.
    pub sessions: Vec<SessionRest>,
    /// Whether no task has anything to do but to wait for users, processes and time.
    pub is_quiescent: bool,
    /// The clients that are connected.
    pub clients: Vec<ClientRest>,
    /// The sessions of which something could be handled now, and is not.
    pub held_up: Vec<SessionId>,
    /// What users are shown as waiting for their approval.
    pub approvals_listed: Vec<ApprovalName>,
}

/// One session whose task is still.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRest {
    /// The session as the daemon has it in memory.
    pub session: Session,
    /// Whether a change waits for the store.
    pub is_blocked: bool,
    /// Whether a launch or an attach is under way, which will say more.
    pub is_under_way: bool,
    /// Whether the daemon holds its process.
    pub has_process: bool,
    /// What the daemon will be woken for, and when, in milliseconds from the beginning.
    pub deadlines: Vec<(Deadline, u64)>,
}

/// One client that is connected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientRest {
    /// Which.
    pub client: ClientName,
    /// The last event that it has read.
    pub cursor: Seq,
    /// Whether it does not read.
    pub is_stalled: bool,
    /// The status of each session as it shows it.
    pub shown: Vec<(SessionId, Status)>,
}

impl SessionRest {
    /// Returns whose it is.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.session.id
    }
}

impl World {
    /// Looks at the world as it is now.
    #[must_use]
    pub fn rest(&self) -> Rest {
        let booted_at_ms = self.stage.lock().booted_at_ms;
        let tasks = self.daemon.iter().flat_map(|daemon| daemon.tasks.values());
        let views: Vec<_> = tasks.map(|task| task.view()).collect();
        let is_quiescent =
            views.iter().all(|view| view.is_idle && !view.is_under_way && !view.is_blocked);
        let tasks = self.daemon.iter().flat_map(|daemon| &daemon.tasks);
        let held_up = tasks.filter(|(_, task)| task.could_go_on()).map(|(id, _)| *id).collect();
        let sessions = views.iter().filter(|view| view.is_idle).filter_map(|view| {
            Some(SessionRest {
                session: view.session?.clone(),
                is_blocked: view.is_blocked,
                is_under_way: view.is_under_way,
                has_process: view.has_process,
                deadlines: view
                    .deadlines
                    .iter()
                    .map(|(deadline, at)| (*deadline, at.as_ms().saturating_add(booted_at_ms)))
                    .collect(),
            })
        });
        Rest {
            is_up: self.is_up(),
            sessions: sessions.collect(),
            is_quiescent,
            clients: self.clients.connected().collect(),
            held_up,
            approvals_listed: self.stage.lock().approvals_listed(),
        }
    }
}
