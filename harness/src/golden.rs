//! The golden block: what a replay comes to, in a few lines that a reviewer can compare.
//!
//! It is made of the ghost log alone, so that whatever else replays a timeline can be held against
//! the same lines.

use std::collections::BTreeMap;

use candor_core::event::{Cause, Seq};
use candor_core::ports::Change;
use candor_core::session::Session;
use candor_core::status::Status;
use sha2::{Digest as _, Sha256};

use crate::ghost::{Entry, Record, Writer};
use crate::timeline::choice::signal_word;
use crate::timeline::hex;
use crate::timeline::names::{ClientName, SessionName};
use crate::world::Rest;

/// A line of the block is at most this long, where its words allow it.
const COLUMNS: usize = 100;

/// The width of a line's key.
const KEY_WIDTH: usize = 5;

/// Hex digits that are shown of the hash: enough to see a difference.
const HASH_DIGITS: usize = 16;

/// Returns the golden block of a replay.
#[must_use]
pub fn render(log: &[Entry], rest: &Rest) -> String {
    let mut lines = Lines::default();
    for entry in log {
        lines.read(&entry.record);
    }
    let mut block = String::new();
    for (session, words) in &lines.sessions {
        wrap(&mut block, &session.to_string(), words);
    }
    wrap(&mut block, "bus", &lines.bus);
    for (client, words) in &lines.clients {
        wrap(&mut block, &client.to_string(), words);
    }
    for (client, words) in &lines.views {
        wrap(&mut block, &format!("ui{}", client.number()), words);
    }
    wrap(&mut block, "asks", &lines.approvals);
    wrap(&mut block, "fx", &lines.effects);
    wrap(&mut block, "said", &lines.said);
    let end = [how_it_ends(rest).to_owned(), format!("hash {}", &hash(log)[..HASH_DIGITS])];
    wrap(&mut block, "end", &end);
    block
}

/// Returns a hash of everything that happened, each thing with its moment.
#[must_use]
pub fn hash(log: &[Entry]) -> String {
    let mut hasher = Sha256::new();
    for Entry { at_ms, record, .. } in log {
        hasher.update(format!("{at_ms} {record}\n"));
    }
    hex(&hasher.finalize())
}

const fn how_it_ends(rest: &Rest) -> &'static str {
    match (rest.is_up, rest.is_quiescent) {
        (false, _) => "down",
        (true, true) => "quiescent",
        (true, false) => "waiting",
    }
}

fn wrap(block: &mut String, key: &str, words: &[String]) {
    if words.is_empty() {
        return;
    }
    let mut line = format!("{key:<KEY_WIDTH$}");
    let mut is_fresh = true;
    for word in words {
        if !is_fresh && line.len() + 2 + word.len() > COLUMNS {
            block.push_str(&line);
            block.push('\n');
            line = " ".repeat(KEY_WIDTH);
            is_fresh = true;
        }
        line.push_str(if is_fresh { "" } else { "  " });
        line.push_str(word);
        is_fresh = false;
    }
    block.push_str(&line);
    block.push('\n');
}

/// The lines while they are made, as words.
#[derive(Default)]
struct Lines {
    sessions: BTreeMap<SessionName, Vec<String>>,
    bus: Vec<String>,
    clients: BTreeMap<ClientName, Vec<String>>,
    /// What each client shows.
    views: BTreeMap<ClientName, Vec<String>>,
    approvals: Vec<String>,
    effects: Vec<String>,
    said: Vec<String>,
    asked: Vec<String>,
    /// Events that are durable, by their place.
    events: BTreeMap<Seq, String>,
    published: Seq,
    rows: BTreeMap<SessionName, Session>,
}

