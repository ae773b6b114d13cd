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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agents::{Place, Role};

    fn piece(kind: ItemKind, text: &str) -> Item {
        Item::new(Place::default(), Role::Assistant, kind, text.to_owned())
    }

    #[test]
    fn a_long_text_is_told_by_the_paragraph() {
        let mut talk = Talk::default();
        let line = format!("{}\n", "a".repeat(PARAGRAPH_BYTES / 2));
        assert_eq!(talk.add(piece(ItemKind::Text, &line)), None);
        let told = talk.add(piece(ItemKind::Text, &line)).unwrap();
        assert_eq!(told.text, line.repeat(2));
        assert_eq!(talk.flush(), None);
    }

    #[test]
    fn what_is_thought_and_what_is_said_are_two_things() {
        let mut talk = Talk::default();
        assert_eq!(talk.add(piece(ItemKind::Thinking, "hm")), None);
        assert_eq!(talk.add(piece(ItemKind::Text, "Hello")).unwrap().text, "hm");
        assert_eq!(talk.last_said().as_deref(), Some("Hello"));
        assert_eq!(talk.flush().unwrap().text, "Hello");
        assert_eq!(talk.last_said(), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_piece_grows_without_end(
            pieces in prop::collection::vec((0_usize..4_000, "[aé]", "\n?"), 0..12),
        ) {
            let texts = pieces.iter().map(|(count, of, end)| of.repeat(*count) + end);
            let texts: Vec<String> = texts.collect();
            let mut talk = Talk::default();
            let mut told = String::new();
            for text in &texts {
                if let Some(item) = talk.add(piece(ItemKind::Text, text)) {
                    told.push_str(&item.text);
                }
                let held = talk.piece.as_ref().map_or(0, |piece| piece.text.len());
                prop_assert!(held <= PIECE_BYTES_MAX);
                prop_assert!(talk.said.len() <= 2 * SAID_BYTES_MAX);
            }
            let all = texts.concat();
            prop_assert_eq!(talk.last_said().unwrap_or_default(), reading::last_said(&all));
            told.extend(talk.flush().map(|item| item.text));
            prop_assert_eq!(told, all);
        }
    }
}
