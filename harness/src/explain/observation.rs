//! What somebody saw, one thing a line, in the order in which they saw it.

use std::fmt;

use serde_json::Value;

use crate::ghost::Record;
use crate::golden::status_word;
use crate::timeline::names::SessionName;
use crate::timeline::{BadChoice, Choice, Timeline, jsonl};

use super::vocabulary;

/// Observations of one log, at most; more is a file that was named by mistake.
const OBSERVATIONS_MAX: usize = 1_000;

/// One thing that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    /// Its line in the log, counted from 1.
    pub line: usize,
    /// What.
    pub what: What,
}

/// What was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// A fact, such as `see s1 running`.
    Fact(String),
    /// A choice of the world, as a timeline has it.
    Chosen(Choice),
}

/// A log that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BadLog {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected there.
    pub message: String,
}

impl What {
    /// Says whether a fact is the one that was seen. A status without its reason stands for every
    /// reason.
    pub(super) fn is_met_by(&self, fact: &str) -> bool {
        match self {
            Self::Fact(seen) => {
                seen == fact || fact.strip_prefix(seen).is_some_and(|rest| rest.starts_with('('))
            }
            Self::Chosen(_) => false,
        }
    }
}

/// Reads a log: lines of facts and choices, lines of JSON, or a whole timeline.
///
/// # Errors
///
/// [`BadLog`]: tell whoever wrote it.
pub fn read_log(text: &str) -> Result<Vec<Observation>, BadLog> {
    let observations =
        if text.starts_with("timeline ") { of_timeline(text)? } else { of_lines(text)? };
    match observations.len() {
        0 => Err(BadLog { line: 1, message: "there is nothing to explain".to_owned() }),
        1..=OBSERVATIONS_MAX => Ok(observations),
        _ => {
            let message = format!("there are more than {OBSERVATIONS_MAX} observations");
            Err(BadLog { line: OBSERVATIONS_MAX, message })
        }
    }
}

fn of_timeline(text: &str) -> Result<Vec<Observation>, BadLog> {
    let timeline: Timeline = text.parse().map_err(|error: crate::timeline::ParseError| BadLog {
        line: error.line,
        message: error.message,
    })?;
    let chosen = timeline
        .steps()
        .map(|step| Observation { line: step.line, what: What::Chosen(step.choice.clone()) });
    Ok(chosen.collect())
}

fn of_lines(text: &str) -> Result<Vec<Observation>, BadLog> {
    let mut observations = Vec::new();
    for (line, words) in (1..).zip(text.lines().map(str::trim)) {
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        let what = if words.starts_with('{') { of_json(line, words) } else { of_words(words) };
        let what = what.map_err(|message| BadLog { line, message })?;
        observations.push(Observation { line, what });
    }
    Ok(observations)
}

/// Reads a choice, with or without its moment, or `see WHAT` or `ask WHAT`. Choices come first: an
/// agent that asks for an approval is one, and a user who asks for an end is a fact.
fn of_words(words: &str) -> Result<What, String> {
    let words = words.split(" #").next().unwrap_or(words).trim();
    if words.starts_with('@') {
        return choice(words.split_once(' ').map_or("", |(_, rest)| rest.trim()));
    }
    if let Ok(choice) = words.parse() {
        return Ok(What::Chosen(choice));
    }
    match words.split_once(' ').unwrap_or((words, "")) {
        (verb @ ("see" | "ask"), rest) => fact(verb, rest),
        _ => choice(words).map_err(|error| format!("expected `see`, `ask` or a choice: {error}")),
    }
}

fn fact(verb: &str, rest: &str) -> Result<What, String> {
    let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    if rest.is_empty() {
        return Err(format!("expected what is meant after `{verb}`"));
    }
    let fact = format!("{verb} {rest}");
    vocabulary::check(&fact)?;
    Ok(What::Fact(fact))
}

fn choice(words: &str) -> Result<What, String> {
    words.parse().map(What::Chosen).map_err(|error: BadChoice| error.to_string())
}

