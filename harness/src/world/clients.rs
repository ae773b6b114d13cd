//! Clients that follow the events: they listen first, then read the store after their own cursor.

use std::collections::BTreeMap;

use candor_core::event::Seq;
use candor_core::ports::{EventBus as _, Subscription};

use super::ClientRest;
use crate::executor::poll_once;
use crate::fakes::Stage;
use crate::ghost::Record;
use crate::timeline::names::ClientName;

/// Events that a client reads at once, at most. Small, so that a long absence takes more than one
/// read.
const PAGE_EVENTS: u32 = 3;

/// One client, connected or not. Its cursor is its own and survives everything.
pub(crate) struct Client {
    subscription: Option<Box<dyn Subscription>>,
    cursor: Seq,
    /// Whether there may be something to read.
    is_behind: bool,
}

/// All clients of a replay.
#[derive(Default)]
pub(crate) struct Clients {
    clients: BTreeMap<ClientName, Client>,
}

impl Clients {
    /// Returns the name that a further client would have.
    pub(crate) fn next_name(&self) -> ClientName {
        let known = u16::try_from(self.clients.len()).unwrap_or(u16::MAX);
        ClientName::new(known.saturating_add(1))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = ClientName> {
        self.clients.keys().copied()
    }

    pub(crate) fn is_connected(&self, name: ClientName) -> bool {
        self.clients.get(&name).is_some_and(|client| client.subscription.is_some())
    }

    /// Returns what each client that is connected has read.
    pub(crate) fn connected(&self) -> impl Iterator<Item = ClientRest> {
        let connected = self.clients.iter().filter(|(_, client)| client.subscription.is_some());
        connected.map(|(name, client)| ClientRest { client: *name, cursor: client.cursor })
    }

    pub(crate) fn connect(&mut self, stage: &Stage, name: ClientName) {
        let fresh = || Client { subscription: None, cursor: Seq::START, is_behind: false };
        let client = self.clients.entry(name).or_insert_with(fresh);
        client.subscription = Some(stage.bus().subscribe());
        client.is_behind = true;
        let cursor = client.cursor;
        stage.lock().log.push(Record::Connected { client: name, cursor });
    }

    pub(crate) fn disconnect(&mut self, name: ClientName) {
        if let Some(client) = self.clients.get_mut(&name) {
            client.subscription = None;
        }
    }

    /// Breaks every connection, as the end of the daemon does.
    pub(crate) fn disconnect_all(&mut self) {
        for client in self.clients.values_mut() {
            client.subscription = None;
        }
    }

    /// Lets every client read what it was woken for. Returns whether one did.
    pub(crate) fn turn(&mut self, stage: &Stage) -> bool {
        let mut is_busy = false;
        for (name, client) in &mut self.clients {
            is_busy |= client.turn(stage, *name);
        }
        is_busy
    }
}

impl Client {
    fn turn(&mut self, stage: &Stage, name: ClientName) -> bool {
        let Some(subscription) = &mut self.subscription else {
            return false;
        };
        let woken = poll_once(&mut subscription.woken());
        match woken {
            Some(Some(_seq)) => self.is_behind = true,
            Some(None) => {
                self.subscription = None;
                return true;
            }
            None => {}
        }
        if !self.is_behind {
            return false;
        }
        let mut state = stage.lock();
        let page = state.store.events_after(self.cursor, PAGE_EVENTS).to_vec();
        self.is_behind = page.len() == PAGE_EVENTS as usize;
        for event in page {
            self.cursor = event.seq;
            state.log.push(Record::Delivered { client: name, seq: event.seq });
        }
        true
    }
}
