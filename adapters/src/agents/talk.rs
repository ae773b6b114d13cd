//! What is said in many small pieces is put together, so that it can be read and searched.

use candor_core::agent::SAID_BYTES_MAX;

use super::{Item, ItemKind, reading};

/// Bytes that are put together, at most.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Bytes from which on the end of a line of text ends a piece too, so that what is long can be read
/// before it is whole.
const PARAGRAPH_BYTES: usize = 1_024;

/// Puts together what one side says.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// What is being put together.
    piece: Option<Item>,
    /// The end of what was said since something else happened.
    said: String,
}

impl Talk {
    /// Adds to what is said. Returns what is complete by now.
    pub(super) fn add(&mut self, piece: Item) -> Option<Item> {
        if piece.kind == ItemKind::Text {
            self.say(&piece.text);
        }
        let Some(current) = &mut self.piece else {
            self.piece = Some(piece);
            return self.take_if_long();
        };
        let is_same = current.kind == piece.kind && current.role == piece.role;
        if !is_same || current.text.len() + piece.text.len() > PIECE_BYTES_MAX {
            let complete = self.piece.replace(piece);
            return complete;
        }
        current.text.push_str(&piece.text);
        self.take_if_long()
    }

    /// Returns what was being put together, because something else follows.
    pub(super) fn flush(&mut self) -> Option<Item> {
        self.said.clear();
        self.piece.take()
    }

    /// Takes note of what was said in one piece.
    pub(super) fn say(&mut self, text: &str) {
        self.said.push_str(text);
        if self.said.len() > 2 * SAID_BYTES_MAX {
            self.said = reading::last_said(&self.said);
        }
    }

    /// Returns the end of what was said, if anything was.
    pub(super) fn last_said(&self) -> Option<String> {
        (!self.said.is_empty()).then(|| reading::last_said(&self.said))
    }

    fn take_if_long(&mut self) -> Option<Item> {
        let is_long = |piece: &Item| {
            piece.text.len() >= PARAGRAPH_BYTES && piece.text.ends_with('\n')
                || piece.text.len() >= PIECE_BYTES_MAX
        };
        if self.piece.as_ref().is_some_and(is_long) { self.piece.take() } else { None }
    }
}
