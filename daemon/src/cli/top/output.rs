//! The output of one session, as it is paged through.

use std::collections::VecDeque;

use crate::cli::terminal::clean;

/// Lines that are kept, at most; the oldest go.
const LINES_MAX: usize = 10_000;

/// Bytes of a line, at most. A longer one is cut in two.
const LINE_BYTES_MAX: usize = 4 << 10;

/// What is kept of an output, and which part of it is shown.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) session: String,
    /// Tells it from others that were followed before.
    pub(super) generation: u64,
    pub(super) lines: VecDeque<String>,
    /// The line that has not ended yet.
    partial: Vec<u8>,
    /// Whether older lines are gone.
    pub(super) is_cut: bool,
    /// The line at the top, or `None` where the end is shown, whatever comes.
    top: Option<usize>,
    /// How it ended.
    pub(super) end: Option<String>,
}

impl Output {
    pub(super) const fn new(session: String, generation: u64) -> Self {
        Self {
            session,
            generation,
            lines: VecDeque::new(),
            partial: Vec::new(),
            is_cut: false,
            top: None,
            end: None,
        }
    }

    /// Takes more of it, without anything that a terminal would act on.
    pub(super) fn take(&mut self, text: &[u8]) {
        for &byte in text {
            if byte == b'\n' || self.partial.len() >= LINE_BYTES_MAX {
                self.end_line();
            }
            if byte != b'\n' {
                self.partial.push(byte);
            }
        }
    }

    /// Takes note that nothing more comes.
    pub(super) fn end(&mut self, reason: Option<String>) {
        if !self.partial.is_empty() {
            self.end_line();
        }
        self.end = Some(reason.unwrap_or_else(|| "end of the output".to_owned()));
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        self.lines.push_back(clean(&String::from_utf8_lossy(&line)));
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
            self.is_cut = true;
            self.top = self.top.map(|top| top.saturating_sub(1));
        }
    }

    pub(super) const fn follows(&self) -> bool {
        self.top.is_none()
    }

    /// Returns the lines of the screen, the one that has not ended yet among them.
    pub(super) fn page(&self, page: usize) -> impl Iterator<Item = String> {
        let partial = (!self.partial.is_empty())
            .then(|| clean(&String::from_utf8_lossy(&self.partial)).replace('\n', ""));
        let top = self.top.unwrap_or_else(|| self.count().saturating_sub(page));
        self.lines.iter().cloned().chain(partial).skip(top).take(page)
    }

    /// Returns how many lines there are, the one that has not ended yet among them.
    fn count(&self) -> usize {
        self.lines.len() + usize::from(!self.partial.is_empty())
    }

    pub(super) fn back(&mut self, lines: usize, page: usize) {
        let end = self.count().saturating_sub(page);
        self.top = Some(self.top.unwrap_or(end).saturating_sub(lines));
    }

    pub(super) fn forth(&mut self, lines: usize, page: usize) {
        let end = self.count().saturating_sub(page);
        self.top = self.top.map(|top| top.saturating_add(lines)).filter(|top| *top < end);
    }
}
