//! A timeline in one word, for a line of a log: `r1-` and letters that survive every terminal.
//!
//! It is derived from the choices and never stored: its dictionary may change with any version, and
//! then older handles are refused. What is to be kept is kept as a file.

use sha2::{Digest as _, Sha256};

use crate::timeline::{BodyLine, Timeline};
use crate::trial::{Timed, schedule_of, timeline_of};

/// What every handle begins with.
pub const PREFIX: &str = "r1-";

/// Letters of a handle, at most; a longer one is no line for a log.
pub const LETTERS_MAX: usize = 600;

/// The alphabet: no letter that looks like another. Source: Crockford's Base32, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Bytes of the check at the end.
const CHECK_BYTES: usize = 2;

/// The byte that ends the words of a choice, and the one that stands for the fair end.
const END: u8 = 0;
const FAIR: u8 = 1;

/// The first byte that stands for a phrase. Below are letters as they are.
const PHRASES_FROM: u8 = 128;

/// Phrases that are one byte; the first that fits counts, so that the longer ones come first.
const PHRASES: [&str; 62] = [
    "user interrupt s1",
    "user launch s1",
    "user launch s",
    "user queue s",
    "user continue s",
    "user kill s",
    "user draft s",
    "user start s",
    "user approve a",
    "user bypass s",
    "write unknown kept s",
    "write unknown lost s",
    "write conflict s",
    "write err s",
    "write ok s1#",
    "write ok s",
    "read err s",
    "read ok s1#",
    "read ok s",
    "spawn ok s1 -> p1",
    "spawn refused s",
    "spawn unknown s",
    "spawn ok s",
    "signal p1 INT ",
    "signal p1 TERM ",
    "signal p1 KILL ",
    "signal p",
    "reports success ",
    "reports error ",
    "exit p1 code ",
    "exit p",
    "reap p1",
    "reap p",
    "report p",
    "request p",
    "attach s",
    "fork s",
    "due s1 ",
    "due s",
    "crash keep",
    "crash lose",
    "crash",
    "boot same",
    "boot other",
    "shutdown",
    "second daemon",
    "connect c",
    "fetch c",
    "show c",
    "drop c",
    "stall c",
    "go c",
    "always_reports",
    "ignored",
    "timeout",
    "linger",
    "kills",
    "opened",
    "closed",
    " after s",
    " lost ",
    " -> p",
];

/// Why a word is no handle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadHandle {
    /// It does not begin as one, or has other letters.
    #[error("it is no handle: a handle is `r1-` and letters and digits")]
    Letters,
    /// Its check does not fit.
    #[error("it is not whole, or of another version of race-sim")]
    Check,
}

/// Returns the handle of a timeline's choices, or `None` where it would be too long.
#[must_use]
pub fn handle_of(timeline: &Timeline) -> Option<String> {
    handle(&schedule_of(timeline), timeline.ends_fair())
}

/// Returns the handle of a schedule, or `None` where it would be too long.
#[must_use]
pub fn handle(schedule: &[Timed], ends_fair: bool) -> Option<String> {
    let mut bytes = Vec::new();
    let mut now_ms = 0;
    for (at_ms, choice) in schedule {
        // A wait is rare, so it is written only where there is one.
        if *at_ms > now_ms {
            bytes.extend(format!("+{} ", at_ms - now_ms).bytes());
            now_ms = *at_ms;
        }
        pack(&choice.to_string(), &mut bytes);
        bytes.push(END);
    }
    if ends_fair {
        bytes.push(FAIR);
    }
    let check = Sha256::digest(&bytes);
    bytes.extend(check.iter().take(CHECK_BYTES));
    let handle = format!("{PREFIX}{}", letters(&bytes));
    (handle.len() <= LETTERS_MAX).then_some(handle)
}

