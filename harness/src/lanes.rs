//! A replay as lanes on one screen: who did what, in which order.

use candor_core::session::Session;

use crate::ghost::{Record, Writer};
use crate::golden::status_word;
use crate::invariants::Violation;
use crate::timeline::names::SessionName;
use crate::trial::Trial;

/// The lanes with their widths, from left to right. The last one ends where the line does.
pub(crate) const LANES: [(&str, usize); 6] =
    [("world", 27), ("clients", 19), ("core", 14), ("store", 24), ("process", 16), ("bus", 0)];

/// The widths of the columns for the number of a choice and for its moment.
const NUMBER_WIDTH: usize = 4;
const MOMENT_WIDTH: usize = 7;

/// Columns of a line, at most; what is longer is cut, so that lanes stay lanes.
const COLUMNS_MAX: usize = 120;

/// Lines of one failure, at most, so that it fits on one screen. The earliest are left out.
const FAILURE_LINES_MAX: usize = 30;

/// Returns what happened in a run, a line or more for each choice: reading to the right is reading
/// on. A dot after a number says that the fair end chose it.
#[must_use]
pub fn render(trial: &Trial) -> String {
    lines(trial, trial.made.len()).into_iter().map(|(line, _)| line + "\n").collect()
}

/// Returns the same for a run that fails, up to the breach, which is marked; on one screen.
#[must_use]
pub fn render_failure(trial: &Trial, breach: &Violation) -> String {
    let last = breach.step.clamp(1, trial.made.len().max(1));
    let mut lines = lines(trial, last);
    let header = if lines.is_empty() { String::new() } else { lines.remove(0).0 };
    for (line, number) in &mut lines {
        if *number == last {
            line.replace_range(..1, "!");
        }
    }
    let hidden = lines.len().saturating_sub(FAILURE_LINES_MAX);
    let mut shown = vec![header];
    if hidden > 0 {
        shown.push(format!("      ({hidden} lines before)"));
    }
    shown.extend(lines.into_iter().skip(hidden).map(|(line, _)| line));
    shown.push(clipped(&format!("!     ^ {}: {}", breach.id, breach.message), COLUMNS_MAX));
    shown.join("\n") + "\n"
}

/// Returns the lines up to a choice, each with the number of its choice. The first names the lanes.
fn lines(trial: &Trial, last: usize) -> Vec<(String, usize)> {
    let mut lines = vec![(line(["", ""], &LANES.map(|(name, _)| name.to_owned())), 0)];
    for number in 0..=last {
        let made = number.checked_sub(1).and_then(|place| trial.made.get(place));
        let (mut margin, mut words) = (["", ""].map(str::to_owned), Words::default());
        if let Some(made) = made {
            margin = [number.to_string(), format!("@{}", made.at_ms)];
            words.put(0, &made.choice.to_string());
            if made.is_fair {
                margin[0].push('.');
            }
        }
        let entries = trial.log.iter().filter(|entry| entry.step == number);
        for (lane, word) in entries.filter_map(|entry| place(&entry.record)) {
            if words.last.is_some_and(|last| last >= lane) {
                lines.push((line([&margin[0], &margin[1]], &words.lanes), number));
                (margin, words) = (["", ""].map(str::to_owned), Words::default());
            }
            words.put(lane, &word);
        }
        if words.last.is_some() {
            lines.push((line([&margin[0], &margin[1]], &words.lanes), number));
        }
    }
    lines
}

/// What stands on one line.
#[derive(Default)]
struct Words {
    lanes: [String; LANES.len()],
    last: Option<usize>,
}

impl Words {
    fn put(&mut self, lane: usize, word: &str) {
        self.lanes[lane].push_str(word);
        self.last = Some(lane);
    }
}

/// Returns one line. A word that is too long takes the room of the lane after it where that is empty,
/// so that the others stay where they are.
fn line([number, moment]: [&str; 2], words: &[String; LANES.len()]) -> String {
    let mut line = format!(" {number:<NUMBER_WIDTH$}{moment}");
    let mut column = 1 + NUMBER_WIDTH + MOMENT_WIDTH;
    for (word, (_, width)) in words.iter().zip(LANES) {
        if !word.is_empty() {
            let length = line.chars().count();
            let gap = column.saturating_sub(length).max(usize::from(length >= column));
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
        }
        column += width;
    }
    clipped(line.trim_end(), COLUMNS_MAX)
}

/// Returns a text with no more letters than that, and a mark where there were more.
pub(crate) fn clipped(text: &str, letters_max: usize) -> String {
    if text.chars().count() <= letters_max {
        return text.to_owned();
    }
    let cut: String = text.chars().take(letters_max - 1).collect();
    format!("{cut}…")
}

/// Returns the lane of a thing that happened and how it is shown there. Nothing is shown of what the
/// choice itself says.
pub(crate) fn place(record: &Record) -> Option<(usize, String)> {
    const CLIENTS: usize = 1;
    const CORE: usize = 2;
    const STORE: usize = 3;
    const PROCESS: usize = 4;
    const BUS: usize = 5;

    match record {
        Record::StoreCalled { .. }
        | Record::LaunchCalled { .. }
        | Record::AttachCalled { .. }
        | Record::AskCalled { .. }
        | Record::AnswerGiven { .. }
        | Record::SignalCalled { .. } => Some((CORE, format!("{record} ->"))),
        Record::Durable { change, writer, .. } => {
            let mark = if *writer == Writer::Intruder { " (second writer)" } else { "" };
            Some((STORE, format!("{}{mark}", row(&change.session))))
        }
        Record::Bypass { .. } => Some((STORE, record.to_string())),
        Record::Forked { .. } | Record::Died { .. } | Record::Seen { .. } => {
            Some((PROCESS, record.to_string()))
        }
        Record::Published { seq } => Some((BUS, format!("pub {seq}"))),
        Record::Connected { .. }
        | Record::Delivered { .. }
        | Record::Shown { .. }
        | Record::Listed { .. }
        | Record::BypassTold { .. }
        | Record::Replied { .. } => Some((CLIENTS, record.to_string())),
        Record::SecondDaemon { .. }
        | Record::Approval { .. }
        | Record::Crashed
        | Record::Left { .. }
        | Record::Bug { .. } => Some((CORE, record.to_string())),
        Record::Asked { .. }
        | Record::Told { .. }
        | Record::SignalTaken { .. }
        | Record::Reported { .. }
        | Record::Stalled { .. }
        | Record::Said { .. }
        | Record::Booted { .. } => None,
    }
}

fn row(session: &Session) -> String {
    let name = SessionName::of(session.id);
    let rung = session.machine.rung().map_or("", |rung| rung.as_str());
    let gap = if rung.is_empty() { "" } else { " rung " };
    format!("{name}.{} {}{gap}{rung}", session.revision(), status_word(session))
}
