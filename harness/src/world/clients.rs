//! Clients that follow the events: they listen first, then read the store after their own cursor,
//! and show what they have read.
//!
//! What a client shows is a model of every page's store: a status is taken over only from a newer
//! revision than the one that is shown, whether it comes as an event or in a list.

use std::collections::BTreeMap;

use candor_core::event::{Seq, StoredEvent};
use candor_core::ports::{EventBus as _, Subscription};
use candor_core::session::{Revision, Session, SessionId};
use candor_core::status::Status;

use super::ClientRest;
use crate::executor::poll_once;
use crate::fakes::{Stage, State};
use crate::ghost::Record;
use crate::mutant::Mutant;
use crate::timeline::names::ClientName;

/// Events that a client reads at once, at most. Small, so that a long absence takes more than one
/// read.
const PAGE_EVENTS: u32 = 3;

/// M32: events that the queue of a client holds.
const QUEUE_EVENTS: usize = 2;

/// One client, connected or not. Its cursor is its own and survives everything.
#[derive(Default)]
pub(crate) struct Client {
    subscription: Option<Box<dyn Subscription>>,
    cursor: Seq,
    /// Whether there may be something to read.
    is_behind: bool,
    is_stalled: bool,
    shown: BTreeMap<SessionId, (Revision, Status)>,
    /// A list that was read for it and has not arrived.
    list: Option<List>,
    /// For mutants whose bus carries the events: how many of them it was offered.
    offered: usize,
    /// And those that wait to be read.
    queue: Vec<Seq>,
}

/// All sessions as they were at one moment.
struct List {
    seq: Seq,
    rows: Vec<(SessionId, Revision, Status)>,
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

    pub(crate) fn is_stalled(&self, name: ClientName) -> bool {
        self.clients.get(&name).is_some_and(|client| client.is_stalled)
    }

    /// Says whether a list is on its way to a client.
    pub(crate) fn awaits_list(&self, name: ClientName) -> bool {
        self.clients.get(&name).is_some_and(|client| client.list.is_some())
    }

    /// M47: says whether the queue of a client that does not read is full.
    pub(crate) fn has_full_queue(&self, stage: &Stage) -> bool {
        let last = stage.lock().store.last_seq().number();
        self.clients.values().any(|client| {
            let unread = last.saturating_sub(client.cursor.number());
            client.is_stalled && unread >= QUEUE_EVENTS as u64
        })
    }

    /// Returns what each client that is connected has read and shows.
    pub(crate) fn connected(&self) -> impl Iterator<Item = ClientRest> {
        let connected = self.clients.iter().filter(|(_, client)| client.subscription.is_some());
        connected.map(|(name, client)| {
            let shown = client.shown.iter();
            ClientRest {
                client: *name,
                cursor: client.cursor,
                is_stalled: client.is_stalled,
                shown: shown.map(|(id, (_, status))| (*id, *status)).collect(),
            }
        })
    }

    pub(crate) fn connect(&mut self, stage: &Stage, name: ClientName) {
        let client = self.clients.entry(name).or_default();
        client.subscription = Some(stage.bus().subscribe());
        client.is_behind = true;
        let mut state = stage.lock();
        client.offered = state.bus.carried.len();
        client.queue.clear();
        if state.mutants.has(Mutant::M31) {
            client.cursor = state.store.last_seq();
        }
        state.log.push(Record::Connected { client: name, cursor: client.cursor });
    }

    pub(crate) fn disconnect(&mut self, name: ClientName) {
        if let Some(client) = self.clients.get_mut(&name) {
            client.disconnect();
        }
    }

    /// Breaks every connection, as the end of the daemon does.
    pub(crate) fn disconnect_all(&mut self) {
        self.clients.values_mut().for_each(Client::disconnect);
    }

    /// Lets a client stop reading, or read again.
    pub(crate) fn stall(&mut self, stage: &Stage, name: ClientName, stops: bool) {
        if let Some(client) = self.clients.get_mut(&name) {
            client.is_stalled = stops;
            stage.lock().log.push(Record::Stalled { client: name, stops });
        }
    }

