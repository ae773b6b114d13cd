//! What other pages have got wrong, and what a key may do when.

use candor_core::status::Status::{Completed, Failed, Running, WaitingInput};

use super::super::keys::Key;
use super::super::state::{Action, Effect, Link, Message, Screen};
use super::{asking, counted, event, id, press, removed, session, shown, snapshot, told};
use crate::api::{ResetReason, SnapshotView};

fn at(number: &str, status: candor_core::status::Status) -> (String, candor_core::status::Status) {
    (number.to_owned(), status)
}

#[test]
fn a_list_that_is_overtaken_by_an_event_takes_nothing_back() {
    let running = session(1, 2, "running");
    let done = session(1, 3, "completed");
    let state = told([
        snapshot(2, [running.clone()]),
        event(3, Some("running"), &done),
        // Asked for before the event, and here only now.
        snapshot(2, [running]),
    ]);
    assert_eq!(shown(&state), [at("01", Completed)]);
    assert_eq!(counted(&state), [(Completed, 1)]);
}

#[test]
fn an_event_that_comes_late_or_twice_changes_nothing() {
    let (running, done) = (session(1, 2, "running"), session(1, 3, "completed"));
    let state = told([
        snapshot(3, [done.clone()]),
        event(2, Some("starting"), &running),
        event(3, Some("running"), &done),
        event(2, Some("starting"), &running),
    ]);
    assert_eq!(shown(&state), [at("01", Completed)]);
    assert_eq!(counted(&state), [(Completed, 1)]);
}

#[test]
fn an_event_with_a_later_picture_of_its_session_is_not_taken_back_by_the_next() {
    let (running, done) = (session(1, 2, "running"), session(1, 3, "failed"));
    let mut early = event(2, Some("starting"), &running);
    if let Message::Event(event) = &mut early {
        event.view = Some(done.clone());
    }
    let mut state = told([snapshot(1, [session(1, 1, "starting")]), early]);
    assert_eq!(shown(&state), [at("01", Failed)]);
    state.update(event(3, Some("running"), &done));
    assert_eq!(shown(&state), [at("01", Failed)]);
    assert_eq!(counted(&state), [(Failed, 1)]);
}

#[test]
fn what_has_ended_stays_ended_whatever_is_told() {
    let done = session(1, 3, "completed");
    for revision in [1, 3, 4, 9] {
        let state = told([
            snapshot(3, [done.clone()]),
            event(7, Some("completed"), &session(1, revision, "running")),
            snapshot(8, [session(1, revision, "running")]),
        ]);
        assert_eq!(shown(&state), [at("01", Completed)], "{revision}");
    }
}

#[test]
fn a_session_that_was_removed_does_not_come_back_by_an_older_list() {
    let done = session(1, 3, "completed");
    let list = snapshot(3, [done.clone(), session(2, 2, "running")]);
    let mut state = told([list.clone(), removed(4, 1, 4, "completed"), list]);
    assert_eq!(shown(&state), [at("02", Running)]);
    assert_eq!(counted(&state), [(Running, 1)]);
    // One that is newer than the removal says so itself.
    state.update(snapshot(5, [session(2, 2, "running")]));
    assert_eq!(shown(&state), [at("02", Running)]);
}

#[test]
fn whoever_was_away_knows_nothing_that_is_not_in_the_next_list() {
    let sessions = [session(1, 2, "running"), session(2, 2, "running")];
    let mut state = told([snapshot(4, sessions)]);
    assert_eq!(state.update(Message::Reset(ResetReason::EventsRemoved)), None);
    // One has ended and was removed meanwhile.
    state.update(snapshot(9, [session(2, 3, "completed")]));
    assert_eq!(shown(&state), [at("02", Completed)]);
    // Of another store, places and revisions say nothing beside these.
    state.update(Message::Reset(ResetReason::CursorAhead));
    assert_eq!(shown(&state), []);
    state.update(snapshot(2, [session(2, 2, "running")]));
    assert_eq!(shown(&state), [at("02", Running)]);
}

#[test]
fn sessions_that_are_not_listed_are_counted_all_the_same() {
    let list = SnapshotView {
        seq: 50,
        sessions: vec![session(9, 3, "completed")],
        counts: [(Completed, 10), (Failed, 5)].into(),
        next: Some(id(9)),
    };
    let mut state = told([Message::Snapshot(list)]);
    assert_eq!(counted(&state), [(Completed, 10), (Failed, 5)]);
    state.update(removed(51, 3, 4, "failed"));
    assert_eq!(counted(&state), [(Completed, 10), (Failed, 4)]);
    state.update(event(52, None, &session(10, 1, "running")));
    assert_eq!(counted(&state), [(Running, 1), (Completed, 10), (Failed, 4)]);
}

#[test]
fn nothing_is_shown_as_done_before_the_daemon_tells() {
    let mut state = told([snapshot(2, [session(1, 2, "running")])]);
    assert_eq!(press(&mut state, "i"), Some(Effect::Interrupt(id(1))));
    let pending = |state: &super::State| state.selected_row().unwrap().pending();
    assert_eq!(pending(&state), Some(Action::Interrupt));
    assert_eq!(shown(&state), [at("01", Running)]);
    // The daemon has taken it: that is no event yet.
    state.update(Message::Acted { session: id(1), note: None });
    assert_eq!(pending(&state), Some(Action::Interrupt));
    state.update(event(3, Some("running"), &session(1, 3, "completing")));
    assert_eq!(pending(&state), None);
    // One that is refused waits for nothing.
    assert_eq!(press(&mut state, "i"), Some(Effect::Interrupt(id(1))));
    state.update(Message::Acted { session: id(1), note: Some("no".to_owned()) });
    assert_eq!((pending(&state), state.notice.as_deref()), (None, Some("no")));
}

