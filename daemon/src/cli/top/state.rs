//! What the page knows, and how that changes: a pure function of what was told and typed.
//!
//! A status is shown only because the daemon told it. Of two pictures of one session the one with the
//! higher revision holds, in whatever order they come, and no picture takes a session back from its
//! end.

use std::collections::{BTreeMap, HashMap};

use candor_core::status::Status;

use super::asked::Asked;
use super::output::Output;
use crate::api::{
    EventKind, RequestView, ResetReason, SessionEventView, SessionView, SnapshotView,
};

/// Removals that are remembered, at most, so that no list that was read before one brings its session
/// back. A list that was read later clears them.
const REMOVED_MAX: usize = 10_000;

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// The daemon can be asked.
    Connected,
    /// It cannot, for this reason.
    Lost(String),
    /// All sessions, as they were at one place of the event log.
    Snapshot(SnapshotView),
    /// An event.
    Event(Box<SessionEventView>),
    /// What was told before may not be all.
    Reset(ResetReason),
    /// The daemon answered an action, with a sentence if it changes nothing.
    Acted { session: String, note: Option<String> },
    /// More of the output that is followed.
    Printed { generation: u64, text: Vec<u8> },
    /// That output is at its end, or cannot be read for this reason.
    OutputEnded { generation: u64, reason: Option<String> },
    /// A key was pressed.
    Key(super::keys::Key),
    /// The terminal has this size now, in columns and lines.
    Resized(u16, u16),
}

/// What is to be done for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    Interrupt(String),
    Kill(String),
    /// Answers a request of a session as it was shown.
    Answer {
        session: String,
        number: u32,
        digest: String,
        approved: bool,
    },
    /// Follows the output of a session; what is followed already is let go.
    Follow {
        session: String,
        generation: u64,
    },
    /// Follows nothing any more.
    Unfollow,
    Quit,
}

/// What was asked for and has no event yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    Interrupt,
    Kill,
    Approve,
    Deny,
}

impl Action {
    /// Says it as what is waited for.
    pub(super) const fn pending(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt asked…",
            Self::Kill => "kill asked…",
            Self::Approve => "approval sent…",
            Self::Deny => "denial sent…",
        }
    }
}

/// A session as it is known.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) view: SessionView,
    /// The place in the event log that this is known from.
    seq: u64,
    /// What was asked for, and the revision that the session had then.
    pending: Option<(Action, u64)>,
}

impl Row {
    pub(super) fn pending(&self) -> Option<Action> {
        self.pending.map(|(action, _)| action)
    }

    /// Returns the oldest request that waits for an answer. What has ended asks for nothing.
    pub(super) fn open_request(&self) -> Option<&RequestView> {
        use candor_core::agent::RequestState;
        let is_open = |request: &&RequestView| request.state == RequestState::Open;
        self.view.requests.iter().find(is_open).filter(|_| !self.view.status.is_terminal())
    }

    /// Takes another picture of the session, if it is a newer one.
    fn take(&mut self, view: SessionView, seq: u64) {
        let is_newer = (view.revision, seq) >= (self.view.revision, self.seq);
        let goes_back = self.view.status.is_terminal() && view.status != self.view.status;
        self.seq = self.seq.max(seq);
        if is_newer && !goes_back {
            self.view = view;
        }
        self.settle();
    }

    /// Forgets what was asked for once anything has come of it.
    fn settle(&mut self) {
        let (revision, has_ended) = (self.view.revision, self.view.status.is_terminal());
        self.pending = self.pending.filter(|(_, asked_at)| revision <= *asked_at && !has_ended);
    }
}

/// Whether the daemon can be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Link {
    Connecting,
    Up,
    /// It cannot: this is why.
    Down(String),
}

/// What is on the screen.
#[derive(Clone, Debug)]
pub(super) enum Screen {
    List,
    /// The list, while a word to look for is typed.
    Filter,
    /// Whether this session is to be killed.
    ConfirmKill(String),
    Output(Output),
    Request(Asked),
    Help,
}

