//! The drawing: lanes from left to right, time downwards, and an arrow for each message.

use std::fmt::Write as _;

use super::escaped;
use crate::invariants::Violation;
use crate::lanes::place;
use crate::trial::Trial;

/// Where each lane begins, in pixels, and what it is called.
const LANES: [(&str, usize); 6] = [
    ("world", 96),
    ("clients", 360),
    ("core", 540),
    ("store", 650),
    ("process", 890),
    ("bus", 1_030),
];

/// The drawing's width, the height of a row, and the width of a letter, in pixels.
const WIDTH: usize = 1_090;
const ROW: usize = 18;
const LETTER: usize = 7;

/// Something that stands in a lane.
struct Item {
    step: usize,
    row: usize,
    lane: usize,
    text: String,
}

impl Item {
    const fn x(&self) -> usize {
        LANES[self.lane].1
    }

    const fn y(&self) -> usize {
        (self.row + 1) * ROW
    }
}

/// Draws a run. The step of the breach is drawn red, and hovering over a step tells what it changes.
pub(super) fn draw(trial: &Trial, breach: Option<&Violation>, changes: &[String]) -> String {
    let items = items(trial);
    let rows = items.last().map_or(1, |item| item.row + 1);
    let height = (rows + 2) * ROW;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Lanes. The table below has the same in words.\"><defs><marker id=\"tip\" \
         viewBox=\"0 0 6 6\" refX=\"5\" refY=\"3\" markerWidth=\"6\" markerHeight=\"6\" \
         orient=\"auto\"><path d=\"M0 0L6 3L0 6\"/></marker></defs>"
    );
    for (name, x) in LANES {
        let _infallible = write!(
            svg,
            "<text class=\"dim\" x=\"{x}\" y=\"13\">{name}</text><line x1=\"{0}\" y1=\"18\" \
             x2=\"{0}\" y2=\"{height}\"/>",
            x - 6
        );
    }
    let bad_step = breach.map(|breach| breach.step);
    for step in 0..=trial.made.len() {
        let change = changes.get(step).map_or("", String::as_str);
        svg.push_str(&group(trial, &items, (step, change), bad_step == Some(step)));
    }
    for (from, to, class) in arrows(&items) {
        svg.push_str(&arrow(&items[from], &items[to], class, bad_step == Some(items[to].step)));
    }
    svg.push_str("</svg>");
    svg
}

/// Places everything: reading to the right is reading on, as far as the lanes allow it.
fn items(trial: &Trial) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut row = 0;
    for step in 0..=trial.made.len() {
        let choice = step.checked_sub(1).and_then(|at| trial.made.get(at));
        let choice = choice.map(|made| (0, made.choice.to_string()));
        let entries = trial.log.iter().filter(|entry| entry.step == step);
        let records = entries.filter_map(|entry| place(&entry.record));
        let mut last = None;
        for (lane, text) in choice.into_iter().chain(records) {
            if last.is_none_or(|last| last >= lane) {
                row += 1;
            }
            last = Some(lane);
            items.push(Item { step, row, lane, text });
        }
    }
    items
}

fn group(trial: &Trial, items: &[Item], (step, change): (usize, &str), is_bad: bool) -> String {
    let own: Vec<&Item> = items.iter().filter(|item| item.step == step).collect();
    let (Some(first), Some(last)) = (own.first(), own.last()) else {
        return String::new();
    };
    let (top, height) = (first.y() - ROW + 5, (last.row - first.row + 1) * ROW);
    let class = if is_bad { " class=\"bad\"" } else { "" };
    let mut group = format!(
        "<g class=\"step\" data-step=\"{step}\"><rect x=\"0\" y=\"{top}\" width=\"{WIDTH}\" \
         height=\"{height}\"/><title>{}</title>",
        escaped(change)
    );
    if let Some(made) = step.checked_sub(1).and_then(|at| trial.made.get(at)) {
        let dot = if made.is_fair { "." } else { "" };
        let y = first.y();
        let _infallible = write!(
            group,
            "<text class=\"dim\" x=\"4\" y=\"{y}\">{step}{dot} @{}</text>",
            made.at_ms
        );
    }
    for item in &own {
        let (x, y, text) = (item.x(), item.y(), escaped(&item.text));
        let _infallible = write!(group, "<text{class} x=\"{x}\" y=\"{y}\">{text}</text>");
    }
    for pair in own.windows(2).filter(|pair| pair[0].row == pair[1].row) {
        let from = pair[0].x() + (pair[0].text.chars().count() + 1) * LETTER;
        let to = pair[1].x() - 4;
        if from < to {
            let y = pair[0].y() - 4;
            let class = if is_bad { " class=\"bad\"" } else { "" };
            let _infallible =
                write!(group, "<path{class} d=\"M{from} {y}H{to}\" marker-end=\"url(#tip)\"/>");
        }
    }
    group + "</g>"
}

/// Returns the arrows that go from one step to a later one: from a call to the choice that answers
/// it, and from an event that is published to each client that is given it.
fn arrows(items: &[Item]) -> Vec<(usize, usize, &'static str)> {
    let mut arrows = Vec::new();
    for (from, item) in items.iter().enumerate() {
        let mut later = items.iter().enumerate().skip(from + 1);
        if let Some(call) = item.text.strip_suffix(" ->") {
            let answers =
                |text: &str| call.split(' ').all(|word| text.split(' ').any(|w| w == word));
            let answer = later.find(|(_, item)| item.lane == 0 && answers(&item.text));
            arrows.extend(answer.map(|(to, _)| (from, to, "answer")));
        } else if let Some(seq) = item.text.strip_prefix("pub ") {
            let ending = format!(" {seq}");
            let is_given = |text: &str| text.starts_with("delivered ") && text.ends_with(&ending);
            let given = later.filter(|(_, item)| is_given(&item.text));
            arrows.extend(given.map(|(to, _)| (from, to, "event")));
        }
    }
    arrows
}

fn arrow(from: &Item, to: &Item, class: &str, is_bad: bool) -> String {
    let (x1, y1) = (from.x() - 3, from.y() - 3);
    let (x2, y2) = (to.x() + (to.text.chars().count() + 1) * LETTER, to.y() - 5);
    let bad = if is_bad { " bad" } else { "" };
    format!(
        "<path class=\"{class}{bad}\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\" \
         marker-end=\"url(#tip)\"/>",
        x1.saturating_sub(40),
        x2 + 40
    )
}
