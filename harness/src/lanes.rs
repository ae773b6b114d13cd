//! A replay as lanes on one screen: who did what, in which order.

use candor_core::session::Session;

use crate::ghost::{Entry, Record, Writer};
use crate::golden::status_word;
use crate::timeline::names::SessionName;
use crate::timeline::{Step, Timeline};

/// The lanes with their widths, from left to right. The last one ends where the line does.
const LANES: [(&str, usize); 5] =
    [("world", 34), ("core", 16), ("store", 32), ("process", 20), ("bus and replies", 0)];

/// The width of the column for the moment.
const MOMENT_WIDTH: usize = 9;

/// Returns what happened in a replay, a line for each thing, under the choice that led to it.
#[must_use]
pub fn render(timeline: &Timeline, log: &[Entry]) -> String {
    let mut text = format!("{}  {}\n\n", timeline.id(), timeline.title());
    text.push_str(&line("", &LANES.map(|(name, _)| name)));
    let steps: Vec<&Step> = timeline.steps().collect();
    let last = log.last().map_or(0, |entry| entry.step).max(steps.len());
    for number in 0..=last {
        let entries: Vec<&Entry> = log.iter().filter(|entry| entry.step == number).collect();
        let moment = entries.first().map_or_else(String::new, |entry| format!("@{}", entry.at_ms));
        if let Some(step) = number.checked_sub(1) {
            let choice = steps
                .get(step)
                .map_or_else(|| "... (fair)".to_owned(), |step| step.choice.to_string());
            text.push_str(&line(&moment, &[&choice, "", "", "", ""]));
        }
        for entry in entries {
            if let Some((lane, word)) = place(&entry.record) {
                let mut words = [""; LANES.len()];
                words[lane] = &word;
                text.push_str(&line("", &words));
            }
        }
    }
    text
}

fn line(moment: &str, words: &[&str; LANES.len()]) -> String {
    let words = words.iter().zip(LANES).map(|(word, (_, width))| {
        let gap = if word.chars().count() >= width { " " } else { "" };
        format!("{word:<width$}{gap}")
    });
    let line: String = words.collect();
    format!("{}\n", format!("{moment:<MOMENT_WIDTH$}{line}").trim_end())
}

/// Returns the lane of a thing that happened and how it is shown there. Nothing is shown of what the
/// choice itself says.
fn place(record: &Record) -> Option<(usize, String)> {
    const CORE: usize = 1;
    const STORE: usize = 2;
    const PROCESS: usize = 3;
    const BUS: usize = 4;

    match record {
        Record::StoreCalled { .. }
        | Record::LaunchCalled { .. }
        | Record::AttachCalled { .. }
        | Record::SignalCalled { .. } => Some((CORE, format!("{record} ->"))),
        Record::Durable { change, writer, .. } => {
            let mark = if *writer == Writer::Intruder { " (second writer)" } else { "" };
            Some((STORE, format!("{}{mark}", row(&change.session))))
        }
        Record::Bypass { .. } => Some((STORE, record.to_string())),
        Record::Forked { .. } | Record::Died { .. } | Record::Seen { .. } => {
            Some((PROCESS, record.to_string()))
        }
        Record::Published { .. }
        | Record::Connected { .. }
        | Record::Delivered { .. }
        | Record::Shown { .. }
        | Record::Listed { .. }
        | Record::BypassTold { .. }
        | Record::Replied { .. } => Some((BUS, record.to_string())),
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