#[test]
fn a_kill_is_asked_about_and_is_for_what_lives() {
    let list = snapshot(5, [session(1, 2, "running"), session(2, 3, "completed")]);
    let mut state = told([list]);
    assert_eq!(press(&mut state, "Kn"), None);
    assert_eq!(press(&mut state, "Ky"), Some(Effect::Kill(id(1))));
    // It ends while the question stands.
    assert_eq!(press(&mut state, "K"), None);
    state.update(event(6, Some("running"), &session(1, 3, "completed")));
    assert!(matches!(state.screen, Screen::List));
    assert_eq!(press(&mut state, "y"), None);
    // Nothing is asked of what has ended, and nothing where nobody listens.
    assert_eq!(press(&mut state, "i"), None);
    assert_eq!(state.notice.as_deref(), Some("the session has ended"));
    state.update(event(7, None, &session(3, 1, "running")));
    state.update(Message::Key(Key::Home));
    state.update(Message::Lost("gone".to_owned()));
    assert_eq!(state.link, Link::Down("gone".to_owned()));
    assert_eq!(press(&mut state, "i"), None);
    assert_eq!(state.selected_row().unwrap().pending(), None);
}

#[test]
fn a_request_is_approved_once_it_was_shown_to_its_end() {
    let answer = |approved| {
        let (session, digest) = (id(1), "d1g357".to_owned());
        Some(Effect::Answer { session, number: 1, digest, approved })
    };
    let mut state = told([snapshot(3, [asking(1, 3, "ls")])]);
    assert_eq!(press(&mut state, "aa"), answer(true));
    assert_eq!(shown(&state), [at("01", WaitingInput)]);
    assert_eq!(state.selected_row().unwrap().pending(), Some(Action::Approve));
    // What is dangerous stands behind what looks harmless.
    let long = format!("ls {}; rm -rf /", " ".repeat(100_000));
    let mut state = told([snapshot(3, [asking(1, 3, &long)])]);
    assert_eq!(press(&mut state, "aa"), None);
    assert!(state.notice.as_deref().is_some_and(|notice| notice.contains("to its end")));
    let pages = 100_000 / (80 * 22) + 2;
    assert_eq!(press(&mut state, &" ".repeat(pages)), None);
    assert_eq!(press(&mut state, "a"), answer(true));
    // To deny, one need not.
    let mut state = told([snapshot(3, [asking(1, 3, &long)])]);
    assert_eq!(press(&mut state, "dd"), answer(false));
}

#[test]
fn a_request_that_is_closed_meanwhile_is_not_answered() {
    for closed in [session(1, 4, "completed"), session(1, 4, "running")] {
        let mut state = told([snapshot(3, [asking(1, 3, "ls")])]);
        assert_eq!(press(&mut state, "a"), None);
        assert!(matches!(state.screen, Screen::Request(_)));
        state.update(event(4, Some("waiting_input"), &closed));
        assert!(matches!(state.screen, Screen::List));
        assert_eq!(press(&mut state, "a"), None);
        assert_eq!(shown(&state), [at("01", closed.status)]);
    }
    // Another one in its place is shown anew.
    let mut state = told([snapshot(3, [asking(1, 3, "ls")])]);
    press(&mut state, "a");
    let mut other = asking(1, 4, "rm");
    other.requests[0].digest = "0th3r".to_owned();
    state.update(event(4, Some("waiting_input"), &other));
    assert!(matches!(state.screen, Screen::List));
}

#[test]
fn the_selected_session_stays_selected_wherever_it_goes() {
    let list = [session(1, 2, "running"), session(2, 2, "running"), session(3, 2, "running")];
    let mut state = told([snapshot(6, list)]);
    assert_eq!(state.selected, Some(id(3)));
    press(&mut state, "j");
    assert_eq!(state.selected, Some(id(2)));
    state.update(event(7, Some("running"), &session(2, 3, "completed")));
    assert_eq!(
        (state.selected.clone(), shown(&state).pop()),
        (Some(id(2)), Some(at("02", Completed)))
    );
    press(&mut state, "jk");
    assert_eq!(state.selected, Some(id(1)));
    press(&mut state, "/task 3");
    assert_eq!((state.selected.clone(), shown(&state)), (Some(id(3)), vec![at("03", Running)]));
    state.update(Message::Key(Key::Escape));
    assert_eq!(shown(&state).len(), 3);
    state.update(removed(8, 3, 3, "completed"));
    assert_eq!(state.selected, Some(id(1)));
}

#[test]
fn what_is_printed_of_an_output_that_was_left_is_not_shown_in_another() {
    let mut state = told([snapshot(3, [session(1, 2, "running")])]);
    let follow = |generation| Some(Effect::Follow { session: id(1), generation });
    assert_eq!(press(&mut state, "f"), follow(1));
    assert_eq!(press(&mut state, "q"), Some(Effect::Unfollow));
    assert_eq!(press(&mut state, "f"), follow(2));
    for (generation, text) in [(2, "one\ntw"), (1, "old\n"), (2, "o\n")] {
        state.update(Message::Printed { generation, text: text.as_bytes().to_vec() });
    }
    let Screen::Output(output) = &state.screen else { panic!("{:?}", state.screen) };
    assert_eq!(output.lines, ["one", "two"]);
}
