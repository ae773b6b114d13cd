//! A request of an agent, as it is shown before it is answered.

use super::state::Effect;
use crate::api::RequestView;
use crate::cli::terminal::clean;

/// What is shown, and how far.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) session: String,
    pub(super) request: RequestView,
    /// Lines that were scrolled over.
    pub(super) above: usize,
}

impl Asked {
    pub(super) const fn new(session: String, request: RequestView) -> Self {
        Self { session, request, above: 0 }
    }

    /// Says whether this is what was shown.
    pub(super) fn is_about(&self, request: &RequestView) -> bool {
        self.request.number == request.number && self.request.digest == request.digest
    }

    /// Returns all of it as lines of at most so many columns. Nothing of it is left out: what is
    /// approved is all of it.
    pub(super) fn lines(&self, columns: u16) -> Vec<String> {
        let request = &self.request;
        let asked = request.command.as_ref().unwrap_or(&request.summary);
        let mut lines = vec![
            format!("{} asks for {}", request.id, clean(&request.tool)),
            format!("sha256 {}", request.digest),
            format!("{} characters", asked.chars().count()),
        ];
        for path in &request.paths {
            lines.push(format!("path {}", clean(path).replace('\n', "\u{fffd}")));
        }
        lines.push(String::new());
        lines.extend(clean(asked).lines().map(str::to_owned));
        lines.iter().flat_map(|line| wrapped(line, columns)).collect()
    }

    /// Says whether the last line is on the screen.
    pub(super) fn is_shown_whole(&self, page: usize, columns: u16) -> bool {
        self.above + page >= self.lines(columns).len()
    }

    pub(super) fn back(&mut self, lines: usize, columns: u16) -> Option<Effect> {
        let last = self.lines(columns).len();
        self.above = self.above.min(last).saturating_sub(lines);
        None
    }

    /// Scrolls on, and never over a line that was not on the screen.
    pub(super) fn forth(&mut self, lines: usize, page: usize, columns: u16) -> Option<Effect> {
        let last = self.lines(columns).len().saturating_sub(page);
        self.above = self.above.saturating_add(lines.min(page)).min(last);
        None
    }
}

/// Cuts a line where a terminal of so many columns would. A wide character counts for two.
pub(super) fn wrapped(line: &str, columns: u16) -> Vec<String> {
    let columns = usize::from(columns).max(2);
    let (mut lines, mut current, mut used) = (Vec::new(), String::new(), 0);
    for character in line.chars() {
        let mut text = [0; 4];
        let width = ratatui::text::Span::raw(&*character.encode_utf8(&mut text)).width();
        if used + width > columns {
            lines.push(std::mem::take(&mut current));
            used = 0;
        }
        current.push(character);
        used += width;
    }
    lines.push(current);
    lines
}
