//! Frames as text.

use candor_core::time::Timestamp;
use expect_test::{Expect, expect};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::state::{Message, State};
use super::super::view::draw;
use super::{asking, event, press, session, snapshot, told};

#[track_caller]
fn check(state: &State, columns: u16, lines: u16, expected: &Expect) {
    let now: Timestamp = "2026-01-02T04:00:00Z".parse().unwrap();
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| draw(frame, state, now)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for line in buffer.content.chunks(usize::from(columns)) {
        let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        text += line.trim_end();
        text.push('\n');
    }
    expected.assert_eq(&text);
}

fn some() -> State {
    let mut odd = session(4, 3, "failed");
    odd.title = Some("a\u{1b}[31m \u{202e}title\nof two".to_owned());
    told([snapshot(
        9,
        [session(1, 2, "running"), asking(2, 3, "rm -rf build"), session(3, 3, "completed"), odd],
    )])
}

#[test]
fn a_list() {
    check(
        &some(),
        80,
        9,
        &expect![[r#"
            candor  1 running  1 waiting_input  1 completed  1 failed
            ID       STATUS        OUTCOME           STARTED  LASTED   COMMAND
            00000002 waiting_input asks: a shows it  55m 55s  55m 54s  task 2
            00000001 running                         55m 55s  55m 54s  task 1
            00000004 failed        no_report         55m 55s  1m 0s    a�[31m �title of two
            00000003 completed     succeeded         55m 55s  1m 0s    task 3


            ? help  / filter  i interrupt  K kill  f follow  a approve  q quit
        "#]],
    );
}

#[test]
fn a_narrow_list() {
    check(
        &some(),
        40,
        6,
        &expect![[r#"
            candor  1 running  1 waiting_input  1 co
            ID       STATUS        COMMAND
            00000002 waiting_input (asks: a shows it
            00000001 running       task 1
            00000004 failed        (no_report) a�[31
            ? help  / filter  i interrupt  K kill  f
        "#]],
    );
}

#[test]
fn a_wide_list_with_what_was_asked_for() {
    let mut state = some();
    press(&mut state, "ji");
    check(
        &state,
        130,
        6,
        &expect![[r#"
            candor  1 running  1 waiting_input  1 completed  1 failed
            ID       STATUS        OUTCOME           STARTED  LASTED   FOLDER                         COMMAND
            00000002 waiting_input asks: a shows it  55m 55s  55m 54s  /work                          task 2
            00000001 running       interrupt asked…  55m 55s  55m 54s  /work                          task 1
            00000004 failed        no_report         55m 55s  1m 0s    /work                          a�[31m �title of two
            ? help  / filter  i interrupt  K kill  f follow  a approve  q quit
        "#]],
    );
}

#[test]
fn a_list_without_a_daemon() {
    let mut state = some();
    state.update(Message::Lost("no daemon runs".to_owned()));
    check(
        &state,
        80,
        6,
        &expect![[r#"
            candor  no daemon  1 running  1 waiting_input  1 completed  1 failed
            ID       STATUS        OUTCOME           STARTED  LASTED   COMMAND
            00000002 waiting_input asks: a shows it  55m 55s  55m 54s  task 2
            00000001 running                         55m 55s  55m 54s  task 1
            00000004 failed        no_report         55m 55s  1m 0s    a�[31m �title of two
            no daemon runs
        "#]],
    );
}

#[test]
fn a_question_before_a_kill() {
    let mut state = some();
    press(&mut state, "K");
    check(
        &state,
        80,
        4,
        &expect![[r#"
        candor  1 running  1 waiting_input  1 completed  1 failed
        ID       STATUS        OUTCOME           STARTED  LASTED   COMMAND
        00000002 waiting_input asks: a shows it  55m 55s  55m 54s  task 2
        kill 00000002? y kills it, anything else does not
    "#]],
    );
}

#[test]
fn a_word_to_look_for() {
    let mut state = some();
    press(&mut state, "/task");
    check(
        &state,
        80,
        6,
        &expect![[r#"
        candor  1 running  1 waiting_input  1 completed  1 failed
        ID       STATUS        OUTCOME           STARTED  LASTED   COMMAND
        00000002 waiting_input asks: a shows it  55m 55s  55m 54s  task 2
        00000001 running                         55m 55s  55m 54s  task 1
        00000003 completed     succeeded         55m 55s  1m 0s    task 3
        /task_
    "#]],
    );
}

#[test]
fn a_request() {
    let mut state = told([snapshot(3, [asking(1, 3, "echo \u{202e}a\u{1b}[2J\nrm -rf /")])]);
    state.update(Message::Resized(30, 8));
    press(&mut state, "a");
    check(
        &state,
        30,
        8,
        &expect![[r#"
        candor  1 waiting_input
        00000001.1 asks for Bash
        sha256 d1g357
        20 characters

        echo �a�[2J
        rm -rf /
        a approve  d deny  q back
    "#]],
    );
    press(&mut state, "  ");
    check(
        &state,
        30,
        8,
        &expect![[r#"
        candor  1 waiting_input
        00000001.1 asks for Bash
        sha256 d1g357
        20 characters

        echo �a�[2J
        rm -rf /
        a approve  d deny  q back
    "#]],
    );
}

#[test]
fn an_output() {
    let mut state = some();
    state.update(Message::Resized(80, 6));
    press(&mut state, "f");
    let text: String = (1..=9).map(|line| format!("line {line}\n")).collect();
    state.update(Message::Printed { generation: 1, text: format!("{text}not at its en").into() });
    check(
        &state,
        80,
        6,
        &expect![[r#"
        candor  1 running  1 waiting_input  1 completed  1 failed
        line 7
        line 8
        line 9
        not at its en
        00000002  following  q back
    "#]],
    );
    press(&mut state, "k");
    state.update(Message::Printed { generation: 1, text: b"d\nmore\n".to_vec() });
    check(
        &state,
        80,
        6,
        &expect![[r#"
            candor  1 running  1 waiting_input  1 completed  1 failed
            line 6
            line 7
            line 8
            line 9
            00000002  G follows again  q back
        "#]],
    );
    press(&mut state, "G");
    state.update(Message::OutputEnded { generation: 1, reason: None });
    state.update(event(10, Some("running"), &session(1, 3, "completed")));
    check(
        &state,
        80,
        6,
        &expect![[r#"
        candor  1 waiting_input  2 completed  1 failed
        line 8
        line 9
        not at its end
        more
        00000002  end of the output  q back
    "#]],
    );
}

#[test]
fn the_help() {
    let mut state = some();
    press(&mut state, "?");
    check(
        &state,
        84,
        15,
        &expect![[r#"
        candor  1 running  1 waiting_input  1 completed  1 failed
        up, down, j, k     select a session
        page, home, end    select further away
        /                  show only what has this word; Esc shows all again
        i                  interrupt the session
        K                  kill it, after asking
        f, Enter           follow what it prints; q goes back
        a, d               show what it asks for, then a approves and d denies
        ?                  this
        q, Ctrl-C          leave

        What was asked for stands beside the status until the daemon tells what came of it.

        Any key goes back.
        ? help  / filter  i interrupt  K kill  f follow  a approve  q quit
    "#]],
    );
}

#[test]
fn a_terminal_of_hardly_any_size_is_drawn_without_a_panic() {
    let mut state = some();
    for (columns, lines) in [(1, 1), (2, 2), (3, 40), (40, 3)] {
        state.update(Message::Resized(columns, lines));
        for keys in ["", "f", "q", "ja", "q", "?", "?", "K", "n"] {
            press(&mut state, keys);
            let now: Timestamp = "2026-01-02T04:00:00Z".parse().unwrap();
            let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
            terminal.draw(|frame| draw(frame, &state, now)).unwrap();
            let area = terminal.backend().buffer().area;
            assert_eq!((area.width, area.height), (columns, lines));
        }
    }
}
