//! What lies beside the changes of a session: it decides nothing, and is stored with the next of them.

use alloc::string::String;

use super::Supervisor;
use crate::agent::Learned;

impl Supervisor {
    /// Takes note of what became known of the agent. It is shown at once and stored with the next
    /// change, since it is none of its own: whoever takes the session over reads it again.
    pub fn learn(&mut self, learned: &Learned) {
        if let Some(offer) = &mut self.offer {
            offer.change.session.learned.clone_from(learned);
        }
        self.session.learned.clone_from(learned);
    }

    /// Adds a note. It is shown at once and stored with the next change, since it is none of its own.
    pub fn remark(&mut self, text: String) {
        let now = self.ports.clock.now().wall;
        if let Some(offer) = &mut self.offer {
            offer.change.session.note(now, text.clone());
        }
        self.session.note(now, text);
    }
}
