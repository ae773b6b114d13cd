//! Standard inputs, in memory: what was sent stands there, and nobody reads it.
//!
//! A message is no choice of the world and changes no status. So it is answered at once, also where
//! other calls are held.

use candor_core::ports::{INPUT_BYTES_MAX, Message, Sent};
use candor_core::session::MessageId;
use candor_core::verdict::Exit;

use super::stage::State;
use crate::contract::spawner::{Behaviour, digest};
use crate::timeline::names::ProcessName;

/// What one process was sent.
#[derive(Debug, Default)]
pub(crate) struct FakeInput {
    /// In the order of acceptance. None is forgotten.
    accepted: Vec<MessageId>,
    bytes: Vec<u8>,
    is_closed: bool,
}

impl FakeInput {
    fn send(&mut self, Message { id, bytes, is_last }: &Message) -> Sent {
        if self.accepted.contains(id) {
            return Sent::Accepted;
        }
        if self.is_closed {
            return Sent::AlreadyEnded;
        }
        if bytes.len() > INPUT_BYTES_MAX.saturating_sub(self.bytes.len()) {
            return Sent::Full;
        }
        self.accepted.push(*id);
        self.bytes.extend(bytes);
        self.is_closed = *is_last;
        Sent::Accepted
    }
}

impl State {
    /// Says whether a process was sent this message before.
    pub(crate) fn has_taken(&self, process: ProcessName, id: MessageId) -> bool {
        let state = self.processes.get(&process);
        state.is_some_and(|state| state.input.accepted.contains(&id))
    }

    /// Sends a process something. One that digests its input ends when that does.
    pub(crate) fn send(&mut self, process: ProcessName, message: &Message) -> Sent {
        let Some(state) = self.processes.get_mut(&process).filter(|state| state.is_alive()) else {
            return Sent::AlreadyEnded;
        };
        let session = state.session;
        if !self.holding.contains(&session) {
            return Sent::AlreadyEnded;
        }
        let sent = state.input.send(message);
        let digested = state.input.is_closed.then(|| digest(&state.input.bytes));
        if let (Some(code), Some(Behaviour::Digests)) = (digested, self.scripts.get(&session)) {
            self.die(process, Exit::Code(code), false);
        }
        sent
    }
}