/// Returns the timeline that a handle stands for.
///
/// # Errors
///
/// [`BadHandle`]: tell whoever typed it.
pub fn timeline_of_handle(handle: &str) -> Result<Timeline, BadHandle> {
    let letters = handle.trim().strip_prefix(PREFIX).ok_or(BadHandle::Letters)?;
    let mut bytes = bytes_of(letters).ok_or(BadHandle::Letters)?;
    let check = bytes.split_off(bytes.len().checked_sub(CHECK_BYTES).ok_or(BadHandle::Check)?);
    if !Sha256::digest(&bytes).starts_with(&check) {
        return Err(BadHandle::Check);
    }
    let ends_fair = bytes.last() == Some(&FAIR);
    bytes.truncate(bytes.len() - usize::from(ends_fair));
    let mut schedule = Vec::new();
    let mut now_ms = 0_u64;
    for packed in bytes.split_inclusive(|byte| *byte == END) {
        let words = packed.strip_suffix(&[END]).map(unpack).ok_or(BadHandle::Check)?;
        let (wait, choice) = match words.strip_prefix('+') {
            Some(timed) => timed.split_once(' ').ok_or(BadHandle::Check)?,
            None => ("0", words.as_str()),
        };
        now_ms = now_ms.saturating_add(wait.parse().map_err(|_| BadHandle::Check)?);
        schedule.push((now_ms, choice.parse().map_err(|_| BadHandle::Check)?));
    }
    let mut timeline = timeline_of(Vec::new(), &schedule, ends_fair);
    // As in a file, so that what is wrong with a choice is told with its place.
    let steps = timeline.body.iter_mut().filter_map(|line| match line {
        BodyLine::Step(step) => Some(step),
        BodyLine::Blank | BodyLine::Comment(_) | BodyLine::Fair => None,
    });
    (1..).zip(steps).for_each(|(place, step)| step.line = place);
    Ok(timeline)
}

fn pack(text: &str, bytes: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let known = (PHRASES_FROM..).zip(PHRASES).find(|(_, phrase)| rest.starts_with(phrase));
        if let Some((byte, phrase)) = known {
            bytes.push(byte);
            rest = &rest[phrase.len()..];
        } else {
            // Choices are written in ASCII.
            let (letter, after) = rest.split_at(1);
            bytes.extend(letter.bytes());
            rest = after;
        }
    }
}

fn unpack(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte.checked_sub(PHRASES_FROM).and_then(|place| PHRASES.get(usize::from(place))) {
            Some(phrase) => text.push_str(phrase),
            None => text.push(char::from(*byte)),
        }
    }
    text
}

/// Bits of a letter.
const LETTER_BITS: u32 = 5;

fn letters(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= LETTER_BITS {
            held -= LETTER_BITS;
            text.push(letter(bits >> held));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(letter(bits << (LETTER_BITS - held)));
    }
    text
}

fn letter(bits: u32) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

fn bytes_of(letters: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in letters.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_lowercase())?;
        bits = bits << LETTER_BITS | value as u32;
        held += LETTER_BITS;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BadHandle, LETTERS_MAX, PREFIX, handle_of, timeline_of_handle};
    use crate::random::{Budget, run};
    use crate::timeline::load;

    #[test]
    fn a_handle_leads_back_to_every_timeline_of_the_corpus() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
        for (path, timeline) in load(&[folder]).unwrap() {
            let handle = handle_of(&timeline).unwrap();
            let again = timeline_of_handle(&handle).unwrap();
            assert_eq!(again.identity(), timeline.identity(), "{}", path.display());
            assert!(handle.len() <= LETTERS_MAX, "{handle}");
        }
    }

    #[test]
    fn a_handle_leads_back_to_every_schedule_or_is_not_made() {
        for seed in 0..100 {
            let timeline = run(seed, Budget::DEFAULT).to_timeline();
            let Some(handle) = handle_of(&timeline) else { continue };
            assert!(handle.len() <= LETTERS_MAX);
            assert_eq!(timeline_of_handle(&handle).unwrap().identity(), timeline.identity());
        }
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        let timeline = "timeline 1\n@0 user launch s1\n@+2 write ok s1#1\n...\n".parse().unwrap();
        let handle = handle_of(&timeline).unwrap();
        let shorter = &handle[..handle.len() - 2];
        assert_eq!(timeline_of_handle(shorter), Err(BadHandle::Check));
        assert_eq!(timeline_of_handle(PREFIX), Err(BadHandle::Check));
        assert_eq!(timeline_of_handle("r1-!"), Err(BadHandle::Letters));
        assert_eq!(timeline_of_handle("r2-00"), Err(BadHandle::Letters));
        let typo = handle.replacen(|letter: char| letter.is_ascii_digit(), "z", 3);
        assert!(timeline_of_handle(&typo).is_err(), "{typo}");
        assert_eq!(
            timeline_of_handle(&handle.to_uppercase().replace("R1", "r1")).unwrap().steps().count(),
            2
        );
    }
}
