//! The twin of a timeline for machines: one JSON object a line, and nothing that the text does not
//! hold. Either can be made of the other without a loss, byte for byte.
//!
//! ```text
//! {"v":1,"k":"timeline","head":[{"key":"id","value":"A01"},{"comment":" why"},{}]}
//! {"k":"choice","t":0,"do":["user","launch","s1"]}
//! {"k":"choice","t":2,"after":2,"do":["write","ok","s1#1"],"comment":" stored"}
//! {"k":"comment","text":" the order that matters"}
//! {"k":"blank"}
//! {"k":"fair"}
//! {"k":"golden","text":"s1   starting\n"}
//! ```
//!
//! `t` is the moment from the beginning in milliseconds. `after` stands where the text says `@+MS`;
//! without it the text says `@MS`. An object of `head` without a key is a comment, and an empty one
//! an empty line.

use serde::{Deserialize, Serialize};

use super::parse::{ParseError, body_line, head_line};
use super::{BodyLine, HeadLine, Moment, Step, Timeline};

/// The version of this form.
pub const VERSION: u32 = 1;

/// What the first line says that the file is.
const KIND: &str = "timeline";

/// A timeline that was read from its twin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Twin {
    /// What the whole lines say.
    pub timeline: Timeline,
    /// The last line, counted from 1, where whoever wrote it did not get to its end. It is left out.
    pub torn: Option<usize>,
}

