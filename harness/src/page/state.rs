//! What a reader sees of the world at one moment: every row, what the daemon has in memory, every
//! process, and what each client has been given.

use std::collections::BTreeMap;

use candor_core::event::Seq;

use crate::ghost::Record;
use crate::golden::status_word;
use crate::replay::Run;
use crate::timeline::names::SessionName;
use crate::world::SessionRest;

/// Everything that can be seen, by the name of the thing.
pub type State = BTreeMap<String, String>;

/// Looks at a run between two choices.
#[must_use]
pub fn state_of(run: &Run) -> State {
    let mut state = State::new();
    let rest = run.world().rest();
    state.insert("daemon".to_owned(), if rest.is_up { "up" } else { "down" }.to_owned());
    let mut events = BTreeMap::new();
    for entry in run.world().log().entries() {
        read(&entry.record, &mut events, &mut state);
    }
    for session in &rest.sessions {
        let name = SessionName::of(session.id());
        state.insert(format!("{name} memory"), memory(session));
    }
    for client in state
        .keys()
        .filter(|key| key.starts_with('c') && !key.contains(' '))
        .cloned()
        .collect::<Vec<_>>()
    {
        let is_connected = rest.clients.iter().any(|other| other.client.to_string() == client);
        if !is_connected && let Some(view) = state.get_mut(&client) {
            view.push_str(", not connected");
        }
    }
    state
}

fn read(record: &Record, events: &mut BTreeMap<Seq, String>, state: &mut State) {
    match record {
        Record::Durable { seq, change, .. } => {
            let name = SessionName::of(change.session.id);
            let revision = change.event.revision;
            let row = format!("{name}.{revision} {}", status_word(&change.session));
            let rung = change.session.machine.rung();
            let rung = rung.map_or_else(String::new, |rung| format!(", rung {rung}"));
            let intent = change.session.machine.intent();
            let intent = intent.map_or_else(String::new, |kind| format!(", intent {kind}"));
            state.insert(format!("{name} row"), format!("{row}{intent}{rung}"));
            events.insert(*seq, row);
        }
        Record::Forked { process, session } => {
            let whose = SessionName::of(*session);
            state.insert(process.to_string(), format!("alive, of {whose}"));
        }
        Record::Died { process, .. } => {
            state.insert(process.to_string(), format!("{record}, not seen yet"));
        }
        Record::Seen { process, .. } => {
            if let Some(told) = state.get_mut(&process.to_string()) {
                *told = format!("{}, seen", told.trim_end_matches(", not seen yet"));
            }
        }
        Record::Connected { client, cursor } => {
            state.insert(client.to_string(), format!("has read up to {cursor}"));
        }
        Record::Delivered { client, seq } => {
            let event = events.get(seq).map_or("?", String::as_str);
            state.insert(client.to_string(), format!("has read up to {seq}: {event}"));
        }
        Record::Shown { client, session, revision, status } => {
            let name = SessionName::of(*session);
            state.insert(format!("{client} shows {name}"), format!("{name}.{revision} {status}"));
        }
        Record::Approval { approval, standing, .. } => {
            state.insert(approval.to_string(), standing.to_string());
        }
        // The lanes show the others.
        _ => {}
    }
}

fn memory(rest: &SessionRest) -> String {
    let marks = [
        (rest.is_blocked, "a change waits for the store"),
        (rest.is_under_way, "a launch or an attach is under way"),
        (rest.has_process, "holds its process"),
    ];
    let mut words = vec![format!("{} at {}", status_word(&rest.session), rest.session.revision())];
    words.extend(marks.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| (*word).to_owned()));
    let deadlines = rest.deadlines.iter();
    words.extend(deadlines.map(|(deadline, at_ms)| format!("{deadline:?} @{at_ms}")));
    words.join(", ")
}