/// Reads an object with one of the keys `see`, `ask` and `choice`; it may have others.
fn of_json(number: usize, line: &str) -> Result<What, String> {
    let value: Value = jsonl::parse(number, line.as_bytes())
        .map_err(|error| format!("expected a line of a log in JSON: {}", error.message))?;
    let of_key = |key: &str| value.get(key).and_then(Value::as_str);
    match (of_key("see"), of_key("ask"), of_key("choice")) {
        (Some(told), ..) => fact("see", told),
        (_, Some(told), _) => fact("ask", told),
        (.., Some(told)) => choice(told),
        (None, None, None) => Err("expected an object with `see`, `ask` or `choice`".to_owned()),
    }
}

/// Returns how a thing that happened is told in a log, or `None` where logs do not speak of it.
pub(super) fn fact_of(record: &Record) -> Option<String> {
    let fact = match record {
        Record::Durable { change, .. } => {
            let name = SessionName::of(change.session.id);
            format!("see {name} {}", status_word(&change.session))
        }
        Record::Asked { session, request, .. } => {
            format!("ask {} {request}", SessionName::of(*session))
        }
        Record::Replied { reply, .. } => format!("see reply {reply}"),
        Record::Forked { process, .. } => format!("see {process} up"),
        Record::Died { process, .. } => {
            let died = record.to_string();
            let how = died.strip_prefix(&format!("died {process} ")).unwrap_or_default();
            format!("see {process} exit {how}")
        }
        Record::Seen { process, .. } => format!("see {process} gone"),
        Record::SignalCalled { process, .. } => {
            let called = record.to_string();
            let signal = called.split(' ').next().unwrap_or_default();
            format!("see {process} {signal}")
        }
        Record::Crashed => "see daemon crash".to_owned(),
        Record::Booted { .. } => "see daemon boot".to_owned(),
        Record::Left { .. } => "see daemon leave".to_owned(),
        _ => return None,
    };
    Some(fact)
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => formatter.write_str(fact),
            Self::Chosen(choice) => fmt::Display::fmt(choice, formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{What, read_log};

    #[test]
    fn a_log_is_read_line_by_line() {
        let log = "# a log\nsee s1  running\n\nask s1 interrupt # soon\n@+3 exit p1 code 1\n";
        let log =
            log.to_owned() + "ask p1 a1\n{\"see\":\"s1 lost\",\"at\":7}\n{\"choice\":\"crash\"}\n";
        let observations = read_log(&log).unwrap();
        let told: Vec<_> =
            observations.iter().map(|seen| format!("{} {}", seen.line, seen.what)).collect();
        let expected = [
            "2 see s1 running",
            "4 ask s1 interrupt",
            "5 exit p1 code 1",
            "6 ask p1 a1",
            "7 see s1 lost",
            "8 crash",
        ];
        assert_eq!(told, expected);
        assert!(matches!(observations[3].what, What::Chosen(_)), "an agent asks");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (log, message) in [
            ("", "line 1: there is nothing to explain"),
            ("see s1 running\nsee\n", "line 2: expected what is meant after `see`"),
            ("jump\n", "line 1: expected `see`, `ask` or a choice: expected one of user"),
            ("{\"at\":1}\n", "line 1: expected an object with `see`, `ask` or `choice`"),
            ("{\n", "line 1: expected a line of a log in JSON: column 1: EOF while parsing"),
            ("see s1 running\nsee s1 runnig\n", "line 2: expected one of queued, starting"),
            ("{\"see\":\"s1 completed(frob)\"}\n", "line 1: expected one of succeeded"),
            ("{\"ask\":\"p1 a1\"}\n", "line 1: expected a session such as s1, found `p1`"),
            ("{\"choice\":\"see s1 running\"}\n", "line 1: expected one of user"),
            ("@+1 see s1 running\n", "line 1: expected one of user"),
            ("timeline 2\n", "line 1: this is version 2"),
        ] {
            let error = read_log(log).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn a_status_stands_for_each_of_its_reasons() {
        let seen = What::Fact("see s1 completed".to_owned());
        assert!(seen.is_met_by("see s1 completed") && seen.is_met_by("see s1 completed(killed)"));
        assert!(!seen.is_met_by("see s1 completing"));
    }
}