/// Everything that the page shows.
#[derive(Debug)]
pub(super) struct State {
    rows: BTreeMap<String, Row>,
    /// Sessions that were removed, and where in the event log.
    removed: HashMap<String, u64>,
    /// How many there are of each status beside those in `rows`.
    elsewhere: BTreeMap<Status, u64>,
    /// Up to where the event log is known.
    cursor: u64,
    pub(super) link: Link,
    pub(super) screen: Screen,
    pub(super) filter: String,
    pub(super) selected: Option<String>,
    /// What the last action came to, where that was not what it should.
    pub(super) notice: Option<String>,
    pub(super) columns: u16,
    pub(super) lines: u16,
    /// Counts the outputs that were followed.
    pub(super) generation: u64,
}

impl State {
    pub(super) fn new(columns: u16, lines: u16) -> Self {
        Self {
            rows: BTreeMap::new(),
            removed: HashMap::new(),
            elsewhere: BTreeMap::new(),
            cursor: 0,
            link: Link::Connecting,
            screen: Screen::List,
            filter: String::new(),
            selected: None,
            notice: None,
            columns,
            lines,
            generation: 0,
        }
    }

    /// Takes what happened, and returns what is to be done.
    pub(super) fn update(&mut self, message: Message) -> Option<Effect> {
        match message {
            Message::Connected => {
                // What was not asked for want of a daemon may be asked again.
                self.notice = self.notice.take().filter(|_| self.link == Link::Up);
                self.link = Link::Up;
            }
            Message::Lost(reason) => self.link = Link::Down(reason),
            Message::Snapshot(snapshot) => self.take_snapshot(snapshot),
            Message::Event(event) => self.take_event(*event),
            Message::Reset(ResetReason::EventsRemoved) => {}
            Message::Reset(ResetReason::CursorAhead) => {
                // Another store: nothing that was known is of it.
                self.rows.clear();
                self.removed.clear();
                self.elsewhere.clear();
                self.cursor = 0;
            }
            Message::Acted { session, note } => {
                if let Some(note) = note {
                    self.notice = Some(note);
                    if let Some(row) = self.rows.get_mut(&session) {
                        row.pending = None;
                    }
                }
            }
            Message::Printed { generation, text } => {
                if let Screen::Output(output) = &mut self.screen
                    && output.generation == generation
                {
                    output.take(&text);
                }
            }
            Message::OutputEnded { generation, reason } => {
                if let Screen::Output(output) = &mut self.screen
                    && output.generation == generation
                {
                    output.end(reason);
                }
            }
            Message::Key(key) => return self.press(key),
            Message::Resized(columns, lines) => (self.columns, self.lines) = (columns, lines),
        }
        self.close_what_is_gone();
        None
    }

    fn take_snapshot(&mut self, snapshot: SnapshotView) {
        let SnapshotView { seq, sessions, counts, next: _ } = snapshot;
        self.elsewhere = counts;
        let mut listed: HashMap<String, SessionView> = HashMap::new();
        for view in sessions {
            if let Some(count) = self.elsewhere.get_mut(&view.status) {
                *count = count.saturating_sub(1);
            }
            listed.insert(view.id.clone(), view);
        }
        // What is not in it was removed, or has ended long ago, unless it was heard of later.
        self.rows.retain(|id, row| row.seq > seq || listed.contains_key(id));
        for (id, view) in listed {
            if self.removed.get(&id).is_some_and(|removed_at| *removed_at > seq) {
                continue;
            }
            self.put(view, seq);
        }
        self.removed.retain(|_, removed_at| *removed_at > seq);
        self.cursor = self.cursor.max(seq);
    }

