//! Draws what the state has, and nothing else.

use candor_core::time::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};

use super::state::{Link, Row, Screen, State};
use crate::cli::ls;
use crate::cli::terminal::{clean_line, style_of};

/// Characters of a name, at most. The terminal cuts it further.
const NAME_CHARACTERS_MAX: usize = 500;

/// From so many columns on, notes have a column of their own, then times are shown, then folders.
const COLUMNS_WITH_NOTES: u16 = 60;
const COLUMNS_WITH_TIMES: u16 = 70;
const COLUMNS_WITH_FOLDERS: u16 = 120;

const HELP: [&str; 13] = [
    "up, down, j, k     select a session",
    "page, home, end    select further away",
    "/                  show only what has this word; Esc shows all again",
    "i                  interrupt the session",
    "K                  kill it, after asking",
    "f, Enter           follow what it prints; q goes back",
    "a, d               show what it asks for, then a approves and d denies",
    "?                  this",
    "q, Ctrl-C          leave",
    "",
    "What was asked for stands beside the status until the daemon tells what came of it.",
    "",
    "Any key goes back.",
];

/// Draws the screen. `now` is what times are counted from.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, now: Timestamp) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(head_of(state)), head);
    match &state.screen {
        Screen::List | Screen::Filter | Screen::ConfirmKill(_) => list(frame, body, state, now),
        Screen::Output(output) => {
            let lines = output.page(usize::from(body.height)).map(Line::raw);
            frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), body);
        }
        Screen::Request(asked) => {
            let lines = asked.lines(body.width).into_iter().skip(asked.above);
            let lines = lines.take(usize::from(body.height)).map(Line::raw);
            frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), body);
        }
        Screen::Help => frame.render_widget(Paragraph::new(HELP.map(Line::raw).to_vec()), body),
    }
    frame.render_widget(Paragraph::new(foot_of(state)), foot);
}

fn head_of(state: &State) -> Line<'static> {
    let mut spans = vec![Span::styled("candor", Style::new().add_modifier(Modifier::BOLD))];
    match &state.link {
        Link::Connecting => spans.push(Span::raw("  connecting")),
        Link::Up => {}
        Link::Down(_) => spans.push(Span::styled("  no daemon", Style::new().fg(Color::Red))),
    }
    for (status, count) in state.counts().filter(|(_, count)| *count > 0) {
        spans.push(Span::raw(format!("  {count} ")));
        spans.push(Span::styled(status.as_str(), colour(status)));
    }
    Line::from(spans)
}

fn foot_of(state: &State) -> Line<'static> {
    let plain = |text: String| Line::styled(text, Style::new().add_modifier(Modifier::DIM));
    match &state.screen {
        Screen::Filter => return Line::raw(format!("/{}_", clean_line(&state.filter, 500))),
        Screen::ConfirmKill(id) => {
            return Line::styled(
                format!("kill {}? y kills it, anything else does not", ls::short(id)),
                Style::new().fg(Color::Red),
            );
        }
        Screen::List | Screen::Output(_) | Screen::Request(_) | Screen::Help => {}
    }
    if let Some(notice) = &state.notice {
        return Line::styled(clean_line(notice, 500), Style::new().fg(Color::Yellow));
    }
    match (&state.screen, &state.link) {
        (Screen::Output(output), _) => {
            let how = match (&output.end, output.follows()) {
                (Some(end), _) => clean_line(end, 500),
                (None, true) => "following".to_owned(),
                (None, false) => "G follows again".to_owned(),
            };
            let cut = if output.is_cut { ", older lines are not shown" } else { "" };
            plain(format!("{}  {how}{cut}  q back", ls::short(&output.session)))
        }
        (Screen::Request(asked), _) => {
            let is_whole = asked.is_shown_whole(state.page_of_texts(), state.columns);
            let what = if is_whole { "a approve  d deny" } else { "space more  d deny" };
            plain(format!("{what}  q back"))
        }
        (_, Link::Down(reason)) => plain(clean_line(reason, 500)),
        _ if state.filter.is_empty() => {
            plain("? help  / filter  i interrupt  K kill  f follow  a approve  q quit".to_owned())
        }
        _ => plain(format!("only {:?}: Esc shows all", clean_line(&state.filter, 100))),
    }
}

fn list(frame: &mut Frame<'_>, area: Rect, state: &State, now: Timestamp) {
    let rows: Vec<&Row> = state.shown().collect();
    let has_times = area.width >= COLUMNS_WITH_TIMES;
    let has_folders = area.width >= COLUMNS_WITH_FOLDERS;
    let has_notes = area.width >= COLUMNS_WITH_NOTES;
    let mut widths = vec![Constraint::Length(8), Constraint::Length(13)];
    let mut names = vec!["ID", "STATUS"];
    if has_notes {
        widths.push(Constraint::Length(17));
        names.push("OUTCOME");
    }
    if has_times {
        widths.extend([Constraint::Length(8), Constraint::Length(8)]);
        names.extend(["STARTED", "LASTED"]);
    }
    if has_folders {
        widths.push(Constraint::Length(30));
        names.push("FOLDER");
    }
    widths.push(Constraint::Fill(1));
    names.push("COMMAND");
    let selected = rows.iter().position(|row| Some(&row.view.id) == state.selected.as_ref());
    let mut table_state = TableState::new().with_selected(selected);
    let rows = rows.into_iter().map(|row| row_of(row, now, area.width));
    let table = Table::new(rows, widths)
        .header(TableRow::new(names).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut table_state);
}

fn row_of(row: &Row, now: Timestamp, columns: u16) -> TableRow<'static> {
    let view = &row.view;
    let note = match row.pending() {
        Some(action) => action.pending().to_owned(),
        None if row.open_request().is_some() => "asks: a shows it".to_owned(),
        None => ls::outcome(view),
    };
    let mut cells = vec![
        Cell::from(ls::short(&view.id).to_owned()),
        Cell::from(Span::styled(view.status.as_str(), colour(view.status))),
    ];
    let mut name = ls::name(view);
    if columns >= COLUMNS_WITH_NOTES {
        cells.push(Cell::from(clean_line(&note, NAME_CHARACTERS_MAX)));
    } else if !note.is_empty() {
        name = format!("({note}) {name}");
    }
    if columns >= COLUMNS_WITH_TIMES {
        cells.push(Cell::from(ls::ago(&view.created_at, now)));
        cells.push(Cell::from(ls::lasted(view, now)));
    }
    if columns >= COLUMNS_WITH_FOLDERS {
        cells.push(Cell::from(clean_line(&view.cwd.to_text(), NAME_CHARACTERS_MAX)));
    }
    cells.push(Cell::from(clean_line(&name, NAME_CHARACTERS_MAX)));
    TableRow::new(cells)
}

/// Returns the colour of a status, which is the same as everywhere else.
fn colour(status: candor_core::status::Status) -> Style {
    use anstyle::{AnsiColor, Color as Coloured};

    let colour = match style_of(status).get_fg_color() {
        Some(Coloured::Ansi(AnsiColor::Blue)) => Color::Blue,
        Some(Coloured::Ansi(AnsiColor::Cyan)) => Color::Cyan,
        Some(Coloured::Ansi(AnsiColor::Yellow)) => Color::Yellow,
        Some(Coloured::Ansi(AnsiColor::Green)) => Color::Green,
        Some(Coloured::Ansi(AnsiColor::Red)) => Color::Red,
        Some(Coloured::Ansi(AnsiColor::Magenta)) => Color::Magenta,
        _ => Color::Reset,
    };
    Style::new().fg(colour)
}
