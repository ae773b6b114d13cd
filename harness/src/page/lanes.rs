//! The drawing: lanes from left to right, time downwards, and an arrow for each message.

use std::fmt::Write as _;

use super::escaped;
use crate::invariants::Violation;
use crate::lanes::{LANES, clipped, place};
use crate::trial::Trial;

/// Where the first lane begins, how wide a lane is at least, the gap to the next, the height of a
/// row, and the width of a letter, in pixels.
const LEFT: usize = 96;
const LANE_MIN: usize = 56;
const GAP: usize = 30;
const ROW: usize = 18;
const LETTER: usize = 7;

/// Letters of a text, at most: what is cut stands in the step's tooltip and in the table.
const LETTERS_MAX: usize = 42;

/// Something that stands in a lane.
struct Item {
    step: usize,
    row: usize,
    lane: usize,
    text: String,
}

impl Item {
    const fn y(&self) -> usize {
        (self.row + 1) * ROW
    }

    fn is_cut(&self) -> bool {
        self.text.chars().count() > LETTERS_MAX
    }

    fn shown(&self) -> String {
        clipped(&self.text, LETTERS_MAX)
    }

    fn width(&self) -> usize {
        self.shown().chars().count() * LETTER
    }
}

/// Where everything stands.
struct Drawing<'a> {
    trial: &'a Trial,
    items: Vec<Item>,
    /// Where each lane begins.
    lanes: [usize; LANES.len()],
    width: usize,
    /// The step of the breach, if there is one.
    bad_step: Option<usize>,
}

/// Draws a run. The step of the breach is drawn red, and hovering over a step tells what it changes.
///
/// Behind is what can be pointed at, then the arrows, then the texts, so that no arrow crosses one.
pub(super) fn draw(trial: &Trial, breach: Option<&Violation>, changes: &[String]) -> String {
    let drawing = Drawing::of(trial, breach.map(|breach| breach.step));
    let Drawing { items, lanes, width, .. } = &drawing;
    let rows = items.last().map_or(1, |item| item.row + 1);
    let height = (rows + 1) * ROW;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Lanes. The table below has the same in words.\"><defs><marker id=\"tip\" \
         viewBox=\"0 0 6 6\" refX=\"5\" refY=\"3\" markerWidth=\"7\" markerHeight=\"7\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L6 3L0 6\"/></marker></defs>"
    );
    for ((name, _), x) in LANES.iter().zip(lanes) {
        let _infallible = write!(
            svg,
            "<text class=\"dim\" x=\"{x}\" y=\"13\">{name}</text><line x1=\"{0}\" y1=\"18\" \
             x2=\"{0}\" y2=\"{height}\"/>",
            x - 6
        );
    }
    let steps = 0..=trial.made.len();
    for step in steps.clone() {
        svg.push_str(&drawing.ground(step, changes.get(step).map_or("", String::as_str)));
    }
    for (from, to, class) in arrows(items) {
        svg.push_str(&drawing.arrow(&items[from], &items[to], class));
    }
    steps.for_each(|step| svg.push_str(&drawing.texts(step)));
    svg.push_str("</svg>");
    svg
}

impl<'a> Drawing<'a> {
    fn of(trial: &'a Trial, bad_step: Option<usize>) -> Self {
        let items = items(trial);
        let mut lanes = [LEFT; LANES.len()];
        let mut x = LEFT;
        for (lane, place) in lanes.iter_mut().enumerate() {
            *place = x;
            let own = items.iter().filter(|item| item.lane == lane);
            x += own.map(Item::width).max().unwrap_or(0).max(LANE_MIN) + GAP;
        }
        Self { trial, items, lanes, width: x - GAP + 6, bad_step }
    }

    fn own(&self, step: usize) -> Vec<&Item> {
        self.items.iter().filter(|item| item.step == step).collect()
    }

    /// What can be pointed at: a bar behind all rows of a step.
    fn ground(&self, step: usize, change: &str) -> String {
        let own = self.own(step);
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return String::new();
        };
        let (top, height) = (first.y() - ROW + 5, (last.row - first.row + 1) * ROW);
        let cut = own.iter().filter(|item| item.is_cut()).map(|item| item.text.as_str());
        let told: Vec<_> = cut.chain([change]).filter(|told| !told.is_empty()).collect();
        format!(
            "<g class=\"step\" data-step=\"{step}\"><rect x=\"0\" y=\"{top}\" width=\"{}\" \
             height=\"{height}\"/><title>{}</title></g>",
            self.width,
            escaped(&told.join("; "))
        )
    }

    /// The words of a step, and the arrows within its rows.
    fn texts(&self, step: usize) -> String {
        let own = self.own(step);
        let Some(first) = own.first() else {
            return String::new();
        };
        let class = if self.bad_step == Some(step) { " class=\"bad\"" } else { "" };
        let mut group = format!("<g class=\"words\" data-step=\"{step}\">");
        if let Some(made) = step.checked_sub(1).and_then(|at| self.trial.made.get(at)) {
            let dot = if made.is_fair { "." } else { "" };
            let _infallible = write!(
                group,
                "<text class=\"dim\" x=\"4\" y=\"{}\">{step}{dot} @{}</text>",
                first.y(),
                made.at_ms
            );
        }
        for item in &own {
            let (x, y, text) = (self.lanes[item.lane], item.y(), escaped(&item.shown()));
            let _infallible = write!(group, "<text{class} x=\"{x}\" y=\"{y}\">{text}</text>");
        }
        for pair in own.windows(2).filter(|pair| pair[0].row == pair[1].row) {
            let from = self.lanes[pair[0].lane] + pair[0].width() + LETTER;
            let to = self.lanes[pair[1].lane] - 4;
            let y = pair[0].y() - 4;
            let _infallible =
                write!(group, "<path{class} d=\"M{from} {y}H{to}\" marker-end=\"url(#tip)\"/>");
        }
        group + "</g>"
    }

    /// An arrow to a later step, of which it is a part.
    fn arrow(&self, from: &Item, to: &Item, class: &str) -> String {
        let (x1, y1) = (self.lanes[from.lane] - 3, from.y() - 3);
        let (x2, y2) = (self.lanes[to.lane] + to.width() + LETTER, to.y() - 5);
        let bad = if self.bad_step == Some(to.step) { " bad" } else { "" };
        format!(
            "<path class=\"{class}{bad}\" data-step=\"{}\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} \
             {y2}\" marker-end=\"url(#tip)\"/>",
            to.step,
            x1.saturating_sub(40),
            x2 + 40
        )
    }
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
