//! From bytes to lines: what stands between an output file and a reader.

use candor_core::agent::View;

use super::{Item, LINE_BYTES_MAX, Owed, Place, Reader};

/// Cuts what was printed into lines and hands them to a reader, however they were split.
pub struct Listener {
    reader: Box<dyn Reader>,
    /// Up to where output was taken.
    offset: u64,
    /// The line whose end has not come, as far as it is kept.
    line: Vec<u8>,
    /// Where that line begins.
    begins: u64,
    /// Whether the line that has begun is not to be handed in: it is too long, or its beginning was
    /// dropped.
    skips: bool,
}

impl Listener {
    /// Begins at the beginning of an output.
    #[must_use]
    pub fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader, offset: 0, line: Vec::new(), begins: 0, skips: false }
    }

    /// Returns the offset of the next byte that is to be taken.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the offset up to which whole lines were taken.
    #[must_use]
    pub const fn lines_to(&self) -> u64 {
        self.begins
    }

    /// Takes the bytes that stand at [`offset`](Self::offset). What belongs into the conversation is
    /// appended to `items`.
    pub fn take(&mut self, bytes: &[u8], items: &mut Vec<Item>) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (piece, after) = rest.split_at(end);
            self.offset += end as u64 + 1;
            if self.line.is_empty() && !self.skips && piece.len() <= LINE_BYTES_MAX {
                let place = Place { offset: self.begins, length: piece.len() as u64 };
                self.reader.line(place, piece, items);
            } else {
                self.keep(piece);
                self.end_line(items);
            }
            self.begins = self.offset;
            rest = &after[1..];
        }
        self.offset += rest.len() as u64;
        self.keep(rest);
    }

    /// Goes on behind bytes that were dropped from the output.
    pub fn skip_to(&mut self, offset: u64) {
        if offset > self.offset {
            self.offset = offset;
            self.line = Vec::new();
            self.skips = true;
        }
    }

    /// Takes note that nothing follows. `stderr` is the end of standard error. A last line without
    /// its end is handed in as it is: whether it is torn shows in whether it can be understood.
    pub fn end(&mut self, stderr: &str, items: &mut Vec<Item>) {
        if self.offset > self.begins {
            self.end_line(items);
            self.begins = self.offset;
        }
        self.reader.end(stderr);
        items.extend(self.reader.rest());
    }

    /// Returns what was said so far.
    #[must_use]
    pub fn view(&self) -> &View {
        self.reader.view()
    }

    /// Returns what is to be sent now: see [`Reader::owed`].
    #[must_use]
    pub fn owed(&self) -> Vec<Owed> {
        self.reader.owed()
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.skips {
            return;
        }
        if self.line.len() + piece.len() > LINE_BYTES_MAX {
            self.line = Vec::new();
            self.skips = true;
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    /// Hands in the line that was kept, or says that it was not.
    fn end_line(&mut self, items: &mut Vec<Item>) {
        // Without the end of the line, which the last one may not have.
        let end = self.offset - u64::from(self.offset > self.begins + self.line.len() as u64);
        if std::mem::take(&mut self.skips) {
            let length = end.saturating_sub(self.begins);
            self.reader.oversized_line(Place { offset: self.begins, length });
            return;
        }
        let place = Place { offset: self.begins, length: self.line.len() as u64 };
        self.reader.line(place, &self.line, items);
        // One long line is no reason to keep so much for ever.
        self.line.clear();
        self.line.shrink_to(64 * 1024);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use candor_core::agent::View;
    use proptest::prelude::*;

    use super::{Item, LINE_BYTES_MAX, Listener, Owed, Place, Reader};

    /// What a reader was handed: a line, or that one was too long.
    type Heard = Arc<Mutex<Vec<(Place, Option<Vec<u8>>)>>>;

    #[derive(Default)]
    struct Ear {
        heard: Heard,
        view: View,
    }

    impl Reader for Ear {
        fn line(&mut self, place: Place, line: &[u8], _items: &mut Vec<Item>) {
            self.heard.lock().unwrap().push((place, Some(line.to_vec())));
        }

        fn oversized_line(&mut self, place: Place) {
            self.heard.lock().unwrap().push((place, None));
        }

        fn end(&mut self, _stderr: &str) {}

        fn view(&self) -> &View {
            &self.view
        }

        fn owed(&self) -> Vec<Owed> {
            Vec::new()
        }
    }

    fn listener() -> (Listener, Heard) {
        let heard = Heard::default();
        (Listener::new(Box::new(Ear { heard: Arc::clone(&heard), ..Ear::default() })), heard)
    }

    fn place(offset: u64, length: u64) -> Place {
        Place { offset, length }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_it_is_split(
            text in "[ab\n]{0,60}", cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let bytes = text.as_bytes();
            let (mut listener, heard) = listener();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                listener.take(&bytes[pair[0]..pair[1]], &mut Vec::new());
            }
            listener.end("", &mut Vec::new());
            let mut expected = Vec::new();
            let mut offset = 0;
            for line in text.split_inclusive('\n') {
                let bare = line.trim_end_matches('\n').as_bytes();
                expected.push((place(offset, bare.len() as u64), Some(bare.to_vec())));
                offset += line.len() as u64;
            }
            prop_assert_eq!(&*heard.lock().unwrap(), &expected);
            prop_assert_eq!(listener.offset(), offset);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_what_follows_is_heard() {
        let (mut listener, heard) = listener();
        let long = vec![b'x'; LINE_BYTES_MAX / 2 + 1];
        for _ in 0..2 {
            listener.take(&long, &mut Vec::new());
        }
        listener.take(b"\nshort\n", &mut Vec::new());
        let length = 2 * long.len() as u64;
        assert_eq!(
            *heard.lock().unwrap(),
            [(place(0, length), None), (place(length + 1, 5), Some(b"short".to_vec()))]
        );
    }

    #[test]
    fn a_line_whose_middle_was_dropped_is_told_and_what_follows_is_heard() {
        let (mut listener, heard) = listener();
        listener.take(b"whole\ntor", &mut Vec::new());
        listener.skip_to(100);
        listener.take(b"n\nwhole again\n", &mut Vec::new());
        assert_eq!(
            *heard.lock().unwrap(),
            [
                (place(0, 5), Some(b"whole".to_vec())),
                (place(6, 95), None),
                (place(102, 11), Some(b"whole again".to_vec())),
            ]
        );
    }

    #[test]
    fn a_last_line_without_its_end_is_heard_at_the_end() {
        let (mut listener, heard) = listener();
        listener.take(b"{\"type\"", &mut Vec::new());
        assert!(heard.lock().unwrap().is_empty());
        assert_eq!((listener.lines_to(), listener.offset()), (0, 7));
        listener.end("", &mut Vec::new());
        assert_eq!(*heard.lock().unwrap(), [(place(0, 7), Some(b"{\"type\"".to_vec()))]);
    }
}
