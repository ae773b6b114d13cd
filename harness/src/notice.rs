//! What is odd about a timeline and no error: whoever wrote it should know, because it may check less
//! than it seems to.

use std::fmt;

use crate::replay::world_of;
use crate::timeline::{HeadLine, Timeline};

/// The keys of a header that mean something, with whether each may stand more than once.
const KEYS: [(&str, bool); 6] = [
    ("id", false),
    ("title", false),
    ("from", false),
    ("world", false),
    ("expect", false),
    ("mutant", true),
];

/// Letters in which a key may differ from the one that was meant.
const LETTERS_MAX: usize = 2;

/// How a golden block says that something is still to come.
const WAITING: &str = "end  waiting";

/// One sentence, with its line where it has one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    line: Option<usize>,
    message: String,
}

/// Returns what is odd about a header.
#[must_use]
pub fn of_head(timeline: &Timeline) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut seen = Vec::new();
    // The first line says what the file is.
    for (line, head) in (2..).zip(&timeline.head) {
        let HeadLine::Entry { key, .. } = head else {
            continue;
        };
        let known = KEYS.iter().find(|(name, _)| name == key);
        let message = match known {
            None => Some(unknown(key)),
            Some((_, false)) if seen.contains(&key) => {
                Some(format!("`{key}` stands twice, and the first counts: remove one"))
            }
            Some(_) => None,
        };
        seen.push(key);
        notices.extend(message.map(|message| Notice { line: Some(line), message }));
    }
    let missing = [
        ("id", "a short name that no other has".to_owned()),
        ("title", "what it claims, in a few words".to_owned()),
        ("world", world_of(timeline.steps().map(|step| &step.choice))),
    ];
    for (key, example) in missing {
        if timeline.values(key).next().is_none() {
            let message = format!("the header has no `{key}`; write: {key:<7} {example}");
            notices.push(Notice { line: None, message });
        }
    }
    notices
}

/// Says what it means where an outcome that is to be accepted is not an end.
#[must_use]
pub fn of_outcome(golden: &str) -> Option<Notice> {
    let is_waiting = golden.lines().any(|line| line.starts_with(WAITING));
    let message = "it ends `waiting`: something is still to come, so end it with `...` or with the \
                   lines that are missing, unless that is the point";
    is_waiting.then(|| Notice { line: None, message: message.to_owned() })
}

fn unknown(key: &str) -> String {
    let near = KEYS.iter().map(|(name, _)| (distance(key, name), *name)).min();
    match near {
        Some((1..=LETTERS_MAX, name)) => {
            format!("nobody reads the key `{key}`, so that it checks nothing: write `{name}`")
        }
        _ => format!("nobody reads the key `{key}`, so that it checks nothing: make it a comment"),
    }
}

/// Returns how many letters must be put in, taken out or replaced to make one word of another.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in (1..).zip(one.chars()) {
        let mut diagonal = row[0];
        row[0] = at;
        for (place, known) in (1..).zip(&other) {
            let replaced = diagonal + usize::from(letter != *known);
            diagonal = row[place];
            row[place] = replaced.min(row[place] + 1).min(row[place - 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        formatter.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::{distance, of_head};

    fn notices(head: &str) -> Vec<String> {
        let text = format!("timeline 1\n{head}@0 user launch s1\n");
        of_head(&text.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_that_nobody_reads_is_told_with_the_one_that_was_meant() {
        let good = "id one\ntitle a launch\nworld sessions=1 subs=0 crash=0 dbfault=0\n";
        assert_eq!(notices(good), Vec::<String>::new());
        let odd =
            notices(&format!("{good}mutnat M01 violates INV-05\nexpct pass\nfuture x\nid two\n"));
        for (told, end) in odd.iter().zip(["`mutant`", "`expect`", "a comment", "remove one"]) {
            assert!(told.ends_with(end), "{told}");
        }
        assert!(odd[0].starts_with("line 5: nobody reads the key `mutnat`"), "{odd:?}");
        assert_eq!(odd.len(), 4);
    }

    #[test]
    fn what_every_header_should_have_is_missed() {
        let missed = notices("");
        let world = "the header has no `world`; write: world   sessions=1 subs=0 crash=0 dbfault=0";
        assert_eq!((missed.len(), missed[2].as_str()), (3, world));
    }

    #[test]
    fn letters_are_counted() {
        assert_eq!(
            ["id", "ids", "di", "world", ""].map(|word| distance(word, "id")),
            [0, 1, 2, 4, 2]
        );
    }
}
