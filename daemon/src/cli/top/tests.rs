//! The state alone, told things in every order; and what is drawn of it, as text.

mod frames;
mod races;

use candor_core::status::Status;
use serde_json::{Value, json};

use super::keys::Key;
use super::state::{Effect, Message, State};
use crate::api::{SessionEventView, SessionView, SnapshotView};

/// A session as the daemon tells it. Those with a higher number are newer.
fn session(number: u8, revision: u64, status: &str) -> SessionView {
    serde_json::from_value(session_json(number, revision, status)).unwrap()
}

fn session_json(number: u8, revision: u64, status: &str) -> Value {
    let is_over = ["completed", "failed", "lost"].contains(&status);
    json!({
        "id": id(number), "parent": null, "title": format!("task {number}"),
        "command": ["true"], "cwd": "/work", "status": status,
        "outcome": is_over.then_some(if status == "failed" { "no_report" } else { "succeeded" }), "intent": null, "exit": null, "report": null,
        "evidence": {
            "witness": null, "report_before_intent": null, "rung": null, "spawn": null, "notes": [],
        },
        "revision": revision, "created_at": "2026-01-02T03:04:05.000000Z",
        "started_at": "2026-01-02T03:04:06.000000Z",
        "ended_at": is_over.then_some("2026-01-02T03:05:06.000000Z"), "supervision": null,
        "exit_code": null,
    })
}

fn id(number: u8) -> String {
    format!("01900000-0000-7000-8000-0000000000{number:02x}")
}

/// A session whose agent asks for something.
fn asking(number: u8, revision: u64, command: &str) -> SessionView {
    let mut session = session_json(number, revision, "waiting_input");
    session["requests"] = json!([{
        "id": format!("000000{number:02x}.1"), "number": 1, "state": "open", "tool": "Bash",
        "summary": "a summary", "command": command, "paths": [], "digest": "d1g357",
        "opened_at": "2026-01-02T03:04:07.000000Z", "closed_at": null, "by": null, "message": null,
    }]);
    serde_json::from_value(session).unwrap()
}

fn snapshot(seq: u64, sessions: impl IntoIterator<Item = SessionView>) -> Message {
    let sessions: Vec<SessionView> = sessions.into_iter().collect();
    let mut counts = std::collections::BTreeMap::new();
    for session in &sessions {
        *counts.entry(session.status).or_insert(0) += 1;
    }
    Message::Snapshot(SnapshotView { seq, sessions, counts, next: None })
}

/// An event of a session that was `from` before and is as it is here now.
fn event(seq: u64, from: Option<&str>, session: &SessionView) -> Message {
    let event = json!({
        "seq": seq, "session": session.id, "revision": session.revision,
        "at": "2026-01-02T03:04:06.000000Z", "type": "status_changed", "from": from,
        "to": session.status, "cause": "exited", "by": "daemon", "outcome": session.outcome,
        "view": session,
    });
    Message::Event(Box::new(serde_json::from_value(event).unwrap()))
}

fn removed(seq: u64, number: u8, revision: u64, from: &str) -> Message {
    let event = json!({
        "seq": seq, "session": id(number), "revision": revision,
        "at": "2026-01-02T03:04:06.000000Z", "type": "session_removed", "from": from, "to": null,
        "cause": "removed", "by": "user:1", "outcome": null, "view": null,
    });
    Message::Event(Box::new(serde_json::from_value::<SessionEventView>(event).unwrap()))
}

/// A page that was told these things.
fn told(messages: impl IntoIterator<Item = Message>) -> State {
    let mut state = State::new(80, 24);
    for message in [Message::Connected].into_iter().chain(messages) {
        assert_eq!(state.update(message), None);
    }
    state
}

fn press(state: &mut State, keys: &str) -> Option<Effect> {
    keys.chars().fold(None, |_, key| state.update(Message::Key(Key::Character(key))))
}

/// What is shown: the last two digits of each session and its status, in order.
fn shown(state: &State) -> Vec<(String, Status)> {
    state.shown().map(|row| (row.view.id[34..].to_owned(), row.view.status)).collect()
}

fn counted(state: &State) -> Vec<(Status, u64)> {
    state.counts().filter(|(_, count)| *count > 0).collect()
}