    /// Reads the list of sessions for a client.
    pub(crate) fn fetch(&mut self, stage: &Stage, name: ClientName) {
        let state = stage.lock();
        let rows = state.store.rows().map(|row| &row.session);
        let rows = rows.map(|session| (session.id, session.revision(), session.status()));
        let list = List { seq: state.store.last_seq(), rows: rows.collect() };
        self.clients.entry(name).or_default().list = Some(list);
    }

    /// Lets the list arrive. A client that has never followed the events follows them from there.
    pub(crate) fn show(&mut self, stage: &Stage, name: ClientName) {
        let Some(client) = self.clients.get_mut(&name) else { return };
        let Some(list) = client.list.take() else { return };
        let mut state = stage.lock();
        if client.cursor == Seq::START && client.subscription.is_none() {
            client.cursor = list.seq;
            state.log.push(Record::Listed { client: name, seq: list.seq });
        }
        let takes_all = state.mutants.has(Mutant::M55);
        for (id, revision, status) in list.rows {
            client.take(&mut state, name, (id, revision, status), takes_all);
        }
    }

    /// M28: takes the status that came with a line about usage.
    pub(crate) fn show_stale(&mut self, stage: &Stage, row: &Session) {
        let mut state = stage.lock();
        for (name, client) in &mut self.clients {
            let stale = (row.id, row.revision(), row.status());
            client.take(&mut state, *name, stale, true);
        }
    }

    /// M54: takes the user's answer for the end of the waiting.
    pub(crate) fn presume_running(&mut self, stage: &Stage, session: SessionId) {
        let mut state = stage.lock();
        for (name, client) in &mut self.clients {
            let revision = client.shown.get(&session).map_or(Revision::NONE, |shown| shown.0);
            client.take(&mut state, *name, (session, revision, Status::Running), true);
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
    fn disconnect(&mut self) {
        self.subscription = None;
        self.is_stalled = false;
        self.list = None;
    }

    fn turn(&mut self, stage: &Stage, name: ClientName) -> bool {
        let Some(subscription) = &mut self.subscription else {
            return false;
        };
        let woken = poll_once(&mut subscription.woken());
        match woken {
            Some(Some(_seq)) => self.is_behind = true,
            Some(None) => {
                self.disconnect();
                return true;
            }
            None => {}
        }
        self.accept(stage);
        if !self.is_behind || self.is_stalled {
            return false;
        }
        let mut state = stage.lock();
        for event in self.next_events(&state) {
            self.cursor = event.seq;
            state.log.push(Record::Delivered { client: name, seq: event.seq });
            let event = event.event;
            self.take(&mut state, name, (event.session, event.revision, event.to), false);
        }
        true
    }

    /// Returns what it reads now: what is in the store after its cursor.
    fn next_events(&mut self, state: &State) -> Vec<StoredEvent> {
        if carries_events(state) {
            self.is_behind = false;
            let queue = std::mem::take(&mut self.queue);
            return queue.into_iter().filter_map(|seq| state.store.event(seq).copied()).collect();
        }
        let page = state.store.events_after(self.cursor, PAGE_EVENTS).to_vec();
        self.is_behind = page.len() == PAGE_EVENTS as usize;
        page
    }

    /// M03, M32: puts what the bus carries into the client's own queue, as far as there is room.
    fn accept(&mut self, stage: &Stage) {
        let state = stage.lock();
        if !carries_events(&state) {
            return;
        }
        let fresh = state.bus.carried.get(self.offered..).unwrap_or_default();
        self.offered += fresh.len();
        let room = if state.mutants.has(Mutant::M32) { QUEUE_EVENTS } else { usize::MAX };
        self.queue.extend(fresh);
        self.queue.truncate(room);
    }

    /// Shows a status, unless a newer one is shown already.
    fn take(
        &mut self,
        state: &mut State,
        name: ClientName,
        (session, revision, status): (SessionId, Revision, Status),
        takes_all: bool,
    ) {
        let shown = self.shown.get(&session).copied();
        if !takes_all && shown.is_some_and(|(known, _)| known >= revision) {
            return;
        }
        self.shown.insert(session, (revision, status));
        if shown.map(|(_, status)| status) != Some(status) {
            state.log.push(Record::Shown { client: name, session, revision, status });
        }
    }
}

/// Whether this world's bus carries the events themselves.
fn carries_events(state: &State) -> bool {
    [Mutant::M03, Mutant::M32].into_iter().any(|mutant| state.mutants.has(mutant))
}