    fn take_event(&mut self, event: SessionEventView) {
        let SessionEventView { event, view } = event;
        if event.seq <= self.cursor {
            return;
        }
        self.cursor = event.seq;
        let is_new = !self.rows.contains_key(&event.session);
        if let Some(from) = event.from.filter(|_| is_new)
            && let Some(count) = self.elsewhere.get_mut(&from)
        {
            *count = count.saturating_sub(1);
        }
        match (event.kind, view) {
            (EventKind::SessionRemoved, _) => {
                self.rows.remove(&event.session);
                if self.removed.len() < REMOVED_MAX {
                    self.removed.insert(event.session, event.seq);
                }
            }
            (_, Some(view)) => self.put(view, event.seq),
            (_, None) => {
                // Removed since, which an event will tell, or not to be read.
                let Some(row) = self.rows.get_mut(&event.session) else { return };
                let mut view = row.view.clone();
                view.revision = view.revision.max(event.revision);
                if event.revision >= view.revision {
                    view.status = event.to.unwrap_or(view.status);
                    view.outcome = event.outcome;
                }
                row.take(view, event.seq);
            }
        }
    }

    fn put(&mut self, view: SessionView, seq: u64) {
        match self.rows.get_mut(&view.id) {
            Some(row) => row.take(view, seq),
            None => {
                self.rows.insert(view.id.clone(), Row { view, seq, pending: None });
            }
        }
    }

    /// Leaves a screen whose subject is no more.
    fn close_what_is_gone(&mut self) {
        match &self.screen {
            Screen::Request(asked) => {
                let row = self.rows.get(&asked.session);
                let open = row.and_then(Row::open_request);
                if !open.is_some_and(|request| asked.is_about(request)) {
                    self.notice = Some("the request was closed meanwhile".to_owned());
                    self.screen = Screen::List;
                }
            }
            Screen::ConfirmKill(id) => {
                let row = self.rows.get(id);
                if row.is_none_or(|row| row.view.status.is_terminal()) {
                    self.notice = Some("the session has ended meanwhile".to_owned());
                    self.screen = Screen::List;
                }
            }
            Screen::List | Screen::Filter | Screen::Output(_) | Screen::Help => {}
        }
        self.keep_selection();
    }

    /// Keeps the selected session selected while it is shown, and else takes the first.
    pub(super) fn keep_selection(&mut self) {
        let is_shown =
            |id: &String| self.rows.get(id).is_some_and(|row| fits(&row.view, &self.filter));
        if !self.selected.as_ref().is_some_and(is_shown) {
            let first = self.shown().next().map(|row| row.view.id.clone());
            self.selected = first;
        }
    }

    /// Returns the sessions of the list: those that live, then those that have ended, newest first.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Row> {
        let rows = || self.rows.values().rev().filter(|row| fits(&row.view, &self.filter));
        let live = rows().filter(|row| !row.view.status.is_terminal());
        live.chain(rows().filter(|row| row.view.status.is_terminal()))
    }

    pub(super) fn selected_row(&self) -> Option<&Row> {
        self.selected.as_ref().and_then(|id| self.rows.get(id))
    }

    /// Returns how many sessions there are of each status, in the order of a session's life.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().map(|status| {
            let here = self.rows.values().filter(|row| row.view.status == status).count() as u64;
            (status, here + self.elsewhere.get(&status).copied().unwrap_or(0))
        })
    }

    /// Takes note that something was asked for. Returns whether nothing else is waited for.
    pub(super) fn ask(&mut self, id: &str, action: Action) -> bool {
        let Some(row) = self.rows.get_mut(id) else { return false };
        row.pending = Some((action, row.view.revision));
        self.notice = None;
        true
    }
}

/// Says whether a session is among those that are looked for.
fn fits(view: &SessionView, filter: &str) -> bool {
    let wanted = filter.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    wanted.is_empty()
        || has(&view.id)
        || has(view.status.as_str())
        || view.outcome.as_deref().is_some_and(has)
        || has(&super::super::ls::name(view))
        || has(&view.cwd.to_text())
}
