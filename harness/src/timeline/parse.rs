//! Reads a timeline, and says in which line it is wrong.

use std::str::FromStr;

use super::{BodyLine, DIVIDER, HeadLine, MAJOR, Moment, Step, Timeline, header};

/// A file that is no timeline.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected there.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl FromStr for Timeline {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        check_ends(text)?;
        let (above, golden) = split(text)?;
        let mut lines = above.lines().zip(1..).map(|(line, number)| (number, line.trim_end()));
        let (_, first) = lines.next().unwrap_or((1, ""));
        check_major(first)?;

        let mut timeline = Self { head: Vec::new(), body: Vec::new(), golden };
        for (number, line) in lines {
            let starts_body = line.starts_with('@') || line.starts_with("...");
            if timeline.body.is_empty() && !starts_body {
                timeline.head.push(head_line(number, line)?);
                continue;
            }
            if timeline.ends_fair() && !line.is_empty() {
                return Err(ParseError::new(number, "nothing may follow `...` but `----`"));
            }
            timeline.body.push(body_line(number, line)?);
        }
        Ok(timeline)
    }
}

/// What is printed is what was read, byte for byte, so that no line may end in another way.
fn check_ends(text: &str) -> Result<(), ParseError> {
    let Some(number) = text.split('\n').position(|line| line.ends_with('\r')) else {
        return Ok(());
    };
    let message =
        "the line ends with CR LF, and LF alone is read: `sed -i 's/\\r$//' FILE` mends it";
    Err(ParseError::new(number + 1, message))
}

/// Parts the golden block, without its divider, from what stands above.
fn split(text: &str) -> Result<(&str, Option<String>), ParseError> {
    let mut start = 0;
    let mut lines = (1..).zip(text.split_inclusive('\n'));
    for (_, line) in &mut lines {
        if line.trim_end() == DIVIDER {
            let second = lines.find(|(_, line)| line.trim_end() == DIVIDER);
            return match second {
                None => Ok((&text[..start], Some(text[start + line.len()..].to_owned()))),
                Some((number, _)) => {
                    let message = format!("a second `{DIVIDER}`: keep one golden block");
                    Err(ParseError::new(number, message))
                }
            };
        }
        start += line.len();
    }
    Ok((text, None))
}

fn check_major(line: &str) -> Result<(), ParseError> {
    let (line, _comment) = cut_comment(line);
    let expected = || {
        let hint = if line.starts_with('{') {
            ": of JSON, a twin is named FILE.jsonl, and a recording is for `race-sim import`"
        } else {
            ""
        };
        ParseError::new(1, format!("expected `timeline {MAJOR}`, found `{line}`{hint}"))
    };
    let major: u32 = line
        .strip_prefix("timeline ")
        .and_then(|major| major.trim().parse().ok())
        .ok_or_else(expected)?;
    if major == MAJOR {
        return Ok(());
    }
    let message = format!("this is version {major} of the format, and only {MAJOR} can be read");
    Err(ParseError::new(1, message))
}

/// Parts a comment, without its `#`, from what stands before it. A `#` inside a word is none.
fn cut_comment(line: &str) -> (&str, Option<String>) {
    let mut from = 0;
    while let Some(found) = line[from..].find('#') {
        let at = from + found;
        if at == 0 || line[..at].ends_with([' ', '\t']) {
            return (line[..at].trim_end(), Some(line[at + 1..].to_owned()));
        }
        from = at + 1;
    }
    (line, None)
}

pub(super) fn head_line(number: usize, line: &str) -> Result<HeadLine, ParseError> {
    let (line, comment) = cut_comment(line);
    match (line.split_once(char::is_whitespace), comment) {
        (None, None) if line.is_empty() => Ok(HeadLine::Blank),
        (None, Some(comment)) if line.is_empty() => Ok(HeadLine::Comment(comment)),
        (Some(("", _)), _) => {
            Err(ParseError::new(number, "expected a key, or `@` and a choice; found a blank"))
        }
        (Some((key, value)), comment) => {
            let value = value.trim_start();
            header::check(key, value)
                .map_err(|error| ParseError::new(number, error.to_string()))?;
            Ok(HeadLine::Entry { key: key.to_owned(), value: value.to_owned(), comment })
        }
        (None, _) => {
            let message = format!("expected a key and its value, or `@` and a choice: `{line}`");
            Err(ParseError::new(number, message))
        }
    }
}

