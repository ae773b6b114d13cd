//! Which background tasks are known to run.

use std::collections::BTreeSet;

use super::asks::NAME_BYTES_MAX;

/// Tasks that are told apart, at most.
const TASKS_MAX: usize = 256;

/// The tasks that run: shell commands in the background and sub-agents. While one does, its end may
/// wake the model, and a further turn and another report follow.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: BTreeSet<String>,
    /// Whether there were more than are told apart. It is then not known any more that none runs.
    is_overfull: bool,
}

impl Tasks {
    pub(super) fn started(&mut self, id: &str) {
        if self.running.len() >= TASKS_MAX || id.len() > NAME_BYTES_MAX {
            self.is_overfull = true;
        } else {
            self.running.insert(id.to_owned());
        }
    }

    /// Takes a task's status, whatever line told of it. What is neither running nor about to is over.
    pub(super) fn is_now(&mut self, id: &str, status: &str) {
        if !matches!(status, "" | "running" | "pending" | "paused") {
            self.running.remove(id);
        }
    }

    /// Returns how many are known to run.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.running.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn none_run(&self) -> bool {
        self.running.is_empty() && !self.is_overfull
    }
}
