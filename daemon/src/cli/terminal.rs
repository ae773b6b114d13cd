//! What is written to a terminal: text only, whatever an agent or a title has in it.

use std::io::{self, IsTerminal as _, Write};

use anstream::adapter::StripBytes;
use anstyle::{AnsiColor, Style};
use candor_core::status::Status;

/// Returns `text` without anything that a terminal would act on, on one line.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' => '\n',
            '\t' => ' ',
            character if is_control(character) => '\u{fffd}',
            character => character,
        })
        .collect()
}

/// Returns `text` cleaned and cut to one line of at most `width` characters.
pub(super) fn clean_line(text: &str, width: usize) -> String {
    let line = clean(text).replace('\n', " ");
    if line.chars().count() <= width {
        return line;
    }
    let cut: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{cut}…")
}

/// Returns JSON as it may be printed: to a terminal, without anything that it would act on. What is
/// replaced stands in strings only, where the escape means the same.
pub(super) fn json(text: &str) -> String {
    if !io::stdout().is_terminal() {
        return text.to_owned();
    }
    escape(text)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || !is_control(character) {
            escaped.push(character);
            continue;
        }
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units).iter();
        escaped.extend(units.map(|unit| format!("\\u{unit:04x}")));
    }
    escaped
}

/// Control characters, and those that change the direction or hide the presence of text.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Takes an agent's bytes to one of our own outputs: as they are to a file or a pipe, and as text
/// to a terminal.
pub(super) struct OutputWriter<W> {
    output: W,
    /// `None` where the bytes go through as they are.
    filter: Option<TextFilter>,
}

/// Makes text of an agent's bytes, piece by piece.
#[derive(Default)]
pub(super) struct TextFilter {
    sequences: StripBytes,
    /// Whether the last byte was the first half of a C1 control character in UTF-8.
    has_c1_lead: bool,
    /// Whether the last byte that was let through belongs to a character of several bytes.
    is_in_character: bool,
}

/// The first byte of U+0080 to U+009F in UTF-8; the second is the character's own number.
const C1_LEAD: u8 = 0xc2;

impl OutputWriter<io::Stdout> {
    /// Writes to standard output.
    pub(super) fn stdout(raw: bool) -> Self {
        let output = io::stdout();
        let filter = (output.is_terminal() && !raw).then(TextFilter::default);
        Self { output, filter }
    }
}

impl OutputWriter<io::Stderr> {
    /// Writes to standard error.
    pub(super) fn stderr(raw: bool) -> Self {
        let output = io::stderr();
        let filter = (output.is_terminal() && !raw).then(TextFilter::default);
        Self { output, filter }
    }
}

impl<W: Write> OutputWriter<W> {
    /// Writes a piece and flushes it.
    ///
    /// # Errors
    ///
    /// Those of the output; a broken pipe means that the reader has left.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.filter {
            None => self.output.write_all(bytes)?,
            Some(filter) => self.output.write_all(&filter.text_of(bytes))?,
        }
        self.output.flush()
    }
}

impl TextFilter {
    /// Drops escape sequences, and every control character but newline and tab.
    pub(super) fn text_of(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for piece in self.sequences.strip_next(bytes) {
            for &byte in piece {
                if std::mem::take(&mut self.has_c1_lead) {
                    if (0x80..0xa0).contains(&byte) {
                        continue;
                    }
                    text.push(C1_LEAD);
                    self.is_in_character = true;
                }
                match byte {
                    C1_LEAD => self.has_c1_lead = true,
                    b'\n' | b'\t' | 0x20..=0x7e | 0xa0..=0xff => {
                        self.is_in_character = byte >= 0xa0;
                        text.push(byte);
                    }
                    // Continuations of UTF-8 pass; alone they print as nothing or as U+FFFD.
                    0x80..=0x9f if self.is_in_character => text.push(byte),
                    0..=0x1f | 0x7f | 0x80..=0x9f => {}
                }
            }
        }
        text
    }
}

/// Returns the colour that a status is shown in.
pub(super) fn style_of(status: Status) -> Style {
    let colour = match status {
        Status::Queued | Status::Starting => AnsiColor::Blue,
        Status::Running => AnsiColor::Cyan,
        Status::WaitingInput | Status::Completing => AnsiColor::Yellow,
        Status::Completed => AnsiColor::Green,
        Status::Failed => AnsiColor::Red,
        Status::Lost => AnsiColor::Magenta,
    };
    Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::{TextFilter, clean, clean_line, escape};

    #[test]
    fn no_control_character_reaches_a_terminal() {
        for introducer in ["", "\x1b[", "\x1b]", "\x1bP", "\x1b_", "\u{9b}", "\u{9d}"] {
            for byte in 0u8..=0xff {
                let mut bytes = introducer.as_bytes().to_vec();
                bytes.extend([byte, b'a', 7, b'\n']);
                let text = TextFilter::default().text_of(&bytes);
                let shown = String::from_utf8_lossy(&text);
                let bad = shown.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
                assert_eq!(bad, None, "{bytes:?} became {text:?}");
            }
        }
    }

    #[test]
    fn a_control_character_that_is_cut_in_two_is_dropped_too() {
        let mut filter = TextFilter::default();
        let mut text = filter.text_of(b"a\xc2");
        text.extend(filter.text_of(b"\x9b31mb"));
        assert!(!String::from_utf8_lossy(&text).chars().any(char::is_control), "{text:?}");
    }

    #[test]
    fn text_of_any_language_goes_through() {
        let text = "plain\tand\nünïcödé 漢字 🦀 é ¢\n";
        assert_eq!(TextFilter::default().text_of(text.as_bytes()), text.as_bytes());
    }

    #[test]
    fn text_goes_through_wherever_it_is_cut() {
        let text = "a — “quoted” 漢字 🦀 é\n".as_bytes();
        for cut in 0..=text.len() {
            let mut filter = TextFilter::default();
            let mut shown = filter.text_of(&text[..cut]);
            shown.extend(filter.text_of(&text[cut..]));
            assert_eq!(shown, text, "cut at {cut}");
        }
    }

    #[test]
    fn json_for_a_terminal_means_the_same_and_has_no_control_character() {
        let title = "a\u{9b}2J\u{202e}b\u{e0041}c\nd";
        let text = serde_json::to_string(title).unwrap();
        let shown = escape(&text);
        assert!(!shown.chars().any(super::is_control), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), title);
    }

    #[test]
    fn titles_are_shown_as_text_on_one_line() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c"), "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(clean_line("one\ntwo three", 8), "one two…");
    }
}