pub(super) fn body_line(number: usize, line: &str) -> Result<BodyLine, ParseError> {
    let (line, comment) = cut_comment(line);
    let fail = |message: String| ParseError::new(number, message);
    match comment {
        None if line.is_empty() => return Ok(BodyLine::Blank),
        Some(comment) if line.is_empty() => return Ok(BodyLine::Comment(comment)),
        None if line == "..." || line == "... fair" => return Ok(BodyLine::Fair),
        None | Some(_) => {}
    }
    if line.starts_with("...") {
        return Err(fail(format!("expected `...`, the only policy there is, found `{line}`")));
    }
    let (moment, choice) = line
        .split_once(char::is_whitespace)
        .ok_or_else(|| fail(format!("expected `@+MS` and a choice, found `{line}`")))?;
    let moment = read_moment(moment)
        .ok_or_else(|| fail(format!("expected `@+MS` or `@MS`, found `{moment}`")))?;
    let choice = choice.parse().map_err(|error: super::BadChoice| fail(error.to_string()))?;
    Ok(BodyLine::Step(Step { line: number, moment, choice, comment }))
}

fn read_moment(word: &str) -> Option<Moment> {
    let word = word.strip_prefix('@')?;
    let digits = word.strip_prefix('+').unwrap_or(word);
    let ms = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
    Some(if word.starts_with('+') { Moment::After(ms) } else { Moment::At(ms) })
}

#[cfg(test)]
mod tests {
    use crate::timeline::{BodyLine, HeadLine, Timeline};

    const TEXT: &str = "\
timeline 1
# A race.
id      A01
from    races.jsonl#A01
future  who knows                            # kept
mutant  M01 violates INV-01,INV-05

@0      user launch s1
# the order that matters
@+2     write ok s1#1                        # stored
@+10000 spawn ok s1 -> p1

...
----
s1   starting
";

    #[test]
    fn the_canonical_form_is_printed_as_it_was_read() {
        let timeline: Timeline = TEXT.parse().unwrap();
        assert_eq!(timeline.to_string(), TEXT);
        assert_eq!(timeline.id(), "A01");
        assert_eq!(timeline.values("mutant").collect::<Vec<_>>(), ["M01 violates INV-01,INV-05"]);
        assert_eq!(timeline.steps().count(), 3);
        assert_eq!(timeline.steps().nth(1).unwrap().line, 10);
        assert!(timeline.ends_fair());
        assert!(matches!(&timeline.head[3], HeadLine::Entry { key, .. } if key == "future"));
        assert!(matches!(&timeline.body[1], BodyLine::Comment(text) if text.contains("order")));
    }

    #[test]
    fn the_identity_is_of_the_choices_alone() {
        let identity = |text: &str| text.parse::<Timeline>().unwrap().identity();
        let same = TEXT.replace("A01", "A02").replace("# stored", "# kept").replace("@0 ", "@+0 ");
        assert_eq!(identity(TEXT), identity(&same));
        assert_ne!(identity(TEXT), identity(&TEXT.replace("@+2 ", "@+3 ")));
        assert_ne!(identity(TEXT), identity(&TEXT.replace("\n...\n", "\n")));
        assert_eq!(identity(TEXT).len(), 64);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, message) in [
            ("", "line 1: expected `timeline 1`, found ``"),
            ("timeline 2\n", "line 1: this is version 2 of the format, and only 1 can be read"),
            ("timeline x\n", "line 1: expected `timeline 1`, found `timeline x`"),
            ("timeline 1\nid\n", "line 2: expected a key and its value, or `@` and a choice: `id`"),
            ("timeline 1\nexpect good\n", "line 2: expected `pass`, or `violates` and ids"),
            ("timeline 1\nmutant M01\n", "line 2: expected a mutant and what it breaks"),
            ("timeline 1\n\n@0 jump\n", "line 3: expected one of user"),
            ("timeline 1\n@0\n", "line 2: expected `@+MS` and a choice, found `@0`"),
            ("timeline 1\n@++1 crash\n", "line 2: expected `@+MS` or `@MS`, found `@++1`"),
            ("timeline 1\n@0 crash\ncrash now\n", "line 3: expected `@+MS` or `@MS`"),
            ("timeline 1\n...\n@0 crash\n", "line 3: nothing may follow `...` but `----`"),
            ("timeline 1\n@0 crash\n----\nend\n----\n", "line 5: a second `----`: keep one golden"),
            ("timeline 1\nid a\r\n", "line 2: the line ends with CR LF, and LF alone is read"),
            ("timeline 1\nmutant M99 violates INV-05\n", "line 2: there is no mutant `M99`"),
            ("timeline 1\nexpect violates INV-77\n", "line 2: there is no invariant `INV-77`"),
            ("{\"v\":1}", "line 1: expected `timeline 1`, found `{\"v\":1}`: of JSON, a twin"),
            ("timeline 1\n... bfs\n", "line 2: expected `...`, the only policy there is"),
        ] {
            let error = text.parse::<Timeline>().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