impl Lines {
    fn read(&mut self, record: &Record) {
        match record {
            Record::Durable { seq, change, writer } => self.durable(*seq, change, *writer),
            Record::Published { seq } => self.publish(*seq),
            Record::Connected { client, cursor } => {
                self.clients.entry(*client).or_default().push(format!("after {cursor}:"));
            }
            Record::Delivered { client, seq } => {
                self.clients.entry(*client).or_default().push(seq.to_string());
            }
            Record::Shown { client, session, status, .. } => {
                let shown = format!("{}={status}", SessionName::of(*session));
                self.views.entry(*client).or_default().push(shown);
            }
            Record::Approval { approval, standing, .. } => {
                self.approvals.push(format!("{approval} {standing};"));
            }
            Record::Asked { session, request, .. } => {
                self.asked.push(format!("{request} {}", SessionName::of(*session)));
            }
            Record::Replied { ticket, reply } => {
                let asked = self.asked.get(ticket.0 as usize - 1);
                self.said.push(format!("{}: {reply};", asked.map_or("?", String::as_str)));
            }
            Record::Crashed | Record::Left { .. } => {
                self.bus.push("|".to_owned());
                self.effects.push(record.to_string());
            }
            Record::StoreCalled { .. }
            | Record::SecondDaemon { .. }
            | Record::Bypass { .. }
            | Record::BypassTold { .. }
            | Record::LaunchCalled { .. }
            | Record::AttachCalled { .. }
            | Record::AskCalled { .. }
            | Record::AnswerGiven { .. }
            | Record::SignalCalled { .. }
            | Record::Booted { .. }
            | Record::Bug { .. } => self.effects.push(record.to_string().replace(' ', ":")),
            Record::Forked { .. }
            | Record::Told { .. }
            | Record::SignalTaken { .. }
            | Record::Died { .. }
            | Record::Seen { .. }
            | Record::Stalled { .. }
            | Record::Listed { .. }
            | Record::Said { .. }
            | Record::Reported { .. } => {}
        }
    }

    fn durable(&mut self, seq: Seq, change: &Change, writer: Writer) {
        let name = SessionName::of(change.session.id);
        let before = self.rows.insert(name, change.session.clone());
        let mut word = version(before.as_ref(), change);
        if writer == Writer::Intruder {
            word.push('~');
        }
        let words = self.sessions.entry(name).or_default();
        let is_new_status = change.event.from != Some(change.event.to);
        if is_new_status && !words.is_empty() {
            words.push(format!("> {word}"));
        } else {
            words.push(word);
        }
        let from = change.event.from.map_or("none", Status::as_str);
        let event = format!("{name}.{} {from}>{}", change.event.revision, change.event.to);
        self.events.insert(seq, event);
    }

    /// A wake-up shows everything that was durable and not announced yet.
    fn publish(&mut self, seq: Seq) {
        let fresh = self.events.iter().filter(|(place, _)| **place > self.published);
        let shown = fresh.take_while(|(place, _)| **place <= seq);
        self.bus.extend(shown.map(|(_, event)| event.clone()));
        self.published = self.published.max(seq);
        self.effects.push(format!("pub:{seq}"));
    }
}

/// Returns a version of a row as a word. `!` says that an intent was recorded, `~` (added by the
/// caller) that a second writer did it.
fn version(before: Option<&Session>, change: &Change) -> String {
    let session = &change.session;
    let had_intent = before.is_some_and(|before| before.intent.is_some());
    let mark = if session.intent.is_some() && !had_intent { "!" } else { "" };
    if change.event.from == Some(change.event.to) {
        return format!("+{}{mark}", same_status_word(before, change));
    }
    format!("{}{mark}", status_word(session))
}

/// Returns where a session stands, with the reason where there is one.
#[must_use]
pub fn status_word(session: &Session) -> String {
    let status = session.status();
    let reason = match (status, session.machine.intent(), session.verdict()) {
        (_, _, Some(verdict)) => Some(verdict.outcome()),
        (Status::Completing, Some(intent), None) => Some(intent.as_str()),
        (Status::Completing, None, None) => Some("report"),
        (
            Status::Queued
            | Status::Starting
            | Status::Running
            | Status::WaitingInput
            | Status::Completed
            | Status::Failed
            | Status::Lost,
            _,
            None,
        ) => None,
    };
    reason.map_or_else(|| status.to_string(), |reason| format!("{status}({reason})"))
}

fn same_status_word(before: Option<&Session>, change: &Change) -> String {
    let rung = change.session.machine.rung();
    let climbed = before.is_some_and(|before| before.machine.rung() != rung);
    match (change.event.cause, rung) {
        (Cause::Climbed(rung), _) => signal_word(rung).to_owned(),
        (Cause::Stop(_), Some(rung)) if climbed => signal_word(rung).to_owned(),
        (cause, _) => cause.to_string(),
    }
}
