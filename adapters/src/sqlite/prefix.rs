//! Prefixes of ids, as people type them.

/// Hex digits of a whole id.
const DIGITS_MAX: usize = 32;

/// Hex digits of the short form.
const SHORT_DIGITS: usize = 8;

/// Where the text form has its hyphens, counted in characters from 0.
const HYPHENS_AT: [usize; 4] = [8, 13, 18, 23];

/// One to 32 hex digits, in small letters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Prefix {
    digits: String,
    has_hyphens: bool,
}

impl Prefix {
    /// Reads a prefix of the text of an id, with its hyphens or without any, or `None` when the
    /// text can be the beginning of no id.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let has_hyphens = text.contains('-');
        let fits = |(at, letter): (usize, char)| {
            if has_hyphens && HYPHENS_AT.contains(&at) {
                letter == '-'
            } else {
                letter.is_ascii_hexdigit()
            }
        };
        if text.is_empty() || !text.chars().enumerate().all(fits) {
            return None;
        }
        let digits: String = text
            .chars()
            .filter(char::is_ascii_hexdigit)
            .map(|digit| digit.to_ascii_lowercase())
            .collect();
        (digits.len() <= DIGITS_MAX).then_some(Self { digits, has_hyphens })
    }

    /// Returns the first and the last id that begin like this.
    pub(super) fn range(&self) -> ([u8; 16], [u8; 16]) {
        (self.filled_with(0x0), self.filled_with(0xf))
    }

    /// Returns the first and the last short form that begin like this.
    pub(super) fn short_range(&self) -> Option<(String, String)> {
        let room = SHORT_DIGITS.checked_sub(self.digits.len())?;
        (!self.has_hyphens).then(|| {
            (self.digits.clone() + &"0".repeat(room), self.digits.clone() + &"f".repeat(room))
        })
    }

    fn filled_with(&self, filling: u8) -> [u8; 16] {
        let mut digits = self.digits.bytes().map(|digit| match digit {
            b'0'..=b'9' => digit - b'0',
            _ => digit - b'a' + 10,
        });
        let mut half = || digits.next().unwrap_or(filling);
        [(); 16].map(|()| (half() << 4) | half())
    }
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn beginnings_of_ids_are_read() {
        for (text, first) in [
            ("0", "0"),
            ("019A", "019a"),
            ("0199bbbb", "0199bbbb"),
            ("0199bbbb-", "0199bbbb"),
            ("0199bbbb-c", "0199bbbbc"),
            ("0199bbbb-cccc-7ddd-8eee-ffffffffffff", "0199bbbbcccc7ddd8eeeffffffffffff"),
        ] {
            assert_eq!(Prefix::parse(text).unwrap().digits, first, "{text}");
        }
    }

    #[test]
    fn what_begins_no_id_is_none() {
        for text in [
            "",
            "-",
            "g",
            "0199 ",
            "0199-",
            "0199bbbbc-",
            "0199bbbb--",
            "0199bbbb-cccc7ddd",
            "é199",
            "%",
            "0199bbbbcccc7ddd8eeeffffffffffff0",
            "0199bbbb-cccc-7ddd-8eee-ffffffffffff0",
        ] {
            assert_eq!(Prefix::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_hold_what_begins_alike() {
        let prefix = Prefix::parse("0a1").unwrap();
        let (first, last) = prefix.range();
        assert_eq!((&first[..3], &last[..3]), (&[0x0a, 0x10, 0][..], &[0x0a, 0x1f, 0xff][..]));
        let (first, last) = prefix.short_range().unwrap();
        assert_eq!((&*first, &*last), ("0a100000", "0a1fffff"));
        assert_eq!(Prefix::parse("0a1b2c3d4").unwrap().short_range(), None);
    }
}