impl Twin {
    /// Returns the timeline if nothing of it was torn off.
    ///
    /// # Errors
    ///
    /// [`ParseError`] at the torn line.
    pub fn whole(self) -> Result<Timeline, ParseError> {
        match self.torn {
            None => Ok(self.timeline),
            Some(line) => {
                let message = "expected a whole object, found a torn one: `race-sim convert` can \
                               leave it out";
                Err(ParseError::new(line, message))
            }
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    v: u32,
    k: String,
    head: Vec<HeadObject>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeadObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "k", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Choice {
        t: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        #[serde(rename = "do")]
        words: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    Comment {
        text: String,
    },
    Blank {},
    Fair {},
    Golden {
        text: String,
    },
}

/// Prints the twin of a timeline.
#[must_use]
pub fn print(timeline: &Timeline) -> String {
    let head = timeline.head.iter().map(HeadObject::of).collect();
    let mut lines = vec![json(&Header { v: VERSION, k: KIND.to_owned(), head })];
    let mut now_ms = 0;
    for line in &timeline.body {
        lines.push(json(&Line::of(line, &mut now_ms)));
    }
    lines.extend(timeline.golden.clone().map(|text| json(&Line::Golden { text })));
    lines.concat()
}

/// Reads a twin. A last line without its end is left out, and told.
///
/// # Errors
///
/// [`ParseError`]: the line, and what was expected there.
pub fn read(bytes: &[u8]) -> Result<Twin, ParseError> {
    let (lines, torn) = whole_lines(bytes);
    let mut lines = lines.into_iter();
    let Some((_, first)) = lines.next() else {
        let message =
            "expected a header such as {\"v\":1,\"k\":\"timeline\",\"head\":[]}, found nothing";
        return Err(ParseError::new(1, message));
    };
    let mut timeline = Timeline { head: header(first)?, body: Vec::new(), golden: None };
    let mut now_ms = 0;
    for (number, text) in lines {
        if timeline.golden.is_some() {
            return Err(ParseError::new(number, "nothing may follow the golden block"));
        }
        match parse_as("a line of a twin", number, text)? {
            Line::Golden { text } => timeline.golden = Some(text),
            line => {
                let line = line.into_body(number, &mut now_ms)?;
                check_place(&timeline, &line, number)?;
                timeline.body.push(line);
            }
        }
    }
    Ok(Twin { timeline, torn })
}

/// Parts a file into its lines with their numbers, and returns the number of a torn last line.
///
/// Nothing that was cut off within an object is an object, so that a last line that is one lacks
/// its end of line alone.
pub(crate) fn whole_lines(bytes: &[u8]) -> (Vec<(usize, &[u8])>, Option<usize>) {
    let mut lines: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').zip(1..).collect();
    let is_torn = |line: &[u8]| {
        !line.ends_with(b"\n") && serde_json::from_slice::<serde_json::Value>(line).is_err()
    };
    let torn = lines.pop_if(|(line, _)| is_torn(line)).map(|(_, number)| number);
    (lines.into_iter().map(|(line, number)| (number, line.trim_ascii_end())).collect(), torn)
}

/// Reads one line, and says what it expected in it.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    number: usize,
    line: &'a [u8],
) -> Result<T, ParseError> {
    serde_json::from_slice(line).map_err(|error| {
        let said = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = match said.strip_suffix(&place) {
            Some(said) => format!("column {}: {said}", error.column()),
            None => said,
        };
        ParseError::new(number, message)
    })
}

/// Does the same, and says of what the line should be one.
fn parse_as<'a, T: Deserialize<'a>>(
    what: &str,
    number: usize,
    line: &'a [u8],
) -> Result<T, ParseError> {
    parse(number, line).map_err(|ParseError { line, message }| {
        let message = format!("expected {what}, as `race-sim convert` prints it: {message}");
        ParseError { line, message }
    })
}

fn json(object: &impl Serialize) -> String {
    // These objects hold texts and numbers alone, and those can always be printed.
    serde_json::to_string(object).unwrap_or_default() + "\n"
}

fn header(line: &[u8]) -> Result<Vec<HeadLine>, ParseError> {
    let Header { v, k, head } = parse_as("the header of a twin", 1, line)?;
    if k != KIND {
        return Err(ParseError::new(1, format!("expected the kind `{KIND}`, found `{k}`")));
    }
    if v != VERSION {
        let message = format!("this is version {v} of the twin, and only {VERSION} can be read");
        return Err(ParseError::new(1, message));
    }
    head.into_iter().map(HeadObject::into_line).collect()
}

/// A line may stand only where the text could have it as well.
fn check_place(timeline: &Timeline, line: &BodyLine, number: usize) -> Result<(), ParseError> {
    match line {
        BodyLine::Blank | BodyLine::Comment(_) if timeline.body.is_empty() => {
            let message = "expected a choice: what stands before the first belongs to the head";
            Err(ParseError::new(number, message))
        }
        BodyLine::Comment(_) | BodyLine::Step(_) | BodyLine::Fair if timeline.ends_fair() => {
            Err(ParseError::new(number, "nothing may follow `fair` but the golden block"))
        }
        BodyLine::Blank | BodyLine::Comment(_) | BodyLine::Step(_) | BodyLine::Fair => Ok(()),
    }
}

impl HeadObject {
    fn of(line: &HeadLine) -> Self {
        match line {
            HeadLine::Blank => Self::default(),
            HeadLine::Comment(comment) => {
                Self { comment: Some(comment.clone()), ..Self::default() }
            }
            HeadLine::Entry { key, value, comment } => {
                let (key, value) = (Some(key.clone()), Some(value.clone()));
                Self { key, value, comment: comment.clone() }
            }
        }
    }

    fn into_line(self) -> Result<HeadLine, ParseError> {
        let line = match (self.key, self.value, self.comment) {
            (None, None, None) => HeadLine::Blank,
            (None, None, Some(comment)) => HeadLine::Comment(comment),
            (Some(key), Some(value), comment) => HeadLine::Entry { key, value, comment },
            (Some(_), None, _) | (None, Some(_), _) => {
                return Err(ParseError::new(1, "expected a key together with its value"));
            }
        };
        let text = line.to_string();
        let starts_body = text.starts_with('@') || text.starts_with("...");
        let read = head_line(1, &text)?;
        if read == line && !starts_body && is_one_line(&text) {
            return Ok(line);
        }
        Err(ParseError::new(1, format!("expected what can stand in a line of the head: `{text}`")))
    }
}

impl Line {
    fn of(line: &BodyLine, now_ms: &mut u64) -> Self {
        match line {
            BodyLine::Blank => Self::Blank {},
            BodyLine::Comment(text) => Self::Comment { text: text.clone() },
            BodyLine::Fair => Self::Fair {},
            BodyLine::Step(Step { moment, choice, comment, .. }) => {
                *now_ms = moment.after(*now_ms);
                let after = match moment {
                    Moment::After(ms) => Some(*ms),
                    Moment::At(_) => None,
                };
                let words = choice.to_string().split(' ').map(str::to_owned).collect();
                Self::Choice { t: *now_ms, after, words, comment: comment.clone() }
            }
        }
    }

    /// Reads it as the line of text that it stands for.
    fn into_body(self, number: usize, now_ms: &mut u64) -> Result<BodyLine, ParseError> {
        let fail = |message: String| Err(ParseError::new(number, message));
        let (text, comment) = match self {
            Self::Blank {} => (String::new(), None),
            Self::Fair {} => ("...".to_owned(), None),
            Self::Comment { text } => (String::new(), Some(text)),
            Self::Golden { .. } => return fail("the golden block stands at the end".to_owned()),
            Self::Choice { t, after, words, comment } => {
                let before_ms = *now_ms;
                *now_ms = after.map_or(t, |ms| before_ms.saturating_add(ms));
                if *now_ms != t {
                    return fail(format!(
                        "expected \"t\":{now_ms}, which is \"after\" after {before_ms}; found {t}"
                    ));
                }
                if words.iter().any(|word| word.contains(' ')) {
                    return fail(format!("expected one word at a time, found {words:?}"));
                }
                let moment = after.map_or(Moment::At(t), Moment::After);
                (format!("{moment} {}", words.join(" ")), comment)
            }
        };
        let whole = match &comment {
            Some(comment) => format!("{text} #{comment}"),
            None => text.clone(),
        };
        let read = body_line(number, whole.trim_start())?;
        let is_said = match &read {
            BodyLine::Blank | BodyLine::Fair => comment.is_none(),
            BodyLine::Comment(said) => comment.as_ref() == Some(said),
            BodyLine::Step(step) => {
                format!("{} {}", step.moment, step.choice) == text && step.comment == comment
            }
        };
        if is_said && is_one_line(&whole) {
            return Ok(read);
        }
        fail(format!("expected what can stand in one line of text, found `{whole}`"))
    }
}

/// Whether the text reader would take it for one line, and leave nothing out at its end.
fn is_one_line(text: &str) -> bool {
    !text.contains(['\n', '\r']) && text.trim_end() == text
}

#[cfg(test)]
mod tests {
    use super::{print, read};
    use crate::timeline::Timeline;

    const TEXT: &str = "\
timeline 1
id      A01
# A race.
from    races.jsonl#A01                      # kept

@0      user launch s1
# it matters
@+2     write ok s1#1                        # stored

@40     spawn ok s1 -> p1
...
----
s1   starting
";

    const TWIN: &str = r##"{"v":1,"k":"timeline","head":[{"key":"id","value":"A01"},{"comment":" A race."},{"key":"from","value":"races.jsonl#A01","comment":" kept"},{}]}
{"k":"choice","t":0,"do":["user","launch","s1"]}
{"k":"comment","text":" it matters"}
{"k":"choice","t":2,"after":2,"do":["write","ok","s1#1"],"comment":" stored"}
{"k":"blank"}
{"k":"choice","t":40,"do":["spawn","ok","s1","->","p1"]}
{"k":"fair"}
{"k":"golden","text":"s1   starting\n"}
"##;

    #[test]
    fn text_and_twin_are_made_of_each_other() {
        let timeline: Timeline = TEXT.parse().unwrap();
        assert_eq!(print(&timeline), TWIN);
        let twin = read(TWIN.as_bytes()).unwrap();
        assert_eq!(twin.torn, None);
        assert_eq!(twin.timeline.to_string(), TEXT);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_told_wherever_it_is_torn() {
        let begin = TWIN.find("{\"k\":\"golden").unwrap();
        for cut in begin + 1..TWIN.len() - 2 {
            let twin = read(&TWIN.as_bytes()[..cut]).unwrap();
            assert_eq!((twin.torn, twin.timeline.golden.is_none()), (Some(8), true));
        }
        let error = read(&TWIN.as_bytes()[..begin + 9]).unwrap().whole().unwrap_err();
        assert!(error.to_string().starts_with("line 8: expected a whole object"), "{error}");
        let without_end = read(TWIN.trim_end().as_bytes()).unwrap();
        assert_eq!(without_end.timeline.to_string(), TEXT);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (wrong, right, message) in [
            ("{\"v\":2,", "{\"v\":1,", "line 1: this is version 2 of the twin, and only 1 can be"),
            ("\"k\":\"recording\"", "\"k\":\"timeline\"", "line 1: expected the kind `timeline`"),
            ("{\"key\":\"id\"}", "{\"key\":\"id\",\"value\":\"A01\"}", "line 1: expected a key"),
            ("\"expect\",\"value\":\"maybe", "\"id\",\"value\":\"A01", "line 1: expected `pass`"),
            ("\"t\":3,", "\"t\":2,", "line 4: expected \"t\":2, which is \"after\" after 0"),
            ("[\"write\",\"no\"", "[\"write\",\"ok\"", "line 4: expected ok, err, unknown or"),
            ("[\"write ok\",", "[\"write\",\"ok\",", "line 4: expected one word at a time"),
            ("{\"k\":\"empty\"}", "{\"k\":\"blank\"}", "unknown variant `empty`, expected one"),
            (
                "{\"k\":\"blank\"",
                "{\"k\":\"blank\"}",
                "line 5: expected a line of a twin, as `race-sim convert` prints it: column 12: EOF",
            ),
            (
                "\"do\":7",
                "\"do\":[\"spawn\",\"ok\",\"s1\",\"->\",\"p1\"]",
                "invalid type: integer `7`, expected a seq",
            ),
            ("\"a\\nb\"", "\" it matters\"", "line 3: expected what can stand in one"),
        ] {
            let twin = TWIN.replacen(right, wrong, 1);
            assert_ne!(twin, TWIN, "{right}");
            let error = read(twin.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{error} for {wrong}");
        }
        assert!(read(b"").unwrap_err().to_string().starts_with("line 1: expected a header"));
        let after_golden = format!("{TWIN}{{\"k\":\"blank\"}}\n");
        let error = read(after_golden.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "line 9: nothing may follow the golden block");
    }
}
